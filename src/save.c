// Checkpoints of a training run.
#include "tokenizers.h"
#include "trainer.h"
#include "weights.h"
#include <stdlib.h>

mm_status mm_trainer_save(mm_trainer *t, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    const mm_dataset *data = t->train.dataset;
    mm_text config = {0}, tokenizer = {0};
    mm_config_write(&t->model.config, MM_F32, &config);
    mm_tokenizers_config(t->tokenizer, mm_dataset_bos(data), mm_dataset_eos(data), &t->model.config,
                         &t->chat_template, &tokenizer);
    mm_tensor *tensors = mm_weights_list(p, t->weights);
    if (!tensors || config.failed || tokenizer.failed) {
        free(tensors);
        mm_text_free(&config);
        mm_text_free(&tokenizer);
        return mm_trouble(error, "%s: checkpoint of step %lld: out of memory", mm_run_path(t->run),
                          (long long)t->step);
    }
    mm_checkpoint checkpoint = {.config = config.data,
                                .tokenizer_config = tokenizer.data,
                                .tensors = tensors,
                                .count = p->count,
                                .optimizer = t->optimizer,
                                .optimizer_count = 2 * p->count,
                                .state = {.step = t->step,
                                          .position = (uint64_t)t->step * (uint64_t)t->settings.batch,
                                          .tokens = t->tokens,
                                          .streams_version = MM_STREAMS_VERSION,
                                          .arithmetic_version = MM_ARITHMETIC_VERSION}};
    checkpoint.tokenizer = mm_tokenizer_file(t->tokenizer, &checkpoint.tokenizer_size);
    // What the checkpoint relies on is on the disk before it.
    mm_status status = mm_metrics_sync(t->metrics, error);
    if (!status && t->trace) status = mm_trace_sync(t->trace, error);
    if (!status) status = mm_checkpoint_save(mm_run_path(t->run), &checkpoint, (int)t->settings.keep, error);
    free(tensors);
    mm_text_free(&config);
    mm_text_free(&tokenizer);
    return status;
}
