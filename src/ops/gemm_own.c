// A tile of C, a few rows and columns, stays in registers while a chunk of k goes by. B is packed in panels
// of a tile's columns. With room, A is packed too, in panels of a tile's rows, a block of rows that stays in
// the second cache while all panels of B go by; without, it is read as it stands, which is faster where few
// panels of B would read what was packed and a row's numbers lie side by side.
#include "build.h"
#include "vectors.h"
#include <assert.h>
#include <mm/ops/gemm.h>
#include <string.h>

enum {
    CHUNK = MM_GEMM_CHUNK,
    COLUMNS = VECTOR == 16 ? 32 : 16, // of a tile, and of a panel of B
    WIDE = COLUMNS / VECTOR,          // vectors of a tile's row
    ROWS = VECTOR == 16 ? 14 : 6,     // of a tile: as many as registers hold
    BLOCK_ROWS = MM_GEMM_BLOCK_ROWS / ROWS * ROWS,
    BLOCK_COLUMNS = MM_GEMM_BLOCK_COLUMNS,
    FEW_COLUMNS = MM_GEMM_FEW_COLUMNS, // for which packing A costs more than it saves
};

// ---- a tile

// How a tile's rows come: a[r * row + p * column], one of the two being 1 (constant where it is inlined).
typedef struct tile_rows {
    const float *a;
    int64_t row, column;
} tile_rows;

// Where alpha * tile goes; `n` columns, COLUMNS but at C's right edge.
typedef struct target {
    float *c;
    int64_t ldc, n;
    float alpha;
    mm_gemm_into into;
} target;

MM_INLINE void put_row(const target *t, int r, const vector *acc) {
    float *c = t->c + r * t->ldc;
    const vector alpha = vector_of(t->alpha);
    for (int v = 0; v < WIDE; v++) {
        loose_vector *out = (loose_vector *)(c + v * VECTOR);
        vector sum = alpha * acc[v];
        if (t->into != MM_GEMM_SET) sum = (t->into == MM_GEMM_ADD ? (vector)*out : vector_of(0)) + sum;
        *out = sum;
    }
}

// At C's right edge.
MM_INLINE void put_part(const target *t, int r, const vector *acc) {
    float *c = t->c + r * t->ldc, products[COLUMNS];
    const vector alpha = vector_of(t->alpha);
    for (int v = 0; v < WIDE; v++) *(loose_vector *)(products + v * VECTOR) = alpha * acc[v];
    for (int64_t l = 0; l < t->n; l++)
        c[l] = t->into == MM_GEMM_SET ? products[l] : (t->into == MM_GEMM_ADD ? c[l] : 0.0f) + products[l];
}

// `rows` (constant where it is inlined) rows: acc = fmaf(a, b, acc) in order of k, from +0.
MM_INLINE void tile(int rows, int64_t k, tile_rows a, const float *b, const target *t) {
    vector acc[ROWS][WIDE];
    MM_UNROLL
    for (int r = 0; r < rows; r++) {
        MM_UNROLL
        for (int v = 0; v < WIDE; v++) acc[r][v] = vector_of(0);
    }
    MM_UNROLL
    for (int r = 0; r < rows; r++) { // the last of a row may be in one line more
        for (int l = 0; l < COLUMNS; l += MM_LINE) __builtin_prefetch(t->c + r * t->ldc + l, 1);
        __builtin_prefetch(t->c + r * t->ldc + t->n - 1, 1);
    }
    for (int64_t p = 0; p < k; p++, a.a += a.column, b += COLUMNS) {
        vector columns[WIDE];
        MM_UNROLL
        for (int v = 0; v < WIDE; v++) columns[v] = *(const loose_vector *)(b + v * VECTOR);
        MM_UNROLL
        for (int r = 0; r < rows; r++) {
            const vector x = vector_of(a.a[r * a.row]);
            MM_UNROLL
            for (int v = 0; v < WIDE; v++) acc[r][v] = vector_fma(x, columns[v], acc[r][v]);
        }
    }
    if (t->n == COLUMNS) {
        MM_UNROLL
        for (int r = 0; r < rows; r++) put_row(t, r, acc[r]);
    } else {
        MM_UNROLL
        for (int r = 0; r < rows; r++) put_part(t, r, acc[r]);
    }
}

// A tile of `few` (constant where it is inlined) of the rows, if there are as many: how many are left.
MM_INLINE int64_t tile_of(int few, int64_t rows, int64_t k, tile_rows *a, const float *b, target *t) {
    if (rows < few) return rows;
    tile(few, k, *a, b, t);
    a->a += few * a->row;
    t->c += few * t->ldc;
    return rows - few;
}

// A tile for each run of ROWS rows, smaller ones at the end, all against one panel of B.
MM_INLINE void tiles(int64_t rows, int64_t k, tile_rows a, const float *b, target t) {
    while (rows >= ROWS) rows = tile_of(ROWS, rows, k, &a, b, &t);
    if (ROWS > 8) rows = tile_of(8, rows, k, &a, b, &t);
    rows = tile_of(4, rows, k, &a, b, &t);
    rows = tile_of(2, rows, k, &a, b, &t);
    tile_of(1, rows, k, &a, b, &t);
}

// Of rows whose numbers lie side by side, and of columns of which they do.
static void tiles_of_rows(int64_t rows, int64_t k, const float *a, int64_t lda, const float *b, target t) {
    tiles(rows, k, (tile_rows){a, lda, 1}, b, t);
}

static void tiles_of_columns(int64_t rows, int64_t k, const float *a, int64_t lda, const float *b, target t) {
    tiles(rows, k, (tile_rows){a, 1, lda}, b, t);
}

// ---- packing

// What is packed: element (i, p) is data[i * across + p * along]; one of the two is 1.
typedef struct strip {
    const float *data;
    int64_t across, along;
} strip;

// One panel: element (i, p) to to[p * width + i], for `width` (constant where it is inlined, at least 4) i.
// The last four may overlap those before. A line of the cache is read whole before the next row's.
MM_INLINE void pack_turned(float *to, const float *from, int64_t across, int64_t k, int width) {
    int64_t p = 0;
    for (; p + VECTOR <= k; p += VECTOR) {
        MM_UNROLL
        for (int i = 0; i + 4 <= width; i += 4)
            transpose(from + i * across + p, across, to + p * width + i, width);
        if (width % 4) transpose(from + (width - 4) * across + p, across, to + p * width + width - 4, width);
    }
    for (; p < k; p++)
        for (int i = 0; i < width; i++) to[p * width + i] = from[i * across + p];
}

MM_INLINE void pack_straight(float *to, const float *from, int64_t along, int64_t k, int width) {
    for (int64_t p = 0; p < k; p++, from += along, to += width) {
        MM_UNROLL
        for (int i = 0; i + 4 <= width; i += 4) *(loose_quad *)(to + i) = *(const loose_quad *)(from + i);
        if (width % 4) *(loose_quad *)(to + width - 4) = *(const loose_quad *)(from + width - 4);
    }
}

// `count` i in panels of `width`, a panel's k rows side by side; what is left over fills a last panel that is
// `rest` wide, +0 beyond it.
MM_INLINE void pack(float *to, strip from, int64_t count, int64_t k, int width, int rest) {
    enum { NEAR = 16 }; // rows of memory that all panels are packed from before the next
    const int64_t whole = count / width * width;
    if (from.along == 1) {
        for (int64_t i = 0; i < whole; i += width)
            pack_turned(to + i * k, from.data + i * from.across, from.across, k, width);
    } else {
        for (int64_t p = 0; p < k; p += NEAR)
            for (int64_t i = 0; i < whole; i += width)
                pack_straight(to + i * k + p * width, from.data + p * from.along + i, from.along,
                              k - p < NEAR ? k - p : NEAR, width);
    }
    to += whole * k;
    for (int64_t p = 0; p < k && whole < count; p++, to += rest)
        for (int64_t i = 0; i < rest; i++)
            to[i] = whole + i < count ? from.data[(whole + i) * from.across + p * from.along] : 0.0f;
}

static void pack_rows(float *to, mm_gemm_operand a, int64_t rows, int64_t k) {
    pack(to, (strip){a.data, a.row, a.column}, rows, k, ROWS, (int)(rows % ROWS));
}

static void pack_columns(float *to, mm_gemm_operand b, int64_t columns, int64_t k) {
    pack(to, (strip){b.data, b.column, b.row}, columns, k, COLUMNS, COLUMNS);
}

// ---- the whole

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static mm_gemm_operand from(mm_gemm_operand x, int64_t row, int64_t column) {
    x.data += row * x.row + column * x.column;
    return x;
}

// All columns of B that are packed, against a block of A's rows that is.
static void block(int64_t m, int64_t n, int64_t k, const float *a, const float *b, target t) {
    const int64_t whole = m / ROWS * ROWS;
    for (int64_t j = 0; j < n; j += COLUMNS) {
        t.n = least(n - j, COLUMNS);
        target at = t;
        at.c += j;
        int64_t i = 0;
        for (; i < whole; i += ROWS, at.c += ROWS * t.ldc)
            tile(ROWS, k, (tile_rows){a + i * k, 1, ROWS}, b + j * k, &at);
        if (i < m) tiles_of_columns(m - i, k, a + i * k, m - i, b + j * k, at);
    }
}

// Equal blocks of whole tiles, at most BLOCK_ROWS.
static int64_t block_rows(int64_t m) {
    const int64_t blocks = (m + BLOCK_ROWS - 1) / BLOCK_ROWS, rows = (m + blocks - 1) / blocks;
    return (rows + ROWS - 1) / ROWS * ROWS;
}

static void run_packed(int64_t m, int64_t n, int64_t k, mm_gemm_operand a, mm_gemm_operand b, target t,
                       float *room) {
    float *rows = room, *columns = room + BLOCK_ROWS * CHUNK;
    const int64_t most = block_rows(m);
    for (int64_t j = 0, wide; j < n; j += wide) {
        wide = least(n - j, BLOCK_COLUMNS);
        for (int64_t p = 0, deep; p < k; p += deep) {
            deep = least(k - p, CHUNK);
            pack_columns(columns, from(b, p, j), wide, deep);
            for (int64_t i = 0, high; i < m; i += high) {
                high = least(m - i, most);
                pack_rows(rows, from(a, i, p), high, deep);
                target at = {t.c + i * t.ldc + j, t.ldc, 0, t.alpha, p ? MM_GEMM_ADD : t.into};
                block(high, wide, deep, rows, columns, at);
            }
        }
    }
}

static void run_direct(int64_t m, int64_t n, int64_t k, mm_gemm_operand a, mm_gemm_operand b, target t) {
    _Alignas(64) float panel[CHUNK * COLUMNS];
    for (int64_t j = 0; j < n; j += COLUMNS) {
        for (int64_t p = 0, deep; p < k; p += deep) {
            deep = least(k - p, CHUNK);
            const mm_gemm_operand rows = from(a, 0, p);
            target at = {t.c + j, t.ldc, least(n - j, COLUMNS), t.alpha, p ? MM_GEMM_ADD : t.into};
            pack_columns(panel, from(b, p, j), at.n, deep);
            if (rows.column == 1)
                tiles_of_rows(m, deep, rows.data, rows.row, panel, at);
            else
                tiles_of_columns(m, deep, rows.data, rows.column, panel, at);
        }
    }
}

static void run(int64_t m, int64_t n, int64_t k, float alpha, mm_gemm_operand a, mm_gemm_operand b,
                mm_gemm_into into, float *c, int64_t ldc, float *room) {
    assert((a.row == 1 || a.column == 1) && (b.row == 1 || b.column == 1));
    const target t = {.c = c, .ldc = ldc, .alpha = alpha, .into = into};
    for (int64_t i = 0; k == 0 && into != MM_GEMM_ADD && i < m; i++)
        memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    if (room && (n > FEW_COLUMNS || a.row == 1))
        run_packed(m, n, k, a, b, t, room);
    else
        run_direct(m, n, k, a, b, t);
}

const mm_gemm_own MM_BUILD(mm_gemm_own) = {run};
