// What of gpt.h's rungs 3 and 4 is done by vector code: gpt_lanes.h, for each kind of vector. Which of them a processor has
// is asked at run time (gpt_paths).

#ifndef GPT_VECTOR_H
#define GPT_VECTOR_H

#include "gpt_formula.h"
#include "vecmath.h"

enum { MOST_LANES = 16 };

// What is done to the rows of a product besides: y = c + bias (+ from), act = gelu(c + bias), dx = c slope(up).
typedef struct {
    const float *bias, *from, *up;
    float *act;
} Finish;

typedef struct {
    void (*norm_row)(int64_t C, float eps, const float *x, const float *w, const float *b, float *y, float *stats);
    void (*norm_backward_row)(int64_t C, const float *x, const float *stats, const float *w, const float *dy,
                              float *dx);
    void (*norm_weights)(int64_t M, int64_t C, int64_t n, const float *x, const float *stats, const float *dy,
                         float *dw, float *db);
    void (*add_rows)(int64_t M, int64_t N, int64_t n, const float *dy, float *db);
    void (*finish)(const Finish *f, int64_t n, float *c);
    float (*softmax_row)(int64_t n, float scale, float *s);
    void (*softmax_backward_row)(int64_t n, float scale, float lse, float mean, float *s, float *dp);
    float (*dot)(int64_t n, const float *x, const float *y);
    void (*take_logits)(int64_t n, const float *x, float *most, float *sums);
    void (*probabilities)(int64_t n, float lse, float scale, const float *x, float *p);
    void (*adamw)(int64_t n, AdamwStep s, float *p, const float *g, float *m, float *v);
} GptPath;

#define VECTOR_CODE "gpt_lanes.h"
#include "each_vector.h"

#if defined(__x86_64__)
static const GptPath *const GPT_PATHS[] = {&PATH_OF_plain, &PATH_OF_avx2, &PATH_OF_avx512};
#else
static const GptPath *const GPT_PATHS[] = {&PATH_OF_plain};
#endif

#endif
