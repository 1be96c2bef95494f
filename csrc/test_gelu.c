// Tests of vecmath.h and gelu.c: errors against double over floats of all sizes, ends of the range, arrays of any
// length, all rungs that this machine can run.

#include "gelu.c"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdlib.h>

enum { MANY = 1 << 14 };
static const double SQRT_2_PI = 2.5066282746310002;

// How far got is from want, in units of the distance between floats near `scale` (at least that of denormals).
static double ulps(float got, double want, double scale) {
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (isinf((float)want) || isinf(got)) return got == (float)want ? 0 : INFINITY;
    int exponent;
    frexp(scale, &exponent);
    return fabs(got - want) / ldexp(1, exponent < -125 ? -149 : exponent - 24);
}

static float *new_floats(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x + (n == 0));
    assert(x);
    return x;
}

static double double_of(int function, double x) {
    return function == EXP ? exp(x) : function == TANH ? tanh(x) : erf(x);
}

// Every 10,007th of all 2^32 floats, infinities and NaN among them.
static void test_functions_over_all_floats(void) {
    static const double MOST[] = {1.05, 2.6, 3.2};
    float *x = new_floats(MANY), *y = new_floats(MANY);
    for (uint64_t bits = 0; bits < 1ull << 32; bits += 10007ull * MANY) {
        for (int i = 0; i < MANY; i++) x[i] = float_of_bits((uint32_t)(bits + 10007ull * (uint64_t)i));
        for (int rung = PLAIN; rung <= gelu_rungs(); rung++)
            for (int function = EXP; function <= ERF; function++) {
                assert(gelu_function(rung, function, MANY, x, y));
                for (int i = 0; i < MANY; i++) {
                    double want = double_of(function, x[i]);
                    assert(ulps(y[i], want, want) <= MOST[function]);
                }
            }
    }
    free(x);
    free(y);
}

// In all rungs: function(x) is y, to the bit.
static void expect(int function, float x, float y) {
    for (int rung = FORMULA; rung <= gelu_rungs(); rung++) {
        float found;
        assert(gelu_function(rung, function, 1, &x, &found));
        assert(isnan(y) ? isnan(found) : bits_of_float(found) == bits_of_float(y));
    }
}

static void test_ends(void) {
    for (int function = EXP; function <= ERF; function++) {
        expect(function, NAN, NAN);
        expect(function, -NAN, NAN);
        expect(function, INFINITY, function == EXP ? INFINITY : 1);
        expect(function, -INFINITY, function == EXP ? 0 : -1);
        expect(function, 3e38f, function == EXP ? INFINITY : 1);
        expect(function, 0.0f, function == EXP ? 1 : 0.0f);
        expect(function, -0.0f, function == EXP ? 1 : -0.0f);
    }
    expect(EXP, 88.73f, INFINITY);
    expect(EXP, -104.0f, 0);
    expect(EXP, -103.9f, 0x1p-149f);  // the smallest denormal
    expect(EXP, 1e-30f, 1);
    expect(TANH, 1e-30f, 1e-30f);
    expect(TANH, 0x1p-149f, 0x1p-149f);
    expect(TANH, -20, -1);
    expect(ERF, -5, -1);
}

// --- gelu ---------------------------------------------------------------------------------------------------------

static double gelu_of(int form, double x) {
    double bent = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1 + (form == EXACT ? erf(x * sqrt(0.5)) : tanh(bent)));
}

static double slope_of(int form, double x) {
    if (form == EXACT) return 0.5 * (1 + erf(x * sqrt(0.5))) + x * exp(-0.5 * x * x) / SQRT_2_PI;
    double root = 0.7978845608028654, t = tanh(root * (x + 0.044715 * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
}

// x > 0: in ulp of the result. x < 0: of x, since 1 + erf and 1 + tanh lose digits. Slopes are of the size of 1;
// near x = 5 the formula by tanh takes the small 1 - t^2, and its error, nine times.
static void test_gelu_against_double(void) {
    Rng rng = rng_seed(1);
    float *x = new_floats(MANY), *grad_y = new_floats(MANY), *y = new_floats(MANY), *grad_x = new_floats(MANY);
    for (int round = 0; round < 12; round++) {
        float width = round < 6 ? 3 : ldexpf(1, 4 - 6 * round);  // round 11: around 1e-18
        for (int i = 0; i < MANY; i++) x[i] = width * (float)rng_normal(&rng), grad_y[i] = (float)rng_normal(&rng);
        for (int rung = FORMULA; rung <= gelu_rungs(); rung++)
            for (int form = EXACT; form <= BY_TANH; form++) {
                assert(gelu_forward(rung, form, MANY, x, y) && gelu_backward(rung, form, MANY, x, grad_y, grad_x));
                for (int i = 0; i < MANY; i++) {
                    double want = gelu_of(form, x[i]), slope = slope_of(form, x[i]) * grad_y[i];
                    assert(ulps(y[i], want, x[i] > 0 ? want : x[i]) <= 2.5);
                    assert(fabs(grad_x[i] - slope) <= (form == EXACT ? 2e-7 : 1.5e-6) * fabsf(grad_y[i]) + 1e-45);
                }
            }
    }
    free(x), free(grad_y), free(y), free(grad_x);
}

// Arrays of 0 to 70 numbers: nothing beside them is read or written (the sanitizer watches), a number's result does not
// depend on its place, and y may be x.
static void test_any_length(void) {
    Rng rng = rng_seed(2);
    for (int64_t n = 0; n <= 70; n++) {
        float *x = new_floats(n), *grad_y = new_floats(n), *y = new_floats(n), *grad_x = new_floats(n);
        for (int64_t i = 0; i < n; i++) x[i] = 3 * (float)rng_normal(&rng), grad_y[i] = (float)rng_normal(&rng);
        for (int rung = FORMULA; rung <= gelu_rungs(); rung++)
            for (int form = EXACT; form <= BY_TANH; form++) {
                assert(gelu_forward(rung, form, n, x, y) && gelu_backward(rung, form, n, x, grad_y, grad_x));
                for (int64_t i = 0; i < n; i++) {
                    float alone, grad_alone;
                    assert(gelu_forward(rung, form, 1, x + i, &alone) && alone == y[i]);
                    assert(gelu_backward(rung, form, 1, x + i, grad_y + i, &grad_alone) && grad_alone == grad_x[i]);
                }
                memcpy(grad_x, x, (size_t)n * sizeof *x);
                assert(gelu_forward(rung, form, n, grad_x, grad_x));
                assert(memcmp(grad_x, y, (size_t)n * sizeof *y) == 0);
            }
        free(x), free(grad_y), free(y), free(grad_x);
    }
}

static void test_nan_and_rungs(void) {
    float x = NAN, one = 1, y = 0;
    assert(gelu_rungs() >= PLAIN && gelu_rungs() <= AVX512);
    for (int rung = FORMULA; rung <= gelu_rungs(); rung++)
        for (int form = EXACT; form <= BY_TANH; form++) {
            assert(gelu_forward(rung, form, 1, &x, &y) && isnan(y));
            assert(gelu_backward(rung, form, 1, &x, &one, &y) && isnan(y));
        }
    for (int rung = 0; rung <= AVX512 + 1; rung++) {
        bool there = rung >= FORMULA && rung <= gelu_rungs();
        assert(gelu_forward(rung, EXACT, 1, &one, &y) == there);
        assert(gelu_backward(rung, EXACT, 1, &one, &one, &y) == there);
        assert(gelu_function(rung, EXP, 1, &one, &y) == there);
    }
}

int main(void) {
    test_functions_over_all_floats();
    test_ends();
    test_gelu_against_double();
    test_any_length();
    test_nan_and_rungs();
    return 0;
}
