#include "tokenizer_private.h"

#include "dataset_manifest.h"
#include "normalize.h"

#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>

// A tokenizer.json of 250,000 tokens has 20 MB; what is larger is taken for something else.
enum { MOST_FILE_BYTES = 1 << 28 };

void mm_tokenizer_close(mm_tokenizer *tokenizer) {
    if (!tokenizer) return;
    free(tokenizer->name);
    free(tokenizer->file);
    mm_vocab_free(&tokenizer->vocab);
    mm_bpe_free(&tokenizer->bpe);
    mm_pretokenizer_free(tokenizer->pretokenizer);
    mm_added_free(&tokenizer->added);
    mm_added_free(&tokenizer->normalized);
    free(tokenizer->flags);
    mm_pattern_free(tokenizer->word_character);
    mm_text_free(&tokenizer->contents);
    mm_text_free(&tokenizer->bytes);
    free(tokenizer->byte_starts);
    free(tokenizer);
}

mm_status mm_tokenizer_parse(const char *text, size_t size, const char *name, mm_tokenizer **tokenizer,
                             mm_error *error) {
    *tokenizer = NULL;
    mm_tokenizer *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory for the tokenizer", name);
    made->name = strdup(name);
    made->file = malloc(size + 1);
    mm_status status = MM_OK;
    if (!made->name || !made->file) status = mm_trouble(error, "%s: out of memory for %zu bytes", name, size);
    if (status == MM_OK) {
        memcpy(made->file, text, size);
        made->file[size] = 0;
        made->file_size = size;
        made->hash = mm_hash_bytes(text, size);
        status = mm_tokenizer_read_json(made, error);
    }
    if (status != MM_OK) {
        mm_tokenizer_close(made);
        return status;
    }
    made->bos = mm_tokenizer_id(made, "<|im_start|>");
    made->eos = mm_tokenizer_id(made, "<|im_end|>");
    *tokenizer = made;
    return MM_OK;
}

mm_status mm_tokenizer_find(const char *model, const char *text, char *path, size_t size, mm_error *error) {
    bool there = false;
    mm_status status = mm_path_join(path, size, model, "tokenizer.json", error);
    if (!status) status = mm_find_file(path, &there, error);
    if (status || there) return status;
    if (!text)
        return mm_trouble(
            error, "%s: no such file, expected the tokenizer that the model was trained with; copy it there",
            path);
    return mm_trouble(error,
                      "%s: no such file, expected the tokenizer that the model was trained with, to pack %s; "
                      "copy it there, or mm pack the text with it and give that dataset to --data",
                      path, text);
}

// bos_token or eos_token of tokenizer_config.json; *id stays where it is absent or null.
static mm_status config_token(const mm_tokenizer *tokenizer, const mm_json_document *config, const char *key,
                              int32_t *id, mm_error *error) {
    const mm_json *value = mm_json_get(mm_json_root(config), key);
    if (mm_json_kind_of(value) == MM_JSON_NULL) return MM_OK;
    if (mm_json_kind_of(value) == MM_JSON_OBJECT) value = mm_json_get(value, "content");
    size_t size;
    const char *text = mm_json_string(value, &size);
    if (!text)
        return mm_trouble(error, "%s: \"%s\" is neither a string nor an object with \"content\"",
                          mm_json_name(config), key);
    *id = mm_vocab_find(&tokenizer->vocab, text, size);
    if (*id < 0)
        return mm_trouble(error,
                          "%s: \"%s\" is \"%s\", which %s does not have; correct it, or take the key out",
                          mm_json_name(config), key, text, tokenizer->name);
    return MM_OK;
}

static mm_status config_tokens(mm_tokenizer *tokenizer, const mm_json_document *config, mm_error *error) {
    const mm_json *root = mm_json_root(config);
    if (mm_json_kind_of(root) != MM_JSON_OBJECT)
        return mm_trouble(error, "%s: found %s, expected an object", mm_json_name(config),
                          mm_json_kind_name(mm_json_kind_of(root)));
    mm_status status = config_token(tokenizer, config, "eos_token", &tokenizer->eos, error);
    if (status == MM_OK) status = config_token(tokenizer, config, "bos_token", &tokenizer->bos, error);
    // Such a model begins texts with no token: what stands before a document is what ends the one before, as
    // GPT-2's <|endoftext|> does. <|im_start|>, which begins a turn of a chat, would be wrong.
    const mm_json *bos = mm_json_get(root, "bos_token");
    if (status == MM_OK && bos && mm_json_kind_of(bos) == MM_JSON_NULL) tokenizer->bos = tokenizer->eos;
    return status;
}

static mm_status read_config(mm_tokenizer *tokenizer, const char *folder, mm_error *error) {
    // Whatever has the name must be the file: without it texts would begin and end otherwise.
    mm_json_document *config;
    mm_status status =
        mm_json_read_inside(folder, "tokenizer_config.json", MM_TOKENIZER_CONFIG_MOST, &config, error);
    if (status != MM_OK || !config) return status;
    status = config_tokens(tokenizer, config, error);
    mm_json_free(config);
    return status;
}

// What the tokens of the dataset around it begin and end with.
static mm_status read_dataset(mm_tokenizer *tokenizer, const char *folder, mm_error *error) {
    mm_manifest manifest;
    mm_status status = mm_manifest_read(&manifest, folder, error);
    const int32_t ids[] = {manifest.bos, manifest.eos};
    bool same = mm_hash_equal(manifest.tokenizer, tokenizer->hash);
    mm_manifest_free(&manifest);
    if (status != MM_OK) return status;
    if (!same)
        return mm_trouble(error,
                          "%s is not the tokenizer that dataset.json beside it was packed with; put that one "
                          "back, or move this one to a folder of its own",
                          tokenizer->name);
    for (int i = 0; i < 2; i++) {
        size_t size;
        if (!mm_vocab_text(&tokenizer->vocab, ids[i], &size))
            return mm_trouble(error, "%s has no token %d, which dataset.json beside it says is \"%s\"",
                              tokenizer->name, (int)ids[i], i ? "eos" : "bos");
    }
    tokenizer->bos = ids[0];
    tokenizer->eos = ids[1];
    return MM_OK;
}

// Where documents begin and end, from what stands beside the file at `path`.
static mm_status read_marks(mm_tokenizer *tokenizer, const char *path, mm_error *error) {
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof folder) return MM_OK;
    if (length) {
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    bool dataset;
    mm_status status = mm_manifest_find(folder, &dataset, error);
    if (status != MM_OK) return status;
    return dataset ? read_dataset(tokenizer, folder, error) : read_config(tokenizer, folder, error);
}

mm_status mm_tokenizer_open(const char *path, mm_tokenizer **tokenizer, mm_error *error) {
    *tokenizer = NULL;
    char inside[PATH_MAX];
    if (mm_is_folder(path)) {
        mm_status status = mm_path_join(inside, sizeof inside, path, "tokenizer.json", error);
        if (status != MM_OK) return status;
        path = inside;
    }
    char *text;
    size_t size;
    mm_status status = mm_read_file(path, MOST_FILE_BYTES, &text, &size, error);
    if (status != MM_OK) return status;
    status = mm_tokenizer_parse(text, size, path, tokenizer, error);
    free(text);
    if (status != MM_OK) return status;
    status = read_marks(*tokenizer, path, error);
    if (status != MM_OK) {
        mm_tokenizer_close(*tokenizer);
        *tokenizer = NULL;
    }
    return status;
}

const char *mm_tokenizer_name(const mm_tokenizer *tokenizer) {
    return tokenizer->name;
}

int mm_tokenizer_vocab(const mm_tokenizer *tokenizer) {
    return tokenizer->vocab.limit;
}

int mm_tokenizer_merges(const mm_tokenizer *tokenizer) {
    return tokenizer->merges;
}

const char *mm_tokenizer_file(const mm_tokenizer *tokenizer, size_t *size) {
    *size = tokenizer->file_size;
    return tokenizer->file;
}

mm_hash mm_tokenizer_hash(const mm_tokenizer *tokenizer) {
    return tokenizer->hash;
}

int32_t mm_tokenizer_id(const mm_tokenizer *tokenizer, const char *text) {
    return mm_vocab_find(&tokenizer->vocab, text, strlen(text));
}

const char *mm_tokenizer_bytes(const mm_tokenizer *tokenizer, int32_t id, size_t *size) {
    if (!mm_vocab_text(&tokenizer->vocab, id, size)) return NULL;
    *size = tokenizer->byte_starts[id + 1] - tokenizer->byte_starts[id];
    return tokenizer->bytes.data + tokenizer->byte_starts[id];
}

bool mm_tokenizer_cuttable(const mm_tokenizer *tokenizer) {
    return mm_pretokenizer_cuttable(tokenizer->pretokenizer) && mm_added_cuttable(&tokenizer->added) &&
           mm_added_cuttable(&tokenizer->normalized);
}

const char *mm_tokenizer_nfc(const mm_tokenizer *tokenizer) {
    return tokenizer->nfc ? mm_nfc_unicode_version() : NULL;
}

bool mm_tokenizer_is_special(const mm_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && id < tokenizer->vocab.limit && tokenizer->flags[id] & MM_TOKEN_SPECIAL;
}

int32_t mm_tokenizer_bos(const mm_tokenizer *tokenizer) {
    return tokenizer->bos;
}

int32_t mm_tokenizer_eos(const mm_tokenizer *tokenizer) {
    return tokenizer->eos;
}

static bool same_vocab(const mm_tokenizer *a, const mm_tokenizer *b) {
    if (a->vocab.limit != b->vocab.limit) return false;
    for (int32_t id = 0; id < a->vocab.limit; id++) {
        size_t x = 0, y = 0;
        const char *p = mm_vocab_text(&a->vocab, id, &x), *q = mm_vocab_text(&b->vocab, id, &y);
        if (!p != !q || x != y || (p && memcmp(p, q, x))) return false;
    }
    return true;
}

// Ranks are places in the list, so equal tables are equal lists.
static bool same_merges(const mm_tokenizer *a, const mm_tokenizer *b) {
    if (a->merges != b->merges) return false;
    for (size_t i = 0; i <= a->bpe.mask; i++) {
        uint64_t key = a->bpe.keys[i];
        if (key == UINT64_MAX) continue;
        mm_bpe_merge other = mm_bpe_find(&b->bpe, mm_pair_first(key), mm_pair_second(key));
        if (other.rank != a->bpe.merges[i].rank || other.made != a->bpe.merges[i].made) return false;
    }
    return true;
}

static bool same_added(const mm_added_set *a, const mm_added_set *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        const mm_added_token *x = &a->tokens[i], *y = &b->tokens[i];
        if (x->id != y->id || x->size != y->size || memcmp(x->content, y->content, x->size)) return false;
        if (x->special != y->special || x->single_word != y->single_word || x->lstrip != y->lstrip ||
            x->rstrip != y->rstrip)
            return false;
    }
    return true;
}

bool mm_tokenizer_same(const mm_tokenizer *a, const mm_tokenizer *b, const char **what) {
    *what = NULL;
    if (!same_vocab(a, b)) {
        *what = "vocabulary";
    } else if (!same_merges(a, b)) {
        *what = "merges";
    } else if (!same_added(&a->added, &b->added) || !same_added(&a->normalized, &b->normalized)) {
        *what = "added tokens";
    } else if (!mm_pretokenizer_same(a->pretokenizer, b->pretokenizer)) {
        *what = "pre-tokenizer";
    } else if (a->nfc != b->nfc) {
        *what = "normalizer";
    } else if (a->ignore_merges != b->ignore_merges) {
        *what = "ignore_merges";
    }
    return !*what;
}

mm_status mm_decode(const mm_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                    mm_text *text, mm_error *error) {
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = mm_tokenizer_bytes(tokenizer, ids[i], &size);
        if (!bytes)
            return mm_trouble(error, "%s: id %d at place %zu is not of the vocabulary (0 to %d)",
                              tokenizer->name, ids[i], i, tokenizer->vocab.limit - 1);
        if (!skip_special || !(tokenizer->flags[ids[i]] & MM_TOKEN_SPECIAL)) mm_text_add(text, bytes, size);
    }
    return text->failed ? mm_trouble(error, "the text of %zu tokens: out of memory", count) : MM_OK;
}
