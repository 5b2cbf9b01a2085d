#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/model/config.h>
#include <stdio.h>
#include <string.h>

// Attention's room follows from the heads, and an angle of rope, at most a position, is below 2^30.
enum { HEADS_MOST = 1024, POSITIONS_MOST = 1 << 30 };

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
                              .pad = 0,
                              .eos_count = 1,
                              .eos = {2}};
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

// With sizes up to 2^24, and what check_shape allows, the bytes of weights and moments stay below 2^63.
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
    size_t size;
    const char *text = mm_json_string(value, &size);
    return text && size == strlen(expected) && memcmp(text, expected, size) == 0;
}

// A number that must be 1 where it is there.
static mm_status check_one(reading *r, const mm_json *object, const char *key, const char *name) {
    double number = mm_json_number(mm_json_get(object, key));
    return has(object, key) && !(number >= 1 && number <= 1) ? refuse(r, name, "1") : MM_OK;
}

// What would change the arithmetic, or which weights are read: each must be absent or have the value that
// means "not used".
static mm_status check_unsupported(reading *r) {
    static const char *const must_be_false[] = {"mlp_bias", "use_mla", "parallel_residual"};
    static const char *const must_be_absent[] = {"quantization_config", "compression_config",
                                                 "quantization",        "per_layer_config",
                                                 "kv_sharing_modes",    "transformers_weights"};
    mm_status status = MM_OK;
    for (size_t i = 0; !status && i < sizeof must_be_false / sizeof must_be_false[0]; i++) {
        bool on;
        status = maybe_flag(r, must_be_false[i], &on);
        if (!status && on) status = refuse(r, must_be_false[i], "false");
    }
    for (size_t i = 0; !status && i < sizeof must_be_absent / sizeof must_be_absent[0]; i++)
        if (has(r->root, must_be_absent[i])) status = refuse(r, must_be_absent[i], "none");
    const mm_json *causal = mm_json_get(r->root, "is_causal");
    if (!status && causal && !mm_json_true(causal)) status = refuse(r, "is_causal", "true");
    const mm_json *act = mm_json_get(r->root, "hidden_act");
    if (!status && has(r->root, "hidden_act") && !is_string(act, "silu") && !is_string(act, "swish"))
        status = refuse(r, "hidden_act", "\"silu\"");
    return status ? status : check_one(r, r->root, "partial_rotary_factor", "partial_rotary_factor");
}

// Attention of some positions only. Qwen3's keys say from which layer on it holds where layer_types do not
// say it; Llama's, which no model of that kind has, still bound the cache of transformers' generate.
static mm_status check_windows(reading *r, const mm_config *config) {
    static const char *const llama_windows[] = {"sliding_window", "attention_chunk_size"};
    bool qwen = config->kind == MM_MODEL_QWEN3, on;
    for (int i = 0; !qwen && i < 2; i++)
        if (has(r->root, llama_windows[i])) return refuse(r, llama_windows[i], "null");
    mm_status status = maybe_flag(r, "use_sliding_window", &on);
    if (status || !on) return status;
    const mm_json *window = mm_json_get(r->root, "sliding_window"); // absent is 4096, null none
    int64_t from = 28;                                              // transformers' default
    if (has(r->root, "max_window_layers"))
        status = mm_json_need_integer(r->document, r->root, "max_window_layers", 0, INT_MAX, &from, r->error);
    bool none = (window && mm_json_kind_of(window) == MM_JSON_NULL) || from >= config->layers;
    if (status || (qwen && (none || has(r->root, "layer_types")))) return status;
    return refuse(r, "use_sliding_window", "false");
}

// Transformers 5 writes the kind of each layer.
static mm_status check_layer_types(reading *r, const mm_config *config) {
    if (!has(r->root, "layer_types")) return MM_OK;
    const mm_json *types;
    mm_status status = mm_json_need(r->document, r->root, "layer_types", MM_JSON_ARRAY, &types, r->error);
    if (status) return status;
    for (size_t i = 0; i < mm_json_size(types); i++)
        if (!is_string(mm_json_at(types, i), "full_attention") &&
            !is_string(mm_json_at(types, i), "attention"))
            return refuse(r, "layer_types", "\"full_attention\" for every layer");
    if (mm_json_size(types) == (size_t)config->layers) return MM_OK;
    return mm_trouble(r->error,
                      "%s: layer_types has %zu layers, num_hidden_layers is %d; they must agree, correct one",
                      mm_json_name(r->document), mm_json_size(types), config->layers);
}

// An object that says how positions are scaled: only that they are not.
static mm_status check_unscaled(reading *r, const mm_json *rope, const char *name) {
    static const char *const kinds[] = {"rope_type", "type"};
    char member[128];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(member, sizeof member, "%s.%s", name, kinds[i]);
        if (has(rope, kinds[i]) && !is_string(mm_json_get(rope, kinds[i]), "default"))
            return refuse(r, member, "\"default\"");
    }
    for (const void *i = mm_json_first(rope); i; i = mm_json_next(rope, i)) {
        snprintf(member, sizeof member, "%s.%.60s", name, mm_json_key(i, NULL));
        if (mm_json_kind_of(mm_json_value(i)) == MM_JSON_OBJECT)
            return refuse(r, member, "the same for all layers");
    }
    snprintf(member, sizeof member, "%s.partial_rotary_factor", name);
    return check_one(r, rope, "partial_rotary_factor", member);
}

static mm_status need_theta(reading *r, const mm_json *holder, mm_config *config) {
    return mm_json_need_number(r->document, holder, "rope_theta", 1, 1e12, &config->rope_theta, r->error);
}

// rope_theta, or as transformers 5 writes it: rope_parameters {rope_theta, rope_type}; where both are there
// transformers 4 takes the one and 5 the other. What transformers 4 calls rope_scaling may say that there is
// none.
static mm_status read_rope(reading *r, mm_config *config) {
    static const char *const holders[] = {"rope_scaling", "rope_parameters"};
    config->rope_theta = 1e4; // transformers' default of both kinds
    mm_status status = has(r->root, "rope_theta") ? need_theta(r, r->root, config) : MM_OK;
    for (size_t i = 0; !status && i < 2; i++) {
        const mm_json *holder;
        if (!has(r->root, holders[i])) continue;
        if (i == 1 && has(r->root, "rope_scaling"))
            return refuse(r, "rope_scaling", "null beside rope_parameters");
        status = mm_json_need(r->document, r->root, holders[i], MM_JSON_OBJECT, &holder, r->error);
        if (!status) status = check_unscaled(r, holder, holders[i]);
        if (status || !has(holder, "rope_theta")) continue;
        double beside = config->rope_theta;
        status = i == 0 ? refuse(r, "rope_scaling.rope_theta", "rope_theta beside it")
                        : need_theta(r, holder, config);
        if (!status && has(r->root, "rope_theta") && memcmp(&beside, &config->rope_theta, sizeof beside) != 0)
            status = refuse(r, "rope_theta", "that of rope_parameters");
    }
    return status;
}

static mm_status read_shape(reading *r, mm_config *config) {
    mm_status status = need_size(r, "vocab_size", &config->vocab);
    if (!status) status = need_size(r, "hidden_size", &config->hidden);
    if (!status) status = need_size(r, "num_hidden_layers", &config->layers);
    if (!status) status = need_size(r, "num_attention_heads", &config->heads);
    if (!status) status = need_size(r, "intermediate_size", &config->intermediate);
    if (status) return status;
    bool qwen = config->kind == MM_MODEL_QWEN3;
    bool absent = !mm_json_get(r->root, "num_key_value_heads"); // null is another thing
    status = maybe_size(r, "num_key_value_heads", qwen && absent ? 32 : config->heads, &config->kv_heads);
    if (status) return status;
    int otherwise = qwen ? 128 : config->hidden / config->heads;
    if (otherwise < 1) otherwise = 1;
    return maybe_size(r, "head_dim", otherwise, &config->head_dim);
}

// With these head sizes a worker's room for attention (mm_attention_scratch) is at most 1.75 GB. 256 layers
// have at most 256 * 15 + 3 tensors, whose index must fit the 12 bits of a stream's layer (rng.h).
static mm_status check_shape(reading *r, const mm_config *config) {
    const char *name = mm_json_name(r->document);
    if (config->heads % config->kv_heads)
        return mm_trouble(r->error, "%s: num_attention_heads %d is no multiple of num_key_value_heads %d",
                          name, config->heads, config->kv_heads);
    if (config->head_dim % 2 || config->head_dim > 1024)
        return mm_trouble(r->error, "%s: head_dim %d; expected an even number up to 1024", name,
                          config->head_dim);
    if (config->heads > HEADS_MOST)
        return mm_trouble(r->error, "%s: num_attention_heads %d; expected at most %d", name, config->heads,
                          HEADS_MOST);
    if (config->layers > 256)
        return mm_trouble(r->error, "%s: num_hidden_layers %d; expected at most 256", name, config->layers);
    if ((int64_t)config->heads * config->head_dim > 1 << 20)
        return mm_trouble(r->error, "%s: %d heads of %d are wider than expected (at most 2^20 together)",
                          name, config->heads, config->head_dim);
    return MM_OK;
}

static mm_status refuse_token(reading *r, const char *key) {
    return mm_trouble(r->error, "%s: \"%s\": expected a token's number, null, or a list of up to %d numbers",
                      mm_json_name(r->document), key, MM_EOS_MOST);
}

// The id, the first where it is a list, or `otherwise` if it is absent; -1 if null or outside the vocabulary,
// where no text has it.
static mm_status read_token(reading *r, const char *key, int32_t otherwise, int vocab, int32_t *id) {
    const mm_json *value = mm_json_get(r->root, key);
    bool list = mm_json_kind_of(value) == MM_JSON_ARRAY;
    const mm_json *one = list ? mm_json_at(value, 0) : value;
    *id = -1;
    if (value && (list ? !one : !has(r->root, key))) return MM_OK;
    if (value && mm_json_kind_of(one) != MM_JSON_INTEGER) return refuse_token(r, key);
    int64_t found = value ? mm_json_integer(one) : otherwise;
    if (found >= 0 && found < vocab) *id = (int32_t)found;
    return MM_OK;
}

// One number or a list of them; ids outside the vocabulary end no text and are left out.
static mm_status read_eos(reading *r, mm_config *config) {
    const mm_json *value = mm_json_get(r->root, "eos_token_id");
    bool list = mm_json_kind_of(value) == MM_JSON_ARRAY;
    size_t count = list ? mm_json_size(value) : 1;
    config->eos_count = 0;
    if (count > MM_EOS_MOST) return refuse_token(r, "eos_token_id");
    for (size_t i = 0; i < count; i++) {
        const mm_json *one = list ? mm_json_at(value, i) : value;
        if (mm_json_kind_of(one) != MM_JSON_INTEGER) return refuse_token(r, "eos_token_id");
        int64_t id = mm_json_integer(one);
        if (id >= 0 && id < config->vocab) config->eos[config->eos_count++] = (int32_t)id;
    }
    return MM_OK;
}

// transformers takes a Llama model that names no tokens to have these.
static mm_status read_tokens(reading *r, mm_config *config) {
    enum { LLAMA_BOS = 1, LLAMA_EOS = 2 };
    bool llama = config->kind == MM_MODEL_LLAMA;
    mm_status status = read_token(r, "bos_token_id", llama ? LLAMA_BOS : -1, config->vocab, &config->bos);
    if (!status) status = read_token(r, "pad_token_id", -1, config->vocab, &config->pad);
    if (status) return status;
    if (has(r->root, "eos_token_id")) return read_eos(r, config);
    config->eos_count = llama && !mm_json_get(r->root, "eos_token_id") && config->vocab > LLAMA_EOS;
    config->eos[0] = LLAMA_EOS;
    return MM_OK;
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
    config->max_positions = config->kind == MM_MODEL_QWEN3 ? 32768 : 2048;
    if (!status && has(r->root, "max_position_embeddings"))
        status = mm_json_need_integer(r->document, r->root, "max_position_embeddings", 1, POSITIONS_MOST,
                                      &config->max_positions, r->error);
    return status ? status : read_tokens(r, config);
}

static mm_status read_document(const mm_json_document *document, mm_config *config, mm_error *error) {
    reading r = {document, mm_json_root(document), error};
    *config = (mm_config){0};
    mm_status status = read_kind(&r, config);
    if (!status) status = check_unsupported(&r);
    if (!status) status = read_shape(&r, config);
    if (!status) status = check_shape(&r, config);
    if (!status) status = check_windows(&r, config);
    if (!status) status = check_layer_types(&r, config);
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

static mm_status read_file(const char *path, mm_config *config, mm_error *error) {
    mm_json_document *document;
    mm_status status = mm_json_read(path, MM_CONFIG_JSON_MOST, &document, error);
    if (status) return status;
    status = read_document(document, config, error);
    mm_json_free(document);
    return status;
}

// Whatever has the name must be the file: without it the model would end its texts at other tokens.
static mm_status read_generation(const char *folder, mm_config *config, mm_error *error) {
    mm_json_document *document;
    mm_status status =
        mm_json_read_inside(folder, "generation_config.json", MM_CONFIG_JSON_MOST, &document, error);
    if (status || !document) return status;
    reading r = {document, mm_json_root(document), error};
    if (mm_json_kind_of(r.root) != MM_JSON_OBJECT)
        status = mm_trouble(error, "%s: found %s, expected an object; restore it or move it away",
                            mm_json_name(document), mm_json_kind_name(mm_json_kind_of(r.root)));
    if (!status && has(r.root, "eos_token_id")) status = read_eos(&r, config);
    mm_json_free(document);
    return status;
}

// transformers adds an adapter's weights to the model's.
static mm_status refuse_adapter(const char *folder, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, "adapter_config.json", error);
    if (status || !mm_is_there(path)) return status;
    return mm_trouble(error,
                      "%s: found an adapter beside the model, which is not supported; merge its weights into "
                      "the model's (peft: merge_and_unload), or move it away",
                      path);
}

mm_status mm_config_read(const char *folder, mm_config *config, mm_error *error) {
    char inside[PATH_MAX];
    if (mm_is_file(folder))
        return mm_trouble(error, "%s: found a file, expected a model's folder, which holds a config.json",
                          folder);
    bool there = true;
    mm_status status = mm_path_join(inside, sizeof inside, folder, "config.json", error);
    if (!status) status = mm_find_file(inside, &there, error);
    if (!status && !there)
        status = mm_trouble(error, "%s: no such file, expected a model's; a run's newest model is RUN/model",
                            inside);
    if (!status) status = read_file(inside, config, error);
    if (!status) status = refuse_adapter(folder, error);
    return status ? status : read_generation(folder, config, error);
}

static void put_token(mm_json_writer *w, const char *key, int32_t id) {
    mm_json_put_key(w, key);
    if (id < 0)
        mm_json_put_null(w);
    else
        mm_json_put_integer(w, id);
}

static void put_eos(mm_json_writer *w, const mm_config *config) {
    if (config->eos_count < 2) {
        put_token(w, "eos_token_id", config->eos_count ? config->eos[0] : -1);
        return;
    }
    mm_json_put_key(w, "eos_token_id");
    mm_json_open_inline_array(w);
    for (int i = 0; i < config->eos_count; i++) mm_json_put_integer(w, config->eos[i]);
    mm_json_close(w);
}

static const char *type_name(mm_type type) {
    return type == MM_F16 ? "float16" : type == MM_BF16 ? "bfloat16" : "float32";
}

void mm_config_write(const mm_config *config, mm_type type, mm_text *out) {
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
    put_eos(w, config);
    put_token(w, "pad_token_id", config->pad);
    mm_json_pair_string(w, "torch_dtype", type_name(type)); // transformers 4
    mm_json_pair_string(w, "dtype", type_name(type));       // and 5
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}
