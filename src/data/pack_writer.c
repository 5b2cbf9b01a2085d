#include "pack_writer.h"

#include <assert.h>
#include <limits.h>
#include <mm/data/dataset.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFLATE_LEVEL = 6, END_BYTES = 8 };

void mm_pack_writer_begin(mm_pack_writer *writer, const char *folder, const mm_tokenizer *tokenizer,
                          uint64_t shard_tokens) {
    *writer = (mm_pack_writer){.folder = folder, .tokenizer = tokenizer, .shard_tokens = shard_tokens};
    mm_manifest *manifest = &writer->manifest;
    manifest->vocab = mm_tokenizer_vocab(tokenizer);
    manifest->bos = mm_tokenizer_bos(tokenizer);
    manifest->eos = mm_tokenizer_eos(tokenizer);
    manifest->tokenizer = mm_tokenizer_hash(tokenizer);
    snprintf(manifest->unicode, sizeof manifest->unicode, "%s", mm_unicode_version());
}

static mm_status create(const mm_pack_writer *writer, const char *name, mm_bgzf_writer **file,
                        mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, writer->folder, name, error);
    if (!status) status = mm_bgzf_create(path, MM_DATASET_BLOCK_BYTES, DEFLATE_LEVEL, file, error);
    if (status) *file = NULL;
    return status;
}

static mm_status begin_shard(mm_pack_writer *writer, mm_error *error) {
    mm_manifest *manifest = &writer->manifest;
    if (manifest->shards == MANIFEST_MAX_SHARDS)
        return mm_trouble(error,
                          "--shard-tokens: %llu tokens a shard would make more than %d shards; use more",
                          (unsigned long long)writer->shard_tokens, MANIFEST_MAX_SHARDS);
    if ((size_t)manifest->shards == writer->room) {
        size_t room = writer->room ? 2 * writer->room : 16;
        mm_manifest_shard *grown = realloc(manifest->shard, room * sizeof *grown);
        if (!grown) return mm_trouble(error, "no memory for %zu shards", room);
        manifest->shard = grown;
        writer->room = room;
    }
    char name[MANIFEST_NAME];
    mm_manifest_tokens_name(name, manifest->shards);
    mm_status status = create(writer, name, &writer->tokens, error);
    if (status) return status;
    mm_manifest_documents_name(name, manifest->shards);
    writer->tokens_in_shard = 0;
    writer->text_in_shard = 0;
    return create(writer, name, &writer->documents, error);
}

static mm_status end_shard(mm_pack_writer *writer, mm_error *error) {
    mm_manifest_shard *shard = &writer->manifest.shard[writer->manifest.shards];
    mm_bgzf_writer *tokens = writer->tokens;
    writer->tokens = NULL; // finishing frees it, also in trouble
    mm_status status = mm_bgzf_finish(tokens, &shard->tokens, NULL, error);
    if (status) return status;
    mm_bgzf_writer *documents = writer->documents;
    writer->documents = NULL;
    status = mm_bgzf_finish(documents, &shard->documents, NULL, error);
    if (status) return status;
    shard->text_bytes = writer->text_in_shard;
    writer->manifest.shards++;
    return MM_OK;
}

static void little_endian(unsigned char *out, uint64_t value, int bytes) {
    for (int b = 0; b < bytes; b++) out[b] = (unsigned char)(value >> 8 * b & 0xff);
}

static mm_status write_ids(mm_pack_writer *writer, const int32_t *ids, size_t count, mm_error *error) {
    enum { PIECE = 4096 };
    unsigned char raw[PIECE * 4];
    int bytes = mm_manifest_token_bytes(writer->manifest.vocab);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < part; i++) {
            assert(ids[done + i] >= 0 && ids[done + i] < writer->manifest.vocab);
            little_endian(raw + i * (size_t)bytes, (uint32_t)ids[done + i], bytes);
        }
        mm_status status = mm_bgzf_write(writer->tokens, raw, part * (size_t)bytes, error);
        if (status) return status;
        done += part;
    }
    return MM_OK;
}

mm_status mm_pack_writer_add(mm_pack_writer *writer, const int32_t *ids, size_t count, size_t text_bytes,
                             mm_error *error) {
    mm_manifest *manifest = &writer->manifest;
    mm_status status = writer->tokens ? MM_OK : begin_shard(writer, error);
    if (!status) status = write_ids(writer, &manifest->bos, 1, error);
    if (!status) status = write_ids(writer, ids, count, error);
    if (!status) status = write_ids(writer, &manifest->eos, 1, error);
    if (status) return status;
    uint64_t added = (uint64_t)count + 2;
    writer->tokens_in_shard += added;
    writer->text_in_shard += (int64_t)text_bytes;
    manifest->tokens += (int64_t)added;
    manifest->documents++;
    manifest->text_bytes += (int64_t)text_bytes;
    unsigned char end[END_BYTES];
    little_endian(end, writer->tokens_in_shard, END_BYTES);
    status = mm_bgzf_write(writer->documents, end, sizeof end, error);
    if (!status && writer->tokens_in_shard >= writer->shard_tokens) status = end_shard(writer, error);
    return status;
}

static mm_status copy_tokenizer(const mm_pack_writer *writer, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, writer->folder, "tokenizer.json", error);
    if (status) return status;
    size_t size;
    const char *text = mm_tokenizer_file(writer->tokenizer, &size);
    return mm_publish_file(path, text, size, error);
}

mm_status mm_pack_writer_finish(mm_pack_writer *writer, mm_error *error) {
    assert(writer->manifest.documents > 0);
    mm_status status = writer->tokens ? end_shard(writer, error) : MM_OK;
    if (!status) status = copy_tokenizer(writer, error);
    if (!status) status = mm_manifest_write(&writer->manifest, writer->folder, error);
    return status;
}

void mm_pack_writer_free(mm_pack_writer *writer) {
    mm_bgzf_discard(writer->tokens);
    mm_bgzf_discard(writer->documents);
    mm_manifest_free(&writer->manifest);
    *writer = (mm_pack_writer){0};
}
