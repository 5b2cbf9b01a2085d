// Training a byte-level BPE vocabulary: count words of the pre-tokenised text, then merge the most frequent
// pair until the vocabulary is full. Source: R. Sennrich et al. (2016). Ties: the pair with the smaller first
// id, then the smaller second id. Deterministic.
#ifndef MM_DATA_TOKENIZER_TRAIN_H
#define MM_DATA_TOKENIZER_TRAIN_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/data/text_source.h>
#include <signal.h>
#include <stdint.h>

// One thread's at a time. *trainer is NULL after trouble.
typedef struct mm_tokenizer_trainer mm_tokenizer_trainer;
MM_CHECKED mm_status mm_tokenizer_trainer_new(mm_tokenizer_trainer **trainer, mm_error *error);
void mm_tokenizer_trainer_free(mm_tokenizer_trainer *trainer);
// Counts the words of one document. After trouble, of mm_tokenizer_trainer_read also, the counts mean
// nothing.
MM_CHECKED mm_status mm_tokenizer_trainer_add(mm_tokenizer_trainer *trainer, const char *text, size_t size,
                                              mm_error *error);
// Counts the words of all documents of the source on `workers` workers (0: as many as usable cores), whose
// number does not show in the result. *text_bytes is how much text there was. `progress` (may be NULL) gets
// bytes of the files, read and in all, by the caller's thread. *stop (may be NULL) true: soon ends with
// MM_INTERRUPTED, and nothing of the source counts.
MM_CHECKED mm_status mm_tokenizer_trainer_read(mm_tokenizer_trainer *trainer, mm_text_source *source,
                                               int workers, const volatile sig_atomic_t *stop,
                                               uint64_t *text_bytes,
                                               void (*progress)(void *self, uint64_t done, uint64_t total),
                                               void *self, mm_error *error);
// Exactly `vocab_size` entries (at least 3 + 256): <|endoftext|> 0, <|im_start|> 1, <|im_end|> 2, the 256
// byte symbols in the library's order, then merges. Appends tokenizer.json's text to `out`, which after
// trouble may hold a part of it. Too little text for that many merges is trouble, which says how many there
// are. `progress` (may be NULL) is called now and then by the caller's thread with merges done of wanted.
// *stop as above. The counts stay: it may be called again.
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
