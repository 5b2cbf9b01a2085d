// The GEMMs of a step (a list that bench_step --gemms wrote) through mm_gemm_run and through BLIS as it
// comes, in turn, on as many threads at once as the step has workers: how much of BLIS is left, and what is
// the limit of a step.
//
//     bench_gemm FILE WORKERS [ROUNDS] [--default]
//
// One JSON object a shape, then one of all. --default: BLIS chooses its kernel itself, and is measured alone.
#include <assert.h>
#include <blis.h>
#include <mm/base/arena.h>
#include <mm/base/clock.h>
#include <mm/base/par.h>
#include <mm/ops/gemm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHAPES = 256, MOST_WORKERS = 256, MOST_ROUNDS = 99, POOL = 16 << 20 }; // POOL: floats

typedef struct shape {
    int transpose_a, transpose_b, adds;
    long long m, n, k, lda, ldb, ldc;
    double calls, step_seconds; // of a step; of all its calls in the run it comes from
} shape;

// A worker's operands lie in a pool, one behind the other and from the front again, so that they are no more
// in its cache than they are in a step.
typedef struct operands {
    mm_arena arena;
    float *in, *out, *room;
    size_t in_at, out_at;
} operands;

typedef struct bench {
    shape shapes[MOST_SHAPES];
    int count, workers;
    mm_gemm *gemm;
    operands of[MOST_WORKERS];
    bool plain; // BLIS as it comes
    int shape;  // in work
    long calls; // of each worker
    double seconds[MOST_WORKERS];
} bench;

static const float *take_in(operands *o, size_t floats) {
    if (o->in_at + floats > POOL) o->in_at = 0;
    const float *at = o->in + o->in_at;
    o->in_at += (floats + 15) / 16 * 16;
    return at;
}

static float *take_out(operands *o, size_t floats) {
    if (o->out_at + floats > POOL) o->out_at = 0;
    float *at = o->out + o->out_at;
    o->out_at += (floats + 15) / 16 * 16;
    return at;
}

static void run_blis(const shape *s, const float *a, const float *b, float *c) {
    float alpha = 1, beta = s->adds ? 1 : 0;
    bli_sgemm(s->transpose_a ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE,
              s->transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, s->m, s->n, s->k, &alpha, (float *)a,
              s->lda, 1, (float *)b, s->ldb, 1, &beta, c, s->ldc, 1);
}

static void work(void *self, int worker) {
    bench *b = self;
    operands *o = &b->of[worker];
    const shape *s = &b->shapes[b->shape];
    size_t rows_a = (size_t)(s->transpose_a ? s->k : s->m), rows_b = (size_t)(s->transpose_b ? s->n : s->k);
    double began = mm_clock_seconds();
    for (long i = 0; i < b->calls; i++) {
        const float *left = take_in(o, rows_a * (size_t)s->lda), *right = take_in(o, rows_b * (size_t)s->ldb);
        float *c = take_out(o, (size_t)s->m * (size_t)s->ldc);
        if (b->plain)
            run_blis(s, left, right, c);
        else
            mm_gemm_run(b->gemm, s->transpose_a, s->transpose_b, s->m, s->n, s->k, 1, left, s->lda, right,
                        s->ldb, s->adds ? MM_GEMM_ADD : MM_GEMM_SET, c, s->ldc, o->room);
    }
    b->seconds[worker] = mm_clock_seconds() - began;
}

// Seconds of one call, the mean over the workers.
static double call_seconds(bench *b, int i, bool plain) {
    b->shape = i;
    b->plain = plain;
    mm_par_run(b->workers, work, b);
    double sum = 0;
    for (int w = 0; w < b->workers; w++) sum += b->seconds[w];
    return sum / b->workers / (double)b->calls;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Enough calls for a time that the clock tells well, on both sides alike.
static long calls_for(bench *b, int i) {
    b->calls = 1;
    double seconds = call_seconds(b, i, true);
    double calls = 0.01 / (seconds > 1e-7 ? seconds : 1e-7);
    return calls < 2 ? 2 : calls > 2000 ? 2000 : (long)calls;
}

// Medians of a shape's seconds a call: mm's (0 with `alone`) and BLIS's.
static void time_shape(bench *b, int i, int rounds, bool alone, double median[2]) {
    double seconds[2][MOST_ROUNDS];
    b->calls = calls_for(b, i);
    for (int round = 0; round < rounds; round++) {
        seconds[0][round] = alone ? 0 : call_seconds(b, i, false);
        seconds[1][round] = call_seconds(b, i, true);
    }
    for (int side = 0; side < 2; side++) {
        qsort(seconds[side], (size_t)rounds, sizeof **seconds, compare);
        median[side] = seconds[side][rounds / 2];
    }
}

static bool fits(const shape *s) {
    double a = (double)(s->transpose_a ? s->k : s->m) * (double)s->lda;
    double b = (double)(s->transpose_b ? s->n : s->k) * (double)s->ldb, c = (double)s->m * (double)s->ldc;
    return s->m > 0 && s->n > 0 && s->k > 0 && a <= POOL && b <= POOL && c <= POOL;
}

// The longest first.
static int compare_shapes(const void *a, const void *b) {
    return compare(&((const shape *)b)->step_seconds, &((const shape *)a)->step_seconds);
}

static bool read_list(bench *b, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    shape s;
    while (b->count < MOST_SHAPES &&
           fscanf(file, "%d %d %d %lld %lld %lld %lld %lld %lld %lg %lg", &s.transpose_a, &s.transpose_b,
                  &s.adds, &s.m, &s.n, &s.k, &s.lda, &s.ldb, &s.ldc, &s.calls, &s.step_seconds) == 11)
        if (fits(&s)) b->shapes[b->count++] = s;
    fclose(file);
    qsort(b->shapes, (size_t)b->count, sizeof *b->shapes, compare_shapes);
    return b->count > 0;
}

static void fill(void *self, int worker) {
    operands *o = &((bench *)self)->of[worker];
    for (size_t i = 0; i < POOL; i++) {
        o->in[i] = (float)(int)(i * 2654435761u % 2048) / 1024 - 1;
        o->out[i] = 0;
    }
}

// In huge pages where the system has them, as a step's activations and weights are.
static mm_status make_pools(bench *b, mm_error *error) {
    const size_t room = b->gemm ? mm_gemm_room(b->gemm) : 0;
    for (int w = 0; w < b->workers; w++) {
        operands *o = &b->of[w];
        mm_status status = mm_arena_open(&o->arena, (2 * POOL + room + 64) * sizeof(float), error);
        if (status) return status;
        o->in = mm_arena_take(&o->arena, POOL, sizeof(float));
        o->out = mm_arena_take(&o->arena, POOL, sizeof(float));
        if (room) o->room = mm_arena_take(&o->arena, room, sizeof(float));
    }
    mm_par_run(b->workers, fill, b);
    return MM_OK;
}

static void run_all(bench *b, int rounds, bool alone) {
    double total[2] = {0}, step = 0, flops = 0;
    for (int i = 0; i < b->count; i++) {
        const shape *s = &b->shapes[i];
        double median[2], each = 2.0 * (double)s->m * (double)s->n * (double)s->k;
        time_shape(b, i, rounds, alone, median);
        for (int side = 0; side < 2; side++) total[side] += median[side] * s->calls;
        step += s->step_seconds;
        flops += each * s->calls;
        if (alone) continue;
        printf("{\"operands\": \"%s%s\", \"adds\": %d, \"m\": %lld, \"n\": %lld, \"k\": %lld, \"calls\": %g, "
               "\"in_step_gflops\": %.2f, \"mm_gflops\": %.2f, \"blis_gflops\": %.2f, \"ratio\": %.4f, "
               "\"blis_seconds\": %.6f}\n",
               s->transpose_a ? "T" : "N", s->transpose_b ? "T" : "N", s->adds, s->m, s->n, s->k, s->calls,
               s->step_seconds > 0 ? each * s->calls / s->step_seconds * 1e-9 : 0, each / median[0] * 1e-9,
               each / median[1] * 1e-9, median[1] / median[0], median[1] * s->calls);
    }
    printf("{\"all\": true, \"mm_kernel\": \"%s\", \"kernel\": \"%s\", \"version\": \"%s\", \"workers\": %d, "
           "\"flops\": %.6g, "
           "\"in_step_seconds\": %.6f, "
           "\"mm_seconds\": %.6f, \"blis_seconds\": %.6f, \"in_step_gflops\": %.2f, \"mm_gflops\": %.2f, "
           "\"blis_gflops\": %.2f, \"ratio\": %.4f}\n",
           alone ? "" : mm_gemm_kernel(b->gemm), bli_arch_string(bli_arch_query_id()),
           bli_info_get_version_str(), b->workers, flops, step, total[0], total[1],
           step > 0 ? flops / step * 1e-9 : 0, alone ? 0 : flops / total[0] * 1e-9, flops / total[1] * 1e-9,
           alone ? 0 : total[1] / total[0]);
}

int main(int argc, char **argv) {
    static bench b;
    bool alone = argc > 3 && strcmp(argv[argc - 1], "--default") == 0;
    b.workers = argc > 2 ? atoi(argv[2]) : 0;
    int rounds = argc > 3 && atoi(argv[3]) ? atoi(argv[3]) : 5;
    if (b.workers < 1 || b.workers > MOST_WORKERS || rounds < 1 || rounds > MOST_ROUNDS) return 2;
    mm_error error;
    mm_isa isa;
    if (setenv("BLIS_NUM_THREADS", "1", 1)) return 2;
    mm_gemm *blis = NULL; // opened for what it chooses
    if (!alone && (mm_isa_pick(&isa, &error) || mm_gemm_open(isa, &b.gemm, &error) ||
                   mm_gemm_open_blis(isa, &blis, &error))) {
        fprintf(stderr, "bench_gemm: %s\n", error.text);
        return 2;
    }
    if (!read_list(&b, argv[1])) {
        fprintf(stderr, "bench_gemm: %s: expected a list of GEMMs that bench_step --gemms wrote\n", argv[1]);
        return 2;
    }
    if (make_pools(&b, &error)) {
        fprintf(stderr, "bench_gemm: %s\n", error.text);
        return 2;
    }
    run_all(&b, rounds, alone);
    for (int w = 0; w < b.workers; w++) mm_arena_close(&b.of[w].arena);
    mm_gemm_close(b.gemm);
    mm_gemm_close(blis);
    return 0;
}
