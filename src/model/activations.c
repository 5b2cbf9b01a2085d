#include "internal.h"

static float *take(mm_arena *arena, int64_t rows, int64_t columns) {
    return mm_arena_take(arena, (size_t)rows * (size_t)columns, sizeof(float));
}

// Of a row that holds q, k and v of all heads.
static int64_t qkv_width(const mm_config *c) {
    return ((int64_t)c->heads + 2 * (int64_t)c->kv_heads) * c->head_dim;
}

static layer_room place_layer(const mm_config *c, int64_t rows, mm_arena *arena) {
    int64_t head = c->head_dim;
    return (layer_room){
        .x = take(arena, rows, c->hidden),
        .rstd_in = take(arena, rows, 1),
        .qkv = take(arena, rows, qkv_width(c)),
        .qk = take(arena, rows, qkv_width(c)),
        .rstd_q = take(arena, rows, c->heads),
        .rstd_k = take(arena, rows, c->kv_heads),
        .o = take(arena, rows, c->heads * head),
        .lse = take(arena, rows, c->heads),
        .mid = take(arena, rows, c->hidden),
        .rstd_post = take(arena, rows, 1),
        .gate_up = take(arena, rows, 2 * (int64_t)c->intermediate),
    };
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// A layer's norm, or those of q and k side by side.
static int64_t widest_norms(const mm_config *c) {
    return most(c->hidden, ((int64_t)c->heads + c->kv_heads) * c->head_dim);
}

size_t mm_model_scratch(const mm_model *model) {
    const mm_config *c = &model->config;
    size_t widest_bias = (size_t)most(c->hidden, (int64_t)c->heads * c->head_dim);
    size_t attention = mm_attention_scratch(c->heads, c->kv_heads, c->head_dim);
    size_t own = attention > widest_bias ? attention : widest_bias, gemm = mm_gemm_room(model->gemm);
    return own > gemm ? own : gemm;
}

int64_t mm_model_packers(const mm_model *model, int64_t rows) {
    const mm_config *c = &model->config;
    if (mm_gemm_room(model->gemm) == 0) return 0;
    const int64_t outputs = most(most(c->vocab, 2 * (int64_t)c->intermediate), most(c->hidden, qkv_width(c)));
    return most(mm_rmsnorm_partials(rows), (outputs + LEAF_GRAIN - 1) / LEAF_GRAIN);
}

mm_activations *mm_activations_place(const mm_model *model, int64_t rows, bool backward, mm_arena *arena) {
    const mm_config *c = &model->config;
    int layers = backward ? c->layers : 1;
    mm_activations *placed = mm_arena_take(arena, 1, sizeof *placed);
    layer_room *rooms = mm_arena_take(arena, (size_t)layers, sizeof *rooms);
    for (int layer = 0; layer < layers; layer++) {
        layer_room room = place_layer(c, rows, arena);
        if (rooms) rooms[layer] = room;
    }
    mm_activations a = {.rows = rows, .backward = backward, .layers = rooms};
    a.rstd_final = take(arena, rows, 1);
    a.norm = take(arena, rows, c->hidden);
    a.branch = take(arena, rows, c->hidden);
    a.wide = take(arena, rows, c->intermediate);
    a.logits = take(arena, rows < MM_LOGIT_ROWS ? rows : MM_LOGIT_ROWS, c->vocab);
    a.losses = mm_arena_take(arena, (size_t)rows, sizeof *a.losses);
    if (backward) {
        a.x_final = take(arena, rows, c->hidden);
        a.dx = take(arena, rows, c->hidden);
        const int64_t d_o = (int64_t)c->heads * c->head_dim;
        a.d_wide = a.d_qkv = take(arena, rows, most(c->intermediate, qkv_width(c) + d_o));
        if (placed) a.d_o = a.d_qkv + rows * qkv_width(c);
        a.partials = take(arena, mm_rmsnorm_partials(rows), widest_norms(c));
    } else if (rooms) {
        a.x_final = rooms[0].x;
    }
    if (placed) *placed = a;
    return placed;
}

layer_room *room_of(const leaf_run *run, int layer) {
    return &run->room->layers[run->room->backward ? layer : 0];
}

float *layer_output(const leaf_run *run, int layer) {
    bool last = layer + 1 == run->model->config.layers;
    return last ? run->room->x_final : room_of(run, layer + 1)->x;
}

const float *weight_of(const leaf_run *run, int index) {
    return run->model->weights + run->model->parameters.offsets[index];
}

float *gradient_of(const leaf_run *run, int index) {
    return run->gradient + run->model->parameters.offsets[index];
}

void part_of(const leaf_run *run, int64_t n, int64_t *begin, int64_t *end) {
    long first, last;
    mm_par_slice((long)n, LEAF_GRAIN, run->member->worker, run->member->team->workers, &first, &last);
    *begin = first;
    *end = last;
}

void together(const leaf_run *run) {
    mm_team_wait(run->member->team);
}

static void see(const leaf_run *run, const look_at *at, bool output, mm_tensor tensor, int64_t ld) {
    mm_sight sight = {.level = at->level,
                      .pass = at->pass,
                      .layer = at->layer,
                      .operation = at->operation,
                      .output = output,
                      .tensor = tensor,
                      .ld = ld};
    run->probe->see(run->probe->self, &sight);
}

void look(const leaf_run *run, const look_at *at, bool output, const char *tensor, float *data, int64_t rows,
          int64_t columns, int64_t ld) {
    if (!mm_probe_wants(run->probe, at->level)) return;
    together(run);
    if (run->member->worker == 0) see(run, at, output, mm_tensor_2d(tensor, data, rows, columns), ld);
    together(run);
}
