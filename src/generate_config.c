// generation_config.json, as transformers' generate takes it (but its eos, which is a model's configuration).
#include "generate_config.h"
#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/run/generate.h>

// A setting that is not supported, and the number that means that it is not used. Null, false and an empty
// list or object never are.
typedef struct unsupported {
    const char *key;
    double unused;
    bool drawn_only;
} unsupported;

static const unsupported all_unsupported[] = {
    {"num_beams", 1, false},
    {"no_repeat_ngram_size", 0, false},
    {"encoder_repetition_penalty", 1, false},
    {"guidance_scale", 1, false},
    {"min_length", 0, false},
    {"min_new_tokens", 0, false},
    {"bad_words_ids", 0, false},
    {"force_words_ids", 0, false},
    {"constraints", 0, false},
    {"forced_bos_token_id", -1, false},
    {"forced_eos_token_id", -1, false},
    {"exponential_decay_length_penalty", 0, false},
    {"suppress_tokens", -1, false},
    {"begin_suppress_tokens", -1, false},
    {"sequence_bias", 0, false},
    {"stop_strings", 0, false},
    {"token_healing", 0, false},
    {"watermarking_config", 0, false},
    {"dola_layers", 0, false},
    {"penalty_alpha", 0, false},
    {"diversity_penalty", 0, false},
    {"top_h", 0, true},
    {"min_p", 0, true},
    {"typical_p", 1, true},
    {"epsilon_cutoff", 0, true},
    {"eta_cutoff", 0, true},
};

// *document stays NULL where there is no such file.
static mm_status read_file(const char *folder, mm_json_document **document, mm_error *error) {
    char path[PATH_MAX];
    *document = NULL;
    mm_status status = mm_path_join(path, sizeof path, folder, "generation_config.json", error);
    if (status || !mm_is_there(path)) return status;
    return mm_json_read(path, MM_CONFIG_JSON_MOST, document, error);
}

static bool is_unused(const mm_json *value, double unused) {
    switch (mm_json_kind_of(value)) {
    case MM_JSON_NULL:
        return true;
    case MM_JSON_BOOL:
        return !mm_json_true(value);
    case MM_JSON_ARRAY:
    case MM_JSON_OBJECT:
        return mm_json_size(value) == 0;
    case MM_JSON_INTEGER:
    case MM_JSON_REAL:
        return mm_json_number(value) >= unused && mm_json_number(value) <= unused;
    default:
        return false;
    }
}

mm_status mm_generation_supported(const char *folder, bool drawn, mm_error *error) {
    mm_json_document *document;
    mm_status status = read_file(folder, &document, error);
    if (status || !document) return status;
    for (size_t i = 0; !status && i < sizeof all_unsupported / sizeof *all_unsupported; i++) {
        const unsupported *u = &all_unsupported[i];
        if ((u->drawn_only && !drawn) || is_unused(mm_json_get(mm_json_root(document), u->key), u->unused))
            continue;
        status =
            mm_trouble(error,
                       "%s: \"%s\" has a value that changes which tokens are chosen and is not supported; "
                       "take it out of the file to generate without it%s",
                       mm_json_name(document), u->key, u->drawn_only ? ", or use --temperature 0" : "");
    }
    mm_json_free(document);
    return status;
}

static bool has(const mm_json_document *document, const char *key) {
    return mm_json_kind_of(mm_json_get(mm_json_root(document), key)) != MM_JSON_NULL;
}

static mm_status maybe_number(const mm_json_document *document, const char *key, double least, double most,
                              double *number, mm_error *error) {
    if (!has(document, key)) return MM_OK;
    return mm_json_need_number(document, mm_json_root(document), key, least, most, number, error);
}

static mm_status maybe_integer(const mm_json_document *document, const char *key, int64_t least,
                               int64_t *number, mm_error *error) {
    if (!has(document, key)) return MM_OK;
    return mm_json_need_integer(document, mm_json_root(document), key, least, INT_MAX, number, error);
}

static mm_status take(const mm_json_document *document, mm_sampling *sampling, int64_t *max_tokens,
                      mm_error *error) {
    mm_status status = maybe_number(document, "temperature", 0, 1e9, &sampling->temperature, error);
    if (!status) status = maybe_integer(document, "top_k", 0, &sampling->top_k, error);
    if (!status) status = maybe_number(document, "top_p", 0, 1, &sampling->top_p, error);
    if (!status)
        status = maybe_number(document, "repetition_penalty", MM_PENALTY_LEAST, MM_PENALTY_MOST,
                              &sampling->repetition_penalty, error);
    if (!status) status = maybe_integer(document, "max_new_tokens", 1, max_tokens, error);
    const mm_json *drawn = mm_json_get(mm_json_root(document), "do_sample");
    if (mm_json_kind_of(drawn) == MM_JSON_BOOL && !mm_json_true(drawn)) sampling->temperature = 0;
    return status;
}

mm_status mm_sampling_of_model(const char *folder, mm_sampling *sampling, int64_t *max_tokens,
                               mm_error *error) {
    mm_json_document *document;
    mm_status status = read_file(folder, &document, error);
    if (status || !document) return status;
    status = take(document, sampling, max_tokens, error);
    mm_json_free(document);
    return status;
}
