// The whole of a dataset, against itself and dataset.json.
#include "dataset_private.h"

#include <stdlib.h>

typedef struct checker {
    const mm_dataset *dataset;
    mm_dataset_cursor *cursor;
    mm_hasher *hasher;
    int32_t *ids;       // a block's worth
    unsigned char *raw; // the same, as it lies in the file
    uint64_t document;  // the one that the next token belongs to
    uint64_t start;     // its first token
    void (*progress)(void *self, uint64_t done, uint64_t total);
    void *self;
} checker;

// Does each document that begins or ends in these tokens do so with bos and eos?
static mm_status check_marks(checker *check, const dataset_shard *shard, uint64_t first, uint64_t count,
                             mm_error *error) {
    const mm_dataset *dataset = check->dataset;
    mm_status status = MM_OK;
    while (check->document < shard->first_document + shard->documents && !status) {
        uint64_t start = check->start, last = dataset->ends[check->document] - 1;
        if (start >= first && start < first + count)
            status = mm_dataset_check_mark(dataset, shard, check->document, start, check->ids[start - first],
                                           true, error);
        if (status || last >= first + count) break;
        status = mm_dataset_check_mark(dataset, shard, check->document, last, check->ids[last - first], false,
                                       error);
        check->start = last + 1;
        check->document++;
    }
    return status;
}

static void hash_ids(checker *check, uint64_t count) {
    size_t bytes = (size_t)check->dataset->token_bytes, size = 0;
    for (uint64_t i = 0; i < count; i++)
        for (size_t b = 0; b < bytes; b++)
            check->raw[size++] = (unsigned char)((uint32_t)check->ids[i] >> 8 * b & 0xff);
    mm_hasher_add(check->hasher, check->raw, size);
}

static mm_status check_hash(const checker *check, int index, mm_error *error) {
    mm_hash hash = mm_hasher_end(check->hasher), expected = check->dataset->manifest.shard[index].tokens;
    if (mm_hash_equal(hash, expected)) return MM_OK;
    char found[MM_HASH_TEXT], said[MM_HASH_TEXT];
    return mm_dataset_damaged(error,
                              "%s: the XXH3-128 of its raw bytes is %s, but dataset.json beside it says %s "
                              "(tokens_xxh128)",
                              mm_bgzf_path(check->dataset->shards[index].file), mm_hash_print(hash, found),
                              mm_hash_print(expected, said));
}

static mm_status check_shard(checker *check, int index, mm_error *error) {
    const mm_dataset *dataset = check->dataset;
    const dataset_shard *shard = &dataset->shards[index];
    uint64_t block = MM_DATASET_BLOCK_BYTES / (uint64_t)dataset->token_bytes;
    mm_hasher_reset(check->hasher);
    for (uint64_t at = 0; at < shard->tokens; at += block) {
        uint64_t count = shard->tokens - at < block ? shard->tokens - at : block;
        uint64_t first = shard->first_token + at;
        mm_status status = mm_dataset_read(check->cursor, first, (int64_t)count, check->ids, error);
        if (status) return status;
        hash_ids(check, count);
        status = check_marks(check, shard, first, count, error);
        if (status) return status;
        if (check->progress) check->progress(check->self, first + count, dataset->tokens);
    }
    return check_hash(check, index, error);
}

mm_status mm_dataset_check(const mm_dataset *dataset,
                           void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                           mm_error *error) {
    checker check = {.dataset = dataset, .progress = progress, .self = self};
    mm_status status = mm_dataset_cursor_new(dataset, &check.cursor, error);
    if (status) return status;
    check.hasher = mm_hasher_new();
    check.raw = malloc(MM_DATASET_BLOCK_BYTES);
    check.ids = malloc(MM_DATASET_BLOCK_BYTES / 2 * sizeof *check.ids);
    if (!check.hasher || !check.raw || !check.ids)
        status = mm_trouble(error, "%s: out of memory checking it", dataset->path);
    for (int i = 0; i < dataset->manifest.shards && !status; i++) status = check_shard(&check, i, error);
    free(check.ids);
    free(check.raw);
    mm_hasher_free(check.hasher);
    mm_dataset_cursor_free(check.cursor);
    return status;
}
