#include <mm/optim/adamw.h>

#include <assert.h>
#include <mm/base/mathfn.h>

mm_adamw_scalars mm_adamw_at(const mm_adamw *options, double lr, double weight_decay, double scale,
                             int64_t step) {
    assert(step >= 1);
    return (mm_adamw_scalars){
        .decay = (float)(1 - lr * weight_decay),
        .beta1 = (float)options->beta1,
        .one_minus_beta1 = (float)(1 - options->beta1),
        .beta2 = (float)options->beta2,
        .one_minus_beta2 = (float)(1 - options->beta2),
        .step_size = (float)(lr / (1 - mm_powi(options->beta1, step))),
        .root_bias2 = (float)sqrt(1 - mm_powi(options->beta2, step)),
        .eps = (float)options->eps,
        .scale = (float)scale,
    };
}
