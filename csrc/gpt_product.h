// The products of gpt.h's rungs 3 and 4: the tiles of matmul.c, in an order made for training.
//
// A training step has some hundred rows of activations, and matrices of weights that come from memory and are used once
// a product. So all of A is packed first, and then one panel of B (32 columns) after the other, each just before its
// tiles are computed. What can be read where it lies is not packed. Nothing is allocated.

#ifndef GPT_PRODUCT_H
#define GPT_PRODUCT_H

#include "matmul.c"

#include "gpt_vector.h"

static inline const Kernel *kernel_of_path(int path) {
#if defined(__x86_64__)
    if (path == 2) return &KERNEL_AVX512;
    if (path == 1) return &KERNEL_AVX2;
#endif
    (void)path;
    return &PLAIN;
}

enum { HIGHEST = 12, WIDEST = 32, PANEL = SLICE * WIDEST };  // of all kernels' tiles

// How many numbers the packed A may need.
static inline int64_t room_for_a(int64_t M, int64_t K) { return (M + HIGHEST) * K + GPT_LINE; }

// c = or += a b.
typedef struct {
    const Kernel *kernel;
    Matrix a, b, c;
    bool add;
} GptProduct;

static inline Matrix rows_of(const float *x, int64_t rows, int64_t columns, int64_t step) {
    return (Matrix){(float *)x, rows, columns, step, 1};
}

// `wide` is a plain number where this is called: the compiler copies without a loop.
INLINE void copy_whole_rows(const int wide, Matrix x, float *panel) {
    for (int64_t k = 0; k < x.rows; k++, panel += wide) memcpy(panel, at(x, k, 0), sizeof(float) * wide);
}

#if defined(__x86_64__)
// At most 16 columns of x, whose numbers have no gaps, become rows: 4 x 4 squares turned in the four parts of a vector.
// Part g of lines[q] holds four numbers of column 4 g + q. Returns how many rows it did: all but the last x.rows % 4.
AVX512 static int64_t turn_columns(Matrix x, int width, float *to) {
    __mmask16 kept = (__mmask16)((1u << (width < 16 ? width : 16)) - 1);
    const float *column[16];
    int64_t k = 0;
    for (int j = 0; j < 16; j++) column[j] = at(x, 0, j < x.columns ? j : 0);  // nobody looks at those behind the last
    for (; k + 4 <= x.rows; k += 4, to += 4 * width) {
        __m512 lines[4], pairs[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            lines[q] = _mm512_castps128_ps512(_mm_loadu_ps(column[q] + k));
            lines[q] = _mm512_insertf32x4(lines[q], _mm_loadu_ps(column[4 + q] + k), 1);
            lines[q] = _mm512_insertf32x4(lines[q], _mm_loadu_ps(column[8 + q] + k), 2);
            lines[q] = _mm512_insertf32x4(lines[q], _mm_loadu_ps(column[12 + q] + k), 3);
        }
        for (int q = 0; q < 2; q++) {
            pairs[2 * q] = _mm512_unpacklo_ps(lines[2 * q], lines[2 * q + 1]);
            pairs[2 * q + 1] = _mm512_unpackhi_ps(lines[2 * q], lines[2 * q + 1]);
        }
        bool last = k + 8 > x.rows;  // what other rows leave behind their end, the next one writes over
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
            __m512d a = _mm512_castps_pd(pairs[q / 2]), b = _mm512_castps_pd(pairs[2 + q / 2]);
            __m512d row = q % 2 ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b);
            if (last) _mm512_mask_storeu_ps(to + q * width, kept, _mm512_castpd_ps(row));
            else _mm512_storeu_ps(to + q * width, _mm512_castpd_ps(row));
        }
    }
    return k;
}

// A tile of AVX-512 that needs no packed A: it reads twelve rows of a (12, K) side by side.
AVX512 static void tile_of_rows(int64_t K, Matrix a, Rows b, Rows c, bool accumulate) {
    __m512 sum[12][2], y[2];
    const float *three[4];  // every third row: the two behind it are known from the step between rows
    for (int i = 0; i < 12; i++)
        for (int h = 0; h < 2; h++) {
            __builtin_prefetch(c.first + i * c.step + 16 * h, 1);
            sum[i][h] = _mm512_setzero_ps();
        }
    for (int q = 0; q < 4; q++) three[q] = at(a, 3 * q, 0);
    for (int64_t k = 0; k < K; k++, b.first += b.step) {
        for (int h = 0; h < 2; h++) y[h] = _mm512_loadu_ps(b.first + 16 * h);
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) {
            __m512 x = _mm512_set1_ps(three[i / 3][i % 3 * a.row_stride + k]);
            for (int h = 0; h < 2; h++) sum[i][h] = _mm512_fmadd_ps(x, y[h], sum[i][h]);
        }
    }
    for (int i = 0; i < 12; i++, c.first += c.step)
        for (int h = 0; h < 2; h++) {
            if (accumulate) sum[i][h] = _mm512_add_ps(_mm512_loadu_ps(c.first + 16 * h), sum[i][h]);
            _mm512_storeu_ps(c.first + 16 * h, sum[i][h]);
        }
}
#endif

// Whether tile_of_rows does for rows of A: rows a multiple of 4 KiB apart would all want the same places in the cache.
static inline bool by_rows(const GptProduct *p, int64_t rows) {
#if defined(__x86_64__)
    if (p->kernel == &KERNEL_AVX512) return rows == 12 && p->a.column_stride == 1 && p->a.row_stride % 1024;
#endif
    (void)p, (void)rows;
    return false;
}

static inline void compute_tile(const GptProduct *p, Matrix a, Rows a_packed, Rows b, Rows c, bool add) {
#if defined(__x86_64__)
    if (by_rows(p, a.rows)) {
        tile_of_rows(a.columns, a, b, c, add);
        return;
    }
#endif
    p->kernel->tile((int)a.rows, 2, a.columns, a_packed, b, c, add);
}

// What pack of matmul_fast.h does, sooner: whole rows are copied with a length that is known, turned rows go through
// larger squares.
static inline void pack_panel(const Kernel *kernel, Matrix x, int width, float *panel) {
    bool whole = x.column_stride == 1 && x.columns == width;
    (void)kernel;
    if (whole && width == 32) copy_whole_rows(32, x, panel);
    else if (whole && width == 12) copy_whole_rows(12, x, panel);
#if defined(__x86_64__)
    else if (x.row_stride == 1 && kernel == &KERNEL_AVX512) {
        int64_t done = 0;
        for (int64_t j = 0; j < x.columns; j += 16)
            done = turn_columns(part(x, 0, j, x.rows, smaller(16, x.columns - j)), width, panel + j);
        pack(part(x, done, 0, x.rows - done, x.columns), width, panel + done * width);
    }
#endif
    else pack(x, width, panel);
}

// Whether a tile can as well read x (k by k, rows of a panel's width) where it lies: rows without gaps, at whole lines
// of the cache, and not far from one another.
static inline bool can_stay(Matrix x, int64_t width) {
    return x.column_stride == 1 && x.row_stride % GPT_LINE == 0 && x.columns % width == 0 && x.row_stride % 1024
           && x.rows * x.row_stride <= SMALL && (uintptr_t)x.data % 64 == 0;
}

// Panel number i of A: its slices of k one behind the other.
static inline void pack_a(const GptProduct *p, int64_t i, float *space) {
    int64_t height = p->kernel->rows, K = p->a.columns, rows = smaller(height, p->a.rows - i * height);
    if (can_stay(transposed(p->a), height) || by_rows(p, rows)) return;
    int64_t slice = piece(K, SLICE, 1, 1);
    for (int64_t k = 0; k < K; k += slice)
        pack_panel(p->kernel, transposed(part(p->a, i * height, k, rows, smaller(slice, K - k))), (int)height,
                   space + (i * K + k) * height);
}

// The strip of C that begins at column j.
static inline void compute_strip(const GptProduct *p, int64_t j, const float *space, float *panel) {
    int64_t M = p->a.rows, K = p->a.columns, height = p->kernel->rows, width = p->kernel->columns;
    int64_t wide = smaller(width, p->b.columns - j), step = p->c.row_stride;
    bool a_stays = can_stay(transposed(p->a), height), b_stays = can_stay(p->b, width);
    int64_t slice = piece(K, SLICE, 1, 1);
    for (int64_t k = 0; k < K; k += slice) {
        int64_t deep = smaller(slice, K - k);
        bool add = p->add || k > 0;
        if (!b_stays) pack_panel(p->kernel, part(p->b, k, j, deep, wide), (int)width, panel);
        Rows b = b_stays ? (Rows){at(p->b, k, j), p->b.row_stride} : (Rows){panel, width};
        for (int64_t i = 0; i < M; i += height) {
            Matrix a = part(p->a, i, k, smaller(height, M - i), deep);
            Rows packed = {(float *)space + i * K + k * height, height}, c = {at(p->c, i, j), step};
            if (a_stays) packed = (Rows){a.data, a.column_stride};
            if (wide == width) {
                compute_tile(p, a, packed, b, c, add);
                continue;
            }
            float edge[HIGHEST * WIDEST];  // more of a tile than there is of C goes here
            compute_tile(p, a, packed, b, (Rows){edge, width}, false);
            for (int y = 0; y < a.rows; y++)
                for (int x = 0; x < wide; x++)
                    c.first[y * step + x] = edge[y * width + x] + (add ? c.first[y * step + x] : 0);
        }
    }
}

// The product by this thread alone. space: room_for_a numbers, panel: PANEL.
static inline void multiply_alone(const GptProduct *p, float *space, float *panel) {
    for (int64_t i = 0; i < p->a.rows; i += p->kernel->rows) pack_a(p, i / p->kernel->rows, space);
    for (int64_t j = 0; j < p->b.columns; j += p->kernel->columns) compute_strip(p, j, space, panel);
}

// The same by several threads, each with PANEL numbers of `panels`.
static inline void multiply_together(const GptProduct *p, int threads, float *space, float *panels) {
    int64_t height = p->kernel->rows, width = p->kernel->columns, M = p->a.rows;
    threads = (int)smaller(threads, 1 + M * p->a.columns * p->b.columns / ALONE);
    if (threads <= 1) {
        multiply_alone(p, space, panels);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        float *panel = panels + omp_get_thread_num() * PANEL;
#pragma omp for
        for (int64_t i = 0; i < (M + height - 1) / height; i++) pack_a(p, i, space);
#pragma omp for schedule(dynamic)
        for (int64_t j = 0; j < (p->b.columns + width - 1) / width; j++)
            compute_strip(p, j * width, space, panel);
    }
}

#endif
