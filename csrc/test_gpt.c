// Tests of gpt.h: the formula's gradients by finite differences; every rung on every path, with one thread and with
// several, against the formula, at odd sizes; AdamW and clipping against double precision; what is refused.

#define _GNU_SOURCE
#include <stddef.h>
#include <stdlib.h>

// Fails the allocation with this number, counted from 0; -1: none.
static int fail_at = -1;

static void *failing_calloc(size_t n, size_t size) { return fail_at >= 0 && fail_at-- == 0 ? NULL : calloc(n, size); }
static void *failing_alloc(size_t alignment, size_t size) {
    return fail_at >= 0 && fail_at-- == 0 ? NULL : aligned_alloc(alignment, size);
}

// Small, so that small models have several slices, chunks and threads.
#define MATMUL_SIZES
enum { HIGH = 10, WIDE = 30, SLICE = 20, BLOCK = 24, STRIPE = 64, FEW = 2, SMALL = 900, ALONE = 500 };
#define GPT_SIZES
enum { CHUNK = 24, STRIP_ROWS = 5, SPAN = 64 };
#define calloc failing_calloc
#define aligned_alloc failing_alloc
#include "gpt.h"
#undef calloc
#undef aligned_alloc

#undef NDEBUG  // the assertions are the test
#include <assert.h>

typedef struct {
    GptConfig config;
    int64_t B, T;
    int ignored;  // every so many-th target is -1; 0: none
} Shape;

static const Shape SHAPES[] = {
    {{7, 3, 5, 1, 5, 1e-5f}, 1, 1, 0},      {{61, 9, 12, 2, 3, 1e-5f}, 2, 7, 3},  {{33, 5, 16, 2, 1, 1e-5f}, 3, 1, 2},
    {{97, 40, 20, 1, 2, 1e-5f}, 1, 37, 5},  {{50, 12, 48, 3, 4, 1e-3f}, 2, 12, 0}, {{24, 6, 33, 2, 3, 1e-5f}, 3, 5, 1},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static Gpt new_gpt(const Shape *s, int rung, int threads) {
    Gpt g;
    Error e;
    assert(gpt_new(&g, s->config, s->B, s->T, rung, threads, &e));
    Rng rng = rng_seed(5);
    gpt_initialize(&g, &rng);
    for (int64_t i = 0; i < g.tensor_count; i++)  // as after some training: no bias is 0, no norm 1
        for (int64_t n = 0; n < g.tensors[i].shape[0] * g.tensors[i].shape[1]; n++)
            g.tensors[i].data[n] += (float)(0.2 * rng_normal(&rng));
    return g;
}

static void fill_batch(const Shape *s, uint64_t seed, int64_t M, int32_t *inputs, int32_t *targets) {
    Rng rng = rng_seed(seed);
    for (int64_t i = 0; i < M; i++) {
        inputs[i] = (int32_t)rng_below(&rng, (uint32_t)s->config.vocab);
        targets[i] = (int32_t)rng_below(&rng, (uint32_t)s->config.vocab);
        if (s->ignored && i % s->ignored == 0 && s->ignored > 1) targets[i] = -1;
        if (s->ignored == 1) targets[i] = -1;
    }
}

// The largest difference of two arrays, beside the largest number of the second; NaN counts as far apart.
static double apart(int64_t n, const float *a, const float *b) {
    double worst = 0, largest = 1e-6;
    for (int64_t i = 0; i < n; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= worst)) worst = difference >= 0 ? difference : 1e30;
        largest = fmax(largest, fabs((double)b[i]));
    }
    return worst / largest;
}

static void expect_same(const Gpt *a, const Gpt *b, double most) {
    for (int64_t i = 0; i < a->tensor_count; i++) {
        int64_t n = a->tensors[i].shape[0] * a->tensors[i].shape[1];
        assert(apart(n, a->tensors[i].grad, b->tensors[i].grad) < most);
        assert(apart(n, a->tensors[i].data, b->tensors[i].data) < most);
    }
}

// --- the formula ---------------------------------------------------------------------------------------------------

// Moves a weight a little to both sides: the loss must change as its gradient says. float32 allows some hundredths.
static void test_finite_differences(void) {
    for (int k = 0; k < SHAPE_COUNT; k++) {
        const Shape *s = &SHAPES[k];
        Gpt g = new_gpt(s, GPT_FORMULA, 1);
        int32_t inputs[128], targets[128];
        fill_batch(s, 1, s->B * s->T, inputs, targets);
        gpt_zero_grad(&g);
        gpt_forward(&g, s->B, s->T, inputs, targets);
        gpt_backward(&g);
        Rng rng = rng_seed(2);
        for (int64_t i = 0; i < g.tensor_count; i++) {
            GptTensor *t = &g.tensors[i];
            int64_t n = t->shape[0] * t->shape[1];
            double difference = 0, slope = 0, step = 2e-3;
            float before[10000], direction[10000];
            assert(n <= 10000);
            memcpy(before, t->data, (size_t)n * sizeof *before);
            double length = 0;  // along the gradient and a little beside it, so that the slope is not nearly 0
            for (int64_t j = 0; j < n; j++) length += (double)t->grad[j] * (double)t->grad[j];
            length = sqrt(length / (double)n) + 1e-12;
            for (int64_t j = 0; j < n; j++) {
                direction[j] = (float)((double)t->grad[j] / length + 0.5 * rng_normal(&rng)) / sqrtf((float)n);
                slope += (double)t->grad[j] * (double)direction[j];
            }
            for (int side = -1; side <= 1; side += 2) {
                for (int64_t j = 0; j < n; j++) t->data[j] = before[j] + (float)(side * step) * direction[j];
                difference += side * gpt_forward(&g, s->B, s->T, inputs, targets) / (2 * step);
            }
            memcpy(t->data, before, (size_t)n * sizeof *before);
            assert(fabs(difference - slope) < 0.02 * fabs(slope) + 2e-3);
        }
        gpt_free(&g);
    }
}

// --- the rungs -----------------------------------------------------------------------------------------------------

// Two batches whose gradients are added, the second one shorter; clipping; a step; and once more from the new weights.
static void train(Gpt *g, const Shape *s, double *losses) {
    int32_t inputs[128], targets[128];
    int64_t short_T = s->T > 1 ? s->T - 1 : 1;
    for (int step = 1; step <= 2; step++) {
        gpt_zero_grad(g);
        for (int part = 0; part < 2; part++) {
            fill_batch(s, (uint64_t)(10 * step + part), s->B * s->T, inputs, targets);
            g->grad_scale = part ? 0.25f : 0.75f;
            losses[2 * step + part - 2] = gpt_forward(g, s->B, part ? short_T : s->T, inputs, targets);
            gpt_backward(g);
        }
        if (step == 2) break;  // the gradients of the second step stay to be compared
        losses[4] = gpt_clip(g, 0.5);
        gpt_adamw(g, step, 1e-2f, 0.9f, 0.95f, 1e-3f, 0.1f);
    }
}

static void test_rungs(void) {
    for (int k = 0; k < SHAPE_COUNT; k++) {
        const Shape *s = &SHAPES[k];
        Gpt formula = new_gpt(s, GPT_FORMULA, 1);
        double expected[5], losses[5];
        train(&formula, s, expected);
        for (int rung = GPT_PRODUCTS; rung <= GPT_RUNGS; rung++)
            for (int path = 0; path < gpt_paths(); path++)
                for (int threads = 1; threads <= 3; threads += 2) {
                    Gpt g = new_gpt(s, rung, threads);
                    g.path = path;
                    train(&g, s, losses);
                    for (int i = 0; i < 5; i++) assert(fabs(losses[i] - expected[i]) <= 1e-5 * fabs(expected[i]));
                    expect_same(&g, &formula, 1e-4);
                    gpt_free(&g);
                }
        gpt_free(&formula);
    }
}

// Rung 4's product on whole numbers, which are exact, in memory of which the sanitizer watches the borders.
static void test_products(void) {
    Rng rng = rng_seed(4);
    for (int trial = 0; trial < 300; trial++) {
        int64_t M = 1 + rng_below(&rng, 40), K = 1 + rng_below(&rng, 50), N = 1 + rng_below(&rng, 100);
        if (trial % 3 == 0) M = 12 * (1 + M / 12), N = 32 * (1 + N / 32), K = 16 * (1 + K / 16);
        bool turned_a = trial & 1, turned_b = trial >> 1 & 1, add = trial >> 2 & 1;
        int64_t sizes[] = {M * K, K * N, M * N, room_for_a(M, K), 3 * PANEL};
        float *memory[5];
        for (int i = 0; i < 5; i++) {
            memory[i] = aligned_alloc(64, (size_t)in_lines(sizes[i]) * sizeof(float));
            assert(memory[i]);
            for (int64_t n = 0; n < sizes[i]; n++) memory[i][n] = i < 3 ? (float)rng_below(&rng, 7) - 3 : NAN;
        }
        Matrix a = turned_a ? transposed(rows_of(memory[0], K, M, M)) : rows_of(memory[0], M, K, K);
        Matrix b = turned_b ? transposed(rows_of(memory[1], N, K, K)) : rows_of(memory[1], K, N, N);
        float *expected = malloc((size_t)(M * N) * sizeof *expected);
        assert(expected);
        for (int path = 0; path < gpt_paths(); path++) {
            GptProduct p = {kernel_of_path(path), a, b, rows_of(memory[2], M, N, N), add};
            memcpy(expected, memory[2], (size_t)(M * N) * sizeof *expected);
            multiply_loops(add, a, b, rows_of(expected, M, N, N));
            multiply_together(&p, 1 + trial % 3, memory[3], memory[4]);
            for (int64_t n = 0; n < M * N; n++) assert(memory[2][n] == expected[n]);
        }
        for (int i = 0; i < 5; i++) free(memory[i]);
        free(expected);
    }
}

static void test_logits(void) {
    for (int k = 0; k < SHAPE_COUNT; k++) {
        const Shape *s = &SHAPES[k];
        int32_t inputs[128], targets[128];
        int64_t M = s->B * s->T, V = s->config.vocab;
        fill_batch(&(Shape){s->config, s->B, s->T, 0}, 3, M, inputs, targets);
        Gpt formula = new_gpt(s, GPT_FORMULA, 1);
        double loss = gpt_forward(&formula, s->B, s->T, inputs, targets), sum = 0;
        assert(gpt_forward(&formula, s->B, s->T, inputs, NULL) == 0);
        for (int64_t i = 0; i < M; i++) {  // the loss, from the logits
            const float *x = gpt_logits(&formula) + i * V;
            double total = 0;
            for (int64_t j = 0; j < V; j++) total += exp((double)x[j] - (double)x[targets[i]]);
            sum += log(total) / (double)M;
        }
        assert(fabs(sum - loss) < 1e-5);
        for (int rung = GPT_PRODUCTS; rung <= GPT_RUNGS; rung++)
            for (int path = 0; path < gpt_paths(); path++) {
                Gpt g = new_gpt(s, rung, 2);
                g.path = path;
                gpt_forward(&g, s->B, s->T, inputs, NULL);
                assert(apart(M * V, gpt_logits(&g), gpt_logits(&formula)) < 1e-5);
                gpt_backward(&g);  // there is no loss: nothing happens
                gpt_free(&g);
            }
        gpt_free(&formula);
    }
}

// A NaN in a weight must show in the loss and, clipped or not, in the gradients.
static void test_nan(void) {
    const Shape *s = &SHAPES[1];
    int32_t inputs[128], targets[128];
    fill_batch(s, 1, s->B * s->T, inputs, targets);
    for (int rung = 1; rung <= GPT_RUNGS; rung++)
        for (int path = 0; path < gpt_paths(); path++) {
            Gpt g = new_gpt(s, rung, 1);
            g.path = path;
            gpt_tensor(&g, 1, UP_W)->data[3] = NAN;
            assert(isnan(gpt_forward(&g, s->B, s->T, inputs, targets)));
            gpt_zero_grad(&g);
            gpt_backward(&g);
            assert(isnan(gpt_clip(&g, 1)));
            gpt_free(&g);
        }
}

// --- the step ------------------------------------------------------------------------------------------------------

static void test_adamw(void) {
    const Shape *s = &SHAPES[4];
    for (int rung = 1; rung <= GPT_RUNGS; rung++)
        for (int path = 0; path < gpt_paths(); path++) {
            Gpt g = new_gpt(s, rung, path + 1);
            g.path = path;
            double *p = calloc((size_t)(3 * g.numbers), sizeof *p), *m = p + g.numbers, *v = m + g.numbers, worst = 0;
            assert(p);
            Rng rng = rng_seed(9);
            for (int64_t i = 0; i < g.numbers; i++) p[i] = g.data[i];
            for (int step = 1; step <= 5; step++) {
                gpt_zero_grad(&g);
                gpt_clip(&g, 0);  // settles them
                for (int64_t t = 0; t < g.tensor_count; t++) {
                    GptTensor *x = &g.tensors[t];
                    for (int64_t n = 0; n < x->shape[0] * x->shape[1]; n++) {
                        int64_t i = x->data + n - g.data;
                        double grad = x->grad[n] = (float)rng_normal(&rng);
                        m[i] = 0.9 * m[i] + 0.1 * grad, v[i] = 0.99 * v[i] + 0.01 * grad * grad;
                        double first = m[i] / (1 - pow(0.9, step)), second = v[i] / (1 - pow(0.99, step));
                        p[i] -= 0.01 * (x->decay ? 0.2 : 0) * p[i] + 0.01 * first / (sqrt(second) + 1e-8);
                    }
                }
                gpt_adamw(&g, step, 0.01f, 0.9f, 0.99f, 1e-8f, 0.2f);
            }
            for (int64_t i = 0; i < g.numbers; i++) worst = fmax(worst, fabs(p[i] - (double)g.data[i]));
            assert(worst < 1e-6);
            free(p), gpt_free(&g);
        }
}

static void test_clip(void) {
    for (int rung = 1; rung <= GPT_RUNGS; rung++) {
        Gpt g = new_gpt(&SHAPES[1], rung, 2);
        gpt_zero_grad(&g);
        assert(gpt_clip(&g, 1) == 0);
        double sum = 0;
        for (int64_t t = 0; t < g.tensor_count; t++)
            for (int64_t n = 0; n < g.tensors[t].shape[0] * g.tensors[t].shape[1]; n++)
                g.tensors[t].grad[n] = (float)(n % 5 - 2), sum += (double)((n % 5 - 2) * (n % 5 - 2));
        assert(fabs(gpt_clip(&g, 0) - sqrt(sum)) < 1e-6 * sqrt(sum) && g.tensors[0].grad[0] == -2);
        assert(fabs(gpt_clip(&g, 2 * sqrt(sum)) - sqrt(sum)) < 1e-6 * sqrt(sum) && g.tensors[0].grad[0] == -2);
        assert(fabs(gpt_clip(&g, 3) - sqrt(sum)) < 1e-6 * sqrt(sum));
        assert(fabs(gpt_clip(&g, 0) - 3) < 1e-4);
        gpt_free(&g);
    }
}

// --- what is refused -----------------------------------------------------------------------------------------------

static void refused(GptConfig c, int64_t B, int64_t T, int rung, int threads, const char *word) {
    Gpt g;
    Error e = {""};
    assert(!gpt_new(&g, c, B, T, rung, threads, &e) && strstr(e.text, word) && !g.tensors && !g.memory);
}

static void test_refusals(void) {
    const GptConfig good = {10, 8, 12, 2, 3, 1e-5f};
    Gpt g;
    for (int64_t value = -1; value <= 0; value++) {
        refused((GptConfig){value, 8, 12, 2, 3, 1e-5f}, 1, 1, 0, 1, "from 1 on");
        refused((GptConfig){10, value, 12, 2, 3, 1e-5f}, 1, 1, 0, 1, "from 1 on");
        refused((GptConfig){10, 8, value, 2, 3, 1e-5f}, 1, 1, 0, 1, "from 1 on");
        refused((GptConfig){10, 8, 12, value, 3, 1e-5f}, 1, 1, 0, 1, "from 1 on");
        refused((GptConfig){10, 8, 12, 2, value, 1e-5f}, 1, 1, 0, 1, "from 1 on");
        refused(good, value, 1, 0, 1, "at least one"), refused(good, 1, value, 0, 1, "at least one");
        refused(good, 1, 1, 0, (int)value, "threads");
    }
    refused((GptConfig){10, 8, 12, 2, 5, 1e-5f}, 1, 1, 0, 1, "multiple");
    refused((GptConfig){10, 8, 12, 2, 3, NAN}, 1, 1, 0, 1, "eps");
    refused((GptConfig){10, 8, 12, 2, 3, -1}, 1, 1, 0, 1, "eps");
    refused(good, 1, 9, 0, 1, "context"), refused(good, 1, 1, 0, 5000, "threads");
    refused(good, 1, 1, -1, 1, "rung"), refused(good, 1, 1, GPT_RUNGS + 1, 1, "rung");
    refused((GptConfig){1 << 29, 8, 3 << 20, 2, 3, 1e-5f}, 1, 1, 0, 1, "too large");
    for (int n = 0; n < 4; n++) {
        fail_at = n;
        refused(good, 2, 4, 0, 1, "memory");
    }
    fail_at = -1;
    assert(gpt_new(&g, good, 2, 4, 0, 1, NULL) && g.rung == GPT_RUNGS);
    int32_t ids[9] = {0}, bad[9] = {0, 10}, targets[9] = {0, -2};
    assert(isnan(gpt_forward(&g, 3, 4, ids, NULL)) && isnan(gpt_forward(&g, 1, 5, ids, NULL)));
    assert(isnan(gpt_forward(&g, 0, 4, ids, NULL)) && isnan(gpt_forward(&g, 1, 4, bad, NULL)));
    assert(isnan(gpt_forward(&g, 1, 4, ids, targets)) && isnan(gpt_forward(&g, 1, 4, ids, bad)));
    gpt_backward(&g);  // without a loss nothing happens
    assert(gpt_forward(&g, 2, 4, ids, ids) > 0);
    gpt_free(&g);
    gpt_free(&g);
}

// A product that gets no memory goes the slower way, which needs none.
static void test_no_memory_in_a_step(void) {
    const Shape *s = &SHAPES[1];
    int32_t inputs[128], targets[128];
    fill_batch(s, 1, s->B * s->T, inputs, targets);
    Gpt g = new_gpt(s, GPT_PRODUCTS, 1);
    double loss = gpt_forward(&g, s->B, s->T, inputs, targets);
    for (int n = 0; n < 8; n++) {
        fail_at = n;
        assert(fabs(gpt_forward(&g, s->B, s->T, inputs, targets) - loss) < 1e-5);
    }
    fail_at = -1;
    gpt_free(&g);
}

static void test_tensors(void) {
    Gpt g = {.config = {50257, 1024, 768, 12, 12, 1e-5f}, .tensors = calloc(148, sizeof(GptTensor))};
    assert(g.tensors);
    gpt_list_tensors(&g);  // of the smallest GPT-2, without its memory
    assert(g.parameters == 124439808 && g.tensor_count == 148);
    assert(!strcmp(g.tensors[0].name, "transformer.wte.weight") && g.tensors[0].decay);
    assert(!strcmp(gpt_tensor(&g, 11, DOWN_W)->name, "transformer.h.11.mlp.c_proj.weight"));
    assert(gpt_tensor(&g, 11, DOWN_W)->shape[0] == 3072 && gpt_tensor(&g, 11, DOWN_W)->shape[1] == 768);
    assert(!strcmp(gpt_tensor(&g, 12, LN1_B)->name, "transformer.ln_f.bias") && !gpt_tensor(&g, 12, LN1_B)->decay);
    assert(gpt_tensor(&g, 12, LN1_B)->dimensions == 1 && gpt_tensor(&g, 12, LN1_B)->shape[1] == 1);
    free(g.tensors);
}

int main(void) {
    test_finite_differences();
    test_products();
    test_rungs();
    test_logits();
    test_nan();
    test_adamw();
    test_clip();
    test_refusals();
    test_no_memory_in_a_step();
    test_tensors();
    return 0;
}
