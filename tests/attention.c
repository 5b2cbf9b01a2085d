// Attention: kernels against a textbook reference in double, its gradients against central differences, and
// the bits.
#include <math.h>
#include <mm/base/hash.h>
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../src/ops/attention_rows.h"
#include "numbers.h"

static const double drop_p = 0.1;
static const mm_stream stream = {
    .key = 1337, .word1 = MM_PURPOSE_ATTENTION_DROPOUT << 24 | 3 << 12, .word2 = 5, .origin = 640};

static mm_gemm *chosen, *plain; // what serves here, and another

static int open_gemms(void **state) {
    (void)state;
    mm_error error;
    return mm_gemm_open(mm_isa_best(), &chosen, &error) || mm_gemm_open_own(MM_ISA_BASELINE, &plain, &error);
}

static int close_gemms(void **state) {
    (void)state;
    mm_gemm_close(chosen);
    mm_gemm_close(plain);
    return 0;
}

// One call's numbers. Queries, keys and values stand side by side in rows of ld_x floats, the gradients
// alike, with a gap at the end of each row that is not a number; so has the output's.
typedef struct problem {
    mm_attention a;
    int64_t ld_x;
    float *x, *dx, *o, *d_o, *lse, *scratch;
} problem;

static problem problem_new(int heads, int kv_heads, int hd, int64_t rows, bool dropout, float scale) {
    problem p = {.ld_x = (heads + 2 * kv_heads) * hd + 3};
    const int64_t ld_o = heads * hd + 5;
    p.a = (mm_attention){.heads = heads,
                         .kv_heads = kv_heads,
                         .head_dim = hd,
                         .rows = rows,
                         .ld_q = p.ld_x,
                         .ld_k = p.ld_x,
                         .ld_v = p.ld_x,
                         .ld_o = ld_o,
                         .scale = 1.0f / sqrtf((float)hd),
                         .dropout = dropout ? &stream : NULL,
                         .dropout_p = drop_p,
                         .mask_rows = rows + 2,
                         .mask_ld = (rows + 2 + 63) / 64 * 64,
                         .group_end = kv_heads};
    p.x = numbers_new(rows * p.ld_x, (uint32_t)rows, scale);
    p.d_o = numbers_new(rows * ld_o, (uint32_t)hd, 1);
    p.dx = numbers_nan(rows * p.ld_x);
    p.o = numbers_nan(rows * ld_o);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = p.ld_x - 3; c < p.ld_x; c++) p.x[r * p.ld_x + c] = NAN;
        for (int64_t c = ld_o - 5; c < ld_o; c++) p.d_o[r * ld_o + c] = NAN;
    }
    p.lse = numbers_nan(heads * rows);
    p.scratch = numbers_nan((int64_t)mm_attention_scratch(heads, kv_heads, hd));
    return p;
}

static void problem_free(problem *p) {
    free(p->x), free(p->dx), free(p->o), free(p->d_o), free(p->lse), free(p->scratch);
}

static void forward(problem *p, mm_isa isa, const mm_gemm *gemm) {
    const float *k = p->x + p->a.heads * p->a.head_dim, *v = k + p->a.kv_heads * p->a.head_dim;
    mm_kernels_for(isa)->attention->forward(&p->a, gemm, p->o, p->lse, p->x, k, v, p->scratch);
}

static void backward(problem *p, mm_isa isa, const mm_gemm *gemm) {
    const int64_t at_k = p->a.heads * p->a.head_dim, at_v = at_k + p->a.kv_heads * p->a.head_dim;
    mm_kernels_for(isa)->attention->backward(&p->a, gemm, p->dx, p->dx + at_k, p->dx + at_v, p->d_o, p->o,
                                             p->lse, p->x, p->x + at_k, p->x + at_v, p->scratch);
}

// ---- the reference: the same rows and columns in double ----

typedef struct reference {
    mm_attention a;
    int64_t ld_x;
    double *x, *d_o; // what is given
    double *o, *lse, *dx;
    double *kept; // heads x rows x rows: 1 / (1 - p), or 0 where dropped
} reference;

static const double *head_row(const reference *r, const double *x, int64_t row, int head) {
    return x + row * r->ld_x + head * r->a.head_dim;
}

static int key_head(const reference *r, int head) {
    return r->a.heads + head / (r->a.heads / r->a.kv_heads);
}

static int value_head(const reference *r, int head) {
    return key_head(r, head) + r->a.kv_heads;
}

static double dot(const double *x, const double *y, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

// softmax(q k^T scale) of one query, before dropout. Returns the log-sum-exp.
static double softmax(const reference *r, int64_t row, int head, double *weights) {
    double max = -INFINITY, sum = 0;
    for (int64_t c = 0; c <= row; c++) {
        weights[c] = (double)r->a.scale * dot(head_row(r, r->x, row, head),
                                              head_row(r, r->x, c, key_head(r, head)), r->a.head_dim);
        max = fmax(max, weights[c]);
    }
    for (int64_t c = 0; c <= row; c++) sum += weights[c] = exp(weights[c] - max);
    for (int64_t c = 0; c <= row; c++) weights[c] /= sum;
    return max + log(sum);
}

static double *kept_row(const reference *r, int64_t row, int head) {
    return r->kept + (head * r->a.rows + row) * r->a.rows;
}

static void reference_forward(const reference *r) {
    const int hd = r->a.head_dim;
    double *weights = numbers_zero_double(r->a.rows);
    for (int head = 0; head < r->a.heads; head++)
        for (int64_t row = 0; row < r->a.rows; row++) {
            double *o = r->o + row * r->a.ld_o + head * hd, *kept = kept_row(r, row, head);
            r->lse[head * r->a.rows + row] = softmax(r, row, head, weights);
            for (int i = 0; i < hd; i++) o[i] = 0;
            for (int64_t c = 0; c <= row; c++)
                for (int i = 0; i < hd; i++)
                    o[i] += weights[c] * kept[c] * head_row(r, r->x, c, value_head(r, head))[i];
        }
    free(weights);
}

static void reference_backward_row(const reference *r, int64_t row, int head, double *weights,
                                   double *gradients) {
    const int hd = r->a.head_dim;
    const double *kept = kept_row(r, row, head), *d_o = r->d_o + row * r->a.ld_o + head * hd;
    double delta = 0;
    softmax(r, row, head, weights);
    for (int64_t c = 0; c <= row; c++) {
        gradients[c] = kept[c] * dot(d_o, head_row(r, r->x, c, value_head(r, head)), hd);
        delta += weights[c] * gradients[c];
    }
    double *dq = r->dx + row * r->ld_x + head * hd;
    for (int64_t c = 0; c <= row; c++) {
        const double ds = weights[c] * (gradients[c] - delta) * (double)r->a.scale;
        double *dk = r->dx + c * r->ld_x + key_head(r, head) * hd;
        double *dv = r->dx + c * r->ld_x + value_head(r, head) * hd;
        for (int i = 0; i < hd; i++) {
            dq[i] += ds * head_row(r, r->x, c, key_head(r, head))[i];
            dk[i] += ds * head_row(r, r->x, row, head)[i];
            dv[i] += weights[c] * kept[c] * d_o[i];
        }
    }
}

static void reference_backward(const reference *r) {
    double *weights = numbers_zero_double(r->a.rows), *gradients = numbers_zero_double(r->a.rows);
    for (int head = 0; head < r->a.heads; head++)
        for (int64_t row = 0; row < r->a.rows; row++)
            reference_backward_row(r, row, head, weights, gradients);
    free(weights), free(gradients);
}

static reference reference_of(const problem *p) {
    const int64_t rows = p->a.rows, heads = p->a.heads;
    reference r = {.a = p->a, .ld_x = p->ld_x};
    r.x = numbers_double(p->x, rows * p->ld_x);
    r.d_o = numbers_double(p->d_o, rows * p->a.ld_o);
    r.o = numbers_zero_double(rows * p->a.ld_o);
    r.lse = numbers_zero_double(heads * rows);
    r.dx = numbers_zero_double(rows * p->ld_x);
    r.kept = numbers_zero_double(heads * rows * rows);
    for (int64_t i = 0; i < heads * rows * rows; i++) {
        const int64_t head = i / (rows * rows), row = i / rows % rows, column = i % rows;
        const uint64_t element = (uint64_t)((head * p->a.mask_rows + row) * p->a.mask_ld + column);
        const bool dropped =
            p->a.dropout && mm_stream_word(p->a.dropout, element) < (uint32_t)(drop_p * 0x1p32);
        r.kept[i] = dropped ? 0 : p->a.dropout ? 1 / (1 - drop_p) : 1;
    }
    return r;
}

static void reference_free(reference *r) {
    free(r->x), free(r->d_o), free(r->o), free(r->lse), free(r->dx), free(r->kept);
}

// sum(d_o * o), the gaps left out.
static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    reference_forward(r);
    for (int64_t row = 0; row < r->a.rows; row++)
        sum += dot(r->o + row * r->a.ld_o, r->d_o + row * r->a.ld_o, r->a.heads * r->a.head_dim);
    return sum;
}

static void gradient_is_the_central_difference(void **state) {
    (void)state;
    for (int dropout = 0; dropout < 2; dropout++) {
        problem p = problem_new(4, 2, 6, 7, dropout, 2);
        for (int64_t i = 0; i < p.a.rows * p.ld_x; i++) p.x[i] = isnan(p.x[i]) ? 0 : p.x[i];
        reference r = reference_of(&p);
        reference_backward(&r);
        expect_gradient("d(q, k, v)", r.dx, r.x, p.a.rows * p.ld_x, loss, &r);
        reference_free(&r);
        problem_free(&p);
    }
}

// ---- kernels against it ----

// Roundings add up like a random walk: a score of 128 products is off by some sqrt(128) 2^-24 of its terms,
// which is its weight's relative error, and sums over keys average these. The worst case below is 4.3e-7 of
// the norm and 1.2e-6 of the largest number, on every build alike. A gradient that cancels to nothing is held
// against numbers of 0.1.
static void compare(const char *what, const float *got, const double *want, int64_t rows, int64_t width,
                    int64_t ld) {
    double off = 0, norm = 0.01 * (double)(rows * width), largest = 0.1, worst = 0;
    for (int64_t i = 0; i < rows * width; i++) {
        const double w = want[i / width * ld + i % width], d = (double)got[i / width * ld + i % width] - w;
        if (isnan(d)) fail_msg("%s, row %lld: not a number", what, (long long)(i / width));
        off += d * d;
        norm += w * w;
        largest = fmax(largest, fabs(w));
        worst = fmax(worst, fabs(d));
    }
    if (!(sqrt(off) <= 1e-6 * sqrt(norm))) fail_msg("%s: %.3g of the norm off", what, sqrt(off / norm));
    if (!(worst <= 3e-6 * largest)) fail_msg("%s: %.3g off, the largest is %.3g", what, worst, largest);
}

static void expect_gap(const float *x, int64_t rows, int64_t width, int64_t ld) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = width; c < ld; c++)
            if (!isnan(x[r * ld + c]))
                fail_msg("column %lld of row %lld was written", (long long)c, (long long)r);
}

static void check_problem(problem *p) {
    const mm_attention *a = &p->a;
    const int64_t q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
    reference r = reference_of(p);
    reference_forward(&r);
    reference_backward(&r);
    forward(p, mm_isa_best(), chosen);
    backward(p, mm_isa_best(), chosen);
    compare("output", p->o, r.o, a->rows, q, a->ld_o);
    compare("log-sum-exp", p->lse, r.lse, a->heads, a->rows, a->rows);
    compare("dq", p->dx, r.dx, a->rows, q, p->ld_x);
    compare("dk", p->dx + q, r.dx + q, a->rows, kv, p->ld_x);
    compare("dv", p->dx + q + kv, r.dx + q + kv, a->rows, kv, p->ld_x);
    expect_gap(p->o, a->rows, q, a->ld_o);
    expect_gap(p->dx, a->rows, q + 2 * kv, p->ld_x);
    reference_free(&r);
}

static void kernels_are_the_reference(void **state) {
    (void)state;
    static const int sizes[][4] = {{1, 1, 16, 1},    {4, 1, 16, 2},   {2, 2, 64, 63},  {2, 1, 16, 65},
                                   {2, 2, 128, 127}, {4, 1, 96, 128}, {3, 3, 20, 129}, {4, 1, 128, 193},
                                   {8, 2, 64, 257},  {4, 1, 16, 300}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int dropout = 0; dropout < 2; dropout++) {
            problem p = problem_new(sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], dropout, 1.5f);
            check_problem(&p);
            problem_free(&p);
        }
}

// Key j is j times a unit vector that every query holds 100 times: all weight is on the last key that a row
// sees, or with the sign turned on the first; every other weight is exactly +0, and so is every gradient of a
// score.
static void far_keys_weigh_nothing(void **state) {
    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        problem p = problem_new(2, 1, 16, 200, false, 1);
        p.a.scale = 1;
        for (int64_t r = 0; r < 200; r++)
            for (int c = 0; c < 48; c++) {
                const bool key = c >= 32, first = c % 16 == 0;
                p.x[r * p.ld_x + c] = !first ? 0 : key ? (float)(r * sign) : 100;
            }
        forward(&p, mm_isa_best(), chosen);
        backward(&p, mm_isa_best(), chosen);
        for (int64_t r = 0; r < 200; r++)
            for (int h = 0; h < 2; h++) {
                const float *seen = p.x + (sign > 0 ? r : 0) * p.ld_x + 48;
                expect_same("output", p.o + r * p.a.ld_o + h * 16, seen, 16);
                for (int c = 0; c < 48; c++) assert_true(fabsf(p.dx[r * p.ld_x + c]) < 0.01f);
            }
        problem_free(&p);
    }
}

// Gradients of scores below 2^-100 are +0: no subnormal number reaches a product.
static void tiny_gradients_are_nothing(void **state) {
    (void)state;
    problem p = problem_new(2, 1, 16, 150, false, 1.5f);
    for (int64_t i = 0; i < 150 * p.a.ld_o; i++) p.d_o[i] *= 0x1p-110f;
    forward(&p, mm_isa_best(), chosen);
    backward(&p, mm_isa_best(), chosen);
    const float nothing[48] = {0};
    for (int64_t r = 0; r < 150; r++) {
        expect_same("dq and dk", p.dx + r * p.ld_x, nothing, 48);
        for (int c = 48; c < 64; c++) assert_true(p.dx[r * p.ld_x + c] != 0);
    }
    problem_free(&p);
}

static void check_weight(uint32_t bits) {
    float x, got, want;
    memcpy(&x, &bits, sizeof x);
    got = weight_of(x), want = mm_flush(mm_expf(x));
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("of %a: %a, want %a", (double)x, (double)got, (double)want);
}

static void weights_are_exp(void **state) {
    (void)state;
    const uint32_t one = 0x3f800000u, minus = 0x80000000u, infinity = 0x7f800000u;
    for (uint32_t bits = 0; bits <= infinity;
         bits += bits < infinity && infinity - bits < 1009 ? infinity - bits : 1009) {
        check_weight(bits | minus);
        check_weight(bits < one ? bits : one);
    }
    // All numbers about -100 ln 2, where a weight comes to be +0, and about -87, where an exponential does.
    for (uint32_t bits = 0xc28a0000u; bits < 0xc28b0000u; bits++) check_weight(bits);
    for (uint32_t bits = 0xc2adff00u; bits < 0xc2ae0100u; bits++) check_weight(bits);
    assert_true(isnan(weight_of(NAN)));
}

// ---- the bits ----

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int dropout = 0; dropout < 2; dropout++)
            for (int g = 0; g < 2; g++) {
                problem p = problem_new(6, 2, 40, 300, dropout, 1.5f);
                forward(&p, isa, g ? plain : chosen);
                backward(&p, isa, g ? plain : chosen);
                // The gaps are not part of it: a NaN's bits are the test's own.
                for (int64_t i = 0; i < 300 * p.a.ld_o; i++) p.o[i] = isnan(p.o[i]) ? 0 : p.o[i];
                for (int64_t i = 0; i < 300 * p.ld_x; i++) p.dx[i] = isnan(p.dx[i]) ? 0 : p.dx[i];
                expect_hash("output", isa, p.o, (size_t)(300 * p.a.ld_o) * sizeof(float),
                            dropout ? "adaa0c9a8907a949c628942abce69eb7"
                                    : "bc991918b9d1d6c1ea6cb5bb151cdca5");
                expect_hash("log-sum-exp", isa, p.lse, 6 * 300 * sizeof(float),
                            "1030cd7a94148647eb72b4088e843a48");
                expect_hash("gradient", isa, p.dx, (size_t)(300 * p.ld_x) * sizeof(float),
                            dropout ? "4842aec43db31407c85eca32c0daa4bb"
                                    : "3b33b7a36a4fa5d805bde01ccd9d3797");
                problem_free(&p);
            }
}

static void any_cut_of_groups_is_the_same(void **state) {
    (void)state;
    problem whole = problem_new(6, 3, 32, 150, true, 1.5f), cut = problem_new(6, 3, 32, 150, true, 1.5f);
    forward(&whole, mm_isa_best(), chosen);
    backward(&whole, mm_isa_best(), chosen);
    static const int bounds[] = {2, 3, 0, 2};
    for (int i = 0; i < 4; i += 2) {
        cut.a.group_begin = bounds[i], cut.a.group_end = bounds[i + 1];
        forward(&cut, mm_isa_best(), chosen);
        backward(&cut, mm_isa_best(), chosen);
    }
    expect_same("log-sum-exp", cut.lse, whole.lse, 6 * 150);
    for (int64_t r = 0; r < 150; r++) {
        expect_same("output", cut.o + r * cut.a.ld_o, whole.o + r * cut.a.ld_o, 6 * 32);
        expect_same("gradient", cut.dx + r * cut.ld_x, whole.dx + r * cut.ld_x, 12 * 32);
    }
    problem_free(&whole);
    problem_free(&cut);
}

// A row's output is the same whatever the rows after it hold, and whether there are any.
static void later_rows_change_nothing(void **state) {
    (void)state;
    static const int64_t lengths[] = {1, 63, 65, 128, 130, 199};
    problem whole = problem_new(4, 2, 32, 200, true, 1.5f);
    forward(&whole, mm_isa_best(), chosen);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const int64_t rows = lengths[i];
        problem other = problem_new(4, 2, 32, 200, true, 1.5f);
        for (int64_t j = rows * other.ld_x; j < 200 * other.ld_x; j++) other.x[j] *= -0.5f;
        for (int cut = 0; cut < 2; cut++) {
            other.a.rows = cut ? rows : 200;
            forward(&other, mm_isa_best(), chosen);
            for (int64_t r = 0; r < rows; r++)
                expect_same("output", other.o + r * other.a.ld_o, whole.o + r * whole.a.ld_o, 4 * 32);
            for (int h = 0; h < 4; h++)
                expect_same("log-sum-exp", other.lse + h * other.a.rows, whole.lse + h * 200, rows);
        }
        problem_free(&other);
    }
    problem_free(&whole);
}

static void sizes_are_stated(void **state) {
    (void)state;
    assert_int_equal(mm_attention_mask_elements(8, 512), 8 * 512 * 512);
    assert_int_equal(mm_attention_mask_elements(3, 65), 3 * 65 * 128);
    assert_true(mm_attention_scratch(8, 2, 64) <= 512 * (3 * 64 + 2 * 128 + 2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_central_difference),
        cmocka_unit_test(kernels_are_the_reference),
        cmocka_unit_test(far_keys_weigh_nothing),
        cmocka_unit_test(tiny_gradients_are_nothing),
        cmocka_unit_test(weights_are_exp),
        cmocka_unit_test(bits_are_the_same_everywhere),
        cmocka_unit_test(any_cut_of_groups_is_the_same),
        cmocka_unit_test(later_rows_change_nothing),
        cmocka_unit_test(sizes_are_stated),
    };
    return cmocka_run_group_tests(tests, open_gemms, close_gemms);
}
