// Tests of matmul.c: every rung against sums of whole numbers, which are exact, for random sizes, strides, threads.

// Small, so that small matrices have several slices, blocks, stripes and threads.
#define MATMUL_SIZES
enum { HIGH = 10, WIDE = 30, SLICE = 20, BLOCK = 24, STRIPE = 64, FEW = 2, SMALL = 900, ALONE = 500 };
#include "matmul.c"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <math.h>
#include <stdio.h>

#define GAP 1e30f  // what stands between the numbers of a matrix; nobody reads or writes it

static int64_t below(Rng *rng, int64_t n) { return (int64_t)rng_below(rng, (uint32_t)n); }

// A matrix with memory of its own: random strides, gaps, either order, either direction.
typedef struct {
    Matrix x;
    float *memory;
    int64_t n;
} Owned;

static Owned new_matrix(Rng *rng, int64_t rows, int64_t columns, int order) {
    Matrix x = {.rows = rows, .columns = columns};
    if (order == 0) {  // row after row, often without gaps
        x.column_stride = rng_below(rng, 4) ? 1 : 2;
        x.row_stride = columns * x.column_stride + (rng_below(rng, 2) ? below(rng, 5) : 0);
    } else {
        x.row_stride = rng_below(rng, 4) ? 1 : 3;
        x.column_stride = rows * x.row_stride + (rng_below(rng, 2) ? below(rng, 5) : 0);
    }
    Owned owned = {.n = 1 + rows * llabs(x.row_stride) + columns * llabs(x.column_stride)};
    owned.memory = malloc((size_t)owned.n * sizeof(float));
    assert(owned.memory);
    for (int64_t i = 0; i < owned.n; i++) owned.memory[i] = GAP;
    x.data = owned.memory;
    if (rng_below(rng, 6) == 0 && rows > 0) x.data = at(x, rows - 1, 0), x.row_stride = -x.row_stride;
    if (rng_below(rng, 6) == 0 && columns > 0) x.data = at(x, 0, columns - 1), x.column_stride = -x.column_stride;
    owned.x = x;
    return owned;
}

// Whole numbers from -3 to 3.
static void fill(Rng *rng, Matrix x) {
    for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < x.columns; j++) *at(x, i, j) = (float)rng_below(rng, 7) - 3.0f;
}

static int64_t gaps(const Owned *owned) {
    int64_t count = 0;
    for (int64_t i = 0; i < owned->n; i++) count += owned->memory[i] == GAP;
    return count;
}

static double exact(Matrix a, Matrix b, int64_t i, int64_t j) {
    double sum = 0.0;
    for (int64_t k = 0; k < a.columns; k++) sum += (double)*at(a, i, k) * (double)*at(b, k, j);
    return sum;
}

// c = before + a b, exactly.
static void expect(Matrix a, Matrix b, Matrix before, bool accumulate, Matrix c) {
    for (int64_t i = 0; i < c.rows; i++)
        for (int64_t j = 0; j < c.columns; j++)
            assert((double)*at(c, i, j) == exact(a, b, i, j) + (accumulate ? (double)*at(before, i, j) : 0.0));
}

static void copy(Matrix from, Matrix to) {
    for (int64_t i = 0; i < to.rows; i++)
        for (int64_t j = 0; j < to.columns; j++) *at(to, i, j) = *at(from, i, j);
}

// One product by all rungs.
static void test_sizes(Rng *rng, int64_t M, int64_t N, int64_t K, int orders) {
    Owned a = new_matrix(rng, M, K, orders & 1), b = new_matrix(rng, K, N, orders >> 1 & 1);
    Owned c = new_matrix(rng, M, N, orders >> 2 & 1), before = new_matrix(rng, M, N, 0);
    fill(rng, a.x), fill(rng, b.x), fill(rng, before.x);
    for (int rung = LOOPS; rung <= RUNGS; rung++) {
        if (!(matmul_rungs() >> rung & 1)) continue;
        bool accumulate = rng_below(rng, 2);
        int threads = (int)rng_below(rng, 5);  // only rung 7 cares; 0 is 1
        copy(before.x, c.x);
        int64_t untouched = gaps(&c);
        assert(matmul(rung, threads, accumulate, a.x, b.x, c.x) == MATMUL_DONE);
        expect(a.x, b.x, before.x, accumulate, c.x);
        assert(gaps(&c) == untouched);
    }
    free(a.memory), free(b.memory), free(c.memory), free(before.memory);
}

static void test_random_sizes(Rng *rng) {
    for (int trial = 0; trial < 300; trial++)
        test_sizes(rng, below(rng, 30), below(rng, 80), below(rng, 50), trial % 8);
    for (int trial = 0; trial < 40; trial++)  // several blocks, stripes and slices
        test_sizes(rng, 40 + below(rng, 120), 60 + below(rng, 120),
                   20 + below(rng, 50), trial % 8);
    const int64_t sizes[] = {0, 1, 3, 4, 5, 12, 33, 64};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int i = 0; i < SIZES * SIZES * SIZES; i++)
        test_sizes(rng, sizes[i % SIZES], sizes[i / SIZES % SIZES], sizes[i / SIZES / SIZES], (int)rng_below(rng, 8));
    for (int trial = 0; trial < 60; trial++)  // all kinds of tiles, B read where it lies
        test_sizes(rng, 1 + trial % 30, 32 * (1 + trial % 3), 1 + below(rng, 45), trial % 2);
}

// The sizes of a network's layer are not those of the tests above: errors of rounding, against double precision.
static void test_rounding(Rng *rng) {
    enum { M = 50, N = 70, K = 333 };
    Owned a = new_matrix(rng, M, K, 0), b = new_matrix(rng, K, N, 0), c = new_matrix(rng, M, N, 0);
    for (int64_t i = 0; i < a.x.rows; i++)
        for (int64_t k = 0; k < K; k++) *at(a.x, i, k) = (float)rng_normal(rng);
    for (int64_t k = 0; k < K; k++)
        for (int64_t j = 0; j < N; j++) *at(b.x, k, j) = (float)rng_normal(rng);
    for (int rung = LOOPS; rung <= RUNGS; rung++) {
        if (!(matmul_rungs() >> rung & 1)) continue;
        assert(matmul(rung, 2, false, a.x, b.x, c.x) == MATMUL_DONE);
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                double size = 0.0;
                for (int64_t k = 0; k < K; k++) size += fabs((double)*at(a.x, i, k) * (double)*at(b.x, k, j));
                assert(fabs((double)*at(c.x, i, j) - exact(a.x, b.x, i, j)) <= 1e-6 * size);
            }
    }
    free(a.memory), free(b.memory), free(c.memory);
}

// NaN and infinity in A reach their row of C and no other, in B their column; what was in C before does not matter.
static void test_not_finite(Rng *rng) {
    for (int trial = 0; trial < 60; trial++) {
        int64_t M = 1 + below(rng, 40), N = 1 + below(rng, 70), K = 1 + below(rng, 45);
        Owned a = new_matrix(rng, M, K, trial & 1), b = new_matrix(rng, K, N, trial >> 1 & 1);
        Owned c = new_matrix(rng, M, N, 0);
        fill(rng, a.x), fill(rng, b.x);
        int64_t row = below(rng, M), column = below(rng, N);
        int64_t k = below(rng, K);
        *at(a.x, row, k) = trial % 3 ? NAN : INFINITY;
        *at(b.x, k, column) = trial % 3 == 1 ? -INFINITY : NAN;
        for (int rung = LOOPS; rung <= RUNGS; rung++) {
            if (!(matmul_rungs() >> rung & 1)) continue;
            for (int64_t i = 0; i < M; i++)
                for (int64_t j = 0; j < N; j++) *at(c.x, i, j) = NAN;
            assert(matmul(rung, 3, false, a.x, b.x, c.x) == MATMUL_DONE);
            for (int64_t i = 0; i < M; i++)
                for (int64_t j = 0; j < N; j++) {
                    double right = exact(a.x, b.x, i, j), is = (double)*at(c.x, i, j);
                    assert(isnan(right) ? isnan(is) : is == right);
                    assert(i == row || j == column || isfinite(is));
                }
        }
        free(a.memory), free(b.memory), free(c.memory);
    }
}

static void test_backward(Rng *rng) {
    for (int trial = 0; trial < 60; trial++) {
        int64_t M = below(rng, 40), N = below(rng, 50), K = below(rng, 40);
        Owned a = new_matrix(rng, M, K, trial & 1), b = new_matrix(rng, K, N, trial >> 1 & 1);
        Owned dc = new_matrix(rng, M, N, 0), da = new_matrix(rng, M, K, 0), db = new_matrix(rng, K, N, 0);
        Owned before = new_matrix(rng, K, N, 0);
        fill(rng, a.x), fill(rng, b.x), fill(rng, dc.x), fill(rng, before.x);
        for (int rung = LOOPS; rung <= RUNGS; rung++) {
            if (!(matmul_rungs() >> rung & 1)) continue;
            bool accumulate = rng_below(rng, 2);
            copy(a.x, da.x), copy(before.x, db.x);
            assert(matmul_backward(rung, 2, accumulate, a.x, b.x, dc.x, da.x, db.x) == MATMUL_DONE);
            expect(dc.x, transposed(b.x), a.x, accumulate, da.x);
            expect(transposed(a.x), dc.x, before.x, accumulate, db.x);
        }
        free(a.memory), free(b.memory), free(dc.memory), free(da.memory), free(db.memory), free(before.memory);
    }
}

static void test_refusals(Rng *rng) {
    Owned a = new_matrix(rng, 3, 4, 0), b = new_matrix(rng, 4, 5, 0), c = new_matrix(rng, 3, 5, 0);
    assert(matmul(0, 1, false, a.x, b.x, c.x) == MATMUL_NO_SUCH_RUNG);
    assert(matmul(RUNGS + 1, 1, false, a.x, b.x, c.x) == MATMUL_NO_SUCH_RUNG);
    for (int rung = LOOPS; rung <= RUNGS; rung++) {
        if (!(matmul_rungs() >> rung & 1)) continue;
        assert(matmul(rung, 1, false, b.x, a.x, c.x) == MATMUL_WRONG_SHAPES);
        assert(matmul(rung, 1, false, a.x, b.x, transposed(c.x)) == MATMUL_WRONG_SHAPES);
        assert(matmul_backward(rung, 1, false, a.x, b.x, c.x, b.x, a.x) == MATMUL_WRONG_SHAPES);
    }
    for (int rung = LOOPS; rung <= RUNGS; rung++)
        assert((matmul_rungs() >> rung & 1) || matmul(rung, 1, false, a.x, b.x, c.x) == MATMUL_NO_SUCH_RUNG);
    const int always = 1 << LOOPS | 1 << ORDER | 1 << BLOCKS | 1 << PANELS | 1 << THREADS;
    assert((matmul_rungs() & always) == always && matmul_rungs() >> (RUNGS + 1) == 0 && !(matmul_rungs() & 1));
    free(a.memory), free(b.memory), free(c.memory);
}

static void test_limit(void) {
    float sink = 0.0f;
    double one = matmul_limit(1, 1000, &sink);
    assert(one >= 2.0 * 1000 * CHAINS * 4 && matmul_limit(3, 1000, &sink) == 3 * one && sink > 0.0f);
    for (int rung = PANELS; rung <= RUNGS; rung++)
        if (kernel_of(rung)) assert(limit_of(kernel_of(rung), 3000) > 11.0f);  // each of 12 goes to 1
}

static void test_pieces(void) {
    for (int64_t n = 1; n < 200; n++)
        for (int64_t most = 1; most < 50; most += 7)
            for (int64_t threads = 1; threads < 5; threads++) {
                int64_t size = piece(n, most, 4, threads), pieces = (n + size - 1) / size;
                assert(size >= 1 && size % 4 == 0 && size <= (most + 3) / 4 * 4 && pieces * size >= n);
            }
}

int main(void) {
    Rng rng = rng_seed(3);
    test_pieces();
    test_refusals(&rng);
    test_backward(&rng);
    test_not_finite(&rng);
    test_random_sizes(&rng);
    test_rounding(&rng);
    test_limit();
    return 0;
}
