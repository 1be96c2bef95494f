// Softmax and cross-entropy over rows of logits, forward and backward, in float32: a ladder of four rungs.
//
//     lse = ln(e^x_1 + … + e^x_V)      loss = lse - x_t
//     gradient of the loss by x_j: e^(x_j - lse), less 1 where j = t
//
// e^89 is no float, so what is summed is e^(x - m) with m the largest x of the row, and lse = m + ln of that sum.
//
// 1 by the formula: a pass over the row for m, a pass for the sum, exp from libm. 2 online: one pass. m is the largest
// so far, and where it grows from m to m', what was summed is multiplied by e^(m - m'). Eight lanes, each with an m and
// a sum of its own, are joined at the end; exp from vecmath.h. 3 a vector of eight (AVX2). 4 a vector of sixteen
// (AVX-512). One logarithm a row comes from libm in all rungs.
//
// Shapes: logits and grad (N, V), targets, losses and lse (N,). A row whose target is -1 counts for nothing: loss and
// gradient 0.
//
//     make -C csrc mlp          builds build/cross_entropy.so, which mlp/functions.py calls
//
// Paper: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018).

#include <float.h>
#include <stdbool.h>

#include "vecmath.h"

enum CrossEntropyRung { FORMULA = 1, ONLINE, AVX2, AVX512 };
enum CrossEntropyResult { FINE, NO_SUCH_RUNG, NO_SUCH_TARGET };
enum { IGNORED = -1 };

// How many rungs this machine can run.
int cross_entropy_rungs(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f")) return AVX512;
    if (avx2) return AVX2;
#endif
    return ONLINE;
}

// --- 1: by the formula: ln(e^x_1 + … + e^x_V) of one row ------------------------------------------------------------

static float row_lse_1(int64_t V, const float *x) {
    float max = -FLT_MAX;  // not -inf: x - max must be a number, or -inf
    double sum = 0;
    for (int64_t j = 0; j < V; j++) max = x[j] > max ? x[j] : max;
    for (int64_t j = 0; j < V; j++) sum += expf(x[j] - max);
    return (float)(max + log(sum));
}

static void row_probabilities_1(int64_t V, const float *x, float lse, float scale, float *p) {
    for (int64_t j = 0; j < V; j++) p[j] = expf(x[j] - lse) * scale;
}

// --- 2: online, with our own exp ------------------------------------------------------------------------------------

// Eight lanes, which compilers turn into vectors. A strip of eight times eight numbers is added up by itself, so that
// sums of many terms keep their digits.
enum { LANES = 8, STRIP = 8 };

// How many vectors of so many lanes the next strip has.
static inline int vectors_of(int64_t left, int lanes) {
    return left >= STRIP * lanes ? STRIP : (int)((left + lanes - 1) / lanes);
}

// The lanes' maxima and sums become those of the row, and these ln(e^x_1 + … + e^x_V).
static float joined(int lanes, const float *maxima, const float *sums) {
    float max = -FLT_MAX;
    double sum = 0;
    for (int l = 0; l < lanes; l++) max = maxima[l] > max ? maxima[l] : max;
    for (int l = 0; l < lanes; l++) sum += (double)sums[l] * exp32(maxima[l] - max);
    return (float)(max + log(sum));
}

// Eight numbers of a row; where it ends earlier, -inf, which adds e^-inf = 0.
static inline void load_lanes(const float *x, int64_t left, float *lanes) {
    for (int l = 0; l < LANES; l++) lanes[l] = l < left ? x[l] : -INFINITY;
}

static inline void grow_lanes(const float *x, float *max) {
    for (int l = 0; l < LANES; l++) max[l] = choose32(x[l] > max[l], x[l], max[l]);
}

static inline void add_exps(const float *x, const float *max, float *sum) {
    for (int l = 0; l < LANES; l++) sum[l] += exp32(x[l] - max[l]);
}

static float row_lse_2(int64_t V, const float *x) {
    float max[LANES], sum[LANES] = {0};
    for (int l = 0; l < LANES; l++) max[l] = -FLT_MAX;
    for (int64_t j = 0; j < V; j += STRIP * LANES) {
        float strip[STRIP][LANES], grown[LANES], part[LANES] = {0};
        int vectors = vectors_of(V - j, LANES);
        memcpy(grown, max, sizeof grown);
        for (int k = 0; k < vectors; k++) {
            load_lanes(x + j + LANES * k, V - j - LANES * k, strip[k]);
            grow_lanes(strip[k], grown);
        }
        for (int k = 0; k < vectors; k++) add_exps(strip[k], grown, part);
        for (int l = 0; l < LANES; l++) sum[l] = sum[l] * exp32(max[l] - grown[l]) + part[l];
        memcpy(max, grown, sizeof grown);
    }
    return joined(LANES, max, sum);
}

static void row_probabilities_2(int64_t V, const float *x, float lse, float scale, float *p) {
    for (int64_t j = 0; j < V; j++) p[j] = exp32(x[j] - lse) * scale;
}

#if defined(__x86_64__)
// --- 3: a vector is eight lanes ------------------------------------------------------------------------------------

AVX2_CODE __m256 rest_256(const float *x, int64_t left) {
    float lanes[LANES];
    load_lanes(x, left, lanes);
    return _mm256_loadu_ps(lanes);
}

__attribute__((target("avx2,fma")))
static float row_lse_3(int64_t V, const float *x) {
    __m256 max = _mm256_set1_ps(-FLT_MAX), sum = _mm256_setzero_ps();
    for (int64_t j = 0; j < V; j += STRIP * 8) {
        __m256 strip[STRIP], grown = max, part = _mm256_setzero_ps();
        int vectors = vectors_of(V - j, 8);
        for (int k = 0; k < vectors; k++) {
            int64_t at = j + 8 * k;
            strip[k] = at + 8 <= V ? _mm256_loadu_ps(x + at) : rest_256(x + at, V - at);
            grown = _mm256_max_ps(strip[k], grown);
        }
        for (int k = 0; k < vectors; k++) part = _mm256_add_ps(part, exp256(_mm256_sub_ps(strip[k], grown)));
        sum = _mm256_fmadd_ps(sum, exp256(_mm256_sub_ps(max, grown)), part);
        max = grown;
    }
    float maxima[8], sums[8];
    _mm256_storeu_ps(maxima, max);
    _mm256_storeu_ps(sums, sum);
    return joined(8, maxima, sums);
}

__attribute__((target("avx2,fma")))
static void row_probabilities_3(int64_t V, const float *x, float lse, float scale, float *p) {
    __m256 all_lse = _mm256_set1_ps(lse), all_scale = _mm256_set1_ps(scale);
    int64_t j = 0;
    for (; j + 8 <= V; j += 8) {
        __m256 e = exp256(_mm256_sub_ps(_mm256_loadu_ps(x + j), all_lse));
        _mm256_storeu_ps(p + j, _mm256_mul_ps(e, all_scale));
    }
    if (j < V) {
        float eight[8];
        __m256 e = exp256(_mm256_sub_ps(rest_256(x + j, V - j), all_lse));
        _mm256_storeu_ps(eight, _mm256_mul_ps(e, all_scale));
        memcpy(p + j, eight, (size_t)(V - j) * sizeof *p);
    }
}

// --- 4: sixteen lanes -----------------------------------------------------------------------------------------------

__attribute__((target("avx512f")))
static float row_lse_4(int64_t V, const float *x) {
    __m512 max = _mm512_set1_ps(-FLT_MAX), sum = _mm512_setzero_ps(), nothing = _mm512_set1_ps(-INFINITY);
    for (int64_t j = 0; j < V; j += STRIP * 16) {
        __m512 strip[STRIP], grown = max, part = _mm512_setzero_ps();
        int vectors = vectors_of(V - j, 16);
        for (int k = 0; k < vectors; k++) {
            int64_t at = j + 16 * k;
            strip[k] = _mm512_mask_loadu_ps(nothing, mask_of(V - at), x + at);
            grown = _mm512_max_ps(strip[k], grown);
        }
        for (int k = 0; k < vectors; k++) part = _mm512_add_ps(part, exp512(_mm512_sub_ps(strip[k], grown)));
        sum = _mm512_fmadd_ps(sum, exp512(_mm512_sub_ps(max, grown)), part);
        max = grown;
    }
    float maxima[16], sums[16];
    _mm512_storeu_ps(maxima, max);
    _mm512_storeu_ps(sums, sum);
    return joined(16, maxima, sums);
}

__attribute__((target("avx512f")))
static void row_probabilities_4(int64_t V, const float *x, float lse, float scale, float *p) {
    __m512 all_lse = _mm512_set1_ps(lse), all_scale = _mm512_set1_ps(scale);
    for (int64_t j = 0; j < V; j += 16) {
        uint16_t mask = mask_of(V - j);
        __m512 e = exp512(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + j), all_lse));
        _mm512_mask_storeu_ps(p + j, mask, _mm512_mul_ps(e, all_scale));
    }
}
#endif

// --- what Python calls --------------------------------------------------------------------------------------------

static float row_lse(int rung, int64_t V, const float *x) {
#if defined(__x86_64__)
    if (rung == AVX512) return row_lse_4(V, x);
    if (rung == AVX2) return row_lse_3(V, x);
#endif
    return rung == FORMULA ? row_lse_1(V, x) : row_lse_2(V, x);
}

static void row_probabilities(int rung, int64_t V, const float *x, float lse, float scale, float *p) {
#if defined(__x86_64__)
    if (rung == AVX512) return row_probabilities_4(V, x, lse, scale, p);
    if (rung == AVX2) return row_probabilities_3(V, x, lse, scale, p);
#endif
    if (rung == FORMULA) row_probabilities_1(V, x, lse, scale, p);
    else row_probabilities_2(V, x, lse, scale, p);
}

static int checked(int rung, int64_t N, int64_t V, const int64_t *targets) {
    if (rung < FORMULA || rung > cross_entropy_rungs()) return NO_SUCH_RUNG;
    for (int64_t i = 0; i < N; i++)
        if (targets[i] < IGNORED || targets[i] >= V) return NO_SUCH_TARGET;
    return FINE;
}

// Writes the loss of each row, and lse, which backward needs. Returns FINE or what is wrong.
int cross_entropy_forward(int rung, int64_t N, int64_t V, const float *logits, const int64_t *targets, float *losses,
                          float *lse) {
    int result = checked(rung, N, V, targets);
    for (int64_t i = 0; result == FINE && i < N; i++) {
        const float *x = logits + i * V;
        bool counts = targets[i] != IGNORED;
        lse[i] = counts ? row_lse(rung, V, x) : 0;
        losses[i] = counts ? lse[i] - x[targets[i]] : 0;
    }
    return result;
}

// Writes scale times the gradient of the sum of all losses; scale = 1 / (rows that count) makes it that of the mean.
int cross_entropy_backward(int rung, int64_t N, int64_t V, const float *logits, const int64_t *targets,
                           const float *lse, float scale, float *grad) {
    int result = checked(rung, N, V, targets);
    for (int64_t i = 0; result == FINE && i < N; i++) {
        float *row = grad + i * V;
        if (targets[i] == IGNORED) {
            memset(row, 0, (size_t)V * sizeof *row);
        } else {
            row_probabilities(rung, V, logits + i * V, lse[i], scale, row);
            row[targets[i]] -= scale;
        }
    }
    return result;
}
