#include "tokenizers.h"
#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>

static mm_status check_same(const char *model_path, const char *data_path, const mm_tokenizer *tokenizer,
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
                       path, data_path, what);
    mm_tokenizer_close(own);
    return status;
}

mm_status mm_tokenizers_check(const char *model_path, const mm_config *config, const char *data_path,
                              const mm_dataset *dataset, const mm_tokenizer *tokenizer, mm_error *error) {
    mm_status status = check_same(model_path, data_path, tokenizer, error);
    int vocab = mm_dataset_vocab(dataset);
    if (status || config->vocab >= vocab) return status;
    return mm_trouble(error,
                      "%s has a vocabulary of %d, %s one of %d; pack the text with the model's tokenizer",
                      model_path, config->vocab, data_path, vocab);
}

static void pair_token(mm_json_writer *w, const char *key, const mm_tokenizer *tokenizer, int32_t id) {
    size_t size = 0;
    const char *text = id >= 0 ? mm_tokenizer_bytes(tokenizer, id, &size) : NULL;
    if (!text) return;
    mm_json_put_key(w, key);
    mm_json_put_string_n(w, text, size);
}

void mm_tokenizers_config(const mm_tokenizer *tokenizer, int32_t bos, int32_t eos, const mm_config *config,
                          mm_text *out) {
    mm_json_writer writer = mm_json_writer_on(out, 2), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_string(w, "tokenizer_class", "PreTrainedTokenizerFast");
    pair_token(w, "bos_token", tokenizer, bos);
    pair_token(w, "eos_token", tokenizer, eos);
    pair_token(w, "pad_token", tokenizer, config->pad);
    mm_json_pair_integer(w, "model_max_length", config->max_positions);
    mm_json_pair_bool(w, "clean_up_tokenization_spaces", false);
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}
