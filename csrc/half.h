// float16 and bfloat16, the two kinds of numbers of 16 bits, from and to float.
//
//     float      1 bit sign, 8 exponent, 23 fraction
//     bfloat16   1 bit sign, 8 exponent,  7 fraction    the upper half of a float
//     float16    1 bit sign, 5 exponent, 10 fraction    65,504 at most; below 6.1e-5 it loses digits

#ifndef HALF_H
#define HALF_H

#include <stdint.h>

#include "vecmath.h"  // bits_of_float, float_of_bits

static inline float float_of_bf16(uint16_t x) { return float_of_bits((uint32_t)x << 16); }

static inline float float_of_f16(uint16_t x) {
    uint32_t sign = (uint32_t)(x & 0x8000) << 16, rest = x & 0x7FFF;
    if (rest >= 0x7C00) return float_of_bits(sign | 0x7F800000 | (rest & 0x3FF) << 13);  // infinite, or no number
    if (rest >= 0x0400) return float_of_bits(sign | ((rest << 13) + (112u << 23)));      // 112: 127 - 15
    float small = (float)rest * 5.9604644775390625e-8f;                                  // 2^-24: below the normal ones
    return float_of_bits(sign | bits_of_float(small));
}

// The nearest float16, of two equally near ones the even one.
static inline uint16_t f16_of_float(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, size = bits & 0x7FFFFFFF;
    if (size > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (size >= 0x477FF000) return (uint16_t)(sign | 0x7C00);  // from 65,520 on
    if (size < 0x38800000)  // below 2^-14: adding 0.5 leaves multiples of 2^-24, rounded
        return (uint16_t)(sign | (bits_of_float(float_of_bits(size) + 0.5f) - 0x3F000000));
    return (uint16_t)(sign | (size - (112u << 23) + 0xFFF + (size >> 13 & 1)) >> 13);
}

#endif
