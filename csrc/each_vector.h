// Vector code is written once, in words, and compiled for each kind of vector that a processor may have:
//
//     #define VECTOR_CODE "attention_tiles.h"
//     #include "each_vector.h"
//
// takes that file in three times, where the words mean
//
//     PATH, NAMED(f)   the kind: plain, avx2, avx512, and f_plain, f_avx2, f_avx512, which the functions are to be called
//     TARGET           what the compiler must know of a function with such vectors
//     VECTOR, LANES    a vector's type, and how many numbers it holds
//     WIDTH            how many vectors wide a block of sums is that still fits the registers, with six rows
//     LOAD STORE ALL   from memory, to memory, one number in all lanes
//     LOADN STOREN     of the first n numbers, n < LANES; the rest of what is loaded is 0
//     ADD SUB MUL DIV MAX SQRT EXP, FMA(a, b, c) = a b + c, KEEP(x, y, a, b) = a where x >= y, else b
//
// plain is there on every machine. Which others it can run is asked at run time, before one is called.

#ifndef EACH_VECTOR_H
#define EACH_VECTOR_H

#include <math.h>
#include <stdint.h>

#include "vecmath.h"

#define NAMED_2(name, path) name##_##path
#define NAMED_1(name, path) NAMED_2(name, path)
#define NAMED(name) NAMED_1(name, PATH)

// Four numbers in a vector of the compiler's own, which every processor can compute with.
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t FourBits __attribute__((vector_size(16)));

static inline Four choose_four(FourBits first, Four a, Four b) {
    return (Four)((first & (FourBits)a) | (~first & (FourBits)b));
}

static inline Four exp_four(Four x) { return (Four){exp32(x[0]), exp32(x[1]), exp32(x[2]), exp32(x[3])}; }
static inline Four sqrt_four(Four x) { return (Four){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])}; }

static inline Four load_some(const float *p, int64_t n) {
    Four x = {0};
    for (int64_t i = 0; i < n; i++) x[i] = p[i];
    return x;
}

static inline void store_some(float *p, Four x, int64_t n) {
    for (int64_t i = 0; i < n; i++) p[i] = x[i];
}

#if defined(__x86_64__)
AVX2_CODE __m256i first_of_256(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

#endif

#define PATH plain
#define TARGET
#define VECTOR Four
#define LANES 4
#define WIDTH 2
#define LOAD(p) (*(const Four *)(p))
#define STORE(p, x) (*(Four *)(p) = (x))
#define LOADN(p, n) load_some(p, n)
#define STOREN(p, x, n) store_some(p, x, n)
#define ALL(x) ((Four){x, x, x, x})
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))
#define FMA(a, b, c) ((a) * (b) + (c))
#define MAX(a, b) choose_four((a) > (b), a, b)
#define KEEP(x, y, a, b) choose_four((x) >= (y), a, b)
#define EXP(x) exp_four(x)
#define SQRT(x) sqrt_four(x)
#include VECTOR_CODE
#include "no_words.h"

#if defined(__x86_64__)
#define PATH avx2
#define TARGET __attribute__((target("avx2,fma")))
#define VECTOR __m256
#define LANES 8
#define WIDTH 2
#define LOADN(p, n) _mm256_maskload_ps(p, first_of_256(n))
#define STOREN(p, x, n) _mm256_maskstore_ps(p, first_of_256(n), x)
#define KEEP(x, y, a, b) _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_GE_OQ))
#define EXP(x) exp256(x)
#define INTRINSIC(name) _mm256_##name
#include "x86_words.h"
#include VECTOR_CODE
#include "no_words.h"

#define PATH avx512
#define TARGET __attribute__((target("avx512f")))
#define VECTOR __m512
#define LANES 16
#define WIDTH 4
#define LOADN(p, n) _mm512_maskz_loadu_ps(mask_of(n), p)
#define STOREN(p, x, n) _mm512_mask_storeu_ps(p, mask_of(n), x)
#define KEEP(x, y, a, b) _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GE_OQ), b, a)
#define EXP(x) exp512(x)
#define INTRINSIC(name) _mm512_##name
#include "x86_words.h"
#include VECTOR_CODE
#include "no_words.h"
#endif

#undef VECTOR_CODE
