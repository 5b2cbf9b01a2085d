// mm inspect on datasets and tokenizers.
#include "inspect.h"
#include "print.h"
#include "progress.h"
#include "tokenizer_show.h"
#include <limits.h>
#include <mm/data/dataset.h>
#include <mm/files/publish.h>

static void show_checking(void *self, uint64_t done, uint64_t total) {
    (void)self;
    progress_share("checking", total ? (double)done / (double)total : -1);
}

// DIR/val, if it is there.
static bool find_val(const char *path, char val[PATH_MAX]) {
    char manifest[PATH_MAX];
    return !mm_path_join(val, PATH_MAX, path, "val", NULL) &&
           !mm_path_join(manifest, sizeof manifest, val, "dataset.json", NULL) && mm_is_file(manifest);
}

static void dataset_json(mm_text *out, const mm_dataset *d, bool checked) {
    char val[PATH_MAX];
    mm_json_writer w = mm_json_writer_on(out, 0);
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "kind", "dataset");
    mm_json_pair_string(&w, "path", mm_dataset_path(d));
    mm_json_pair_integer(&w, "tokens", (int64_t)mm_dataset_tokens(d));
    mm_json_pair_integer(&w, "documents", (int64_t)mm_dataset_documents(d));
    mm_json_pair_integer(&w, "text_bytes", (int64_t)mm_dataset_text_bytes(d));
    mm_json_pair_integer(&w, "vocab_size", mm_dataset_vocab(d));
    mm_json_pair_integer(&w, "bos", mm_dataset_bos(d));
    mm_json_pair_integer(&w, "eos", mm_dataset_eos(d));
    mm_json_pair_hash(&w, "tokenizer_xxh128", mm_dataset_tokenizer_hash(d));
    mm_json_pair_string(&w, "unicode", mm_dataset_unicode(d));
    mm_json_pair_hash(&w, "xxh128", mm_dataset_hash(d));
    mm_json_put_key(&w, "shards");
    mm_json_open_array(&w);
    for (int i = 0; i < mm_dataset_shards(d); i++) {
        uint64_t tokens, documents;
        const char *name;
        mm_dataset_shard(d, i, &tokens, &documents, &name);
        mm_json_open_object(&w);
        mm_json_pair_string(&w, "name", name);
        mm_json_pair_integer(&w, "tokens", (int64_t)tokens);
        mm_json_pair_integer(&w, "documents", (int64_t)documents);
        mm_json_close(&w);
    }
    mm_json_close(&w);
    mm_json_pair_string(&w, "val", find_val(mm_dataset_path(d), val) ? val : NULL);
    mm_json_pair_bool(&w, "checked", checked);
    mm_json_close(&w);
    mm_text_add_string(out, "\n");
}

static void dataset_words(mm_text *out, const mm_dataset *d, bool checked) {
    char val[PATH_MAX], hash[MM_HASH_TEXT];
    add_label(out, "dataset");
    add_path(out, mm_dataset_path(d));
    mm_text_add_string(out, "\n");
    add_label(out, "holds");
    add_count(out, (int64_t)mm_dataset_tokens(d), "token");
    mm_text_add_string(out, ", ");
    add_count(out, (int64_t)mm_dataset_documents(d), "document");
    mm_text_add_string(out, ", ");
    add_count(out, mm_dataset_shards(d), "shard");
    uint64_t bytes = mm_dataset_text_bytes(d);
    if (bytes) {
        mm_text_add_string(out, "; of ");
        add_bytes(out, (double)bytes);
        mm_text_format(out, " of text, %.2f bytes a token", (double)bytes / (double)mm_dataset_tokens(d));
    }
    mm_text_add_string(out, "\n");
    add_label(out, "tokenizer");
    mm_text_format(out, "vocabulary %d, bos %d, eos %d, Unicode ", mm_dataset_vocab(d),
                   (int)mm_dataset_bos(d), (int)mm_dataset_eos(d));
    add_name(out, mm_dataset_unicode(d));
    mm_text_add_string(out, "\n");
    if (find_val(mm_dataset_path(d), val)) {
        add_label(out, "val");
        add_path(out, val);
        mm_text_add_string(out, "\n");
    }
    add_label(out, "xxh128");
    mm_text_format(out, "%s\n", mm_hash_print(mm_dataset_hash(d), hash));
    add_label(out, "checked");
    mm_text_add_string(out, checked ? "every block, id and hash\n"
                                    : "sizes and headers; --check reads everything\n");
}

mm_status inspect_dataset(mm_text *out, const char *path, bool json, bool check, mm_error *error) {
    mm_dataset *dataset;
    mm_status status = mm_dataset_open(path, &dataset, error);
    if (status) return status;
    if (check) status = mm_dataset_check(dataset, show_checking, NULL, error);
    if (!status) {
        if (json)
            dataset_json(out, dataset, check);
        else
            dataset_words(out, dataset, check);
    }
    mm_dataset_close(dataset);
    return status;
}

mm_status inspect_tokenizer(mm_text *out, const char *path, bool json, mm_error *error) {
    mm_tokenizer *tokenizer;
    mm_status status = mm_tokenizer_open(path, &tokenizer, error);
    if (status) return status;
    if (json)
        tokenizer_json(out, tokenizer);
    else
        tokenizer_words(out, tokenizer, path);
    mm_tokenizer_close(tokenizer);
    return status;
}
