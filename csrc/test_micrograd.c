// Tests of micrograd.c: gradients against finite differences on random tapes, derivatives known by heart,
// the moons.

#define main micrograd_main
#include "micrograd.c"
#undef main

#undef NDEBUG  // the assertions are the test
#include <assert.h>

// a and b are close, and neither is NaN.
static bool close_to(double a, double b, double tolerance) {
    return fabs(a - b) <= tolerance * (1 + fabs(a) + fabs(b));
}

static Tape *new_tape(Place capacity) {
    Tape *tape = tape_new(capacity);
    assert(tape);
    return tape;
}

// One operation on leaves a, b, c: its value and its derivatives by all three.
static void expect(Operation operation, const double leaves[3], double value, const double grads[3]) {
    Tape *tape = new_tape(4);
    for (int k = 0; k < 3; k++) assert(tape_leaf(tape, leaves[k]) == k);
    Place result = tape_record(tape, operation, 0, 1, 2);
    tape_backward(tape, result);
    assert(close_to(tape_value(tape, result), value, 1e-14));
    for (int k = 0; k < 3; k++) assert(close_to(tape_grad(tape, k), grads[k], 1e-14));
    tape_free(tape);
}

#define THREE(...) ((const double[]){__VA_ARGS__})

static void test_each_operation(void) {
    expect(ADD, THREE(3, -2, 7), 1, THREE(1, 1, 0));
    expect(SUB, THREE(3, -2, 7), 5, THREE(1, -1, 0));
    expect(MUL, THREE(3, -2, 7), -6, THREE(-2, 3, 0));
    expect(DIV, THREE(3, -2, 7), -1.5, THREE(-0.5, -0.75, 0));
    expect(POWER, THREE(3, 2, 7), 9, THREE(6, 0, 0));
    expect(POWER, THREE(-2, -3, 7), -0.125, THREE(-0.1875, 0, 0));
    expect(POWER, THREE(0, 0, 7), 1, THREE(0, 0, 0));
    expect(POWER, THREE(4, 0.5, 7), 2, THREE(0.25, 0, 0));
    expect(NEG, THREE(3, -2, 7), -3, THREE(-1, 0, 0));
    expect(EXP, THREE(1, -2, 7), 2.718281828459045, THREE(2.718281828459045, 0, 0));
    expect(LOG, THREE(4, -2, 7), 1.3862943611198906, THREE(0.25, 0, 0));
    expect(TANH, THREE(0.5, -2, 7), 0.46211715726000973, THREE(0.7864477329659275, 0, 0));
    expect(RELU, THREE(3, -2, 7), 3, THREE(1, 0, 0));
    expect(RELU, THREE(-3, -2, 7), 0, THREE(0, 0, 0));
    expect(RELU, THREE(0, -2, 7), 0, THREE(0, 0, 0));
    expect(GELU, THREE(1, -2, 7), 0.8411919906082768, THREE(1.0829640838457826, 0, 0));
    expect(GELU, THREE(-1, -2, 7), -0.15880800939172324, THREE(-0.08296408384578259, 0, 0));
    expect(MULADD, THREE(3, -2, 7), 1, THREE(-2, 3, 1));
}

static void test_used_twice(void) {
    Tape *tape = new_tape(10);
    Place x = tape_leaf(tape, 3.0);
    Place square = tape_record(tape, MUL, x, x, 0);      // derivative 2 x = 6
    Place twice = tape_record(tape, ADD, square, x, 0);  // plus 1
    Place ratio = tape_record(tape, DIV, x, x, 0);       // derivative 0
    Place sum = tape_record(tape, MULADD, x, x, twice);  // plus 6 again
    tape_backward(tape, twice);
    assert(tape_grad(tape, x) == 7.0);
    tape_backward(tape, twice);  // a leaf's gradient adds up over calls, that of a computed number does not
    assert(tape_grad(tape, x) == 14.0 && tape_grad(tape, square) == 1.0);
    tape->grad[x] = 0;
    tape_backward(tape, ratio);
    assert(close_to(tape_grad(tape, x), 0.0, 1e-15));
    tape->grad[x] = 0;
    tape_backward(tape, sum);
    assert(tape_grad(tape, x) == 13.0);
    tape->grad[x] = 0;
    tape_backward(tape, x);
    assert(tape_grad(tape, x) == 1.0);
    tape_free(tape);
}

// What the result does not depend on gets no gradient, and spoils none, even where its derivative is
// infinite.
static void test_bystanders(void) {
    Tape *tape = new_tape(10);
    Place x = tape_leaf(tape, 0.0), y = tape_leaf(tape, 2.0);
    Place log_x = tape_record(tape, LOG, x, 0, 0);
    Place result = tape_record(tape, MUL, y, y, 0);
    tape_record(tape, DIV, result, x, 0);
    tape_backward(tape, result);
    assert(tape_grad(tape, x) == 0 && tape_grad(tape, log_x) == 0 && tape_grad(tape, y) == 4.0);
    tape_free(tape);
}

static void test_deep_chain(void) {
    enum { DEPTH = 100000 };
    Tape *tape = new_tape(DEPTH + 2);
    Place x = tape_leaf(tape, 1.0), small = tape_leaf(tape, 1e-5), last = x;
    for (int i = 0; i < DEPTH; i++) last = tape_record(tape, i % 2 ? ADD : SUB, last, small, 0);
    assert(!tape->full && tape->length == DEPTH + 2);
    tape_backward(tape, last);
    assert(tape_grad(tape, x) == 1.0 && tape_grad(tape, small) == 0.0);
    tape_free(tape);
}

static void test_full_tape(void) {
    Tape *tape = new_tape(2);
    Place x = tape_leaf(tape, 3.0), y = tape_leaf(tape, 4.0);
    assert(!tape->full);
    tape_leaf(tape, 5.0);
    tape_record(tape, MUL, x, y, 0);
    assert(tape->full && tape->length == 2 && tape_value(tape, x) == 3.0 && tape_value(tape, y) == 4.0);
    tape_free(tape);
    tape = new_tape(0);  // still has a place 0 that a leaf's parents can point at
    tape_leaf(tape, 1.0);
    tape_free(tape);
    tape_free(NULL);
}

enum { LEAVES = 4 };

// A random operation on numbers recorded before; those that need it get a parent in their domain first.
static Place random_operation(Tape *tape, Rng *rng) {
    Operation operation = (Operation)(1 + rng_below(rng, OPERATIONS - 1));
    uint32_t n = (uint32_t)tape->length;
    Place a = (Place)n - 1;  // mostly the last number, so that chains become long
    if (rng_below(rng, 4) == 0) a = (Place)rng_below(rng, n);
    Place b = (Place)rng_below(rng, n), c = (Place)rng_below(rng, n);
    if (operation == EXP) return tape_record(tape, EXP, tape_record(tape, TANH, a, 0, 0), 0, 0);
    if (operation == DIV || operation == LOG || operation == POWER) {  // a positive number, 1 or more
        if (operation != DIV) b = a;
        Place positive = tape_record(tape, MULADD, b, b, tape_leaf(tape, 1.0));
        if (operation == LOG) return tape_record(tape, LOG, positive, 0, 0);
        if (operation == DIV) return tape_record(tape, DIV, a, positive, 0);
        return tape_record(tape, POWER, positive, tape_leaf(tape, rng_normal(rng)), 0);
    }
    return tape_record(tape, operation, a, b, c);
}

// The result as a function of one leaf.
static double result_at(Tape *tape, Place result, Place leaf, double x) {
    double before = tape_value(tape, leaf);
    tape_set(tape, leaf, x);
    tape_forward(tape, LEAVES, result + 1);
    double y = tape_value(tape, result);
    tape_set(tape, leaf, before);
    tape_forward(tape, LEAVES, result + 1);
    return y;
}

static void test_random_tapes(void) {
    Rng rng = rng_seed(5);
    int compared = 0, not_zero = 0;
    for (int trial = 0; trial < 3000; trial++) {
        Tape *tape = new_tape(100);
        for (int k = 0; k < LEAVES; k++) tape_leaf(tape, rng_normal(&rng));
        Place result = 0;
        for (int i = (int)rng_below(&rng, 20); i >= 0; i--) result = random_operation(tape, &rng);
        assert(!tape->full);
        tape_backward(tape, result);
        for (Place leaf = 0; leaf < LEAVES; leaf++) {
            double x = tape_value(tape, leaf), step = 1e-6, grad = tape_grad(tape, leaf);
            double y = tape_value(tape, result), above = result_at(tape, result, leaf, x + step);
            double below = result_at(tape, result, leaf, x - step), slope = (above - below) / (2 * step);
            assert(isfinite(grad) && tape_value(tape, result) == y);
            if (!(fabs(y) < 1e3 && fabs(grad) < 1e3)) continue;  // differences of large numbers are rough
            assert(close_to(grad, slope, 2e-5));
            compared++;
            not_zero += grad != 0;
        }
        tape_free(tape);
    }
    assert(compared > 11000 && not_zero > 4000);
}

static void test_moons(void) {
    double losses[RUNGS][STEPS];
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (int rung = 0; rung < RUNGS; rung++) {
            Moons *moons = moons_new(seed, rung + 1);
            assert(moons && !moons->tape->full);
            moons_steps(moons, STEPS - 77, losses[rung]);
            double accuracy = moons_accuracy(moons);  // in between: it must not disturb
            moons_steps(moons, 77, losses[rung] + STEPS - 77);
            assert(accuracy > 0.9 && moons_accuracy(moons) > 0.95 && !moons->tape->full);
            assert(memcmp(losses[rung], losses[0], sizeof *losses) == 0);
            moons_steps(moons, 3, NULL);
            moons_free(moons);
        }
        assert(losses[0][STEPS - 1] < 0.2 && losses[0][0] > 0.3);
    }
    moons_free(NULL);
}

int main(void) {
    test_each_operation();
    test_used_twice();
    test_bystanders();
    test_deep_chain();
    test_full_tape();
    test_random_tapes();
    test_moons();
    return 0;
}
