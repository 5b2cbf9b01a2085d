#include <mm/ops/dropout.h>

#include "build.h"
#include "lanes.h"
#include <assert.h>
#include <mm/base/philox.h>
#include <string.h>

// y = residual + kept(x) for up to MM_PHILOX_WORDS numbers, by one word each.
MM_INLINE void masked(float *y, const float *x, const float *residual, const uint32_t words[MM_PHILOX_WORDS],
                      uint32_t threshold, float scale, int64_t count) {
    if (residual) {
        MM_ELEMENTWISE
        for (int64_t i = 0; i < count; i++) {
            float kept = x[i] * scale;
            y[i] = residual[i] + (words[i] < threshold ? 0.0f : kept);
        }
    } else {
        MM_ELEMENTWISE
        for (int64_t i = 0; i < count; i++) {
            float kept = x[i] * scale;
            y[i] = words[i] < threshold ? 0.0f : kept;
        }
    }
}

static void unmasked(float *y, const float *x, const float *residual, int64_t n) {
    if (residual) {
        for (int64_t first = 0, end; first < n; first = end) {
            end = first + MM_FETCHED < n ? first + MM_FETCHED : n;
            mm_fetch(x + first, end - first, MM_AHEAD, x + n);
            mm_fetch(residual + first, end - first, MM_AHEAD, residual + n);
            mm_fetch(y + first, end - first, MM_AHEAD, y + n);
            MM_ELEMENTWISE
            for (int64_t i = first; i < end; i++) y[i] = residual[i] + x[i];
        }
    } else if (y != x) {
        memcpy(y, x, (size_t)n * sizeof *y);
    }
}

static void apply(float *y, const float *x, const float *residual, const mm_stream *stream, double p,
                  int64_t first, int64_t rows, int64_t n) {
    if (!stream) {
        unmasked(y, x, residual, rows * n);
        return;
    }
    assert(p >= 0 && p < 1);
    const uint32_t threshold = mm_dropout_threshold(p);
    const float scale = (float)(1 / (1 - p));
    const int64_t ld = (n + MM_PHILOX_WORDS - 1) / MM_PHILOX_WORDS * MM_PHILOX_WORDS;
    mm_philox philox;
    mm_philox_open(&philox, stream);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < n; column += MM_PHILOX_WORDS) {
            uint32_t words[MM_PHILOX_WORDS];
            const int64_t at = row * n + column, left = n - column;
            const int count = left < MM_PHILOX_WORDS ? (int)left : MM_PHILOX_WORDS;
            mm_philox_words(&philox, (uint64_t)((first + row) * ld + column), count, words);
            masked(y + at, x + at, residual ? residual + at : NULL, words, threshold, scale, count);
        }
}

const mm_dropout_kernels MM_BUILD(mm_dropout) = {apply};
