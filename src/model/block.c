// One decoder layer, forward and backward side by side: x + attention(norm(x)), then the same with SwiGLU.
#include "internal.h"
#include <math.h>

void linear_forward(const leaf_run *run, float *y, const float *x, const float *w, int64_t out, int64_t in) {
    mm_gemm_run(run->model->gemm, false, true, run->leaf->rows, out, in, 1, x, in, w, in, 0, y, out);
}

void linear_input_gradient(const leaf_run *run, float *dx, const float *dy, const float *w, int64_t out,
                           int64_t in) {
    mm_gemm_run(run->model->gemm, false, false, run->leaf->rows, in, out, 1, dy, out, w, in, 0, dx, in);
}

void linear_weight_gradient(const leaf_run *run, float *dw, const float *dy, const float *x, int64_t out,
                            int64_t in) {
    mm_gemm_run(run->model->gemm, true, false, out, in, run->leaf->rows, 1, dy, out, x, in, 1, dw, in);
}

void norm_forward(const leaf_run *run, const float *x, int norm, float *rstd) {
    int64_t n = run->model->config.hidden;
    run->model->kernels->rmsnorm->forward(run->room->norm, n, x, n, weight_of(run, norm), rstd,
                                          run->leaf->rows, 1, n, (float)run->model->config.rms_norm_eps);
}

void norm_backward(const leaf_run *run, const float *x, int norm, const float *rstd, const float *residual) {
    int64_t n = run->model->config.hidden;
    run->model->kernels->rmsnorm->backward(run->room->dx, n, gradient_of(run, norm), run->room->norm, n, x, n,
                                           weight_of(run, norm), rstd, residual, residual ? n : 0,
                                           run->leaf->rows, 1, n, run->room->column);
}

static bool drops(const leaf_run *run) {
    return run->leaf->draws && run->leaf->dropout > 0;
}

void drop_rows(const leaf_run *run, mm_purpose purpose, int layer, float *y, const float *x,
               const float *residual) {
    const mm_leaf *leaf = run->leaf;
    int64_t n = run->model->config.hidden;
    for (int s = 0; s < leaf->samples; s++) {
        mm_stream stream;
        if (drops(run))
            stream =
                mm_stream_of(&leaf->draws[s], purpose, layer, mm_dropout_mask_elements(leaf->seq_len, n));
        int64_t first = leaf->starts[s] * n, rows = leaf->starts[s + 1] - leaf->starts[s];
        run->model->kernels->dropout->apply(y + first, x + first, residual ? residual + first : NULL,
                                            drops(run) ? &stream : NULL, leaf->dropout, rows, n);
    }
}

// Widths of a layer, named once.
typedef struct widths {
    int64_t hidden, q, kv, qkv, qk, intermediate;
} widths;

static widths widths_of(const mm_config *c) {
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    return (widths){c->hidden, q, kv, q + 2 * kv, q + kv, c->intermediate};
}

// What a probe sees of q and k.
static void look_at_heads(const leaf_run *run, mm_pass pass, int layer, const char *operation, float *qk) {
    widths w = widths_of(&run->model->config);
    const char *const forward[] = {"q", "k"}, *const backward[] = {"dq", "dk"};
    const char *const *names = pass == MM_PASS_FORWARD ? forward : backward;
    look_at at = {MM_LEVEL_OP, pass, layer, operation};
    look(run, &at, true, names[0], qk, run->leaf->rows, w.q, w.qkv);
    look(run, &at, true, names[1], qk + w.q, run->leaf->rows, w.kv, w.qkv);
}

// q and k: norm of each head (or a copy), then rope, from qkv into qk.
static void heads_forward(const leaf_run *run, int layer) {
    const mm_config *c = &run->model->config;
    const mm_kernels *k = run->model->kernels;
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    widths w = widths_of(c);
    const mm_leaf *leaf = run->leaf;
    if (p->q_norm >= 0) {
        k->rmsnorm->forward(room->qk, w.qkv, room->qkv, w.qkv, weight_of(run, p->q_norm), room->rstd_q,
                            leaf->rows, c->heads, c->head_dim, (float)c->rms_norm_eps);
        k->rmsnorm->forward(room->qk + w.q, w.qkv, room->qkv + w.q, w.qkv, weight_of(run, p->k_norm),
                            room->rstd_k, leaf->rows, c->kv_heads, c->head_dim, (float)c->rms_norm_eps);
        look_at_heads(run, MM_PASS_FORWARD, layer, "qk_norm", room->qk);
    } else {
        for (int64_t row = 0; row < leaf->rows; row++)
            for (int64_t i = 0; i < w.qk; i++) room->qk[row * w.qkv + i] = room->qkv[row * w.qkv + i];
    }
    for (int s = 0; s < leaf->samples; s++)
        k->rope->forward(room->qk + leaf->starts[s] * w.qkv, w.qkv, leaf->starts[s + 1] - leaf->starts[s],
                         c->heads + c->kv_heads, c->head_dim, run->model->cosine, run->model->sine);
    look_at_heads(run, MM_PASS_FORWARD, layer, "rope", room->qk);
}

// In place on d_qkv: the gradients of q and k after rope and norm become those before.
static void heads_backward(const leaf_run *run, int layer) {
    const mm_config *c = &run->model->config;
    const mm_kernels *k = run->model->kernels;
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    widths w = widths_of(c);
    const mm_leaf *leaf = run->leaf;
    float *d = run->room->d_qkv;
    for (int s = 0; s < leaf->samples; s++)
        k->rope->backward(d + leaf->starts[s] * w.qkv, w.qkv, leaf->starts[s + 1] - leaf->starts[s],
                          c->heads + c->kv_heads, c->head_dim, run->model->cosine, run->model->sine);
    look_at_heads(run, MM_PASS_BACKWARD, layer, "rope", d);
    if (p->q_norm < 0) return;
    k->rmsnorm->backward(d, w.qkv, gradient_of(run, p->q_norm), d, w.qkv, room->qkv, w.qkv,
                         weight_of(run, p->q_norm), room->rstd_q, NULL, 0, leaf->rows, c->heads, c->head_dim,
                         run->room->column);
    k->rmsnorm->backward(d + w.q, w.qkv, gradient_of(run, p->k_norm), d + w.q, w.qkv, room->qkv + w.q, w.qkv,
                         weight_of(run, p->k_norm), room->rstd_k, NULL, 0, leaf->rows, c->kv_heads,
                         c->head_dim, run->room->column);
    look_at_heads(run, MM_PASS_BACKWARD, layer, "qk_norm", d);
}

// The attention of sample s as the kernel wants it; *stream is filled where dropout is on.
static mm_attention sample_attention(const leaf_run *run, int layer, int s, mm_stream *stream) {
    const mm_config *c = &run->model->config;
    const mm_leaf *leaf = run->leaf;
    widths w = widths_of(c);
    mm_attention a = {.heads = c->heads,
                      .kv_heads = c->kv_heads,
                      .head_dim = c->head_dim,
                      .rows = leaf->starts[s + 1] - leaf->starts[s],
                      .ld_q = w.qkv,
                      .ld_k = w.qkv,
                      .ld_v = w.qkv,
                      .ld_o = w.q,
                      .scale = 1.0f / sqrtf((float)c->head_dim),
                      .dropout_p = leaf->dropout,
                      .mask_rows = leaf->seq_len,
                      .mask_ld = (leaf->seq_len + 63) / 64 * 64,
                      .group_end = c->kv_heads};
    if (drops(run)) {
        *stream = mm_stream_of(&leaf->draws[s], MM_PURPOSE_ATTENTION_DROPOUT, layer,
                               mm_attention_mask_elements(c->heads, leaf->seq_len));
        a.dropout = stream;
    }
    return a;
}

static void samples_forward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    layer_room *room = room_of(run, layer);
    widths w = widths_of(&m->config);
    for (int s = 0; s < run->leaf->samples; s++) {
        int64_t first = run->leaf->starts[s];
        mm_stream stream;
        mm_attention a = sample_attention(run, layer, s, &stream);
        m->kernels->attention->forward(
            &a, m->gemm, room->o + first * w.q, room->lse + first * m->config.heads, room->qk + first * w.qkv,
            room->qk + first * w.qkv + w.q, room->qkv + first * w.qkv + w.qk, run->room->attention);
    }
}

static void samples_backward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    layer_room *room = room_of(run, layer);
    widths w = widths_of(&m->config);
    for (int s = 0; s < run->leaf->samples; s++) {
        int64_t first = run->leaf->starts[s];
        mm_stream stream;
        mm_attention a = sample_attention(run, layer, s, &stream);
        float *d = run->room->d_qkv + first * w.qkv;
        m->kernels->attention->backward(&a, m->gemm, d, d + w.q, d + w.qk, run->room->d_o + first * w.q,
                                        room->o + first * w.q, room->lse + first * m->config.heads,
                                        room->qk + first * w.qkv, room->qk + first * w.qkv + w.q,
                                        room->qkv + first * w.qkv + w.qk, run->room->attention);
    }
}

static void attention_forward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    const mm_layer_parameters *p = &m->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows;
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, layer, "input_layernorm"};
    look(run, &at, false, "x", room->x, rows, w.hidden, w.hidden);
    norm_forward(run, room->x, p->input_norm, room->rstd_in);
    look(run, &at, true, "norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "qkv_proj";
    linear_forward(run, room->qkv, r->norm, weight_of(run, p->q), w.qkv, w.hidden);
    if (p->q_bias >= 0) m->kernels->bias->forward(room->qkv, w.qkv, weight_of(run, p->q_bias), rows, w.qkv);
    look(run, &at, true, "q", room->qkv, rows, w.q, w.qkv);
    look(run, &at, true, "k", room->qkv + w.q, rows, w.kv, w.qkv);
    look(run, &at, true, "v", room->qkv + w.qk, rows, w.kv, w.qkv);
    heads_forward(run, layer);
    at.operation = "attention";
    samples_forward(run, layer);
    look(run, &at, true, "o", room->o, rows, w.q, w.q);
    at.operation = "o_proj";
    linear_forward(run, r->branch, room->o, weight_of(run, p->o), w.hidden, w.q);
    if (p->o_bias >= 0)
        m->kernels->bias->forward(r->branch, w.hidden, weight_of(run, p->o_bias), rows, w.hidden);
    look(run, &at, true, "branch", r->branch, rows, w.hidden, w.hidden);
    at.operation = "attention_residual";
    drop_rows(run, MM_PURPOSE_OUTPUT_DROPOUT, layer, room->mid, r->branch, room->x);
    look(run, &at, true, "x", room->mid, rows, w.hidden, w.hidden);
}

static void mlp_forward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    const mm_layer_parameters *p = &m->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows;
    look_at at = {MM_LEVEL_OP, MM_PASS_FORWARD, layer, "post_attention_layernorm"};
    norm_forward(run, room->mid, p->post_norm, room->rstd_post);
    look(run, &at, true, "norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "gate_up_proj";
    linear_forward(run, room->gate_up, r->norm, weight_of(run, p->gate), 2 * w.intermediate, w.hidden);
    look(run, &at, true, "gate", room->gate_up, rows, w.intermediate, 2 * w.intermediate);
    look(run, &at, true, "up", room->gate_up + w.intermediate, rows, w.intermediate, 2 * w.intermediate);
    at.operation = "swiglu";
    m->kernels->swiglu->forward(r->wide, room->gate_up, rows, w.intermediate);
    look(run, &at, true, "h", r->wide, rows, w.intermediate, w.intermediate);
    at.operation = "down_proj";
    linear_forward(run, r->branch, r->wide, weight_of(run, p->down), w.hidden, w.intermediate);
    look(run, &at, true, "branch", r->branch, rows, w.hidden, w.hidden);
    float *out = layer_output(run, layer);
    m->kernels->dropout->apply(out, r->branch, room->mid, NULL, 0, rows, w.hidden);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_FORWARD, layer, "layer"};
    look(run, &at, true, "x", out, rows, w.hidden, w.hidden);
}

void layer_forward(const leaf_run *run, int layer) {
    attention_forward(run, layer);
    mlp_forward(run, layer);
}

static void mlp_backward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    const mm_layer_parameters *p = &m->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows, f = w.intermediate;
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "down_proj"};
    look(run, &at, false, "dx", r->dx, rows, w.hidden, w.hidden);
    m->kernels->swiglu->forward(r->wide, room->gate_up, rows, f); // again, instead of keeping it
    linear_weight_gradient(run, gradient_of(run, p->down), r->dx, r->wide, w.hidden, f);
    look(run, &at, true, "down_proj.weight", gradient_of(run, p->down), w.hidden, f, f);
    linear_input_gradient(run, r->wide, r->dx, weight_of(run, p->down), w.hidden, f);
    look(run, &at, true, "dh", r->wide, rows, f, f);
    at.operation = "swiglu";
    m->kernels->swiglu->backward(room->gate_up, r->wide, room->gate_up, rows, f);
    look(run, &at, true, "d_gate", room->gate_up, rows, f, 2 * f);
    look(run, &at, true, "d_up", room->gate_up + f, rows, f, 2 * f);
    at.operation = "gate_up_proj";
    norm_forward(run, room->mid, p->post_norm, room->rstd_post);
    linear_weight_gradient(run, gradient_of(run, p->gate), room->gate_up, r->norm, 2 * f, w.hidden);
    look(run, &at, true, "gate_proj.weight", gradient_of(run, p->gate), f, w.hidden, w.hidden);
    look(run, &at, true, "up_proj.weight", gradient_of(run, p->up), f, w.hidden, w.hidden);
    linear_input_gradient(run, r->norm, room->gate_up, weight_of(run, p->gate), 2 * f, w.hidden);
    look(run, &at, true, "d_norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "post_attention_layernorm";
    norm_backward(run, room->mid, p->post_norm, room->rstd_post, r->dx);
    look(run, &at, true, "post_attention_layernorm.weight", gradient_of(run, p->post_norm), 1, w.hidden,
         w.hidden);
    look(run, &at, true, "dx", r->dx, rows, w.hidden, w.hidden);
}

static void attention_output_backward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    const mm_layer_parameters *p = &m->parameters.layers[layer];
    mm_activations *r = run->room;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows;
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "attention_residual"};
    drop_rows(run, MM_PURPOSE_OUTPUT_DROPOUT, layer, r->branch, r->dx, NULL);
    look(run, &at, true, "d_branch", r->branch, rows, w.hidden, w.hidden);
    at.operation = "o_proj";
    linear_weight_gradient(run, gradient_of(run, p->o), r->branch, room_of(run, layer)->o, w.hidden, w.q);
    if (p->o_bias >= 0)
        m->kernels->bias->backward(gradient_of(run, p->o_bias), r->branch, w.hidden, rows, w.hidden,
                                   r->column);
    look(run, &at, true, "o_proj.weight", gradient_of(run, p->o), w.hidden, w.q, w.q);
    linear_input_gradient(run, r->d_o, r->branch, weight_of(run, p->o), w.hidden, w.q);
    look(run, &at, true, "d_o", r->d_o, rows, w.q, w.q);
}

static void qkv_bias_backward(const leaf_run *run, const mm_layer_parameters *p, const widths *w) {
    const mm_bias_kernels *bias = run->model->kernels->bias;
    mm_activations *r = run->room;
    int64_t rows = run->leaf->rows;
    bias->backward(gradient_of(run, p->q_bias), r->d_qkv, w->qkv, rows, w->q, r->column);
    bias->backward(gradient_of(run, p->k_bias), r->d_qkv + w->q, w->qkv, rows, w->kv, r->column);
    bias->backward(gradient_of(run, p->v_bias), r->d_qkv + w->qk, w->qkv, rows, w->kv, r->column);
}

static void attention_backward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    const mm_layer_parameters *p = &m->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows;
    attention_output_backward(run, layer);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "attention"};
    samples_backward(run, layer);
    look(run, &at, true, "dq", r->d_qkv, rows, w.q, w.qkv);
    look(run, &at, true, "dk", r->d_qkv + w.q, rows, w.kv, w.qkv);
    look(run, &at, true, "dv", r->d_qkv + w.qk, rows, w.kv, w.qkv);
    heads_backward(run, layer);
    at.operation = "qkv_proj";
    if (p->q_bias >= 0) qkv_bias_backward(run, p, &w);
    norm_forward(run, room->x, p->input_norm, room->rstd_in);
    linear_weight_gradient(run, gradient_of(run, p->q), r->d_qkv, r->norm, w.qkv, w.hidden);
    look(run, &at, true, "q_proj.weight", gradient_of(run, p->q), w.q, w.hidden, w.hidden);
    look(run, &at, true, "k_proj.weight", gradient_of(run, p->k), w.kv, w.hidden, w.hidden);
    look(run, &at, true, "v_proj.weight", gradient_of(run, p->v), w.kv, w.hidden, w.hidden);
    linear_input_gradient(run, r->norm, r->d_qkv, weight_of(run, p->q), w.qkv, w.hidden);
    look(run, &at, true, "d_norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "input_layernorm";
    norm_backward(run, room->x, p->input_norm, room->rstd_in, r->dx);
    look(run, &at, true, "input_layernorm.weight", gradient_of(run, p->input_norm), 1, w.hidden, w.hidden);
}

void layer_backward(const leaf_run *run, int layer) {
    mlp_backward(run, layer);
    attention_backward(run, layer);
    look_at at = {MM_LEVEL_LAYER, MM_PASS_BACKWARD, layer, "layer"};
    int64_t hidden = run->model->config.hidden;
    look(run, &at, true, "dx", run->room->dx, run->leaf->rows, hidden, hidden);
}
