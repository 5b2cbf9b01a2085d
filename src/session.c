// Opening and closing of what a training run holds.
#include "memory.h"
#include "tokenizers.h"
#include "trainer.h"
#include <assert.h>
#include <mm/base/par.h>
#include <mm/files/publish.h>
#include <mm/ops/attention.h>
#include <mm/optim/clip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mm_status out_of_memory(const char *what, mm_error *error) {
    return mm_trouble(error, "%s: out of memory; use fewer --workers, a smaller --micro-batch or --seq-len",
                      what);
}

static mm_status open_source(mm_trainer *t, mm_source *source, const char *path, bool shuffled,
                             mm_error *error) {
    const mm_settings *s = &t->settings;
    mm_status status = mm_dataset_open(path, &source->dataset, error);
    if (status) return status;
    return mm_plan_make(&source->plan, source->dataset, (mm_packing)s->packing, s->seq_len, shuffled, s->seed,
                        error);
}

// The validation loss is taken over documents such as those that the model learns.
static mm_status check_marks(const mm_trainer *t, mm_error *error) {
    const mm_dataset *train = t->train.dataset, *val = t->val.dataset;
    if (mm_dataset_bos(train) == mm_dataset_bos(val) && mm_dataset_eos(train) == mm_dataset_eos(val))
        return MM_OK;
    return mm_trouble(
        error,
        "documents of %s begin and end with tokens %d and %d, those of %s with %d and %d; pack both "
        "with one tokenizer and its tokenizer_config.json",
        t->settings.data, mm_dataset_bos(train), mm_dataset_eos(train), t->settings.val_data,
        mm_dataset_bos(val), mm_dataset_eos(val));
}

static mm_status open_data(mm_trainer *t, mm_error *error) {
    const mm_settings *s = &t->settings;
    mm_status status = open_source(t, &t->train, s->data, s->order == MM_ORDER_SHUFFLED, error);
    if (!status) status = mm_tokenizer_open(s->data, &t->tokenizer, error);
    if (status || !s->val_data || s->val_every == 0) return status;
    status = open_source(t, &t->val, s->val_data, false, error);
    if (status) return status;
    if (!mm_hash_equal(mm_dataset_tokenizer_hash(t->train.dataset),
                       mm_dataset_tokenizer_hash(t->val.dataset)))
        return mm_trouble(error, "%s and %s were packed with different tokenizers; pack both with one",
                          s->data, s->val_data);
    if (!t->recalled) status = check_marks(t, error);
    if (status) return status;
    t->val_sums = calloc(t->val.plan.samples, sizeof *t->val_sums);
    return t->val_sums ? MM_OK : out_of_memory("validation losses", error);
}

// Ids that token noise may draw: all that are not special, and of which the model has weights.
static mm_status list_ordinary(mm_trainer *t, mm_error *error) {
    if (t->settings.token_noise <= 0) return MM_OK;
    int vocab = mm_dataset_vocab(t->train.dataset);
    if (vocab > t->model.config.vocab) vocab = t->model.config.vocab;
    t->ordinary = malloc((size_t)vocab * sizeof *t->ordinary);
    if (!t->ordinary) return out_of_memory("ordinary tokens", error);
    for (int32_t id = 0; id < vocab; id++)
        if (!mm_tokenizer_is_special(t->tokenizer, id)) t->ordinary[t->ordinary_count++] = id;
    if (t->ordinary_count) return MM_OK;
    return mm_trouble(error, "--token-noise: the tokenizer of %s has special tokens only", t->settings.data);
}

static mm_status preset_config(const mm_trainer *t, mm_config *config, mm_error *error) {
    mm_status status = mm_config_preset(t->settings.preset, config, error);
    config->vocab = mm_dataset_vocab(t->train.dataset);
    config->bos = mm_dataset_bos(t->train.dataset);
    config->eos_count = 1;
    config->eos[0] = mm_dataset_eos(t->train.dataset);
    config->pad = mm_tokenizer_id(t->tokenizer, "<|endoftext|>");
    return status;
}

// The model learns where the data's documents begin and end; at what else ended its texts they still end.
static void take_marks(const mm_dataset *dataset, mm_config *config) {
    int32_t eos = mm_dataset_eos(dataset);
    int at = 0;
    while (at < config->eos_count && config->eos[at] != eos) at++;
    if (at == MM_EOS_MOST) at--;
    if (at == config->eos_count) config->eos_count++;
    memmove(config->eos + 1, config->eos, (size_t)at * sizeof *config->eos);
    config->eos[0] = eos;
    config->bos = mm_dataset_bos(dataset);
}

static mm_status fit_data(mm_trainer *t, const mm_config *config, const char *model, mm_error *error) {
    const mm_settings *s = &t->settings;
    mm_status status = mm_tokenizers_fit(config, model, s->data, t->train.dataset, t->tokenizer, error);
    if (status || !t->val.dataset) return status;
    return mm_tokenizers_fit(config, model, s->val_data, t->val.dataset, t->tokenizer, error);
}

static mm_status given_config(mm_trainer *t, mm_config *config, mm_error *error) {
    const mm_settings *s = &t->settings;
    mm_status status = mm_config_read(s->model, config, error);
    if (!status) status = mm_tokenizers_check_same(s->model, s->data, t->tokenizer, error);
    if (!status) status = fit_data(t, config, s->model, error);
    if (status) return status;
    take_marks(t->train.dataset, config);
    if (config->max_positions < s->seq_len) config->max_positions = s->seq_len;
    return MM_OK;
}

// A run that goes on has the model that it began with, whatever has become of --model or of a preset.
static mm_status recalled_config(mm_trainer *t, mm_config *config, mm_error *error) {
    *config = t->began_with;
    return fit_data(t, config, "the run's model", error);
}

static mm_status choose_config(mm_trainer *t, mm_config *config, mm_error *error) {
    return t->recalled         ? recalled_config(t, config, error)
           : t->settings.model ? given_config(t, config, error)
                               : preset_config(t, config, error);
}

// The optimizer's tensors under PyTorch's names.
static mm_status name_optimizer(mm_trainer *t, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    size_t bytes = 0;
    for (int i = 0; i < p->count; i++)
        for (int which = 1; which <= 2; which++)
            bytes += strlen(mm_moment_prefixes[which]) + strlen(p->tensors[i].name) + 1;
    t->optimizer = calloc(2 * (size_t)p->count, sizeof *t->optimizer);
    char *name = t->optimizer_names = malloc(bytes);
    if (!t->optimizer || !name) return out_of_memory("optimizer state", error);
    for (int i = 0; i < 2 * p->count; i++) {
        int of = i % p->count, which = i / p->count;
        t->optimizer[i] = mm_parameter_in(p, of, which ? t->v : t->m);
        t->optimizer[i].name = name;
        name += sprintf(name, "%s%s", mm_moment_prefixes[1 + which], p->tensors[of].name) + 1;
    }
    return MM_OK;
}

static mm_status cut_pieces(mm_trainer *t, mm_error *error) {
    const mm_parameters *p = &t->model.parameters;
    t->first_piece = calloc((size_t)p->count + 1, sizeof *t->first_piece);
    if (!t->first_piece) return out_of_memory("table of pieces", error);
    for (int i = 0; i < p->count; i++)
        t->first_piece[i + 1] =
            t->first_piece[i] + (mm_tensor_count(&p->tensors[i]) + MM_NORM_BLOCK - 1) / MM_NORM_BLOCK;
    t->piece_sums = malloc((size_t)t->first_piece[p->count] * sizeof *t->piece_sums);
    return t->piece_sums ? MM_OK : out_of_memory("table of pieces", error);
}

// Has a stream the numbers that a leaf's masks draw? Those of attention are the most.
static mm_status check_draws(const mm_settings *s, const mm_config *config, mm_error *error) {
    const uint64_t samples = s->seed_policy == MM_SEED_POLICY_SAMPLE ? 1 : (uint64_t)s->micro_batch;
    const uint64_t each = mm_attention_mask_elements(config->heads, s->seq_len);
    if (s->dropout <= 0 || each <= MM_STREAM_ELEMENTS / samples) return MM_OK;
    return mm_trouble(
        error,
        "--seq-len %lld with --micro-batch %lld and the model's %d heads: dropout draws more numbers for "
        "a leaf than the 2^46 of a stream; give a smaller --seq-len%s, or --dropout 0",
        (long long)s->seq_len, (long long)s->micro_batch, config->heads,
        samples > 1 ? " or --micro-batch" : "");
}

// Its shape; no weights yet.
static mm_status open_model(mm_trainer *t, mm_error *error) {
    mm_config config;
    mm_status status = choose_config(t, &config, error);
    if (!status) status = check_draws(&t->settings, &config, error);
    if (!status)
        status = mm_model_open(&t->model, &config, t->kernels, t->gemm, t->settings.seq_len, NULL, error);
    return status;
}

static mm_status open_state(mm_trainer *t, mm_error *error) {
    size_t floats = t->model.parameters.floats;
    mm_status status = mm_arena_open(&t->state, 3 * floats * sizeof(float), error);
    if (status) return status;
    t->weights = mm_arena_take(&t->state, floats, sizeof(float));
    t->m = mm_arena_take(&t->state, floats, sizeof(float));
    t->v = mm_arena_take(&t->state, floats, sizeof(float));
    t->model.weights = t->weights;
    status = name_optimizer(t, error);
    return status ? status : cut_pieces(t, error);
}

static void place_worker(const mm_trainer *t, const mm_settings *s, mm_worker *worker, bool host,
                         mm_arena *arena) {
    worker->scratch = mm_arena_take(arena, mm_model_scratch(&t->model), sizeof *worker->scratch);
    if (!host) return;
    worker->activations = mm_activations_place(&t->model, s->micro_batch * s->seq_len, true, arena);
    mm_batch_place(&worker->batch, (int)s->micro_batch, s->seq_len, arena);
    worker->draws = mm_arena_take(arena, (size_t)s->micro_batch, sizeof *worker->draws);
}

size_t mm_trainer_worker_bytes(const mm_trainer *t, const mm_settings *s, bool host) {
    mm_worker planned;
    mm_arena arena = mm_arena_measure();
    place_worker(t, s, &planned, host, &arena);
    return arena.used;
}

static void warn_of_threads(const mm_trainer *t) {
    const int workers = (int)t->settings.workers, threads = mm_par_threads(workers);
    char sentence[128];
    if (threads == workers || !t->watch || !t->watch->warning) return;
    snprintf(sentence, sizeof sentence,
             "%d workers share %d threads: the system gives no more (ulimit -u); no bit changes", workers,
             threads);
    t->watch->warning(t->watch->self, sentence);
}

static mm_status open_workers(mm_trainer *t, mm_error *error) {
    warn_of_threads(t);
    t->workers = calloc((size_t)t->settings.workers, sizeof *t->workers);
    if (!t->workers) return out_of_memory("workers", error);
    for (int64_t w = 0; w < t->settings.workers; w++)
        for (int h = 0; h < 3; h++) {
            t->workers[w].hashers[h] = mm_hasher_new();
            if (!t->workers[w].hashers[h]) return out_of_memory("workers", error);
        }
    for (int64_t w = 0; w < t->settings.workers; w++) {
        mm_worker *worker = &t->workers[w];
        bool host = w < mm_hosts(&t->settings);
        mm_status status =
            mm_arena_open(&worker->arena, mm_trainer_worker_bytes(t, &t->settings, host), error);
        if (status) return status;
        place_worker(t, &t->settings, worker, host, &worker->arena);
        if (!host) continue;
        status = mm_dataset_cursor_new(t->train.dataset, &worker->cursor, error);
        if (!status && t->val.dataset)
            status = mm_dataset_cursor_new(t->val.dataset, &worker->val_cursor, error);
        if (status) return status;
    }
    return MM_OK;
}

static mm_status open_lists(mm_trainer *t, mm_error *error) {
    t->leaf_lists = calloc((size_t)t->leaves, sizeof *t->leaf_lists);
    t->rank_lists = calloc((size_t)t->settings.ranks, sizeof *t->rank_lists);
    t->update_lists = calloc((size_t)t->model.parameters.count + 1, sizeof *t->update_lists);
    if (!t->leaf_lists || !t->rank_lists || !t->update_lists) return out_of_memory("trace", error);
    return MM_OK;
}

mm_status mm_trainer_open(mm_trainer *t, mm_error *error) {
    const mm_settings *s = &t->settings;
    t->leaves = s->batch / s->micro_batch;
    t->leaves_in_rank = t->leaves / s->ranks;
    mm_isa isa;
    mm_status status = mm_isa_pick(&isa, error);
    if (status) return status;
    t->kernels = mm_kernels_for(isa);
    t->optim = mm_optim_kernels_for(isa);
    status = mm_gemm_open(isa, &t->gemm, error);
    if (!status) status = open_data(t, error);
    if (!status) status = open_model(t, error);
    if (!status) status = list_ordinary(t, error);
    if (!status) status = mm_memory_check(t, error);
    if (!status) status = open_state(t, error);
    if (!status)
        status =
            mm_tree_open(&t->tree, t->leaves, (int)mm_hosts(&t->settings), t->model.parameters.floats, error);
    if (!status) status = open_workers(t, error);
    if (!status) status = open_lists(t, error);
    return status;
}

static void close_workers(mm_trainer *t) {
    for (int64_t w = 0; t->workers && w < t->settings.workers; w++) {
        for (int h = 0; h < 3; h++) mm_hasher_free(t->workers[w].hashers[h]);
        mm_dataset_cursor_free(t->workers[w].cursor);
        mm_dataset_cursor_free(t->workers[w].val_cursor);
        mm_arena_close(&t->workers[w].arena);
    }
    free(t->workers);
}

static void close_lists(mm_trainer *t) {
    for (int64_t i = 0; t->leaf_lists && i < t->leaves; i++) mm_trace_list_free(&t->leaf_lists[i]);
    for (int64_t i = 0; t->rank_lists && i < t->settings.ranks; i++) mm_trace_list_free(&t->rank_lists[i]);
    for (int i = 0; t->update_lists && i <= t->model.parameters.count; i++)
        mm_trace_list_free(&t->update_lists[i]);
    free(t->leaf_lists);
    free(t->rank_lists);
    free(t->update_lists);
}

void mm_trainer_close(mm_trainer *t) {
    mm_trace_close(t->trace);
    mm_metrics_close(t->metrics);
    mm_status removed = t->packs ? mm_run_unpack(t->run, NULL) : MM_OK;
    mm_run_close(t->run);
    if (t->unborn) removed = mm_remove_folder(t->settings.out, NULL);
    (void)removed; // the trouble to report is the one before
    close_lists(t);
    close_workers(t);
    mm_tree_close(t->tree);
    free(t->first_piece);
    free(t->piece_sums);
    free(t->optimizer);
    free(t->optimizer_names);
    mm_arena_close(&t->state);
    mm_model_close(&t->model);
    free(t->ordinary);
    free(t->val_sums);
    mm_tokenizer_close(t->tokenizer);
    mm_text_free(&t->chat_template);
    mm_dataset_close(t->val.dataset);
    mm_dataset_close(t->train.dataset);
    mm_gemm_close(t->gemm);
    mm_settings_free(&t->settings);
    *t = (mm_trainer){0};
}
