// The two ends of gpt.h's step, by rung: the output layer with softmax, loss and gradient; clipping and AdamW.
//
// The logits of M tokens are the largest matrix of all (256 x 50,257 for GPT-2: 51 MB). Rung 4 computes them 1,024
// words at a time, and takes the softmax's sums from each chunk while it is in the cache. On the way back it reads them
// once, turns them into gradients in a chunk that stays in the cache, and multiplies that with the table and with h.

#ifndef GPT_OUTPUT_H
#define GPT_OUTPUT_H

#include <float.h>

static inline void op_logits(Gpt *g, const float *h) {
    int64_t M = gpt_tokens(g), C = g->config.width, V = g->config.vocab;
    const float *table = g->tensors[0].data;
    if (g->rung == GPT_FORMULA) logits_by_formula(M, C, V, h, table, g->logits);
    else op_multiply(g, rows_of(h, M, C, C), transposed(rows_of(table, V, C, C)), rows_of(g->logits, M, V, V), false,
                     (Finish){0});
}

// lse (M,) from the lanes of each row; returns the loss.
static inline double join_lanes(const Gpt *g, const Work *w) {
    double loss = 0;
    for (int64_t i = 0; i < gpt_tokens(g); i++) {
        const float *most = w->most + i * MOST_LANES, *sums = w->sums + i * MOST_LANES;
        float max = -FLT_MAX;
        double sum = 0;
        for (int n = 0; n < MOST_LANES; n++) max = most[n] > max ? most[n] : max;
        for (int n = 0; n < MOST_LANES; n++) sum += (double)sums[n] * exp32(most[n] - max);
        w->lse[i] = (float)(max + log(sum));
        if (g->targets[i] >= 0) loss += w->lse[i] - g->logits[i * logits_step(g) + g->targets[i]];
    }
    return loss;
}

// The sum over tokens of -ln p[target].
static inline double op_loss(Gpt *g, const float *h) {
    int64_t M = gpt_tokens(g), C = g->config.width, V = g->config.vocab, step = logits_step(g);
    if (g->rung < GPT_VECTORS) {
        op_logits(g, h);
        return loss_by_formula(M, V, g->logits, g->targets);
    }
    Work w = gpt_shares(g);
    for (int64_t n = 0; n < M * MOST_LANES; n++) w.most[n] = -FLT_MAX, w.sums[n] = 0;
    for (int64_t v = 0, n; v < V; v += n) {
        n = g->rung == GPT_CHUNKS ? smaller(CHUNK, V - v) : V;
        float *x = g->logits + v;
        op_multiply(g, rows_of(h, M, C, C), transposed(rows_of(g->tensors[0].data + v * C, n, C, C)),
                    rows_of(x, M, n, step), false, (Finish){0});
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
        for (int64_t i = 0; i < M; i++)
            GPT_PATHS[g->path]->take_logits(n, x + i * step, w.most + i * MOST_LANES, w.sums + i * MOST_LANES);
    }
    return join_lanes(g, &w);
}

// d (M, n) = the gradients of the logits of n words from `first` on; d may be the logits themselves.
static inline void logits_backward(Gpt *g, const Work *w, int64_t first, int64_t n, float *d, int64_t step) {
    float scale = g->counted ? g->grad_scale / (float)g->counted : 0;
    const GptPath *path = GPT_PATHS[g->path];
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int64_t i = 0; i < gpt_tokens(g); i++) {
        int64_t target = g->targets[i];
        if (target < 0) memset(d + i * step, 0, (size_t)n * sizeof *d);
        else path->probabilities(n, w->lse[i], scale, g->logits + i * logits_step(g) + first, d + i * step);
        if (target >= first && target < first + n) d[i * step + target - first] -= scale;
    }
}

// dh = dlogits table; the table's gradient = or += dlogits^T h.
static inline void op_loss_backward(Gpt *g, const float *h, float *dh) {
    int64_t M = gpt_tokens(g), C = g->config.width, V = g->config.vocab;
    float scale = g->counted ? g->grad_scale / (float)g->counted : 0;
    GptTensor *table = &g->tensors[0];
    if (g->rung == GPT_FORMULA) {
        loss_backward_by_formula(M, C, V, g->logits, g->targets, scale, h, table->data, dh, table->grad);
        return;
    }
    Work w = gpt_shares(g);
    bool fused = g->rung == GPT_CHUNKS;
    for (int64_t v = 0, n; v < V; v += n) {
        n = fused ? smaller(CHUNK, V - v) : V;
        float *d = fused ? w.chunk : g->logits;
        if (g->rung == GPT_PRODUCTS) dlogits_by_formula(M, V, d, g->targets, scale);
        else logits_backward(g, &w, v, n, d, n);
        Matrix words = rows_of(table->data + v * C, n, C, C), grads = rows_of(table->grad + v * C, n, C, C);
        op_multiply(g, rows_of(d, M, n, n), words, rows_of(dh, M, C, C), v > 0, (Finish){0});
        op_multiply(g, transposed(rows_of(d, M, n, n)), rows_of(h, M, C, C), grads, !g->grads_are_0, (Finish){0});
    }
}

// --- gradients and the step ----------------------------------------------------------------------------------------

static inline void settle_grads(Gpt *g) {
    if (g->grads_are_0) memset(g->grad, 0, (size_t)g->numbers * sizeof *g->grad);
    g->grads_are_0 = false;
}

// All that products will not write.
static inline void settle_small_grads(Gpt *g) {
    if (g->rung == GPT_FORMULA) settle_grads(g);
    for (int64_t i = 1; g->grads_are_0 && i < g->tensor_count; i++) {
        GptTensor *t = &g->tensors[i];
        if (i == 1 || t->dimensions == 1) memset(t->grad, 0, (size_t)(t->shape[0] * t->shape[1]) * sizeof *t->grad);
    }
}

// In 64 pieces, whatever the number of threads: the order of the sums, and so the last digit, is always the same.
static inline double op_squares(Gpt *g) {
    const GptPath *path = GPT_PATHS[g->rung < GPT_VECTORS ? 0 : g->path];
    double sums[64] = {0}, sum = 0;
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int n = 0; n < 64; n++) {
        int64_t end = g->numbers * (n + 1) / 64;
        for (int64_t i = g->numbers * n / 64; i < end; i += SPAN)
            sums[n] += path->dot(smaller(SPAN, end - i), g->grad + i, g->grad + i);
    }
    for (int n = 0; n < 64; n++) sum += sums[n];
    return sum;
}

static inline void op_shrink(Gpt *g, float factor) {
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1)
    for (int64_t i = 0; i < g->numbers; i++) g->grad[i] *= factor;
}

static inline void op_adamw(Gpt *g, const GptTensor *t, AdamwStep s) {
    int64_t first = t->data - g->data, n = t->shape[0] * t->shape[1];
    if (g->rung < GPT_VECTORS) {
        adamw_by_formula(n, s, t->data, t->grad, g->m + first, g->v + first);
        return;
    }
#pragma omp parallel for num_threads(g->threads) if (g->threads > 1 && n > 16 * SPAN)
    for (int64_t i = 0; i < n; i += SPAN)
        GPT_PATHS[g->path]->adamw(smaller(SPAN, n - i), s, t->data + i, t->grad + i, g->m + first + i,
                                  g->v + first + i);
}

#endif
