#include "dataset_private.h"

#include <assert.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>
#include <string.h>

static mm_status open_tokenizer(mm_dataset *dataset, mm_error *error) {
    char path[PATH_MAX];
    char *text;
    size_t size;
    mm_status status = mm_path_join(path, sizeof path, dataset->path, "tokenizer.json", error);
    if (!status) status = mm_read_file(path, MANIFEST_MAX_TOKENIZER, &text, &size, error);
    if (status) return status;
    mm_hash hash = mm_hash_bytes(text, size);
    if (!mm_hash_equal(hash, dataset->manifest.tokenizer)) {
        char found[MM_HASH_TEXT], expected[MM_HASH_TEXT];
        status = mm_dataset_damaged(
            error, "%s: its XXH3-128 is %s, but dataset.json beside it says %s (tokenizer_xxh128)", path,
            mm_hash_print(hash, found), mm_hash_print(dataset->manifest.tokenizer, expected));
    }
    if (!status) status = mm_tokenizer_parse(text, size, path, &dataset->tokenizer, error);
    free(text);
    if (status) {
        dataset->tokenizer = NULL;
        return status;
    }
    int vocab = mm_tokenizer_vocab(dataset->tokenizer);
    if (vocab != dataset->manifest.vocab)
        return mm_dataset_damaged(error,
                                  "%s: a vocabulary of %d, but dataset.json beside it says %d (vocab_size)",
                                  path, vocab, dataset->manifest.vocab);
    return MM_OK;
}

// Every shard begins with a document's bos and ends with a document's eos.
static mm_status check_edges(mm_dataset *dataset, mm_dataset_cursor *cursor, const dataset_shard *shard,
                             mm_error *error) {
    int32_t first, last;
    mm_status status = mm_dataset_read(cursor, shard->first_token, 1, &first, error);
    if (!status) status = mm_dataset_read(cursor, shard->first_token + shard->tokens - 1, 1, &last, error);
    if (!status)
        status = mm_dataset_check_mark(dataset, shard, shard->first_document, shard->first_token, first, true,
                                       error);
    if (!status)
        status = mm_dataset_check_mark(dataset, shard, shard->first_document + shard->documents - 1,
                                       shard->first_token + shard->tokens - 1, last, false, error);
    return status;
}

static mm_status check_all_edges(mm_dataset *dataset, mm_error *error) {
    mm_dataset_cursor *cursor;
    mm_status status = mm_dataset_cursor_new(dataset, &cursor, error);
    if (status) return status;
    for (int i = 0; i < dataset->manifest.shards && !status; i++)
        status = check_edges(dataset, cursor, &dataset->shards[i], error);
    mm_dataset_cursor_free(cursor);
    return status;
}

static mm_status open_shard(mm_dataset *dataset, int index, mm_error *error) {
    dataset_shard *shard = &dataset->shards[index];
    char path[PATH_MAX];
    mm_manifest_tokens_name(shard->name, index);
    mm_status status = mm_path_join(path, sizeof path, dataset->path, shard->name, error);
    if (!status) status = mm_bgzf_open(path, MM_DATASET_BLOCK_BYTES, &shard->file, error);
    if (status) {
        shard->file = NULL;
        return status;
    }
    uint64_t bytes = mm_bgzf_raw_bytes(shard->file), each = (uint64_t)dataset->token_bytes;
    if (bytes == 0 || bytes % each)
        return mm_dataset_damaged(error,
                                  "%s: %llu raw bytes, expected a multiple of %llu, the size of a token",
                                  path, (unsigned long long)bytes, (unsigned long long)each);
    shard->first_token = dataset->tokens;
    shard->tokens = bytes / each;
    shard->first_document = dataset->documents;
    status = mm_dataset_read_documents(dataset, index, error);
    if (status) return status;
    dataset->tokens += shard->tokens;
    dataset->documents += shard->documents;
    return MM_OK;
}

static mm_status check_total(const mm_dataset *dataset, const char *key, int64_t said, uint64_t found,
                             mm_error *error) {
    if (said < 0 || (uint64_t)said == found) return MM_OK;
    return mm_dataset_damaged(error, "%s/dataset.json: \"%s\" is %lld, but the shards hold %llu",
                              dataset->path, key, (long long)said, (unsigned long long)found);
}

static mm_status hash_of_hashes(mm_dataset *dataset, mm_error *error) {
    mm_hasher *hasher = mm_hasher_new();
    if (!hasher) return mm_trouble(error, "%s: out of memory opening it", dataset->path);
    char text[MM_HASH_TEXT];
    for (int i = 0; i < dataset->manifest.shards; i++) {
        const mm_manifest_shard *shard = &dataset->manifest.shard[i];
        mm_hasher_add(hasher, mm_hash_print(shard->tokens, text), MM_HASH_TEXT - 1);
        mm_hasher_add(hasher, mm_hash_print(shard->documents, text), MM_HASH_TEXT - 1);
    }
    dataset->hash = mm_hasher_end(hasher);
    mm_hasher_free(hasher);
    return MM_OK;
}

static mm_status open_all(mm_dataset *dataset, const char *path, mm_error *error) {
    dataset->path = strdup(path);
    if (!dataset->path) return mm_trouble(error, "%s: out of memory opening it", path);
    mm_status status = mm_manifest_read(&dataset->manifest, path, error);
    if (status) return status;
    const mm_manifest *manifest = &dataset->manifest;
    dataset->token_bytes = mm_manifest_token_bytes(manifest->vocab);
    dataset->limit = manifest->vocab;
    dataset->shards = calloc((size_t)manifest->shards, sizeof *dataset->shards);
    if (!dataset->shards) return mm_trouble(error, "%s: out of memory for %d shards", path, manifest->shards);
    status = hash_of_hashes(dataset, error);
    if (!status) status = open_tokenizer(dataset, error);
    for (int i = 0; i < manifest->shards && !status; i++) status = open_shard(dataset, i, error);
    if (!status) status = check_total(dataset, "documents", manifest->documents, dataset->documents, error);
    if (!status) status = check_total(dataset, "tokens", manifest->tokens, dataset->tokens, error);
    return status ? status : check_all_edges(dataset, error);
}

mm_status mm_dataset_open(const char *path, mm_dataset **dataset, mm_error *error) {
    *dataset = NULL;
    mm_dataset *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory opening it", path);
    mm_status status = open_all(made, path, error);
    if (status) {
        mm_dataset_close(made);
        return status;
    }
    *dataset = made;
    return MM_OK;
}

void mm_dataset_close(mm_dataset *dataset) {
    if (!dataset) return;
    for (int i = 0; dataset->shards && i < dataset->manifest.shards; i++)
        if (dataset->shards[i].file) mm_bgzf_close(dataset->shards[i].file);
    if (dataset->tokenizer) mm_tokenizer_close(dataset->tokenizer);
    free(dataset->shards);
    free(dataset->ends);
    mm_manifest_free(&dataset->manifest);
    free(dataset->path);
    free(dataset);
}

const char *mm_dataset_path(const mm_dataset *dataset) {
    return dataset->path;
}

uint64_t mm_dataset_tokens(const mm_dataset *dataset) {
    return dataset->tokens;
}

uint64_t mm_dataset_documents(const mm_dataset *dataset) {
    return dataset->documents;
}

int mm_dataset_vocab(const mm_dataset *dataset) {
    return dataset->manifest.vocab;
}

int32_t mm_dataset_bos(const mm_dataset *dataset) {
    return dataset->manifest.bos;
}

int32_t mm_dataset_eos(const mm_dataset *dataset) {
    return dataset->manifest.eos;
}

int mm_dataset_shards(const mm_dataset *dataset) {
    return dataset->manifest.shards;
}

uint64_t mm_dataset_text_bytes(const mm_dataset *dataset) {
    return dataset->manifest.text_bytes < 0 ? 0 : (uint64_t)dataset->manifest.text_bytes;
}

const char *mm_dataset_unicode(const mm_dataset *dataset) {
    return dataset->manifest.unicode;
}

mm_hash mm_dataset_tokenizer_hash(const mm_dataset *dataset) {
    return dataset->manifest.tokenizer;
}

mm_hash mm_dataset_hash(const mm_dataset *dataset) {
    return dataset->hash;
}

uint64_t mm_dataset_document_end(const mm_dataset *dataset, uint64_t document) {
    assert(document < dataset->documents);
    return dataset->ends[document];
}

void mm_dataset_shard(const mm_dataset *dataset, int shard, uint64_t *tokens, uint64_t *documents,
                      const char **name) {
    assert(shard >= 0 && shard < dataset->manifest.shards);
    *tokens = dataset->shards[shard].tokens;
    *documents = dataset->shards[shard].documents;
    *name = dataset->shards[shard].name;
}
