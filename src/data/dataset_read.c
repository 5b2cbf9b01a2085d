// Tokens at random, and all of them checked.
#include "dataset_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct mm_dataset_cursor {
    const mm_dataset *dataset;
    mm_bgzf_cursor **files; // one for each shard
    unsigned char raw[MM_DATASET_BLOCK_BYTES];
};

mm_status mm_dataset_cursor_new(const mm_dataset *dataset, mm_dataset_cursor **cursor, mm_error *error) {
    *cursor = NULL;
    int shards = dataset->manifest.shards;
    mm_dataset_cursor *made = malloc(sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory reading it", dataset->path);
    made->dataset = dataset;
    made->files = calloc((size_t)shards, sizeof(mm_bgzf_cursor *));
    mm_status status = made->files ? MM_OK : mm_trouble(error, "%s: out of memory reading it", dataset->path);
    for (int i = 0; i < shards && !status; i++)
        status = mm_bgzf_cursor_new(dataset->shards[i].file, &made->files[i], error);
    if (status) {
        mm_dataset_cursor_free(made);
        return status;
    }
    *cursor = made;
    return MM_OK;
}

void mm_dataset_cursor_free(mm_dataset_cursor *cursor) {
    if (!cursor) return;
    for (int i = 0; cursor->files && i < cursor->dataset->manifest.shards; i++)
        if (cursor->files[i]) mm_bgzf_cursor_free(cursor->files[i]);
    free(cursor->files);
    free(cursor);
}

// "PATH: block B at raw byte O: token I", as far as a message about a token begins.
static void place_of(const mm_dataset *dataset, const dataset_shard *shard, uint64_t i, char *out,
                     size_t size) {
    uint64_t byte = i * (uint64_t)dataset->token_bytes;
    snprintf(out, size, "%s: block %llu at raw byte %llu: token %llu", mm_bgzf_path(shard->file),
             (unsigned long long)(byte / MM_DATASET_BLOCK_BYTES), (unsigned long long)byte,
             (unsigned long long)i);
}

mm_status mm_dataset_check_mark(const mm_dataset *dataset, const dataset_shard *shard, uint64_t document,
                                uint64_t i, int32_t found, bool bos, mm_error *error) {
    int32_t expected = bos ? dataset->manifest.bos : dataset->manifest.eos;
    if (found == expected) return MM_OK;
    char place[1024];
    place_of(dataset, shard, i - shard->first_token, place, sizeof place);
    return mm_dataset_damaged(
        error, "%s %s document %llu and is %d, but dataset.json beside it says %s is %d", place,
        bos ? "begins" : "ends", (unsigned long long)(document - shard->first_document), found,
        bos ? "bos" : "eos", expected);
}

static uint32_t get_token(const unsigned char *raw, int bytes) {
    uint32_t id = (uint32_t)raw[0] | (uint32_t)raw[1] << 8;
    return bytes == 2 ? id : id | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
}

// `count` tokens of a shard from its raw bytes on, which hold token `first` first.
static mm_status convert(const mm_dataset *dataset, const dataset_shard *shard, const unsigned char *raw,
                         uint64_t first, size_t count, int32_t *out, mm_error *error) {
    int bytes = dataset->token_bytes;
    uint32_t limit = (uint32_t)dataset->limit;
    for (size_t i = 0; i < count; i++) {
        uint32_t id = get_token(raw + i * (size_t)bytes, bytes);
        if (id >= limit) {
            char place[1024];
            place_of(dataset, shard, first + i, place, sizeof place);
            if (dataset->limit == dataset->manifest.vocab)
                return mm_dataset_damaged(
                    error, "%s is %u, expected less than %u, the vocabulary that dataset.json says", place,
                    id, limit);
            return mm_trouble(error,
                              "%s is %u, expected less than %u, the vocabulary of the model; give a --model "
                              "of that vocabulary",
                              place, id, limit);
        }
        out[i] = (int32_t)id;
    }
    return MM_OK;
}

static int shard_of(const mm_dataset *dataset, uint64_t token) {
    int low = 0, high = dataset->manifest.shards;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (dataset->shards[middle].first_token <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

mm_status mm_dataset_read(mm_dataset_cursor *cursor, uint64_t first, int64_t count, int32_t *out,
                          mm_error *error) {
    const mm_dataset *dataset = cursor->dataset;
    assert(count >= 0 && first <= dataset->tokens && (uint64_t)count <= dataset->tokens - first);
    uint64_t each = (uint64_t)dataset->token_bytes, left = (uint64_t)count;
    for (int index = shard_of(dataset, first); left; index++) {
        const dataset_shard *shard = &dataset->shards[index];
        uint64_t at = first - shard->first_token;
        while (left && at < shard->tokens) {
            uint64_t part = sizeof cursor->raw / each;
            if (part > left) part = left;
            if (part > shard->tokens - at) part = shard->tokens - at;
            mm_status status =
                mm_bgzf_read(cursor->files[index], at * each, cursor->raw, (size_t)(part * each), error);
            if (!status) status = convert(dataset, shard, cursor->raw, at, (size_t)part, out, error);
            if (status) return status;
            out += part;
            at += part;
            first += part;
            left -= part;
        }
    }
    return MM_OK;
}

mm_status mm_dataset_fit(mm_dataset *dataset, int vocab, int32_t *beyond, mm_error *error) {
    enum { PART = 16000 };
    *beyond = -1;
    if (vocab >= dataset->manifest.vocab) return MM_OK;
    mm_dataset_cursor *cursor;
    mm_status status = mm_dataset_cursor_new(dataset, &cursor, error);
    if (status) return status;
    int32_t *ids = malloc(PART * sizeof *ids);
    if (!ids) status = mm_trouble(error, "%s: out of memory reading it", dataset->path);
    for (uint64_t first = 0; !status && *beyond < 0 && first < dataset->tokens; first += PART) {
        int64_t count = (int64_t)(dataset->tokens - first < PART ? dataset->tokens - first : (uint64_t)PART);
        status = mm_dataset_read(cursor, first, count, ids, error);
        for (int64_t i = 0; !status && *beyond < 0 && i < count; i++)
            if (ids[i] >= vocab) *beyond = ids[i];
    }
    if (!status && *beyond < 0) dataset->limit = vocab;
    free(ids);
    mm_dataset_cursor_free(cursor);
    return status;
}
