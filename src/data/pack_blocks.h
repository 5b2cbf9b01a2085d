// The files of a dataset's shards on their way to the disk, in three steps: bytes are added in order, workers
// deflate the blocks, and they are written in order. What is in the files does not depend on when steps are
// taken or by how many workers.
#ifndef DATA_PACK_BLOCKS_H
#define DATA_PACK_BLOCKS_H

#include "dataset_manifest.h"
#include <mm/base/text.h>
#include <mm/files/bgzf.h>

typedef enum mm_pack_kind { MM_PACK_TOKENS, MM_PACK_DOCUMENTS, MM_PACK_KINDS } mm_pack_kind;

typedef struct mm_pack_block {
    int shard;
    mm_pack_kind kind;
    bool last;       // of its file
    size_t at, size; // raw, in raw[kind]; 0 bytes only for a last one
    int worker;      // that deflated it: its member lies in members[worker]
    size_t member, member_size;
} mm_pack_block;

typedef struct mm_pack_blocks {
    const char *folder;
    int workers;
    mm_bgzf_deflater **deflaters; // workers
    mm_text *members;             // workers: what each has made
    mm_text raw[MM_PACK_KINDS];
    size_t queued[MM_PACK_KINDS]; // bytes of raw that belong to a block
    mm_pack_block *block;
    size_t count, capacity;
    mm_bgzf_writer *file[MM_PACK_KINDS]; // being written; NULL between shards
} mm_pack_blocks;

// `folder` must outlive it. Free it whatever happens.
MM_CHECKED mm_status mm_pack_blocks_begin(mm_pack_blocks *blocks, const char *folder, int workers,
                                          mm_error *error);
void mm_pack_blocks_free(mm_pack_blocks *blocks);

// Full blocks of what is in raw[kind] become blocks of the shard; with `last` the rest too, and the file
// ends.
MM_CHECKED mm_status mm_pack_blocks_queue(mm_pack_blocks *blocks, int shard, mm_pack_kind kind, bool last,
                                          mm_error *error);
// Deflates block i < count. Several workers at once, each for other blocks. Memory is checked by writing.
void mm_pack_blocks_deflate(mm_pack_blocks *blocks, size_t i, int worker);
// Writes all blocks, each of which has been deflated, and forgets them. The hashes of files that end go to
// the shards.
MM_CHECKED mm_status mm_pack_blocks_write(mm_pack_blocks *blocks, mm_manifest_shard *shards, mm_error *error);

#endif
