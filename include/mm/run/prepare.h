// Packs a text file into a dataset for a run (train --data FILE) or an evaluation.
#ifndef MM_RUN_PREPARE_H
#define MM_RUN_PREPARE_H

#include <mm/base/status.h>
#include <signal.h>

// Trains a tokenizer of at most `vocab` entries on the text (or takes tokenizer_path's, if not NULL) and
// packs them into `out` (a folder that must not exist). `progress` (may be NULL) is called by the caller's
// thread: what is being done and its share, 0..1. *stop (may be NULL) true: soon ends with MM_INTERRUPTED,
// nothing kept.
MM_CHECKED mm_status mm_prepare_text(const char *input, const char *tokenizer_path, int vocab,
                                     const char *out,
                                     void (*progress)(void *self, const char *what, double share), void *self,
                                     const volatile sig_atomic_t *stop, mm_error *error);

#endif
