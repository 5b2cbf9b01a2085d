#include "internal.h"
#include <assert.h>
#include <mm/base/arena.h>
#include <mm/base/profile.h>
#include <mm/base/text.h>
#include <stdlib.h>
#include <string.h>

mm_status mm_model_open(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                        const mm_gemm *gemm, int64_t positions, float *weights, mm_error *error) {
    *model = (mm_model){.config = *config, .kernels = kernels, .gemm = gemm, .weights = weights};
    mm_status status = mm_parameters_make(&model->parameters, config, error);
    if (status) return status;
    size_t bytes = (size_t)positions * (size_t)config->head_dim / 2 * sizeof(float);
    model->positions = positions;
    bool fits = 2.0 * (double)bytes <= mm_memory_available();
    model->cosine = fits ? malloc(bytes) : NULL;
    model->sine = fits ? malloc(bytes) : NULL;
    if (!model->cosine || !model->sine) {
        mm_model_close(model);
        char size[MM_SIZE_TEXT];
        return mm_trouble(
            error,
            "rope tables of %lld positions: out of memory for their %s; use a smaller --seq-len, "
            "or --max-tokens of mm generate",
            (long long)positions, mm_size_print(2.0 * (double)bytes, size));
    }
    mm_rope_tables(model->cosine, model->sine, positions, config->head_dim, config->rope_theta);
    return MM_OK;
}

void mm_model_close(mm_model *model) {
    mm_parameters_free(&model->parameters);
    free(model->cosine);
    free(model->sine);
    *model = (mm_model){0};
}

static void embed(const leaf_run *run) {
    const mm_model *m = run->model;
    int64_t rows = run->leaf->rows, hidden = m->config.hidden;
    float *x = room_of(run, 0)->x;
    m->kernels->embedding->forward(x + run->begin * hidden, weight_of(run, m->parameters.embedding),
                                   run->leaf->inputs + run->begin, run->end - run->begin, hidden);
    mm_profile_mark(MM_PROFILE_EMBEDDING, MM_PASS_FORWARD);
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, -1, "embedding"};
    look(run, &at, true, "x", x, rows, hidden, hidden);
    drop_rows(run, MM_PURPOSE_EMBEDDING_DROPOUT, 0, x, x, NULL);
    mm_profile_mark(MM_PROFILE_EMBEDDING, MM_PASS_FORWARD);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_FORWARD, -1, "embedding_dropout"};
    look(run, &at, true, "x", x, rows, hidden, hidden);
}

// An id's rows are added in their order, so it is columns that are cut.
static void embed_backward(const leaf_run *run) {
    const mm_model *m = run->model;
    int64_t begin, end, rows = run->leaf->rows, hidden = m->config.hidden;
    float *d_table = gradient_of(run, m->parameters.embedding);
    const float *dx = kept_rows(run, MM_PURPOSE_EMBEDDING_DROPOUT, 0, run->room->dx);
    part_of(run, hidden, &begin, &end);
    m->kernels->embedding->backward(d_table + begin, dx + begin, hidden, run->leaf->inputs, rows,
                                    end - begin);
    together(run);
    mm_profile_mark(MM_PROFILE_EMBEDDING, MM_PASS_BACKWARD);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "embedding"};
    look(run, &at, true, "embed_tokens.weight", d_table, m->config.vocab, hidden, hidden);
}

// Rows of a chunk of logits.
typedef struct chunk {
    int64_t first, rows;
} chunk;

// The member's part of the chunk's rows, counted within it.
static void chunk_part(const leaf_run *run, const chunk *c, int64_t *begin, int64_t *end) {
    long first, last;
    mm_par_slice((long)c->rows, 1, run->member->worker, run->member->team->workers, &first, &last);
    *begin = first;
    *end = last;
}

static void chunk_logits(const leaf_run *run, const chunk *c) {
    const mm_model *m = run->model;
    int64_t begin, end, hidden = m->config.hidden, vocab = m->config.vocab;
    const float *head = weight_of(run, m->parameters.head);
    float *logits = run->room->logits;
    part_of(run, vocab, &begin, &end);
    mm_gemm_run(m->gemm, false, true, c->rows, end - begin, hidden, 1, run->room->norm + c->first * hidden,
                hidden, head + begin * hidden, hidden, MM_GEMM_SET, logits + begin, vocab,
                run->member->scratch);
    together(run);
    mm_profile_mark(MM_PROFILE_LOGITS, MM_PASS_FORWARD);
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, -1, "lm_head"};
    look(run, &at, true, "logits", logits, c->rows, vocab, vocab);
}

// The chunk's losses, and with a gradient logits become theirs.
static void chunk_losses(const leaf_run *run, const chunk *c) {
    const mm_cross_entropy_kernels *k = run->model->kernels->cross_entropy;
    int64_t begin, end, vocab = run->model->config.vocab;
    chunk_part(run, c, &begin, &end);
    const int32_t *targets = run->leaf->targets + c->first + begin;
    double *losses = run->room->losses + c->first + begin;
    float *logits = run->room->logits + begin * vocab;
    if (run->gradient)
        k->backward(losses, logits, targets, end - begin, vocab, (float)run->leaf->scale);
    else
        k->forward(losses, logits, targets, end - begin, vocab);
    together(run);
    mm_profile_mark(MM_PROFILE_CROSS_ENTROPY, run->gradient ? MM_PASS_BACKWARD : MM_PASS_FORWARD);
}

// The head's gradient and, in place of the chunk's norm, its own.
static void chunk_backward(const leaf_run *run, const chunk *c) {
    const mm_model *m = run->model;
    int64_t begin, end, hidden = m->config.hidden, vocab = m->config.vocab;
    const float *logits = run->room->logits, *head = weight_of(run, m->parameters.head);
    float *norm = run->room->norm + c->first * hidden;
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "cross_entropy"};
    look(run, &at, true, "d_logits", run->room->logits, c->rows, vocab, vocab);
    part_of(run, vocab, &begin, &end);
    mm_gemm_run(m->gemm, true, false, end - begin, hidden, c->rows, 1, logits + begin, vocab, norm, hidden,
                c->first ? MM_GEMM_ADD : MM_GEMM_ADD_TO_ZERO,
                gradient_of(run, m->parameters.head) + begin * hidden, hidden, run->member->scratch);
    together(run);
    part_of(run, hidden, &begin, &end);
    mm_gemm_run(m->gemm, false, false, c->rows, end - begin, vocab, 1, logits, vocab, head + begin, hidden,
                MM_GEMM_SET, norm + begin, hidden, run->member->scratch);
    together(run);
    mm_profile_mark(MM_PROFILE_LOGITS, MM_PASS_BACKWARD);
}

// Chunk by chunk, each in order of its rows.
static double sum_of_losses(const leaf_run *run) {
    double sum = 0;
    for (int64_t first = 0; first < run->leaf->rows; first += MM_LOGIT_ROWS) {
        double part = 0;
        for (int64_t row = first; row < run->leaf->rows && row < first + MM_LOGIT_ROWS; row++)
            part += run->room->losses[row];
        sum += part;
    }
    return sum;
}

// Final norm, logits and loss; with a gradient, room->dx then holds that of the last layer's output.
static double head_loss(const leaf_run *run) {
    const mm_model *m = run->model;
    mm_activations *r = run->room;
    int64_t rows = run->leaf->rows, hidden = m->config.hidden;
    int norm = m->parameters.final_norm;
    norm_forward(run, r->x_final, norm, r->rstd_final);
    mm_profile_mark(MM_PROFILE_FINAL_NORM, MM_PASS_FORWARD);
    look_at at = {MM_LEVEL_LAYER, MM_PASS_FORWARD, -1, "norm"};
    look(run, &at, true, "norm", r->norm, rows, hidden, hidden);
    together(run);
    for (chunk c = {0}; c.first < rows; c.first += c.rows) {
        c.rows = rows - c.first < MM_LOGIT_ROWS ? rows - c.first : MM_LOGIT_ROWS;
        chunk_logits(run, &c);
        chunk_losses(run, &c);
        if (run->gradient) chunk_backward(run, &c);
    }
    double loss = sum_of_losses(run);
    if (!run->gradient) return loss;
    at = (look_at){MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "lm_head"};
    look(run, &at, true, "head.weight", gradient_of(run, m->parameters.head), m->config.vocab, hidden,
         hidden);
    look(run, &at, true, "d_norm", r->norm, rows, hidden, hidden);
    norm_backward(run, r->x_final, norm, r->rstd_final, NULL);
    mm_profile_mark(MM_PROFILE_FINAL_NORM, MM_PASS_BACKWARD);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_BACKWARD, -1, "norm"};
    look(run, &at, true, "dx", r->dx, rows, hidden, hidden);
    return loss;
}

// Makes +0 what the backward pass adds to without having set it first: all but the weights of products.
static void clear_gradient(const leaf_run *run) {
    const mm_parameters *p = &run->model->parameters;
    int64_t begin, end, hidden = run->model->config.hidden;
    for (int i = 0; i < p->count; i++)
        if (p->tensors[i].dims == 1 && run->member->worker == 0)
            memset(gradient_of(run, i), 0, mm_tensor_bytes(&p->tensors[i]));
    if (p->embedding != p->head) {
        part_of(run, run->model->config.vocab, &begin, &end);
        memset(gradient_of(run, p->embedding) + begin * hidden, 0,
               (size_t)((end - begin) * hidden) * sizeof(float));
    }
    mm_profile_mark(MM_PROFILE_CLEAR, MM_PASS_NONE);
}

static double run_leaf(leaf_run run) {
    assert(run.leaf->rows >= 1 && run.leaf->rows <= run.room->rows);
    long begin, end; // whole blocks of norms' partial sums
    mm_par_slice((long)run.leaf->rows, MM_RMSNORM_BLOCK, run.member->worker, run.member->team->workers,
                 &begin, &end);
    run.begin = begin;
    run.end = end;
    if (run.gradient) clear_gradient(&run); // seen by all before the first of them adds
    embed(&run);
    for (int layer = 0; layer < run.model->config.layers; layer++) layer_forward(&run, layer);
    double loss = head_loss(&run);
    if (!run.gradient) return loss;
    for (int layer = run.model->config.layers - 1; layer >= 0; layer--) layer_backward(&run, layer);
    embed_backward(&run);
    return loss;
}

double mm_model_train(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                      float *gradient, const mm_probe *probe, const mm_member *member) {
    assert(activations->backward && gradient);
    return run_leaf((leaf_run){.model = model,
                               .room = activations,
                               .leaf = leaf,
                               .gradient = gradient,
                               .probe = probe,
                               .member = member});
}

double mm_model_loss(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                     const mm_probe *probe, const mm_member *member) {
    return run_leaf(
        (leaf_run){.model = model, .room = activations, .leaf = leaf, .probe = probe, .member = member});
}
