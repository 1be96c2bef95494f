// Tests of quant.c and quant.h: exact sums of whole numbers on every rung, extremes, equal bits on rungs 2 to 4, what
// rounding may cost, what is stored and read back.

#include "quant.c"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdio.h>

static int64_t below(Rng *rng, int64_t n) { return (int64_t)rng_below(rng, (uint32_t)n); }
static bool same(float a, float b) { return bits_of_float(a) == bits_of_float(b); }

// A matrix as a file stores it, in memory of just its size, and the whole numbers in it.
typedef struct {
    int bits;
    int64_t rows, columns, group;
    int *q;
    uint8_t *numbers;
    float *scales;
} File4;

static void put(File4 *f, int64_t row, int64_t column, int q) {
    f->q[row * f->columns + column] = q;
    if (f->bits == 8) {
        f->numbers[row * f->columns + column] = (uint8_t)q;
        return;
    }
    uint8_t *byte = f->numbers + row * f->columns / 2 + column / 32 * 16 + column % 16;
    int shift = column % 32 < 16 ? 0 : 4;
    *byte = (uint8_t)((*byte & (0xF0 >> shift)) | (q + 8) << shift);
}

static File4 new_file(int bits, int64_t rows, int64_t columns, int64_t group) {
    File4 f = {bits, rows, columns, group, calloc((size_t)(rows * columns), sizeof(int)),
               calloc((size_t)(rows * columns * bits / 8), 1), calloc((size_t)(rows * columns / group), sizeof(float))};
    assert(f.q && f.numbers && f.scales);
    return f;
}

static void discard(File4 *f) { free(f->q), free(f->numbers), free(f->scales); }

static Linear *opened(const File4 *f) {
    char error[512];
    Linear *w = quant_open(f->bits == 8 ? TYPE_I8 : TYPE_U8, f->rows, f->columns, f->numbers, TYPE_F32,
                           f->columns / f->group, f->scales, false, error);
    assert(w && w->group == f->group && w->kind == (f->bits == 8 ? LINEAR_I8 : LINEAR_I4));
    return w;
}

// Activations of whole numbers whose blocks all have a 127 and scales that are powers of 2: nothing is rounded.
static void test_exact(Rng *rng, int bits, int64_t rows, int64_t blocks, int64_t in_group, int64_t n) {
    int64_t columns = blocks * 32;
    File4 f = new_file(bits, rows, columns, in_group * 32);
    int most = bits == 8 ? 127 : 7, kind = (int)below(rng, 3);
    for (int64_t i = 0; i < rows * columns; i++) {  // random ones, or only the largest, or the smallest
        int q = (int)below(rng, 2 * most + 2) - most - 1;
        if (kind) q = kind == 1 ? most : -most - 1;
        put(&f, i / columns, i % columns, q);
    }
    for (int64_t i = 0; i < rows * blocks / in_group; i++) f.scales[i] = ldexpf(1.0f, (int)below(rng, 3) - 1);
    float *x = malloc((size_t)(n * columns) * sizeof *x), *y = malloc((size_t)(n * rows) * sizeof *y);
    assert(x && y);
    for (int64_t i = 0; i < n * columns; i++) {
        int q = i % 32 == 5 || kind ? 127 : (int)below(rng, 255) - 127;
        x[i] = (float)(below(rng, 4) ? q : -q);
    }
    Linear *w = opened(&f);
    for (int rung = 1; rung <= RUNGS; rung++) {
        if (!(quant_rungs() >> rung & 1)) continue;
        for (int64_t i = 0; i < n * rows; i++) y[i] = NAN;
        assert(quant_product(w, rung, 1 + (int)below(rng, 3), x, n, y));
        for (int64_t t = 0; t < n; t++)
            for (int64_t r = 0; r < rows; r++) {
                double right = 0.0;
                for (int64_t k = 0; k < columns; k++)
                    right += (double)f.q[r * columns + k] * (double)x[t * columns + k]
                             * (double)f.scales[r * (blocks / in_group) + k / f.group];
                assert((double)y[t * rows + r] == right);
            }
    }
    quant_close(w);
    free(x), free(y);
    discard(&f);
}

// Rungs 2 to 4 give the same bits; the formula the same to what float32 rounds; a token alone the same bits.
static void test_rungs(Rng *rng, int64_t rows, int64_t columns, int64_t n) {
    float *values = malloc((size_t)(rows * columns) * sizeof *values), *x = malloc((size_t)(n * columns) * sizeof *x);
    float *y[RUNGS + 1], *alone = malloc((size_t)rows * sizeof *alone);
    assert(values && x && alone);
    for (int rung = 1; rung <= RUNGS; rung++) assert((y[rung] = malloc((size_t)(n * rows) * sizeof(float))));
    for (int64_t i = 0; i < rows * columns; i++) values[i] = (float)rng_normal(rng);
    for (int64_t i = 0; i < n * columns; i++) x[i] = (float)rng_normal(rng) * (i % 50 ? 1.0f : 30.0f);
    char error[512];
    Linear *w = quant_open(TYPE_F32, rows, columns, values, 0, 0, NULL, false, error);
    assert(w);
    for (int64_t group = 32; group <= columns; group += 32) {
        if (columns % group) continue;
        Linear *q = quant_rounded(w, group % 64 ? 8 : 4, group);
        assert(q);
        for (int rung = 1; rung <= RUNGS; rung++) {
            if (!(quant_rungs() >> rung & 1)) continue;
            assert(quant_product(q, rung, rung, x, n, y[rung]));
            for (int64_t i = 0; rung > BLOCKS && i < n * rows; i++) assert(same(y[rung][i], y[BLOCKS][i]));
            for (int64_t i = 0; i < n * rows; i++) assert(fabsf(y[rung][i] - y[1][i]) <= 1e-4f * (float)columns);
            for (int64_t t = 0; t < n; t++) {
                assert(quant_product(q, rung, 1, x + t * columns, 1, alone));
                for (int64_t r = 0; r < rows; r++) assert(same(alone[r], y[rung][t * rows + r]));
            }
        }
        quant_close(q);
    }
    quant_close(w);
    for (int rung = 1; rung <= RUNGS; rung++) free(y[rung]);
    free(values), free(x), free(alone);
}

// Rounding moves a weight by half a step at most; by one where int4 has no 8, or float16 few digits for the scale.
static void test_rounding(Rng *rng) {
    enum { ROWS = 21, COLUMNS = 192 };
    float values[ROWS * COLUMNS], back[ROWS * COLUMNS], again[ROWS * COLUMNS];
    uint8_t numbers[ROWS * COLUMNS];
    uint16_t scales[ROWS * COLUMNS / 32];
    char error[512];
    for (int trial = 0; trial < 20; trial++) {
        float size = ldexpf(1.0f, (int)below(rng, 20) - 12);
        for (int i = 0; i < ROWS * COLUMNS; i++) values[i] = i / 32 % 7 ? (float)rng_normal(rng) * size : 0.0f;
        Linear *w = quant_open(TYPE_F32, ROWS, COLUMNS, values, 0, 0, NULL, true, error);
        int bits = trial % 2 ? 8 : 4;
        int64_t group = trial % 4 < 2 ? 32 : trial % 8 < 4 ? 64 : 192;
        Linear *q = quant_rounded(w, bits, group);
        assert(w && q && q->bytes < w->bytes && !quant_store(w, numbers, scales) && quant_store(q, numbers, scales));
        quant_values(q, back);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            float step = fabsf(float_of_f16(scales[i / group]));
            float error_now = fabsf(back[i] - values[i]);
            assert(error_now <= (bits == 4 || step < 6.2e-5f ? 1.01f : 0.502f) * step);
            if (values[i] == 0.0f) assert(back[i] == 0.0f);
        }
        Linear *p = quant_open(bits == 8 ? TYPE_I8 : TYPE_U8, ROWS, COLUMNS, numbers, TYPE_F16, COLUMNS / group, scales,
                               false, error);
        assert(p && p->bytes == q->bytes && memcmp(p->weights, q->weights, (size_t)(32 * COLUMNS * bits / 8)) == 0);
        quant_values(p, again);
        assert(memcmp(again, back, sizeof back) == 0);
        quant_close(w), quant_close(q), quant_close(p);
    }
}

// A weight that is not a number spoils its group's sums, and is not hidden by rounding.
static void test_weights_not_finite(void) {
    float values[2 * 64], x[64], y[2];
    char error[512];
    for (int trial = 0; trial < 4; trial++) {
        for (int i = 0; i < 128; i++) values[i] = 1.0f, x[i % 64] = 1.0f;
        values[64 + 9] = trial % 2 ? NAN : INFINITY;
        Linear *w = quant_open(TYPE_F32, 2, 64, values, 0, 0, NULL, true, error);
        Linear *q = quant_rounded(w, trial < 2 ? 8 : 4, 32);
        for (int rung = 1; rung <= RUNGS; rung++) {
            if (!(quant_rungs() >> rung & 1)) continue;
            assert(quant_product(q, rung, 1, x, 1, y) && fabsf(y[0] - 64.0f) < 0.1f && isnan(y[1]));
        }
        quant_close(w), quant_close(q);
    }
}

static void test_activations(Rng *rng) {
    enum { BLOCKS_ = 40 };
    float x[BLOCKS_ * 32], scales[BLOCKS_], first_scales[BLOCKS_];
    int8_t q[BLOCKS_ * 32], first[BLOCKS_ * 32];
    for (int i = 0; i < BLOCKS_ * 32; i++) x[i] = (float)rng_normal(rng) * ldexpf(1.0f, i / 32 * 6 - 110);
    for (int i = 0; i < 32; i++) x[i] = i ? 1e-38f : -1e-31f, x[32 + i] = 0.0f, x[64 + i] = (float)i - 15.5f;
    x[96] = NAN, x[128] = -INFINITY, x[160] = 3e38f, x[192] = INFINITY, x[193] = NAN;
    for (int rung = BLOCKS; rung <= RUNGS; rung++) {
        if (!(quant_rungs() >> rung & 1)) continue;
        assert(quant_activations(rung, x, 2, BLOCKS_ * 16, q, scales));
        for (int b = 0; b < BLOCKS_; b++) {
            float peak = 0.0f;
            for (int i = 0; i < 32; i++) peak = fmaxf(peak, fabsf(x[b * 32 + i]));
            if (b == 3 || b == 4 || b == 6) {
                assert(isnan(scales[b]));
                continue;
            }
            assert(b < 2 ? scales[b] == 0.0f : scales[b] == peak / 127.0f);
            for (int i = 0; i < 32; i++) {
                int j = b * 32 + i;
                assert(q[j] == (b < 2 ? 0.0f : rintf(x[j] * (127.0f / peak))) && q[j] >= -127);
                if (rung > BLOCKS) assert(q[j] == first[j] && same(scales[b], first_scales[b]));
            }
        }
        memcpy(first, q, sizeof q), memcpy(first_scales, scales, sizeof scales);
    }
    assert(!quant_activations(BLOCKS, x, 1, 33, q, scales) && !quant_activations(FORMULA, x, 1, 32, q, scales));
}

static void refused(int type, int64_t columns, int scale_type, int64_t groups, const char *why) {
    static uint8_t zeros[4096];
    char error[512];
    assert(!quant_open(type, 4, columns, zeros, scale_type, groups, zeros, false, error) && strstr(error, why));
}

static void test_refusals(void) {
    refused(TYPE_F32, 64, TYPE_F32, 2, "neither I8 nor U8");
    refused(TYPE_I8, 64, TYPE_BF16, 2, "neither F32 nor F16");
    refused(TYPE_I8, 64, TYPE_F32, 3, "do not fit");
    refused(TYPE_I8, 64, TYPE_F32, -1, "do not fit");
    refused(TYPE_U8, 64, TYPE_F32, 4, "multiples of 32");
    refused(TYPE_I8, 48, TYPE_F32, 1, "multiples of 32");
    refused(TYPE_I8, 64, TYPE_F32, 0, "has no scale");
    float values[2 * 96] = {0}, x[96] = {0}, y[2];
    char error[512];
    Linear *w = quant_open(TYPE_F32, 2, 96, values, 0, 0, NULL, false, error);
    assert(!quant_rounded(w, 8, 64) && !quant_rounded(w, 8, 16) && !quant_rounded(w, 5, 32) && !quant_rounded(w, 8, 0));
    Linear *q = quant_rounded(w, 8, 96);
    assert(q && !quant_rounded(q, 8, 32));
    assert(!quant_product(w, 0, 1, x, 1, y) && !quant_product(w, RUNGS + 1, 1, x, 1, y));
    assert(quant_product(w, BLOCKS, 1, x, 0, y));  // no tokens, nothing to do
    quant_close(w), quant_close(q), quant_close(NULL);
}

static void test_rate(void) {
    Sizes sizes = {2, 64, 96, 100};
    uint64_t sink = 0;
    double facts[4];
    for (int kind = LINEAR_F32; kind <= LINEAR_I4; kind++) {
        assert(quant_rate(kind, TYPE_F16, 32, sizes, BLOCKS, 2, 3, 1, 2, facts, &sink));
        assert(facts[0] > 0.0 && facts[0] < 1e9 && facts[1] < 1e9 && facts[2] > 0.0);
        assert(facts[3] == 3.0 * 2 * (4 * 64 * 64 + 3 * 64 * 96) + 64 * 100);
    }
    assert(!quant_rate(LINEAR_I8, TYPE_F16, 32, sizes, RUNGS + 1, 1, 1, 1, 1, facts, &sink));
}

int main(void) {
    Rng rng = rng_seed(11);
    assert((quant_rungs() & 7) == 6 && quant_rungs() >> (RUNGS + 1) == 0);
    test_refusals();
    test_activations(&rng);
    test_rounding(&rng);
    test_weights_not_finite();
    for (int trial = 0; trial < 60; trial++) {
        int64_t in_group = 1 + below(&rng, 3), blocks = in_group * (1 + below(&rng, 4));
        test_exact(&rng, trial % 2 ? 8 : 4, 1 + below(&rng, 40), blocks, in_group, 1 + below(&rng, 18));
    }
    for (int64_t n = 1; n <= 17; n++) test_rungs(&rng, 1 + below(&rng, 40), 192, n);  // every size of a tile
    test_rungs(&rng, 100, 768, 3);
    test_rate();
    return 0;
}
