// mm inspect on models, checkpoints and .safetensors files.
#include "inspect.h"
#include "print.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/files/tensor_files.h>
#include <mm/record/checkpoint.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_LIMIT = 1 << 20 };

// --- a .safetensors file

typedef struct weights_sum {
    int64_t numbers;
    uint64_t bytes;
    const char *type; // of all tensors, NULL if they differ
} weights_sum;

static weights_sum sum_up(const mm_tensor_files *files) {
    weights_sum sum = {0};
    for (int i = 0; i < mm_tensor_files_count(files); i++) {
        const mm_safetensors_entry *e = mm_tensor_files_at(files, i).entry;
        int64_t numbers = 1;
        for (int d = 0; d < e->tensor.dims; d++) numbers *= e->tensor.shape[d];
        if (__builtin_add_overflow(sum.numbers, numbers, &sum.numbers))
            sum.numbers = INT64_MAX; // of an unknown type
        sum.bytes += e->bytes;
        if (i == 0)
            sum.type = e->type_name;
        else if (sum.type && strcmp(sum.type, e->type_name) != 0)
            sum.type = NULL;
    }
    return sum;
}

static void put_weights(mm_json_writer *w, const mm_tensor_files *files) {
    weights_sum sum = sum_up(files);
    mm_json_pair_integer(w, "numbers", sum.numbers);
    mm_json_pair_integer(w, "bytes", (int64_t)sum.bytes);
    mm_json_put_key(w, "tensors");
    mm_json_open_array(w);
    for (int i = 0; i < mm_tensor_files_count(files); i++) {
        const mm_safetensors_entry *e = mm_tensor_files_at(files, i).entry;
        mm_json_open_object(w);
        mm_json_pair_string(w, "name", e->tensor.name);
        mm_json_pair_string(w, "type", e->type_name);
        mm_json_put_key(w, "shape");
        mm_json_open_array(w);
        for (int d = 0; d < e->tensor.dims; d++) mm_json_put_integer(w, e->tensor.shape[d]);
        mm_json_close(w);
        mm_json_close(w);
    }
    mm_json_close(w);
}

static void add_sum(mm_text *out, const mm_tensor_files *files) {
    weights_sum sum = sum_up(files);
    add_count(out, mm_tensor_files_count(files), "tensor");
    mm_text_add_string(out, ", ");
    add_count(out, sum.numbers, "number");
    mm_text_add_string(out, ", ");
    add_name(out, sum.type ? sum.type : "of several types");
    mm_text_add_string(out, ", ");
    add_bytes(out, (double)sum.bytes);
    if (mm_tensor_files_shards(files) > 1)
        mm_text_format(out, " in %d shards", mm_tensor_files_shards(files));
    mm_text_add_string(out, "\n");
}

static void weights_words(mm_text *out, const mm_tensor_files *files) {
    add_label(out, "weights");
    add_path(out, mm_tensor_files_path(files));
    mm_text_add_string(out, "\n");
    add_label(out, "holds");
    add_sum(out, files);
    for (int i = 0; i < mm_tensor_files_count(files); i++) {
        const mm_safetensors_entry *e = mm_tensor_files_at(files, i).entry;
        char shape[128] = "";
        size_t used = 0;
        for (int d = 0; d < e->tensor.dims && used < sizeof shape; d++)
            used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", d ? " x " : "",
                                     (long long)e->tensor.shape[d]);
        size_t from = out->size;
        mm_text_format(out, "%-4s %-16s %s", e->type_name, shape, e->tensor.name);
        mm_text_flatten(out, from);
        mm_text_add_string(out, "\n");
    }
}

mm_status inspect_weights(mm_text *out, const char *path, bool json, mm_error *error) {
    mm_tensor_files *files;
    mm_status status = mm_tensor_files_open_one(path, &files, error);
    if (status) return status;
    if (json) {
        mm_json_writer w = mm_json_writer_on(out, 0);
        mm_json_open_object(&w);
        mm_json_pair_string(&w, "kind", "safetensors");
        mm_json_pair_string(&w, "path", path);
        put_weights(&w, files);
        mm_json_close(&w);
        mm_text_add_string(out, "\n");
    } else {
        weights_words(out, files);
    }
    mm_tensor_files_close(files);
    return MM_OK;
}

// --- a model directory

typedef struct model_parts {
    const char *path;
    mm_json_document *config;
    mm_tensor_files *weights;
    bool is_checkpoint;
    mm_checkpoint_state state;
} model_parts;

static long long number_of(const mm_json *config, const char *key) {
    return (long long)mm_json_integer(mm_json_get(config, key));
}

void add_shape(mm_text *out, const mm_json *config) {
    const char *kind = mm_json_string(mm_json_get(config, "model_type"), NULL);
    add_name(out, kind ? kind : "of no model_type");
    mm_text_add_string(out, ", ");
    add_count(out, number_of(config, "num_hidden_layers"), "layer");
    mm_text_format(out, ", hidden %lld, heads %lld/%lld", number_of(config, "hidden_size"),
                   number_of(config, "num_attention_heads"), number_of(config, "num_key_value_heads"));
    if (mm_json_get(config, "head_dim")) mm_text_format(out, " of %lld", number_of(config, "head_dim"));
    mm_text_format(out, ", feed-forward %lld, vocabulary %lld", number_of(config, "intermediate_size"),
                   number_of(config, "vocab_size"));
}

static void model_words(mm_text *out, const model_parts *m) {
    add_label(out, m->is_checkpoint ? "checkpoint" : "model");
    add_path(out, m->path);
    if (m->is_checkpoint) {
        mm_text_format(out, ", after step %lld (", (long long)m->state.step);
        add_count(out, m->state.tokens, "token");
        mm_text_add_string(out, " seen)");
    }
    mm_text_add_string(out, "\n");
    add_label(out, "shape");
    add_shape(out, mm_json_root(m->config));
    mm_text_add_string(out, "\n");
    add_label(out, "weights");
    add_sum(out, m->weights);
    char tokenizer[PATH_MAX];
    if (!mm_path_join(tokenizer, sizeof tokenizer, m->path, "tokenizer.json", NULL) &&
        mm_is_file(tokenizer)) {
        add_label(out, "tokenizer");
        add_path(out, tokenizer);
        mm_text_add_string(out, "\n");
    }
}

static void model_json(mm_text *out, const model_parts *m) {
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "kind", m->is_checkpoint ? "checkpoint" : "model");
    mm_json_pair_string(&w, "path", m->path);
    if (m->is_checkpoint) {
        mm_json_pair_integer(&w, "step", m->state.step);
        mm_json_pair_integer(&w, "tokens_seen", m->state.tokens);
        mm_json_pair_hash(&w, "model_xxh128", m->state.model);
        mm_json_pair_hash(&w, "optimizer_xxh128", m->state.optimizer);
    }
    mm_json_put_key(&w, "config");
    mm_json_put_value(&w, mm_json_root(m->config));
    put_weights(&w, m->weights);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static mm_status open_parts(model_parts *m, mm_error *error) {
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, m->path, "config.json", error);
    if (!status) status = mm_json_read(file, CONFIG_LIMIT, &m->config, error);
    if (!status) status = mm_tensor_files_open(m->path, &m->weights, error);
    if (!status) status = mm_path_join(file, sizeof file, m->path, "state.json", error);
    if (status) return status;
    m->is_checkpoint = mm_is_file(file);
    return m->is_checkpoint ? mm_checkpoint_state_read(m->path, &m->state, error) : MM_OK;
}

mm_status inspect_model(mm_text *out, const char *path, bool json, mm_error *error) {
    model_parts m = {.path = path};
    mm_status status = open_parts(&m, error);
    if (!status) {
        if (json)
            model_json(out, &m);
        else
            model_words(out, &m);
    }
    mm_tensor_files_close(m.weights);
    mm_json_free(m.config);
    return status;
}
