#include <mm/ops/gemm.h>

#include "build.h"
#include <assert.h>
#include <blis.h>
#include <errno.h>
#include <math.h>
#include <mm/base/clock.h>
#include <mm/base/profile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if !defined(__x86_64__)
#include <sys/auxv.h>
#endif

struct mm_gemm {
    const mm_gemm_own *own;
    bool blis;        // BLIS serves, else `own`
    bool scaled_sums; // also where it adds a scaled product: some kernels (cortexa57) round that once
    const char *kernel, *version;
    cntx_t context; // BLIS's own, but for the chunk of k
    rntm_t runtime; // one thread, no path of its own for small matrices
};

// What a kernel of BLIS asks of the CPU.
typedef enum cpu_demand { ANY, SSSE3, AVX, AVX_FMA, AVX_FMA4, AVX2_FMA, AVX512, AVX512_KNL, SVE } cpu_demand;

// The kernels that this BLIS was built with.
static const struct {
    arch_t id;
    cpu_demand demand;
} built[] = {
#ifdef BLIS_CONFIG_SKX
    {BLIS_ARCH_SKX, AVX512},
#endif
#ifdef BLIS_CONFIG_KNL
    {BLIS_ARCH_KNL, AVX512_KNL},
#endif
#ifdef BLIS_CONFIG_HASWELL
    {BLIS_ARCH_HASWELL, AVX2_FMA},
#endif
#ifdef BLIS_CONFIG_SANDYBRIDGE
    {BLIS_ARCH_SANDYBRIDGE, AVX},
#endif
#ifdef BLIS_CONFIG_PENRYN
    {BLIS_ARCH_PENRYN, SSSE3},
#endif
#ifdef BLIS_CONFIG_ZEN3
    {BLIS_ARCH_ZEN3, AVX2_FMA},
#endif
#ifdef BLIS_CONFIG_ZEN2
    {BLIS_ARCH_ZEN2, AVX2_FMA},
#endif
#ifdef BLIS_CONFIG_ZEN
    {BLIS_ARCH_ZEN, AVX2_FMA},
#endif
#ifdef BLIS_CONFIG_EXCAVATOR
    {BLIS_ARCH_EXCAVATOR, AVX_FMA},
#endif
#ifdef BLIS_CONFIG_STEAMROLLER
    {BLIS_ARCH_STEAMROLLER, AVX_FMA},
#endif
#ifdef BLIS_CONFIG_PILEDRIVER
    {BLIS_ARCH_PILEDRIVER, AVX_FMA},
#endif
#ifdef BLIS_CONFIG_BULLDOZER
    {BLIS_ARCH_BULLDOZER, AVX_FMA4},
#endif
#ifdef BLIS_CONFIG_ARMSVE
    {BLIS_ARCH_ARMSVE, SVE},
#endif
#ifdef BLIS_CONFIG_A64FX
    {BLIS_ARCH_A64FX, SVE},
#endif
#ifdef BLIS_CONFIG_FIRESTORM
    {BLIS_ARCH_FIRESTORM, ANY},
#endif
#ifdef BLIS_CONFIG_THUNDERX2
    {BLIS_ARCH_THUNDERX2, ANY},
#endif
#ifdef BLIS_CONFIG_CORTEXA57
    {BLIS_ARCH_CORTEXA57, ANY},
#endif
#ifdef BLIS_CONFIG_CORTEXA53
    {BLIS_ARCH_CORTEXA53, ANY},
#endif
#ifdef BLIS_CONFIG_GENERIC
    {BLIS_ARCH_GENERIC, ANY},
#endif
};

#if defined(__x86_64__)
static bool cpu_meets(cpu_demand demand) {
    __builtin_cpu_init();
    switch (demand) {
    case ANY:
        return true;
    case SSSE3:
        return __builtin_cpu_supports("ssse3");
    case AVX:
        return __builtin_cpu_supports("avx");
    case AVX_FMA:
        return __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
    case AVX_FMA4:
        return __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma4");
    case AVX2_FMA:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case AVX512:
        return mm_isa_best() == MM_ISA_V4;
    case AVX512_KNL:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512pf");
    case SVE:
        break;
    }
    return false;
}

// Of kernels that give the same bits, the fastest: BLIS 0.9.0 leaves AVX-512 unused on newer CPUs and takes
// its generic kernel on CPUs of vendors or families that it does not know. -1: leave it to BLIS.
static int best_kernel(void) {
    if (cpu_meets(AVX512)) return BLIS_ARCH_SKX;
    bool known = __builtin_cpu_is("znver1") || __builtin_cpu_is("znver2") || __builtin_cpu_is("znver3");
    return cpu_meets(AVX2_FMA) && !known ? BLIS_ARCH_HASWELL : -1;
}
#else
static bool cpu_meets(cpu_demand demand) {
#if defined(HWCAP_SVE)
    if (demand == SVE) return getauxval(AT_HWCAP) & HWCAP_SVE;
#endif
    return demand == ANY;
}

static int best_kernel(void) {
    return -1;
}
#endif

static bool kernel_runs(long id) {
    for (size_t i = 0; i < sizeof built / sizeof *built; i++)
        if ((long)built[i].id == id) return cpu_meets(built[i].demand);
    return false;
}

// BLIS reads BLIS_ARCH_TYPE when it starts, ends the program if it is out of range, and takes what is no
// number or empty for 0.
static mm_status check_wish(const char *wanted, mm_error *error) {
    char *end;
    errno = 0;
    long id = strtol(wanted, &end, 10);
    if (*end || errno)
        return mm_trouble(error,
                          "BLIS_ARCH_TYPE=%s: expected the number of one of BLIS's kernels, such as %d "
                          "for haswell; unset it for the best",
                          wanted, (int)BLIS_ARCH_HASWELL);
    if (!kernel_runs(id))
        return mm_trouble(error,
                          "BLIS_ARCH_TYPE=%s: this CPU cannot run that kernel or this BLIS lacks it; "
                          "unset it for the best",
                          wanted);
    return MM_OK;
}

static mm_status choose_best(mm_error *error) {
    int best = best_kernel();
    char number[16];
    snprintf(number, sizeof number, "%d", best);
    int failed =
        best >= 0 && kernel_runs(best) ? setenv("BLIS_ARCH_TYPE", number, 1) : unsetenv("BLIS_ARCH_TYPE");
    return failed ? mm_trouble_errno(error, "BLIS_ARCH_TYPE", "set it") : MM_OK;
}

// More rows and columns than the widest kernels take at once (skx: 32, and BLIS may turn the product about),
// and not in whole tiles.
enum { CHECK_M = 67, CHECK_N = 41, CHECK_K = 600 };

static void fill(float *x, int64_t n, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((int32_t)(seed >> 8) - (1 << 23)) * 0x1p-24f;
    }
}

// Is alpha times a product, of more than two chunks, as defined? Or added to C.
static bool meets_definition(const mm_gemm *gemm, float alpha, bool add, float *room) {
    enum { M = CHECK_M, N = CHECK_N, K = CHECK_K };
    float *a = room, *b = a + M * K, *c = b + K * N, *before = c + M * N;
    fill(a, M * K, 1);
    fill(b, K * N, 2);
    fill(c, M * N, 3);
    memcpy(before, c, M * N * sizeof *c);
    mm_gemm_run(gemm, false, false, M, N, K, alpha, a, K, b, N, add ? MM_GEMM_ADD : MM_GEMM_SET, c, N, NULL);
    bool equal = true;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            float sum = add ? before[i * N + j] : 0.0f;
            for (int first = 0; first < K; first += MM_GEMM_CHUNK) {
                float acc = 0;
                for (int p = first; p < K && p < first + MM_GEMM_CHUNK; p++)
                    acc = fmaf(a[i * K + p], b[p * N + j], acc);
                sum = first || add ? sum + alpha * acc : alpha * acc;
            }
            equal = equal && memcmp(&sum, &c[i * N + j], sizeof sum) == 0;
        }
    return equal;
}

// Is a product of -0 set as such, in whole tiles and others? Kernels that add it to +0 (cortexa57) lose it:
// one whose numbers are too small, and alpha below 0 times nothing.
static bool keeps_signs(const mm_gemm *gemm, float *room) {
    enum { M = CHECK_M, N = CHECK_N };
    const float small = 0x1p-100f, factors[2][2] = {{-small, 1}, {0, -1}}; // of A, and alpha
    float *a = room, *b = a + M, *c = b + N;
    bool kept = true;
    for (int f = 0; f < 2; f++) {
        for (int i = 0; i < M; i++) a[i] = factors[f][0];
        for (int j = 0; j < N; j++) b[j] = small;
        mm_gemm_run(gemm, false, false, M, N, 1, factors[f][1], a, 1, b, N, MM_GEMM_SET, c, N, NULL);
        for (int i = 0; i < M * N; i++) kept = kept && c[i] == 0 && signbit(c[i]);
    }
    return kept;
}

// Rows of A that BLIS packs at once: its own number, or the largest multiple of it that leaves two fifths of
// the second cache to what streams through. It moves no bits, since it cuts no sum; with half as many passes
// over B, logits (256 rows) take 6 to 8% less time on a Zen 3, other shapes up to 2%.
static void fill_cache(cntx_t *context) {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    blksz_t *rows = bli_cntx_get_blksz(BLIS_MC, context);
    const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE), own = (long)bli_blksz_get_def(BLIS_FLOAT, rows);
    const long bytes = own * MM_GEMM_CHUNK * (long)sizeof(float), times = cache / 5 * 3 / bytes;
    if (times < 2) return; // or the system does not know
    bli_blksz_set_def(times * own, BLIS_FLOAT, rows);
    bli_blksz_set_max(times * own, BLIS_FLOAT, rows);
#else
    (void)context;
#endif
}

static void start_blis(mm_gemm *gemm) {
    bli_init();
    gemm->blis = true;
    gemm->kernel = bli_arch_string(bli_arch_query_id());
    gemm->version = bli_info_get_version_str();
    gemm->context = *bli_gks_query_cntx();
    blksz_t *chunk = bli_cntx_get_blksz(BLIS_KC, &gemm->context);
    bli_blksz_set_def(MM_GEMM_CHUNK, BLIS_FLOAT, chunk);
    bli_blksz_set_max(MM_GEMM_CHUNK, BLIS_FLOAT, chunk);
    fill_cache(&gemm->context);
    bli_rntm_init(&gemm->runtime);
    bli_rntm_set_num_threads(1, &gemm->runtime);
    bli_rntm_disable_l3_sup(&gemm->runtime);
}

// Leaves to BLIS what it computes as defined.
static mm_status check_blis(mm_gemm *gemm, mm_error *error) {
    enum { NUMBERS = CHECK_M * CHECK_K + CHECK_K * CHECK_N + 2 * CHECK_M * CHECK_N };
    float *room = malloc(NUMBERS * sizeof *room);
    if (!room) return mm_trouble(error, "the check of GEMM: out of memory");
    gemm->scaled_sums = true;
    gemm->blis = meets_definition(gemm, 1.0f, false, room) && meets_definition(gemm, 1.0f, true, room) &&
                 keeps_signs(gemm, room);
    gemm->scaled_sums = gemm->blis && meets_definition(gemm, 0.3f, true, room);
    free(room);
    if (!gemm->blis) gemm->kernel = "plain", gemm->version = "";
    return MM_OK;
}

mm_status mm_gemm_open_own(mm_isa isa, mm_gemm **gemm, mm_error *error) {
    *gemm = calloc(1, sizeof **gemm);
    if (!*gemm) return mm_trouble(error, "GEMM's context: out of memory");
    (*gemm)->own = mm_ops_build_for(isa)->gemm;
    (*gemm)->kernel = "own";
    (*gemm)->version = "";
    return MM_OK;
}

// The kernel that the user wants, or NULL.
static const char *wish(void) {
    const char *wanted = getenv("BLIS_ARCH_TYPE");
    return wanted && *wanted ? wanted : NULL;
}

mm_status mm_gemm_open_blis(mm_isa isa, mm_gemm **gemm, mm_error *error) {
    const char *wanted = wish();
    mm_status status = mm_gemm_open_own(isa, gemm, error);
    if (!status) status = wanted ? check_wish(wanted, error) : choose_best(error);
    if (!status) {
        start_blis(*gemm);
        status = check_blis(*gemm, error);
    }
    if (status) {
        mm_gemm_close(*gemm);
        *gemm = NULL;
    }
    return status;
}

mm_status mm_gemm_open(mm_isa isa, mm_gemm **gemm, mm_error *error) {
    const bool faster = isa == MM_ISA_V3 || isa == MM_ISA_V4;
    return faster && !wish() ? mm_gemm_open_own(isa, gemm, error) : mm_gemm_open_blis(isa, gemm, error);
}

void mm_gemm_close(mm_gemm *gemm) {
    free(gemm);
}

const char *mm_gemm_kernel(const mm_gemm *gemm) {
    return gemm->kernel;
}

size_t mm_gemm_room(const mm_gemm *gemm) {
    enum { PACKED_LINES = MM_GEMM_BLOCK_ROWS + MM_GEMM_BLOCK_COLUMNS };
    return gemm->blis ? 0 : (size_t)PACKED_LINES * MM_GEMM_CHUNK;
}

size_t mm_gemm_packed_bytes(const mm_gemm *gemm) {
    if (!gemm->blis) return 0;
    cntx_t context = gemm->context; // BLIS's interface lacks const
    return (size_t)bli_blksz_get_def(BLIS_FLOAT, bli_cntx_get_blksz(BLIS_MC, &context)) * MM_GEMM_CHUNK *
           sizeof(float);
}

const char *mm_gemm_version(const mm_gemm *gemm) {
    return gemm->version;
}

static void multiply(const mm_gemm *gemm, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                     float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, mm_gemm_into into,
                     float *c, int64_t ldc, float *room) {
    assert(m >= 0 && n >= 0 && k >= 0);
    if (m == 0 || n == 0) return;
    // With alpha 0 BLIS leaves out the product, and with it its signs and what is not finite.
    const bool scaled_sum = alpha != 1.0f && (into != MM_GEMM_SET || k > MM_GEMM_CHUNK);
    if (!gemm->blis || alpha == 0.0f || (scaled_sum && !gemm->scaled_sums)) {
        mm_gemm_operand left = {a, transpose_a ? 1 : lda, transpose_a ? lda : 1};
        mm_gemm_operand right = {b, transpose_b ? 1 : ldb, transpose_b ? ldb : 1};
        float *own_room = gemm->blis ? NULL : room; // there is none beside BLIS
        gemm->own->run(m, n, k, alpha, left, right, into, c, ldc, own_room);
        return;
    }
    float beta = into == MM_GEMM_SET ? 0 : 1;
    for (int64_t i = 0; into == MM_GEMM_ADD_TO_ZERO && i < m; i++)
        memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    rntm_t runtime = gemm->runtime; // BLIS writes into it
    // BLIS's interface lacks const; it writes C alone.
    bli_sgemm_ex(transpose_a ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE,
                 transpose_b ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE, m, n, k, &alpha, (float *)a, lda, 1,
                 (float *)b, ldb, 1, &beta, c, ldc, 1, (cntx_t *)&gemm->context, &runtime);
}

void mm_gemm_run(const mm_gemm *gemm, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, mm_gemm_into into,
                 float *c, int64_t ldc, float *room) {
    if (!mm_profile_mine) {
        multiply(gemm, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, into, c, ldc, room);
        return;
    }
    double began = mm_clock_seconds();
    multiply(gemm, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, into, c, ldc, room);
    const mm_profile_gemm shape = {.m = m,
                                   .n = n,
                                   .k = k,
                                   .lda = lda,
                                   .ldb = ldb,
                                   .ldc = ldc,
                                   .transpose_a = transpose_a,
                                   .transpose_b = transpose_b,
                                   .adds = into == MM_GEMM_ADD};
    mm_profile_gemm_ended(&shape, began);
}
