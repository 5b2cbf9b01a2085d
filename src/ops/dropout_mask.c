#include <mm/ops/dropout.h>

uint64_t mm_dropout_mask_elements(int64_t seq_len, int64_t n) {
    return (uint64_t)seq_len * (((uint64_t)n + 63) / 64 * 64);
}
