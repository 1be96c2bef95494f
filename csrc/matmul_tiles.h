// The innermost loops of matmul.c: for each kind of processor a tile of C that stays in registers, and a row.

// Rows of numbers in memory, each `step` behind the one before.
typedef struct {
    float *first;
    int64_t step;
} Rows;

// c[i][j] = (or +=, to accumulate) the sum over k < K of a[k][i] * b[k][j], for i < rows and one or two halves of the
// tile's columns j.
typedef void Tile(int rows, int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate);

// c (1, N) += a (1, K) b (K, N)
typedef void Row(Matrix a, Matrix b, Matrix c);

typedef struct {
    int rows, columns;  // of a tile
    Tile *tile;
    Row *add_row;
} Kernel;

// --- a row of A: every number of B is used once, so no copy of it pays ---------------------------------------------

// Along the rows of B, as rung 3 does; or, where it is the columns of B that have no gaps, by dot products. The row of
// A has no gaps. The compiler makes vector code of it.
INLINE void row_product(Matrix a, Matrix b, Matrix c) {
    if (b.column_stride == 1 || b.row_stride != 1) {
        add_four_products(a, b, c);
        return;
    }
    for (int64_t j = 0; j < c.columns; j++) {
        float sums[16] = {0}, sum = 0.0f, *x = a.data, *y = at(b, 0, j);
        int64_t k = 0;
        for (; k + 16 <= a.columns; k += 16)
            for (int i = 0; i < 16; i++) sums[i] += x[k + i] * y[k + i];
        for (int i = 0; i < 16; i++) sum += sums[i];
        for (; k < a.columns; k++) sum += x[k] * y[k];
        *at(c, 0, j) += sum;
    }
}

// --- a tile: where its sizes are constants, the compiler unrolls the loops, and sum[][] is in registers ------------

#define CASE(tile_rows, n) \
    case n: \
        if (halves == 1) tile_rows(n, 1, K, a, b, c, accumulate); \
        else tile_rows(n, 2, K, a, b, c, accumulate); \
        break;

// --- 4: plain C, 4 x 8 ---------------------------------------------------------------------------------------------

INLINE void plain_rows(const int rows, const int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    float sum[4][8] = {{0}};
    for (int64_t k = 0; k < K; k++, a.first += a.step, b.first += b.step)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < 4 * halves; j++) sum[i][j] += a.first[i] * b.first[j];
    for (int i = 0; i < rows; i++, c.first += c.step)
        for (int j = 0; j < 4 * halves; j++) c.first[j] = accumulate ? c.first[j] + sum[i][j] : sum[i][j];
}

static void tile_plain(int rows, int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    switch (rows) { CASE(plain_rows, 1) CASE(plain_rows, 2) CASE(plain_rows, 3) CASE(plain_rows, 4) }
}

static void row_plain(Matrix a, Matrix b, Matrix c) { row_product(a, b, c); }

static const Kernel PLAIN = {4, 8, tile_plain, row_plain};

#if defined(__x86_64__)
#include <immintrin.h>

// --- 5: AVX2 and FMA, 6 x 16: 12 of the 16 registers of eight numbers ----------------------------------------------

#define AVX2 __attribute__((target("avx2,fma")))
INLINE AVX2 void avx2_rows(const int rows, const int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    __m256 sum[6][2], y[2];
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < halves; h++) sum[i][h] = _mm256_setzero_ps();
    for (int64_t k = 0; k < K; k++, a.first += a.step, b.first += b.step) {
        for (int h = 0; h < halves; h++) y[h] = _mm256_loadu_ps(b.first + 8 * h);
        for (int i = 0; i < rows; i++) {
            __m256 x = _mm256_set1_ps(a.first[i]);
            for (int h = 0; h < halves; h++) sum[i][h] = _mm256_fmadd_ps(x, y[h], sum[i][h]);
        }
    }
    for (int i = 0; i < rows; i++, c.first += c.step)
        for (int h = 0; h < halves; h++) {
            if (accumulate) sum[i][h] = _mm256_add_ps(_mm256_loadu_ps(c.first + 8 * h), sum[i][h]);
            _mm256_storeu_ps(c.first + 8 * h, sum[i][h]);
        }
}

static AVX2 void tile_avx2(int rows, int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    switch (rows) {
        CASE(avx2_rows, 1) CASE(avx2_rows, 2) CASE(avx2_rows, 3)
        CASE(avx2_rows, 4) CASE(avx2_rows, 5) CASE(avx2_rows, 6)
    }
}

static AVX2 void row_avx2(Matrix a, Matrix b, Matrix c) { row_product(a, b, c); }

static const Kernel KERNEL_AVX2 = {6, 16, tile_avx2, row_avx2};

// --- 6: AVX-512, 12 x 32: 24 of the 32 registers of sixteen numbers ------------------------------------------------

#define AVX512 __attribute__((target("avx512f")))
INLINE AVX512 void avx512_rows(const int rows, const int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    __m512 sum[12][2], y[2];
    for (int i = 0; i < rows; i++)
        for (int h = 0; h < halves; h++) {
            __builtin_prefetch(c.first + i * c.step + 16 * h, 1);
            sum[i][h] = _mm512_setzero_ps();
        }
    for (int64_t k = 0; k < K; k++, a.first += a.step, b.first += b.step) {
        for (int h = 0; h < halves; h++) y[h] = _mm512_loadu_ps(b.first + 16 * h);
        for (int i = 0; i < rows; i++) {
            __m512 x = _mm512_set1_ps(a.first[i]);
            for (int h = 0; h < halves; h++) sum[i][h] = _mm512_fmadd_ps(x, y[h], sum[i][h]);
        }
    }
    for (int i = 0; i < rows; i++, c.first += c.step)
        for (int h = 0; h < halves; h++) {
            if (accumulate) sum[i][h] = _mm512_add_ps(_mm512_loadu_ps(c.first + 16 * h), sum[i][h]);
            _mm512_storeu_ps(c.first + 16 * h, sum[i][h]);
        }
}

static AVX512 void tile_avx512(int rows, int halves, int64_t K, Rows a, Rows b, Rows c, bool accumulate) {
    switch (rows) {
        CASE(avx512_rows, 1) CASE(avx512_rows, 2) CASE(avx512_rows, 3) CASE(avx512_rows, 4)
        CASE(avx512_rows, 5) CASE(avx512_rows, 6) CASE(avx512_rows, 7) CASE(avx512_rows, 8)
        CASE(avx512_rows, 9) CASE(avx512_rows, 10) CASE(avx512_rows, 11) CASE(avx512_rows, 12)
    }
}

static AVX512 void row_avx512(Matrix a, Matrix b, Matrix c) { row_product(a, b, c); }

static const Kernel KERNEL_AVX512 = {12, 32, tile_avx512, row_avx512};
#endif
