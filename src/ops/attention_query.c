#include <mm/ops/attention_query.h>

#include "attention_rows.h"
#include "build.h"
#include <assert.h>

// o += the sum of weight times value, in order of the keys. Several keys a pass over o, so that it is loaded
// and stored less often; an element of o takes them one after another all the same.
static void add_values(float *restrict o, const float *restrict w, const float *restrict v, int64_t keys,
                       int n) {
    int64_t key = 0;
    for (; key + 4 <= keys; key += 4, v += 4 * n) {
        const float w0 = w[key], w1 = w[key + 1], w2 = w[key + 2], w3 = w[key + 3];
        const float *restrict v1 = v + n, *restrict v2 = v1 + n, *restrict v3 = v2 + n;
        for (int i = 0; i < n; i++)
            o[i] = fmaf(w3, v3[i], fmaf(w2, v2[i], fmaf(w1, v1[i], fmaf(w0, v[i], o[i]))));
    }
    for (; key < keys; key++, v += n)
        for (int i = 0; i < n; i++) o[i] = fmaf(w[key], v[i], o[i]);
}

static void forward(float *o, const float *q, const float *k, const float *v, int64_t keys, int head_dim,
                    float scale, float *scores) {
    const int64_t width = (keys + MM_LANES - 1) / MM_LANES * MM_LANES;
    assert(keys >= 1 && width <= INT32_MAX);
    for (int64_t key = 0; key < keys; key++) scores[key] = scale * row_dot(q, k + key * head_dim, head_dim);
    for (int64_t key = keys; key < width; key++) scores[key] = -INFINITY;
    const float sum = row_weights(scores, (int)width, row_max(scores, (int)width), NULL, 0),
                factor = 1.0f / sum;
    memset(o, 0, (size_t)head_dim * sizeof *o);
    add_values(o, scores, v, keys, head_dim);
    MM_ELEMENTWISE
    for (int i = 0; i < head_dim; i++) o[i] *= factor;
}

const mm_attention_query_kernels MM_BUILD(mm_attention_query) = {forward};
