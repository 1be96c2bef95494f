// Weights in int8 and int4, and their products with activations, for Python: the ladder of linear.h and quant.h.
//
//     1 formula    the numbers that the integers stand for, multiplied and summed in double precision
//     2 blocks     whole numbers summed exactly in blocks of 32, in plain C
//     3 AVX2       the same, eight rows at a time
//     4 AVX-512    the same with VNNI, sixteen rows at a time
//
// Rungs 2 to 4 give the same bits; float weights have rungs 2 to 4, too (3 and 4 give the same bits). quant_rate
// measures them on all matrices of a Llama, beside a mere reading of the same bytes.

#define _GNU_SOURCE  // for linear.h: large pages

#include "linear.h"

#include <time.h>

enum { FORMULA = 1, BLOCKS, WITH_AVX2, WITH_AVX512, RUNGS = WITH_AVX512 };

// The rungs that this processor can run: bit r stands for rung r.
int quant_rungs(void) { return 1 << FORMULA | linear_paths() << BLOCKS; }

// --- matrices ------------------------------------------------------------------------------------------------------

// A matrix as a checkpoint stores it (linear_from says how; groups 0: floats, no scales), in panels. To be closed. NULL
// where something is wrong with it; then `error`, 512 bytes, says what.
Linear *quant_open(int type, int64_t rows, int64_t columns, const void *numbers, int scale_type, int64_t groups,
                   const void *scales, bool as_is, char *error) {
    Error e = {{0}};
    TensorView weight = {.name = "the matrix", .type = (Type)type, .dimensions = 2, .data = numbers};
    weight.shape[0] = rows, weight.shape[1] = type == TYPE_U8 ? columns / 2 : columns;
    TensorView scale = {.type = (Type)scale_type, .dimensions = 2, .shape = {rows, groups}, .data = scales};
    Linear *w = calloc(1, sizeof *w);
    if (w && linear_from(w, &weight, groups ? &scale : NULL, as_is, &e)) return w;
    memcpy(error, w ? e.text : "not enough memory", w ? sizeof e.text : sizeof "not enough memory");
    free(w);
    return NULL;
}

void quant_close(Linear *w) {
    if (w) linear_free(w);
    free(w);
}

// A matrix of floats in int8 or int4 (bits 8 or 4), rounded to the nearest. NULL where that cannot be.
Linear *quant_rounded(const Linear *w, int bits, int64_t group) {
    Linear *q = calloc(1, sizeof *q);
    if (q && quantize_linear(q, w, bits, group)) return q;
    free(q);
    return NULL;
}

// Rows of W as floats, (rows, columns).
void quant_values(const Linear *w, float *values) {
    for (int64_t r = 0; r < w->rows; r++) linear_row(w, r, values + r * w->columns);
}

// Back to what a file stores: numbers (rows, columns) of I8 or (rows, columns / 2) of U8, scales (rows, groups).
bool quant_store(const Linear *w, uint8_t *numbers, void *scales) {
    if (!linear_is_quantized(w)) return false;
    int64_t bytes = linear_bits(w) * 4, groups = w->columns / w->group, size = w->scale_type == TYPE_F16 ? 2 : 4;
    for (int64_t r = 0; r < w->rows; r++) {
        for (int64_t i = 0; i < w->columns / QUANT_BLOCK * bytes; i++)
            *numbers++ = quant_place(w, r, i / bytes, (int)(i % bytes / 4))[i % 4] ^ (w->kind == LINEAR_I8 ? 0x80 : 0);
        for (int64_t g = 0; g < groups; g++)
            memcpy((char *)scales + (r * groups + g) * size, (char *)w->scales + quant_scale_place(w, r, g) * size,
                   (size_t)size);
    }
    return true;
}

// --- products ------------------------------------------------------------------------------------------------------

static bool on_rung(Linear *w, int rung) {
    if (rung < BLOCKS || rung > RUNGS || !(quant_rungs() >> rung & 1)) return false;
    w->path = (LinearPath)(rung - BLOCKS);
    return true;
}

// n tokens x (n, columns) rounded to int8 as a rung does it: q (n, columns), scales (n, columns / 32).
bool quant_activations(int rung, const float *x, int64_t n, int64_t columns, int8_t *q, float *scales) {
    Linear w = {.kind = LINEAR_I8, .columns = columns};
    int64_t blocks = n * (columns / QUANT_BLOCK);
    if (columns % QUANT_BLOCK || !on_rung(&w, rung)) return false;
    QuantBlock *rounded = malloc((size_t)blocks * sizeof *rounded + 1);
    if (!rounded) return false;
    quantize_tokens(&w, x, n, rounded);
    for (int64_t b = 0; b < blocks; b++) {
        memcpy(q + b * QUANT_BLOCK, rounded[b].q, QUANT_BLOCK);
        scales[b] = rounded[b].scale;
    }
    free(rounded);
    return true;
}

// 1: what the numbers stand for, in double precision; x is rounded to int8 where the weights are whole numbers.
static void product_formula(const Linear *w, const void *scratch, const float *x, int64_t n, float *y, float *row) {
    int64_t blocks = w->columns / QUANT_BLOCK;
    for (int64_t r = 0; r < w->rows; r++) {
        linear_row(w, r, row);
        for (int64_t t = 0; t < n; t++) {
            double sum = 0.0;
            for (int64_t k = 0; k < w->columns; k++) {
                const QuantBlock *block = (const QuantBlock *)scratch + t * blocks + k / QUANT_BLOCK;
                double number = x[t * w->columns + k];
                if (linear_is_quantized(w)) number = (double)block->q[k % QUANT_BLOCK] * block->scale;
                sum += (double)row[k] * number;
            }
            y[t * w->rows + r] = (float)sum;
        }
    }
}

// y (n, rows) = x (n, columns) W^T. False where this processor has no such rung, or there is no memory.
bool quant_product(const Linear *matrix, int rung, int threads, const float *x, int64_t n, float *y) {
    Linear w = *matrix;
    if (!on_rung(&w, rung == FORMULA ? BLOCKS : rung)) return false;
    float *row = malloc((size_t)w.columns * sizeof *row);
    void *scratch = aligned_alloc(64, linear_scratch(&w, n, threads) + 64);
    if (row && scratch && rung == FORMULA) {
        linear_input(&w, x, n, scratch);
        product_formula(&w, scratch, x, n, y, row);
    } else if (row && scratch) {
        linear(&w, x, n, y, scratch, threads);
    }
    bool done = row && scratch;
    free(row), free(scratch);
    return done;
}

// --- how fast ------------------------------------------------------------------------------------------------------

typedef struct {
    int64_t layers, width, hidden, words;  // of a Llama: 12, 768, 2048, 32000 are the 110M parameters of llama2.c's
} Sizes;

enum { PER_LAYER = 7 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Some matrix of these sizes: numbers with no meaning, none of them tiny or huge.
static bool some_matrix(Linear *w, LinearPages *pages, LinearKind kind, Type scale_type, int64_t rows, int64_t columns,
                        int64_t group) {
    bool whole = kind == LINEAR_I8 || kind == LINEAR_I4;
    *w = (Linear){.kind = kind, .scale_type = scale_type, .rows = rows, .columns = columns, .group = whole ? group : 0};
    if (!linear_allocate(w)) return false;
    uint32_t state = 1;
    int64_t numbers = linear_panels(w) * linear_panel(w) * columns;
    for (int64_t i = 0; i < numbers * linear_bits(w) / 32; i++) {
        state = state * 1664525u + 1013904223u;
        uint32_t pair = (state & 0x80038003u) | (kind == LINEAR_F16 ? 0x24002400u : 0x3C003C00u);  // about 0.01
        ((uint32_t *)w->weights)[i] = whole ? state : kind == LINEAR_F32 ? pair & 0xFFFF0000u : pair;
    }
    for (int64_t i = 0; whole && i < numbers / group; i++)
        if (scale_type == TYPE_F16) ((uint16_t *)w->scales)[i] = f16_of_float(0.001f);
        else ((float *)w->scales)[i] = 0.001f;
    linear_settle(pages, w);
    return true;
}

// Reads all bytes of a matrix, and does next to nothing with them.
static uint64_t read_share(const Linear *w, int thread, int threads) {
    uint64_t sums[8] = {0}, sum = 0;
    const char *parts[2] = {w->weights, w->scales};
    size_t sizes[2] = {linear_weight_bytes(w), linear_scale_bytes(w)};
    for (int part = 0; part < 2; part++) {
        size_t lines = sizes[part] / 64, t = (size_t)thread, all = (size_t)threads;
        for (size_t i = lines * t / all; i < lines * (t + 1) / all; i++) {
            const uint64_t *line = (const uint64_t *)(parts[part] + i * 64);
            for (int j = 0; j < 8; j++) sums[j] += line[j];
        }
    }
    for (int j = 0; j < 8; j++) sum += sums[j];
    return sum;
}

// One pass: every matrix of the layers with n tokens, the last one, the words', with `last` tokens. row: for rung 1.
static double pass(const Linear *all, int64_t count, const float *x, int64_t n, int64_t last, float *y, void *scratch,
                   int threads, float *row) {
    double start = now();
    for (int64_t i = 0; i < count; i++) {
        int64_t tokens = i == count - 1 ? last : n;
        linear_input(&all[i], x, tokens, scratch);
        if (row) product_formula(&all[i], scratch, x, tokens, y, row);
        else linear_output(&all[i], tokens, y, scratch, threads);
    }
    return now() - start;
}

static double reading(const Linear *all, int64_t count, int threads, uint64_t *sink) {
    double start = now();
    uint64_t sum = 0;
    for (int64_t i = 0; i < count; i++) {
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(+ : sum)
        for (int t = 0; t < threads; t++) sum += read_share(&all[i], t, threads);
    }
    *sink += sum;
    return now() - start;
}

// The seconds of one pass over all weight matrices of a Llama, tied: n tokens through the layers, `last` of them
// through the words' matrix; the shortest of `repeats`, each beside a mere reading. kind: LinearKind. facts: [0]
// seconds, [1] seconds of reading, [2] bytes of the weights, [3] multiplications. False: no memory, or no such rung.
bool quant_rate(int kind, int scale_type, int64_t group, Sizes sizes, int rung, int threads, int64_t n, int64_t last,
                int repeats, double *facts, uint64_t *sink) {
    int64_t count = sizes.layers * PER_LAYER + 1, C = sizes.width, F = sizes.hidden, widest = F > C ? F : C;
    Linear *all = calloc((size_t)count, sizeof *all);
    LinearPages pages = {0};
    bool done = all != NULL;
    facts[0] = facts[1] = 1e9, facts[2] = facts[3] = 0.0;
    for (int64_t i = 0; done && i < count; i++) {
        int64_t place = i % PER_LAYER, rows = place < 4 || place == 6 ? C : F, columns = place == 6 ? F : C;
        if (i == count - 1) rows = sizes.words, columns = C;
        done = some_matrix(&all[i], &pages, (LinearKind)kind, (Type)scale_type, rows, columns, group ? group : columns)
               && on_rung(&all[i], rung == FORMULA ? BLOCKS : rung);
        facts[2] += (double)all[i].bytes;
        facts[3] += (double)rows * (double)columns * (double)(i == count - 1 ? last : n);
    }
    float *x = malloc((size_t)(n * widest) * sizeof *x), *row = malloc((size_t)widest * sizeof *row);
    int64_t outputs = n * widest > last * sizes.words ? n * widest : last * sizes.words;
    float *y = malloc((size_t)outputs * sizeof *y);
    void *scratch = aligned_alloc(64, ((size_t)n * (size_t)widest * sizeof(float) * 2 + 63) / 64 * 64);
    done = done && x && row && y && scratch;
    for (int64_t i = 0; done && i < n * widest; i++) x[i] = (float)(i % 17) * 0.1f - 0.8f;
    for (int i = 0; done && i < repeats; i++) {
        double product = pass(all, count, x, n, last, y, scratch, threads, rung == FORMULA ? row : NULL);
        double read = reading(all, count, threads, sink);
        facts[0] = product < facts[0] ? product : facts[0];
        facts[1] = read < facts[1] ? read : facts[1];
    }
    for (int64_t i = 0; all && i < count; i++) linear_free(&all[i]);
    linear_pages_free(&pages);
    free(all), free(x), free(row), free(y), free(scratch);
    return done;
}
