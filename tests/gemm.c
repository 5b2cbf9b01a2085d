// GEMM against its definition, bit for bit: BLIS with the kernel that BLIS_ARCH_TYPE names, which it reads
// once in a process, and our own of every build. Exit 77 (skipped) where the CPU cannot run that kernel.
#include <math.h>
#include <mm/base/par.h>
#include <mm/ops/gemm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numbers.h"

typedef struct problem {
    bool transpose_a, transpose_b;
    int64_t m, n, k, lda, ldb, ldc;
    float alpha;
    mm_gemm_into into;
    float *a, *b, *c;
} problem;

static int64_t between(uint64_t *seed, int64_t least, int64_t most) {
    return least + (int64_t)(numbers_draw(seed) % (uint64_t)(most - least + 1));
}

// Fills x with [-0.5, 0.5), here and there -0 or a subnormal.
static float *draw_matrix(uint64_t *seed, int64_t n, bool odd) {
    float *x = numbers_new(n, (uint32_t)numbers_draw(seed), 0.5f);
    for (int64_t i = 0; odd && i < n; i++)
        if (numbers_draw(seed) % 10 == 0) x[i] = numbers_draw(seed) % 2 ? -0.0f : 1e-41f;
    return x;
}

static problem draw_problem(uint64_t *seed, int number) {
    static const int64_t ks[] = {0,   1,   2,   3,   4,   7,   8,   15,  17,  33,  64,
                                 100, 255, 256, 257, 300, 511, 512, 513, 768, 1000};
    static const float alphas[] = {1, 0.125f, 0.3f, -2, 1, 0};
    problem p = {
        .transpose_a = between(seed, 0, 1),
        .transpose_b = between(seed, 0, 1),
        .m = between(seed, 1, 40),
        .n = between(seed, 1, 40),
        .k = number % 3 ? ks[numbers_draw(seed) % (sizeof ks / sizeof *ks)] : between(seed, 0, 600),
        .alpha = alphas[numbers_draw(seed) % 6],
        .into = (mm_gemm_into)between(seed, MM_GEMM_SET, MM_GEMM_ADD_TO_ZERO),
    };
    if (number % 40 == 0) p.m = between(seed, 100, 300), p.n = between(seed, 50, 120);
    // What is packed in one block, and in several.
    if (number % 15 == 1) p.m = between(seed, 1, 150), p.n = between(seed, 120, 180);
    if (number % 60 == 2)
        p.m = between(seed, 1, 2 * MM_GEMM_BLOCK_ROWS + 20),
        p.n = MM_GEMM_BLOCK_COLUMNS + between(seed, 1, 40), p.k = between(seed, 1, 300);
    if (number == 2)
        p.m = 2 * MM_GEMM_BLOCK_ROWS + 7, p.n = MM_GEMM_BLOCK_COLUMNS + 21, p.k = MM_GEMM_CHUNK + 44;
    const int64_t a_rows = p.transpose_a ? p.k : p.m, b_rows = p.transpose_b ? p.n : p.k;
    p.lda = (p.transpose_a ? p.m : p.k) + between(seed, 0, 5) + !p.k;
    p.ldb = (p.transpose_b ? p.k : p.n) + between(seed, 0, 5) + !p.k;
    p.ldc = p.n + between(seed, 0, 5);
    p.a = draw_matrix(seed, a_rows * p.lda, number % 5 == 0);
    p.b = draw_matrix(seed, b_rows * p.ldb, number % 7 == 0);
    p.c = draw_matrix(seed, p.m * p.ldc, number % 5 == 0);
    for (int64_t i = 0; p.into != MM_GEMM_ADD && i < p.m * p.ldc; i++)
        if (numbers_draw(seed) % 3 == 0) p.c[i] = NAN;
    return p;
}

static void free_problem(problem *p) {
    free(p->a), free(p->b), free(p->c);
}

static void definition(const problem *p, float *c) {
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = p->into == MM_GEMM_ADD ? c[i * p->ldc + j] : 0.0f;
            bool first = p->into == MM_GEMM_SET;
            for (int64_t chunk = 0; chunk < p->k; chunk += MM_GEMM_CHUNK, first = false) {
                float acc = 0;
                for (int64_t q = chunk; q < p->k && q < chunk + MM_GEMM_CHUNK; q++)
                    acc = fmaf(p->transpose_a ? p->a[q * p->lda + i] : p->a[i * p->lda + q],
                               p->transpose_b ? p->b[j * p->ldb + q] : p->b[q * p->ldb + j], acc);
                sum = first ? p->alpha * acc : sum + p->alpha * acc;
            }
            c[i * p->ldc + j] = sum;
        }
}

static void run(const mm_gemm *gemm, const problem *p, float *c, float *room) {
    mm_gemm_run(gemm, p->transpose_a, p->transpose_b, p->m, p->n, p->k, p->alpha, p->a, p->lda, p->b, p->ldb,
                p->into, c, p->ldc, room);
}

static void expect_definition(const mm_gemm *gemm, uint64_t seed, int problems) {
    float *room = numbers_nan((int64_t)mm_gemm_room(gemm));
    for (int number = 0; number < problems; number++) {
        problem p = draw_problem(&seed, number);
        float *want = numbers_copy(p.c, p.m * p.ldc);
        definition(&p, want);
        float *c = numbers_copy(p.c, p.m * p.ldc);
        run(gemm, &p, p.c, room);
        run(gemm, &p, c, NULL);
        char what[200];
        snprintf(what, sizeof what, "%s, problem %d: %lld x %lld x %lld, A%s B%s, alpha %g, into %d",
                 mm_gemm_kernel(gemm), number, (long long)p.m, (long long)p.n, (long long)p.k,
                 p.transpose_a ? "'" : "", p.transpose_b ? "'" : "", (double)p.alpha, (int)p.into);
        expect_same(what, p.c, want, p.m * p.ldc); // with what lies between the rows
        expect_same(what, c, want, p.m * p.ldc);
        free(want), free(c);
        free_problem(&p);
    }
    free(room);
}

static const uint64_t seed = 20240607;

static void it_is_the_definition(void **state) {
    expect_definition(*state, seed, 400);
}

static void own_is_the_definition(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        mm_gemm *own;
        assert_int_equal(mm_gemm_open_own(isa, &own, NULL), MM_OK);
        assert_string_equal(mm_gemm_kernel(own), "own");
        assert_string_equal(mm_gemm_version(own), "");
        expect_definition(own, seed, 120);
        mm_gemm_close(own);
    }
}

static void best_of_blis_is_the_definition(void **state) {
    (void)state;
    mm_gemm *blis;
    assert_int_equal(mm_gemm_open_blis(mm_isa_best(), &blis, NULL), MM_OK);
    if (mm_isa_best() == MM_ISA_V4) assert_string_equal(mm_gemm_kernel(blis), "skx");
    assert_string_not_equal(mm_gemm_kernel(blis), "own");
    expect_definition(blis, seed, 120);
    mm_gemm_close(blis);
}

typedef struct team {
    const mm_gemm *gemm;
    const problem *whole;
    float *c;
} team;

// One slice of C's rows.
static void take_slice(void *self, int worker) {
    const team *t = self;
    problem p = *t->whole;
    long begin, end;
    mm_par_slice((long)p.m, 1, worker, 7, &begin, &end);
    p.m = end - begin;
    p.a += p.transpose_a ? begin : begin * p.lda;
    run(t->gemm, &p, t->c + begin * p.ldc, NULL);
}

static void slices_by_many_threads_are_the_whole(void **state) {
    uint64_t draw = seed;
    for (int number = 0; number < 20; number++) {
        problem p = draw_problem(&draw, 0);
        float *whole = numbers_copy(p.c, p.m * p.ldc);
        team t = {*state, &p, p.c};
        run(*state, &p, whole, NULL);
        mm_par_run(7, take_slice, &t);
        expect_same("slices", p.c, whole, p.m * p.ldc);
        free(whole);
        free_problem(&p);
    }
}

static void bits_are_the_same_everywhere(void **state) {
    const problem p = {.m = 45,
                       .n = 39,
                       .k = 700,
                       .lda = 700,
                       .ldb = 39,
                       .ldc = 39,
                       .alpha = 0.3f,
                       .into = MM_GEMM_ADD,
                       .a = numbers_new(45 * 700, 1, 1),
                       .b = numbers_new(700 * 39, 2, 1),
                       .c = numbers_new(45 * 39, 3, 1)};
    run(*state, &p, p.c, NULL);
    expect_hash("C", mm_isa_best(), p.c, 45 * 39 * sizeof *p.c, "e9b3b935da2f3f4e29a3a19b4e51c251");
    free(p.a), free(p.b), free(p.c);
}

static void no_work_leaves_c_alone(void **state) {
    float c[] = {1, 2, 3, 4};
    mm_gemm_run(*state, false, false, 0, 4, 3, 1, c, 3, c, 4, MM_GEMM_SET, c, 4, NULL);
    mm_gemm_run(*state, false, false, 4, 0, 3, 1, c, 3, c, 1, MM_GEMM_SET, c, 1, NULL);
    assert_true(c[0] == 1 && c[3] == 4);
}

static void expect_refusal(const char *value) {
    mm_gemm *gemm = NULL;
    mm_error error = {{0}};
    assert_int_equal(setenv("BLIS_ARCH_TYPE", value, 1), 0);
    assert_int_equal(mm_gemm_open(mm_isa_best(), &gemm, &error), MM_TROUBLE);
    assert_null(gemm);
    assert_non_null(strstr(error.text, "BLIS_ARCH_TYPE="));
    assert_non_null(strstr(error.text, value));
    assert_null(strchr(error.text, '\n'));
}

// The kernels whose numbers are the same from BLIS 0.9 on.
static const struct {
    const char *number, *name;
    mm_isa needs;
} kernels[] = {
    {"0", "skx", MM_ISA_V4},  {"3", "haswell", MM_ISA_V3}, {"6", "zen3", MM_ISA_V3},
    {"7", "zen2", MM_ISA_V3}, {"8", "zen", MM_ISA_V3},
};

// Before BLIS has started, which would end the program.
static void kernels_that_cannot_run_are_refused(void **state) {
    (void)state;
    static const char *const nonsense[] = {"x", "3x", "-1", "99", " ", "3.0", "99999999999999999999"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) expect_refusal(nonsense[i]);
#if defined(__x86_64__)
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (kernels[i].needs > mm_isa_best()) expect_refusal(kernels[i].number);
#endif
}

// Does the kernel that `wanted` names run?
static int expect_kernel(const char *wanted, const mm_gemm *gemm) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(wanted, kernels[i].number) == 0 && strcmp(mm_gemm_kernel(gemm), kernels[i].name) != 0) {
            fprintf(stderr, "kernel %s runs, want %s\n", mm_gemm_kernel(gemm), kernels[i].name);
            return 1;
        }
#if defined(__x86_64__)
    // Without a wish, or with an empty one, it is our own or one with FMA; one without is not the definition.
    const bool fma = strcmp(wanted, "4") != 0 && mm_isa_best() >= MM_ISA_V3;
    if ((strcmp(mm_gemm_kernel(gemm), "plain") == 0) == fma) {
        fprintf(stderr, "kernel %s runs with BLIS_ARCH_TYPE=%s\n", mm_gemm_kernel(gemm), wanted);
        return 1;
    }
    if (!*wanted && mm_isa_best() >= MM_ISA_V3 && strcmp(mm_gemm_kernel(gemm), "own") != 0) return 1;
#endif
    return 0;
}

int main(void) {
    const char *set = getenv("BLIS_ARCH_TYPE");
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%s", set ? set : "");
    const struct CMUnitTest before[] = {cmocka_unit_test(kernels_that_cannot_run_are_refused)};
    int failed = cmocka_run_group_tests(before, NULL, NULL);
    if (set ? setenv("BLIS_ARCH_TYPE", wanted, 1) : unsetenv("BLIS_ARCH_TYPE")) return 1;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(wanted, kernels[i].number) == 0 && kernels[i].needs > mm_isa_best())
            return failed ? failed : 77;

    mm_gemm *gemm;
    mm_error error;
    if (mm_gemm_open(mm_isa_best(), &gemm, &error) != MM_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    printf("BLIS_ARCH_TYPE=%s: %s %s, seed %llu\n", wanted, mm_gemm_kernel(gemm), mm_gemm_version(gemm),
           (unsigned long long)seed);
    failed += expect_kernel(wanted, gemm);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(it_is_the_definition, gemm),
        cmocka_unit_test_prestate(slices_by_many_threads_are_the_whole, gemm),
        cmocka_unit_test_prestate(bits_are_the_same_everywhere, gemm),
        cmocka_unit_test_prestate(no_work_leaves_c_alone, gemm),
    };
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    const struct CMUnitTest both[] = {
        cmocka_unit_test(own_is_the_definition),
        cmocka_unit_test(best_of_blis_is_the_definition),
    };
    if (!set) failed += cmocka_run_group_tests(both, NULL, NULL);
    mm_gemm_close(gemm);
    return failed;
}
