// Training a byte-level BPE vocabulary: count words of the pre-tokenised text, then merge the most frequent pair until
// the vocabulary is full. Ties: the pair with the smaller first id, then the smaller second id. Deterministic.
#ifndef MM_DATA_TOKENIZER_TRAIN_H
#define MM_DATA_TOKENIZER_TRAIN_H

#include <mm/base/status.h>
#include <mm/base/text.h>

typedef struct mm_tokenizer_trainer mm_tokenizer_trainer;
MM_CHECKED mm_status mm_tokenizer_trainer_new(mm_tokenizer_trainer **trainer, mm_error *error);
void mm_tokenizer_trainer_free(mm_tokenizer_trainer *trainer);
// Counts the words of one document.
MM_CHECKED mm_status mm_tokenizer_trainer_add(mm_tokenizer_trainer *trainer, const char *text, size_t size,
                                              mm_error *error);
// Exactly `vocab_size` entries (at least 3 + 256): <|endoftext|> 0, <|im_start|> 1, <|im_end|> 2, the 256 byte symbols
// in the library's order, then merges. Appends tokenizer.json's text to `out`. Too little text for that many merges is
// trouble, which says how many there are. `progress` (may be NULL) is called now and then with merges done of wanted.
MM_CHECKED mm_status mm_tokenizer_trainer_finish(mm_tokenizer_trainer *trainer, int vocab_size, mm_text *out,
                                                 void (*progress)(void *self, long done, long wanted), void *self,
                                                 mm_error *error);

#endif
