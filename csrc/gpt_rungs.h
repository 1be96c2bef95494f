// What each rung of gpt.h does for each operation of a training step: the ladder.
//
//     1 formula     loops (gpt_formula.h)
//     2 products    x W, dy W^T, x^T dy and the output layer's by the tiles of matmul.c; the first gradient of a step
//                   is written, not added to zeros
//     3 vectors     everything else in vector code (gpt_lanes.h), attention as products of strips (gpt_attention.h)
//     4 chunks      products in an order made for training (gpt_product.h), the output layer in chunks of words
//
// Rungs 2 to 4 use g->threads threads, and the vectors of g->path.

#ifndef GPT_RUNGS_H
#define GPT_RUNGS_H

#include "gpt_attention.h"

#ifndef GPT_SIZES  // the tests choose smaller ones
enum {
    CHUNK = 1024,  // words of the vocabulary whose gradients are computed at a time
    SPAN = 4096,   // numbers whose squares are added up in float, before these sums are added in double
};
#endif

static inline int64_t gpt_tokens(const Gpt *g) { return g->batch * g->length; }
static inline float *gpt_stats(const Gpt *g, int64_t n) { return g->stats + 2 * n * g->B * g->T; }
static inline int64_t logits_step(const Gpt *g) {
    return g->rung == GPT_CHUNKS ? in_lines(g->config.vocab) : g->config.vocab;
}
static inline int64_t gpt_logits_room(const Gpt *g) { return g->B * g->T * logits_step(g); }

// --- working memory ------------------------------------------------------------------------------------------------

// Of rungs 3 and 4: a packed A; a panel for each thread, and room for its attention; the lanes of the softmax over the
// vocabulary, and the logarithms of its sums; a chunk of the logits' gradients.
typedef struct {
    float *a, *panels, *heads, *most, *sums, *lse, *chunk;
    int64_t total;
} Work;

static inline Work gpt_shares(const Gpt *g) {
    int64_t M = g->B * g->T, C = g->config.width, D = C / g->config.heads, K = 4 * C > CHUNK ? 4 * C : CHUNK;
    int64_t sizes[] = {room_for_a(M, K) + room_for_a(K, M), g->threads * PANEL, g->threads * attention_room(g->T, D),
                       M * MOST_LANES, M * MOST_LANES, M, M * CHUNK};
    if (g->rung == GPT_FORMULA || g->rung == GPT_PRODUCTS) return (Work){.a = g->work, .total = 2 * g->T};
    Work w = {0};
    float **parts[] = {&w.a, &w.panels, &w.heads, &w.most, &w.sums, &w.lse, &w.chunk};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; w.total += in_lines(sizes[i++]))
        if (g->work) *parts[i] = g->work + w.total;
    return w;
}

static inline int64_t gpt_work(const Gpt *g) { return gpt_shares(g).total; }

// --- products ------------------------------------------------------------------------------------------------------

static inline void op_finish(Gpt *g, Finish f, Matrix c) {
    const GptPath *path = GPT_PATHS[g->path];
    int64_t n = c.columns, step = c.row_stride;
    if (!f.bias && !f.up) return;
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int64_t i = 0; i < c.rows; i++) {
        Finish row = f;
        if (f.from) row.from += i * step;
        if (f.up) row.up += i * step;
        if (f.act) row.act += i * step;
        path->finish(&row, n, at(c, i, 0));
    }
}

// c = or += a b, and what follows.
static inline void op_multiply(Gpt *g, Matrix a, Matrix b, Matrix c, bool add, Finish finish) {
    if (g->rung == GPT_CHUNKS) {
        Work w = gpt_shares(g);
        GptProduct p = {kernel_of_path(g->path), a, b, c, add};
        multiply_together(&p, g->threads, w.a, w.panels);
    } else if (!multiply_fast(kernel_of_path(g->path), g->threads, add, a, b, c)) {
        multiply_blocks(add, a, b, c);  // there is no memory for panels
    }
    op_finish(g, finish, c);
}

// y = x W + b, and + from, unless it is NULL.
static inline void op_linear(Gpt *g, int64_t M, int64_t K, int64_t N, const float *x, const GptTensor *w,
                             const float *from, float *y) {
    if (g->rung == GPT_FORMULA) linear_by_formula(M, K, N, x, w[0].data, w[1].data, from, y);
    else op_multiply(g, rows_of(x, M, K, K), rows_of(w[0].data, K, N, N), rows_of(y, M, N, N), false,
                     (Finish){.bias = w[1].data, .from = from});
}

// up = x W + b, act = gelu(up).
static inline void op_linear_gelu(Gpt *g, int64_t M, int64_t K, int64_t N, const float *x, const GptTensor *w,
                                  float *up, float *act) {
    if (g->rung >= GPT_VECTORS) {
        op_multiply(g, rows_of(x, M, K, K), rows_of(w[0].data, K, N, N), rows_of(up, M, N, N), false,
                    (Finish){.bias = w[1].data, .act = act});
        return;
    }
    op_linear(g, M, K, N, x, w, NULL, up);
    gelu_by_formula(M * N, up, act);
}

// dx = dy W^T; up: where x is gelu(up), dx is the gradient by up. dW = or += x^T dy, db += dy's rows.
static inline void op_linear_backward(Gpt *g, int64_t M, int64_t K, int64_t N, const float *x, const GptTensor *w,
                                      const float *dy, float *dx, const float *up) {
    if (g->rung == GPT_FORMULA) {
        linear_backward_by_formula(M, K, N, x, w[0].data, dy, dx, w[0].grad, w[1].grad);
        if (up) gelu_backward_by_formula(M * K, up, dx, dx);
        return;
    }
    Matrix d = rows_of(dy, M, N, N);
    op_multiply(g, d, transposed(rows_of(w[0].data, K, N, N)), rows_of(dx, M, K, K), false,
                (Finish){.up = g->rung >= GPT_VECTORS ? up : NULL});
    op_multiply(g, transposed(rows_of(x, M, K, K)), d, rows_of(w[0].grad, K, N, N), !g->grads_are_0, (Finish){0});
    GPT_PATHS[g->rung >= GPT_VECTORS ? g->path : 0]->add_rows(M, N, N, dy, w[1].grad);
    if (up && g->rung < GPT_VECTORS) gelu_backward_by_formula(M * K, up, dx, dx);
}

// --- the rest of a block -------------------------------------------------------------------------------------------

static inline void op_norm(Gpt *g, int64_t n, const GptTensor *w, const float *x, float *y) {
    int64_t M = gpt_tokens(g), C = g->config.width;
    float *stats = gpt_stats(g, n);
    if (g->rung < GPT_VECTORS) {
        norm_by_formula(M, C, g->config.eps, x, w[0].data, w[1].data, y, stats);
        return;
    }
    const GptPath *path = GPT_PATHS[g->path];
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int64_t i = 0; i < M; i++)
        path->norm_row(C, g->config.eps, x + i * C, w[0].data, w[1].data, y + i * C, stats + 2 * i);
}

static inline void op_norm_backward(Gpt *g, int64_t n, const GptTensor *w, const float *x, const float *dy, float *dx) {
    int64_t M = gpt_tokens(g), C = g->config.width;
    const float *stats = gpt_stats(g, n);
    if (g->rung < GPT_VECTORS) {
        norm_backward_by_formula(M, C, x, stats, w[0].data, dy, w[0].grad, w[1].grad, dx);
        return;
    }
    const GptPath *path = GPT_PATHS[g->path];
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int64_t i = 0; i < M; i++)
        path->norm_backward_row(C, x + i * C, stats + 2 * i, w[0].data, dy + i * C, dx + i * C);
    path->norm_weights(M, C, C, x, stats, dy, w[0].grad, w[1].grad);
}

// Head number n of all sequences', of layer l. dqkv NULL: forward.
static inline Head op_head(const Gpt *g, int64_t l, int64_t n, const float *qkv, float *a, const float *da,
                           float *dqkv) {
    int64_t T = g->length, C = g->config.width, H = g->config.heads, D = C / H;
    int64_t first = n / H * T * 3 * C + n % H * D, out = n / H * T * C + n % H * D;
    Work w = gpt_shares(g);
    float *room = w.heads + omp_get_thread_num() * attention_room(g->T, D);
    Head h = {.kernel = kernel_of_path(g->path), .path = GPT_PATHS[g->path], .T = T, .D = D, .row = 3 * C};
    h.q = qkv + first, h.k = h.q + C, h.v = h.k + C, h.out = a + out, h.a = h.out;
    h.lse = g->lse + l * g->B * g->T * H + n * T;
    if (dqkv) h.da = da + out, h.dq = dqkv + first, h.dk = h.dq + C, h.dv = h.dk + C;
    h.s = room, h.dp = h.s + STRIP_ROWS * in_lines(g->T), h.space = h.dp + STRIP_ROWS * in_lines(g->T);
    h.panel = w.panels + omp_get_thread_num() * PANEL;
    return h;
}

static inline void op_attention(Gpt *g, int64_t l, const float *qkv, float *a) {
    int64_t H = g->config.heads;
    if (g->rung < GPT_VECTORS) {
        attention_by_formula(g->batch, g->length, H, g->config.width / H, qkv, a, g->work);
        return;
    }
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1) schedule(dynamic)
    for (int64_t n = 0; n < g->batch * H; n++) {
        Head h = op_head(g, l, n, qkv, a, NULL, NULL);
        head_forward(&h);
    }
}

static inline void op_attention_backward(Gpt *g, int64_t l, const float *qkv, const float *a, const float *da,
                                         float *dqkv) {
    int64_t H = g->config.heads;
    if (g->rung < GPT_VECTORS) {
        attention_backward_by_formula(g->batch, g->length, H, g->config.width / H, qkv, da, dqkv, g->work);
        return;
    }
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1) schedule(dynamic)
    for (int64_t n = 0; n < g->batch * H; n++) {
        Head h = op_head(g, l, n, qkv, (float *)a, da, dqkv);
        head_backward(&h);
    }
}

#include "gpt_output.h"

#endif
