#include <mm/optim/schedule.h>

#include <assert.h>
#include <mm/base/mathfn.h>

double mm_schedule_lr(mm_schedule schedule, double lr, int64_t warmup, int64_t steps, int64_t step) {
    assert(step >= 1 && warmup >= 0);
    if (step <= warmup) return lr * (double)step / (double)warmup;
    if (schedule == MM_SCHEDULE_CONSTANT) return lr;
    assert(step <= steps);
    const double pi = 0x1.921fb54442d18p+1;
    double sine, cosine;
    mm_sincos(pi * (double)(step - warmup) / (double)(steps - warmup), &sine, &cosine);
    return lr * (0.1 + 0.45 * (1 + cosine));
}
