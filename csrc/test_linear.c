// Tests of linear.h and half.h: float weights of all three kinds on all paths, against sums of whole numbers, which are
// exact; a token alone and among others, one thread and several, give the same bits.

#define _GNU_SOURCE

#include "linear.h"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdio.h>

#define GAP 1e30f  // what stands behind y; nobody writes it

static int64_t below(Rng *rng, int64_t n) { return (int64_t)rng_below(rng, (uint32_t)n); }
static bool same(float a, float b) { return bits_of_float(a) == bits_of_float(b); }

static float *floats(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x + 1);
    assert(x);
    return x;
}

static uint16_t bf16_of_whole(float x) { return (uint16_t)(bits_of_float(x) >> 16); }

// --- half.h --------------------------------------------------------------------------------------------------------

static void test_half(void) {
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t half = (uint16_t)i;
        float wide = float_of_f16(half), wide_b = float_of_bf16(half);
        bool nan = (half & 0x7C00) == 0x7C00 && (half & 0x3FF);
        assert(isnan(wide) == nan && f16_of_float(wide) == (nan ? (half & 0x8000) | 0x7E00 : half));
        assert(bits_of_float(wide_b) == i << 16);
        if ((half & 0x7FFF) >= 0x7BFF) continue;
        // halfway to the next number: the even one; a little less and a little more: the near one
        double next = (double)float_of_f16((uint16_t)(half + 1)), middle = ((double)wide + next) / 2;
        assert(f16_of_float((float)middle) == (half & 1 ? half + 1 : half));
        assert(f16_of_float(nextafterf((float)middle, wide)) == half);
        assert(f16_of_float(nextafterf((float)middle, (float)next)) == half + 1);
    }
    assert(float_of_f16(0x3C00) == 1.0f && float_of_f16(0xC500) == -5.0f && float_of_f16(1) == 0x1p-24f);
    assert(f16_of_float(65519.0f) == 0x7BFF && f16_of_float(65520.0f) == 0x7C00 && f16_of_float(-INFINITY) == 0xFC00);
    assert(f16_of_float(0x1p-26f) == 0 && f16_of_float(-0x1p-30f) == 0x8000);
}

// --- products ------------------------------------------------------------------------------------------------------

// A matrix as a checkpoint stores it, in memory of just its size.
typedef struct {
    TensorView view;
    float *values;  // what it stands for
    void *stored;
} Stored;

static Stored store(const float *values, Type type, int64_t rows, int64_t columns) {
    int64_t n = rows * columns;
    Stored s = {.values = floats(n), .stored = malloc((size_t)n * 4)};
    assert(s.stored);
    for (int64_t i = 0; i < n; i++) {
        uint16_t half = type == TYPE_F16 ? f16_of_float(values[i]) : bf16_of_whole(values[i]);
        s.values[i] = type == TYPE_F32 ? values[i] : type == TYPE_F16 ? float_of_f16(half) : float_of_bf16(half);
        if (type == TYPE_F32) ((float *)s.stored)[i] = values[i];
        else ((uint16_t *)s.stored)[i] = half;
    }
    s.view = (TensorView){.name = "w", .type = type, .dimensions = 2, .shape = {rows, columns}, .data = s.stored};
    return s;
}

static void discard(Stored *s) { free(s->values), free(s->stored); }

// y = W x on one path; to be freed.
static float *product(const Linear *matrix, LinearPath path, const float *x, int64_t n, int threads) {
    Linear w = *matrix;
    w.path = path;
    size_t bytes = linear_scratch(&w, n, threads);
    void *scratch = aligned_alloc(64, bytes ? bytes : 64);
    float *y = floats(n * w.rows + 1);
    assert(scratch);
    for (int64_t i = 0; i <= n * w.rows; i++) y[i] = GAP;
    linear(&w, x, n, y, scratch, threads);
    assert(y[n * w.rows] == GAP);
    free(scratch);
    return y;
}

static double exact(const float *w, const float *x, int64_t columns) {
    double sum = 0.0;
    for (int64_t k = 0; k < columns; k++) sum += (double)w[k] * (double)x[k];
    return sum;
}

// All kinds of weights, kept or widened, on all paths; whole numbers: exact.
static void test_sizes(Rng *rng, int64_t rows, int64_t columns, int64_t n, bool whole) {
    float *values = floats(rows * columns), *x = floats(n * columns);
    for (int64_t i = 0; i < rows * columns; i++)
        values[i] = whole ? (float)below(rng, 7) - 3.0f : (float)rng_normal(rng);
    for (int64_t i = 0; i < n * columns; i++) x[i] = whole ? (float)below(rng, 7) - 3.0f : (float)rng_normal(rng);
    const Type types[] = {TYPE_F32, TYPE_F16, TYPE_BF16};
    for (int kind = 0; kind < 3; kind++) {
        Stored s = store(values, types[kind], rows, columns);
        Linear wide, kept;
        Error e;
        assert(linear_from(&wide, &s.view, NULL, false, &e) && linear_from(&kept, &s.view, NULL, true, &e));
        assert(wide.kind == LINEAR_F32 && kept.kind == (LinearKind)kind && (kind == 0 || kept.bytes * 2 == wide.bytes));
        float *first = NULL;
        for (int path = 0; path < PATHS; path++) {
            if (!(linear_paths() >> path & 1)) continue;
            float *y = product(&wide, (LinearPath)path, x, n, 1), *z = product(&kept, (LinearPath)path, x, n, 3);
            for (int64_t t = 0; t < n; t++)
                for (int64_t r = 0; r < rows; r++) {
                    double right = exact(s.values + r * columns, x + t * columns, columns);
                    assert(fabs((double)y[t * rows + r] - right) <= (whole ? 0.0 : 2e-6 * (double)columns));
                    assert(same(y[t * rows + r], z[t * rows + r]));  // widened early or late, by one thread or three
                    if (path == PATH_AVX512) assert(same(y[t * rows + r], first[t * rows + r]));
                }
            for (int64_t t = 0; t < n; t++) {  // a token alone
                float *alone = product(&wide, (LinearPath)path, x + t * columns, 1, 2);
                for (int64_t r = 0; r < rows; r++) assert(same(alone[r], y[t * rows + r]));
                free(alone);
            }
            free(first), free(z);
            first = y;
        }
        float *row = floats(columns);
        for (int64_t r = 0; r < rows; r++) {
            linear_row(&kept, r, row);
            for (int64_t k = 0; k < columns; k++) assert(same(row[k], s.values[r * columns + k]));
        }
        free(first), free(row);
        linear_free(&wide), linear_free(&kept), linear_free(&kept);
        discard(&s);
    }
    free(values), free(x);
}

// What is not a number reaches its row or its token, and no other.
static void test_not_finite(Rng *rng) {
    enum { ROWS = 70, COLUMNS = 40, TOKENS_ = 30 };
    float *values = floats(ROWS * COLUMNS), *x = floats(TOKENS_ * COLUMNS);
    for (int trial = 0; trial < 8; trial++) {
        for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)rng_normal(rng);
        for (int i = 0; i < TOKENS_ * COLUMNS; i++) x[i] = (float)rng_normal(rng);
        int64_t row = below(rng, ROWS), token = below(rng, TOKENS_);
        values[row * COLUMNS + below(rng, COLUMNS)] = NAN;
        x[token * COLUMNS + below(rng, COLUMNS)] = trial % 2 ? NAN : INFINITY;
        Stored s = store(values, TYPE_F32, ROWS, COLUMNS);
        Linear w;
        Error e;
        assert(linear_from(&w, &s.view, NULL, trial % 2, &e));
        for (int path = 0; path < PATHS; path++) {
            if (!(linear_paths() >> path & 1)) continue;
            float *y = product(&w, (LinearPath)path, x, TOKENS_, 2);
            for (int64_t t = 0; t < TOKENS_; t++)
                for (int64_t r = 0; r < ROWS; r++) {
                    assert(isfinite(y[t * ROWS + r]) == (t != token && r != row));
                    if (r == row) assert(isnan(y[t * ROWS + r]));
                }
            free(y);
        }
        linear_free(&w);
        discard(&s);
    }
    free(values), free(x);
}

// q, k and v read one input; threads of the caller's own share one output.
static void test_halves(Rng *rng) {
    enum { ROWS = 130, OTHER = 40, COLUMNS = 64, N = 15 };
    float values[ROWS * COLUMNS], x[N * COLUMNS], y[N * ROWS];
    for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = (float)rng_normal(rng);
    for (int i = 0; i < N * COLUMNS; i++) x[i] = (float)rng_normal(rng);
    Stored s = store(values, TYPE_F32, ROWS, COLUMNS), small = store(values, TYPE_BF16, OTHER, COLUMNS);
    Linear w, other, w8, other8;
    Error e;
    assert(linear_from(&w, &s.view, NULL, false, &e) && linear_from(&other, &small.view, NULL, true, &e));
    assert(quantize_linear(&w8, &w, 8, 32) && quantize_linear(&other8, &other, 8, 64));
    assert(linear_same_input(&w, &other) && linear_same_input(&w8, &other8) && !linear_same_input(&w, &w8));
    const Linear *pairs[2][2] = {{&w, &other}, {&w8, &other8}};
    for (int i = 0; i < 4; i++) {
        const Linear *a = pairs[i / 2][i % 2], *b = pairs[i / 2][1 - i % 2];
        void *scratch = aligned_alloc(64, linear_scratch(a, N, 1));
        assert(scratch && linear_scratch(a, N, 1) == linear_scratch(b, N, 1));
        linear_input(a, x, N, scratch);
        for (int thread = 4; thread >= 0; thread--) linear_share(b, N, y, scratch, thread, 5);
        float *right = product(b, b->path, x, N, 1);
        for (int64_t j = 0; j < N * b->rows; j++) assert(same(y[j], right[j]));
        free(right), free(scratch);
    }
    linear_free(&w), linear_free(&other), linear_free(&w8), linear_free(&other8);
    discard(&s), discard(&small);
}

// Matrices of all sizes move to large pages and remain what they were.
static void test_pages(Rng *rng) {
    LinearPages pages = {0};
    for (int trial = 0; trial < 12; trial++) {
        int64_t rows = trial == 7 ? 6000 : 1 + below(rng, 300), n = 3;
        int64_t columns = trial == 7 ? 3000 : 32 * (1 + below(rng, 9));
        float *values = floats(rows * columns), *x = floats(n * columns);
        for (int64_t i = 0; i < rows * columns; i++) values[i] = (float)(i % 13) - 6.0f;
        for (int64_t i = 0; i < n * columns; i++) x[i] = (float)rng_normal(rng);
        Stored s = store(values, TYPE_F32, rows, columns);
        Linear w, q, *one = trial % 2 ? &w : &q;
        assert(linear_from(&w, &s.view, NULL, false, NULL));
        if (trial % 2 == 0) assert(quantize_linear(&q, &w, trial % 4 ? 4 : 8, 32));
        float *before = product(one, one->path, x, n, 1);
        linear_settle(&pages, one), linear_settle(&pages, one);
        assert(one->settled && (uintptr_t)one->weights % 64 == 0 && (uintptr_t)one->scales % 64 == 0);
        float *after = product(one, one->path, x, n, 1);
        for (int64_t i = 0; i < n * rows; i++) assert(same(before[i], after[i]));
        free(before), free(after), free(values), free(x), discard(&s);
        if (trial % 2 == 0) linear_free(&w);
        linear_free(one);
    }
    linear_pages_free(&pages), linear_pages_free(&pages);
}

static void refused(TensorView view, const char *why) {
    Linear w;
    Error e = {{0}};
    assert(!linear_from(&w, &view, NULL, false, &e) && strstr(e.text, why) && strstr(e.text, "w: "));
}

static void test_refusals(void) {
    float number = 1.0f;
    TensorView right = {.name = "w", .type = TYPE_F32, .dimensions = 2, .shape = {1, 1}, .data = &number}, view = right;
    Linear w;
    assert(linear_from(&w, &right, NULL, true, NULL) && ((float *)w.weights)[0] == 1.0f);
    assert(!linear_can_quantize(&w, 8, 32));
    linear_free(&w);
    view.dimensions = 1, refused(view, "two sizes");
    view = right, view.shape[0] = 0, refused(view, "two sizes");
    view = right, view.shape[1] = -5, refused(view, "two sizes");
    view = right, view.type = TYPE_I64, refused(view, "F32, F16 or BF16");
    view = right, view.type = TYPE_I8, refused(view, "no scale");
    view = right, view.shape[0] = view.shape[1] = INT64_C(1) << 40, refused(view, "memory");
    view = right, view.shape[0] = 1, view.shape[1] = INT64_MAX / 2, refused(view, "memory");
    assert(!linear_from(&w, &view, NULL, false, NULL));
}

int main(void) {
    Rng rng = rng_seed(5);
    assert(linear_paths() & 1 && linear_paths() >> linear_best_path() & 1 && linear_paths() >> PATHS == 0);
    test_half();
    test_refusals();
    test_halves(&rng);
    test_pages(&rng);
    test_not_finite(&rng);
    for (int trial = 0; trial < 60; trial++)
        test_sizes(&rng, 1 + below(&rng, 70), 1 + below(&rng, 50), 1 + below(&rng, 15), trial % 2);
    for (int64_t n = 1; n <= 27; n++) test_sizes(&rng, 33, 20, n, true);  // every size of a tile
    test_sizes(&rng, 100, 400, 14, false);
    return 0;
}
