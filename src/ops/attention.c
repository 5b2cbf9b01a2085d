// Rows of a tile stand query by query, and within a query head by head: row r * per_group + h is query r of
// the group's head h. So a group's columns of the caller's rows are copied as they stand, and any run of
// queries is a run of rows, which lets the tile on the diagonal be done in halves: its upper right quarter is
// never computed.
#include "attention_rows.h"
#include "attention_scratch.h"
#include "build.h"
#include <assert.h>
#include <stdbool.h>

enum { TILE = MM_ATTENTION_TILE, HALF = TILE / 2, ROWS = 8, ROWS_AHEAD = 3 };

typedef struct tile {
    const mm_attention *a;
    const mm_gemm *gemm;
    const mm_philox *words; // of the dropped weights' stream
    int group, per_group;
    int64_t query, queries; // the first and their number
    int64_t key, keys;      // 128, or on the diagonal as many as queries
    bool diagonal;
} tile;

// ---- products of a tile ----

// c[rows x TILE] = alpha x b^T, where x[rows x hd] is packed and b[keys x hd] in the caller's rows.
static void times_keys(const tile *t, float alpha, const float *x, const float *b, int64_t ldb, float *c) {
    const int64_t hd = t->a->head_dim, g = t->per_group;
    const int64_t left = t->diagonal && t->keys > HALF ? HALF : t->keys, right = t->keys - left;
    mm_gemm_run(t->gemm, false, true, t->queries * g, left, hd, alpha, x, hd, b, ldb, MM_GEMM_SET, c, TILE,
                NULL);
    if (right)
        mm_gemm_run(t->gemm, false, true, right * g, right, hd, alpha, x + HALF * g * hd, hd, b + HALF * ldb,
                    ldb, MM_GEMM_SET, c + HALF * g * TILE + HALF, TILE, NULL);
}

// c[rows x hd] = alpha w b, added to c if `add`: w[rows x TILE] a tile of weights.
static void over_keys(const tile *t, float alpha, const float *w, const float *b, int64_t ldb, bool add,
                      float *c) {
    const int64_t hd = t->a->head_dim, g = t->per_group;
    const int64_t top = t->diagonal && t->keys > HALF ? HALF : t->queries, bottom = t->queries - top;
    const mm_gemm_into into = add ? MM_GEMM_ADD : MM_GEMM_SET;
    mm_gemm_run(t->gemm, false, false, top * g, hd, bottom ? HALF : t->keys, alpha, w, TILE, b, ldb, into, c,
                hd, NULL);
    if (bottom)
        mm_gemm_run(t->gemm, false, false, bottom * g, hd, t->keys, alpha, w + HALF * g * TILE, TILE, b, ldb,
                    into, c + HALF * g * hd, hd, NULL);
}

// c[keys x hd] = alpha w^T x, added to c if `add`, c in the caller's rows.
static void over_queries(const tile *t, float alpha, const float *w, const float *x, bool add, float *c,
                         int64_t ldc) {
    const int64_t hd = t->a->head_dim, g = t->per_group;
    const int64_t left = t->diagonal && t->keys > HALF ? HALF : t->keys, right = t->keys - left;
    const mm_gemm_into into = add ? MM_GEMM_ADD : MM_GEMM_SET;
    mm_gemm_run(t->gemm, true, false, left, hd, t->queries * g, alpha, w, TILE, x, hd, into, c, ldc, NULL);
    if (right)
        mm_gemm_run(t->gemm, true, false, right, hd, right * g, alpha, w + HALF * g * TILE + HALF, TILE,
                    x + HALF * g * hd, hd, into, c + HALF * ldc, ldc, NULL);
}

// ---- rows of a tile ----

// Asks for the group's columns of a row of the caller's that comes ROWS_AHEAD later: far enough for a
// memory's latency, and few enough for the first cache. Inlined, since gcc leaves out calls of what only
// asks.
MM_INLINE void fetch_row(const tile *t, const float *x, int64_t ld, int64_t row) {
    const int64_t n = (int64_t)t->per_group * t->a->head_dim, later = row + ROWS_AHEAD;
    if (later < t->a->rows) mm_fetch(x + row * ld + t->group * n, n, ROWS_AHEAD * ld, x + (later + 1) * ld);
}

// Packs the group's columns of the tile's queries.
static void pack(const tile *t, float *packed, const float *x, int64_t ld) {
    const int64_t n = (int64_t)t->per_group * t->a->head_dim;
    for (int64_t r = 0; r < t->queries; r++) {
        fetch_row(t, x, ld, t->query + r);
        memcpy(packed + r * n, x + (t->query + r) * ld + t->group * n, (size_t)n * sizeof *x);
    }
}

static void unpack(const tile *t, float *x, int64_t ld, const float *packed) {
    const int64_t n = (int64_t)t->per_group * t->a->head_dim;
    for (int64_t r = 0; r < t->queries; r++) {
        fetch_row(t, x, ld, t->query + r);
        memcpy(x + (t->query + r) * ld + t->group * n, packed + r * n, (size_t)n * sizeof *x);
    }
}

// How many of a row's scores are worked on: its keys and what follows them in the same half of the tile.
static int row_width(const tile *t, int64_t r) {
    return t->diagonal && r < HALF ? HALF : TILE;
}

// What follows the row's last key on the diagonal.
static void row_mask(const tile *t, int64_t r, float *s, float fill) {
    if (!t->diagonal) return;
    for (int64_t c = r + 1, width = row_width(t, r); c < width; c++) s[c] = fill;
}

// The words that decide which weights of a row are dropped; +0 ones after the row's last key need none of
// their own.
static void row_words(const tile *t, int64_t r, int head, uint32_t words[TILE]) {
    const mm_attention *a = t->a;
    const int64_t row = ((int64_t)t->group * t->per_group + head) * a->mask_rows + t->query + r;
    const uint64_t first = (uint64_t)(row * a->mask_ld + t->key);
    const int width = row_width(t, r), keys = t->diagonal ? (int)r + 1 : width;
    for (int i = 0; i < width; i += MM_PHILOX_WORDS) {
        const int left = keys - i;
        if (left < MM_PHILOX_WORDS) memset(words + i, 0, MM_PHILOX_WORDS * sizeof *words);
        mm_philox_words(t->words, first + (uint64_t)i, left < MM_PHILOX_WORDS ? left : MM_PHILOX_WORDS,
                        words + i);
    }
}

static float keep_scale(const mm_attention *a) {
    return a->dropout ? (float)(1.0 / (1.0 - a->dropout_p)) : 1.0f;
}

// ---- forward ----

// Of a tile's rows: the largest score so far, the sum of weights relative to it, and the weighted sum of
// values.
typedef struct softmax_state {
    float *max, *sum, *values;
} softmax_state;

// Takes in a row's largest score; what the sum and the values hold is relative to the last one.
static void raise_max(const softmax_state *state, int i, int hd, float max) {
    float factor = weight_of(state->max[i] - max), *values = state->values + (int64_t)i * hd;
    state->max[i] = max;
    state->sum[i] *= factor;
    for (int c = 0; c < hd; c++) values[c] = mm_flush(values[c] * factor);
}

static float softmax_row(const tile *t, int i, float max, float *s) {
    const int query = i / t->per_group, width = row_width(t, query);
    if (!t->a->dropout) return row_weights(s, width, max, NULL, 0);
    uint32_t words[TILE];
    row_words(t, query, i % t->per_group, words);
    return row_weights(s, width, max, words, mm_dropout_threshold(t->a->dropout_p));
}

// A few rows at a time, so that the largest scores of all are known before the first weight waits for one.
static void softmax_tile(const tile *t, const softmax_state *state, float *scores) {
    const int rows = (int)t->queries * t->per_group;
    for (int begin = 0, end; begin < rows; begin = end) {
        end = begin + ROWS < rows ? begin + ROWS : rows;
        for (int i = begin; i < end; i++) {
            float *s = scores + (int64_t)i * TILE;
            row_mask(t, i / t->per_group, s, -INFINITY);
            float max = row_max(s, row_width(t, i / t->per_group));
            if (t->key == 0) {
                state->max[i] = max;
                state->sum[i] = 0;
            } else if (max > state->max[i]) {
                raise_max(state, i, t->a->head_dim, max);
            }
        }
        for (int i = begin; i < end; i++)
            state->sum[i] += softmax_row(t, i, state->max[i], scores + (int64_t)i * TILE);
    }
}

// Output rows and log-sum-exps from the finished state.
static void finish_tile(const tile *t, const softmax_state *state, float *o, float *lse) {
    const mm_attention *a = t->a;
    const int hd = a->head_dim;
    const float kept = keep_scale(a);
    for (int64_t r = 0; r < t->queries; r++) {
        fetch_row(t, o, a->ld_o, t->query + r);
        for (int h = 0; h < t->per_group; h++) {
            const int64_t i = r * t->per_group + h, head = (int64_t)t->group * t->per_group + h;
            const float factor = kept / state->sum[i], *values = state->values + i * hd;
            float *out = o + (t->query + r) * a->ld_o + head * hd;
            for (int c = 0; c < hd; c++) out[c] = values[c] * factor;
            lse[head * a->rows + t->query + r] =
                (float)((double)state->max[i] + mm_log((double)state->sum[i]));
        }
    }
}

static tile query_tile(const mm_attention *a, const mm_gemm *gemm, const mm_philox *words, int group,
                       int64_t query) {
    int64_t left = a->rows - query;
    return (tile){.a = a,
                  .gemm = gemm,
                  .words = words,
                  .group = group,
                  .per_group = a->heads / a->kv_heads,
                  .query = query,
                  .queries = left < TILE ? left : TILE};
}

static void at_key(tile *t, int64_t key) {
    t->key = key;
    t->diagonal = key == t->query;
    t->keys = t->diagonal ? t->queries : TILE;
}

static void check(const mm_attention *a) {
    assert(a->kv_heads >= 1 && a->heads % a->kv_heads == 0 && a->head_dim >= 1);
    assert(a->group_begin >= 0 && a->group_end <= a->kv_heads);
    assert(!a->dropout ||
           (a->mask_ld % MM_PHILOX_WORDS == 0 && a->mask_ld >= a->rows && a->mask_rows >= a->rows));
    (void)a;
}

static void attention_forward(const mm_attention *a, const mm_gemm *gemm, float *o, float *lse,
                              const float *q, const float *k, const float *v, float *scratch) {
    check(a);
    mm_philox words;
    if (a->dropout) mm_philox_open(&words, a->dropout);
    const int64_t hd = a->head_dim, rows = (int64_t)(a->heads / a->kv_heads) * TILE;
    float *queries = scratch, *scores = queries + rows * hd;
    softmax_state state = {.values = scores + rows * TILE};
    state.max = state.values + rows * hd;
    state.sum = state.max + rows;
    for (int group = a->group_begin; group < a->group_end; group++) {
        const float *keys = k + group * hd, *values = v + group * hd;
        for (int64_t query = 0; query < a->rows; query += TILE) {
            tile t = query_tile(a, gemm, &words, group, query);
            pack(&t, queries, q, a->ld_q);
            for (int64_t key = 0; key <= query; key += TILE) {
                at_key(&t, key);
                times_keys(&t, a->scale, queries, keys + key * a->ld_k, a->ld_k, scores);
                softmax_tile(&t, &state, scores);
                over_keys(&t, 1, scores, values + key * a->ld_v, a->ld_v, key > 0, state.values);
            }
            finish_tile(&t, &state, o, lse);
        }
    }
}

// ---- backward ----

// delta[row] = d_o . o, which is the sum over keys of weight times its gradient.
static void delta_tile(const tile *t, float *delta, const float *d_o, const float *o) {
    const mm_attention *a = t->a;
    const int hd = a->head_dim;
    for (int64_t r = 0; r < t->queries; r++) {
        const int64_t at = (t->query + r) * a->ld_o + (int64_t)t->group * t->per_group * hd;
        fetch_row(t, o, a->ld_o, t->query + r); // d_o has just been packed
        for (int h = 0; h < t->per_group; h++)
            delta[r * t->per_group + h] = row_dot(d_o + at + h * hd, o + at + h * hd, hd);
    }
}

// Scores to weights and gradients of weights to gradients of scores.
static void gradient_row(const tile *t, int64_t r, int head, float lse, float delta, float *s, float *d) {
    const int width = row_width(t, r);
    row_mask(t, r, s, -INFINITY);
    row_mask(t, r, d, 0);
    if (t->a->dropout) {
        uint32_t words[TILE];
        row_words(t, r, head, words);
        row_gradients(s, d, width, lse, delta, words, mm_dropout_threshold(t->a->dropout_p));
    } else {
        row_gradients(s, d, width, lse, delta, NULL, 0);
    }
}

static void gradient_tile(const tile *t, const float *lse, const float *delta, float *s, float *d) {
    for (int64_t r = 0; r < t->queries; r++) {
        for (int h = 0; h < t->per_group; h++) {
            const int64_t i = r * t->per_group + h, head = (int64_t)t->group * t->per_group + h;
            gradient_row(t, r, h, lse[head * t->a->rows + t->query + r], delta[i], s + i * TILE,
                         d + i * TILE);
        }
    }
}

static void attention_backward(const mm_attention *a, const mm_gemm *gemm, float *dq, float *dk, float *dv,
                               const float *d_o, const float *o, const float *lse, const float *q,
                               const float *k, const float *v, float *scratch) {
    check(a);
    mm_philox words;
    if (a->dropout) mm_philox_open(&words, a->dropout);
    const int64_t hd = a->head_dim, rows = (int64_t)(a->heads / a->kv_heads) * TILE;
    const float kept = keep_scale(a);
    float *queries = scratch, *d_out = queries + rows * hd, *d_queries = d_out + rows * hd;
    float *weights = d_queries + rows * hd, *d_scores = weights + rows * TILE,
          *delta = d_scores + rows * TILE;
    for (int group = a->group_begin; group < a->group_end; group++) {
        for (int64_t query = 0; query < a->rows; query += TILE) {
            tile t = query_tile(a, gemm, &words, group, query);
            pack(&t, queries, q, a->ld_q);
            pack(&t, d_out, d_o, a->ld_o);
            delta_tile(&t, delta, d_o, o);
            for (int64_t key = 0; key <= query; key += TILE) {
                const int64_t at_k = key * a->ld_k + group * hd, at_v = key * a->ld_v + group * hd;
                at_key(&t, key);
                times_keys(&t, a->scale, queries, k + at_k, a->ld_k, weights);
                times_keys(&t, kept, d_out, v + at_v, a->ld_v, d_scores);
                gradient_tile(&t, lse, delta, weights, d_scores);
                over_queries(&t, kept, weights, d_out, !t.diagonal, dv + at_v, a->ld_v);
                over_queries(&t, a->scale, d_scores, queries, !t.diagonal, dk + at_k, a->ld_k);
                over_keys(&t, a->scale, d_scores, k + at_k, a->ld_k, key > 0, d_queries);
            }
            unpack(&t, dq, a->ld_q, d_queries);
        }
    }
}

const mm_attention_kernels MM_BUILD(mm_attention) = {attention_forward, attention_backward};
