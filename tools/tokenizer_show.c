#include "tokenizer_show.h"
#include "print.h"
#include <mm/files/json.h>

static void put_token(mm_json_writer *w, const mm_tokenizer *t, const char *key, int32_t id) {
    size_t size = 0;
    const char *bytes = id >= 0 ? mm_tokenizer_bytes(t, id, &size) : NULL;
    mm_json_put_key(w, key);
    if (!bytes) {
        mm_json_put_null(w);
        return;
    }
    mm_json_open_object(w);
    mm_json_pair_integer(w, "id", id);
    mm_json_put_key(w, "text");
    mm_json_put_string_n(w, bytes, size);
    mm_json_close(w);
}

void tokenizer_json(mm_text *out, const mm_tokenizer *t) {
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "kind", "tokenizer");
    mm_json_pair_integer(&w, "vocab_size", mm_tokenizer_vocab(t));
    mm_json_pair_integer(&w, "merges", mm_tokenizer_merges(t));
    put_token(&w, t, "bos", mm_tokenizer_bos(t));
    put_token(&w, t, "eos", mm_tokenizer_eos(t));
    mm_json_put_key(&w, "special");
    mm_json_open_array(&w);
    for (int32_t id = 0; id < mm_tokenizer_vocab(t); id++)
        if (mm_tokenizer_is_special(t, id)) mm_json_put_integer(&w, id);
    mm_json_close(&w);
    mm_json_pair_hash(&w, "xxh128", mm_tokenizer_hash(t));
    mm_json_pair_string(&w, "unicode", mm_unicode_version());
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static void token_words(mm_text *out, const mm_tokenizer *t, const char *label, int32_t id) {
    size_t size = 0;
    const char *bytes = id >= 0 ? mm_tokenizer_bytes(t, id, &size) : NULL;
    add_label(out, label);
    size_t from = out->size;
    if (bytes) {
        mm_text_format(out, "%d ", (int)id);
        mm_text_add(out, bytes, size);
    } else {
        mm_text_add_string(out, "none");
    }
    mm_text_flatten(out, from);
    mm_text_add_string(out, "\n");
}

void tokenizer_words(mm_text *out, const mm_tokenizer *t, const char *path) {
    char hash[MM_HASH_TEXT];
    int special = 0;
    for (int32_t id = 0; id < mm_tokenizer_vocab(t); id++) special += mm_tokenizer_is_special(t, id);
    add_label(out, "tokenizer");
    add_path(out, path);
    mm_text_add_string(out, "\n");
    add_label(out, "entries");
    mm_text_add_grouped(out, mm_tokenizer_vocab(t));
    mm_text_add_string(out, ", ");
    add_count(out, mm_tokenizer_merges(t), "merge");
    mm_text_format(out, ", %d special\n", special);
    token_words(out, t, "bos", mm_tokenizer_bos(t));
    token_words(out, t, "eos", mm_tokenizer_eos(t));
    add_label(out, "xxh128");
    mm_text_format(out, "%s\n", mm_hash_print(mm_tokenizer_hash(t), hash));
}
