// Arithmetic on tensors: number by number with broadcasting, over axes, and products of matrices.
//
// All of it walks: through one to three tensors of a common shape at once, each with strides of its own. A repeated
// axis has stride 0. So has, in the totals, an axis that is summed away: then many numbers meet in one place. Only the
// walk knows about strides, and it is the ladder:
//
//     1 numbers   for each index the place of each number by the formula, offset + i * strides[0] + j * strides[1] …
//     2 rows      the last axis in a loop of its own, one addition a step; axes joined as for a reshape
//     3 in order  the axes sorted, the longest strides outermost, so that memory is read along its strip
//
// Storage, shapes and views are in tensor.h; products of matrices at speed in matmul.c.

#include "tensor.h"

#include <math.h>

enum { OPERANDS = 3, RUNGS = 3 };  // OPERANDS: at most, the result first

typedef struct {
    int64_t operands, ndim, shape[AXES];
    int64_t offsets[OPERANDS], strides[OPERANDS][AXES];
} Walk;

// What is done with n numbers of each operand, which begin at the places at[…] and are step[…] apart.
typedef void Row(const void *job, int64_t n, const int64_t *at, const int64_t *step);

static const int64_t NO_STEP[OPERANDS];

// Adds an operand that has the walk's shape.
static void add_operand(Walk *walk, int64_t offset, const int64_t *strides) {
    walk->offsets[walk->operands] = offset;
    memcpy(walk->strides[walk->operands++], strides, sizeof walk->strides[0]);
}

// A walk through t, which is the first operand.
static Walk walk_through(const Tensor *t) {
    Walk walk = {.ndim = t->ndim};
    memcpy(walk.shape, t->shape, sizeof walk.shape);
    add_operand(&walk, t->offset, t->strides);
    return walk;
}

// --- 1: numbers ----------------------------------------------------------------------------------------------------

// The next index in the order of reading, like the digits of a counter; false after the last.
static bool next_index(int64_t ndim, const int64_t *shape, int64_t *index) {
    for (int64_t axis = ndim - 1; axis >= 0; axis--) {
        if (++index[axis] < shape[axis]) return true;
        index[axis] = 0;
    }
    return false;
}

static void walk_numbers(const Walk *walk, Row *row, const void *job) {
    int64_t index[AXES] = {0}, at[OPERANDS] = {0};
    do {
        for (int64_t k = 0; k < walk->operands; k++) {
            at[k] = walk->offsets[k];
            for (int64_t axis = 0; axis < walk->ndim; axis++) at[k] += index[axis] * walk->strides[k][axis];
        }
        row(job, 1, at, NO_STEP);
    } while (next_index(walk->ndim, walk->shape, index));
}

// --- 2: rows -------------------------------------------------------------------------------------------------------

// Whether axis a can be one with the axis b behind it: each operand's stride is as long as all of b.
static bool can_join(const Walk *walk, int64_t a, int64_t b) {
    for (int64_t k = 0; k < walk->operands; k++)
        if (walk->strides[k][a] != walk->shape[b] * walk->strides[k][b]) return false;
    return true;
}

// Makes the axes as few as can be, for long rows: those of size 1 drop out, neighbors are joined.
static void join_axes(Walk *walk) {
    int64_t kept = 0;
    for (int64_t axis = 0; axis < walk->ndim; axis++) {
        int64_t n = walk->shape[axis];
        if (n == 1) continue;
        if (kept && can_join(walk, kept - 1, axis)) n *= walk->shape[--kept];
        walk->shape[kept] = n;
        for (int64_t k = 0; k < walk->operands; k++) walk->strides[k][kept] = walk->strides[k][axis];
        kept++;
    }
    walk->ndim = kept;
}

static void walk_rows(const Walk *walk, Row *row, const void *job) {
    int64_t last = walk->ndim - 1, n = last < 0 ? 1 : walk->shape[last], index[AXES] = {0};
    int64_t at[OPERANDS] = {0}, step[OPERANDS] = {0}, axis;
    for (int64_t k = 0; k < walk->operands; k++) {
        at[k] = walk->offsets[k];
        if (last >= 0) step[k] = walk->strides[k][last];
    }
    do {
        row(job, n, at, step);
        for (axis = last - 1; axis >= 0; axis--) {  // one step along this axis, or back to its beginning
            bool inside = ++index[axis] < walk->shape[axis];
            if (!inside) index[axis] = 0;
            int64_t steps = inside ? 1 : 1 - walk->shape[axis];
            for (int64_t k = 0; k < walk->operands; k++) at[k] += steps * walk->strides[k][axis];
            if (inside) break;
        }
    } while (axis >= 0);
}

// --- 3: in the order of memory -------------------------------------------------------------------------------------

static int64_t all_strides(const Walk *walk, int64_t axis) {
    int64_t sum = 0;
    for (int64_t k = 0; k < walk->operands; k++) sum += llabs(walk->strides[k][axis]);
    return sum;
}

static void exchange_axes(Walk *walk, int64_t a, int64_t b) {
    int64_t n = walk->shape[a];
    walk->shape[a] = walk->shape[b], walk->shape[b] = n;
    for (int64_t k = 0; k < walk->operands; k++) {
        int64_t stride = walk->strides[k][a];
        walk->strides[k][a] = walk->strides[k][b], walk->strides[k][b] = stride;
    }
}

static void sort_axes(Walk *walk) {
    for (int64_t i = 1; i < walk->ndim; i++)
        for (int64_t k = i; k > 0 && all_strides(walk, k - 1) < all_strides(walk, k); k--)
            exchange_axes(walk, k - 1, k);
}

static int run_walk(Walk *walk, int rung, Row *row, const void *job) {
    if (rung < 1 || rung > RUNGS) return TENSOR_NO_SUCH_OPERATION;
    for (int64_t axis = 0; axis < walk->ndim; axis++)
        if (walk->shape[axis] == 0) return TENSOR_OK;
    if (rung >= 2) join_axes(walk);
    if (rung == 3) {
        sort_axes(walk);
        join_axes(walk);
    }
    (rung == 1 ? walk_numbers : walk_rows)(walk, row, job);
    return TENSOR_OK;
}

// --- number by number ----------------------------------------------------------------------------------------------

enum {
    COPY, NEGATIVE, EXP, LOG, TANH, SQRT,          // of one tensor
    ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, LARGER,  // of two
    OPERATIONS
};

typedef struct {
    int operation;
    float *out;
    const float *a, *b;
} Elements;

#define EACH(expression)                                  \
    for (int64_t i = 0; i < n; i++) {                     \
        float x = a[i * step_a], y = b[i * step_b];       \
        (void)y, out[i * step_out] = (expression);        \
    }                                                     \
    break

static void elements_row(const void *job, int64_t n, const int64_t *at, const int64_t *step) {
    const Elements *e = job;
    float *restrict out = e->out + at[0];
    const float *a = e->a + at[1], *b = e->b + at[2];
    int64_t step_out = step[0], step_a = step[1], step_b = step[2];
    switch (e->operation) {
        case COPY: EACH(x);
        case NEGATIVE: EACH(-x);
        case EXP: EACH(expf(x));
        case LOG: EACH(logf(x));
        case TANH: EACH(tanhf(x));
        case SQRT: EACH(sqrtf(x));
        case ADD: EACH(x + y);
        case SUBTRACT: EACH(x - y);
        case MULTIPLY: EACH(x * y);
        case DIVIDE: EACH(x / y);
        case POWER: EACH(powf(x, y));
        case LARGER: EACH(x > y || x != x ? x : y);  // NaN stays NaN, whichever it is
    }
}

// The operation on each number of a, or of a and b broadcast to one shape; b is NULL for operations of one tensor.
int tensor_elements(Tensor **result, int operation, const Tensor *a, const Tensor *b, int rung) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    if (operation < 0 || operation >= OPERATIONS || rung < 1 || rung > RUNGS) return TENSOR_NO_SUCH_OPERATION;
    if (!a || (operation >= ADD && !b)) return TENSOR_NULL;
    if (operation < ADD) b = a;
    Tensor *wide_a = NULL, *wide_b = NULL;
    int64_t ndim, shape[AXES];
    int error = broadcast_shape(a, b, &ndim, shape);
    if (!error) error = tensor_expand(&wide_a, a, ndim, shape);
    if (!error) error = tensor_expand(&wide_b, b, ndim, shape);
    if (!error) error = tensor_new(result, ndim, shape);
    if (!error) {
        Walk walk = walk_through(*result);
        add_operand(&walk, wide_a->offset, wide_a->strides);
        add_operand(&walk, wide_b->offset, wide_b->strides);
        Elements job = {operation, (*result)->storage->data, a->storage->data, b->storage->data};
        run_walk(&walk, rung, elements_row, &job);
    }
    tensor_free(wide_a);
    tensor_free(wide_b);
    return error;
}

// A copy of its own, contiguous.
int tensor_copy(Tensor **result, const Tensor *t) { return tensor_elements(result, COPY, t, NULL, RUNGS); }

// The same tensor again if it is contiguous, else a copy that is.
int tensor_contiguous(Tensor **result, const Tensor *t) {
    return tensor_is_contiguous(t) ? same_view(result, t) : tensor_copy(result, t);
}

// The same numbers in another shape: a view where there are strides for it, else a copy.
int tensor_reshape(Tensor **result, const Tensor *t, int64_t ndim, const int64_t *shape) {
    int error = tensor_view(result, t, ndim, shape);
    if (error != TENSOR_NEEDS_COPY) return error;
    Tensor *copy;
    if ((error = tensor_copy(&copy, t))) return error;
    error = tensor_view(result, copy, ndim, shape);
    tensor_free(copy);
    return error;
}

// --- writing -------------------------------------------------------------------------------------------------------

static int write_numbers(Tensor *t, const float *numbers, int64_t offset, const int64_t *strides) {
    for (int64_t axis = 0; axis < t->ndim; axis++)
        if (t->shape[axis] > 1 && t->strides[axis] == 0) return TENSOR_SHARED_PLACES;
    Walk walk = walk_through(t);
    add_operand(&walk, offset, strides);
    add_operand(&walk, offset, strides);
    Elements job = {COPY, t->storage->data, numbers, numbers};
    return run_walk(&walk, RUNGS, elements_row, &job);
}

// Makes all numbers the same; every tensor that shares them sees it.
int tensor_fill(Tensor *t, float value) {
    static const int64_t none[AXES];
    return t ? write_numbers(t, &value, 0, none) : TENSOR_NULL;
}

// Writes the numbers of source, repeated to fit, over those of t. Both may lie in one storage.
int tensor_assign(Tensor *t, const Tensor *source) {
    if (!t || !source) return TENSOR_NULL;
    Tensor *apart = NULL, *wide = NULL;
    int error = TENSOR_OK;
    if (tensor_shares_storage(t, source) && (error = tensor_copy(&apart, source))) return error;
    error = tensor_expand(&wide, apart ? apart : source, t->ndim, t->shape);
    if (!error) error = write_numbers(t, wide->storage->data, wide->offset, wide->strides);
    tensor_free(wide);
    tensor_free(apart);
    return error;
}

// One number: index has an entry for each axis, counted from either end.
int tensor_get(const Tensor *t, const int64_t *index, float *value) {
    if (!t || !value || (t->ndim && !index)) return TENSOR_NULL;
    int64_t place = t->offset;
    for (int64_t axis = 0; axis < t->ndim; axis++) {
        int64_t i = index[axis], n = t->shape[axis];
        if (i < -n || i >= n) return TENSOR_BAD_INDEX;
        place += (i < 0 ? i + n : i) * t->strides[axis];
    }
    *value = t->storage->data[place];
    return TENSOR_OK;
}

// --- over axes -----------------------------------------------------------------------------------------------------

enum { SUM, MAXIMUM, REDUCTIONS };
enum { PARTS = 8 };  // sums side by side: an addition need not wait for the one before it

typedef struct {
    double *totals;  // float64: a million numbers of float32 add up without losing digits
    const float *numbers;
} Reduction;

static void sum_row(const void *job, int64_t n, const int64_t *at, const int64_t *step) {
    double *total = ((const Reduction *)job)->totals + at[0], parts[PARTS] = {0};
    const float *x = ((const Reduction *)job)->numbers + at[1];
    int64_t i = 0;
    if (step[0] != 0) {
        for (; i < n; i++) total[i * step[0]] += x[i * step[1]];
        return;
    }
    for (; i + PARTS <= n; i += PARTS)
        for (int64_t k = 0; k < PARTS; k++) parts[k] += x[(i + k) * step[1]];
    for (; i < n; i++) *total += x[i * step[1]];
    for (int64_t k = 0; k < PARTS; k++) *total += parts[k];
}

static void maximum_row(const void *job, int64_t n, const int64_t *at, const int64_t *step) {
    double *total = ((const Reduction *)job)->totals + at[0];
    const float *x = ((const Reduction *)job)->numbers + at[1];
    for (int64_t i = 0; i < n; i++) {
        double number = x[i * step[1]], *largest = total + i * step[0];
        if (number > *largest || number != number) *largest = number;  // NaN, too, and nothing is larger than it
    }
}

// The sum or the largest of all numbers along `count` axes, which then have size 1.
int tensor_reduce(Tensor **result, int operation, const Tensor *t, int64_t count, const int64_t *axes, int rung) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    if (operation < 0 || operation >= REDUCTIONS || rung < 1 || rung > RUNGS) return TENSOR_NO_SUCH_OPERATION;
    if (!t || (count && !axes)) return TENSOR_NULL;
    int64_t shape[AXES];
    bool reduced[AXES] = {false};
    memcpy(shape, t->shape, sizeof shape);
    for (int64_t k = 0; k < count; k++) {
        int64_t axis = real_axis(axes[k], t->ndim);
        if (axis < 0 || reduced[axis]) return TENSOR_BAD_AXIS;
        reduced[axis] = true, shape[axis] = 1;
    }
    int64_t n = count_of(t->ndim, shape);
    if (operation == MAXIMUM && n > 0 && count_of(t->ndim, t->shape) == 0) return TENSOR_NO_MAXIMUM;
    int error = tensor_new(result, t->ndim, shape);
    if (error) return error;
    double *totals = calloc((size_t)n + 1, sizeof *totals);
    if (!totals) return give_up(result, TENSOR_NO_MEMORY);
    for (int64_t i = 0; i < n && operation == MAXIMUM; i++) totals[i] = -INFINITY;

    Walk walk = {.ndim = t->ndim};
    int64_t strides[AXES];
    for (int64_t axis = 0; axis < AXES; axis++) strides[axis] = reduced[axis] ? 0 : (*result)->strides[axis];
    memcpy(walk.shape, t->shape, sizeof walk.shape);
    add_operand(&walk, 0, strides);
    add_operand(&walk, t->offset, t->strides);
    Reduction job = {totals, t->storage->data};
    run_walk(&walk, rung, operation == SUM ? sum_row : maximum_row, &job);
    for (int64_t i = 0; i < n; i++) (*result)->storage->data[i] = (float)totals[i];
    free(totals);
    return TENSOR_OK;
}

// --- products of matrices ------------------------------------------------------------------------------------------

typedef struct {
    float *out;
    const float *a, *b;
    int64_t rows, inner, columns;  // (rows, inner) @ (inner, columns)
    int64_t strides[OPERANDS][2];  // of out, a and b: along rows, along columns
} Product;

// One product of two matrices at each of n places.
static void product_row(const void *job, int64_t n, const int64_t *at, const int64_t *step) {
    const Product *p = job;
    for (int64_t batch = 0; batch < n; batch++)
        for (int64_t i = 0; i < p->rows; i++)
            for (int64_t j = 0; j < p->columns; j++) {
                const float *a = p->a + at[1] + batch * step[1] + i * p->strides[1][0];
                const float *b = p->b + at[2] + batch * step[2] + j * p->strides[2][1];
                double sum = 0.0;
                for (int64_t k = 0; k < p->inner; k++) sum += (double)a[k * p->strides[1][1]] * b[k * p->strides[2][0]];
                p->out[at[0] + batch * step[0] + i * p->strides[0][0] + j * p->strides[0][1]] = (float)sum;
            }
}

// t without its last two axes, which go to `matrix`: what is left is walked through.
static Tensor without_matrix(const Tensor *t, int64_t *matrix) {
    Tensor batch = *t;
    batch.ndim -= 2;
    memcpy(matrix, t->strides + batch.ndim, 2 * sizeof *matrix);
    return batch;
}

// (…, n, k) @ (…, k, m) -> (…, n, m); the axes in front broadcast.
int tensor_matmul(Tensor **result, const Tensor *a, const Tensor *b) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    if (!a || !b) return TENSOR_NULL;
    if (a->ndim < 2 || b->ndim < 2) return TENSOR_NOT_MATRICES;
    if (a->shape[a->ndim - 1] != b->shape[b->ndim - 2]) return TENSOR_INNER_SIZES;
    Product job = {.rows = a->shape[a->ndim - 2], .inner = a->shape[a->ndim - 1], .columns = b->shape[b->ndim - 1]};
    Tensor of_a = without_matrix(a, job.strides[1]), of_b = without_matrix(b, job.strides[2]);
    Tensor *wide_a = NULL, *wide_b = NULL;
    int64_t ndim, shape[AXES];
    int error = broadcast_shape(&of_a, &of_b, &ndim, shape);
    if (!error) error = tensor_expand(&wide_a, &of_a, ndim, shape);
    if (!error) error = tensor_expand(&wide_b, &of_b, ndim, shape);
    if (!error) {
        shape[ndim] = job.rows, shape[ndim + 1] = job.columns;
        error = tensor_new(result, ndim + 2, shape);
    }
    if (!error) {
        Tensor of_result = without_matrix(*result, job.strides[0]);
        Walk walk = walk_through(&of_result);
        add_operand(&walk, wide_a->offset, wide_a->strides);
        add_operand(&walk, wide_b->offset, wide_b->strides);
        job.out = (*result)->storage->data, job.a = a->storage->data, job.b = b->storage->data;
        run_walk(&walk, 2, product_row, &job);
    }
    tensor_free(wide_a);
    tensor_free(wide_b);
    return error;
}
