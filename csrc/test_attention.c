// Tests of attention.c: every rung on every path against the formula in double, whose gradients are checked by
// finite differences; what is allocated; huge scores; what is refused.

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

// Counts what attention.c allocates, and fails on request.
static size_t allocated;
static bool no_memory;

static void *counted_alloc(size_t alignment, size_t size) {
    allocated += size;
    return no_memory ? NULL : aligned_alloc(alignment, size);
}

#define aligned_alloc counted_alloc
#include "attention.c"
#undef aligned_alloc

#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>

enum { Q, KEYS, V, O, LSE, GRAD_O, GRAD_Q, GRAD_K, GRAD_V, ARRAYS };

typedef struct {
    AttentionSizes sizes;
    int64_t length[ARRAYS];
    float *array[ARRAYS];
    double *expected[ARRAYS];  // of O, GRAD_Q, GRAD_K, GRAD_V
} Case;

static Case new_case(AttentionSizes s, uint64_t seed, double size) {
    Case c = {.sizes = s};
    Rng rng = rng_seed(seed);
    for (int a = 0; a < ARRAYS; a++) {
        bool of_keys = a == KEYS || a == V || a == GRAD_K || a == GRAD_V;
        c.length[a] = s.B * (of_keys ? s.K * s.Tk : s.H * s.Tq) * (a == LSE ? 1 : s.D);
        c.array[a] = malloc((size_t)c.length[a] * sizeof(float));  // no byte more: the sanitizer watches the borders
        c.expected[a] = calloc((size_t)c.length[a], sizeof(double));
        assert(c.array[a] && c.expected[a]);
        for (int64_t n = 0; n < c.length[a]; n++)
            c.array[a][n] = a == V || a == GRAD_O ? (float)rng_normal(&rng) : (float)(size * rng_normal(&rng));
    }
    return c;
}

static void free_case(Case *c) {
    for (int a = 0; a < ARRAYS; a++) free(c->array[a]), free(c->expected[a]);
}

// sum(grad_o o), and o and the gradients where asked for, by the formula in double.
static double in_double(Case *c, bool keep) {
    AttentionSizes s = c->sizes;
    double result = 0, scale = 1 / sqrt((double)s.D), *p = malloc((size_t)s.Tk * 2 * sizeof *p), *grad_p = p + s.Tk;
    assert(p);
    for (int64_t row = 0; row < s.B * s.H * s.Tq; row++) {
        int64_t i = row % s.Tq, b = row / s.Tq / s.H, kv = b * s.K + row / s.Tq % s.H / (s.H / s.K);
        int64_t seen = i + 1 + s.Tk - s.Tq, at = row * s.D, keys = kv * s.Tk * s.D;
        double max = -INFINITY, total = 0, mean = 0;
        for (int64_t j = 0; j < seen; j++) {
            p[j] = 0;
            for (int64_t d = 0; d < s.D; d++)
                p[j] += (double)c->array[Q][at + d] * (double)c->array[KEYS][keys + j * s.D + d];
            p[j] *= scale;
            max = fmax(max, p[j]);
        }
        for (int64_t j = 0; j < seen; j++) total += p[j] = exp(p[j] - max);
        for (int64_t j = 0; j < seen; j++) {
            p[j] /= total, grad_p[j] = 0;
            for (int64_t d = 0; d < s.D; d++)
                grad_p[j] += (double)c->array[GRAD_O][at + d] * (double)c->array[V][keys + j * s.D + d];
            mean += p[j] * grad_p[j];
        }
        result += mean;
        for (int64_t j = 0; keep && j < seen; j++)
            for (int64_t d = 0; d < s.D; d++) {
                double grad_score = p[j] * (grad_p[j] - mean) * scale;
                c->expected[O][at + d] += p[j] * (double)c->array[V][keys + j * s.D + d];
                c->expected[GRAD_V][keys + j * s.D + d] += p[j] * (double)c->array[GRAD_O][at + d];
                c->expected[GRAD_Q][at + d] += grad_score * (double)c->array[KEYS][keys + j * s.D + d];
                c->expected[GRAD_K][keys + j * s.D + d] += grad_score * (double)c->array[Q][at + d];
            }
    }
    free(p);
    return result;
}

static void test_the_reference(void) {
    Case c = new_case((AttentionSizes){2, 4, 2, 3, 5, 6}, 1, 1);
    in_double(&c, true);
    const int inputs[] = {Q, KEYS, V}, grads[] = {GRAD_Q, GRAD_K, GRAD_V};
    for (int a = 0; a < 3; a++)
        for (int64_t n = 0; n < c.length[inputs[a]]; n++) {
            float *x = &c.array[inputs[a]][n], before = *x, above = before + 0.001f, below = before - 0.001f;
            double slope = (*x = above, in_double(&c, false));
            slope = (slope - (*x = below, in_double(&c, false))) / ((double)above - (double)below);
            *x = before;
            assert(fabs(slope - c.expected[grads[a]][n]) < 1e-5);
        }
    free_case(&c);
}

// The largest difference from what is expected, in parts of the largest number; large for NaN.
static double error_of(const Case *c, int a) {
    double worst = 0, largest = 1e-30;
    for (int64_t n = 0; n < c->length[a]; n++) {
        double difference = fabs((double)c->array[a][n] - c->expected[a][n]);
        if (!(difference <= worst)) worst = difference >= 0 ? difference : 1e30;
        largest = fmax(largest, fabs(c->expected[a][n]));
    }
    return worst / fmax(largest, 0.1);
}

static void call(Case *c, int rung, int path, int threads) {
    float **a = c->array;
    for (int n = 0; n < ARRAYS; n++)  // nothing may lean on what the results hold before
        for (int64_t i = 0; (n == O || n == LSE || n >= GRAD_Q) && i < c->length[n]; i++) a[n][i] = NAN;
    allocated = 0;
    assert(attention_forward(rung, path, threads, &c->sizes, a[Q], a[KEYS], a[V], a[O], a[LSE]) == FINE);
    assert(allocated == (size_t)attention_bytes(rung, threads, &c->sizes, false));
    allocated = 0;
    assert(attention_backward(rung, path, threads, &c->sizes, a[Q], a[KEYS], a[V], a[O], a[LSE], a[GRAD_O], a[GRAD_Q],
                              a[GRAD_K], a[GRAD_V]) == FINE);
    assert(allocated == (size_t)attention_bytes(rung, threads, &c->sizes, true));
}

// Calls `check` for each rung on each path that this machine can run.
static void on_every_path(Case *c, void check(Case *c)) {
    for (int rung = 1; rung <= RUNGS; rung++)
        for (int path = 0; path < (rung < 4 ? 1 : attention_paths()); path++)
            for (int threads = 1; threads <= (rung < 5 ? 1 : 3); threads++) {
                call(c, rung, path, threads);
                check(c);
            }
}

static void expect_close(Case *c) {
    const int results[] = {O, GRAD_Q, GRAD_K, GRAD_V};
    for (int n = 0; n < 4; n++) assert(error_of(c, results[n]) < 1e-5);
}

static void test_random_shapes(void) {
    const AttentionSizes shapes[] = {
        {1, 1, 1, 1, 1, 1},     {2, 2, 1, 1, 70, 16},   {1, 3, 3, 64, 64, 32},  {1, 2, 1, 65, 65, 64},
        {1, 4, 2, 130, 130, 4}, {1, 1, 1, 17, 150, 48}, {1, 2, 2, 63, 129, 20}, {1, 2, 1, 68, 79, 128},
        {1, 1, 1, 5, 9, 256},   {1, 6, 2, 33, 33, 65},  {3, 1, 1, 80, 81, 16},
    };
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++) {
        Case c = new_case(shapes[n], n, 1);
        in_double(&c, true);
        on_every_path(&c, expect_close);
        free_case(&c);
    }
}

static void expect_finite(Case *c) {
    const int results[] = {O, LSE, GRAD_Q, GRAD_K, GRAD_V};
    for (int n = 0; n < 5; n++)
        for (int64_t i = 0; i < c->length[results[n]]; i++) assert(isfinite(c->array[results[n]][i]));
    assert(error_of(c, O) < 0.05);  // a score of 10,000 is known to 0.001 only
}

static void test_huge_scores(void) {
    Case c = new_case((AttentionSizes){1, 2, 1, 100, 100, 16}, 7, 60);
    in_double(&c, true);
    on_every_path(&c, expect_finite);
    float largest = 0;
    for (int64_t i = 0; i < c.length[LSE]; i++) largest = fmaxf(largest, c.array[LSE][i]);
    assert(largest > 1e4);
    free_case(&c);
}

// A NaN in key 70 must show in what sees it, and nowhere else.
static void expect_nan_from_70(Case *c) {
    for (int64_t i = 0; i < c->length[O]; i++) assert(isnan(c->array[O][i]) == (i / c->sizes.D >= 70));
}

static void test_nan(void) {
    Case c = new_case((AttentionSizes){1, 1, 1, 100, 100, 16}, 8, 1);
    c.array[KEYS][70 * 16 + 3] = NAN;
    on_every_path(&c, expect_nan_from_70);
    free_case(&c);
}

static void test_memory(void) {
    for (int rung = 1; rung <= RUNGS; rung++)
        for (int backward = 0; backward < 2; backward++)
            for (int64_t D = 32; D <= 40; D += 8) {
                AttentionSizes s = {1, 2, 1, 1024, 1024, D}, twice = {1, 2, 1, 2048, 2048, D};
                double growth = (double)attention_bytes(rung, 2, &twice, backward);
                growth /= (double)attention_bytes(rung, 2, &s, backward);
                assert(rung == 1 ? growth == 4 : growth <= 2.001);
            }
}

static void test_refusals(void) {
    Case c = new_case((AttentionSizes){1, 2, 1, 4, 4, 16}, 9, 1);
    float **a = c.array;
#define FORWARD_OF(rung, path, threads) \
    attention_forward(rung, path, threads, &c.sizes, a[Q], a[KEYS], a[V], a[O], a[LSE])
    assert(FORWARD_OF(0, 0, 1) == IMPOSSIBLE && FORWARD_OF(RUNGS + 1, 0, 1) == IMPOSSIBLE);
    assert(FORWARD_OF(4, -1, 1) == IMPOSSIBLE && FORWARD_OF(4, attention_paths(), 1) == IMPOSSIBLE);
    assert(FORWARD_OF(5, 0, 0) == IMPOSSIBLE && FORWARD_OF(5, 0, 1) == FINE);
    c.sizes.K = 3;
    assert(FORWARD_OF(1, 0, 1) == IMPOSSIBLE);
    c.sizes.K = 1, c.sizes.Tk = 3;
    assert(FORWARD_OF(1, 0, 1) == IMPOSSIBLE);
    c.sizes.Tk = 4, c.sizes.Tq = 0;
    assert(FORWARD_OF(1, 0, 1) == IMPOSSIBLE);
    c.sizes.Tq = 4, no_memory = true;
    for (int rung = 1; rung <= RUNGS; rung++) assert(FORWARD_OF(rung, 0, 1) == NO_MEMORY);
    no_memory = false;
    free_case(&c);
}

static void test_peak(void) {
    for (int path = 0; path < attention_paths(); path++) assert(attention_peak(path, 10) == 240.0 * (4 << path));
}

int main(void) {
    test_the_reference();
    test_random_shapes();
    test_huge_scores();
    test_nan();
    test_memory();
    test_refusals();
    test_peak();
    return 0;
}
