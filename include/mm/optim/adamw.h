// AdamW and the norm, as PyTorch has them. Source: I. Loshchilov and F. Hutter (2019); torch.optim.AdamW's
// order of operations: decay first, then m, v, bias correction, eps outside the root.
#ifndef MM_OPTIM_ADAMW_H
#define MM_OPTIM_ADAMW_H

#include <mm/base/isa.h>
#include <mm/base/tensor.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct mm_adamw {
    double beta1, beta2, eps;
} mm_adamw;

// One step's numbers, made in double and rounded to float once.
typedef struct mm_adamw_scalars {
    float decay; // 1 - lr * weight_decay
    float beta1, one_minus_beta1;
    float beta2, one_minus_beta2;
    float step_size;  // lr / (1 - beta1^t)
    float root_bias2; // sqrt(1 - beta2^t)
    float eps;
    float scale; // of the gradient: the clip's
} mm_adamw_scalars;

// Tensors of two dimensions decay, others do not.
static inline bool mm_adamw_decays(const mm_tensor *tensor) {
    return tensor->dims == 2;
}

// `step` counts from 1. weight_decay 0 for tensors that are not decayed.
mm_adamw_scalars mm_adamw_at(const mm_adamw *options, double lr, double weight_decay, double scale,
                             int64_t step);

typedef struct mm_optim_kernels {
    // w, m, v, g of n floats each, which do not overlap; threads may work on parts of a tensor. m and v below
    // 2^-100 in magnitude become +0. False if a number of the new w, m, v is not finite.
    bool (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, const mm_adamw_scalars *scalars);
    // Sum of squares in double of at most MM_NORM_BLOCK (clip.h) floats, in 16 lanes.
    double (*sum_squares)(const float *g, int64_t n);
} mm_optim_kernels;

const mm_optim_kernels *mm_optim_kernels_for(mm_isa isa);

#endif
