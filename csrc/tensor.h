// A tensor: numbers in memory, and how to walk through them. Its storage, and the views, which copy nothing.
//
// Storage is one strip of memory. A tensor looks at it through a shape, a stride for each axis, and an offset:
// number (i, j, …) lies at place  offset + i * strides[0] + j * strides[1] + …  of the storage. Turning, cutting,
// reversing and repeating change only these few numbers. So many tensors can share one storage; it counts them,
// and the last one to go frees it.
//
// Every function that makes a tensor returns an error, 0 for none, and writes the tensor to *result (NULL after an
// error). Any argument may be wrong, also NULL; only memory that is not a tensor cannot be told from one.
// Left out on purpose: types other than float32, devices, the names of axes. This file is a part of tensor.c.

#ifndef TENSOR_H
#define TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { AXES = 8 };            // a tensor's axes, at most
#define NOT_GIVEN INT64_MIN  // a slice's start, stop or step that is left open, as in t[::2]

typedef struct {
    float *data;
    int64_t size;                // numbers
    _Atomic int64_t references;  // tensors that look at it
    int32_t borrowed;            // the data belongs to somebody else, who keeps it alive and frees it
} Storage;

typedef struct {
    Storage *storage;
    int64_t offset, ndim, shape[AXES], strides[AXES];  // offset and strides in numbers, not bytes
} Tensor;

enum {
    TENSOR_OK, TENSOR_NO_MEMORY, TENSOR_NULL, TENSOR_TOO_MANY_AXES, TENSOR_BAD_SIZE, TENSOR_BAD_AXIS,
    TENSOR_BAD_INDEX, TENSOR_BAD_STEP, TENSOR_NOT_BROADCAST, TENSOR_OTHER_COUNT, TENSOR_NEEDS_COPY,
    TENSOR_NOT_MATRICES, TENSOR_INNER_SIZES, TENSOR_NO_MAXIMUM, TENSOR_SHARED_PLACES, TENSOR_OUTSIDE,
    TENSOR_NO_SUCH_OPERATION, TENSOR_ERRORS
};

// What an error means, in a few words.
const char *tensor_message(int error) {
    static const char *const messages[TENSOR_ERRORS] = {
        "no error", "not enough memory", "a tensor or an array is missing", "more than 8 axes",
        "a size is negative, or there are too many numbers", "there is no such axis, or one is named twice",
        "the index is outside", "a slice's step is 0", "the shapes do not broadcast",
        "the shape has room for another count of numbers", "no strides fit this shape, only a copy can have it",
        "a product of matrices needs two axes or more", "the inner sizes of the matrices differ",
        "no numbers, so none is the largest", "several numbers share one place, so they cannot be written apart",
        "shape and strides lead outside of the memory", "there is no such operation",
    };
    return error >= 0 && error < TENSOR_ERRORS ? messages[error] : "unknown error";
}

// --- storage, and tensors of their own -----------------------------------------------------------------------------

// The count of numbers of a shape, or -1 where a size is negative or the count (an axis of 0 taken as 1, for the
// strides) times a number's bytes does not fit.
static int64_t count_of(int64_t ndim, const int64_t *shape) {
    int64_t room = 1, count = 1;
    for (int64_t axis = 0; axis < ndim; axis++) {
        if (shape[axis] < 0) return -1;
        if (__builtin_mul_overflow(room, shape[axis] > 1 ? shape[axis] : 1, &room)) return -1;
        if (shape[axis] == 0) count = 0;
    }
    return room > INT64_MAX / 8 ? -1 : count ? room : 0;
}

static int check_shape(int64_t ndim, const int64_t *shape) {
    if (ndim < 0 || ndim > AXES) return TENSOR_TOO_MANY_AXES;
    if (ndim > 0 && !shape) return TENSOR_NULL;
    return count_of(ndim, shape) < 0 ? TENSOR_BAD_SIZE : TENSOR_OK;
}

// The last axis lies number by number, each one before it steps over all that is behind.
static void contiguous_strides(int64_t ndim, const int64_t *shape, int64_t *strides) {
    int64_t step = 1;
    for (int64_t axis = ndim - 1; axis >= 0; axis--) {
        strides[axis] = step;
        step *= shape[axis] > 1 ? shape[axis] : 1;
    }
}

void tensor_free(Tensor *t) {
    if (!t) return;
    Storage *storage = t->storage;
    if (atomic_fetch_sub(&storage->references, 1) == 1) {
        if (!storage->borrowed) free(storage->data);
        free(storage);
    }
    free(t);
}

// A tensor with a new storage, its shape checked already. data: memory of somebody else, or NULL for zeros.
static int new_tensor(Tensor **result, float *data, int64_t size, int64_t ndim, const int64_t *shape) {
    Tensor *t = calloc(1, sizeof *t);
    Storage *storage = calloc(1, sizeof *storage);
    float *numbers = data ? data : calloc((size_t)size + 1, sizeof *numbers);  // + 1: never an empty piece
    if (!t || !storage || !numbers) {
        if (!data) free(numbers);
        free(storage);
        free(t);
        return TENSOR_NO_MEMORY;
    }
    storage->data = numbers, storage->size = size, storage->borrowed = data != NULL;
    atomic_init(&storage->references, 1);
    t->storage = storage, t->ndim = ndim;
    if (ndim) memcpy(t->shape, shape, (size_t)ndim * sizeof *shape);
    contiguous_strides(ndim, t->shape, t->strides);
    *result = t;
    return TENSOR_OK;
}

// A tensor of zeros.
int tensor_new(Tensor **result, int64_t ndim, const int64_t *shape) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    int error = check_shape(ndim, shape);
    return error ? error : new_tensor(result, NULL, count_of(ndim, shape), ndim, shape);
}

// A tensor over `size` numbers of somebody else's memory, who keeps it alive for as long as any view is. No copy.
int tensor_borrow(Tensor **result, float *data, int64_t size, int64_t offset, int64_t ndim, const int64_t *shape,
                  const int64_t *strides) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    int error = check_shape(ndim, shape);
    if (error) return error;
    if (!data || (ndim && !strides)) return TENSOR_NULL;
    int64_t low = offset, high = offset, way;  // the first and the last place that an index can lead to
    for (int64_t axis = 0; axis < ndim; axis++) {
        if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &way)) return TENSOR_OUTSIDE;
        if (__builtin_add_overflow(way < 0 ? low : high, way, way < 0 ? &low : &high)) return TENSOR_OUTSIDE;
    }
    if (size < 0 || (count_of(ndim, shape) && (low < 0 || high >= size))) return TENSOR_OUTSIDE;
    if ((error = new_tensor(result, data, size, ndim, shape))) return error;
    if (count_of(ndim, shape) == 0) return TENSOR_OK;  // no number: offset and strides mean nothing
    (*result)->offset = offset;
    if (ndim) memcpy((*result)->strides, strides, (size_t)ndim * sizeof *strides);
    return TENSOR_OK;
}

// --- views: a new tensor, the same storage -------------------------------------------------------------------------

// A tensor with the same storage, shape, strides and offset: what every view begins with.
static int same_view(Tensor **result, const Tensor *t) {
    if (!result) return TENSOR_NULL;
    *result = NULL;
    if (!t) return TENSOR_NULL;
    Tensor *view = malloc(sizeof *view);
    if (!view) return TENSOR_NO_MEMORY;
    *view = *t;
    atomic_fetch_add(&t->storage->references, 1);
    *result = view;
    return TENSOR_OK;
}

// Moves a view's first number to index i of an axis. Where there are no numbers, there is nowhere to go.
static void move_to(Tensor *view, int64_t i, int64_t stride) {
    if (count_of(view->ndim, view->shape) > 0) view->offset += i * stride;
}

// Gives a half-made view back and says why.
static int give_up(Tensor **result, int error) {
    tensor_free(*result);
    *result = NULL;
    return error;
}

// An axis counted from either end, -1 the last, as one from 0 to ndim - 1; -1 where there is none.
static int64_t real_axis(int64_t axis, int64_t ndim) {
    if (axis < -ndim || axis >= ndim) return -1;
    return axis < 0 ? axis + ndim : axis;
}

// Axis k of the result is axis axes[k] of t; a transposed matrix has axes {1, 0}.
int tensor_permute(Tensor **result, const Tensor *t, const int64_t *axes) {
    int error = same_view(result, t);
    if (error) return error;
    if (t->ndim && !axes) return give_up(result, TENSOR_NULL);
    bool used[AXES] = {false};
    for (int64_t k = 0; k < t->ndim; k++) {
        int64_t axis = real_axis(axes[k], t->ndim);
        if (axis < 0 || used[axis]) return give_up(result, TENSOR_BAD_AXIS);
        used[axis] = true;
        (*result)->shape[k] = t->shape[axis];
        (*result)->strides[k] = t->strides[axis];
    }
    return TENSOR_OK;
}

// A place in a slice: counted from the end where negative, and moved to the nearest of low, …, high.
static int64_t clamped(int64_t place, int64_t n, int64_t low, int64_t high) {
    if (place < 0) place += n;
    return place < low ? low : place > high ? high : place;
}

// t[start:stop:step] along one axis, with Python's meaning of each; any of them may be NOT_GIVEN.
int tensor_slice(Tensor **result, const Tensor *t, int64_t axis, int64_t start, int64_t stop, int64_t step) {
    int error = same_view(result, t);
    if (error) return error;
    if ((axis = real_axis(axis, t->ndim)) < 0) return give_up(result, TENSOR_BAD_AXIS);
    if (step == NOT_GIVEN) step = 1;
    if (step == 0) return give_up(result, TENSOR_BAD_STEP);
    int64_t n = t->shape[axis], low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    start = start != NOT_GIVEN ? clamped(start, n, low, high) : step > 0 ? low : high;
    stop = stop != NOT_GIVEN ? clamped(stop, n, low, high) : step > 0 ? high : low;
    int64_t way = step > 0 ? stop - start : start - stop, stride = t->strides[axis];
    int64_t count = way > 0 ? (way - 1) / (step > 0 ? step : -step) + 1 : 0;
    (*result)->shape[axis] = count;
    if (count > 1) (*result)->strides[axis] = step * stride;  // one number needs no stride
    move_to(*result, start, stride);
    return TENSOR_OK;
}

// t[index] along one axis, which is gone then.
int tensor_select(Tensor **result, const Tensor *t, int64_t axis, int64_t index) {
    int error = same_view(result, t);
    if (error) return error;
    if ((axis = real_axis(axis, t->ndim)) < 0) return give_up(result, TENSOR_BAD_AXIS);
    int64_t n = t->shape[axis];
    if (index < -n || index >= n) return give_up(result, TENSOR_BAD_INDEX);
    move_to(*result, index < 0 ? index + n : index, t->strides[axis]);
    for (int64_t k = axis; k + 1 < t->ndim; k++) {
        (*result)->shape[k] = t->shape[k + 1];
        (*result)->strides[k] = t->strides[k + 1];
    }
    (*result)->ndim--;
    return TENSOR_OK;
}

// A new axis of size 1 before axis `axis` (ndim: behind the last): nothing to step over.
int tensor_insert_axis(Tensor **result, const Tensor *t, int64_t axis) {
    int error = same_view(result, t);
    if (error) return error;
    if (t->ndim == AXES) return give_up(result, TENSOR_TOO_MANY_AXES);
    if ((axis = real_axis(axis, t->ndim + 1)) < 0) return give_up(result, TENSOR_BAD_AXIS);
    for (int64_t k = t->ndim; k > axis; k--) {
        (*result)->shape[k] = t->shape[k - 1];
        (*result)->strides[k] = t->strides[k - 1];
    }
    (*result)->shape[axis] = 1, (*result)->strides[axis] = 0;
    (*result)->ndim++;
    return TENSOR_OK;
}

// Repeats axes of size 1, and puts new ones in front, to fit a shape: their stride is 0, so nothing is copied.
int tensor_expand(Tensor **result, const Tensor *t, int64_t ndim, const int64_t *shape) {
    int error = same_view(result, t);
    if (!error && (error = check_shape(ndim, shape))) return give_up(result, error);
    if (error) return error;
    int64_t missing = ndim - t->ndim;
    if (missing < 0) return give_up(result, TENSOR_NOT_BROADCAST);
    for (int64_t k = 0; k < ndim; k++) {
        int64_t n = k < missing ? 1 : t->shape[k - missing];
        if (n != 1 && n != shape[k]) return give_up(result, TENSOR_NOT_BROADCAST);
        (*result)->shape[k] = shape[k];
        (*result)->strides[k] = k >= missing && n == shape[k] ? t->strides[k - missing] : 0;
    }
    (*result)->ndim = ndim;
    return TENSOR_OK;
}

// The shape that two shapes broadcast to. Where one has an axis of size 1, or none, the other's size counts.
static int broadcast_shape(const Tensor *a, const Tensor *b, int64_t *ndim, int64_t *shape) {
    *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int64_t k = 0; k < *ndim; k++) {
        int64_t in_a = k - (*ndim - a->ndim), in_b = k - (*ndim - b->ndim);
        int64_t n = in_a < 0 ? 1 : a->shape[in_a], m = in_b < 0 ? 1 : b->shape[in_b];
        if (n != m && n != 1 && m != 1) return TENSOR_NOT_BROADCAST;
        shape[k] = n == 1 ? m : n;
    }
    return TENSOR_OK;
}

// --- reshape -------------------------------------------------------------------------------------------------------

// Whether the numbers lie in memory in the order in which they are read, without gaps.
bool tensor_is_contiguous(const Tensor *t) {
    if (!t) return false;
    if (count_of(t->ndim, t->shape) == 0) return true;
    int64_t step = 1;
    for (int64_t axis = t->ndim - 1; axis >= 0; axis--) {
        if (t->shape[axis] > 1 && t->strides[axis] != step) return false;
        step *= t->shape[axis];
    }
    return true;
}

// Joins axes into runs, as few as there can be, the last one first: a run is walked with one stride. An axis joins the
// one behind it if its stride is as long as that whole one. Axes of size 1 are never stepped along and drop out.
static int64_t merged_runs(const Tensor *t, int64_t *counts, int64_t *strides) {
    int64_t runs = 0;
    for (int64_t axis = t->ndim - 1; axis >= 0; axis--) {
        int64_t n = t->shape[axis], stride = t->strides[axis];
        if (n == 1) continue;
        if (runs && stride == counts[runs - 1] * strides[runs - 1]) {
            counts[runs - 1] *= n;
        } else {
            counts[runs] = n;
            strides[runs++] = stride;
        }
    }
    return runs;
}

// The strides with which t's numbers can be seen in another shape of as many, or false where there are none: each run
// must be cut into whole axes.
static bool view_strides(const Tensor *t, int64_t ndim, const int64_t *shape, int64_t *strides) {
    contiguous_strides(ndim, shape, strides);
    if (count_of(ndim, shape) == 0) return true;
    int64_t counts[AXES], steps[AXES], left = 1, step = 1, run = 0;
    merged_runs(t, counts, steps);
    for (int64_t axis = ndim - 1; axis >= 0; axis--) {
        if (shape[axis] > 1 && left == 1) left = counts[run], step = steps[run], run++;
        if (left % shape[axis] != 0) return false;
        strides[axis] = step;
        step *= shape[axis];
        left /= shape[axis];
    }
    return true;
}

// Replaces one size of -1 by what makes the count of numbers right, and checks the count.
static int complete_shape(int64_t count, int64_t ndim, const int64_t *asked, int64_t *shape) {
    if (ndim < 0 || ndim > AXES) return TENSOR_TOO_MANY_AXES;
    if (ndim && !asked) return TENSOR_NULL;
    int64_t open = -1;
    for (int64_t k = 0; k < ndim; k++) {
        if (asked[k] == -1 && open >= 0) return TENSOR_BAD_SIZE;
        if (asked[k] == -1) open = k;
        shape[k] = asked[k] == -1 ? 1 : asked[k];
    }
    int64_t others = count_of(ndim, shape);
    if (others < 0) return TENSOR_BAD_SIZE;
    if (open >= 0) {
        if (others == 0 || count % others != 0) return TENSOR_OTHER_COUNT;
        shape[open] = count / others;
        others = count_of(ndim, shape);
    }
    return others == count ? TENSOR_OK : TENSOR_OTHER_COUNT;
}

// The same numbers in another shape, in the order of reading; one size may be -1. Fails where only a copy can.
int tensor_view(Tensor **result, const Tensor *t, int64_t ndim, const int64_t *asked) {
    int error = same_view(result, t);
    if (error) return error;
    int64_t shape[AXES], strides[AXES];
    if ((error = complete_shape(count_of(t->ndim, t->shape), ndim, asked, shape))) return give_up(result, error);
    if (!view_strides(t, ndim, shape, strides)) return give_up(result, TENSOR_NEEDS_COPY);
    (*result)->ndim = ndim;
    memcpy((*result)->shape, shape, (size_t)ndim * sizeof *shape);
    memcpy((*result)->strides, strides, (size_t)ndim * sizeof *strides);
    return TENSOR_OK;
}

// --- who shares ----------------------------------------------------------------------------------------------------

int64_t tensor_references(const Tensor *t) { return t ? atomic_load(&t->storage->references) : 0; }

// Whether the storages of both have memory in common; two may have borrowed the same array.
bool tensor_shares_storage(const Tensor *a, const Tensor *b) {
    if (!a || !b) return false;
    uintptr_t in_a = (uintptr_t)a->storage->data, in_b = (uintptr_t)b->storage->data;
    size_t of_a = (size_t)a->storage->size * sizeof(float), of_b = (size_t)b->storage->size * sizeof(float);
    return a->storage == b->storage || (in_a < in_b + of_b && in_b < in_a + of_a);
}

#endif
