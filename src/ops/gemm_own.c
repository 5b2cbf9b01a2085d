#include "build.h"
#include "lanes.h"
#include <assert.h>
#include <mm/ops/gemm.h>
#include <stdbool.h>
#include <string.h>

// A tile of C: TILE_ROWS rows of MM_LANES columns, whose sums stay in registers.
enum { TILE_ROWS = 6 };

// One chunk of k of MM_LANES columns of B, row by row, +0 beyond the last column.
typedef struct panel {
    float at[MM_GEMM_CHUNK][MM_LANES];
} panel;

static void pack(panel *p, mm_gemm_operand b, int64_t k, int64_t n) {
    for (int64_t i = 0; i < k; i++) {
        const float *row = b.data + i * b.row;
        for (int64_t l = 0; l < MM_LANES; l++) p->at[i][l] = l < n ? row[l * b.column] : 0.0f;
    }
}

// `rows` (constant where it is inlined) rows of C, `n` columns: acc = fmaf(a, b, acc) in order of k, from +0.
MM_INLINE void tile(int rows, int64_t k, float alpha, mm_gemm_operand a, const panel *b, bool add, float *c,
                    int64_t ldc, int64_t n) {
    float acc[TILE_ROWS][MM_LANES] = {{0}};
    for (int64_t p = 0; p < k; p++)
        for (int r = 0; r < rows; r++) {
            const float x = a.data[r * a.row + p * a.column];
            for (int l = 0; l < MM_LANES; l++) acc[r][l] = fmaf(x, b->at[p][l], acc[r][l]);
        }
    for (int r = 0; r < rows; r++)
        for (int64_t l = 0; l < n; l++) {
            float *out = c + r * ldc + l;
            *out = add ? *out + alpha * acc[r][l] : alpha * acc[r][l];
        }
}

static void columns(int64_t m, int64_t k, float alpha, mm_gemm_operand a, const panel *b, bool add, float *c,
                    int64_t ldc, int64_t n) {
    int64_t i = 0;
    for (; i + TILE_ROWS <= m; i += TILE_ROWS, a.data += TILE_ROWS * a.row)
        tile(TILE_ROWS, k, alpha, a, b, add, c + i * ldc, ldc, n);
    for (; i < m; i++, a.data += a.row) tile(1, k, alpha, a, b, add, c + i * ldc, ldc, n);
}

static void run(int64_t m, int64_t n, int64_t k, float alpha, mm_gemm_operand a, mm_gemm_operand b,
                float beta, float *c, int64_t ldc) {
    assert(beta == 0.0f || beta == 1.0f);
    for (int64_t i = 0; k == 0 && beta == 0.0f && i < m; i++) memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    panel p;
    for (int64_t j = 0; j < n; j += MM_LANES) {
        const int64_t width = n - j < MM_LANES ? n - j : MM_LANES;
        for (int64_t first = 0; first < k; first += MM_GEMM_CHUNK) {
            const int64_t chunk = k - first < MM_GEMM_CHUNK ? k - first : MM_GEMM_CHUNK;
            const mm_gemm_operand left = {a.data + first * a.column, a.row, a.column};
            const mm_gemm_operand right = {b.data + first * b.row + j * b.column, b.row, b.column};
            pack(&p, right, chunk, width);
            columns(m, chunk, alpha, left, &p, beta != 0.0f || first > 0, c + j, ldc, width);
        }
    }
}

const mm_gemm_plain MM_BUILD(mm_gemm_plain) = {run};
