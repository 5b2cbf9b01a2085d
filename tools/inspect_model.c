// mm inspect on models, checkpoints and .safetensors files.
#include "inspect.h"
#include "print.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/files/tensor_files.h>
#include <mm/record/checkpoint.h>
#include <mm/run/runnable.h>
#include <stdio.h>
#include <string.h>

// --- a .safetensors file

typedef struct weights_sum {
    int64_t numbers; // without those of the tensors that are
    int uncounted;   // of more than MM_MAX_DIMS dimensions
    uint64_t bytes;
    const char *type; // of all tensors, NULL if they differ
} weights_sum;

static weights_sum sum_up(const mm_tensor_files *files) {
    weights_sum sum = {0};
    for (int i = 0; i < mm_tensor_files_count(files); i++) {
        const mm_safetensors_entry *e = mm_tensor_files_at(files, i).entry;
        int64_t numbers = e->tensor.dims > 0;
        sum.uncounted += e->tensor.dims == 0;
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

// Of a shape that does not fit its entry, no more than that is known.
static void put_dims(mm_json_writer *w, const mm_tensor *tensor) {
    mm_json_put_key(w, "shape");
    if (tensor->dims == 0) {
        mm_json_put_null(w);
        return;
    }
    mm_json_open_array(w);
    for (int d = 0; d < tensor->dims; d++) mm_json_put_integer(w, tensor->shape[d]);
    mm_json_close(w);
}

static void put_weights(mm_json_writer *w, const mm_tensor_files *files) {
    weights_sum sum = sum_up(files);
    mm_json_put_key(w, "numbers");
    if (sum.uncounted)
        mm_json_put_null(w);
    else
        mm_json_put_integer(w, sum.numbers);
    mm_json_pair_integer(w, "bytes", (int64_t)sum.bytes);
    mm_json_put_key(w, "tensors");
    mm_json_open_array(w);
    for (int i = 0; i < mm_tensor_files_count(files); i++) {
        const mm_safetensors_entry *e = mm_tensor_files_at(files, i).entry;
        mm_json_open_object(w);
        mm_json_pair_string(w, "name", e->tensor.name);
        mm_json_pair_string(w, "type", e->type_name);
        put_dims(w, &e->tensor);
        mm_json_close(w);
    }
    mm_json_close(w);
}

static void add_sum(mm_text *out, const mm_tensor_files *files) {
    weights_sum sum = sum_up(files);
    add_count(out, mm_tensor_files_count(files), "tensor");
    mm_text_add_string(out, ", ");
    add_count(out, sum.numbers, "number");
    if (sum.uncounted) {
        mm_text_add_string(out, " besides those of ");
        add_count(out, sum.uncounted, "tensor");
        mm_text_format(out, " of more than %d dimensions", MM_MAX_DIMS);
    }
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
        char shape[128];
        size_t used = 0;
        snprintf(shape, sizeof shape, "more than %d dimensions", MM_MAX_DIMS);
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
    bool runnable;
    mm_error refusal; // if it is not
} model_parts;

static const char *const shape_numbers[] = {"num_hidden_layers",   "hidden_size", "num_attention_heads",
                                            "num_key_value_heads", "head_dim",    "intermediate_size",
                                            "vocab_size"};
enum { SHAPE_NUMBERS = sizeof shape_numbers / sizeof *shape_numbers };

static bool has(const mm_json *config, const char *key) {
    return mm_json_kind_of(mm_json_get(config, key)) != MM_JSON_NULL;
}

mm_status check_shape(const mm_json_document *config, mm_error *error) {
    const mm_json *root = mm_json_root(config), *number;
    const char *kind;
    if (mm_json_kind_of(root) != MM_JSON_OBJECT)
        return mm_trouble(error, "%s: found %s, expected an object with a model's members",
                          mm_json_name(config), mm_json_kind_name(mm_json_kind_of(root)));
    mm_status status = MM_OK;
    if (has(root, "model_type")) status = mm_json_need_string(config, root, "model_type", &kind, error);
    for (int i = 0; !status && i < SHAPE_NUMBERS; i++)
        if (has(root, shape_numbers[i]))
            status = mm_json_need(config, root, shape_numbers[i], MM_JSON_INTEGER, &number, error);
    return status;
}

static void add_number(mm_text *out, const mm_json *config, const char *before, const char *key) {
    mm_text_add_string(out, before);
    if (has(config, key))
        mm_text_format(out, "%lld", (long long)mm_json_integer(mm_json_get(config, key)));
    else
        mm_text_add_string(out, "?");
}

void add_shape(mm_text *out, const mm_json *config) {
    const char *kind = mm_json_string(mm_json_get(config, "model_type"), NULL);
    add_name(out, kind ? kind : "of no model_type");
    mm_text_add_string(out, ", ");
    if (has(config, "num_hidden_layers"))
        add_count(out, mm_json_integer(mm_json_get(config, "num_hidden_layers")), "layer");
    else
        mm_text_add_string(out, "? layers");
    add_number(out, config, ", hidden ", "hidden_size");
    add_number(out, config, ", heads ", "num_attention_heads");
    add_number(out, config, "/", "num_key_value_heads");
    if (has(config, "head_dim")) add_number(out, config, " of ", "head_dim");
    add_number(out, config, ", feed-forward ", "intermediate_size");
    add_number(out, config, ", vocabulary ", "vocab_size");
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
    if (!m->runnable) mm_text_format(out, "mm cannot run it: %s\n", m->refusal.text);
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
    mm_json_pair_string(&w, "cannot_run", m->runnable ? NULL : m->refusal.text);
    mm_json_put_key(&w, "config");
    mm_json_put_value(&w, mm_json_root(m->config));
    put_weights(&w, m->weights);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static mm_status open_parts(model_parts *m, mm_error *error) {
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, m->path, "config.json", error);
    if (!status) status = mm_json_read(file, MM_CONFIG_JSON_MOST, &m->config, error);
    if (!status) status = check_shape(m->config, error);
    if (!status) status = mm_tensor_files_open(m->path, &m->weights, error);
    if (status) return status;
    m->runnable = !mm_model_runnable(m->path, &m->refusal);
    m->is_checkpoint = mm_checkpoint_is(m->path);
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
