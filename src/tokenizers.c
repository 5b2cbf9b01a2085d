#include "tokenizers.h"
#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>

mm_status mm_tokenizers_check_same(const char *model_path, const char *data, const mm_tokenizer *tokenizer,
                                   mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, model_path, "tokenizer.json", error);
    if (status || !mm_is_file(path)) return status;
    mm_tokenizer *own;
    status = mm_tokenizer_open(path, &own, error);
    if (status) return status;
    const char *what;
    if (!mm_tokenizer_same(own, tokenizer, &what))
        status =
            mm_trouble(error, "%s and the tokenizer of %s differ in their %s; pack the text with the model's",
                       path, data, what);
    mm_tokenizer_close(own);
    return status;
}

mm_status mm_tokenizers_fit(const mm_config *config, const char *model, const char *data, mm_dataset *dataset,
                            const mm_tokenizer *tokenizer, mm_error *error) {
    int32_t beyond;
    mm_status status = mm_dataset_fit(dataset, config->vocab, &beyond, error);
    if (status || beyond < 0) return status;
    size_t size = 0;
    const char *text = mm_tokenizer_bytes(tokenizer, beyond, &size);
    return mm_trouble(
        error,
        "%s holds token %d (%.*s), but %s has a vocabulary of %d; pack the text with the model's "
        "tokenizer, or without that token",
        data, beyond, (int)(size < 64 ? size : 64), text ? text : "", model, config->vocab);
}

static void pair_token(mm_json_writer *w, const char *key, const mm_tokenizer *tokenizer, int32_t id) {
    size_t size = 0;
    const char *text = id >= 0 ? mm_tokenizer_bytes(tokenizer, id, &size) : NULL;
    if (!text) return;
    mm_json_put_key(w, key);
    mm_json_put_string_n(w, text, size);
}

void mm_tokenizers_config(const mm_tokenizer *tokenizer, int32_t bos, int32_t eos, const mm_config *config,
                          const mm_text *chat_template, mm_text *out) {
    mm_json_writer writer = mm_json_writer_on(out, 2), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_string(w, "tokenizer_class", "PreTrainedTokenizerFast");
    pair_token(w, "bos_token", tokenizer, bos);
    pair_token(w, "eos_token", tokenizer, eos);
    pair_token(w, "pad_token", tokenizer, config->pad);
    mm_json_pair_integer(w, "model_max_length", config->max_positions);
    mm_json_pair_bool(w, "clean_up_tokenization_spaces", false);
    if (chat_template->size) {
        mm_json_put_key(w, "chat_template");
        mm_json_put_string_n(w, chat_template->data, chat_template->size);
    }
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}

// Of a list of {"name", "template"} the one named "default".
static const mm_json *default_template(const mm_json *value) {
    if (mm_json_kind_of(value) != MM_JSON_ARRAY) return value;
    size_t size;
    for (size_t i = 0; i < mm_json_size(value); i++) {
        const mm_json *one = mm_json_at(value, i);
        const char *name = mm_json_string(mm_json_get(one, "name"), &size);
        if (name && strcmp(name, "default") == 0) return mm_json_get(one, "template");
    }
    return NULL;
}

static mm_status template_of_config(const char *folder, mm_text *out, mm_error *error) {
    mm_json_document *config;
    mm_error found;
    mm_status status =
        mm_json_read_inside(folder, "tokenizer_config.json", MM_TOKENIZER_CONFIG_MOST, &config, &found);
    if (status)
        return mm_fail(error, status,
                       "%s; the model's chat template is read from it: repair it, or move it away",
                       found.text);
    if (!config) return MM_OK;
    size_t size;
    const char *text =
        mm_json_string(default_template(mm_json_get(mm_json_root(config), "chat_template")), &size);
    if (text) mm_text_add(out, text, size);
    mm_json_free(config);
    return MM_OK;
}

mm_status mm_tokenizers_template(const char *folder, mm_text *out, mm_error *error) {
    char jinja[PATH_MAX], *text;
    size_t size;
    mm_text_clear(out);
    mm_status status = mm_path_join(jinja, sizeof jinja, folder, "chat_template.jinja", error);
    if (!status && mm_is_there(jinja)) {
        status = mm_read_file(jinja, MM_TOKENIZER_CONFIG_MOST, &text, &size, error);
        if (status) return status;
        mm_text_add(out, text, size);
        free(text);
    } else if (!status) {
        status = template_of_config(folder, out, error);
    }
    if (!status && out->failed) status = mm_trouble(error, "%s: out of memory for its chat template", folder);
    return status;
}
