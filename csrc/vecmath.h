// exp, tanh and erf of one float, of eight (AVX2) and of sixteen (AVX-512), without libm.
//
// All three stand on one step. Write x = n ln 2 + r with n whole and |r| <= ln 2 / 2. Then
//
//     e^x = 2^n e^r,     e^r - 1 = r + r^2 (E0 + E1 r + E2 r^2 + E3 r^3 + E4 r^4)
//
// 2^n is exact: n goes into the exponent's bits. ln 2 is kept as the sum of two floats, the first so short that n times
// it is exact; else r would lose the digits that x has before the point. From it
//
//     e^x - 1 = 2^n (e^r - 1) + (2^n - 1)              keeps its digits near 0, where e^x is nearly 1
//     tanh x  = t / (t + 2),  t = e^2x - 1             for x >= 0; tanh(-x) = -tanh x
//     erf x   = 1 - e^-s,     s = x (S0 + S1 x + … + S8 x^8)    for x >= 0; s is -ln(1 - erf x)
//
// The numbers E and S are those for which the largest relative error of e^r - 1 and of erf is smallest (Remez's
// exchange, 1934); `python mlp/fit.py` finds them again. Without rounding the errors would be 1.3e-8 and 4.0e-9;
// with it, over all floats, exp is off by at most 1.05 ulp, tanh by 2.6, erf by 3.2. (An ulp is the distance from one
// float to the next. What is rounded once is off by half of one at most.)
//
// At the ends: exp of more than 88.73 is inf, below -87.34 come the denormals, rounded like all else, and below -103.98
// 0; tanh and erf become 1 and -1; NaN stays NaN. Plain C rounds a * b + c
// twice, the vector code once, so their last digits may differ.

#ifndef VECMATH_H
#define VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define EXP_LOW -104.0f  // e to the power of this is rounded to 0
#define EXP_HIGH 89.0f   // and of this to inf
#define TANH_ONE 9.1f    // from here on tanh is rounded to 1
#define ERF_ONE 4.0f     // and erf

#define LOG2_E 1.44269504f
#define LN2_HIGH 0.693145752f  // the first 16 bits of ln 2
#define LN2_LOW 1.42860677e-6f
#define ROUNDER 12582912.0f  // 1.5 * 2^23: floats near it are whole numbers, so adding it rounds

#define E0 0.5f
#define E1 0.166665435f
#define E2 0.0416662805f
#define E3 0.00836657733f
#define E4 0.00139464391f

#define S0 1.12837923f
#define S1 0.636619389f
#define S2 0.102777846f
#define S3 -0.0191531163f
#define S4 -0.000160308264f
#define S5 0.00166694529f
#define S6 -0.000632794283f
#define S7 0.000117629876f
#define S8 -9.25504173e-06f

// --- one float ----------------------------------------------------------------------------------------------------

static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// a where the condition holds, else b, without a branch: compilers turn loops over this into vector code.
static inline float choose32(int condition, float a, float b) {
    uint32_t mask = 0u - (uint32_t)condition;
    return float_of_bits((bits_of_float(a) & mask) | (bits_of_float(b) & ~mask));
}

// 2^n for whole n from -126 to 127: the exponent of a float stands in bits 23 to 30, with 127 added.
static inline float power_of_2(int32_t n) { return float_of_bits(((uint32_t)n + 127u) << 23); }

// x = n ln 2 + r. Returns r, writes n; of NaN n means nothing.
static inline float reduce32(float x, int32_t *n) {
    float rounded = x * LOG2_E + ROUNDER;
    *n = (int32_t)(bits_of_float(rounded) - bits_of_float(ROUNDER));
    float whole = rounded - ROUNDER;
    return (x - whole * LN2_HIGH) - whole * LN2_LOW;
}

// e^r - 1 for |r| <= ln 2 / 2.
static inline float small_expm1_32(float r) { return r + r * r * (E0 + r * (E1 + r * (E2 + r * (E3 + r * E4)))); }

static inline float exp32(float x) {
    int32_t n;
    x = choose32(x > EXP_HIGH, EXP_HIGH, x);  // NaN passes
    x = choose32(x < EXP_LOW, EXP_LOW, x);
    float y = 1.0f + small_expm1_32(reduce32(x, &n));
    return y * power_of_2(n / 2) * power_of_2(n - n / 2);  // in two steps: 2^n alone may not be a float
}

// e^x - 1 for |x| <= 80.
static inline float expm1_32(float x) {
    int32_t n;
    float small = small_expm1_32(reduce32(x, &n)), scale = power_of_2(n);
    return scale * small + (scale - 1.0f);
}

static inline float tanh32(float x) {
    float size = fabsf(x);
    size = choose32(size > TANH_ONE, TANH_ONE, size);
    float t = expm1_32(2.0f * size);
    return copysignf(t / (t + 2.0f), x);
}

static inline float erf32(float x) {
    float z = fabsf(x);
    z = choose32(z > ERF_ONE, ERF_ONE, z);
    float s = z * (S0 + z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * (S5 + z * (S6 + z * (S7 + z * S8))))))));
    return copysignf(expm1_32(-s), x);
}

#if defined(__x86_64__)
// --- eight floats: the same line by line, a * b + c rounded once ---------------------------------------------------

#define AVX2_CODE static inline __attribute__((target("avx2,fma")))

AVX2_CODE __m256 reduce256(__m256 x, __m256i *n) {
    const __m256 rounder = _mm256_set1_ps(ROUNDER);
    __m256 rounded = _mm256_fmadd_ps(x, _mm256_set1_ps(LOG2_E), rounder);
    *n = _mm256_sub_epi32(_mm256_castps_si256(rounded), _mm256_castps_si256(rounder));
    __m256 whole = _mm256_sub_ps(rounded, rounder);
    __m256 r = _mm256_fnmadd_ps(whole, _mm256_set1_ps(LN2_HIGH), x);
    return _mm256_fnmadd_ps(whole, _mm256_set1_ps(LN2_LOW), r);
}

AVX2_CODE __m256 small_expm1_256(__m256 r) {
    __m256 sum = _mm256_fmadd_ps(r, _mm256_set1_ps(E4), _mm256_set1_ps(E3));
    sum = _mm256_fmadd_ps(r, sum, _mm256_set1_ps(E2));
    sum = _mm256_fmadd_ps(r, sum, _mm256_set1_ps(E1));
    sum = _mm256_fmadd_ps(r, sum, _mm256_set1_ps(E0));
    return _mm256_fmadd_ps(_mm256_mul_ps(r, r), sum, r);
}

AVX2_CODE __m256 power_of_2_256(__m256i n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

AVX2_CODE __m256 exp256(__m256 x) {
    __m256i n;
    x = _mm256_max_ps(_mm256_set1_ps(EXP_LOW), _mm256_min_ps(_mm256_set1_ps(EXP_HIGH), x));  // of NaN, the second
    __m256 y = _mm256_add_ps(_mm256_set1_ps(1.0f), small_expm1_256(reduce256(x, &n)));
    __m256i half = _mm256_srai_epi32(n, 1);
    return _mm256_mul_ps(_mm256_mul_ps(y, power_of_2_256(half)), power_of_2_256(_mm256_sub_epi32(n, half)));
}

AVX2_CODE __m256 expm1_256(__m256 x) {
    __m256i n;
    __m256 small = small_expm1_256(reduce256(x, &n)), scale = power_of_2_256(n);
    return _mm256_fmadd_ps(scale, small, _mm256_sub_ps(scale, _mm256_set1_ps(1.0f)));
}

// y, which is not negative, with the sign of x.
AVX2_CODE __m256 signed_256(__m256 y, __m256 x) {
    return _mm256_or_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), y), _mm256_and_ps(_mm256_set1_ps(-0.0f), x));
}

AVX2_CODE __m256 size_256(__m256 x, float most) {
    return _mm256_min_ps(_mm256_set1_ps(most), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x));
}

AVX2_CODE __m256 tanh256(__m256 x) {
    __m256 size = size_256(x, TANH_ONE), t = expm1_256(_mm256_add_ps(size, size));
    return signed_256(_mm256_div_ps(t, _mm256_add_ps(t, _mm256_set1_ps(2.0f))), x);
}

AVX2_CODE __m256 erf256(__m256 x) {
    __m256 z = size_256(x, ERF_ONE);
    __m256 sum = _mm256_fmadd_ps(z, _mm256_set1_ps(S8), _mm256_set1_ps(S7));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S6));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S5));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S4));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S3));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S2));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S1));
    sum = _mm256_fmadd_ps(z, sum, _mm256_set1_ps(S0));
    __m256 minus_s = _mm256_mul_ps(_mm256_sub_ps(_mm256_setzero_ps(), z), sum);
    return signed_256(expm1_256(minus_s), x);
}

// --- sixteen floats ------------------------------------------------------------------------------------------------

#define AVX512_CODE static inline __attribute__((target("avx512f")))

// Here n stays a float: rounding and 2^n have instructions of their own.
AVX512_CODE __m512 reduce512(__m512 x, __m512 *n) {
    *n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(LOG2_E)), _MM_FROUND_TO_NEAREST_INT);
    __m512 r = _mm512_fnmadd_ps(*n, _mm512_set1_ps(LN2_HIGH), x);
    return _mm512_fnmadd_ps(*n, _mm512_set1_ps(LN2_LOW), r);
}

AVX512_CODE __m512 small_expm1_512(__m512 r) {
    __m512 sum = _mm512_fmadd_ps(r, _mm512_set1_ps(E4), _mm512_set1_ps(E3));
    sum = _mm512_fmadd_ps(r, sum, _mm512_set1_ps(E2));
    sum = _mm512_fmadd_ps(r, sum, _mm512_set1_ps(E1));
    sum = _mm512_fmadd_ps(r, sum, _mm512_set1_ps(E0));
    return _mm512_fmadd_ps(_mm512_mul_ps(r, r), sum, r);
}

// Of the last, fewer than sixteen numbers: a mask has a bit for each lane; without it nothing is read or written.
static inline uint16_t mask_of(int64_t left) { return left >= 16 ? 0xFFFF : (uint16_t)((1u << left) - 1); }

AVX512_CODE __m512 exp512(__m512 x) {
    __m512 n;
    x = _mm512_max_ps(_mm512_set1_ps(EXP_LOW), _mm512_min_ps(_mm512_set1_ps(EXP_HIGH), x));
    __m512 y = _mm512_add_ps(_mm512_set1_ps(1.0f), small_expm1_512(reduce512(x, &n)));
    return _mm512_scalef_ps(y, n);  // y 2^n, rounded once
}

AVX512_CODE __m512 expm1_512(__m512 x) {
    __m512 n, one = _mm512_set1_ps(1.0f);
    __m512 small = small_expm1_512(reduce512(x, &n)), scale = _mm512_scalef_ps(one, n);
    return _mm512_fmadd_ps(scale, small, _mm512_sub_ps(scale, one));
}

AVX512_CODE __m512 signed_512(__m512 y, __m512 x) {
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    // 0xCA is the table of truth of: sign ? x : y
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(sign, _mm512_castps_si512(x), _mm512_castps_si512(y), 0xCA));
}

AVX512_CODE __m512 size_512(__m512 x, float most) { return _mm512_min_ps(_mm512_set1_ps(most), _mm512_abs_ps(x)); }

AVX512_CODE __m512 tanh512(__m512 x) {
    __m512 size = size_512(x, TANH_ONE), t = expm1_512(_mm512_add_ps(size, size));
    return signed_512(_mm512_div_ps(t, _mm512_add_ps(t, _mm512_set1_ps(2.0f))), x);
}

AVX512_CODE __m512 erf512(__m512 x) {
    __m512 z = size_512(x, ERF_ONE);
    __m512 sum = _mm512_fmadd_ps(z, _mm512_set1_ps(S8), _mm512_set1_ps(S7));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S6));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S5));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S4));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S3));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S2));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S1));
    sum = _mm512_fmadd_ps(z, sum, _mm512_set1_ps(S0));
    __m512 minus_s = _mm512_mul_ps(_mm512_sub_ps(_mm512_setzero_ps(), z), sum);
    return signed_512(expm1_512(minus_s), x);
}
#endif

#endif
