// Tests of cross_entropy.c: losses and gradients against double, in all rungs that this machine can run, rows of any
// length and order, ignored and impossible targets, infinite logits.

#include "cross_entropy.c"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdlib.h>

// a and b are close, and neither is NaN.
static bool close_to(double a, double b, double tolerance) { return fabs(a - b) <= tolerance * (1 + fabs(b)); }

// Exact sizes, so that the sanitizer notices whatever is read or written beside them.
typedef struct {
    int64_t N, V, *targets;
    float *logits, *grad, *losses, *lse;
} Case;

static Case new_case(int64_t N, int64_t V) {
    size_t rows = (size_t)N, row = (size_t)V;
    Case c = {N, V, malloc(rows * sizeof(int64_t)), malloc(rows * row * 4), malloc(rows * row * 4), malloc(rows * 4),
              malloc(rows * 4)};
    assert(c.targets && c.logits && c.grad && c.losses && c.lse);
    return c;
}

static void free_case(Case c) { free(c.targets), free(c.logits), free(c.grad), free(c.losses), free(c.lse); }

static void compute(Case c, int rung, float scale) {
    assert(cross_entropy_forward(rung, c.N, c.V, c.logits, c.targets, c.losses, c.lse) == FINE);
    assert(cross_entropy_backward(rung, c.N, c.V, c.logits, c.targets, c.lse, scale, c.grad) == FINE);
}

// One row as the formula says, in double.
static void check_row(Case c, int64_t i, float scale) {
    const float *x = c.logits + i * c.V, *grad = c.grad + i * c.V;
    if (c.targets[i] == IGNORED) {
        assert(c.losses[i] == 0);
        for (int64_t j = 0; j < c.V; j++) assert(grad[j] == 0);
        return;
    }
    double max = -DBL_MAX, sum = 0;
    for (int64_t j = 0; j < c.V; j++) max = fmax(max, x[j]);
    for (int64_t j = 0; j < c.V; j++) sum += exp(x[j] - max);
    double lse = max + log(sum);
    // lse is a float near max: a large one brings an error of its own.
    assert(close_to(c.losses[i], lse - x[c.targets[i]], 1e-6 + 1.5e-7 * fabs(lse)));
    for (int64_t j = 0; j < c.V; j++)
        assert(close_to(grad[j], scale * (exp(x[j] - lse) - (j == c.targets[i])), (1e-6 + 1.5e-7 * fabs(lse)) * scale));
}

// kind 0: random order; 1: rising, a new largest with every number; 2: falling; 3: all the same; 4: far from 0.
static float logit(int kind, int64_t j, Rng *rng) {
    if (kind == 1) return 0.3f * (float)j - 40;
    if (kind == 2) return 40 - 0.3f * (float)j;
    if (kind == 3) return 7.25f;
    return (kind == 4 ? 1000.0f : 0.0f) + 4 * (float)rng_normal(rng);
}

static void test_against_double(void) {
    Rng rng = rng_seed(3);
    const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 100, 127, 128, 129, 257, 1000, 5000};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (int kind = 0; kind < 5; kind++)
            for (int rung = FORMULA; rung <= cross_entropy_rungs(); rung++) {
                Case c = new_case(6, lengths[l]);
                for (int64_t k = 0; k < c.N * c.V; k++) c.logits[k] = logit(kind, k % c.V, &rng);
                for (int64_t i = 0; i < c.N; i++) c.targets[i] = rng_below(&rng, (uint32_t)c.V);
                c.targets[4] = IGNORED;
                compute(c, rung, 0.2f);
                for (int64_t i = 0; i < c.N; i++) check_row(c, i, 0.2f);
                free_case(c);
            }
}

// What is masked has the logit -inf: no probability and no gradient, wherever in the row it stands.
static void test_infinite_logits(void) {
    for (int rung = FORMULA; rung <= cross_entropy_rungs(); rung++)
        for (int64_t V = 2; V < 150; V += 7)
            for (int64_t kept = 0; kept < V; kept += 5) {
                Case c = new_case(1, V);
                for (int64_t j = 0; j < V; j++) c.logits[j] = -INFINITY;
                c.logits[kept] = 3;
                c.targets[0] = kept;
                compute(c, rung, 1);
                assert(c.losses[0] == 0);
                for (int64_t j = 0; j < V; j++) assert(c.grad[j] == 0);
                c.targets[0] = (kept + 1) % V;  // impossible: an infinite loss
                compute(c, rung, 1);
                assert(c.losses[0] == INFINITY && c.grad[kept] == 1 && c.grad[c.targets[0]] == -1);
                c.logits[(kept + 1) % V] = NAN;
                compute(c, rung, 1);
                assert(isnan(c.losses[0]) && isnan(c.grad[kept]));
                free_case(c);
            }
}

static void test_what_is_refused(void) {
    Case c = new_case(2, 5);
    for (int k = 0; k < 10; k++) c.logits[k] = 0;
    assert(cross_entropy_rungs() >= ONLINE && cross_entropy_rungs() <= AVX512);
    for (int64_t target = -3; target <= 6; target++) {
        int result = target < -1 || target > 4 ? NO_SUCH_TARGET : FINE;
        c.targets[0] = 1, c.targets[1] = target;
        assert(cross_entropy_forward(ONLINE, 2, 5, c.logits, c.targets, c.losses, c.lse) == result);
        assert(cross_entropy_backward(ONLINE, 2, 5, c.logits, c.targets, c.lse, 1, c.grad) == result);
    }
    c.targets[1] = 0;
    for (int rung = 0; rung <= AVX512 + 1; rung++) {
        int result = rung >= FORMULA && rung <= cross_entropy_rungs() ? FINE : NO_SUCH_RUNG;
        assert(cross_entropy_forward(rung, 2, 5, c.logits, c.targets, c.losses, c.lse) == result);
        assert(cross_entropy_backward(rung, 2, 5, c.logits, c.targets, c.lse, 1, c.grad) == result);
    }
    assert(cross_entropy_forward(ONLINE, 0, 5, c.logits, c.targets, c.losses, c.lse) == FINE);
    free_case(c);
}

int main(void) {
    test_against_double();
    test_infinite_logits();
    test_what_is_refused();
    return 0;
}
