// Tests of tensor.h and tensor.c: views against Python's slices and against brute force, arithmetic against loops on
// every rung, every wrong argument, memory that runs out at every place where it can, and nothing left behind.

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "rng.h"

// Allocations are counted, and one of them can be made to fail: the one after `until_failure` others.
static int64_t live, until_failure = -1;

static void *counted_calloc(size_t n, size_t size) {
    if (until_failure >= 0 && until_failure-- == 0) return NULL;
    void *memory = calloc(n, size);
    live += memory != NULL;
    return memory;
}

static void counted_free(void *memory) {
    live -= memory != NULL;
    free(memory);
}

#define malloc(size) counted_calloc(1, size)
#define calloc counted_calloc
#define free counted_free
#include "tensor.c"
#undef malloc
#undef calloc
#undef free

#undef NDEBUG  // the assertions are the test
#include <assert.h>

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})
enum { MANY = 5000 };

// 0, 1, 2, … in a new tensor.
static Tensor *counting(int64_t ndim, const int64_t *shape) {
    Tensor *t;
    assert(tensor_new(&t, ndim, shape) == TENSOR_OK);
    for (int64_t i = 0; i < t->storage->size; i++) t->storage->data[i] = (float)i;
    return t;
}

// Replaces a tensor by one made from it.
static Tensor *then(Tensor *t, int error, Tensor **made) {
    assert(error == TENSOR_OK && *made);
    tensor_free(t);
    return *made;
}

// The places of all numbers in the order of reading, by the formula. Returns how many.
static int64_t places_of(const Tensor *t, int64_t *places) {
    int64_t count = count_of(t->ndim, t->shape);
    assert(count <= MANY);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        places[i] = t->offset;
        for (int64_t axis = t->ndim - 1; axis >= 0; axis--) {
            places[i] += rest % t->shape[axis] * t->strides[axis];
            rest /= t->shape[axis];
        }
        assert(places[i] >= 0 && places[i] < t->storage->size);
    }
    return count;
}

static bool same_shape(const Tensor *t, int64_t ndim, const int64_t *shape) {
    return t->ndim == ndim && memcmp(t->shape, shape, (size_t)ndim * sizeof *shape) == 0;
}

// A tensor of random axes, cut, turned, reversed, repeated.
static Tensor *random_view(Rng *rng, bool repeat) {
    int64_t shape[AXES], ndim = 1 + rng_below(rng, 4);
    for (int64_t axis = 0; axis < ndim; axis++) shape[axis] = 1 + rng_below(rng, 4);
    Tensor *t = counting(ndim, shape), *made;
    for (int64_t n = rng_below(rng, 5); n > 0 && t->ndim > 0; n--) {
        int64_t axis = rng_below(rng, (uint32_t)t->ndim), axes[AXES];
        switch (rng_below(rng, repeat ? 6 : 5)) {
            case 0:
                for (int64_t k = 0; k < t->ndim; k++) axes[k] = k;
                axes[0] = axis, axes[axis] = 0;
                t = then(t, tensor_permute(&made, t, axes), &made);
                break;
            case 1: t = then(t, tensor_slice(&made, t, axis, NOT_GIVEN, NOT_GIVEN, -1), &made); break;
            case 2: {
                int64_t start = rng_below(rng, 2), step = 1 + rng_below(rng, 2);
                t = then(t, tensor_slice(&made, t, axis, start, NOT_GIVEN, step), &made);
                break;
            }
            case 3: t = then(t, tensor_insert_axis(&made, t, axis), &made); break;
            case 4: if (t->shape[axis]) t = then(t, tensor_select(&made, t, axis, -1), &made); break;
            case 5:
                memcpy(shape, t->shape, sizeof shape);
                if (shape[axis] == 1) shape[axis] = 1 + rng_below(rng, 3);
                t = then(t, tensor_expand(&made, t, t->ndim, shape), &made);
        }
    }
    return t;
}

static float value_at(const Tensor *t, const int64_t *index) {
    float value = NAN;
    assert(tensor_get(t, index, &value) == TENSOR_OK);
    return value;
}

// --- views ---------------------------------------------------------------------------------------------------------

// Every slice of up to five numbers, by Python's rule: begin at start, go on while stop is not reached.
static void test_slices(void) {
    for (int64_t n = 0; n <= 5; n++) {
        Tensor *t = counting(1, &n), *view;
        for (int64_t start = -8; start <= 8; start++)
            for (int64_t stop = -8; stop <= 8; stop++)
                for (int64_t step = -7; step <= 7; step++) {
                    int64_t s = start == 8 ? NOT_GIVEN : start, e = stop == 8 ? NOT_GIVEN : stop, found = 0;
                    if (step == 0) continue;
                    int64_t first = s == NOT_GIVEN ? (step > 0 ? 0 : n - 1) : s < 0 ? s + n : s;
                    int64_t end = e == NOT_GIVEN ? (step > 0 ? n : -1) : e < 0 ? (e + n < -1 ? -1 : e + n) : e;
                    if (step > 0 && first < 0) first = 0;
                    if (step < 0 && first > n - 1) first = n - 1;
                    assert(tensor_slice(&view, t, 0, s, e, step) == TENSOR_OK);
                    for (int64_t i = first; i >= 0 && i < n && (step > 0 ? i < end : i > end); i += step) {
                        float value;
                        assert(tensor_get(view, &found, &value) == TENSOR_OK && value == (float)i);
                        found++;
                    }
                    assert(view->shape[0] == found && view->storage == t->storage);
                    tensor_free(view);
                }
        const int64_t far[] = {INT64_MIN + 1, INT64_MAX, INT64_MIN + 2, INT64_MAX - 1};
        for (int k = 0; k < 64; k++) {  // nothing overflows
            assert(tensor_slice(&view, t, 0, far[k % 4], far[k / 4 % 4], far[k / 16]) == TENSOR_OK);
            assert(view->shape[0] <= (n > 0));
            tensor_free(view);
        }
        tensor_free(t);
    }
    assert(live == 0);
}

static void test_the_views_of_a_matrix(void) {
    Tensor *t = counting(2, SHAPE(3, 4)), *view;
    assert(t->strides[0] == 4 && t->strides[1] == 1 && tensor_is_contiguous(t));
    assert(tensor_permute(&view, t, SHAPE(-1, 0)) == TENSOR_OK && same_shape(view, 2, SHAPE(4, 3)));
    assert(view->strides[0] == 1 && view->strides[1] == 4 && !tensor_is_contiguous(view));
    tensor_free(view);
    assert(tensor_select(&view, t, 0, -2) == TENSOR_OK && view->offset == 4 && same_shape(view, 1, SHAPE(4)));
    tensor_free(view);
    assert(tensor_select(&view, t, -1, 2) == TENSOR_OK && view->offset == 2 && view->strides[0] == 4);
    assert(tensor_references(t) == 2 && tensor_shares_storage(t, view));
    tensor_free(t);  // the view keeps the storage
    assert(tensor_references(view) == 1 && value_at(view, SHAPE(-1)) == 10);
    tensor_free(view);
    assert(live == 0);
}

static void test_expand(void) {
    Tensor *t = counting(2, SHAPE(3, 1)), *view;
    assert(tensor_expand(&view, t, 3, SHAPE(2, 3, 4)) == TENSOR_OK);
    assert(view->strides[0] == 0 && view->strides[1] == 1 && view->strides[2] == 0);
    assert(tensor_fill(view, 1) == TENSOR_SHARED_PLACES && tensor_assign(view, t) == TENSOR_SHARED_PLACES);
    tensor_free(view);
    assert(tensor_expand(&view, t, 2, SHAPE(3, 0)) == TENSOR_OK && tensor_is_contiguous(view));
    tensor_free(view);
    tensor_free(t);
    assert(live == 0);
}

// Whether any strides show t's numbers in this shape: they would be the steps from the first number to each second one.
static bool strides_exist(const Tensor *t, int64_t ndim, const int64_t *shape) {
    int64_t places[MANY], strides[AXES], behind = 1, count = places_of(t, places);
    for (int64_t axis = ndim - 1; axis >= 0; axis--) {
        strides[axis] = shape[axis] > 1 ? places[behind] - places[0] : 0;
        behind *= shape[axis];
    }
    assert(behind == count);
    Tensor imagined = *t;
    imagined.ndim = ndim;
    memcpy(imagined.shape, shape, (size_t)ndim * sizeof *shape);
    memcpy(imagined.strides, strides, (size_t)ndim * sizeof *strides);
    for (int64_t i = 0; i < count; i++) {
        int64_t place = t->offset, rest = i;
        for (int64_t axis = ndim - 1; axis >= 0; axis--) {
            place += rest % shape[axis] * strides[axis];
            rest /= shape[axis];
        }
        if (place != places[i]) return false;
    }
    return true;
}

// A view is made exactly where strides exist; a reshape always, and reads the same numbers.
static void test_reshapes(void) {
    Rng rng = rng_seed(3);
    int views = 0, copies = 0;
    for (int trial = 0; trial < 20000; trial++) {
        Tensor *t = random_view(&rng, true), *view = NULL, *reshaped;
        int64_t shape[AXES], ndim = 0, left = count_of(t->ndim, t->shape), before[MANY], after[MANY];
        while (left > 1 && ndim < 5) {
            int64_t n = 1 + rng_below(&rng, 6);
            if (left % n == 0) shape[ndim++] = n, left /= n;
        }
        shape[ndim++] = left;
        bool can = left == 0 || strides_exist(t, ndim, shape);
        int error = tensor_view(&view, t, ndim, shape);
        assert(error == (can ? TENSOR_OK : TENSOR_NEEDS_COPY) && (view != NULL) == can);
        assert(tensor_reshape(&reshaped, t, ndim, shape) == TENSOR_OK && same_shape(reshaped, ndim, shape));
        assert((reshaped->storage == t->storage) == can);
        int64_t count = places_of(t, before);
        assert(places_of(reshaped, after) == count);
        for (int64_t i = 0; i < count; i++) assert(reshaped->storage->data[after[i]] == t->storage->data[before[i]]);
        can ? views++ : copies++;
        tensor_free(view);
        tensor_free(reshaped);
        tensor_free(t);
    }
    assert(views > 5000 && copies > 2000 && live == 0);
}

static void test_contiguous(void) {
    Rng rng = rng_seed(4);
    int already = 0;
    for (int trial = 0; trial < 5000; trial++) {
        Tensor *t = random_view(&rng, true), *same;
        int64_t places[MANY], count = places_of(t, places);
        bool in_order = true;
        for (int64_t i = 0; i < count; i++) in_order = in_order && places[i] == t->offset + i;
        assert(tensor_is_contiguous(t) == in_order);
        assert(tensor_contiguous(&same, t) == TENSOR_OK && tensor_is_contiguous(same));
        assert((same->storage == t->storage) == in_order && same_shape(same, t->ndim, t->shape));
        already += in_order;
        tensor_free(same);
        tensor_free(t);
    }
    assert(already > 500 && already < 4500 && live == 0);
}

// --- arithmetic ----------------------------------------------------------------------------------------------------

// Index of the result -> that of an operand, whose axes may be fewer, or of size 1.
static float broadcast_value(const Tensor *t, int64_t ndim, const int64_t *index) {
    int64_t own[AXES] = {0};
    for (int64_t axis = 0; axis < t->ndim; axis++)
        own[axis] = t->shape[axis] == 1 ? 0 : index[axis + ndim - t->ndim];
    return value_at(t, own);
}

static float by_hand(int operation, float x, float y) {
    switch (operation) {
        case COPY: return x;
        case NEGATIVE: return -x;
        case EXP: return expf(x);
        case LOG: return logf(x);
        case TANH: return tanhf(x);
        case SQRT: return sqrtf(x);
        case ADD: return x + y;
        case SUBTRACT: return x - y;
        case MULTIPLY: return x * y;
        case DIVIDE: return x / y;
        case POWER: return powf(x, y);
        default: return x != x || y != y ? NAN : x > y ? x : y;
    }
}

static void test_elements(void) {
    Rng rng = rng_seed(5);
    int done = 0, refused = 0;
    for (int trial = 0; trial < 20000; trial++) {
        Tensor *a = random_view(&rng, true), *b = random_view(&rng, true), *sum;
        int operation = (int)rng_below(&rng, OPERATIONS), rung = 1 + (int)rng_below(&rng, RUNGS);
        if (rng_below(&rng, 4) == 0) a->storage->data[rng_below(&rng, (uint32_t)a->storage->size)] = NAN;
        int64_t ndim, shape[AXES], index[AXES] = {0};
        bool fits = operation < ADD || broadcast_shape(a, b, &ndim, shape) == TENSOR_OK;
        int error = tensor_elements(&sum, operation, a, b, rung);
        assert(error == (fits ? TENSOR_OK : TENSOR_NOT_BROADCAST) && (sum != NULL) == fits);
        fits ? done++ : refused++;
        if (sum && count_of(sum->ndim, sum->shape) > 0) {
            do {
                float x = broadcast_value(a, sum->ndim, index);
                float y = operation < ADD ? 0 : broadcast_value(b, sum->ndim, index);
                float found = value_at(sum, index), wanted = by_hand(operation, x, y);
                assert(found == wanted || (found != found && wanted != wanted));
            } while (next_index(sum->ndim, sum->shape, index));
        }
        tensor_free(sum);
        tensor_free(a);
        tensor_free(b);
    }
    assert(done > 8000 && refused > 1000 && live == 0);
}

static void test_reductions(void) {
    Rng rng = rng_seed(6);
    for (int trial = 0; trial < 10000; trial++) {
        Tensor *t = random_view(&rng, true), *sums;
        int operation = (int)rng_below(&rng, REDUCTIONS), rung = 1 + (int)rng_below(&rng, RUNGS);
        for (int64_t i = 0; i < t->storage->size; i++) t->storage->data[i] -= 40;
        if (rng_below(&rng, 4) == 0) t->storage->data[rng_below(&rng, (uint32_t)t->storage->size)] = NAN;
        int64_t axes[AXES], count = 0, index[AXES] = {0};
        for (int64_t axis = 0; axis < t->ndim; axis++)
            if (rng_below(&rng, 2)) axes[count++] = rng_below(&rng, 2) ? axis : axis - t->ndim;
        int error = tensor_reduce(&sums, operation, t, count, axes, rung);
        if (error) {
            assert(error == TENSOR_NO_MAXIMUM && operation == MAXIMUM && count_of(t->ndim, t->shape) == 0);
            tensor_free(t);
            continue;
        }
        int64_t n = sums->storage->size;
        double totals[MANY];
        for (int64_t i = 0; i < n; i++) totals[i] = operation == SUM ? 0.0 : -INFINITY;
        if (count_of(t->ndim, t->shape) > 0) {
            do {
                int64_t to = 0;
                for (int64_t axis = 0; axis < t->ndim; axis++)
                    to += sums->shape[axis] == 1 ? 0 : index[axis] * sums->strides[axis];
                double x = value_at(t, index);
                totals[to] = operation == SUM ? totals[to] + x : x != x || x > totals[to] ? x : totals[to];
            } while (next_index(t->ndim, t->shape, index));
        }
        for (int64_t i = 0; i < n; i++) {
            float found = sums->storage->data[i];
            assert(found == (float)totals[i] || (found != found && totals[i] != totals[i]));
        }
        tensor_free(sums);
        tensor_free(t);
    }
    assert(live == 0);
}

// Long rows, so that the sums side by side are used, and the numbers behind them.
static void test_long_sums(void) {
    for (int64_t n = 0; n < 40; n++) {
        Tensor *t = counting(2, SHAPE(2, n)), *sums;
        for (int rung = 1; rung <= RUNGS; rung++) {
            assert(tensor_reduce(&sums, SUM, t, 1, SHAPE(1), rung) == TENSOR_OK);
            assert(sums->storage->data[0] == (float)(n * (n - 1) / 2) && same_shape(sums, 2, SHAPE(2, 1)));
            assert(sums->storage->data[1] == (float)(n * (n - 1) / 2 + n * n));
            tensor_free(sums);
        }
        tensor_free(t);
    }
    assert(live == 0);
}

static void test_products(void) {
    Rng rng = rng_seed(7);
    int done = 0;
    for (int trial = 0; trial < 20000; trial++) {
        Tensor *a = random_view(&rng, true), *b = random_view(&rng, true), *product;
        int error = tensor_matmul(&product, a, b);
        if (a->ndim < 2 || b->ndim < 2) assert(error == TENSOR_NOT_MATRICES);
        else if (a->shape[a->ndim - 1] != b->shape[b->ndim - 2]) assert(error == TENSOR_INNER_SIZES);
        else assert(error == TENSOR_OK || error == TENSOR_NOT_BROADCAST);
        assert((product != NULL) == (error == TENSOR_OK));
        if (product && count_of(product->ndim, product->shape) > 0) {
            int64_t index[AXES] = {0}, of_a[AXES] = {0}, of_b[AXES] = {0}, ndim = product->ndim;
            do {
                double sum = 0.0;
                for (int64_t k = 0; k < a->shape[a->ndim - 1]; k++) {
                    for (int64_t axis = 0; axis < a->ndim; axis++)
                        of_a[axis] = a->shape[axis] == 1 ? 0 : index[axis + ndim - a->ndim];
                    for (int64_t axis = 0; axis < b->ndim; axis++)
                        of_b[axis] = b->shape[axis] == 1 ? 0 : index[axis + ndim - b->ndim];
                    of_a[a->ndim - 1] = k, of_b[b->ndim - 2] = k;
                    sum += (double)value_at(a, of_a) * value_at(b, of_b);
                }
                assert(value_at(product, index) == (float)sum);
            } while (next_index(ndim, product->shape, index));
            done++;
        }
        tensor_free(product);
        tensor_free(a);
        tensor_free(b);
    }
    assert(done > 1000 && live == 0);
}

static void test_writing(void) {
    Tensor *t = counting(1, SHAPE(6)), *left, *right, *value = counting(0, NULL);
    assert(tensor_slice(&left, t, 0, 0, 4, 1) == TENSOR_OK && tensor_slice(&right, t, 0, 2, 6, 1) == TENSOR_OK);
    assert(tensor_assign(right, left) == TENSOR_OK);  // the same places on both sides
    for (int64_t i = 0; i < 6; i++) assert(t->storage->data[i] == (float)(i < 2 ? i : i - 2));
    assert(tensor_fill(left, 9) == TENSOR_OK && t->storage->data[3] == 9 && t->storage->data[4] == 2);
    assert(tensor_assign(t, value) == TENSOR_OK && t->storage->data[5] == 0);
    assert(tensor_assign(left, t) == TENSOR_NOT_BROADCAST && tensor_assign(value, t) == TENSOR_NOT_BROADCAST);
    tensor_free(left);
    tensor_free(right);
    tensor_free(value);
    tensor_free(t);
    assert(live == 0);
}

// --- borrowed memory, mistakes, no memory --------------------------------------------------------------------------

static void test_borrowed_memory(void) {
    float numbers[12];
    for (int i = 0; i < 12; i++) numbers[i] = (float)i;
    Tensor *t, *other;
    assert(tensor_borrow(&t, numbers, 12, 11, 2, SHAPE(3, 4), SHAPE(-4, -1)) == TENSOR_OK);
    assert(value_at(t, SHAPE(0, 0)) == 11 && value_at(t, SHAPE(2, 3)) == 0 && tensor_references(t) == 1);
    assert(tensor_borrow(&other, numbers + 6, 2, 0, 1, SHAPE(2), SHAPE(1)) == TENSOR_OK);
    assert(tensor_shares_storage(t, other) && t->storage != other->storage);
    assert(tensor_fill(other, 50) == TENSOR_OK && value_at(t, SHAPE(1, 1)) == 50);
    tensor_free(other);
    assert(tensor_borrow(&other, numbers, 6, 0, 1, SHAPE(6), SHAPE(1)) == TENSOR_OK);
    tensor_free(t);
    assert(tensor_borrow(&t, numbers + 6, 6, 0, 1, SHAPE(6), SHAPE(1)) == TENSOR_OK);
    assert(!tensor_shares_storage(t, other) && !tensor_shares_storage(t, NULL));
    tensor_free(t);
    tensor_free(other);
    const struct { int64_t size, offset, shape[2], strides[2]; int error; } cases[] = {
        {12, 0, {3, 4}, {4, 1}, TENSOR_OK}, {12, 1, {3, 4}, {4, 1}, TENSOR_OUTSIDE},
        {11, 0, {3, 4}, {4, 1}, TENSOR_OUTSIDE}, {12, 7, {3, 4}, {-4, 1}, TENSOR_OUTSIDE},
        {12, -1, {1, 1}, {1, 1}, TENSOR_OUTSIDE}, {12, 12, {1, 1}, {1, 1}, TENSOR_OUTSIDE},
        {12, 0, {3, 4}, {INT64_MAX, 1}, TENSOR_OUTSIDE}, {12, 0, {2, 2}, {INT64_MAX, INT64_MAX}, TENSOR_OUTSIDE},
        {12, 0, {3, 4}, {INT64_MIN, 1}, TENSOR_OUTSIDE}, {0, 0, {3, 0}, {4, 1}, TENSOR_OK},
        {-1, 0, {3, 0}, {4, 1}, TENSOR_OUTSIDE}, {12, 0, {1, 4}, {INT64_MIN, 1}, TENSOR_OK},
        {12, 0, {-3, 4}, {4, 1}, TENSOR_BAD_SIZE},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int error = tensor_borrow(&t, numbers, cases[k].size, cases[k].offset, 2, cases[k].shape, cases[k].strides);
        assert(error == cases[k].error && (t != NULL) == (error == TENSOR_OK));
        if (t) {
            assert(tensor_reduce(&other, SUM, t, 0, NULL, 3) == TENSOR_OK);
            tensor_free(other);
        }
        tensor_free(t);
    }
    assert(live == 0);
}

// The function fails in this way and leaves no tensor.
#define FAILS(wanted, ...) \
    do { \
        Tensor *none = t; \
        Tensor **r = &none; \
        assert((__VA_ARGS__) == (wanted) && none == NULL); \
    } while (0)

static void test_mistakes(void) {
    Tensor *t = counting(2, SHAPE(3, 4)), *empty = counting(1, SHAPE(0));
    const int64_t nine[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, huge = (int64_t)1 << 40;
    FAILS(TENSOR_TOO_MANY_AXES, tensor_new(r, 9, nine));
    FAILS(TENSOR_TOO_MANY_AXES, tensor_new(r, -1, nine));
    FAILS(TENSOR_BAD_SIZE, tensor_new(r, 1, SHAPE(-1)));
    FAILS(TENSOR_BAD_SIZE, tensor_new(r, 2, SHAPE(huge, huge)));
    FAILS(TENSOR_BAD_SIZE, tensor_new(r, 3, SHAPE(huge, huge, 0)));
    FAILS(TENSOR_NULL, tensor_new(r, 1, NULL));
    FAILS(TENSOR_NULL, tensor_borrow(r, NULL, 1, 0, 0, NULL, NULL));
    FAILS(TENSOR_NULL, tensor_permute(r, NULL, nine));
    FAILS(TENSOR_NULL, tensor_permute(r, t, NULL));
    FAILS(TENSOR_BAD_AXIS, tensor_permute(r, t, nine));
    FAILS(TENSOR_BAD_AXIS, tensor_permute(r, t, SHAPE(0, 2)));
    FAILS(TENSOR_BAD_AXIS, tensor_permute(r, t, SHAPE(0, -3)));
    FAILS(TENSOR_NULL, tensor_slice(r, NULL, 0, 0, 1, 1));
    FAILS(TENSOR_BAD_AXIS, tensor_slice(r, t, 2, 0, 1, 1));
    FAILS(TENSOR_BAD_AXIS, tensor_slice(r, t, INT64_MIN, 0, 1, 1));
    FAILS(TENSOR_BAD_STEP, tensor_slice(r, t, 0, 0, 1, 0));
    FAILS(TENSOR_NULL, tensor_select(r, NULL, 0, 0));
    FAILS(TENSOR_BAD_AXIS, tensor_select(r, t, -3, 0));
    FAILS(TENSOR_BAD_INDEX, tensor_select(r, t, 0, 3));
    FAILS(TENSOR_BAD_INDEX, tensor_select(r, t, 0, INT64_MIN));
    FAILS(TENSOR_BAD_INDEX, tensor_select(r, empty, 0, 0));
    FAILS(TENSOR_NULL, tensor_insert_axis(r, NULL, 0));
    FAILS(TENSOR_BAD_AXIS, tensor_insert_axis(r, t, 3));
    FAILS(TENSOR_NULL, tensor_expand(r, NULL, 1, nine));
    FAILS(TENSOR_NULL, tensor_expand(r, t, 2, NULL));
    FAILS(TENSOR_NOT_BROADCAST, tensor_expand(r, t, 2, SHAPE(3, 8)));
    FAILS(TENSOR_NOT_BROADCAST, tensor_expand(r, t, 1, SHAPE(4)));
    FAILS(TENSOR_BAD_SIZE, tensor_expand(r, t, 4, SHAPE(huge, huge, 3, 4)));
    FAILS(TENSOR_TOO_MANY_AXES, tensor_expand(r, t, 9, nine));
    FAILS(TENSOR_NULL, tensor_view(r, t, 1, NULL));
    FAILS(TENSOR_OTHER_COUNT, tensor_view(r, t, 1, SHAPE(13)));
    FAILS(TENSOR_OTHER_COUNT, tensor_view(r, t, 2, SHAPE(-1, 5)));
    FAILS(TENSOR_OTHER_COUNT, tensor_view(r, t, 2, SHAPE(-1, 0)));
    FAILS(TENSOR_OTHER_COUNT, tensor_view(r, empty, 2, SHAPE(-1, 0)));
    FAILS(TENSOR_BAD_SIZE, tensor_view(r, t, 2, SHAPE(-1, -1)));
    FAILS(TENSOR_BAD_SIZE, tensor_view(r, t, 2, SHAPE(-2, -6)));
    FAILS(TENSOR_BAD_SIZE, tensor_view(r, empty, 3, SHAPE(0, huge, huge)));
    FAILS(TENSOR_TOO_MANY_AXES, tensor_view(r, t, 9, nine));
    FAILS(TENSOR_NULL, tensor_reshape(r, NULL, 1, SHAPE(12)));
    FAILS(TENSOR_OTHER_COUNT, tensor_reshape(r, t, 0, NULL));
    FAILS(TENSOR_NULL, tensor_copy(r, NULL));
    FAILS(TENSOR_NULL, tensor_contiguous(r, NULL));
    FAILS(TENSOR_NULL, tensor_elements(r, ADD, t, NULL, 1));
    FAILS(TENSOR_NULL, tensor_elements(r, EXP, NULL, t, 1));
    FAILS(TENSOR_NOT_BROADCAST, tensor_elements(r, ADD, t, empty, 1));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_elements(r, OPERATIONS, t, t, 1));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_elements(r, -1, t, t, 1));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_elements(r, ADD, t, t, 0));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_elements(r, ADD, t, t, RUNGS + 1));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_reduce(r, REDUCTIONS, t, 0, NULL, 1));
    FAILS(TENSOR_NO_SUCH_OPERATION, tensor_reduce(r, SUM, t, 0, NULL, 4));
    FAILS(TENSOR_NULL, tensor_reduce(r, SUM, t, 1, NULL, 1));
    FAILS(TENSOR_NULL, tensor_reduce(r, SUM, NULL, 1, nine, 1));
    FAILS(TENSOR_BAD_AXIS, tensor_reduce(r, SUM, t, 1, SHAPE(2), 1));
    FAILS(TENSOR_BAD_AXIS, tensor_reduce(r, SUM, t, 2, SHAPE(1, -1), 1));
    FAILS(TENSOR_NO_MAXIMUM, tensor_reduce(r, MAXIMUM, empty, 1, SHAPE(0), 1));
    FAILS(TENSOR_NOT_MATRICES, tensor_matmul(r, t, empty));
    FAILS(TENSOR_INNER_SIZES, tensor_matmul(r, t, t));
    FAILS(TENSOR_NULL, tensor_matmul(r, t, NULL));
    float value;
    assert(tensor_new(NULL, 0, NULL) == TENSOR_NULL && tensor_copy(NULL, t) == TENSOR_NULL);
    assert(tensor_view(NULL, t, 0, NULL) == TENSOR_NULL && tensor_matmul(NULL, t, t) == TENSOR_NULL);
    assert(tensor_borrow(NULL, &value, 1, 0, 0, NULL, NULL) == TENSOR_NULL);
    assert(tensor_reduce(NULL, SUM, t, 0, NULL, 1) == TENSOR_NULL && tensor_reshape(NULL, t, 0, NULL) == TENSOR_NULL);
    assert(tensor_get(t, SHAPE(0, 4), &value) == TENSOR_BAD_INDEX && tensor_get(t, NULL, &value) == TENSOR_NULL);
    assert(tensor_get(t, SHAPE(-4, 0), &value) == TENSOR_BAD_INDEX && tensor_get(t, nine, NULL) == TENSOR_NULL);
    assert(tensor_get(t, SHAPE(-1, -1), &value) == TENSOR_OK && value == 11 && tensor_get(NULL, nine, &value));
    assert(tensor_fill(NULL, 1) == TENSOR_NULL && tensor_assign(t, NULL) == TENSOR_NULL);
    assert(!tensor_is_contiguous(NULL) && tensor_references(NULL) == 0);
    for (int error = -1; error <= TENSOR_ERRORS; error++) assert(strlen(tensor_message(error)) > 5);
    tensor_free(NULL);
    assert(tensor_references(t) == 1);
    tensor_free(t);
    tensor_free(empty);
    assert(live == 0);
}

// Whatever allocation fails, there is an error, no tensor, and nothing left behind.
static void test_memory_runs_out(void) {
    Tensor *t = counting(2, SHAPE(3, 4)), *turned, *square = counting(3, SHAPE(1, 4, 3)), *made;
    assert(tensor_permute(&turned, t, SHAPE(1, 0)) == TENSOR_OK);
    int failures[8] = {0};
    int64_t before = live;
    for (int what = 0; what < 8; what++)
        for (int64_t fails = 0;; fails++) {
            until_failure = fails;
            made = NULL;
            int error = what == 0   ? tensor_new(&made, 1, SHAPE(5))
                        : what == 1 ? tensor_permute(&made, t, SHAPE(0, 1))
                        : what == 2 ? tensor_elements(&made, ADD, t, t, 3)
                        : what == 3 ? tensor_reshape(&made, turned, 1, SHAPE(12))
                        : what == 4 ? tensor_reduce(&made, SUM, t, 1, SHAPE(0), 3)
                        : what == 5 ? tensor_matmul(&made, t, square)
                        : what == 6 ? tensor_assign(t, t)
                                    : tensor_contiguous(&made, turned);
            bool failed = until_failure < 0;
            until_failure = -1;
            assert(error == (failed ? TENSOR_NO_MEMORY : TENSOR_OK));
            assert(!failed || made == NULL);
            tensor_free(made);
            assert(live == before);
            if (!failed) break;
            failures[what]++;
        }
    assert(failures[0] == 3 && failures[1] == 1 && failures[2] == 5 && failures[3] == 7 && failures[4] == 4);
    tensor_free(t);
    tensor_free(turned);
    tensor_free(square);
    assert(live == 0);
}

int main(void) {
    test_slices();
    test_the_views_of_a_matrix();
    test_expand();
    test_reshapes();
    test_contiguous();
    test_elements();
    test_reductions();
    test_long_sums();
    test_products();
    test_writing();
    test_borrowed_memory();
    test_mistakes();
    test_memory_runs_out();
    return 0;
}
