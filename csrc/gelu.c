// gelu and its derivative over arrays, in float32: one formula on a ladder of four rungs.
//
//     exact:    gelu(x) = x Phi(x),  Phi(x) = (1 + erf(x / sqrt 2)) / 2      the share of a normal distribution below x
//     by tanh:  gelu(x) = x (1 + tanh u) / 2,  u = sqrt(2 / pi) (x + 0.044715 x^3)
//
// 1 the formula, exp, tanh and erf from libm. 2 the same with those of vecmath.h, which the compiler can put inline.
// 3 eight numbers at a time (AVX2). 4 sixteen (AVX-512). Each number is computed in the same way wherever it stands in
// the array. In all rungs 1 + erf and 1 + tanh lose digits where they are nearly 0, as in torch: for x < 0 the error is
// small beside x, not beside the result. An infinite x gives NaN where the formula has inf * 0.
//
//     make -C csrc mlp          builds build/gelu.so, which mlp/functions.py calls
//
// Paper: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (2016).

#include <stdbool.h>

#include "vecmath.h"

enum GeluForm { EXACT, BY_TANH };
enum GeluFunction { EXP, TANH, ERF };                 // for gelu_function
enum GeluRung { FORMULA = 1, PLAIN, AVX2, AVX512 };

#define SQRT_HALF 0.707106781f
#define SQRT_2_OVER_PI 0.797884561f
#define DENSITY 0.39894228f  // 1 / sqrt(2 pi), the height of the normal distribution
#define CUBE 0.044715f

// How many rungs this machine can run.
int gelu_rungs(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f")) return AVX512;
    if (avx2) return AVX2;
#endif
    return PLAIN;
}

// --- 1: the formula -----------------------------------------------------------------------------------------------

static float gelu_1(float x, int form) {
    float inside = form == EXACT ? erff(SQRT_HALF * x) : tanhf(SQRT_2_OVER_PI * (x + CUBE * x * x * x));
    return 0.5f * x * (1.0f + inside);
}

// The derivative: the product rule, with (erf(x / sqrt 2) / 2)' = e^(-x^2 / 2) / sqrt(2 pi) and tanh' = 1 - tanh^2.
static float slope_1(float x, int form) {
    if (form == EXACT) return 0.5f * (1.0f + erff(SQRT_HALF * x)) + x * DENSITY * expf(-0.5f * x * x);
    float t = tanhf(SQRT_2_OVER_PI * (x + CUBE * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * SQRT_2_OVER_PI * (1.0f + 3.0f * CUBE * x * x);
}

static void forward_1(int form, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++) y[i] = gelu_1(x[i], form);
}

static void backward_1(int form, int64_t n, const float *x, const float *grad_y, float *grad_x) {
    for (int64_t i = 0; i < n; i++) grad_x[i] = grad_y[i] * slope_1(x[i], form);
}

// --- 2: with our own functions ------------------------------------------------------------------------------------

static inline float gelu_2(float x, int form) {
    float inside = form == EXACT ? erf32(SQRT_HALF * x) : tanh32(SQRT_2_OVER_PI * (x + CUBE * x * x * x));
    return 0.5f * x * (1.0f + inside);
}

static inline float slope_2(float x, int form) {
    if (form == EXACT) return 0.5f * (1.0f + erf32(SQRT_HALF * x)) + x * DENSITY * exp32(-0.5f * x * x);
    float t = tanh32(SQRT_2_OVER_PI * (x + CUBE * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * SQRT_2_OVER_PI * (1.0f + 3.0f * CUBE * x * x);
}

static void forward_2(int form, int64_t n, const float *x, float *y) {
    if (form == EXACT) for (int64_t i = 0; i < n; i++) y[i] = gelu_2(x[i], EXACT);
    else for (int64_t i = 0; i < n; i++) y[i] = gelu_2(x[i], BY_TANH);
}

static void backward_2(int form, int64_t n, const float *x, const float *grad_y, float *grad_x) {
    if (form == EXACT) for (int64_t i = 0; i < n; i++) grad_x[i] = grad_y[i] * slope_2(x[i], EXACT);
    else for (int64_t i = 0; i < n; i++) grad_x[i] = grad_y[i] * slope_2(x[i], BY_TANH);
}

#if defined(__x86_64__)
// --- 3: eight at a time -------------------------------------------------------------------------------------------

AVX2_CODE __m256 all_256(float x) { return _mm256_set1_ps(x); }

// u = sqrt(2 / pi) (x + 0.044715 x^3)
AVX2_CODE __m256 bent_256(__m256 x, __m256 square) {
    __m256 sum = _mm256_fmadd_ps(all_256(CUBE), square, all_256(1));
    return _mm256_mul_ps(_mm256_mul_ps(all_256(SQRT_2_OVER_PI), x), sum);
}

AVX2_CODE __m256 gelu_256(__m256 x, int form) {
    __m256 half = _mm256_mul_ps(all_256(0.5f), x), inside;
    if (form == EXACT) inside = erf256(_mm256_mul_ps(all_256(SQRT_HALF), x));
    else inside = tanh256(bent_256(x, _mm256_mul_ps(x, x)));
    return _mm256_mul_ps(half, _mm256_add_ps(all_256(1), inside));
}

AVX2_CODE __m256 slope_256(__m256 x, int form) {
    __m256 half = _mm256_mul_ps(all_256(0.5f), x), square = _mm256_mul_ps(x, x), one = all_256(1), inside, rest;
    if (form == EXACT) {
        inside = erf256(_mm256_mul_ps(all_256(SQRT_HALF), x));
        rest = _mm256_mul_ps(_mm256_mul_ps(all_256(DENSITY), x), exp256(_mm256_mul_ps(all_256(-0.5f), square)));
    } else {
        inside = tanh256(bent_256(x, square));
        __m256 bend = _mm256_fmadd_ps(all_256(3 * CUBE * SQRT_2_OVER_PI), square, all_256(SQRT_2_OVER_PI));
        rest = _mm256_mul_ps(_mm256_mul_ps(half, _mm256_fnmadd_ps(inside, inside, one)), bend);
    }
    return _mm256_fmadd_ps(all_256(0.5f), _mm256_add_ps(one, inside), rest);
}

// The last numbers, fewer than eight, travel in a vector filled up with zeros.
AVX2_CODE __m256 load_rest_256(const float *x, int64_t n) {
    float eight[8] = {0};
    memcpy(eight, x, (size_t)n * sizeof *x);
    return _mm256_loadu_ps(eight);
}

AVX2_CODE void store_rest_256(float *to, __m256 x, int64_t n) {
    float eight[8];
    _mm256_storeu_ps(eight, x);
    memcpy(to, eight, (size_t)n * sizeof *to);
}

__attribute__((target("avx2,fma")))
static void forward_3(int form, int64_t n, const float *x, float *y) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, gelu_256(_mm256_loadu_ps(x + i), form));
    if (i < n) store_rest_256(y + i, gelu_256(load_rest_256(x + i, n - i), form), n - i);
}

__attribute__((target("avx2,fma")))
static void backward_3(int form, int64_t n, const float *x, const float *grad_y, float *grad_x) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 slope = slope_256(_mm256_loadu_ps(x + i), form);
        _mm256_storeu_ps(grad_x + i, _mm256_mul_ps(_mm256_loadu_ps(grad_y + i), slope));
    }
    if (i < n) {
        __m256 slope = slope_256(load_rest_256(x + i, n - i), form);
        store_rest_256(grad_x + i, _mm256_mul_ps(load_rest_256(grad_y + i, n - i), slope), n - i);
    }
}

// --- 4: sixteen at a time -----------------------------------------------------------------------------------------

AVX512_CODE __m512 all_512(float x) { return _mm512_set1_ps(x); }

AVX512_CODE __m512 bent_512(__m512 x, __m512 square) {
    __m512 sum = _mm512_fmadd_ps(all_512(CUBE), square, all_512(1));
    return _mm512_mul_ps(_mm512_mul_ps(all_512(SQRT_2_OVER_PI), x), sum);
}

AVX512_CODE __m512 gelu_512(__m512 x, int form) {
    __m512 half = _mm512_mul_ps(all_512(0.5f), x), inside;
    if (form == EXACT) inside = erf512(_mm512_mul_ps(all_512(SQRT_HALF), x));
    else inside = tanh512(bent_512(x, _mm512_mul_ps(x, x)));
    return _mm512_mul_ps(half, _mm512_add_ps(all_512(1), inside));
}

AVX512_CODE __m512 slope_512(__m512 x, int form) {
    __m512 half = _mm512_mul_ps(all_512(0.5f), x), square = _mm512_mul_ps(x, x), one = all_512(1), inside, rest;
    if (form == EXACT) {
        inside = erf512(_mm512_mul_ps(all_512(SQRT_HALF), x));
        rest = _mm512_mul_ps(_mm512_mul_ps(all_512(DENSITY), x), exp512(_mm512_mul_ps(all_512(-0.5f), square)));
    } else {
        inside = tanh512(bent_512(x, square));
        __m512 bend = _mm512_fmadd_ps(all_512(3 * CUBE * SQRT_2_OVER_PI), square, all_512(SQRT_2_OVER_PI));
        rest = _mm512_mul_ps(_mm512_mul_ps(half, _mm512_fnmadd_ps(inside, inside, one)), bend);
    }
    return _mm512_fmadd_ps(all_512(0.5f), _mm512_add_ps(one, inside), rest);
}

__attribute__((target("avx512f")))
static void forward_4(int form, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += 16) {
        uint16_t mask = mask_of(n - i);
        _mm512_mask_storeu_ps(y + i, mask, gelu_512(_mm512_maskz_loadu_ps(mask, x + i), form));
    }
}

__attribute__((target("avx512f")))
static void backward_4(int form, int64_t n, const float *x, const float *grad_y, float *grad_x) {
    for (int64_t i = 0; i < n; i += 16) {
        uint16_t mask = mask_of(n - i);
        __m512 slope = slope_512(_mm512_maskz_loadu_ps(mask, x + i), form);
        _mm512_mask_storeu_ps(grad_x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, grad_y + i), slope));
    }
}

// --- exp, tanh and erf by themselves, to be measured ---------------------------------------------------------------

__attribute__((target("avx2,fma")))
static void function_3(int function, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += 8) {
        int64_t left = n - i < 8 ? n - i : 8;
        __m256 eight = left == 8 ? _mm256_loadu_ps(x + i) : load_rest_256(x + i, left);
        eight = function == EXP ? exp256(eight) : function == TANH ? tanh256(eight) : erf256(eight);
        if (left == 8) _mm256_storeu_ps(y + i, eight);
        else store_rest_256(y + i, eight, left);
    }
}

__attribute__((target("avx512f")))
static void function_4(int function, int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += 16) {
        uint16_t mask = mask_of(n - i);
        __m512 all = _mm512_maskz_loadu_ps(mask, x + i);
        all = function == EXP ? exp512(all) : function == TANH ? tanh512(all) : erf512(all);
        _mm512_mask_storeu_ps(y + i, mask, all);
    }
}
#endif

static float libm_of(int function, float x) {
    return function == EXP ? expf(x) : function == TANH ? tanhf(x) : erff(x);
}

static void function_2(int function, int64_t n, const float *x, float *y) {
    if (function == EXP) for (int64_t i = 0; i < n; i++) y[i] = exp32(x[i]);
    else if (function == TANH) for (int64_t i = 0; i < n; i++) y[i] = tanh32(x[i]);
    else for (int64_t i = 0; i < n; i++) y[i] = erf32(x[i]);
}

// --- what Python calls --------------------------------------------------------------------------------------------
//
// Arrays hold n floats; y may be x itself. The return value says whether this machine has the rung.

bool gelu_forward(int rung, int form, int64_t n, const float *x, float *y) {
    if (rung < FORMULA || rung > gelu_rungs()) return false;
    if (rung == FORMULA) forward_1(form, n, x, y);
    if (rung == PLAIN) forward_2(form, n, x, y);
#if defined(__x86_64__)
    if (rung == AVX2) forward_3(form, n, x, y);
    if (rung == AVX512) forward_4(form, n, x, y);
#endif
    return true;
}

bool gelu_backward(int rung, int form, int64_t n, const float *x, const float *grad_y, float *grad_x) {
    if (rung < FORMULA || rung > gelu_rungs()) return false;
    if (rung == FORMULA) backward_1(form, n, x, grad_y, grad_x);
    if (rung == PLAIN) backward_2(form, n, x, grad_y, grad_x);
#if defined(__x86_64__)
    if (rung == AVX2) backward_3(form, n, x, grad_y, grad_x);
    if (rung == AVX512) backward_4(form, n, x, grad_y, grad_x);
#endif
    return true;
}

// exp, tanh or erf by the functions that the rung uses.
bool gelu_function(int rung, int function, int64_t n, const float *x, float *y) {
    if (rung < FORMULA || rung > gelu_rungs()) return false;
    if (rung == FORMULA) for (int64_t i = 0; i < n; i++) y[i] = libm_of(function, x[i]);
    if (rung == PLAIN) function_2(function, n, x, y);
#if defined(__x86_64__)
    if (rung == AVX2) function_3(function, n, x, y);
    if (rung == AVX512) function_4(function, n, x, y);
#endif
    return true;
}
