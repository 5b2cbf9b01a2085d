// The first number of a step that is not finite: where it is, in one sentence.
#ifndef MM_SRC_NONFINITE_H
#define MM_SRC_NONFINITE_H

#include "trainer.h"

// After mm_step_norm, of a loss or a gradient that is not finite: looks through the parameters, then
// runs the leaves again under a probe. MM_NONFINITE with step, rank, leaf, layer, operation and tensor;
// sum->gradient is overwritten.
MM_CHECKED mm_status mm_nonfinite_gradients(mm_trainer *t, const mm_partial *sum, mm_error *error);
// After mm_step_update: MM_NONFINITE with the first tensor of parameters or optimizer state that is not
// finite.
MM_CHECKED mm_status mm_nonfinite_update(mm_trainer *t, mm_error *error);
// After a validation: MM_NONFINITE with the step that was done and its loss, which is not finite.
MM_CHECKED mm_status mm_nonfinite_validation(const mm_trainer *t, double loss, mm_error *error);

#endif
