// The product of a weight matrix with activations, y = W x: where nearly all the time of a language model goes.
//
// For one token every weight is read once and used once: the memory's speed is the limit. For n tokens it is used n
// times. One layout serves both. W (rows, columns) is cut into panels of `panel` rows, and a panel is written down
// column after column, so that one load brings the same column of neighboring rows:
//
//     W[0][0] W[1][0] … W[31][0]    W[0][1] W[1][1] … W[31][1]    W[0][2] …          floats, a panel of 32 rows
//
// A lane of a vector belongs to a row of W. No sum is ever taken across lanes, and every y[t][r] is the sum over the
// columns in their order, whatever n is and whichever thread computes it: alone or among others, a token gets the
// same bits. Floats by AVX2 and AVX-512 agree to the bit, too; plain C rounds products and differs in the last digits.
// Integers (quant.h, which says how their panels lie) agree on all paths.
//
//     linear_from, quantize_linear    make panels, once, while loading
//     linear_settle                   moves them to large pages, which are read faster
//     linear                          y = W x for n tokens; linear_input and linear_output are its two halves
//     linear_row                      a row of W as floats, what an embedding looks up
//
// The includer defines _GNU_SOURCE before its first include; without it there are no large pages, and all works.

#ifndef LINEAR_H
#define LINEAR_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "error.h"
#include "half.h"
#include "safetensors.h"  // Type, TensorView

// How the weights lie in memory, and which instructions read them.
typedef enum { LINEAR_F32, LINEAR_F16, LINEAR_BF16, LINEAR_I8, LINEAR_I4 } LinearKind;
typedef enum { PATH_PLAIN, PATH_AVX2, PATH_AVX512, PATHS } LinearPath;

typedef struct {
    LinearKind kind;
    LinearPath path;               // the best one; tests set another
    int64_t rows, columns, group;  // group: columns that share a scale; 0 for floats
    Type scale_type;               // TYPE_F32 or TYPE_F16
    void *weights, *scales;        // panels, and the scales of their groups
    size_t bytes;                  // of both: what one pass over them reads
    bool settled;                  // they lie in LinearPages
} Linear;

enum { FLOAT_ROWS = 32, QUANT_ROWS = 16, MOST_TOKENS = 12 };  // rows of a panel, tokens of a tile

#define LINEAR_INLINE static inline __attribute__((always_inline))

static inline bool linear_is_quantized(const Linear *w) { return w->kind == LINEAR_I8 || w->kind == LINEAR_I4; }
static inline int linear_bits(const Linear *w) {
    return w->kind == LINEAR_F32 ? 32 : w->kind == LINEAR_I8 ? 8 : w->kind == LINEAR_I4 ? 4 : 16;
}
static inline int64_t linear_panel(const Linear *w) { return linear_is_quantized(w) ? QUANT_ROWS : FLOAT_ROWS; }
static inline int64_t linear_panels(const Linear *w) { return (w->rows + linear_panel(w) - 1) / linear_panel(w); }

// Bit p: this processor can run path p.
static inline int linear_paths(void) {
    int paths = 1 << PATH_PLAIN;
#if defined(__x86_64__)
    unsigned a, b, c = 0, d;
    bool f16c = __get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1;
    if (f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) paths |= 1 << PATH_AVX2;
    if (paths >> PATH_AVX2 & 1 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vnni"))
        paths |= 1 << PATH_AVX512;
#endif
    return paths;
}

static inline LinearPath linear_best_path(void) {
    int paths = linear_paths();
    return paths >> PATH_AVX512 & 1 ? PATH_AVX512 : paths >> PATH_AVX2 & 1 ? PATH_AVX2 : PATH_PLAIN;
}

#include "linear_memory.h"
#include "linear_tiles.h"
#include "quant.h"

// --- loading -------------------------------------------------------------------------------------------------------

// The panel of rows from `first` on, of a matrix of floats; sixteen columns at a time: what is written stays close.
static inline void pack_floats(Linear *w, int64_t first, const TensorView *weight) {
    int64_t height = w->rows - first < FLOAT_ROWS ? w->rows - first : FLOAT_ROWS, K = w->columns;
    for (int64_t k = 0; k < K; k += 16)
        for (int64_t r = 0; r < height; r++) {
            int64_t wide = K - k < 16 ? K - k : 16, from = (first + r) * K + k, to = (first * K) + k * FLOAT_ROWS + r;
            float numbers[16];
            uint16_t halves[16];
            if (weight->type == TYPE_F32) memcpy(numbers, (const char *)weight->data + from * 4, (size_t)wide * 4);
            else memcpy(halves, (const char *)weight->data + from * 2, (size_t)wide * 2);
            if (w->kind != LINEAR_F32) {
                for (int64_t i = 0; i < wide; i++) ((uint16_t *)w->weights)[to + i * FLOAT_ROWS] = halves[i];
                continue;
            }
            for (int64_t i = 0; i < wide && weight->type != TYPE_F32; i++)
                numbers[i] = weight->type == TYPE_F16 ? float_of_f16(halves[i]) : float_of_bf16(halves[i]);
            for (int64_t i = 0; i < wide; i++) ((float *)w->weights)[to + i * FLOAT_ROWS] = numbers[i];
        }
}

// The kind, sizes and group that fit the tensors, or what is wrong with them.
static inline bool linear_shape(Linear *w, const TensorView *weight, const TensorView *scale, bool as_is, Error *e) {
    const char *name = weight->name ? weight->name : "a weight";
    *w = (Linear){0};
    int64_t rows = weight->shape[0], columns = weight->shape[1];
    if (weight->dimensions != 2 || rows < 1 || columns < 1)
        return fault(e, "%s: a matrix has two sizes of at least 1", name);
    if (!scale) {
        if (weight->type != TYPE_F32 && weight->type != TYPE_F16 && weight->type != TYPE_BF16)
            return fault(e, "%s: has no scale, and its numbers are not F32, F16 or BF16", name);
        LinearKind kind = weight->type == TYPE_F16 ? LINEAR_F16 : LINEAR_BF16;
        *w = (Linear){.kind = as_is && weight->type != TYPE_F32 ? kind : LINEAR_F32, .rows = rows, .columns = columns};
        return true;
    }
    if (weight->type != TYPE_I8 && weight->type != TYPE_U8)
        return fault(e, "%s: has a scale, and its numbers are neither I8 nor U8 (two of 4 bits each)", name);
    if (weight->type == TYPE_U8) columns *= 2;
    if (scale->type != TYPE_F32 && scale->type != TYPE_F16)
        return fault(e, "%s: its scales are neither F32 nor F16", name);
    if (scale->dimensions != 2 || scale->shape[0] != rows || scale->shape[1] < 1 || columns % scale->shape[1])
        return fault(e, "%s: its scales do not fit its %" PRId64 " rows and %" PRId64 " columns", name, rows, columns);
    int64_t group = columns / scale->shape[1];
    if (group % QUANT_BLOCK)
        return fault(e, "%s: groups of %" PRId64 " columns; they must be multiples of %d", name, group, QUANT_BLOCK);
    *w = (Linear){.kind = weight->type == TYPE_I8 ? LINEAR_I8 : LINEAR_I4, .rows = rows, .columns = columns,
                  .group = group, .scale_type = scale->type};
    return true;
}

// Copies a matrix of a checkpoint into panels. weight: F32, F16 or BF16 (rows, columns), scale NULL; or I8 (rows,
// columns) or U8 (rows, columns / 2), scale F32 or F16 (rows, columns / group). as_is: F16 and BF16 keep their 16 bits
// in memory and are widened while they are read, with the same result; else they become F32 here.
static inline bool linear_from(Linear *w, const TensorView *weight, const TensorView *scale, bool as_is, Error *e) {
    if (!linear_shape(w, weight, scale, as_is, e)) return false;
    if (!linear_allocate(w)) return fault(e, "%s: not enough memory", weight->name ? weight->name : "a weight");
    if (scale)
        for (int64_t r = 0; r < w->rows; r++) pack_stored(w, r, weight->data, scale->data);
    else
        for (int64_t r = 0; r < w->rows; r += FLOAT_ROWS) pack_floats(w, r, weight);
    return true;
}

// Row `row` of W as floats.
static inline void linear_row(const Linear *w, int64_t row, float *values) {
    if (linear_is_quantized(w)) {
        quant_row(w, row, values);
        return;
    }
    int64_t first = row / FLOAT_ROWS * FLOAT_ROWS * w->columns + row % FLOAT_ROWS;
    for (int64_t k = 0; k < w->columns; k++) values[k] = float_at(w->kind, w->weights, first + k * FLOAT_ROWS);
}

static inline bool linear_can_quantize(const Linear *w, int bits, int64_t group) {
    return !linear_is_quantized(w) && (bits == 8 || bits == 4) && group >= QUANT_BLOCK && group % QUANT_BLOCK == 0
           && w->columns % group == 0;
}

// q becomes w in int8 or int4 (bits 8 or 4), by groups of `group` columns, with scales in float16. False where there
// is no memory, or where linear_can_quantize says no; then q is empty.
static inline bool quantize_linear(Linear *q, const Linear *w, int bits, int64_t group) {
    *q = (Linear){0};
    if (!linear_can_quantize(w, bits, group)) return false;
    *q = (Linear){.kind = bits == 8 ? LINEAR_I8 : LINEAR_I4, .rows = w->rows, .columns = w->columns, .group = group,
                  .scale_type = TYPE_F16};
    float *values = malloc((size_t)w->columns * sizeof *values);
    bool done = values && linear_allocate(q);
    for (int64_t r = 0; done && r < w->rows; r++) {
        linear_row(w, r, values);
        quantize_row(q, r, values);
    }
    free(values);
    return done;
}

// --- y = W x -------------------------------------------------------------------------------------------------------

// How many tokens a tile has at most, and in how many tiles n tokens are cut: tile i begins at token n i / tiles.
static inline int64_t linear_tiles(const Linear *w, int64_t n) {
    static const int most[2][PATHS] = {{4, 6, MOST_TOKENS}, {4, 4, 8}};
    int64_t wide = most[linear_is_quantized(w)][w->path];
    return (n + wide - 1) / wide;
}

// The bytes that scratch must have for n tokens; it must lie at a multiple of 64.
static inline size_t linear_scratch(const Linear *w, int64_t n, int threads) {
    (void)threads;
    size_t token = linear_is_quantized(w) ? (size_t)(w->columns / QUANT_BLOCK) * sizeof(QuantBlock)
                                          : (size_t)w->columns * sizeof(float);
    return ((size_t)n * token + 63) / 64 * 64;
}

// Whether both can read what linear_input wrote for one of them.
static inline bool linear_same_input(const Linear *a, const Linear *b) {
    bool floats = !linear_is_quantized(a) && !linear_is_quantized(b);
    return a->columns == b->columns && a->path == b->path && (floats || a->kind == b->kind);
}

// x (n, columns) in the order in which tiles read it: floats column after column of a tile's tokens, or int8.
static inline void linear_input(const Linear *w, const float *x, int64_t n, void *scratch) {
    int64_t K = w->columns, tiles = linear_tiles(w, n);
    if (linear_is_quantized(w)) {
        quantize_tokens(w, x, n, scratch);
        return;
    }
    for (int64_t i = 0; i < tiles; i++) {
        int64_t first = n * i / tiles, T = n * (i + 1) / tiles - first;
        float *to = (float *)scratch + first * K;
        for (int64_t k = 0; k < K; k += 16)  // what is written at a time stays in the cache
            for (int64_t t = 0; t < T; t++)
                for (int64_t j = k; j < K && j < k + 16; j++) to[j * T + t] = x[(first + t) * K + j];
    }
}

// What thread number `thread` of `threads` does of linear_output, for a caller that has its threads already.
static inline void linear_share(const Linear *w, int64_t n, float *y, const void *scratch, int thread, int threads) {
    int64_t panels = linear_panels(w), tiles = linear_tiles(w, n), height = linear_panel(w), K = w->columns;
    _Alignas(64) float sums[MOST_TOKENS * FLOAT_ROWS];
    for (int64_t p = panels * thread / threads; p < panels * (thread + 1) / threads; p++) {
        int64_t rows = w->rows - p * height < height ? w->rows - p * height : height;
        for (int64_t i = 0; i < tiles; i++) {
            int64_t first = n * i / tiles;
            int T = (int)(n * (i + 1) / tiles - first);
            const QuantBlock *blocks = (const QuantBlock *)scratch + first * (K / QUANT_BLOCK);
            if (linear_is_quantized(w)) quant_tile(w, p, blocks, T, sums);
            else float_tile(w, p, (const float *)scratch + first * K, T, sums);
            for (int t = 0; t < T; t++)
                memcpy(y + (first + t) * w->rows + p * height, sums + t * height, (size_t)rows * sizeof *y);
        }
    }
}

// y (n, rows) from what linear_input wrote. Threads take panels; small products use fewer of them.
static inline void linear_output(const Linear *w, int64_t n, float *y, const void *scratch, int threads) {
    int64_t work = w->rows * w->columns * (n + 3) / 4, most = 1 + work / 65536;
    if (threads > most) threads = (int)most;
    if (threads > linear_panels(w)) threads = (int)linear_panels(w);
    if (threads <= 1) {
        linear_share(w, n, y, scratch, 0, 1);
        return;
    }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int t = 0; t < threads; t++) linear_share(w, n, y, scratch, t, threads);
}

// y (n, rows) = x (n, columns) W^T.
static inline void linear(const Linear *w, const float *x, int64_t n, float *y, void *scratch, int threads) {
    linear_input(w, x, n, scratch);
    linear_output(w, n, y, scratch, threads);
}

#endif
