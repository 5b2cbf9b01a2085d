#include "pack_writer.h"

#include <assert.h>
#include <limits.h>
#include <mm/files/publish.h>
#include <stdio.h>
#include <stdlib.h>

enum { END_BYTES = 8 };

mm_status mm_pack_writer_begin(mm_pack_writer *writer, const char *folder, const mm_tokenizer *tokenizer,
                               uint64_t shard_tokens, int workers, mm_error *error) {
    *writer = (mm_pack_writer){.folder = folder, .tokenizer = tokenizer, .shard_tokens = shard_tokens};
    mm_manifest *manifest = &writer->manifest;
    manifest->vocab = mm_tokenizer_vocab(tokenizer);
    manifest->bos = mm_tokenizer_bos(tokenizer);
    manifest->eos = mm_tokenizer_eos(tokenizer);
    manifest->tokenizer = mm_tokenizer_hash(tokenizer);
    const char *nfc = mm_tokenizer_nfc(tokenizer);
    snprintf(manifest->unicode, sizeof manifest->unicode, nfc ? "%s, NFC %s" : "%s", mm_unicode_version(),
             nfc);
    return mm_pack_blocks_begin(&writer->blocks, folder, workers, error);
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
        if (!grown) return mm_trouble(error, "%zu shards: out of memory", room);
        manifest->shard = grown;
        writer->room = room;
    }
    manifest->shard[manifest->shards++] = (mm_manifest_shard){0};
    writer->tokens_in_shard = 0;
    writer->in_shard = true;
    return MM_OK;
}

static mm_status queue(mm_pack_writer *writer, bool last, mm_error *error) {
    int shard = writer->manifest.shards - 1;
    mm_status status = mm_pack_blocks_queue(&writer->blocks, shard, MM_PACK_TOKENS, last, error);
    if (!status) status = mm_pack_blocks_queue(&writer->blocks, shard, MM_PACK_DOCUMENTS, last, error);
    if (last) writer->in_shard = false;
    return status;
}

static void little_endian(unsigned char *out, uint64_t value, int bytes) {
    for (int b = 0; b < bytes; b++) out[b] = (unsigned char)(value >> 8 * b & 0xff);
}

static void add_ids(mm_pack_writer *writer, const int32_t *ids, size_t count) {
    enum { PIECE = 4096 };
    unsigned char raw[PIECE * 4];
    int bytes = mm_manifest_token_bytes(writer->manifest.vocab);
    for (size_t done = 0; done < count;) {
        size_t part = count - done < PIECE ? count - done : (size_t)PIECE;
        for (size_t i = 0; i < part; i++) {
            assert(ids[done + i] >= 0 && ids[done + i] < writer->manifest.vocab);
            little_endian(raw + i * (size_t)bytes, (uint32_t)ids[done + i], bytes);
        }
        mm_text_add(&writer->blocks.raw[MM_PACK_TOKENS], raw, part * (size_t)bytes);
        done += part;
    }
    writer->tokens_in_shard += count;
    writer->manifest.tokens += (int64_t)count;
}

void mm_pack_writer_repaired(mm_pack_writer *writer, bool repaired) {
    writer->repairing |= repaired;
}

mm_status mm_pack_writer_add(mm_pack_writer *writer, const int32_t *ids, size_t count, bool ends,
                             size_t text_bytes, mm_error *error) {
    mm_manifest *manifest = &writer->manifest;
    mm_status status = writer->in_shard ? MM_OK : begin_shard(writer, error);
    if (status) return status;
    if (!writer->in_document) add_ids(writer, &manifest->bos, 1);
    add_ids(writer, ids, count);
    writer->in_document = !ends;
    manifest->text_bytes += (int64_t)text_bytes;
    manifest->shard[manifest->shards - 1].text_bytes += (int64_t)text_bytes;
    if (!ends) return queue(writer, false, error);
    add_ids(writer, &manifest->eos, 1);
    manifest->documents++;
    writer->repaired += writer->repairing;
    writer->repairing = false;
    unsigned char end[END_BYTES];
    little_endian(end, writer->tokens_in_shard, END_BYTES);
    mm_text_add(&writer->blocks.raw[MM_PACK_DOCUMENTS], end, sizeof end);
    return queue(writer, writer->tokens_in_shard >= writer->shard_tokens, error);
}

mm_status mm_pack_writer_end(mm_pack_writer *writer, mm_error *error) {
    assert(!writer->in_document);
    return writer->in_shard ? queue(writer, true, error) : MM_OK;
}

mm_status mm_pack_writer_flush(mm_pack_writer *writer, mm_error *error) {
    return mm_pack_blocks_write(&writer->blocks, writer->manifest.shard, error);
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
    assert(writer->manifest.documents > 0 && !writer->in_shard && !writer->blocks.count);
    mm_status status = copy_tokenizer(writer, error);
    return status ? status : mm_manifest_write(&writer->manifest, writer->folder, error);
}

void mm_pack_writer_free(mm_pack_writer *writer) {
    mm_pack_blocks_free(&writer->blocks);
    mm_manifest_free(&writer->manifest);
    *writer = (mm_pack_writer){0};
}
