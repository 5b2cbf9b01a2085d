#include <mm/ops/rope.h>

#include "build.h"

// The halves are apart, so a row's elements may be done in any order and width.
static inline void rotate(float *restrict a, float *restrict b, const float *restrict cosine,
                          const float *restrict sine, int half) {
    for (int i = 0; i < half; i++) {
        float u = a[i], v = b[i];
        a[i] = u * cosine[i] - v * sine[i];
        b[i] = v * cosine[i] + u * sine[i];
    }
}

static inline void rotate_back(float *restrict a, float *restrict b, const float *restrict cosine,
                               const float *restrict sine, int half) {
    for (int i = 0; i < half; i++) {
        float u = a[i], v = b[i];
        a[i] = u * cosine[i] + v * sine[i];
        b[i] = v * cosine[i] - u * sine[i];
    }
}

static void forward(float *x, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                    const float *sine) {
    int half = head_dim / 2;
    for (int64_t row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            float *a = x + row * ld + (int64_t)head * head_dim;
            rotate(a, a + half, cosine + row * half, sine + row * half, half);
        }
}

static void backward(float *dx, int64_t ld, int64_t rows, int heads, int head_dim, const float *cosine,
                     const float *sine) {
    int half = head_dim / 2;
    for (int64_t row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            float *a = dx + row * ld + (int64_t)head * head_dim;
            rotate_back(a, a + half, cosine + row * half, sine + row * half, half);
        }
}

const mm_rope_kernels MM_BUILD(mm_rope) = {forward, backward};
