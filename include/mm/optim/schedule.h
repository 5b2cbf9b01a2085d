// The learning rate as a function of the step alone.
#ifndef MM_OPTIM_SCHEDULE_H
#define MM_OPTIM_SCHEDULE_H

#include <mm/base/choices.h>
#include <stdint.h>

// At step t (from 1) of `steps`: lr * t / warmup while t <= warmup; then lr, or minimind's
// lr * (0.1 + 0.45 * (1 + cos(pi * (t - warmup) / (steps - warmup)))). In double, cos by mm_sincos.
double mm_schedule_lr(mm_schedule schedule, double lr, int64_t warmup, int64_t steps, int64_t step);

#endif
