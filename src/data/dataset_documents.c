// The documents of a shard, and what its tokens must be for them.
#include "dataset_private.h"

#include <limits.h>
#include <mm/files/publish.h>
#include <stdlib.h>

enum { END_BYTES = 8, LEAST_TOKENS = 2 }; // a document has a bos and an eos

// Grows by what was inflated, never by what a header claims.
static mm_status make_room(mm_dataset *dataset, uint64_t count, const char *path, mm_error *error) {
    if (count <= dataset->room) return MM_OK;
    uint64_t room = count > 2 * dataset->room ? count : 2 * dataset->room;
    uint64_t *grown =
        room <= PTRDIFF_MAX / sizeof *grown ? realloc(dataset->ends, (size_t)room * sizeof *grown) : NULL;
    if (!grown)
        return mm_trouble(error, "%s: out of memory for %llu documents", path, (unsigned long long)count);
    dataset->ends = grown;
    dataset->room = room;
    return MM_OK;
}

static uint64_t little_endian(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

// Takes in the ends at byte `at` of the raw stream; *last is the end before them within the shard.
static mm_status take_ends(mm_dataset *dataset, dataset_shard *shard, const char *path,
                           const unsigned char *bytes, size_t size, uint64_t at, uint64_t *last,
                           mm_error *error) {
    uint64_t next = shard->first_document + shard->documents;
    mm_status status = make_room(dataset, next + size / END_BYTES, path, error);
    if (status) return status;
    for (size_t i = 0; i < size; i += END_BYTES) {
        uint64_t end = little_endian(bytes + i, END_BYTES);
        if (end < LEAST_TOKENS || end - LEAST_TOKENS < *last || end > shard->tokens)
            return mm_dataset_damaged(
                error,
                "%s: block %llu at raw byte %llu: document %llu ends at token %llu, expected "
                "%llu to %llu (the one before ends at %llu, %s holds %llu tokens)",
                path, (unsigned long long)((at + i) / MM_DATASET_BLOCK_BYTES), (unsigned long long)(at + i),
                (unsigned long long)shard->documents, (unsigned long long)end,
                (unsigned long long)*last + LEAST_TOKENS, (unsigned long long)shard->tokens,
                (unsigned long long)*last, shard->name, (unsigned long long)shard->tokens);
        *last = end;
        dataset->ends[next++] = shard->first_token + end;
        shard->documents++;
    }
    return MM_OK;
}

static mm_status read_ends(mm_dataset *dataset, dataset_shard *shard, const mm_bgzf *file, mm_hasher *hasher,
                           uint64_t *last, mm_error *error) {
    const char *path = mm_bgzf_path(file);
    uint64_t bytes = mm_bgzf_raw_bytes(file);
    mm_bgzf_cursor *cursor;
    mm_status status = mm_bgzf_cursor_new(file, &cursor, error);
    if (status) return status;
    unsigned char *piece = malloc(MM_DATASET_BLOCK_BYTES);
    if (!piece) status = mm_trouble(error, "%s: out of memory reading it", path);
    for (uint64_t at = 0; at < bytes && !status; at += MM_DATASET_BLOCK_BYTES) {
        size_t size =
            bytes - at < MM_DATASET_BLOCK_BYTES ? (size_t)(bytes - at) : (size_t)MM_DATASET_BLOCK_BYTES;
        status = mm_bgzf_read(cursor, at, piece, size, error);
        if (status) break;
        mm_hasher_add(hasher, piece, size);
        status = take_ends(dataset, shard, path, piece, size, at, last, error);
    }
    free(piece);
    mm_bgzf_cursor_free(cursor);
    return status;
}

static mm_status read_file(mm_dataset *dataset, int index, const mm_bgzf *file, mm_hasher *hasher,
                           mm_error *error) {
    dataset_shard *shard = &dataset->shards[index];
    const char *path = mm_bgzf_path(file);
    uint64_t bytes = mm_bgzf_raw_bytes(file), last = 0;
    if (bytes == 0 || bytes % END_BYTES)
        return mm_dataset_damaged(
            error, "%s: %llu raw bytes, expected a multiple of %d, the size of a document's end", path,
            (unsigned long long)bytes, END_BYTES);
    mm_status status = read_ends(dataset, shard, file, hasher, &last, error);
    if (status) return status;
    if (last != shard->tokens)
        return mm_dataset_damaged(error, "%s: the last document ends at token %llu, but %s holds %llu tokens",
                                  path, (unsigned long long)last, mm_bgzf_path(shard->file),
                                  (unsigned long long)shard->tokens);
    mm_hash hash = mm_hasher_end(hasher), expected = dataset->manifest.shard[index].documents;
    if (mm_hash_equal(hash, expected)) return MM_OK;
    char found[MM_HASH_TEXT], said[MM_HASH_TEXT];
    return mm_dataset_damaged(error,
                              "%s: the XXH3-128 of its raw bytes is %s, but dataset.json beside it says %s "
                              "(documents_xxh128)",
                              path, mm_hash_print(hash, found), mm_hash_print(expected, said));
}

mm_status mm_dataset_read_documents(mm_dataset *dataset, int index, mm_error *error) {
    char name[MANIFEST_NAME], path[PATH_MAX];
    mm_manifest_documents_name(name, index);
    mm_bgzf *file;
    mm_status status = mm_path_join(path, sizeof path, dataset->path, name, error);
    if (!status) status = mm_bgzf_open(path, MM_DATASET_BLOCK_BYTES, &file, error);
    if (status) return status;
    mm_hasher *hasher = mm_hasher_new();
    status = hasher ? read_file(dataset, index, file, hasher, error)
                    : mm_trouble(error, "%s: out of memory reading it", path);
    mm_hasher_free(hasher);
    mm_bgzf_close(file);
    return status;
}
