// The inside of mm_dataset, for its opening, reading and checking.
#ifndef DATA_DATASET_PRIVATE_H
#define DATA_DATASET_PRIVATE_H

#include "dataset_manifest.h"
#include <mm/data/dataset.h>
#include <mm/data/tokenizer.h>
#include <mm/files/bgzf.h>

typedef struct dataset_shard {
    char name[MANIFEST_NAME]; // of its tokens' file
    mm_bgzf *file;            // tokens
    uint64_t first_token, tokens;
    uint64_t first_document, documents;
} dataset_shard;

struct mm_dataset {
    char *path;
    mm_manifest manifest;
    int token_bytes;
    int limit; // ids that are read are below it: the manifest's vocabulary, or a model's that is smaller
    mm_tokenizer *tokenizer;
    mm_hash hash;
    dataset_shard *shards; // manifest.shards of them
    uint64_t tokens, documents;
    uint64_t *ends; // documents: in tokens over all shards
    uint64_t room;  // of `ends`
};

// The shard's documents: inflated, hashed, checked against its tokens, appended to `ends`.
MM_CHECKED mm_status mm_dataset_read_documents(mm_dataset *dataset, int shard, mm_error *error);
// Does the document (over all shards) begin with bos, or end with eos, at token i (over all shards), `found`?
MM_CHECKED mm_status mm_dataset_check_mark(const mm_dataset *dataset, const dataset_shard *shard,
                                           uint64_t document, uint64_t i, int32_t found, bool bos,
                                           mm_error *error);

#endif
