// What of llama.h's work is done by vector code: llama_tiles.h, for each kind of vector.

#ifndef LLAMA_VECTOR_H
#define LLAMA_VECTOR_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vecmath.h"

enum { KEYS = 16 };  // keys of a block in the cache, and columns of a strip of values

// Attention of 1, 2 or 4 queries, which read the same keys and values: query r sees the first seen[r] of them.
//
// Keys lie in blocks of 16, turned: a row for each of the D columns, a lane for each key. So the scores of 16 keys are
// computed side by side, each in its own lane, and no sum runs across a vector. Values lie as they came, row after row.
typedef struct {
    int rows;
    int64_t D, V;  // width of a head, and of a row of values: D filled up to whole strips
    int64_t longest, seen[4];
    const float *q[4], *k, *v;  // queries (D,), scaled; keys (blocks, D, 16); values (longest, V)
    float *p[4];                // room for the scores: whole blocks
    float *y[4];                // (V,) each
    float factor[4];
} Attend;

typedef struct {
    void (*norm)(const float *x, const float *weight, int64_t n, float eps, float *y);
    void (*swiglu)(float *gate, const float *up, int64_t n);
    void (*attend)(Attend *a);
    float (*read)(const float *x, int64_t n);
} LlamaPath;

#define VECTOR_CODE "llama_tiles.h"
#include "each_vector.h"

// In the order of linear.h's PATH_PLAIN, PATH_AVX2, PATH_AVX512.
static const LlamaPath LLAMA_PATHS[] = {
    {norm_plain, swiglu_plain, attend_plain, read_plain},
#if defined(__x86_64__)
    {norm_avx2, swiglu_avx2, attend_avx2, read_avx2},
    {norm_avx512, swiglu_avx512, attend_avx512, read_avx512},
#endif
};

#endif
