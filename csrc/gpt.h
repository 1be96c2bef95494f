// GPT-2 in C, to be trained: forward, backward and AdamW over blocks of plain floats. A ladder of rungs: rung 1 is the
// formulas in loops (gpt_formula.h), the others are faster, with the same numbers up to rounding (gpt_rungs.h).
//
//     Gpt g;
//     if (!gpt_new(&g, config, B, T, 0, threads, &error)) …            0: the fastest rung
//     gpt_initialize(&g, &rng);
//     for (int64_t step = 1; step <= steps; step++) {
//         gpt_zero_grad(&g);
//         double loss = gpt_forward(&g, B, T, inputs, targets);
//         gpt_backward(&g);
//         gpt_clip(&g, 1.0);
//         gpt_adamw(&g, step, lr, 0.9f, 0.95f, 1e-8f, 0.1f);
//     }
//     gpt_free(&g);
//
// The model is that of transformer/gpt2.py: x = wte[id] + wpe[t]; in each block x += attention(norm(x)), then
// x += mlp(norm(x)); logits = norm(x) wte^T. M tokens (B sequences of T), C width, H heads, V vocabulary, L blocks.
//
// Paper: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).

#ifndef GPT_H
#define GPT_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "rng.h"

typedef struct {
    int64_t vocab, context, width, layers, heads;
    float eps;  // of the norms
} GptConfig;

// One array of weights. Names are those of Hugging Face's GPT-2; a matrix is (in, out), as in its files: y = x W + b.
typedef struct {
    char name[64];
    int dimensions;
    int64_t shape[2];  // of a vector, shape[1] is 1
    float *data, *grad;
    bool decay;  // AdamW pulls matrices and tables towards 0, norms and biases not
} GptTensor;

typedef struct {
    GptConfig config;
    int64_t B, T;       // the largest batch that there is room for
    int threads, rung;
    int path;           // the kind of vectors of rungs 2 to 4: 0 plain C, 1 AVX2, 2 AVX-512
    float grad_scale;   // 1; for a gradient from n batches, 1 / n: gpt_backward multiplies by it
    GptTensor *tensors;
    int64_t tensor_count, parameters;    // parameters: how many numbers the tensors hold
    float *data, *grad, *m, *v;          // parameters, gradients, the two moments: `numbers` each
    int64_t numbers;                     // parameters and the gaps between tensors, which are 0
    // what a forward leaves for the backward: all tokens' x before each norm, h after it, and so on
    int64_t batch, length, counted;      // B and T of the last forward, and how many of its targets count
    int32_t *inputs, *targets;           // (M,)
    float *x, *h, *stats;                // (2 L + 1, M, C), the same, (2 L + 1, M, 2)
    float *qkv, *a, *lse, *up, *act;     // (L, M, 3 C), (L, M, C), (L, M, H), (L, M, 4 C) before gelu and after
    float *logits, *dx, *dh, *wide;      // (M, V); (M, C) and (M, 4 C) of the backward pass
    float *work;                         // of the fast rungs
    bool grads_are_0, has_loss;          // grads_are_0: to be taken as 0, whatever stands there
    void *memory, *activations;
} Gpt;

// Rungs are numbered from 1 to this.
enum { GPT_FORMULA = 1, GPT_PRODUCTS, GPT_VECTORS, GPT_CHUNKS, GPT_RUNGS = GPT_CHUNKS };

// Where a block's tensors stand after the two tables.
enum {
    LN1_W, LN1_B, QKV_W, QKV_B, PROJ_W, PROJ_B, LN2_W, LN2_B, UP_W, UP_B, DOWN_W, DOWN_B, PER_BLOCK, FIRST_BLOCK = 2
};

static inline GptTensor *gpt_tensor(const Gpt *g, int64_t layer, int which) {
    return &g->tensors[FIRST_BLOCK + PER_BLOCK * layer + which];  // layer L: the last norm
}

// How many paths (kinds of vectors) this processor can run.
static inline int gpt_paths(void) {
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return avx2 && __builtin_cpu_supports("avx512f") ? 3 : avx2 ? 2 : 1;
#else
    return 1;
#endif
}

#include "gpt_memory.h"
#include "gpt_rungs.h"

// --- forward -------------------------------------------------------------------------------------------------------

static inline bool gpt_knows(const Gpt *g, int64_t n, const int32_t *ids, int32_t least) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < least || ids[i] >= g->config.vocab) return false;
    return true;
}

static inline void gpt_block(Gpt *g, int64_t l) {
    int64_t M = g->batch * g->length, C = g->config.width, step = gpt_step(g);
    float *x = g->x + 2 * l * step, *h = g->h + 2 * l * step, *qkv = g->qkv + 3 * l * step, *a = g->a + l * step;
    float *up = g->up + 4 * l * step, *act = g->act + 4 * l * step;
    op_norm(g, 2 * l, gpt_tensor(g, l, LN1_W), x, h);
    op_linear(g, M, C, 3 * C, h, gpt_tensor(g, l, QKV_W), NULL, qkv);
    op_attention(g, l, qkv, a);
    op_linear(g, M, C, C, a, gpt_tensor(g, l, PROJ_W), x, x + step);
    op_norm(g, 2 * l + 1, gpt_tensor(g, l, LN2_W), x + step, h + step);
    op_linear_gelu(g, M, C, 4 * C, h + step, gpt_tensor(g, l, UP_W), up, act);
    op_linear(g, M, 4 * C, C, act, gpt_tensor(g, l, DOWN_W), x + step, x + 2 * step);
}

// inputs (B, T). With targets (B, T), of which -1 counts for nothing: the mean loss in nats, 0 where none counts.
// targets NULL: returns 0, and gpt_logits has the logits (B, T, V). NaN for more than there is room for, or for ids
// that are not in the vocabulary; then nothing was computed.
static inline double gpt_forward(Gpt *g, int64_t B, int64_t T, const int32_t *inputs, const int32_t *targets) {
    int64_t M = B * T, C = g->config.width, L = g->config.layers;
    g->has_loss = false;
    if (B < 1 || T < 1 || B > g->B || T > g->T || !gpt_knows(g, M, inputs, 0)) return NAN;
    if (targets && !gpt_knows(g, M, targets, -1)) return NAN;
    g->batch = B, g->length = T, g->counted = 0;
    memcpy(g->inputs, inputs, (size_t)M * sizeof *inputs);
    for (int64_t i = 0; i < M; i++) {
        const float *word = g->tensors[0].data + inputs[i] * C, *place = g->tensors[1].data + i % T * C;
        for (int64_t c = 0; c < C; c++) g->x[i * C + c] = word[c] + place[c];
    }
    for (int64_t l = 0; l < L; l++) gpt_block(g, l);
    int64_t last = 2 * L * gpt_step(g);
    op_norm(g, 2 * L, gpt_tensor(g, L, LN1_W), g->x + last, g->h + last);
    if (!targets) {
        op_logits(g, g->h + last);
        return 0;
    }
    memcpy(g->targets, targets, (size_t)M * sizeof *targets);
    for (int64_t i = 0; i < M; i++) g->counted += targets[i] >= 0;
    g->has_loss = true;
    double loss = op_loss(g, g->h + last);
    return g->counted ? loss / (double)g->counted : 0;
}

// (B, T, V), after a forward without targets; until the next one.
static inline const float *gpt_logits(const Gpt *g) { return g->logits; }

// --- backward ------------------------------------------------------------------------------------------------------

// All gradients are 0 from here on. The fast rungs only remember it, and write instead of adding: what stands in grad
// means nothing before the next gpt_backward, gpt_clip or gpt_adamw.
static inline void gpt_zero_grad(Gpt *g) {
    g->grads_are_0 = true;
    if (g->rung == GPT_FORMULA) settle_grads(g);
}

static inline void gpt_block_backward(Gpt *g, int64_t l) {
    int64_t M = g->batch * g->length, C = g->config.width, step = gpt_step(g);
    const float *x = g->x + 2 * l * step, *h = g->h + 2 * l * step, *qkv = g->qkv + 3 * l * step;
    const float *up = g->up + 4 * l * step, *act = g->act + 4 * l * step, *a = g->a + l * step;
    op_linear_backward(g, M, 4 * C, C, act, gpt_tensor(g, l, DOWN_W), g->dx, g->wide, up);
    op_linear_backward(g, M, C, 4 * C, h + step, gpt_tensor(g, l, UP_W), g->wide, g->dh, NULL);
    op_norm_backward(g, 2 * l + 1, gpt_tensor(g, l, LN2_W), x + step, g->dh, g->dx);
    op_linear_backward(g, M, C, C, a, gpt_tensor(g, l, PROJ_W), g->dx, g->dh, NULL);
    op_attention_backward(g, l, qkv, a, g->dh, g->wide);
    op_linear_backward(g, M, C, 3 * C, h, gpt_tensor(g, l, QKV_W), g->wide, g->dh, NULL);
    op_norm_backward(g, 2 * l, gpt_tensor(g, l, LN1_W), x, g->dh, g->dx);
}

// Adds grad_scale times the gradient of the last forward's loss to all gradients. Once for each forward with targets;
// without one it does nothing.
static inline void gpt_backward(Gpt *g) {
    int64_t M = g->batch * g->length, C = g->config.width, L = g->config.layers, last = 2 * L * gpt_step(g);
    if (!g->has_loss) return;
    g->has_loss = false;
    settle_small_grads(g);
    op_loss_backward(g, g->h + last, g->dh);
    memset(g->dx, 0, (size_t)(M * C) * sizeof *g->dx);
    op_norm_backward(g, 2 * L, gpt_tensor(g, L, LN1_W), g->x + last, g->dh, g->dx);
    for (int64_t l = L - 1; l >= 0; l--) gpt_block_backward(g, l);
    for (int64_t i = 0; i < M; i++) {
        float *word = g->tensors[0].grad + g->inputs[i] * C, *place = g->tensors[1].grad + i % g->length * C;
        for (int64_t c = 0; c < C; c++) word[c] += g->dx[i * C + c], place[c] += g->dx[i * C + c];
    }
    g->grads_are_0 = false;
}

// --- the step ------------------------------------------------------------------------------------------------------

// Makes all gradients together at most `most` long (0: as they are). Returns how long they were: the root of the sum of
// their squares.
static inline double gpt_clip(Gpt *g, double most) {
    settle_grads(g);
    double norm = sqrt(op_squares(g));
    if (most > 0 && norm > most) op_shrink(g, (float)(most / (norm + 1e-6)));  // torch's clip_grad_norm_ has 1e-6 too
    return norm;
}

// Step number 1, 2, … of AdamW, with the arithmetic of torch.optim.AdamW.
static inline void gpt_adamw(Gpt *g, int64_t step, float lr, float beta1, float beta2, float eps, float weight_decay) {
    settle_grads(g);
    AdamwStep s = {.beta1 = beta1, .beta2 = beta2, .eps = eps};
    s.rate = (float)(lr / (1 - pow(beta1, (double)step)));
    s.correct = (float)(1 / sqrt(1 - pow(beta2, (double)step)));
    for (int64_t i = 0; i < g->tensor_count; i++) {
        s.keep = g->tensors[i].decay ? 1 - lr * weight_decay : 1;
        op_adamw(g, &g->tensors[i], s);
    }
}

#endif
