// Text to a dataset directory, in memory that does not grow with the text (with the longest document it does,
// where that is of .jsonl, has no line ends, or the tokenizer's pattern is none that mm_tokenizer_cuttable
// knows): tokens, documents, tokenizer.json, dataset.json last; the folder is published by one rename.
#ifndef MM_DATA_PACK_H
#define MM_DATA_PACK_H

#include <mm/base/status.h>
#include <mm/data/text_source.h>
#include <mm/data/tokenizer.h>
#include <signal.h>

typedef struct mm_pack_options {
    // 0..1 exclusive: the last share of the documents goes to DIR/val. This needs a second reading.
    double val_share;
    // A shard is ended at the first document end at or beyond this many tokens; 0: 2^28.
    uint64_t shard_tokens;
    bool plain;                        // added tokens in the text are plain text
    int workers;                       // 0: as many as usable cores; they never move a byte of the result
    const volatile sig_atomic_t *stop; // true: soon ends with MM_INTERRUPTED, nothing kept; NULL: never
    // By the caller's thread, now and then; may be NULL. bytes_total is 0 if not known, and twice the text's
    // with val_share.
    void (*progress)(void *self, uint64_t bytes_done, uint64_t bytes_total, uint64_t documents,
                     uint64_t tokens);
    void *self;
} mm_pack_options;

typedef struct mm_pack_result {
    uint64_t documents, tokens, text_bytes;
    uint64_t val_documents, val_tokens, val_text_bytes;
    uint64_t repaired; // documents of both parts that were not UTF-8, each broken character U+FFFD now
} mm_pack_result;

// A folder that `out` lies in is made if it is missing. Trouble if `out` exists, if the tokenizer has no bos
// or eos, if there is no document at all or all are empty.
MM_CHECKED mm_status mm_pack(const char *out, mm_text_source *source, const mm_tokenizer *tokenizer,
                             const mm_pack_options *options, mm_pack_result *result, mm_error *error);

#endif
