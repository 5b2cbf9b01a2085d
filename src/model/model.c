#include "internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

mm_status mm_model_open(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                        const mm_gemm *gemm, int64_t positions, float *weights, mm_error *error) {
    *model = (mm_model){.config = *config, .kernels = kernels, .gemm = gemm, .weights = weights};
    mm_status status = mm_parameters_make(&model->parameters, config, error);
    if (status) return status;
    size_t bytes = (size_t)positions * (size_t)config->head_dim / 2 * sizeof(float);
    model->positions = positions;
    model->cosine = malloc(bytes);
    model->sine = malloc(bytes);
    if (!model->cosine || !model->sine) {
        mm_model_close(model);
        return mm_trouble(error, "rope tables of %lld positions: out of memory; use a smaller --seq-len",
                          (long long)positions);
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
    m->kernels->embedding->forward(x, weight_of(run, m->parameters.embedding), run->leaf->inputs, rows,
                                   hidden);
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, -1, "embedding"};
    look(run, &at, true, "x", x, rows, hidden, hidden);
    drop_rows(run, MM_PURPOSE_EMBEDDING_DROPOUT, 0, x, x, NULL);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_FORWARD, -1, "embedding_dropout"};
    look(run, &at, true, "x", x, rows, hidden, hidden);
}

static void embed_backward(const leaf_run *run) {
    const mm_model *m = run->model;
    int64_t rows = run->leaf->rows, hidden = m->config.hidden;
    float *d_table = gradient_of(run, m->parameters.embedding);
    drop_rows(run, MM_PURPOSE_EMBEDDING_DROPOUT, 0, run->room->branch, run->room->dx, NULL);
    m->kernels->embedding->backward(d_table, run->room->branch, run->leaf->inputs, rows, hidden);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "embedding"};
    look(run, &at, true, "embed_tokens.weight", d_table, m->config.vocab, hidden, hidden);
}

// One chunk of rows: logits, loss, and with a gradient also the head's and, in place of the chunk's norm, its
// own.
static double chunk_loss(const leaf_run *run, int64_t first, int64_t rows) {
    const mm_model *m = run->model;
    int64_t hidden = m->config.hidden, vocab = m->config.vocab;
    const float *head = weight_of(run, m->parameters.head);
    const int32_t *targets = run->leaf->targets + first;
    float *logits = run->room->logits, *norm = run->room->norm + first * hidden;
    mm_gemm_run(m->gemm, false, true, rows, vocab, hidden, 1, norm, hidden, head, hidden, 0, logits, vocab);
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, -1, "lm_head"};
    look(run, &at, true, "logits", logits, rows, vocab, vocab);
    if (!run->gradient) return m->kernels->cross_entropy->forward(logits, targets, rows, vocab);
    double loss = m->kernels->cross_entropy->backward(logits, targets, rows, vocab, (float)run->leaf->scale);
    at = (look_at){MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "cross_entropy"};
    look(run, &at, true, "d_logits", logits, rows, vocab, vocab);
    mm_gemm_run(m->gemm, true, false, vocab, hidden, rows, 1, logits, vocab, norm, hidden, 1,
                gradient_of(run, m->parameters.head), hidden);
    mm_gemm_run(m->gemm, false, false, rows, hidden, vocab, 1, logits, vocab, head, hidden, 0, norm, hidden);
    return loss;
}

// Final norm, logits and loss; with a gradient, room->dx then holds that of the last layer's output.
static double head_loss(const leaf_run *run) {
    const mm_model *m = run->model;
    mm_activations *r = run->room;
    int64_t rows = run->leaf->rows, hidden = m->config.hidden;
    int norm = m->parameters.final_norm;
    norm_forward(run, r->x_final, norm, r->rstd_final);
    look_at at = {MM_LEVEL_LAYER, MM_PASS_FORWARD, -1, "norm"};
    look(run, &at, true, "norm", r->norm, rows, hidden, hidden);
    double loss = 0;
    for (int64_t first = 0; first < rows; first += MM_LOGIT_ROWS)
        loss += chunk_loss(run, first, rows - first < MM_LOGIT_ROWS ? rows - first : MM_LOGIT_ROWS);
    if (!run->gradient) return loss;
    at = (look_at){MM_LEVEL_OP, MM_PASS_BACKWARD, -1, "lm_head"};
    look(run, &at, true, "head.weight", gradient_of(run, m->parameters.head), m->config.vocab, hidden,
         hidden);
    look(run, &at, true, "d_norm", r->norm, rows, hidden, hidden);
    norm_backward(run, r->x_final, norm, r->rstd_final, NULL);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_BACKWARD, -1, "norm"};
    look(run, &at, true, "dx", r->dx, rows, hidden, hidden);
    return loss;
}

static double run_leaf(const leaf_run *run) {
    assert(run->leaf->rows >= 1 && run->leaf->rows <= run->room->rows);
    embed(run);
    for (int layer = 0; layer < run->model->config.layers; layer++) layer_forward(run, layer);
    double loss = head_loss(run);
    if (!run->gradient) return loss;
    for (int layer = run->model->config.layers - 1; layer >= 0; layer--) layer_backward(run, layer);
    embed_backward(run);
    return loss;
}

double mm_model_train(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                      float *gradient, const mm_probe *probe) {
    assert(activations->backward && gradient);
    leaf_run run = {model, activations, leaf, gradient, probe};
    return run_leaf(&run);
}

double mm_model_loss(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                     const mm_probe *probe) {
    leaf_run run = {model, activations, leaf, NULL, probe};
    return run_leaf(&run);
}
