#include <assert.h>
#include <mm/base/arena.h>
#include <mm/base/rng.h>
#include <mm/base/text.h>
#include <mm/model/parameters.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_FLOATS = MM_ARENA_ALIGNMENT / sizeof(float) };

static const double initial_deviation = 0.02;

// Adds a tensor of one dimension (columns 0) or two; `joined` puts it right behind the last one, without a
// gap.
static int add(mm_parameters *p, const char *name, int64_t rows, int64_t columns, bool joined) {
    int i = p->count++;
    mm_tensor *t = &p->tensors[i];
    *t = (mm_tensor){.name = strdup(name), .type = MM_F32, .dims = columns ? 2 : 1, .shape = {rows, columns}};
    if (!columns) t->shape[1] = 0;
    if (!joined) p->floats = (p->floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    p->offsets[i] = p->floats;
    int64_t numbers = columns ? rows * columns : rows;
    p->floats += (size_t)numbers;
    p->numbers += numbers;
    return i;
}

typedef struct layer_adder {
    mm_parameters *parameters;
    int layer;
} layer_adder;

static int add_in(layer_adder *a, const char *name, int64_t rows, int64_t columns, bool joined) {
    char full[96];
    snprintf(full, sizeof full, "model.layers.%d.%s", a->layer, name);
    return add(a->parameters, full, rows, columns, joined);
}

static void add_layer(mm_parameters *p, const mm_config *c, int layer) {
    layer_adder adder = {p, layer}, *a = &adder;
    mm_layer_parameters *l = &p->layers[layer];
    int64_t hidden = c->hidden, q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    bool qwen = c->kind == MM_MODEL_QWEN3, bias = c->attention_bias;
    l->input_norm = add_in(a, "input_layernorm.weight", hidden, 0, false);
    l->q = add_in(a, "self_attn.q_proj.weight", q, hidden, false);
    l->k = add_in(a, "self_attn.k_proj.weight", kv, hidden, true);
    l->v = add_in(a, "self_attn.v_proj.weight", kv, hidden, true);
    l->q_bias = bias ? add_in(a, "self_attn.q_proj.bias", q, 0, false) : -1;
    l->k_bias = bias ? add_in(a, "self_attn.k_proj.bias", kv, 0, true) : -1;
    l->v_bias = bias ? add_in(a, "self_attn.v_proj.bias", kv, 0, true) : -1;
    l->q_norm = qwen ? add_in(a, "self_attn.q_norm.weight", c->head_dim, 0, false) : -1;
    l->k_norm = qwen ? add_in(a, "self_attn.k_norm.weight", c->head_dim, 0, false) : -1;
    l->o = add_in(a, "self_attn.o_proj.weight", hidden, q, false);
    l->o_bias = bias ? add_in(a, "self_attn.o_proj.bias", hidden, 0, false) : -1;
    l->post_norm = add_in(a, "post_attention_layernorm.weight", hidden, 0, false);
    l->gate = add_in(a, "mlp.gate_proj.weight", c->intermediate, hidden, false);
    l->up = add_in(a, "mlp.up_proj.weight", c->intermediate, hidden, true);
    l->down = add_in(a, "mlp.down_proj.weight", hidden, c->intermediate, false);
}

mm_status mm_parameters_make(mm_parameters *p, const mm_config *c, mm_error *error) {
    enum { PER_LAYER = sizeof(mm_layer_parameters) / sizeof(int), OUTSIDE = 3 };
    *p = (mm_parameters){0};
    size_t most = (size_t)c->layers * PER_LAYER + OUTSIDE;
    p->tensors = calloc(most, sizeof *p->tensors);
    p->offsets = calloc(most, sizeof *p->offsets);
    p->layers = calloc((size_t)c->layers, sizeof *p->layers);
    if (!p->tensors || !p->offsets || !p->layers) {
        mm_parameters_free(p);
        return mm_trouble(error, "parameter table of %d layers: out of memory", c->layers);
    }
    p->embedding = add(p, "model.embed_tokens.weight", c->vocab, c->hidden, false);
    for (int layer = 0; layer < c->layers; layer++) add_layer(p, c, layer);
    p->final_norm = add(p, "model.norm.weight", c->hidden, 0, false);
    p->head = c->tied ? p->embedding : add(p, "lm_head.weight", c->vocab, c->hidden, false);
    p->floats = (p->floats + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    for (int i = 0; i < p->count; i++) {
        if (p->tensors[i].name) continue;
        mm_parameters_free(p);
        return mm_trouble(error, "parameter table of %d layers: out of memory", c->layers);
    }
    return MM_OK;
}

void mm_parameters_free(mm_parameters *p) {
    for (int i = 0; p->tensors && i < p->count; i++) free((char *)p->tensors[i].name);
    free(p->tensors);
    free(p->offsets);
    free(p->layers);
    *p = (mm_parameters){0};
}

mm_tensor mm_parameter_in(const mm_parameters *p, int i, float *array) {
    assert(i >= 0 && i < p->count);
    mm_tensor tensor = p->tensors[i];
    tensor.data = array + p->offsets[i];
    return tensor;
}

void mm_parameter_initial(const mm_parameters *p, int i, uint64_t seed, float *out) {
    const mm_tensor *t = &p->tensors[i];
    int64_t n = mm_tensor_count(t);
    if (t->dims == 1) {
        float value = mm_ends_with(t->name, ".bias") ? 0.0f : 1.0f;
        for (int64_t j = 0; j < n; j++) out[j] = value;
        return;
    }
    mm_stream stream = mm_stream_of(&(mm_draw){.key = seed}, MM_PURPOSE_INITIAL_WEIGHTS, i, 0);
    mm_stream_normal(&stream, 0, out, n);
    for (int64_t j = 0; j < n; j++) out[j] *= (float)initial_deviation;
}
