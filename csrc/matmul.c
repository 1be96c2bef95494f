// The product of two matrices, C = A B, in seven rungs from three loops to register tiles on several threads.
//
// C[i][j] = sum over k of A[i][k] B[k][j], for A (M, K), B (K, N), C (M, N) in float32, of any size, 0 included.
// A matrix is numbers in memory, its sizes and its strides, as in tensor.c. So a transposed matrix is the same
// memory with the strides exchanged, and both gradients, dA = dC B^T and dB = A^T dC, are products like any other:
//
//     1 loops      three loops, as the formula says
//     2 order      the loop over j innermost: it walks along rows
//     3 blocks     the same, four rows of B at a time, for a part of B that stays in the cache
//     4 panels     A and B copied into the order of use, a tile of C in registers; plain C
//     5 AVX2       a larger tile, eight multiply-adds an instruction
//     6 AVX-512    a larger tile, sixteen multiply-adds an instruction
//     7 threads    the best of 4 to 6 that this processor has, on several threads
//
// Rungs 4 to 7 are one function, multiply_fast in matmul_fast.h; matmul_tiles.h holds what differs, the tiles.
//
// Paper: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    float *data;
    int64_t rows, columns, row_stride, column_stride;  // strides in numbers, not bytes; of any sign
} Matrix;

enum { MATMUL_DONE, MATMUL_NO_MEMORY, MATMUL_NO_SUCH_RUNG, MATMUL_WRONG_SHAPES };
enum { LOOPS = 1, ORDER, BLOCKS, PANELS, WITH_AVX2, WITH_AVX512, THREADS, RUNGS = THREADS };

// Where element (i, j) lies.
static inline float *at(Matrix x, int64_t i, int64_t j) {
    return x.data + i * x.row_stride + j * x.column_stride;
}

// The part of x that begins at (i, j), in the same memory.
static inline Matrix part(Matrix x, int64_t i, int64_t j, int64_t rows, int64_t columns) {
    return (Matrix){at(x, i, j), rows, columns, x.row_stride, x.column_stride};
}

// x with rows as columns, in the same memory.
static inline Matrix transposed(Matrix x) {
    return (Matrix){x.data, x.columns, x.rows, x.column_stride, x.row_stride};
}

static inline int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

// For what is compiled several times, for several kinds of processor.
#define INLINE static inline __attribute__((always_inline))

static void set_zero(Matrix c) {
    for (int64_t i = 0; i < c.rows; i++)
        for (int64_t j = 0; j < c.columns; j++) *at(c, i, j) = 0.0f;
}

// --- 1: three loops, as the formula says ---------------------------------------------------------------------------

static void multiply_loops(bool accumulate, Matrix a, Matrix b, Matrix c) {
    for (int64_t i = 0; i < c.rows; i++)
        for (int64_t j = 0; j < c.columns; j++) {
            float sum = 0.0f;
            for (int64_t k = 0; k < a.columns; k++) sum += *at(a, i, k) * *at(b, k, j);
            *at(c, i, j) = accumulate ? *at(c, i, j) + sum : sum;
        }
}

// --- 2: the loop over j innermost ----------------------------------------------------------------------------------

// c += a b. Where rows of B and C lie without gaps, neighbors are computed together, four an instruction.
INLINE void add_product(Matrix a, Matrix b, Matrix c) {
    for (int64_t i = 0; i < c.rows; i++)
        for (int64_t k = 0; k < a.columns; k++) {
            float x = *at(a, i, k);
            for (int64_t j = 0; j < c.columns; j++) *at(c, i, j) += x * *at(b, k, j);
        }
}

static void multiply_order(bool accumulate, Matrix a, Matrix b, Matrix c) {
    if (!accumulate) set_zero(c);
    add_product(a, b, c);
}

// --- 3: a part of B that stays in the cache ------------------------------------------------------------------------

// c += a b, four k at a time: a number of C is read and written once for four products, not for each.
INLINE void add_four_products(Matrix a, Matrix b, Matrix c) {
    int64_t fours = a.columns / 4 * 4, rest = a.columns - fours;
    for (int64_t i = 0; i < c.rows; i++)
        for (int64_t k = 0; k < fours; k += 4) {
            float x0 = *at(a, i, k), x1 = *at(a, i, k + 1), x2 = *at(a, i, k + 2), x3 = *at(a, i, k + 3);
            for (int64_t j = 0; j < c.columns; j++)
                *at(c, i, j) += x0 * *at(b, k, j) + x1 * *at(b, k + 1, j)
                                + x2 * *at(b, k + 2, j) + x3 * *at(b, k + 3, j);
        }
    add_product(part(a, 0, fours, a.rows, rest), part(b, fours, 0, rest, b.columns), c);
}

#ifndef MATMUL_SIZES  // the tests choose smaller ones
enum { HIGH = 64, WIDE = 2048 };  // of a block of B: at most 512 KiB, in the L2 cache
#endif

// A block of B meets all rows of A before the next one is touched.
static void multiply_blocks(bool accumulate, Matrix a, Matrix b, Matrix c) {
    if (!accumulate) set_zero(c);
    for (int64_t j = 0; j < c.columns; j += WIDE)
        for (int64_t k = 0; k < a.columns; k += HIGH) {
            int64_t high = smaller(HIGH, a.columns - k), wide = smaller(WIDE, c.columns - j);
            add_four_products(part(a, 0, k, a.rows, high), part(b, k, j, high, wide), part(c, 0, j, c.rows, wide));
        }
}

// --- 4 to 7 --------------------------------------------------------------------------------------------------------

#include "matmul_tiles.h"

#include "matmul_fast.h"

// --- all rungs -----------------------------------------------------------------------------------------------------

// The tile of a rung from 4 on, or NULL where this processor cannot run it.
static const Kernel *kernel_of(int rung) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && (rung == WITH_AVX512 || rung == THREADS)) return &KERNEL_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && (rung == WITH_AVX2 || rung == THREADS))
        return &KERNEL_AVX2;
#endif
    return rung == PANELS || rung == THREADS ? &PLAIN : NULL;
}

// The rungs that this processor can run: bit r stands for rung r.
int matmul_rungs(void) {
    int rungs = 0;
    for (int rung = LOOPS; rung <= RUNGS; rung++)
        if (rung <= BLOCKS || kernel_of(rung)) rungs |= 1 << rung;
    return rungs;
}

// c = a b, or c += a b; c shares no memory with a and b. threads: of rung 7; small products use fewer.
// Returns MATMUL_DONE, or what is wrong; then c is as it was.
int matmul(int rung, int threads, bool accumulate, Matrix a, Matrix b, Matrix c) {
    if (rung < LOOPS || rung > RUNGS || !(matmul_rungs() >> rung & 1)) return MATMUL_NO_SUCH_RUNG;
    if (a.columns != b.rows || a.rows != c.rows || b.columns != c.columns) return MATMUL_WRONG_SHAPES;
    if (c.rows == 0 || c.columns == 0) return MATMUL_DONE;
    if (a.columns == 0) {
        if (!accumulate) set_zero(c);
    } else if (rung == LOOPS) {
        multiply_loops(accumulate, a, b, c);
    } else if (rung == ORDER) {
        multiply_order(accumulate, a, b, c);
    } else if (rung == BLOCKS) {
        multiply_blocks(accumulate, a, b, c);
    } else if (!multiply_fast(kernel_of(rung), rung == THREADS && threads > 1 ? threads : 1, accumulate, a, b, c)) {
        return MATMUL_NO_MEMORY;
    }
    return MATMUL_DONE;
}

// The gradients of c = a b: da = or += dc b^T, db = or += a^T dc.
int matmul_backward(int rung, int threads, bool accumulate, Matrix a, Matrix b, Matrix dc, Matrix da, Matrix db) {
    int wrong = matmul(rung, threads, accumulate, dc, transposed(b), da);
    return wrong ? wrong : matmul(rung, threads, accumulate, transposed(a), dc, db);
}

// --- the limit: multiply-adds on numbers that are in registers already ---------------------------------------------

enum { CHAINS = 12 };  // registers that are multiplied and added to in turn: enough that none is waited for

static float limit_plain(int64_t rounds) {
    float x[CHAINS][4] = {{0}}, sum = 0.0f;
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            for (int j = 0; j < 4; j++) x[i][j] = x[i][j] * 0.999f + 0.001f;
    for (int i = 0; i < CHAINS; i++) sum += x[i][0] + x[i][1] + x[i][2] + x[i][3];
    return sum;
}

#if defined(__x86_64__)
static AVX2 float limit_avx2(int64_t rounds) {
    __m256 x[CHAINS], factor = _mm256_set1_ps(0.999f), more = _mm256_set1_ps(0.001f);
    float sum = 0.0f;
    for (int i = 0; i < CHAINS; i++) x[i] = _mm256_setzero_ps();
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) x[i] = _mm256_fmadd_ps(x[i], factor, more);
    for (int i = 0; i < CHAINS; i++) sum += _mm256_cvtss_f32(x[i]);
    return sum;
}

static AVX512 float limit_avx512(int64_t rounds) {
    __m512 x[CHAINS], factor = _mm512_set1_ps(0.999f), more = _mm512_set1_ps(0.001f);
    float sum = 0.0f;
    for (int i = 0; i < CHAINS; i++) x[i] = _mm512_setzero_ps();
    for (int64_t r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++) x[i] = _mm512_fmadd_ps(x[i], factor, more);
    for (int i = 0; i < CHAINS; i++) sum += _mm512_cvtss_f32(x[i]);
    return sum;
}
#endif

static float limit_of(const Kernel *kernel, int64_t rounds) {
#if defined(__x86_64__)
    if (kernel == &KERNEL_AVX512) return limit_avx512(rounds);
    if (kernel == &KERNEL_AVX2) return limit_avx2(rounds);
#endif
    (void)kernel;
    return limit_plain(rounds);
}

// Multiplies and adds on each thread with the best instructions there are. Returns the number of operations; *sink
// gets what was computed, so that the compiler must not leave it out.
double matmul_limit(int threads, int64_t rounds, float *sink) {
    if (threads < 1) threads = 1;
    const Kernel *kernel = kernel_of(THREADS);
    float sum = 0.0f;
#pragma omp parallel for num_threads(threads) reduction(+ : sum)
    for (int t = 0; t < threads; t++) sum += limit_of(kernel, rounds);
    *sink = sum;
    return 2.0 * threads * (double)rounds * CHAINS * (kernel->columns / 2);  // a tile is two registers wide
}
