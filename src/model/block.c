// One decoder layer, forward and backward side by side: x + attention(norm(x)), then the same with SwiGLU.
#include "internal.h"
#include <assert.h>
#include <math.h>
#include <mm/base/profile.h>
#include <string.h>

void linear_forward(const leaf_run *run, float *y, const float *x, const float *w, int64_t out, int64_t in) {
    mm_gemm_run(run->model->gemm, false, true, run->end - run->begin, out, in, 1, x + run->begin * in, in, w,
                in, MM_GEMM_SET, y + run->begin * out, out, run->member->scratch);
}

void linear_input_gradient(const leaf_run *run, float *dx, const float *dy, const float *w, int64_t out,
                           int64_t in) {
    mm_gemm_run(run->model->gemm, false, false, run->end - run->begin, in, out, 1, dy + run->begin * out, out,
                w, in, MM_GEMM_SET, dx + run->begin * in, in, run->member->scratch);
}

void linear_weight_gradient(const leaf_run *run, float *dw, const float *dy, const float *x, int64_t out,
                            int64_t in) {
    int64_t begin, end;
    part_of(run, out, &begin, &end);
    mm_gemm_run(run->model->gemm, true, false, end - begin, in, run->leaf->rows, 1, dy + begin, out, x, in,
                MM_GEMM_ADD_TO_ZERO, dw + begin * in, in, run->member->scratch);
}

// y[rows] += the table's bias, where the model has it.
static void add_bias(const leaf_run *run, float *y, int bias, int64_t out) {
    if (bias >= 0)
        run->model->kernels->bias->forward(y + run->begin * out, out, weight_of(run, bias),
                                           run->end - run->begin, out);
}

// The bias's gradient from dy's rows of all, `ld` apart, by columns.
static void bias_gradient(const leaf_run *run, int bias, const float *dy, int64_t ld, int64_t out) {
    int64_t begin, end;
    part_of(run, out, &begin, &end);
    run->model->kernels->bias->backward(gradient_of(run, bias) + begin, dy + begin, ld, run->leaf->rows,
                                        end - begin, run->member->scratch);
}

void norm_forward(const leaf_run *run, const float *x, int norm, float *rstd) {
    int64_t n = run->model->config.hidden, first = run->begin * n;
    run->model->kernels->rmsnorm->forward(run->room->norm + first, n, x + first, n, weight_of(run, norm),
                                          rstd + run->begin, run->end - run->begin, 1, n,
                                          (float)run->model->config.rms_norm_eps);
}

// The weights' gradient of a norm of `heads` groups of n, from the partial sums of all rows, by columns.
static void norm_gradient(const leaf_run *run, int norm, const float *partials, int64_t heads, int64_t n) {
    int64_t begin, end;
    part_of(run, n, &begin, &end);
    run->model->kernels->rmsnorm->add_partials(gradient_of(run, norm) + begin, partials + begin,
                                               mm_rmsnorm_partials(run->leaf->rows * heads), n, end - begin);
}

void norm_backward(const leaf_run *run, const float *x, int norm, const float *rstd, const float *residual) {
    int64_t n = run->model->config.hidden, first = run->begin * n;
    float *partials = run->room->partials;
    run->model->kernels->rmsnorm->backward(
        run->room->dx + first, n, partials + mm_rmsnorm_partials(run->begin) * n, run->room->norm + first, n,
        x + first, n, weight_of(run, norm), rstd + run->begin, residual ? residual + first : NULL, n,
        run->end - run->begin, 1, n);
    together(run);
    norm_gradient(run, norm, partials, 1, n);
}

static bool drops(const leaf_run *run) {
    return run->leaf->draws && run->leaf->dropout > 0;
}

// The member's rows of sample s, counted within the leaf; false if there are none.
static bool sample_rows(const leaf_run *run, int s, int64_t *begin, int64_t *end) {
    const int64_t *starts = run->leaf->starts;
    *begin = starts[s] > run->begin ? starts[s] : run->begin;
    *end = starts[s + 1] < run->end ? starts[s + 1] : run->end;
    return *begin < *end;
}

void drop_rows(const leaf_run *run, mm_purpose purpose, int layer, float *y, const float *x,
               const float *residual) {
    const mm_leaf *leaf = run->leaf;
    int64_t begin, end, n = run->model->config.hidden;
    for (int s = 0; s < leaf->samples; s++) {
        if (!sample_rows(run, s, &begin, &end)) continue;
        mm_stream stream;
        if (drops(run))
            stream =
                mm_stream_of(&leaf->draws[s], purpose, layer, mm_dropout_mask_elements(leaf->seq_len, n));
        int64_t first = begin * n;
        run->model->kernels->dropout->apply(y + first, x + first, residual ? residual + first : NULL,
                                            drops(run) ? &stream : NULL, leaf->dropout,
                                            begin - leaf->starts[s], end - begin, n);
    }
}

float *kept_rows(const leaf_run *run, mm_purpose purpose, int layer, float *dy) {
    if (!drops(run)) return dy;
    drop_rows(run, purpose, layer, run->room->branch, dy, NULL);
    together(run);
    return run->room->branch;
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

// Turns the rows of x, `forward` or back, in place.
static void turn_heads(const leaf_run *run, float *x, bool forward) {
    const mm_config *c = &run->model->config;
    const mm_rope_kernels *rope = run->model->kernels->rope;
    int64_t begin, end, ld = widths_of(c).qkv;
    for (int s = 0; s < run->leaf->samples; s++) {
        if (!sample_rows(run, s, &begin, &end)) continue;
        int64_t table = (begin - run->leaf->starts[s]) * c->head_dim / 2;
        (forward ? rope->forward : rope->backward)(x + begin * ld, ld, end - begin, c->heads + c->kv_heads,
                                                   c->head_dim, run->model->cosine + table,
                                                   run->model->sine + table);
    }
}

// The member's rows from `begin` on that stay in the cache from one operation to the next: a block, so that
// norms' partial sums are whole ones; all rows if a probe looks at what is between. A member without rows is
// given none, once: it too has its part in looking.
static leaf_run rows_from(const leaf_run *run, int64_t begin) {
    leaf_run part = *run;
    assert((begin - run->begin) % MM_RMSNORM_BLOCK == 0);
    part.begin = begin;
    if (!mm_probe_wants(run->probe, MM_LEVEL_OP) && run->end - begin > MM_RMSNORM_BLOCK)
        part.end = begin + MM_RMSNORM_BLOCK;
    return part;
}

// q and k are normed head by head, or copied, from qkv into qk.
static void norm_heads(const leaf_run *run, int layer) {
    const mm_config *c = &run->model->config;
    const mm_rmsnorm_kernels *norm = run->model->kernels->rmsnorm;
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    widths w = widths_of(c);
    int64_t rows = run->end - run->begin;
    float *q = room->qk + run->begin * w.qkv;
    const float *from = room->qkv + run->begin * w.qkv, eps = (float)c->rms_norm_eps;
    if (p->q_norm < 0) {
        for (int64_t row = 0; row < rows; row++)
            memcpy(q + row * w.qkv, from + row * w.qkv, (size_t)w.qk * sizeof *q);
        return;
    }
    norm->forward(q, w.qkv, from, w.qkv, weight_of(run, p->q_norm), room->rstd_q + run->begin * c->heads,
                  rows, c->heads, c->head_dim, eps);
    norm->forward(q + w.q, w.qkv, from + w.q, w.qkv, weight_of(run, p->k_norm),
                  room->rstd_k + run->begin * c->kv_heads, rows, c->kv_heads, c->head_dim, eps);
}

// By rows: q and k are normed, then turned by rope.
static void heads_forward(const leaf_run *run, int layer) {
    layer_room *room = room_of(run, layer);
    int64_t done = run->begin;
    do {
        leaf_run part = rows_from(run, done);
        norm_heads(&part, layer);
        mm_profile_mark(MM_PROFILE_HEADS, MM_PASS_FORWARD);
        if (run->model->parameters.layers[layer].q_norm >= 0)
            look_at_heads(run, MM_PASS_FORWARD, layer, "qk_norm", room->qk);
        turn_heads(&part, room->qk, true);
        mm_profile_mark(MM_PROFILE_HEADS, MM_PASS_FORWARD);
        done = part.end;
    } while (done < run->end);
    look_at_heads(run, MM_PASS_FORWARD, layer, "rope", room->qk);
}

// Where norms of the heads leave their partial sums: q's, then k's.
static void heads_partials(const leaf_run *run, float **q, float **k) {
    *q = run->room->partials;
    *k = *q + mm_rmsnorm_partials(run->leaf->rows) * widths_of(&run->model->config).q;
}

// In place on d_qkv: the gradients of q and k after their norms become those before.
static void norm_heads_backward(const leaf_run *run, int layer) {
    const mm_config *c = &run->model->config;
    const mm_rmsnorm_kernels *norm = run->model->kernels->rmsnorm;
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    widths w = widths_of(c);
    int64_t rows = run->end - run->begin, n = c->head_dim, first = run->begin * w.qkv;
    float *d = run->room->d_qkv + first, *q, *k;
    heads_partials(run, &q, &k);
    norm->backward(d, w.qkv, q + mm_rmsnorm_partials(run->begin * c->heads) * n, d, w.qkv, room->qkv + first,
                   w.qkv, weight_of(run, p->q_norm), room->rstd_q + run->begin * c->heads, NULL, 0, rows,
                   c->heads, n);
    norm->backward(d + w.q, w.qkv, k + mm_rmsnorm_partials(run->begin * c->kv_heads) * n, d + w.q, w.qkv,
                   room->qkv + first + w.q, w.qkv, weight_of(run, p->k_norm),
                   room->rstd_k + run->begin * c->kv_heads, NULL, 0, rows, c->kv_heads, n);
}

// By rows, then together; in place on d_qkv: the gradients of q and k after rope and norm become those
// before.
static void heads_backward(const leaf_run *run, int layer) {
    const mm_config *c = &run->model->config;
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    int64_t done = run->begin;
    do {
        leaf_run part = rows_from(run, done);
        turn_heads(&part, run->room->d_qkv, false);
        mm_profile_mark(MM_PROFILE_HEADS, MM_PASS_BACKWARD);
        look_at_heads(run, MM_PASS_BACKWARD, layer, "rope", run->room->d_qkv);
        if (p->q_norm >= 0) norm_heads_backward(&part, layer);
        done = part.end;
    } while (done < run->end);
    if (p->q_norm < 0) return;
    float *q, *k;
    heads_partials(run, &q, &k);
    together(run);
    norm_gradient(run, p->q_norm, q, c->heads, c->head_dim);
    norm_gradient(run, p->k_norm, k, c->kv_heads, c->head_dim);
    mm_profile_mark(MM_PROFILE_HEADS, MM_PASS_BACKWARD);
    look_at_heads(run, MM_PASS_BACKWARD, layer, "qk_norm", run->room->d_qkv);
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

// The member's part of the leaf's attention: a sample's group of heads after another.
typedef void on_groups(const leaf_run *run, int layer, const mm_attention *a, int64_t first);

static void each_group(const leaf_run *run, int layer, on_groups *work) {
    int groups = run->model->config.kv_heads;
    long begin, end;
    mm_par_slice((long)run->leaf->samples * groups, 1, run->member->worker, run->member->team->workers,
                 &begin, &end);
    for (long at = begin, next; at < end; at = next) {
        int s = (int)(at / groups);
        next = (long)(s + 1) * groups < end ? (long)(s + 1) * groups : end;
        mm_stream stream;
        mm_attention a = sample_attention(run, layer, s, &stream);
        a.group_begin = (int)(at - (long)s * groups);
        a.group_end = (int)(next - (long)s * groups);
        work(run, layer, &a, run->leaf->starts[s]);
    }
}

static void groups_forward(const leaf_run *run, int layer, const mm_attention *a, int64_t first) {
    const mm_model *m = run->model;
    layer_room *room = room_of(run, layer);
    widths w = widths_of(&m->config);
    m->kernels->attention->forward(a, m->gemm, room->o + first * w.q, room->lse + first * m->config.heads,
                                   room->qk + first * w.qkv, room->qk + first * w.qkv + w.q,
                                   room->qkv + first * w.qkv + w.qk, run->member->scratch);
}

static void groups_backward(const leaf_run *run, int layer, const mm_attention *a, int64_t first) {
    const mm_model *m = run->model;
    layer_room *room = room_of(run, layer);
    widths w = widths_of(&m->config);
    float *d = run->room->d_qkv + first * w.qkv;
    m->kernels->attention->backward(a, m->gemm, d, d + w.q, d + w.qk, run->room->d_o + first * w.q,
                                    room->o + first * w.q, room->lse + first * m->config.heads,
                                    room->qk + first * w.qkv, room->qk + first * w.qkv + w.q,
                                    room->qkv + first * w.qkv + w.qk, run->member->scratch);
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
    mm_profile_mark(MM_PROFILE_INPUT_NORM, MM_PASS_FORWARD);
    look(run, &at, true, "norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "qkv_proj";
    linear_forward(run, room->qkv, r->norm, weight_of(run, p->q), w.qkv, w.hidden);
    add_bias(run, room->qkv, p->q_bias, w.qkv);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_FORWARD);
    look(run, &at, true, "q", room->qkv, rows, w.q, w.qkv);
    look(run, &at, true, "k", room->qkv + w.q, rows, w.kv, w.qkv);
    look(run, &at, true, "v", room->qkv + w.qk, rows, w.kv, w.qkv);
    heads_forward(run, layer);
    at.operation = "attention";
    together(run);
    each_group(run, layer, groups_forward);
    together(run);
    mm_profile_mark(MM_PROFILE_ATTENTION, MM_PASS_FORWARD);
    look(run, &at, true, "o", room->o, rows, w.q, w.q);
    at.operation = "o_proj";
    linear_forward(run, r->branch, room->o, weight_of(run, p->o), w.hidden, w.q);
    add_bias(run, r->branch, p->o_bias, w.hidden);
    mm_profile_mark(MM_PROFILE_O_PROJ, MM_PASS_FORWARD);
    look(run, &at, true, "branch", r->branch, rows, w.hidden, w.hidden);
    at.operation = "attention_residual";
    drop_rows(run, MM_PURPOSE_OUTPUT_DROPOUT, layer, room->mid, r->branch, room->x);
    mm_profile_mark(MM_PROFILE_RESIDUAL, MM_PASS_FORWARD);
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
    mm_profile_mark(MM_PROFILE_POST_NORM, MM_PASS_FORWARD);
    look(run, &at, true, "norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "gate_up_proj";
    linear_forward(run, room->gate_up, r->norm, weight_of(run, p->gate), 2 * w.intermediate, w.hidden);
    mm_profile_mark(MM_PROFILE_GATE_UP, MM_PASS_FORWARD);
    look(run, &at, true, "gate", room->gate_up, rows, w.intermediate, 2 * w.intermediate);
    look(run, &at, true, "up", room->gate_up + w.intermediate, rows, w.intermediate, 2 * w.intermediate);
    at.operation = "swiglu";
    m->kernels->swiglu->forward(r->wide + run->begin * w.intermediate,
                                room->gate_up + run->begin * 2 * w.intermediate, run->end - run->begin,
                                w.intermediate);
    mm_profile_mark(MM_PROFILE_SWIGLU, MM_PASS_FORWARD);
    look(run, &at, true, "h", r->wide, rows, w.intermediate, w.intermediate);
    at.operation = "down_proj";
    linear_forward(run, r->branch, r->wide, weight_of(run, p->down), w.hidden, w.intermediate);
    mm_profile_mark(MM_PROFILE_DOWN, MM_PASS_FORWARD);
    look(run, &at, true, "branch", r->branch, rows, w.hidden, w.hidden);
    float *out = layer_output(run, layer);
    int64_t first = run->begin * w.hidden;
    run->model->kernels->dropout->apply(out + first, r->branch + first, room->mid + first, NULL, 0, 0,
                                        run->end - run->begin, w.hidden);
    mm_profile_mark(MM_PROFILE_RESIDUAL, MM_PASS_FORWARD);
    at = (look_at){MM_LEVEL_LAYER, MM_PASS_FORWARD, layer, "layer"};
    look(run, &at, true, "x", out, rows, w.hidden, w.hidden);
}

void layer_forward(const leaf_run *run, int layer) {
    attention_forward(run, layer);
    mlp_forward(run, layer);
}

// down_proj and SwiGLU: the gradient of SwiGLU's output is made first, since its own pass over gate and up
// then makes the output again, which the weights' gradient needs.
static void down_backward(const leaf_run *run, int layer) {
    const mm_model *m = run->model;
    int down = m->parameters.layers[layer].down;
    mm_activations *r = run->room;
    float *gate_up = room_of(run, layer)->gate_up;
    widths w = widths_of(&m->config);
    int64_t rows = run->leaf->rows, f = w.intermediate, first = run->begin * f;
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "down_proj"};
    look(run, &at, false, "dx", r->dx, rows, w.hidden, w.hidden);
    linear_input_gradient(run, r->d_wide, r->dx, weight_of(run, down), w.hidden, f);
    mm_profile_mark(MM_PROFILE_DOWN, MM_PASS_BACKWARD);
    m->kernels->swiglu->backward(gate_up + 2 * first, r->wide + first, r->d_wide + first, gate_up + 2 * first,
                                 run->end - run->begin, f);
    together(run);
    mm_profile_mark(MM_PROFILE_SWIGLU, MM_PASS_BACKWARD);
    linear_weight_gradient(run, gradient_of(run, down), r->dx, r->wide, w.hidden, f);
    mm_profile_mark(MM_PROFILE_DOWN, MM_PASS_BACKWARD);
    look(run, &at, true, "down_proj.weight", gradient_of(run, down), w.hidden, f, f);
    look(run, &at, true, "dh", r->d_wide, rows, f, f);
    at.operation = "swiglu";
    look(run, &at, true, "d_gate", gate_up, rows, f, 2 * f);
    look(run, &at, true, "d_up", gate_up + f, rows, f, 2 * f);
}

static void mlp_backward(const leaf_run *run, int layer) {
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&run->model->config);
    int64_t rows = run->leaf->rows, f = w.intermediate;
    down_backward(run, layer);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "gate_up_proj"};
    norm_forward(run, room->mid, p->post_norm, room->rstd_post);
    together(run);
    mm_profile_mark(MM_PROFILE_POST_NORM, MM_PASS_BACKWARD);
    linear_weight_gradient(run, gradient_of(run, p->gate), room->gate_up, r->norm, 2 * f, w.hidden);
    together(run);
    mm_profile_mark(MM_PROFILE_GATE_UP, MM_PASS_BACKWARD);
    look(run, &at, true, "gate_proj.weight", gradient_of(run, p->gate), f, w.hidden, w.hidden);
    look(run, &at, true, "up_proj.weight", gradient_of(run, p->up), f, w.hidden, w.hidden);
    linear_input_gradient(run, r->norm, room->gate_up, weight_of(run, p->gate), 2 * f, w.hidden);
    mm_profile_mark(MM_PROFILE_GATE_UP, MM_PASS_BACKWARD);
    look(run, &at, true, "d_norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "post_attention_layernorm";
    norm_backward(run, room->mid, p->post_norm, room->rstd_post, r->dx);
    mm_profile_mark(MM_PROFILE_POST_NORM, MM_PASS_BACKWARD);
    look(run, &at, true, "post_attention_layernorm.weight", gradient_of(run, p->post_norm), 1, w.hidden,
         w.hidden);
    look(run, &at, true, "dx", r->dx, rows, w.hidden, w.hidden);
}

static void attention_output_backward(const leaf_run *run, int layer) {
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    mm_activations *r = run->room;
    widths w = widths_of(&run->model->config);
    int64_t rows = run->leaf->rows;
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "attention_residual"};
    float *d_branch = kept_rows(run, MM_PURPOSE_OUTPUT_DROPOUT, layer, r->dx);
    mm_profile_mark(MM_PROFILE_RESIDUAL, MM_PASS_BACKWARD);
    look(run, &at, true, "d_branch", d_branch, rows, w.hidden, w.hidden);
    at.operation = "o_proj";
    linear_weight_gradient(run, gradient_of(run, p->o), d_branch, room_of(run, layer)->o, w.hidden, w.q);
    if (p->o_bias >= 0) bias_gradient(run, p->o_bias, d_branch, w.hidden, w.hidden);
    mm_profile_mark(MM_PROFILE_O_PROJ, MM_PASS_BACKWARD);
    look(run, &at, true, "o_proj.weight", gradient_of(run, p->o), w.hidden, w.q, w.q);
    linear_input_gradient(run, r->d_o, d_branch, weight_of(run, p->o), w.hidden, w.q);
    mm_profile_mark(MM_PROFILE_O_PROJ, MM_PASS_BACKWARD);
    look(run, &at, true, "d_o", r->d_o, rows, w.q, w.q);
}

// The weights' gradients of q, k and v, from the rows of all.
static void qkv_gradient(const leaf_run *run, int layer) {
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    mm_activations *r = run->room;
    widths w = widths_of(&run->model->config);
    if (p->q_bias >= 0) {
        bias_gradient(run, p->q_bias, r->d_qkv, w.qkv, w.q);
        bias_gradient(run, p->k_bias, r->d_qkv + w.q, w.qkv, w.kv);
        bias_gradient(run, p->v_bias, r->d_qkv + w.qk, w.qkv, w.kv);
    }
    linear_weight_gradient(run, gradient_of(run, p->q), r->d_qkv, r->norm, w.qkv, w.hidden);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_BACKWARD);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "qkv_proj"};
    look(run, &at, true, "q_proj.weight", gradient_of(run, p->q), w.q, w.hidden, w.hidden);
    look(run, &at, true, "k_proj.weight", gradient_of(run, p->k), w.kv, w.hidden, w.hidden);
    look(run, &at, true, "v_proj.weight", gradient_of(run, p->v), w.kv, w.hidden, w.hidden);
}

static void attention_backward(const leaf_run *run, int layer) {
    const mm_layer_parameters *p = &run->model->parameters.layers[layer];
    layer_room *room = room_of(run, layer);
    mm_activations *r = run->room;
    widths w = widths_of(&run->model->config);
    int64_t rows = run->leaf->rows;
    attention_output_backward(run, layer);
    look_at at = {MM_LEVEL_OP, MM_PASS_BACKWARD, layer, "attention"};
    together(run);
    each_group(run, layer, groups_backward);
    together(run);
    mm_profile_mark(MM_PROFILE_ATTENTION, MM_PASS_BACKWARD);
    look(run, &at, true, "dq", r->d_qkv, rows, w.q, w.qkv);
    look(run, &at, true, "dk", r->d_qkv + w.q, rows, w.kv, w.qkv);
    look(run, &at, true, "dv", r->d_qkv + w.qk, rows, w.kv, w.qkv);
    heads_backward(run, layer);
    norm_forward(run, room->x, p->input_norm, room->rstd_in);
    together(run);
    mm_profile_mark(MM_PROFILE_INPUT_NORM, MM_PASS_BACKWARD);
    qkv_gradient(run, layer);
    together(run);
    at.operation = "qkv_proj";
    linear_input_gradient(run, r->norm, r->d_qkv, weight_of(run, p->q), w.qkv, w.hidden);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_BACKWARD);
    look(run, &at, true, "d_norm", r->norm, rows, w.hidden, w.hidden);
    at.operation = "input_layernorm";
    norm_backward(run, room->x, p->input_norm, room->rstd_in, r->dx);
    mm_profile_mark(MM_PROFILE_INPUT_NORM, MM_PASS_BACKWARD);
    look(run, &at, true, "input_layernorm.weight", gradient_of(run, p->input_norm), 1, w.hidden, w.hidden);
}

void layer_backward(const leaf_run *run, int layer) {
    mlp_backward(run, layer);
    attention_backward(run, layer);
    look_at at = {MM_LEVEL_LAYER, MM_PASS_BACKWARD, layer, "layer"};
    int64_t hidden = run->model->config.hidden;
    look(run, &at, true, "dx", run->room->dx, run->leaf->rows, hidden, hidden);
}
