// mm eval: a model's loss over a dataset.
#include "eval_logits.h"
#include "evaluate.h"
#include "tokenizers.h"
#include "weights.h"
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/mathfn.h>
#include <mm/base/text.h>
#include <mm/run/eval.h>
#include <stdlib.h>

enum { DEFAULT_SEQ_LEN = 256 };

typedef struct eval_room {
    mm_arena arena;
    mm_batch batch;
} eval_room;

typedef struct eval_session {
    mm_gemm *gemm;
    mm_dataset *dataset;
    mm_plan plan;
    mm_model model;
    mm_arena weights;
    int workers;
    mm_evaluator *evaluators;
    eval_room *rooms;
    double *sums;
    mm_logits_file *logits;
} eval_session;

static mm_status load_model(eval_session *e, const char *path, int64_t seq_len, mm_error *error) {
    mm_isa isa;
    mm_config config;
    mm_status status = mm_isa_pick(&isa, error);
    if (!status) status = mm_gemm_open(isa, &e->gemm, error);
    if (!status) status = mm_config_read(path, &config, error);
    if (!status)
        status = mm_weights_load(&e->model, &config, mm_kernels_for(isa), e->gemm, seq_len, path, &e->weights,
                                 error);
    return status;
}

static mm_status load_data(eval_session *e, const mm_eval_request *r, int64_t seq_len, mm_error *error) {
    const char *path = r->data_path, *name = r->data_name ? r->data_name : path;
    mm_status status = mm_dataset_open(path, &e->dataset, error);
    if (!status) status = mm_plan_make(&e->plan, e->dataset, r->packing, seq_len, false, 0, error);
    mm_tokenizer *tokenizer = NULL;
    if (!status) status = mm_tokenizer_open(path, &tokenizer, error);
    if (!status) status = mm_tokenizers_check_same(r->model_path, name, tokenizer, error);
    if (!status)
        status = mm_tokenizers_fit(&e->model.config, r->model_path, name, e->dataset, tokenizer, error);
    mm_tokenizer_close(tokenizer);
    return status;
}

static void place(const eval_session *e, eval_room *room, mm_evaluator *evaluator, mm_arena *arena) {
    evaluator->activations = mm_activations_place(&e->model, e->plan.seq_len, false, arena);
    evaluator->scratch = mm_arena_take(arena, mm_model_scratch(&e->model), sizeof *evaluator->scratch);
    mm_batch_place(&room->batch, 1, e->plan.seq_len, arena);
    evaluator->batch = &room->batch;
}

static mm_status refuse_workers(int workers, double one, double available, mm_error *error) {
    char needed[MM_SIZE_TEXT], left[MM_SIZE_TEXT];
    return mm_trouble(error, "memory: %d workers need %s, but %s are available; --workers %d needs less",
                      workers, mm_size_print(one * workers, needed), mm_size_print(available, left),
                      available < 2 * one ? 1 : (int)(available / one));
}

static mm_status open_workers(eval_session *e, mm_error *error) {
    e->evaluators = calloc((size_t)e->workers, sizeof *e->evaluators);
    e->rooms = calloc((size_t)e->workers, sizeof *e->rooms);
    e->sums = calloc(e->plan.samples, sizeof *e->sums);
    if (!e->evaluators || !e->rooms || !e->sums) return mm_trouble(error, "evaluation: out of memory");
    mm_arena measure = mm_arena_measure();
    place(e, &e->rooms[0], &e->evaluators[0], &measure);
    double one = (double)measure.used, available = mm_memory_available();
    if (e->workers > 1 && one * e->workers > available)
        return refuse_workers(e->workers, one, available, error);
    for (int w = 0; w < e->workers; w++) {
        mm_status status = mm_arena_open(&e->rooms[w].arena, measure.used, error);
        if (status) return status;
        place(e, &e->rooms[w], &e->evaluators[w], &e->rooms[w].arena);
        status = mm_dataset_cursor_new(e->dataset, &e->evaluators[w].cursor, error);
        if (status) return status;
    }
    return MM_OK;
}

static void close_session(eval_session *e) {
    for (int w = 0; e->evaluators && e->rooms && w < e->workers; w++) {
        mm_dataset_cursor_free(e->evaluators[w].cursor);
        mm_arena_close(&e->rooms[w].arena);
    }
    mm_logits_abandon(e->logits);
    free(e->evaluators);
    free(e->rooms);
    free(e->sums);
    mm_model_close(&e->model);
    mm_arena_close(&e->weights);
    mm_dataset_close(e->dataset);
    mm_gemm_close(e->gemm);
}

static mm_status evaluate(eval_session *e, const mm_eval_request *r, mm_eval_result *result,
                          mm_error *error) {
    mm_status status = MM_OK;
    if (r->logits_path)
        status = mm_logits_open(r->logits_path, &e->plan, e->model.config.vocab, e->evaluators, e->workers,
                                &e->logits, error);
    if (!status)
        status = mm_evaluate(&e->model, &e->plan, e->evaluators, e->workers, e->sums, r->progress, r->self,
                             r->stop, &result->loss, &result->tokens, error);
    if (status || !r->logits_path) return status;
    mm_logits_file *logits = e->logits;
    e->logits = NULL;
    return mm_logits_end(logits, error);
}

static void fill_result(const eval_session *e, mm_eval_result *result) {
    static const double ln_2 = 0.693147180559945309417;
    result->perplexity = mm_exp(result->loss);
    bool whole = e->plan.packing == MM_PACKING_WINDOW;
    result->text_bytes = whole ? (int64_t)mm_dataset_text_bytes(e->dataset) : 0;
    result->bits_per_byte =
        result->text_bytes ? result->loss * (double)result->tokens / ln_2 / (double)result->text_bytes : NAN;
}

mm_status mm_eval(const mm_eval_request *request, mm_eval_result *result, mm_error *error) {
    double began = mm_clock_seconds();
    eval_session e = {.workers = request->workers};
    int64_t seq_len = request->seq_len ? request->seq_len : DEFAULT_SEQ_LEN;
    *result = (mm_eval_result){0};
    mm_status status = load_model(&e, request->model_path, seq_len, error);
    if (!status) status = load_data(&e, request, seq_len, error);
    if (!status && e.plan.samples < (uint64_t)e.workers) e.workers = (int)e.plan.samples;
    if (!status) status = open_workers(&e, error);
    if (!status) status = evaluate(&e, request, result, error);
    if (!status) fill_result(&e, result);
    result->seconds = mm_clock_seconds() - began;
    close_session(&e);
    return status;
}
