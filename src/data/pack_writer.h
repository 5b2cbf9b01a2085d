// A dataset folder while it is written, a document at a time.
#ifndef DATA_PACK_WRITER_H
#define DATA_PACK_WRITER_H

#include "dataset_manifest.h"
#include <mm/data/tokenizer.h>
#include <mm/files/bgzf.h>

typedef struct mm_pack_writer {
    const char *folder;
    const mm_tokenizer *tokenizer;
    uint64_t shard_tokens;  // a shard ends with the document that reaches this
    mm_manifest manifest;   // its counts go with each document, its shards with each that ends
    size_t room;            // of manifest.shard
    mm_bgzf_writer *tokens; // of the open shard; NULL between shards
    mm_bgzf_writer *documents;
    uint64_t tokens_in_shard;
    int64_t text_in_shard;
} mm_pack_writer;

// `folder` and `tokenizer` must outlive it. Free it whatever happens.
void mm_pack_writer_begin(mm_pack_writer *writer, const char *folder, const mm_tokenizer *tokenizer,
                          uint64_t shard_tokens);
// bos, the ids, eos; they were made from `text_bytes` bytes of text.
MM_CHECKED mm_status mm_pack_writer_add(mm_pack_writer *writer, const int32_t *ids, size_t count,
                                        size_t text_bytes, mm_error *error);
// The last shard's end, tokenizer.json, and dataset.json last. At least one document was added.
MM_CHECKED mm_status mm_pack_writer_finish(mm_pack_writer *writer, mm_error *error);
void mm_pack_writer_free(mm_pack_writer *writer);

#endif
