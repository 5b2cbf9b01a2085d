// A dataset directory (design: Data), opened with every check that does not need to inflate all of it, and
// read at random. Shards follow one another: token i and document d count over all of them.
#ifndef MM_DATA_DATASET_H
#define MM_DATA_DATASET_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <mm/data/tokenizer.h>
#include <stdint.h>

enum { MM_DATASET_BLOCK_BYTES = 64000 };

// Immutable once fitted: threads share it, each with its own cursor. It must outlive its cursors, and its
// strings are its own. *dataset is NULL after trouble.
typedef struct mm_dataset mm_dataset;
MM_CHECKED mm_status mm_dataset_open(const char *path, mm_dataset **dataset, mm_error *error);
void mm_dataset_close(mm_dataset *dataset);

const char *mm_dataset_path(const mm_dataset *dataset);
uint64_t mm_dataset_tokens(const mm_dataset *dataset);
uint64_t mm_dataset_documents(const mm_dataset *dataset);
int mm_dataset_vocab(const mm_dataset *dataset);
int32_t mm_dataset_bos(const mm_dataset *dataset);
int32_t mm_dataset_eos(const mm_dataset *dataset);
int mm_dataset_shards(const mm_dataset *dataset);
uint64_t mm_dataset_text_bytes(const mm_dataset *dataset); // of the text that was packed; 0 if not known
// "15.0.0": the Unicode version that the text was cut into words with; "14.0.0, NFC 15.0.0" if it was
// normalized, too.
const char *mm_dataset_unicode(const mm_dataset *dataset);
// Of its tokenizer.json.
mm_hash mm_dataset_tokenizer_hash(const mm_dataset *dataset);
// Of dataset.json's shard hashes in order: names the data whatever its path.
mm_hash mm_dataset_hash(const mm_dataset *dataset);
// End of document d, in tokens over all shards; documents are read at opening (8 bytes each in memory).
uint64_t mm_dataset_document_end(const mm_dataset *dataset, uint64_t document);
// Tokens and documents of one shard, and the names of its files.
void mm_dataset_shard(const mm_dataset *dataset, int shard, uint64_t *tokens, uint64_t *documents,
                      const char **name);

// Inflates everything and compares CRCs, ids and hashes. `progress` may be NULL; it is called by the caller's
// thread.
MM_CHECKED mm_status mm_dataset_check(const mm_dataset *dataset,
                                      void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                                      mm_error *error);

// For a model that has `vocab` tokens, maybe fewer than the tokenizer: *beyond is the first id in the data
// that the model does not have, for which all of it is read, or -1; in that case reading gives no such id
// from here on. Before any other thread has the dataset.
MM_CHECKED mm_status mm_dataset_fit(mm_dataset *dataset, int vocab, int32_t *beyond, mm_error *error);

// One thread's. *cursor is NULL after trouble.
typedef struct mm_dataset_cursor mm_dataset_cursor;
MM_CHECKED mm_status mm_dataset_cursor_new(const mm_dataset *dataset, mm_dataset_cursor **cursor,
                                           mm_error *error);
void mm_dataset_cursor_free(mm_dataset_cursor *cursor);
// Tokens [first, first + count) into `out`, each checked to be below the vocabulary; after trouble they mean
// nothing. A range beyond the end asserts. Allocates nothing.
MM_CHECKED mm_status mm_dataset_read(mm_dataset_cursor *cursor, uint64_t first, int64_t count, int32_t *out,
                                     mm_error *error);

#endif
