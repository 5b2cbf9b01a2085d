// Numbers of 16 bits: IEEE 754's binary16 (F16) and the upper half of a float (BF16).
#ifndef MM_BASE_HALF_H
#define MM_BASE_HALF_H

#include <stdint.h>

// Exact: each of them is a float.
float mm_from_f16(uint16_t half);
float mm_from_bf16(uint16_t brain);
// To the nearest, ties to even. What is beyond the largest becomes infinity; a NaN stays one.
uint16_t mm_to_f16(float value);
uint16_t mm_to_bf16(float value);

#endif
