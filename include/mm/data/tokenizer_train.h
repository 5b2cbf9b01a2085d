// Training a byte-level BPE vocabulary: count words of the pre-tokenised text, then merge the most frequent
// pair until the vocabulary is full. Ties: the pair with the smaller first id, then the smaller second id.
// Deterministic.
#ifndef MM_DATA_TOKENIZER_TRAIN_H
#define MM_DATA_TOKENIZER_TRAIN_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/data/text_source.h>
#include <signal.h>

typedef struct mm_tokenizer_trainer mm_tokenizer_trainer;
MM_CHECKED mm_status mm_tokenizer_trainer_new(mm_tokenizer_trainer **trainer, mm_error *error);
void mm_tokenizer_trainer_free(mm_tokenizer_trainer *trainer);
// Counts the words of one document.
MM_CHECKED mm_status mm_tokenizer_trainer_add(mm_tokenizer_trainer *trainer, const char *text, size_t size,
                                              mm_error *error);
// Counts the words of all documents of the source on `workers` workers (0: as many as usable cores), whose
// number does not show in the result. *text_bytes is how much text there was. `progress` (may be NULL) gets
// bytes of the files, read and in all. *stop (may be NULL) true: soon ends with MM_INTERRUPTED.
MM_CHECKED mm_status mm_tokenizer_trainer_read(mm_tokenizer_trainer *trainer, mm_text_source *source,
                                               int workers, const volatile sig_atomic_t *stop,
                                               uint64_t *text_bytes,
                                               void (*progress)(void *self, uint64_t done, uint64_t total),
                                               void *self, mm_error *error);
// Exactly `vocab_size` entries (at least 3 + 256): <|endoftext|> 0, <|im_start|> 1, <|im_end|> 2, the 256
// byte symbols in the library's order, then merges. Appends tokenizer.json's text to `out`. Too little text
// for that many merges is trouble, which says how many there are. `progress` (may be NULL) is called now and
// then with merges done of wanted. *stop as above.
MM_CHECKED mm_status mm_tokenizer_trainer_finish(mm_tokenizer_trainer *trainer, int vocab_size, mm_text *out,
                                                 const volatile sig_atomic_t *stop,
                                                 void (*progress)(void *self, long done, long wanted),
                                                 void *self, mm_error *error);

// The same with as many merges as the text gives, up to `most` entries.
MM_CHECKED mm_status mm_tokenizer_trainer_fit(mm_tokenizer_trainer *trainer, int most, mm_text *out,
                                              const volatile sig_atomic_t *stop,
                                              void (*progress)(void *self, long done, long wanted),
                                              void *self, mm_error *error);

#endif
