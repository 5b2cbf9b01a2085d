// What a run takes, known before it takes it; and what would fit where it does not.
#ifndef MM_SRC_MEMORY_H
#define MM_SRC_MEMORY_H

#include "trainer.h"

// The plan of a run with the trainer's model and data and the settings `s`: weights, gradients and
// activations from the layouts by which they are then taken; what samples, traces, data and libraries touch
// is estimated. The process is measured as it is now: data are open, weights and workers are not.
mm_memory mm_memory_plan(const mm_trainer *t, const mm_settings *s);

// Fills t->memory. MM_TROUBLE if the run cannot fit, with the settings that would. A replay takes fewer
// workers where more do not fit.
MM_CHECKED mm_status mm_memory_check(mm_trainer *t, mm_error *error);

#endif
