// A dataset folder while it is written: documents go in, in order; their bytes come out of mm_pack_blocks.
#ifndef DATA_PACK_WRITER_H
#define DATA_PACK_WRITER_H

#include "pack_blocks.h"
#include <mm/data/tokenizer.h>

typedef struct mm_pack_writer {
    const char *folder;
    const mm_tokenizer *tokenizer;
    uint64_t shard_tokens; // a shard ends with the document that reaches this
    mm_manifest manifest;  // its counts go with each document, its shards with each that begins
    size_t room;           // of manifest.shard
    mm_pack_blocks blocks;
    bool in_shard, in_document;
    bool repairing;    // the document that is added had bytes that were no UTF-8
    uint64_t repaired; // such documents
    uint64_t tokens_in_shard;
} mm_pack_writer;

// `folder` and `tokenizer` must outlive it. Free it whatever happens.
MM_CHECKED mm_status mm_pack_writer_begin(mm_pack_writer *writer, const char *folder,
                                          const mm_tokenizer *tokenizer, uint64_t shard_tokens, int workers,
                                          mm_error *error);
// The ids of a document or of a piece of one, made from `text_bytes` bytes of text; bos goes before its
// first, eos behind the one that ends it.
MM_CHECKED mm_status mm_pack_writer_add(mm_pack_writer *writer, const int32_t *ids, size_t count, bool ends,
                                        size_t text_bytes, mm_error *error);
// Had what is added next bytes that were replaced?
void mm_pack_writer_repaired(mm_pack_writer *writer, bool repaired);
// Queues what is left; no more is added.
MM_CHECKED mm_status mm_pack_writer_end(mm_pack_writer *writer, mm_error *error);
// Writes the blocks that are queued, which have been deflated.
MM_CHECKED mm_status mm_pack_writer_flush(mm_pack_writer *writer, mm_error *error);
// tokenizer.json, and dataset.json last. At least one document was added, and all is flushed.
MM_CHECKED mm_status mm_pack_writer_finish(mm_pack_writer *writer, mm_error *error);
void mm_pack_writer_free(mm_pack_writer *writer);

#endif
