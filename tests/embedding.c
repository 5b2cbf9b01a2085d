// Embedding: rows of a table, and their gradient in order of the rows.
#include <mm/ops/kernels.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numbers.h"

enum { VOCAB = 13, ROWS = 57 };

static int32_t *draw_ids(void) {
    static int32_t ids[ROWS];
    uint32_t seed = 5;
    for (int row = 0; row < ROWS; row++) {
        seed = seed * 1664525u + 1013904223u;
        ids[row] = (int32_t)((seed >> 16) % VOCAB);
    }
    ids[0] = VOCAB - 1;
    ids[ROWS - 1] = 0;
    return ids;
}

static void rows_are_those_of_the_table(void **state) {
    (void)state;
    static const int sizes[] = {1, 16, 33, 100};
    const int32_t *ids = draw_ids();
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int s = 0; s < 4; s++) {
            const int n = sizes[s];
            float *table = numbers_new(VOCAB * n, 1, 1), *y = numbers_nan(ROWS * n);
            mm_kernels_for(isa)->embedding->forward(y, table, ids, ROWS, n);
            for (int row = 0; row < ROWS; row++) expect_same("row", y + row * n, table + ids[row] * n, n);
            free(table), free(y);
        }
}

typedef struct reference {
    const int32_t *ids;
    int64_t n;
    double *table, *dy;
} reference;

static double loss(const void *self) {
    const reference *r = self;
    double sum = 0;
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t i = 0; i < r->n; i++) sum += r->dy[row * r->n + i] * r->table[r->ids[row] * r->n + i];
    return sum;
}

static void gradient_adds_rows_in_order(void **state) {
    (void)state;
    static const int sizes[] = {1, 16, 33, 100};
    const int32_t *ids = draw_ids();
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++)
        for (int s = 0; s < 4; s++) {
            const int n = sizes[s], count = VOCAB * n;
            float *table = numbers_new(count, 1, 1), *dy = numbers_new(ROWS * n, 2, 1);
            float *got = numbers_new(count, 3, 1), *in_order = numbers_copy(got, count);
            double *want = numbers_double(got, count), *size = numbers_zero_double(count);
            double *slope = numbers_zero_double(count);
            for (int i = 0; i < count; i++) size[i] = want[i] < 0 ? -want[i] : want[i];
            for (int row = 0; row < ROWS; row++)
                for (int i = 0; i < n; i++) {
                    const int at = ids[row] * n + i;
                    const double d = (double)dy[row * n + i];
                    in_order[at] += dy[row * n + i];
                    want[at] += d;
                    slope[at] += d;
                    size[at] += d < 0 ? -d : d;
                }
            mm_kernels_for(isa)->embedding->backward(got, dy, n, ids, ROWS, n);
            expect_same("rows in order", got, in_order, count);
            expect_near("sum", got, want, size, ROWS * EPSILON, count); // at most ROWS additions
            if (n == 33) {
                reference r = {ids, n, numbers_double(table, count), numbers_double(dy, ROWS * n)};
                expect_gradient("d table", slope, r.table, count, loss, &r);
                free(r.table), free(r.dy);
            }
            free(table), free(dy), free(got), free(in_order), free(want), free(size), free(slope);
        }
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    enum { N = 77 };
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        float *table = numbers_new(VOCAB * N, 51, 1), *y = numbers_nan(ROWS * N);
        mm_kernels_for(isa)->embedding->forward(y, table, draw_ids(), ROWS, N);
        mm_kernels_for(isa)->embedding->backward(table, y, N, draw_ids(), ROWS, N);
        expect_hash("d table", isa, table, VOCAB * N * sizeof *table, "d543b1c7cf244ff337300173f852d3f4");
        free(table), free(y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_the_table),
        cmocka_unit_test(gradient_adds_rows_in_order),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
