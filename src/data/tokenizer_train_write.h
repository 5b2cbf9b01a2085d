// A trained tokenizer as tokenizer.json.
#ifndef MM_DATA_TOKENIZER_TRAIN_WRITE_H
#define MM_DATA_TOKENIZER_TRAIN_WRITE_H

#include "tokenizer_train_merge.h"

enum { MM_TRAINED_SPECIALS = 3 };
extern const char *const mm_trained_specials[MM_TRAINED_SPECIALS]; // by id

// Appends the file's text to `out`: byte-level BPE with GPT-2's pre-tokeniser.
MM_CHECKED mm_status mm_trained_write(const mm_vocab *vocab, const mm_learned_merge *merges, size_t count,
                                      mm_text *out, mm_error *error);

#endif
