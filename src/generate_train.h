// Samples during training (--sample-every): what the model of this step says to the prompt. They read weights
// and move no bit of training.
#ifndef MM_SRC_GENERATE_TRAIN_H
#define MM_SRC_GENERATE_TRAIN_H

#include "trainer.h"

enum { MM_SAMPLE_TOKENS = 64 }; // of a sample behind its prompt, at most

// What samples need, before there is a run: the prompt's ids, room. Does nothing where none are asked for.
MM_CHECKED mm_status mm_trainer_open_samples(mm_trainer *t, mm_error *error);
void mm_trainer_close_samples(mm_trainer *t);
// Opens samples.jsonl of the run that begins or goes on, cut back to the trainer's step.
MM_CHECKED mm_status mm_trainer_begin_samples(mm_trainer *t, mm_error *error);
// Takes a sample if the step that was done last is one for it (or the run's last): to the file, and to the
// watch.
MM_CHECKED mm_status mm_trainer_sample(mm_trainer *t, mm_error *error);

#endif
