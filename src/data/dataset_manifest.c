#include "dataset_manifest.h"

#include <limits.h>
#include <mm/data/dataset.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mm_status mm_dataset_damaged(mm_error *error, const char *format, ...) {
    char found[sizeof error->text];
    va_list values;
    va_start(values, format);
    vsnprintf(found, sizeof found, format, values);
    va_end(values);
    return mm_trouble(error, "%s; restore the dataset, or pack the text again (mm pack)", found);
}

enum { VERSION = 1 };
static const char format[] = "mm-dataset";

int mm_manifest_token_bytes(int vocab) {
    return vocab > 65536 ? 4 : 2;
}

void mm_manifest_tokens_name(char out[MANIFEST_NAME], int shard) {
    snprintf(out, MANIFEST_NAME, "tokens-%05d.gz", shard);
}

void mm_manifest_documents_name(char out[MANIFEST_NAME], int shard) {
    snprintf(out, MANIFEST_NAME, "documents-%05d.gz", shard);
}

static mm_status read_format(const mm_json_document *document, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    const char *name = mm_json_name(document), *found;
    if (mm_json_kind_of(root) != MM_JSON_OBJECT)
        return mm_dataset_damaged(error, "%s: %s, expected an object", name,
                                  mm_json_kind_name(mm_json_kind_of(root)));
    mm_status status = mm_json_need_string(document, root, "format", &found, error);
    if (status) return status;
    if (strcmp(found, format) != 0)
        return mm_dataset_damaged(error, "%s: \"format\" is \"%s\", expected \"%s\"", name, found, format);
    int64_t version;
    status = mm_json_need_integer(document, root, "version", INT64_MIN, INT64_MAX, &version, error);
    if (status) return status;
    if (version != VERSION)
        return mm_trouble(error,
                          "%s: \"version\" is %lld, but this mm reads %d; pack the text again (mm pack)",
                          name, (long long)version, VERSION);
    return MM_OK;
}

// An optional count: -1 if it is not there.
static mm_status read_count(const mm_json_document *document, const mm_json *object, const char *key,
                            int64_t *count, mm_error *error) {
    *count = -1;
    if (!mm_json_get(object, key)) return MM_OK;
    return mm_json_need_integer(document, object, key, 0, INT64_MAX, count, error);
}

static mm_status read_vocabulary(mm_manifest *manifest, const mm_json_document *document, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    int64_t vocab, token_bytes, block_bytes, bos, eos;
    mm_status status = mm_json_need_integer(document, root, "vocab_size", 1, INT32_MAX, &vocab, error);
    if (status) return status;
    int expected = mm_manifest_token_bytes((int)vocab);
    status = mm_json_need_integer(document, root, "token_bytes", 1, 8, &token_bytes, error);
    if (!status && token_bytes != expected)
        status = mm_trouble(error, "%s: \"token_bytes\" is %lld, expected %d for a vocabulary of %lld",
                            mm_json_name(document), (long long)token_bytes, expected, (long long)vocab);
    if (!status)
        status = mm_json_need_integer(document, root, "block_bytes", MM_DATASET_BLOCK_BYTES,
                                      MM_DATASET_BLOCK_BYTES, &block_bytes, error);
    if (!status) status = mm_json_need_integer(document, root, "bos", 0, vocab - 1, &bos, error);
    if (!status) status = mm_json_need_integer(document, root, "eos", 0, vocab - 1, &eos, error);
    if (status) return status;
    manifest->vocab = (int)vocab;
    manifest->bos = (int32_t)bos;
    manifest->eos = (int32_t)eos;
    return MM_OK;
}

static mm_status read_rest(mm_manifest *manifest, const mm_json_document *document, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    const char *unicode;
    mm_status status = mm_json_need_hash(document, root, "tokenizer_xxh128", &manifest->tokenizer, error);
    if (!status) status = mm_json_need_string(document, root, "unicode", &unicode, error);
    if (!status) status = read_count(document, root, "documents", &manifest->documents, error);
    if (!status) status = read_count(document, root, "tokens", &manifest->tokens, error);
    if (!status) status = read_count(document, root, "text_bytes", &manifest->text_bytes, error);
    if (status) return status;
    if (strlen(unicode) >= sizeof manifest->unicode)
        return mm_trouble(error, "%s: \"unicode\" has %zu bytes, expected a version such as 15.0.0",
                          mm_json_name(document), strlen(unicode));
    strcpy(manifest->unicode, unicode);
    return MM_OK;
}

// Names are fixed, so that a damaged or hostile dataset.json never leads to another file.
static mm_status read_name(const mm_json_document *document, const mm_json *shard, int index, const char *key,
                           const char *expected, mm_error *error) {
    const char *found;
    mm_status status = mm_json_need_string(document, shard, key, &found, error);
    if (status) return status;
    if (strcmp(found, expected) != 0)
        return mm_trouble(error, "%s: \"%s\" of shard %d is \"%s\", expected \"%s\"", mm_json_name(document),
                          key, index, found, expected);
    return MM_OK;
}

static mm_status read_shard(mm_manifest_shard *shard, const mm_json_document *document, const mm_json *value,
                            int index, mm_error *error) {
    char tokens[MANIFEST_NAME], documents[MANIFEST_NAME];
    mm_manifest_tokens_name(tokens, index);
    mm_manifest_documents_name(documents, index);
    mm_status status = read_name(document, value, index, "tokens", tokens, error);
    if (!status) status = read_name(document, value, index, "documents", documents, error);
    if (!status) status = mm_json_need_hash(document, value, "tokens_xxh128", &shard->tokens, error);
    if (!status) status = mm_json_need_hash(document, value, "documents_xxh128", &shard->documents, error);
    if (!status) status = read_count(document, value, "text_bytes", &shard->text_bytes, error);
    return status;
}

static mm_status count_shards(mm_manifest *manifest, const mm_json_document *document, mm_error *error) {
    const mm_json *shards;
    mm_status status =
        mm_json_need(document, mm_json_root(document), "shards", MM_JSON_ARRAY, &shards, error);
    if (status) return status;
    size_t count = mm_json_size(shards);
    if (count < 1 || count > MANIFEST_MAX_SHARDS)
        return mm_trouble(error, "%s: %zu shards, expected 1 to %d", mm_json_name(document), count,
                          MANIFEST_MAX_SHARDS);
    manifest->shards = (int)count;
    return MM_OK;
}

// The shards' text must be the whole's, where both are said.
static mm_status settle_text_bytes(mm_manifest *manifest, const char *name, mm_error *error) {
    int64_t sum = 0;
    for (int i = 0; i < manifest->shards; i++) {
        int64_t bytes = manifest->shard[i].text_bytes;
        if (bytes < 0) return MM_OK;
        if (__builtin_add_overflow(sum, bytes, &sum))
            return mm_trouble(error, "%s: the shards' \"text_bytes\" add up to more than 2^63", name);
    }
    if (manifest->text_bytes >= 0 && manifest->text_bytes != sum)
        return mm_trouble(error, "%s: \"text_bytes\" is %lld, but the shards' add up to %lld", name,
                          (long long)manifest->text_bytes, (long long)sum);
    manifest->text_bytes = sum;
    return MM_OK;
}

static mm_status read_shards(mm_manifest *manifest, const mm_json_document *document, mm_error *error) {
    const mm_json *shards = mm_json_get(mm_json_root(document), "shards");
    mm_status status = MM_OK;
    for (int i = 0; i < manifest->shards && !status; i++)
        status = read_shard(&manifest->shard[i], document, mm_json_at(shards, (size_t)i), i, error);
    return status ? status : settle_text_bytes(manifest, mm_json_name(document), error);
}

static mm_status read_content(mm_manifest *manifest, const mm_json_document *document, mm_error *error) {
    mm_error found;
    mm_status status = read_vocabulary(manifest, document, &found);
    if (!status) status = read_rest(manifest, document, &found);
    if (!status) status = count_shards(manifest, document, &found);
    if (status) return mm_dataset_damaged(error, "%s", found.text);
    manifest->shard = calloc((size_t)manifest->shards, sizeof *manifest->shard);
    if (!manifest->shard)
        return mm_trouble(error, "%s: out of memory for %d shards", mm_json_name(document), manifest->shards);
    status = read_shards(manifest, document, &found);
    return status ? mm_dataset_damaged(error, "%s", found.text) : MM_OK;
}

mm_status mm_manifest_find(const char *folder, bool *there, mm_error *error) {
    char path[PATH_MAX], tokens[MANIFEST_NAME];
    mm_status status = mm_path_join(path, sizeof path, folder, "dataset.json", error);
    *there = !status && mm_is_there(path);
    if (!*there) return status;
    mm_manifest_tokens_name(tokens, 0);
    status = mm_path_join(path, sizeof path, folder, tokens, error);
    *there = !status && mm_is_there(path);
    return status;
}

mm_status mm_manifest_read(mm_manifest *manifest, const char *folder, mm_error *error) {
    *manifest = (mm_manifest){0};
    char path[PATH_MAX];
    mm_json_document *document;
    mm_status status = mm_path_join(path, sizeof path, folder, "dataset.json", error);
    bool there = false;
    if (!status) status = mm_find_file(path, &there, error);
    if (status) return status;
    if (!there)
        return mm_trouble(error, "%s: no such file, so %s is not a whole dataset; mm pack makes one", path,
                          folder);
    status = mm_json_read(path, MANIFEST_MAX_BYTES, &document, error);
    if (status) return status;
    status = read_format(document, error);
    if (!status) status = read_content(manifest, document, error);
    mm_json_free(document);
    return status;
}

static void write_shard(mm_json_writer *w, const mm_manifest_shard *shard, int index) {
    char name[MANIFEST_NAME];
    mm_json_open_inline_object(w);
    mm_manifest_tokens_name(name, index);
    mm_json_pair_string(w, "tokens", name);
    mm_manifest_documents_name(name, index);
    mm_json_pair_string(w, "documents", name);
    mm_json_pair_hash(w, "tokens_xxh128", shard->tokens);
    mm_json_pair_hash(w, "documents_xxh128", shard->documents);
    mm_json_pair_integer(w, "text_bytes", shard->text_bytes);
    mm_json_close(w);
}

static void write_manifest(mm_json_writer *w, const mm_manifest *manifest) {
    mm_json_open_object(w);
    mm_json_pair_string(w, "format", format);
    mm_json_pair_integer(w, "version", VERSION);
    mm_json_pair_integer(w, "token_bytes", mm_manifest_token_bytes(manifest->vocab));
    mm_json_pair_integer(w, "block_bytes", MM_DATASET_BLOCK_BYTES);
    mm_json_pair_integer(w, "vocab_size", manifest->vocab);
    mm_json_pair_integer(w, "bos", manifest->bos);
    mm_json_pair_integer(w, "eos", manifest->eos);
    mm_json_pair_hash(w, "tokenizer_xxh128", manifest->tokenizer);
    mm_json_pair_string(w, "unicode", manifest->unicode);
    mm_json_pair_integer(w, "documents", manifest->documents);
    mm_json_pair_integer(w, "tokens", manifest->tokens);
    mm_json_pair_integer(w, "text_bytes", manifest->text_bytes);
    mm_json_put_key(w, "shards");
    mm_json_open_array(w);
    for (int i = 0; i < manifest->shards; i++) write_shard(w, &manifest->shard[i], i);
    mm_json_close(w);
    mm_json_close(w);
}

mm_status mm_manifest_write(const mm_manifest *manifest, const char *folder, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, "dataset.json", error);
    if (status) return status;
    mm_text text = {0};
    mm_json_writer writer = mm_json_writer_on(&text, 2);
    write_manifest(&writer, manifest);
    mm_text_add_string(&text, "\n");
    status = text.failed ? mm_trouble(error, "%s: out of memory writing it", path)
                         : mm_publish_file(path, text.data, text.size, error);
    mm_text_free(&text);
    return status;
}

void mm_manifest_free(mm_manifest *manifest) {
    free(manifest->shard);
    *manifest = (mm_manifest){0};
}
