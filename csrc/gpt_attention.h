// Attention of gpt.h's rungs 3 and 4: the formula for STRIP_ROWS queries of a head at a time, as products of matrices.
//
//     S = Q K^T    P = softmax(S / sqrt D)    A = P V          K and V: the keys that the last query of the strip sees
//     dP = dA V^T    dS = P (dP - the sum of dA A) / sqrt D    dQ = dS K    dK += dS^T Q    dV += P^T dA
//
// A strip of scores stays in the cache, and only the logarithms of the softmax's sums are kept for the way back: as in
// attention.c, memory grows with T, not with T^2. Heads are views into qkv (M, 3 C): nothing is copied but by packing.

#ifndef GPT_ATTENTION_H
#define GPT_ATTENTION_H

#include "gpt_product.h"

#ifndef GPT_SIZES
enum { STRIP_ROWS = 36 };  // three tiles high
#endif

// One head of one sequence, and a thread's room.
typedef struct {
    const Kernel *kernel;
    const GptPath *path;
    int64_t T, D, row;                  // row: from token to token in qkv
    const float *q, *k, *v, *a, *da;    // a, da: tokens row / 3 apart
    float *out, *lse, *dq, *dk, *dv;
    float *s, *dp, *space, *panel;      // (STRIP_ROWS, T), the same, and of multiply_alone
} Head;

static inline int64_t attention_room(int64_t T, int64_t D) {
    return 2 * STRIP_ROWS * in_lines(T) + room_for_a(STRIP_ROWS + HIGHEST, in_lines(T) + D);
}

static inline void head_product(const Head *h, Matrix a, Matrix b, float *c, int64_t step, bool add) {
    GptProduct p = {h->kernel, a, b, {c, a.rows, b.columns, step, 1}, add};
    multiply_alone(&p, h->space, h->panel);
}

static inline void head_forward(const Head *h) {
    int64_t D = h->D, row = h->row, wide = in_lines(h->T);
    for (int64_t t = 0; t < h->T; t += STRIP_ROWS) {
        int64_t n = smaller(STRIP_ROWS, h->T - t), seen = t + n;
        Matrix q = rows_of(h->q + t * row, n, D, row), k = rows_of(h->k, seen, D, row), v = rows_of(h->v, seen, D, row);
        head_product(h, q, transposed(k), h->s, wide, false);
        for (int64_t i = 0; i < n; i++) {
            h->lse[t + i] = h->path->softmax_row(t + i + 1, 1 / sqrtf((float)D), h->s + i * wide);
            for (int64_t j = t + i + 1; j < seen; j++) h->s[i * wide + j] = 0;
        }
        head_product(h, rows_of(h->s, n, seen, wide), v, h->out + t * (row / 3), row / 3, false);
    }
}

static inline void head_backward(const Head *h) {
    int64_t D = h->D, row = h->row, C = row / 3, wide = in_lines(h->T);
    for (int64_t t = 0; t < h->T; t++)
        memset(h->dk + t * row, 0, (size_t)D * sizeof(float)), memset(h->dv + t * row, 0, (size_t)D * sizeof(float));
    for (int64_t t = 0; t < h->T; t += STRIP_ROWS) {
        int64_t n = smaller(STRIP_ROWS, h->T - t), seen = t + n;
        Matrix q = rows_of(h->q + t * row, n, D, row), k = rows_of(h->k, seen, D, row), v = rows_of(h->v, seen, D, row);
        Matrix da = rows_of(h->da + t * C, n, D, C);
        Matrix p = rows_of(h->s, n, seen, wide), ds = rows_of(h->dp, n, seen, wide);
        head_product(h, q, transposed(k), h->s, wide, false);
        head_product(h, da, transposed(v), h->dp, wide, false);
        for (int64_t i = 0; i < n; i++) {
            float mean = h->path->dot(D, h->a + (t + i) * C, h->da + (t + i) * C);
            h->path->softmax_backward_row(t + i + 1, 1 / sqrtf((float)D), h->lse[t + i], mean, h->s + i * wide,
                                          h->dp + i * wide);
            for (int64_t j = t + i + 1; j < seen; j++) h->s[i * wide + j] = h->dp[i * wide + j] = 0;
        }
        head_product(h, ds, k, h->dq + t * row, row, false);
        head_product(h, transposed(ds), q, h->dk, row, true);
        head_product(h, transposed(p), da, h->dv, row, true);
    }
}

#endif
