// Backpropagation on a tape: the engine of micrograd/micrograd.py in C, training the moons of
// micrograd/train.py.
//
// In Python each number is an object that knows its parents. Here a number is a place on a tape: place i of
// the arrays holds its operation, its parents' places, its value and its gradient. A number is always
// recorded after its parents, so the tape itself is the topological order: forward is a walk up, backward a
// walk down.
//
// The ladder: 1 records the tape anew for every step, as Python builds its graph anew; 2 records it once,
// since every step has the same form, and only walks; 3 makes one operation of the commonest two, a * b + c.
// All three round in the same way and give the same losses, to the last bit.
//
//     make -C csrc micrograd
//     csrc/build/micrograd            the losses of python micrograd/train.py
//     csrc/build/micrograd --bench    steps a second
//
// Left out on purpose: arrays instead of single numbers (the next chapter), more than one thread.

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "rng.h"
#include "timing.h"

typedef int32_t Place;
// LEAF: an input or a parameter. POWER: b is the place of a plain number, which gets no gradient.
typedef enum {
    LEAF, ADD, SUB, MUL, DIV, POWER, NEG, EXP, LOG, TANH, RELU, GELU, MULADD, OPERATIONS
} Operation;

typedef struct {
    Place length, capacity;
    bool full;             // something did not fit; what was recorded since then means nothing
    uint8_t *operation;    // each array holds `capacity` items
    Place (*parents)[3];   // a, b, c; those that an operation does not have are 0
    double *value, *grad;  // grad: the derivative of the result by this number
} Tape;

#define SQRT_2_OVER_PI 0.7978845608028654  // of gelu's approximation by tanh, as in GPT-2
#define CUBE 0.044715

// Computes the number at one place from its parents.
static inline void evaluate(Tape *tape, Place i) {
    double *value = tape->value;
    const Place *parents = tape->parents[i];
    double a = value[parents[0]], b = value[parents[1]];
    switch ((Operation)tape->operation[i]) {
        case ADD: value[i] = a + b; break;
        case SUB: value[i] = a - b; break;
        case MUL: value[i] = a * b; break;
        case DIV: value[i] = a / b; break;
        case POWER: value[i] = pow(a, b); break;
        case NEG: value[i] = -a; break;
        case EXP: value[i] = exp(a); break;
        case LOG: value[i] = log(a); break;
        case TANH: value[i] = tanh(a); break;
        case RELU: value[i] = a > 0 ? a : 0.0; break;
        case GELU: value[i] = 0.5 * a * (1 + tanh(SQRT_2_OVER_PI * (a + CUBE * a * a * a))); break;
        case MULADD: value[i] = value[parents[2]] + a * b; break;
        case LEAF:
        case OPERATIONS: break;
    }
}

// Hands the gradient of one number on to its parents: the chain rule, one operation's derivative a line.
static inline void differentiate(Tape *tape, Place i) {
    const double *value = tape->value;
    const Place *parents = tape->parents[i];
    double a = value[parents[0]], b = value[parents[1]], y = value[i], g = tape->grad[i];
    double *grad_a = &tape->grad[parents[0]], *grad_b = &tape->grad[parents[1]];
    switch ((Operation)tape->operation[i]) {
        case ADD: *grad_a += g, *grad_b += g; break;
        case SUB: *grad_a += g, *grad_b -= g; break;
        case MUL: *grad_a += b * g, *grad_b += a * g; break;
        case DIV: *grad_a += 1 / b * g, *grad_b += -y / b * g; break;
        case POWER: *grad_a += (b != 0 ? b * pow(a, b - 1) : 0.0) * g; break;
        case NEG: *grad_a -= g; break;
        case EXP: *grad_a += y * g; break;
        case LOG: *grad_a += 1 / a * g; break;
        case TANH: *grad_a += (1 - y * y) * g; break;
        case RELU: *grad_a += a > 0 ? g : 0.0; break;
        case GELU: {
            double t = tanh(SQRT_2_OVER_PI * (a + CUBE * a * a * a));
            double slope = 0.5 * (1 + t) + 0.5 * a * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * CUBE * a * a);
            *grad_a += slope * g;
            break;
        }
        case MULADD: *grad_a += b * g, *grad_b += a * g, tape->grad[parents[2]] += g; break;
        case LEAF:
        case OPERATIONS: break;
    }
}

void tape_free(Tape *tape) {
    if (!tape) return;
    free(tape->operation);
    free(tape->parents);
    free(tape->value);
    free(tape->grad);
    free(tape);
}

// A tape with room for `capacity` numbers; NULL where there is not enough memory.
Tape *tape_new(Place capacity) {
    Tape *tape = calloc(1, sizeof *tape);
    if (!tape) return NULL;
    size_t n = capacity > 0 ? (size_t)capacity : 1;
    tape->capacity = (Place)n;
    tape->operation = calloc(n, sizeof *tape->operation);
    tape->parents = calloc(n, sizeof *tape->parents);
    tape->value = calloc(n, sizeof *tape->value);
    tape->grad = calloc(n, sizeof *tape->grad);
    if (tape->operation && tape->parents && tape->value && tape->grad) return tape;
    tape_free(tape);
    return NULL;
}

// Appends a number and computes it. Returns its place.
Place tape_record(Tape *tape, Operation operation, Place a, Place b, Place c) {
    if (tape->length == tape->capacity) {
        tape->full = true;
        return 0;
    }
    Place i = tape->length++;
    tape->operation[i] = (uint8_t)operation;
    tape->parents[i][0] = a, tape->parents[i][1] = b, tape->parents[i][2] = c;
    tape->grad[i] = 0.0;
    evaluate(tape, i);
    return i;
}

Place tape_leaf(Tape *tape, double value) {
    Place i = tape_record(tape, LEAF, 0, 0, 0);
    if (!tape->full) tape->value[i] = value;
    return i;
}

// Computes the places from, from + 1, …, to - 1 again, after leaves have changed.
void tape_forward(Tape *tape, Place from, Place to) {
    for (Place i = from; i < to; i++) evaluate(tape, i);
}

// Adds the derivative of the number at `result` by each leaf to that leaf's gradient; those of computed
// numbers start from 0 each time. Numbers that the result does not depend on keep 0, and are passed over.
void tape_backward(Tape *tape, Place result) {
    for (Place i = 0; i <= result; i++)
        if (tape->operation[i] != LEAF) tape->grad[i] = 0.0;
    tape->grad[result] += 1.0;
    for (Place i = result; i >= 0; i--)
        if (tape->grad[i] != 0) differentiate(tape, i);
}

double tape_value(const Tape *tape, Place i) { return tape->value[i]; }
double tape_grad(const Tape *tape, Place i) { return tape->grad[i]; }
void tape_set(Tape *tape, Place i, double value) { tape->value[i] = value; }

// --- two moons, as in micrograd/train.py ----------------------------------------------------------------
// ---------------------------------------------------------------------

enum { POINTS = 100, TEST_POINTS = 200, BATCH = 10, STEPS = 600, HIDDEN = 16, RUNGS = 3 };
enum { PARAMETERS = 3 * HIDDEN + HIDDEN + 1 };  // two weights and a bias a neuron; 16 weights and a bias
#define LEARNING_RATE 1.0

typedef struct {
    double x, y, label;
} Point;

typedef struct {
    Tape *tape;  // places 0 to PARAMETERS - 1 are the parameters
    Point points[POINTS], test_points[TEST_POINTS];
    Place inputs[BATCH];  // of each point in the batch, the place of x; y and -label follow it
    Place loss;
    int rung, step;
} Moons;

static void draw_points(Point *points, int n, Rng *rng) {
    for (int i = 0; i < n; i++) {
        double angle = 3.141592653589793 * rng_uniform(rng);
        bool upper = i % 2 == 0;
        points[i].x = upper ? cos(angle) : 1 - cos(angle);
        points[i].y = upper ? sin(angle) : 0.5 - sin(angle);
        points[i].label = upper ? 1 : -1;
        points[i].x += 0.1 * rng_normal(rng);
        points[i].y += 0.1 * rng_normal(rng);
    }
}

// bias + weight_1 input_1 + … + weight_n input_n; the weights stand at `weights`, the bias behind them.
static Place record_sum(Tape *tape, int rung, Place weights, const Place *inputs, int n) {
    Place total = weights + n;
    for (int k = 0; k < n; k++) {
        if (rung == 3) {
            total = tape_record(tape, MULADD, weights + k, inputs[k], total);
        } else {
            Place product = tape_record(tape, MUL, weights + k, inputs[k], 0);
            total = tape_record(tape, ADD, total, product, 0);
        }
    }
    return total;
}

// The network's score of the point whose x and y stand at `input` and behind it.
static Place record_score(Tape *tape, int rung, Place input) {
    Place xy[2] = {input, input + 1}, hidden[HIDDEN];
    for (int j = 0; j < HIDDEN; j++)
        hidden[j] = tape_record(tape, TANH, record_sum(tape, rung, 3 * j, xy, 2), 0, 0);
    return record_sum(tape, rung, 3 * HIDDEN, hidden, HIDDEN);
}

// Records the loss of ten points, the mean of log(exp(score * -label) + 1), behind the parameters.
static void record_loss(Moons *moons, const Point *batch) {
    Tape *tape = moons->tape;
    tape->length = PARAMETERS;
    Place total = tape_leaf(tape, 0.0), one = tape_leaf(tape, 1.0), share = tape_leaf(tape, 1.0 / BATCH);
    for (int k = 0; k < BATCH; k++) {
        Place input = moons->inputs[k] = tape_leaf(tape, batch[k].x);
        tape_leaf(tape, batch[k].y);
        Place minus_label = tape_leaf(tape, -batch[k].label);
        Place score = record_score(tape, moons->rung, input);
        Place odds = tape_record(tape, EXP, tape_record(tape, MUL, score, minus_label, 0), 0, 0);
        Place loss = tape_record(tape, LOG, tape_record(tape, ADD, odds, one, 0), 0, 0);
        total = tape_record(tape, ADD, total, loss, 0);
    }
    moons->loss = tape_record(tape, MUL, total, share, 0);
}

void moons_free(Moons *moons) {
    if (moons) tape_free(moons->tape);
    free(moons);
}

// Points and first weights from the seed, in the order of train.py. NULL where there is not enough memory.
Moons *moons_new(uint64_t seed, int rung) {
    Moons *moons = calloc(1, sizeof *moons);
    if (!moons || !(moons->tape = tape_new(2000))) {
        moons_free(moons);
        return NULL;
    }
    Rng rng = rng_seed(seed);
    draw_points(moons->points, POINTS, &rng);
    draw_points(moons->test_points, TEST_POINTS, &rng);
    for (int j = 0; j < HIDDEN + 1; j++) {
        int n = j < HIDDEN ? 2 : HIDDEN;
        for (int k = 0; k < n; k++) tape_leaf(moons->tape, (2 * rng_uniform(&rng) - 1) / sqrt(n));
        tape_leaf(moons->tape, 0.0);
    }
    moons->rung = rung;
    record_loss(moons, moons->points);
    return moons;
}

// Takes n steps of gradient descent and writes the loss of each, unless losses is NULL. Allocates nothing.
void moons_steps(Moons *moons, int n, double *losses) {
    Tape *tape = moons->tape;
    for (int s = 0; s < n; s++, moons->step++) {
        const Point *batch = moons->points + (int64_t)moons->step * BATCH % POINTS;
        if (moons->rung == 1) {
            record_loss(moons, batch);
        } else {
            for (int k = 0; k < BATCH; k++)
                memcpy(tape->value + moons->inputs[k], (double[]){batch[k].x, batch[k].y, -batch[k].label},
                       3 * sizeof(double));
            tape_forward(tape, PARAMETERS, moons->loss + 1);
        }
        memset(tape->grad, 0, PARAMETERS * sizeof *tape->grad);
        tape_backward(tape, moons->loss);
        for (int p = 0; p < PARAMETERS; p++) tape->value[p] -= LEARNING_RATE * tape->grad[p];
        if (losses) losses[s] = tape->value[moons->loss];
    }
}

// Computes only the tanh, exp and log of a step, n times: what remains if all else on the tape cost nothing.
void moons_functions(Moons *moons, int n) {
    Tape *tape = moons->tape;
    for (int s = 0; s < n; s++)
        for (Place i = PARAMETERS; i <= moons->loss; i++) {
            Operation operation = (Operation)tape->operation[i];
            if (operation == TANH || operation == EXP || operation == LOG) evaluate(tape, i);
        }
}

// The share of the test points whose score has the sign of their label. Records one score behind the loss.
double moons_accuracy(Moons *moons) {
    Tape *tape = moons->tape;
    Place begin = tape->length, input = tape_leaf(tape, 0.0);
    tape_leaf(tape, 0.0);
    Place score = record_score(tape, moons->rung, input);
    int right = 0;
    for (int i = 0; i < TEST_POINTS; i++) {
        const Point *point = &moons->test_points[i];
        memcpy(tape->value + input, (double[]){point->x, point->y}, 2 * sizeof(double));
        tape_forward(tape, begin, score + 1);
        right += (tape->value[score] > 0) == (point->label > 0);
    }
    tape->length = begin;
    return right / (double)TEST_POINTS;
}

#define ROUNDS 9
// Prints steps a second of each rung: medians of ROUNDS rounds of 600 steps, taken in turn.
static bool bench_moons(uint64_t seed) {
    const char *names[] = {"1 recorded anew every step", "2 recorded once", "3 a * b + c is one",
                           "only tanh, exp and log"};
    double times[RUNGS + 1][ROUNDS], losses[RUNGS][STEPS];
    int lengths[RUNGS + 1] = {0, 0, 0, BATCH * (HIDDEN + 2)};
    for (int round = -1; round < ROUNDS; round++)  // the first one only warms up
        for (int rung = 0; rung < RUNGS; rung++) {
            Moons *moons = moons_new(seed, rung + 1);
            if (!moons) return false;
            double start = cpu_seconds();
            moons_steps(moons, STEPS, losses[rung]);
            if (round >= 0) times[rung][round] = cpu_seconds() - start;
            lengths[rung] = moons->tape->length;
            if (rung == RUNGS - 1) {
                start = cpu_seconds();
                moons_functions(moons, STEPS);
                if (round >= 0) times[RUNGS][round] = cpu_seconds() - start;
            }
            moons_free(moons);
            if (memcmp(losses[rung], losses[0], sizeof *losses) != 0)
                fail("rung %s has other losses than rung 1", names[rung]);
        }
    printf("\n%-30s%12s%12s%14s\n", "one thread, medians of 9", "numbers", "steps/s", "ns a number");
    for (int rung = 0; rung <= RUNGS; rung++) {
        double a_step = median(times[rung], ROUNDS) / STEPS;
        printf("%-30s%12d%12s%14.2f\n", names[rung], lengths[rung], commas((uint64_t)(1 / a_step)).text,
               a_step * 1e9 / lengths[rung]);
    }
    return true;
}

int main(int argc, char **argv) {
    uint64_t seed = 0;
    bool with_bench = false;
    Flag flags[] = {{"--seed", "N", &seed, FLAG_WHOLE, 0, "of points and first weights"},
                    {"--bench", "", &with_bench, FLAG_SWITCH, 0, "times the ways to use the tape"}};
    parse_flags(argc, argv, "Learns two moons with a tape.", flags, sizeof flags / sizeof *flags);
    Moons *moons = moons_new(seed, RUNGS);
    if (!moons) fail("not enough memory");
    double losses[STEPS];
    moons_steps(moons, STEPS, losses);
    printf("moons, seed %" PRIu64 ": %d parameters\n", seed, PARAMETERS);
    for (int step = 10; step <= STEPS; step += step == 10 ? 90 : 100) {
        double sum = 0.0;
        for (int s = step - 10; s < step; s++) sum += losses[s];
        printf("step %4d  loss %.9f\n", step, sum / 10);
    }
    printf("%.1f%% of %d points that it has not seen are right\n", 100 * moons_accuracy(moons), TEST_POINTS);
    moons_free(moons);
    if (with_bench && !bench_moons(seed)) fail("not enough memory");
    if (fflush(stdout) != 0 || ferror(stdout)) fail("the output cannot be written: %s", strerror(errno));
    return 0;
}
