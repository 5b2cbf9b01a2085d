#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/model/config.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_LIMIT = 1 << 20 }; // bytes of a config.json

typedef struct preset {
    const char *name;
    int hidden, layers, heads, kv_heads, head_dim, intermediate;
} preset;

static const preset presets[] = {
    {"tiny", 128, 4, 4, 2, 32, 448},
    {"small", 512, 8, 8, 2, 64, 1408},
    {"minimind-3", 768, 8, 8, 4, 96, 2432},
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

mm_status mm_config_preset(const char *name, mm_config *config, mm_error *error) {
    for (int i = 0; i < PRESETS; i++) {
        const preset *p = &presets[i];
        if (strcmp(name, p->name) != 0) continue;
        *config = (mm_config){.kind = MM_MODEL_QWEN3,
                              .vocab = 6400,
                              .hidden = p->hidden,
                              .layers = p->layers,
                              .heads = p->heads,
                              .kv_heads = p->kv_heads,
                              .head_dim = p->head_dim,
                              .intermediate = p->intermediate,
                              .tied = true,
                              .rms_norm_eps = 1e-6,
                              .rope_theta = 1e6,
                              .max_positions = 32768,
                              .bos = 1,
                              .eos = 2,
                              .pad = 0};
        return MM_OK;
    }
    return mm_trouble(error, "--preset %s: no such preset; expected tiny, small or minimind-3", name);
}

void mm_config_preset_training(const char *name, double *lr, int64_t *warmup) {
    bool tiny = name && strcmp(name, "tiny") == 0;
    *lr = tiny ? 3e-3 : 5e-4;
    *warmup = tiny ? 20 : 0;
}

const char *mm_model_kind_name(mm_model_kind kind) {
    return kind == MM_MODEL_QWEN3 ? "qwen3" : "llama";
}

// A reading of one config.json.
typedef struct reading {
    const mm_json_document *document;
    const mm_json *root;
    mm_error *error;
} reading;

static mm_status need_size(reading *r, const char *key, int *value) {
    int64_t found;
    mm_status status = mm_json_need_integer(r->document, r->root, key, 1, 1 << 24, &found, r->error);
    if (!status) *value = (int)found;
    return status;
}

static bool has(const mm_json *object, const char *key) {
    return mm_json_kind_of(mm_json_get(object, key)) != MM_JSON_NULL;
}

static mm_status maybe_size(reading *r, const char *key, int otherwise, int *value) {
    *value = otherwise;
    return has(r->root, key) ? need_size(r, key, value) : MM_OK;
}

static mm_status maybe_flag(reading *r, const char *key, bool *value) {
    *value = false;
    if (!has(r->root, key)) return MM_OK;
    const mm_json *found;
    mm_status status = mm_json_need(r->document, r->root, key, MM_JSON_BOOL, &found, r->error);
    if (!status) *value = mm_json_true(found);
    return status;
}

static mm_status refuse(reading *r, const char *key, const char *supported) {
    return mm_trouble(r->error,
                      "%s: \"%s\" has a value that changes the arithmetic and is not supported; expected %s",
                      mm_json_name(r->document), key, supported);
}

static bool is_string(const mm_json *value, const char *expected) {
    return mm_json_kind_of(value) == MM_JSON_STRING && strcmp(mm_json_string(value, NULL), expected) == 0;
}

// What would change the arithmetic: each must be absent or have the value that means "not used".
static mm_status check_unsupported(reading *r) {
    static const char *const must_be_false[] = {"use_sliding_window", "mlp_bias", "use_mla",
                                                "parallel_residual"};
    for (size_t i = 0; i < sizeof must_be_false / sizeof must_be_false[0]; i++) {
        bool on;
        mm_status status = maybe_flag(r, must_be_false[i], &on);
        if (status) return status;
        if (on) return refuse(r, must_be_false[i], "false");
    }
    if (has(r->root, "hidden_act") && !is_string(mm_json_get(r->root, "hidden_act"), "silu"))
        return refuse(r, "hidden_act", "\"silu\"");
    if (has(r->root, "rope_scaling")) return refuse(r, "rope_scaling", "null");
    if (has(r->root, "quantization_config")) return refuse(r, "quantization_config", "none");
    static const char *const must_be_one[] = {"partial_rotary_factor", "pretraining_tp"};
    for (size_t i = 0; i < sizeof must_be_one / sizeof must_be_one[0]; i++) {
        const mm_json *found = mm_json_get(r->root, must_be_one[i]);
        if (has(r->root, must_be_one[i]) && !(mm_json_number(found) >= 1 && mm_json_number(found) <= 1))
            return refuse(r, must_be_one[i], "1");
    }
    const mm_json *types = mm_json_get(r->root, "layer_types");
    for (size_t i = 0; i < mm_json_size(types); i++)
        if (!is_string(mm_json_at(types, i), "full_attention"))
            return refuse(r, "layer_types", "\"full_attention\" for every layer");
    return MM_OK;
}

// rope_theta, or as transformers 5 writes it: rope_parameters {rope_theta, rope_type}.
static mm_status read_rope(reading *r, mm_config *config) {
    config->rope_theta = 1e4; // transformers' default of both kinds
    const mm_json *holder = r->root;
    if (has(r->root, "rope_parameters")) {
        mm_status status =
            mm_json_need(r->document, r->root, "rope_parameters", MM_JSON_OBJECT, &holder, r->error);
        if (status) return status;
        if (has(holder, "rope_type") && !is_string(mm_json_get(holder, "rope_type"), "default"))
            return refuse(r, "rope_parameters.rope_type", "\"default\"");
        const mm_json *factor = mm_json_get(holder, "partial_rotary_factor");
        if (has(holder, "partial_rotary_factor") &&
            !(mm_json_number(factor) >= 1 && mm_json_number(factor) <= 1))
            return refuse(r, "rope_parameters.partial_rotary_factor", "1");
    }
    if (!has(holder, "rope_theta")) return MM_OK;
    return mm_json_need_number(r->document, holder, "rope_theta", 1e-3, 1e12, &config->rope_theta, r->error);
}

static mm_status read_shape(reading *r, mm_config *config) {
    mm_status status = need_size(r, "vocab_size", &config->vocab);
    if (!status) status = need_size(r, "hidden_size", &config->hidden);
    if (!status) status = need_size(r, "num_hidden_layers", &config->layers);
    if (!status) status = need_size(r, "num_attention_heads", &config->heads);
    if (!status) status = need_size(r, "intermediate_size", &config->intermediate);
    if (!status) status = maybe_size(r, "num_key_value_heads", config->heads, &config->kv_heads);
    if (status) return status;
    int otherwise = config->kind == MM_MODEL_QWEN3 ? 128 : config->hidden / config->heads;
    if (otherwise < 1) otherwise = 1;
    return maybe_size(r, "head_dim", otherwise, &config->head_dim);
}

static mm_status check_shape(reading *r, const mm_config *config) {
    const char *name = mm_json_name(r->document);
    if (config->heads % config->kv_heads)
        return mm_trouble(r->error, "%s: num_attention_heads %d is no multiple of num_key_value_heads %d",
                          name, config->heads, config->kv_heads);
    if (config->head_dim % 2 || config->head_dim > 1024)
        return mm_trouble(r->error, "%s: head_dim %d; expected an even number up to 1024", name,
                          config->head_dim);
    if (config->layers > 256)
        return mm_trouble(r->error, "%s: num_hidden_layers %d; expected at most 256", name, config->layers);
    if ((int64_t)config->heads * config->head_dim > 1 << 20)
        return mm_trouble(r->error, "%s: %d heads of %d are wider than expected (at most 2^20 together)",
                          name, config->heads, config->head_dim);
    return MM_OK;
}

// A token id, or the first of a list of them; -1 if null or absent.
static int32_t token_id(const mm_json *root, const char *key, int vocab) {
    const mm_json *value = mm_json_get(root, key);
    if (mm_json_kind_of(value) == MM_JSON_ARRAY) value = mm_json_at(value, 0);
    if (mm_json_kind_of(value) != MM_JSON_INTEGER) return -1;
    int64_t id = mm_json_integer(value);
    return id >= 0 && id < vocab ? (int32_t)id : -1;
}

static mm_status read_kind(reading *r, mm_config *config) {
    const char *kind;
    mm_status status = mm_json_need_string(r->document, r->root, "model_type", &kind, r->error);
    if (status) return status;
    if (strcmp(kind, "qwen3") == 0)
        config->kind = MM_MODEL_QWEN3;
    else if (strcmp(kind, "llama") == 0)
        config->kind = MM_MODEL_LLAMA;
    else
        return mm_trouble(r->error, "%s: model_type \"%s\"; expected \"qwen3\" or \"llama\"",
                          mm_json_name(r->document), kind);
    return MM_OK;
}

static mm_status read_rest(reading *r, mm_config *config) {
    config->rms_norm_eps = 1e-6;
    mm_status status = MM_OK;
    if (has(r->root, "rms_norm_eps"))
        status =
            mm_json_need_number(r->document, r->root, "rms_norm_eps", 0, 1, &config->rms_norm_eps, r->error);
    if (!status) status = maybe_flag(r, "tie_word_embeddings", &config->tied);
    if (!status) status = maybe_flag(r, "attention_bias", &config->attention_bias);
    config->max_positions = 32768;
    if (!status && has(r->root, "max_position_embeddings"))
        status = mm_json_need_integer(r->document, r->root, "max_position_embeddings", 1, INT32_MAX,
                                      &config->max_positions, r->error);
    config->bos = token_id(r->root, "bos_token_id", config->vocab);
    config->eos = token_id(r->root, "eos_token_id", config->vocab);
    config->pad = token_id(r->root, "pad_token_id", config->vocab);
    return status;
}

static mm_status read_document(const mm_json_document *document, mm_config *config, mm_error *error) {
    reading r = {document, mm_json_root(document), error};
    *config = (mm_config){0};
    mm_status status = read_kind(&r, config);
    if (!status) status = check_unsupported(&r);
    if (!status) status = read_shape(&r, config);
    if (!status) status = check_shape(&r, config);
    if (!status) status = read_rope(&r, config);
    if (!status) status = read_rest(&r, config);
    return status;
}

mm_status mm_config_parse(const char *text, size_t size, const char *name, mm_config *config,
                          mm_error *error) {
    mm_json_document *document;
    mm_status status = mm_json_parse(text, size, name, &document, error);
    if (status) return status;
    status = read_document(document, config, error);
    mm_json_free(document);
    return status;
}

mm_status mm_config_read(const char *path, mm_config *config, mm_error *error) {
    char inside[PATH_MAX];
    if (mm_is_folder(path)) {
        mm_status status = mm_path_join(inside, sizeof inside, path, "config.json", error);
        if (status) return status;
        path = inside;
    }
    mm_json_document *document;
    mm_status status = mm_json_read(path, CONFIG_LIMIT, &document, error);
    if (status) return status;
    status = read_document(document, config, error);
    mm_json_free(document);
    return status;
}

static void put_token(mm_json_writer *w, const char *key, int32_t id) {
    mm_json_put_key(w, key);
    if (id < 0)
        mm_json_put_null(w);
    else
        mm_json_put_integer(w, id);
}

void mm_config_write(const mm_config *config, mm_text *out) {
    mm_json_writer writer = mm_json_writer_on(out, 2), *w = &writer;
    bool qwen = config->kind == MM_MODEL_QWEN3;
    mm_json_open_object(w);
    mm_json_put_key(w, "architectures");
    mm_json_open_inline_array(w);
    mm_json_put_string(w, qwen ? "Qwen3ForCausalLM" : "LlamaForCausalLM");
    mm_json_close(w);
    mm_json_pair_string(w, "model_type", mm_model_kind_name(config->kind));
    mm_json_pair_integer(w, "vocab_size", config->vocab);
    mm_json_pair_integer(w, "hidden_size", config->hidden);
    mm_json_pair_integer(w, "num_hidden_layers", config->layers);
    mm_json_pair_integer(w, "num_attention_heads", config->heads);
    mm_json_pair_integer(w, "num_key_value_heads", config->kv_heads);
    mm_json_pair_integer(w, "head_dim", config->head_dim);
    mm_json_pair_integer(w, "intermediate_size", config->intermediate);
    mm_json_pair_string(w, "hidden_act", "silu");
    mm_json_pair_double(w, "rms_norm_eps", config->rms_norm_eps);
    mm_json_pair_double(w, "rope_theta", config->rope_theta);
    mm_json_put_key(w, "rope_parameters"); // as transformers 5 reads it
    mm_json_open_inline_object(w);
    mm_json_pair_double(w, "rope_theta", config->rope_theta);
    mm_json_pair_string(w, "rope_type", "default");
    mm_json_close(w);
    mm_json_pair_bool(w, "tie_word_embeddings", config->tied);
    mm_json_pair_bool(w, "attention_bias", config->attention_bias);
    mm_json_pair_double(w, "attention_dropout", 0);
    mm_json_pair_integer(w, "max_position_embeddings", config->max_positions);
    if (qwen) mm_json_pair_bool(w, "use_sliding_window", false);
    put_token(w, "bos_token_id", config->bos);
    put_token(w, "eos_token_id", config->eos);
    put_token(w, "pad_token_id", config->pad);
    mm_json_pair_string(w, "torch_dtype", "float32");
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}
