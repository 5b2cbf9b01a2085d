#include "generate_train.h"
#include "generate_tokens.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/samples.h>
#include <stdlib.h>
#include <string.h>

struct mm_trainer_samples {
    mm_samples *file;
    mm_model model; // the trainer's weights; tables for positions of its own
    mm_decoder *decoder;
    mm_sampler *sampler;
    mm_ids ids; // the prompt's, and room
    int64_t prompt, most;
    int32_t eos; // of the data
    int workers;
    mm_tokenizer *tokenizer; // the trainer's
    mm_characters characters;
    mm_text text;
};

static const char *prompt_of(const mm_trainer *t) {
    return t->settings.prompt ? t->settings.prompt : "";
}

// Without a prompt a sample begins as a document does, with bos.
static mm_status encode_prompt(const mm_trainer *t, mm_ids *ids, mm_error *error) {
    mm_status status = mm_generation_prompt(t->tokenizer, t->model.config.vocab, prompt_of(t),
                                            strlen(prompt_of(t)), ids, error);
    if (status || ids->size) return status;
    int32_t bos = mm_dataset_bos(t->train.dataset);
    if (bos < 0)
        return mm_trouble(error, "--sample-every: the data have no bos token to begin with; give a --prompt");
    return mm_ids_add(ids, &bos, 1, error);
}

static mm_status make_room(const mm_trainer *t, struct mm_trainer_samples *s, mm_error *error) {
    int64_t positions = t->model.config.max_positions;
    s->prompt = (int64_t)s->ids.size;
    if (s->prompt >= positions)
        return mm_trouble(
            error, "--prompt has %lld tokens, expected fewer than the model's %lld positions; shorten it",
            (long long)s->prompt, (long long)positions);
    s->most = s->prompt + MM_SAMPLE_TOKENS < positions ? s->prompt + MM_SAMPLE_TOKENS : positions;
    return mm_ids_reserve(&s->ids, (size_t)(s->most - s->prompt), error);
}

static mm_status open_model(const mm_trainer *t, struct mm_trainer_samples *s, mm_error *error) {
    mm_sampling sampling = mm_sampling_default();
    sampling.seed = t->settings.seed;
    s->workers = (int)t->settings.workers;
    if (s->workers > mm_par_cores()) s->workers = mm_par_cores();
    mm_status status =
        mm_model_open(&s->model, &t->model.config, t->kernels, t->gemm, s->most, t->weights, error);
    if (!status) status = mm_decoder_open(&s->model, s->most, s->workers, &s->decoder, error);
    if (!status) status = mm_sampler_open(&sampling, t->model.config.vocab, &s->sampler, error);
    return status;
}

mm_status mm_trainer_open_samples(mm_trainer *t, mm_error *error) {
    if (t->settings.sample_every == 0) return MM_OK;
    struct mm_trainer_samples *s = t->samples = calloc(1, sizeof *s);
    if (!s) return mm_trouble(error, "--sample-every: out of memory");
    s->tokenizer = t->tokenizer;
    s->eos = mm_dataset_eos(t->train.dataset);
    mm_status status = encode_prompt(t, &s->ids, error);
    if (!status) status = make_room(t, s, error);
    return status ? status : open_model(t, s, error);
}

mm_status mm_trainer_begin_samples(mm_trainer *t, mm_error *error) {
    char path[PATH_MAX];
    if (t->samples) return mm_samples_open(mm_run_path(t->run), t->step, &t->samples->file, error);
    // A run that goes on without samples keeps the file, cut to its step.
    mm_samples *file;
    mm_status status = mm_path_join(path, sizeof path, mm_run_path(t->run), "samples.jsonl", error);
    if (status || !mm_is_file(path)) return status;
    status = mm_samples_open(mm_run_path(t->run), t->step, &file, error);
    if (!status) mm_samples_close(file);
    return status;
}

void mm_trainer_close_samples(mm_trainer *t) {
    struct mm_trainer_samples *s = t->samples;
    if (!s) return;
    mm_samples_close(s->file);
    mm_sampler_close(s->sampler);
    mm_decoder_close(s->decoder);
    mm_model_close(&s->model);
    mm_ids_free(&s->ids);
    mm_text_free(&s->text);
    free(s);
    t->samples = NULL;
}

static mm_status take_token(void *self, int32_t id, mm_error *error) {
    struct mm_trainer_samples *s = self;
    mm_generation_text(s->tokenizer, id, &s->characters, &s->text);
    return s->text.failed ? mm_trouble(error, "--sample-every: out of memory") : MM_OK;
}

static mm_status keep_sample(const mm_trainer *t, mm_error *error) {
    const struct mm_trainer_samples *s = t->samples;
    const char *prompt = prompt_of(t), *text = s->text.data ? s->text.data : "";
    mm_sample_row row = {.step = t->step,
                         .prompt = prompt,
                         .prompt_size = strlen(prompt),
                         .text = text,
                         .text_size = s->text.size};
    mm_status status = mm_samples_add(s->file, &row, error);
    if (status || !t->watch || !t->watch->sample) return status;
    mm_train_sample shown = {.step = t->step, .prompt = prompt, .text = text, .text_size = s->text.size};
    t->watch->sample(t->watch->self, &shown);
    return MM_OK;
}

// What ends a text of the model, if that knows how the data's documents end; a run that was begun by a mm
// whose models did not learn it goes on to end its samples there alone.
static const int32_t *ends_of(const mm_trainer *t, int *count) {
    const mm_config *config = &t->model.config;
    *count = config->eos_count;
    for (int i = 0; i < config->eos_count; i++)
        if (config->eos[i] == t->samples->eos) return config->eos;
    *count = 1;
    return &t->samples->eos;
}

mm_status mm_trainer_sample(mm_trainer *t, mm_error *error) {
    struct mm_trainer_samples *s = t->samples;
    if (!s || (t->step % t->settings.sample_every != 0 && t->step != t->settings.steps)) return MM_OK;
    if (t->watch && t->watch->doing) t->watch->doing(t->watch->self, "sampling", -1);
    mm_text_clear(&s->text);
    mm_sampler_series(s->sampler, (uint32_t)t->step);
    int count;
    const int32_t *eos = ends_of(t, &count);
    mm_generation g = {.decoder = s->decoder,
                       .sampler = s->sampler,
                       .workers = s->workers,
                       .ids = s->ids.data,
                       .count = s->prompt,
                       .most = s->most,
                       .eos = eos,
                       .eos_count = count,
                       .token = take_token,
                       .self = s};
    mm_error found;
    mm_status status = mm_generation_run(&g, &found);
    mm_characters_end(&s->characters, &s->text);
    // Parameters are finite, or training would have stopped: a sample ends no run.
    if (status == MM_NONFINITE && t->watch && t->watch->warning)
        t->watch->warning(t->watch->self, found.text);
    if (status == MM_NONFINITE) return MM_OK;
    if (status) return mm_fail(error, status, "%s", found.text);
    return keep_sample(t, error);
}
