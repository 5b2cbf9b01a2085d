// Causal grouped-query attention of one sample, in tiles of 128 query rows (all query heads of a key/value
// group together) by 128 keys; memory grows with the tile, not with the square of the rows. Sources: J.
// Ainslie et al. (2023) for groups, T. Dao et al. (2022) for tiles and the row's log-sum-exp.
#ifndef MM_OPS_ATTENTION_H
#define MM_OPS_ATTENTION_H

#include <mm/base/rng.h>
#include <mm/ops/gemm.h>
#include <stddef.h>
#include <stdint.h>

enum { MM_ATTENTION_TILE = 128 };

typedef struct mm_attention {
    int heads, kv_heads, head_dim; // heads a multiple of kv_heads
    int64_t rows;                  // of this sample
    // Floats from one row to the next; head h at column h * head_dim; gradients alike, so that q, k and v
    // (and dq, dk and dv) may be columns of the same rows.
    int64_t ld_q, ld_k, ld_v;
    int64_t ld_o; // of the output and its gradient
    float scale;  // of the scores: 1 / sqrt(head_dim)
    // Dropout of the weights: NULL for none. Element (head * mask_rows + row) * mask_ld + column of the
    // stream decides, where mask_rows is the sequence length T and mask_ld T rounded up to 64:
    // mm_attention_mask_elements.
    const mm_stream *dropout;
    double dropout_p;
    int64_t mask_rows, mask_ld;
    // The key/value groups to do: 0 and kv_heads for all; any cut gives the same bits.
    int group_begin, group_end;
} mm_attention;

uint64_t mm_attention_mask_elements(int heads, int64_t seq_len);
// Floats of scratch that a call needs at most, for one thread.
size_t mm_attention_scratch(int heads, int kv_heads, int head_dim);

typedef struct mm_attention_kernels {
    // o: rows x heads * head_dim. lse[heads * rows]: each row's log-sum-exp of scaled scores, head-major.
    void (*forward)(const mm_attention *a, const mm_gemm *gemm, float *o, float *lse, const float *q,
                    const float *k, const float *v, float *scratch);
    // Overwrites dq, dk, dv (of the groups asked for) from d_o; o and lse are the forward's.
    void (*backward)(const mm_attention *a, const mm_gemm *gemm, float *dq, float *dk, float *dv,
                     const float *d_o, const float *o, const float *lse, const float *q, const float *k,
                     const float *v, float *scratch);
} mm_attention_kernels;

#endif
