#include <mm/base/half.h>

#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float mm_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    return float_of(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | mantissa << 13);
}

float mm_from_bf16(uint16_t brain) {
    return float_of((uint32_t)brain << 16);
}

// value / 2^shift to the nearest, ties to even; shift from 1 to 31.
static uint32_t shifted(uint32_t value, uint32_t shift) {
    uint32_t whole = value >> shift, rest = value & ((1u << shift) - 1), tie = 1u << (shift - 1);
    return whole + (rest > tie || (rest == tie && (whole & 1)));
}

uint16_t mm_to_f16(float value) {
    enum { INFINITE = 0x7c00, QUIET = 0x0200, LEAST_EXPONENT = 102 }; // below 2^-25 all is zero
    uint32_t bits = bits_of(value), size = bits & 0x7fffffff, exponent = size >> 23, half;
    if (size > 0x7f800000)
        half = INFINITE | QUIET | (size >> 13 & 0x3ff);
    else if (exponent >= 127 + 16)
        half = INFINITE;
    else if (exponent > 112)
        half = shifted(size - (112u << 23), 13); // a carry goes on into the exponent, and into infinity
    else if (exponent >= LEAST_EXPONENT)
        half = shifted((size & 0x7fffff) | 0x800000, 126 - exponent);
    else
        half = 0;
    return (uint16_t)((bits >> 16 & 0x8000) | half);
}

uint16_t mm_to_bf16(float value) {
    enum { QUIET = 0x40 };
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | QUIET);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
