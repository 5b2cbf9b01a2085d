#include <mm/ops/attention.h>

#include "attention_scratch.h"

uint64_t mm_attention_mask_elements(int heads, int64_t seq_len) {
    uint64_t rows = (uint64_t)seq_len;
    return (uint64_t)heads * rows * ((rows + 63) / 64 * 64);
}

size_t mm_attention_scratch(int heads, int kv_heads, int head_dim) {
    size_t rows = (size_t)(heads / kv_heads) * MM_ATTENTION_TILE;
    return rows * ATTENTION_SCRATCH_PER_ROW((size_t)head_dim);
}
