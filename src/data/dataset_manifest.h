// dataset.json: what it says, read with every check that needs no other file, and written.
#ifndef DATA_DATASET_MANIFEST_H
#define DATA_DATASET_MANIFEST_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MANIFEST_MAX_SHARDS = 100000,       // five digits
    MANIFEST_MAX_BYTES = 64 << 20,      // of dataset.json
    MANIFEST_MAX_TOKENIZER = 256 << 20, // bytes of tokenizer.json
    MANIFEST_NAME = 32                  // room for the name of a shard's file
};

typedef struct mm_manifest_shard {
    mm_hash tokens, documents; // of the raw streams
    int64_t text_bytes;        // -1 if not said
} mm_manifest_shard;

// What is optional is -1 if not said.
typedef struct mm_manifest {
    int vocab;
    int32_t bos, eos;
    mm_hash tokenizer;
    char unicode[32];
    int64_t documents, tokens, text_bytes;
    int shards; // at least 1
    mm_manifest_shard *shard;
} mm_manifest;

// 2 bytes a token, or 4 if the vocabulary has more than 65536.
int mm_manifest_token_bytes(int vocab);
// "tokens-00007.gz", "documents-00007.gz".
void mm_manifest_tokens_name(char out[MANIFEST_NAME], int shard);
void mm_manifest_documents_name(char out[MANIFEST_NAME], int shard);

// Does the folder hold a dataset? A dataset.json without tokens is another program's.
MM_CHECKED mm_status mm_manifest_find(const char *folder, bool *there, mm_error *error);
// Of FOLDER/dataset.json. Free it, also after trouble.
MM_CHECKED mm_status mm_manifest_read(mm_manifest *manifest, const char *folder, mm_error *error);
MM_CHECKED mm_status mm_manifest_write(const mm_manifest *manifest, const char *folder, mm_error *error);
void mm_manifest_free(mm_manifest *manifest);

// Trouble with a dataset that is not as it was packed: the sentence, and the way out.
__attribute__((format(printf, 2, 3))) MM_CHECKED mm_status mm_dataset_damaged(mm_error *error,
                                                                              const char *format, ...);

#endif
