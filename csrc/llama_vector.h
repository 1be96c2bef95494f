// The three kinds of vectors for which llama_tiles.h is compiled, and what of llama.h's work is done by them.

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

#define JOIN_2(a, b) a##_##b
#define JOIN(a, b) JOIN_2(a, b)
#define NAMED(name) JOIN(name, PATH)

// Four numbers in a vector of the compiler's own, which every processor can compute with.
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t FourBits __attribute__((vector_size(16)));

static inline Four max_four(Four a, Four b) {
    FourBits first = a > b;
    return (Four)((first & (FourBits)a) | (~first & (FourBits)b));
}

static inline Four exp_four(Four x) { return (Four){exp32(x[0]), exp32(x[1]), exp32(x[2]), exp32(x[3])}; }

#define PATH four
#define TARGET
#define VECTOR Four
#define LANES 4
#define LOAD(p) (*(const Four *)(p))
#define STORE(p, x) (*(Four *)(p) = (x))
#define ALL(x) ((Four){x, x, x, x})
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))
#define FMA(a, b, c) ((a) * (b) + (c))
#define MAX(a, b) max_four(a, b)
#define EXP(x) exp_four(x)
#include "llama_tiles.h"

#if defined(__x86_64__)
#define PATH eight
#define TARGET __attribute__((target("avx2,fma")))
#define VECTOR __m256
#define LANES 8
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define ALL(x) _mm256_set1_ps(x)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define DIV(a, b) _mm256_div_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define MAX(a, b) _mm256_max_ps(a, b)
#define EXP(x) exp256(x)
#include "llama_tiles.h"

#define PATH sixteen
#define TARGET __attribute__((target("avx512f")))
#define VECTOR __m512
#define LANES 16
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define ALL(x) _mm512_set1_ps(x)
#define ADD(a, b) _mm512_add_ps(a, b)
#define SUB(a, b) _mm512_sub_ps(a, b)
#define MUL(a, b) _mm512_mul_ps(a, b)
#define DIV(a, b) _mm512_div_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define MAX(a, b) _mm512_max_ps(a, b)
#define EXP(x) exp512(x)
#include "llama_tiles.h"
#endif

#undef NAMED
#undef JOIN
#undef JOIN_2

// In the order of linear.h's PATH_PLAIN, PATH_AVX2, PATH_AVX512.
static const LlamaPath LLAMA_PATHS[] = {
    {norm_four, swiglu_four, attend_four, read_four},
#if defined(__x86_64__)
    {norm_eight, swiglu_eight, attend_eight, read_eight},
    {norm_sixteen, swiglu_sixteen, attend_sixteen, read_sixteen},
#endif
};

#endif
