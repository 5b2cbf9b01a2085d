// generation_config.json, as transformers' generate takes it (but its eos, which is a model's configuration).
#include "generate_config.h"
#include <limits.h>
#include <mm/files/json.h>
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
    {"encoder_no_repeat_ngram_size", 0, false},
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

static mm_status read_file(const char *folder, mm_json_document **document, mm_error *error) {
    return mm_json_read_inside(folder, "generation_config.json", MM_CONFIG_JSON_MOST, document, error);
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

// Where the numbers come from: the file, if there is one.
typedef struct source {
    const mm_json_document *document; // NULL: none
    mm_error *error;
} source;

static bool says(const source *s, const char *key) {
    return s->document && mm_json_kind_of(mm_json_get(mm_json_root(s->document), key)) != MM_JSON_NULL;
}

static mm_status refuse(const source *s, const mm_error *found, const char *option) {
    return mm_trouble(s->error, "%s; correct it there, or give %s", found->text, option);
}

// A number that is negative becomes the file's, else `otherwise`.
static mm_status fill(const source *s, const char *key, const char *option, double least, double most,
                      double otherwise, double *number) {
    mm_error found;
    if (*number >= 0) return MM_OK;
    *number = otherwise;
    if (!says(s, key)) return MM_OK;
    mm_status status =
        mm_json_need_number(s->document, mm_json_root(s->document), key, least, most, number, &found);
    return status ? refuse(s, &found, option) : MM_OK;
}

// The same of a whole number, where it is below `least`.
static mm_status fill_whole(const source *s, const char *key, const char *option, int64_t least,
                            int64_t otherwise, int64_t *number) {
    mm_error found;
    if (*number >= least) return MM_OK;
    *number = otherwise;
    if (!says(s, key)) return MM_OK;
    mm_status status =
        mm_json_need_integer(s->document, mm_json_root(s->document), key, least, INT_MAX, number, &found);
    return status ? refuse(s, &found, option) : MM_OK;
}

static mm_status complete(const source *s, bool drawn, mm_sampling *sampling, int64_t *max_tokens) {
    const mm_sampling standard = mm_sampling_default();
    const mm_json *sample = s->document ? mm_json_get(mm_json_root(s->document), "do_sample") : NULL;
    bool greedy = mm_json_kind_of(sample) == MM_JSON_BOOL && !mm_json_true(sample);
    if (sampling->temperature < 0 && greedy && !drawn) sampling->temperature = 0;
    mm_status status =
        fill(s, "temperature", "--temperature", 0, 1e9, standard.temperature, &sampling->temperature);
    // Where the likeliest is taken these say nothing.
    source drawing = *s;
    if (sampling->temperature <= 0) drawing.document = NULL;
    if (!status) status = fill_whole(&drawing, "top_k", "--top-k", 0, standard.top_k, &sampling->top_k);
    if (!status) status = fill(&drawing, "top_p", "--top-p", 0, 1, standard.top_p, &sampling->top_p);
    if (!status)
        status = fill(s, "repetition_penalty", "--repetition-penalty", MM_PENALTY_LEAST, MM_PENALTY_MOST,
                      standard.repetition_penalty, &sampling->repetition_penalty);
    if (!status) status = fill_whole(s, "max_new_tokens", "--max-tokens", 1, MM_GENERATE_TOKENS, max_tokens);
    return status;
}

mm_status mm_sampling_complete(const char *folder, bool drawn, mm_sampling *sampling, int64_t *max_tokens,
                               mm_error *error) {
    mm_json_document *document;
    mm_status status = read_file(folder, &document, error);
    if (status) return status;
    status = complete(&(source){document, error}, drawn, sampling, max_tokens);
    mm_json_free(document);
    return status;
}
