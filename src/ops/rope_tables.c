#include <mm/ops/rope.h>

#include <assert.h>
#include <mm/base/mathfn.h>

void mm_rope_tables(float *cosine, float *sine, int64_t positions, int head_dim, double theta) {
    assert(head_dim >= 2 && head_dim % 2 == 0 && theta > 0);
    int half = head_dim / 2;
    for (int i = 0; i < half; i++) {
        float frequency = (float)mm_pow(theta, -2.0 * i / head_dim);
        for (int64_t position = 0; position < positions; position++) {
            float angle = (float)position * frequency;
            double s, c;
            mm_sincos((double)angle, &s, &c);
            cosine[position * half + i] = (float)c;
            sine[position * half + i] = (float)s;
        }
    }
}
