// Choosing the next token: from V logits to one id, draw for draw what inference/sampling.py chooses.
//
// The order is fixed there, and the same here: repetition penalty, sort (the lower id first among equals), temperature
// and softmax in double, top-k, top-p, min-p, one number of the sequence's own generator. Each filter keeps a beginning
// of the sorted list. So only a beginning need be sorted: those tokens whose logit is within some distance of the
// highest. Where they turn out too few, the distance grows. Of 32,000 tokens, that are a few hundred with a trained
// model; sorting all of them would take longer than a layer of the network.
//
//     Sampler sampler;
//     if (!sampler_open(&sampler, V)) … no memory …
//     int32_t token = sample_token(&sampler, logits, settings, &rng, history, length);     // -1: not finite
//     sampler_close(&sampler);
//
// Sums are taken in the same order as in Python, except where it does not matter for the choice: the sum of all V
// weights, and NumPy's sum in pairs of those that are kept. They differ in the sixteenth digit; the number that is
// drawn has seven.

#ifndef SAMPLING_H
#define SAMPLING_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"

// How one text is to be sampled; the meaning and the limits are those of inference/sampling.py::SamplingParams.
typedef struct {
    double temperature;  // 0 takes the most probable token, always
    int64_t top_k;       // 0 means all
    double top_p;        // 1 means all
    double min_p;        // 0 means all
    double repetition_penalty;  // 1 means none
} Sampling;

enum { TOP_BLOCK = 64 };  // logits, of which the highest is kept

typedef struct {
    uint32_t order;  // the smaller, the higher the logit
    int32_t id;
} Candidate;

typedef struct {
    int64_t V;
    float *penalized;          // (V,)
    float *tops;               // the highest logit of each block of 64
    double *weight;            // (V,) e^((logit - highest) / temperature)
    double *sums;              // (V,) of the sorted candidates
    Candidate *list, *spare;   // (V,) each
} Sampler;

static inline void sampler_close(Sampler *s) {
    free(s->penalized), free(s->tops), free(s->weight), free(s->sums), free(s->list), free(s->spare);
    *s = (Sampler){0};
}

// False where there is not enough memory; then there is nothing to close.
static inline bool sampler_open(Sampler *s, int64_t V) {
    size_t n = (size_t)V;
    *s = (Sampler){V, malloc(n * sizeof(float)), malloc((n / TOP_BLOCK + 1) * sizeof(float)),
                   malloc(n * sizeof(double)), malloc(n * sizeof(double)), malloc(n * sizeof(Candidate)),
                   malloc(n * sizeof(Candidate))};
    if (s->penalized && s->tops && s->weight && s->sums && s->list && s->spare) return true;
    sampler_close(s);
    return false;
}

// What is wrong with the settings, or NULL.
static inline const char *sampling_fault(const Sampling *s) {
    if (!(s->temperature >= 0 && s->temperature <= 10)) return "temperature must be a number from 0 to 10";
    if (s->top_k < 0) return "top-k must be a whole number of at least 0";
    if (!(s->top_p > 0 && s->top_p <= 1)) return "top-p must be a number above 0 and at most 1";
    if (!(s->min_p >= 0 && s->min_p <= 1)) return "min-p must be a number from 0 to 1";
    if (!(s->repetition_penalty >= 0.1 && s->repetition_penalty <= 10))
        return "repetition-penalty must be a number from 0.1 to 10";
    return NULL;
}

// --- weights: e^x in double, by plain C that compilers turn into vector code ---------------------------------------

// e^x for x <= 0, without a branch: x = n ln 2 + r, and thirteen terms of the series of e^r. Below -708 it is 0.
static inline double exp_of_negative(double x) {
    const double rounder = 6755399441055744.0;  // 1.5 * 2^52: doubles near it are whole numbers
    double inside = x < -708.0 ? -708.0 : x;
    double shifted = inside * 1.4426950408889634 + rounder, n = shifted - rounder;
    double r = (inside - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;  // ln 2 in two parts
    double sum = 1.0 / 6227020800;  // 1 / 13!
    sum = sum * r + 1.0 / 479001600;
    sum = sum * r + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 1.0 / 2;
    double y = 1.0 + (r + r * r * sum), scale;
    uint64_t bits, base;
    memcpy(&bits, &shifted, 8), memcpy(&base, &rounder, 8);
    bits = (bits - base + 1023) << 52;  // 2^n: the exponent's bits
    memcpy(&scale, &bits, 8);
    return x < -708.0 ? 0.0 : y * scale;
}

// weight[i] = e^((logit[i] - highest) / temperature); returns their sum.
static inline __attribute__((always_inline)) double weigh(const float *logits, int64_t V, float highest,
                                                          double temperature, double *weight) {
    double sums[8] = {0}, sum = 0.0;
    int64_t i = 0;
    for (int64_t k = 0; k < V; k++) weight[k] = exp_of_negative((double)(logits[k] - highest) / temperature);
    for (; i + 8 <= V; i += 8)
        for (int k = 0; k < 8; k++) sums[k] += weight[i + k];
    for (int k = 0; k < 8; k++) sum += sums[k];
    for (; i < V; i++) sum += weight[i];
    return sum;
}

// The same text for three kinds of processor; nothing in it depends on the width of a vector, so the numbers are the
// same.
#if defined(__x86_64__)
#define SAMPLING_AVX2 __attribute__((target("avx2")))
#define SAMPLING_AVX512 __attribute__((target("avx512f,avx512dq,prefer-vector-width=512")))

static SAMPLING_AVX2 double weigh_avx2(const float *logits, int64_t V, float highest, double temperature,
                                       double *weight) {
    return weigh(logits, V, highest, temperature, weight);
}

static SAMPLING_AVX512 double weigh_avx512(const float *logits, int64_t V, float highest, double temperature,
                                           double *weight) {
    return weigh(logits, V, highest, temperature, weight);
}
#endif

static inline double all_weights(const float *logits, int64_t V, float highest, double temperature, double *weight) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return weigh_avx512(logits, V, highest, temperature, weight);
    if (__builtin_cpu_supports("avx2")) return weigh_avx2(logits, V, highest, temperature, weight);
#endif
    return weigh(logits, V, highest, temperature, weight);
}

// --- sorting -------------------------------------------------------------------------------------------------------

// A number that is the smaller, the larger x is. Floats order like their bits where they are positive and against
// them where they are negative; x + 0 makes 0 of -0.
static inline uint32_t descending(float x) {
    uint32_t bits;
    x += 0.0f;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7FFFFFFFu;
}

// Sorts list by `order`, equals as they stand: eleven bits at a time, from the lowest (Hollerith, 1889, on cards).
static inline void sort_candidates(Candidate *list, Candidate *spare, int64_t n) {
    for (int shift = 0; shift < 33; shift += 11) {
        int32_t first[2049] = {0};
        for (int64_t i = 0; i < n; i++) first[(list[i].order >> shift & 2047) + 1]++;
        for (int b = 0; b < 2048; b++) first[b + 1] += first[b];
        for (int64_t i = 0; i < n; i++) spare[first[list[i].order >> shift & 2047]++] = list[i];
        Candidate *before = list;
        list = spare, spare = before;
    }
    memcpy(spare, list, (size_t)n * sizeof *list);  // three passes: the sorted ones lie in what was the spare
}

// --- the choice ----------------------------------------------------------------------------------------------------

// The logits with those of `history` made less likely, each once: where negative, by multiplying.
static inline void penalize(const float *logits, int64_t V, float penalty, const int32_t *history, int64_t length,
                            float *penalized) {
    memcpy(penalized, logits, (size_t)V * sizeof *logits);
    for (int64_t i = 0; i < length; i++) {
        float there = logits[history[i]];
        penalized[history[i]] = there > 0 ? there / penalty : there * penalty;
    }
}

// The highest of n numbers; *finite becomes false where one is NaN. Sixteen at a time: no comparison waits for another.
static inline float highest_of(const float *x, int64_t n, bool *finite) {
    float top[16], best = -INFINITY;
    int32_t wrong[16] = {0}, any = 0;
    int64_t i = 0;
    for (int k = 0; k < 16; k++) top[k] = -INFINITY;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) {
            top[k] = x[i + k] > top[k] ? x[i + k] : top[k];
            wrong[k] |= x[i + k] != x[i + k];
        }
    for (int k = 0; k < 16; k++) best = top[k] > best ? top[k] : best, any |= wrong[k];
    for (; i < n; i++) best = x[i] > best ? x[i] : best, any |= x[i] != x[i];
    if (any) *finite = false;
    return best;
}

// The first of the highest logits, or -1 where one is NaN or the highest not finite. s->tops gets the highest of each
// block, so that whoever looks for high ones can pass over the others.
static inline int32_t highest_logit(Sampler *s, const float *logits) {
    bool finite = true;
    float best = -INFINITY;
    for (int64_t b = 0; b * TOP_BLOCK < s->V; b++) {
        int64_t n = s->V - b * TOP_BLOCK;
        s->tops[b] = highest_of(logits + b * TOP_BLOCK, n < TOP_BLOCK ? n : TOP_BLOCK, &finite);
        best = s->tops[b] > best ? s->tops[b] : best;
    }
    if (!finite || isinf(best)) return -1;
    int64_t i = 0;
    while (s->tops[i] < best) i++;
    for (i *= TOP_BLOCK; logits[i] < best;) i++;
    return (int32_t)i;
}

// How many of n sums, which grow, are below (or, with `equal`, at most) the bound.
static inline int64_t sums_below(const double *sums, int64_t n, double bound, bool equal) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sums[middle] < bound || (equal && sums[middle] == bound)) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Collects and sorts the tokens within some distance of the highest logit, and adds their weights up in s->sums.
// Grows the distance until all that the filters may keep, or the draw can reach, are among them. Returns how many.
static inline int64_t collect(Sampler *s, const float *logits, float highest, const Sampling *settings, double total,
                              double drawn) {
    double needed = (settings->top_p < 1 ? settings->top_p : drawn) * total * (1 + 1e-9);
    bool by_mass = !settings->top_k && (settings->top_p < 1 || settings->min_p == 0);
    int64_t n = 0;
    for (double distance = 3;; distance *= 4) {  // in temperatures: e^-3, e^-12, e^-48 of the first, then all
        bool all = distance > 100;
        float bound = all ? -INFINITY : highest - (float)(distance * settings->temperature);
        double mass = n = 0;
        for (int64_t i = 0; i < s->V; i++) {
            if (i % TOP_BLOCK == 0 && s->tops[i / TOP_BLOCK] < bound) i += TOP_BLOCK - 1;
            else if (logits[i] >= bound) {
                s->list[n++] = (Candidate){descending(logits[i]), (int32_t)i};
                mass += s->weight[i];
            }
        }
        if (all || (settings->top_k && n >= settings->top_k) || (by_mass && mass >= needed)
            || exp(-distance) < 0.99 * settings->min_p)
            break;
    }
    sort_candidates(s->list, s->spare, n);
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) s->sums[i] = sum += s->weight[s->list[i].id];
    return n;
}

// How many of the n sorted candidates the filters leave: at least 1.
static inline int64_t keep(const Sampler *s, int64_t n, const Sampling *settings, double total) {
    if (settings->top_k && n >= settings->top_k) n = settings->top_k, total = s->sums[n - 1];
    else if (n == s->V) total = s->sums[n - 1];
    if (settings->top_p < 1) {
        int64_t enough = sums_below(s->sums, n, settings->top_p * total, false) + 1;
        n = enough < n ? enough : n;
    }
    if (settings->min_p > 0)
        while (n > 1 && !(s->weight[s->list[n - 1].id] >= settings->min_p * s->weight[s->list[0].id])) n--;
    return n;
}

// One token from logits (V,). history: the ids so far, special tokens left out. Draws one number, or none where the
// temperature is 0. Returns -1 where the logits are not finite.
static inline int32_t sample_token(Sampler *s, const float *logits, const Sampling *settings, Rng *rng,
                                   const int32_t *history, int64_t length) {
    int32_t best = highest_logit(s, logits);
    if (best < 0) return -1;
    if (settings->repetition_penalty != 1 && length > 0) {
        penalize(logits, s->V, (float)settings->repetition_penalty, history, length, s->penalized);
        logits = s->penalized;
        best = highest_logit(s, logits);
        if (best < 0) return -1;
    }
    if (settings->temperature == 0) return best;
    double drawn = rng_uniform(rng);
    double total = all_weights(logits, s->V, logits[best], settings->temperature, s->weight);
    int64_t n = collect(s, logits, logits[best], settings, total, drawn), kept = keep(s, n, settings, total);
    bool open = kept == n && n < s->V && !settings->top_k && settings->top_p == 1 && settings->min_p == 0;
    double sum = open ? total : s->sums[kept - 1], up_to = 0.0;
    for (int64_t i = 0; i < kept; i++) s->sums[i] = up_to += s->weight[s->list[i].id] / sum;
    int64_t index = sums_below(s->sums, kept, drawn * (open ? 1.0 : up_to), true);
    return s->list[index < kept ? index : kept - 1].id;
}

#endif
