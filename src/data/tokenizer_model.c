// The model of a tokenizer.json: byte-level BPE's vocabulary and merges.
#include "tokenizer_private.h"

#include "tokenizer_utf8.h"

#include <stdlib.h>
#include <string.h>

// Ids may have holes, but each id costs memory, so not more than tokens warrant.
static mm_status highest_id(const mm_tokenizer *t, const mm_json *vocab, const mm_json *added, int32_t *limit,
                            mm_error *error) {
    int64_t highest = -1, cap = 4 * ((int64_t)mm_json_size(vocab) + (int64_t)mm_json_size(added)) + 1024;
    if (cap > INT32_MAX - 1) cap = INT32_MAX - 1;
    for (const void *i = mm_json_first(vocab); i; i = mm_json_next(vocab, i)) {
        const mm_json *value = mm_json_value(i);
        int64_t id = mm_json_integer(value);
        if (mm_json_kind_of(value) != MM_JSON_INTEGER || id < 0 || id >= cap)
            return mm_trouble(error, "%s: token \"%s\" has no id from 0 to %lld; " MM_TOKENIZER_AGAIN,
                              t->name, mm_json_key(i, NULL), (long long)cap - 1);
        if (id > highest) highest = id;
    }
    for (size_t i = 0; i < mm_json_size(added); i++) {
        const mm_json *value = mm_json_get(mm_json_at(added, i), "id");
        int64_t id = mm_json_integer(value);
        if (id < 0 || id >= cap)
            return mm_trouble(error, "%s: an added token has no id from 0 to %lld; " MM_TOKENIZER_AGAIN,
                              t->name, (long long)cap - 1);
        if (id > highest) highest = id;
    }
    *limit = (int32_t)(highest + 1);
    return MM_OK;
}

static mm_status read_vocab(mm_tokenizer *t, const mm_json *vocab, const mm_json *added, mm_error *error) {
    int32_t limit = 0;
    mm_status status = highest_id(t, vocab, added, &limit, error);
    if (status != MM_OK) return status;
    t->flags = calloc((size_t)limit + 1, sizeof *t->flags);
    if (!t->flags || !mm_vocab_make(&t->vocab, mm_json_size(vocab) + mm_json_size(added), limit))
        return mm_trouble(error, "%s: out of memory for a vocabulary of %d tokens", t->name, limit);
    for (const void *i = mm_json_first(vocab); i; i = mm_json_next(vocab, i)) {
        size_t size;
        const char *text = mm_json_key(i, &size);
        int32_t id = (int32_t)mm_json_integer(mm_json_value(i));
        if (mm_vocab_add(&t->vocab, text, size, id) != MM_VOCAB_ADDED)
            return mm_trouble(error,
                              "%s: token \"%s\" has id %d, which another token has, too; " MM_TOKENIZER_AGAIN,
                              t->name, text, id);
        t->flags[id] = MM_TOKEN_IN_MODEL;
    }
    return t->vocab.pool.failed ? mm_trouble(error, "%s: out of memory for its vocabulary", t->name) : MM_OK;
}

// Finds the two halves of a merge, written ["a", "b"] or "a b". False if it is neither.
static bool merge_halves(const mm_json *value, const char *half[2], size_t size[2]) {
    if (mm_json_kind_of(value) == MM_JSON_ARRAY) {
        if (mm_json_size(value) != 2) return false;
        for (size_t i = 0; i < 2; i++)
            if (!(half[i] = mm_json_string(mm_json_at(value, i), &size[i]))) return false;
        return true;
    }
    size_t whole;
    const char *text = mm_json_string(value, &whole);
    const char *space = text ? memchr(text, ' ', whole) : NULL;
    if (!space || memchr(space + 1, ' ', whole - (size_t)(space - text) - 1)) return false;
    half[0] = text;
    size[0] = (size_t)(space - text);
    half[1] = space + 1;
    size[1] = whole - size[0] - 1;
    return true;
}

static mm_status read_merge(mm_tokenizer *t, const mm_json *value, mm_text *joined, mm_error *error) {
    const char *half[2];
    size_t size[2];
    if (!merge_halves(value, half, size))
        return mm_trouble(error, "%s: merge %d is neither [\"a\", \"b\"] nor \"a b\"; " MM_TOKENIZER_AGAIN,
                          t->name, t->merges);
    mm_text_clear(joined);
    mm_text_add(joined, half[0], size[0]);
    mm_text_add(joined, half[1], size[1]);
    if (joined->failed) return mm_trouble(error, "%s: out of memory for its merges", t->name);
    int32_t first = mm_vocab_find(&t->vocab, half[0], size[0]);
    int32_t second = mm_vocab_find(&t->vocab, half[1], size[1]);
    int32_t made = joined->size ? mm_vocab_find(&t->vocab, joined->data, joined->size) : -1;
    if (first < 0 || second < 0 || made < 0)
        return mm_trouble(error,
                          "%s: merge %d, \"%.*s\" and \"%.*s\", has tokens that are not in the "
                          "vocabulary; " MM_TOKENIZER_AGAIN,
                          t->name, t->merges, (int)size[0], half[0], (int)size[1], half[1]);
    if (!size[0] || !size[1])
        return mm_trouble(error, "%s: merge %d has an empty half; " MM_TOKENIZER_AGAIN, t->name, t->merges);
    mm_bpe_add(&t->bpe, first, second, t->merges++, made);
    return MM_OK;
}

static mm_status read_merges(mm_tokenizer *t, const mm_json *list, mm_error *error) {
    size_t count = mm_json_size(list);
    if (count >= INT32_MAX)
        return mm_trouble(error, "%s: %zu merges are too many; " MM_TOKENIZER_AGAIN, t->name, count);
    if (!mm_bpe_make(&t->bpe, count))
        return mm_trouble(error, "%s: out of memory for %zu merges", t->name, count);
    mm_text joined = {0};
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < count; i++) {
        const mm_json *value = mm_json_at(list, i);
        const char *text = mm_json_string(value, NULL);
        // The first line of a merges.txt that was copied in.
        if (text && !strncmp(text, "#version", 8)) continue;
        status = read_merge(t, value, &joined, error);
    }
    mm_text_free(&joined);
    return status;
}

static void find_byte_symbols(mm_tokenizer *t) {
    t->every_byte = true;
    for (int byte = 0; byte < 256; byte++) {
        char symbol[2];
        size_t size = mm_byte_symbol((unsigned char)byte, symbol);
        t->byte_ids[byte] = mm_vocab_find(&t->vocab, symbol, size);
        if (t->byte_ids[byte] < 0) t->every_byte = false;
    }
}

static mm_status check_model(const mm_tokenizer *t, const mm_json *model, mm_error *error) {
    const mm_json *type = mm_json_get(model, "type");
    const char *name = mm_json_string(type, NULL);
    if (type && (!name || strcmp(name, "BPE")))
        return mm_trouble(error, "%s: model type %s is not supported (BPE is)", t->name,
                          name ? name : "(not a string)");
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++) {
        const mm_json *value = mm_json_get(model, affixes[i]);
        const char *text = mm_json_string(value, NULL);
        if (mm_json_kind_of(value) != MM_JSON_NULL && (!text || *text))
            return mm_trouble(error, "%s: the model's %s is \"%s\"; only null and \"\" are supported",
                              t->name, affixes[i], text ? text : "(not a string)");
    }
    const mm_json *dropout = mm_json_get(model, "dropout");
    if (mm_json_kind_of(dropout) != MM_JSON_NULL && mm_json_number(dropout) != 0)
        return mm_trouble(error, "%s: the model's dropout is set, which makes ids random; set it to null",
                          t->name);
    return MM_OK;
}

mm_status mm_tokenizer_read_model(mm_tokenizer *t, const mm_json_document *document, mm_error *error) {
    const mm_json *root = mm_json_root(document), *model, *vocab, *merges;
    mm_status status = mm_json_need(document, root, "model", MM_JSON_OBJECT, &model, error);
    if (status == MM_OK) status = check_model(t, model, error);
    if (status == MM_OK) status = mm_json_need(document, model, "vocab", MM_JSON_OBJECT, &vocab, error);
    if (status == MM_OK) status = mm_json_need(document, model, "merges", MM_JSON_ARRAY, &merges, error);
    if (status == MM_OK) status = read_vocab(t, vocab, mm_json_get(root, "added_tokens"), error);
    if (status == MM_OK) status = read_merges(t, merges, error);
    if (status != MM_OK) return status;
    t->ignore_merges = mm_json_true(mm_json_get(model, "ignore_merges"));
    find_byte_symbols(t);
    // Can every text be written? If so the unknown token never comes up.
    bool all = t->every_byte && mm_pretokenizer_byte_level(t->pretokenizer);
    const char *unknown = mm_json_string(mm_json_get(model, "unk_token"), NULL);
    if (!all && unknown)
        return mm_trouble(
            error, "%s: the model's unk_token \"%s\" is not supported where the vocabulary lacks bytes",
            t->name, unknown);
    if (!all && mm_json_true(mm_json_get(model, "byte_fallback")))
        return mm_trouble(error, "%s: the model's byte_fallback is not supported", t->name);
    return MM_OK;
}
