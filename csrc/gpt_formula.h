// Rung 1 of gpt.h: every operation of GPT-2, forward and backward, in plain loops that read like the formulas.
//
// M tokens (B sequences of T), C width, H heads of D = C / H numbers, V vocabulary. dy: the gradient of the loss by y.
// A function of the backward pass adds to the gradients of weights, and writes those of activations unless it says
// that it adds.
//
// Papers: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); Kingma and Ba, "Adam" (2014);
// Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2017).

#ifndef GPT_FORMULA_H
#define GPT_FORMULA_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// y = (x - mean) / sqrt(variance + eps) * w + b, row by row. stats (M, 2): mean and 1 / sqrt(variance + eps).
static inline void norm_by_formula(int64_t M, int64_t C, float eps, const float *x, const float *w,
                                   const float *b, float *y, float *stats) {
    for (int64_t i = 0; i < M; i++, x += C, y += C) {
        float mean = 0, variance = 0;
        for (int64_t c = 0; c < C; c++) mean += x[c] / (float)C;
        for (int64_t c = 0; c < C; c++) variance += (x[c] - mean) * (x[c] - mean) / (float)C;
        float scale = 1 / sqrtf(variance + eps);
        for (int64_t c = 0; c < C; c++) y[c] = (x[c] - mean) * scale * w[c] + b[c];
        stats[2 * i] = mean, stats[2 * i + 1] = scale;
    }
}

// With z = (x - mean) scale and dz = dy w:  dx += (dz - mean of dz - z * mean of dz z) scale. dx adds.
static inline void norm_backward_by_formula(int64_t M, int64_t C, const float *x, const float *stats,
                                            const float *w, const float *dy, float *dw, float *db, float *dx) {
    for (int64_t i = 0; i < M; i++, x += C, dy += C, dx += C) {
        float mean = stats[2 * i], scale = stats[2 * i + 1], mean_dz = 0, mean_dz_z = 0;
        for (int64_t c = 0; c < C; c++) {
            mean_dz += dy[c] * w[c] / (float)C;
            mean_dz_z += dy[c] * w[c] * (x[c] - mean) * scale / (float)C;
        }
        for (int64_t c = 0; c < C; c++) {
            float z = (x[c] - mean) * scale;
            dw[c] += dy[c] * z;
            db[c] += dy[c];
            dx[c] += (dy[c] * w[c] - mean_dz - z * mean_dz_z) * scale;
        }
    }
}

// y (M, N) = x (M, K) w (K, N) + b (N,), and + from (M, N), unless it is NULL.
static inline void linear_by_formula(int64_t M, int64_t K, int64_t N, const float *x, const float *w, const float *b,
                                     const float *from, float *y) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            float sum = b[j] + (from ? from[i * N + j] : 0);
            for (int64_t k = 0; k < K; k++) sum += x[i * K + k] * w[k * N + j];
            y[i * N + j] = sum;
        }
}

// dx = dy w^T, dw += x^T dy, db += the sum of dy's rows.
static inline void linear_backward_by_formula(int64_t M, int64_t K, int64_t N, const float *x, const float *w,
                                              const float *dy, float *dx, float *dw, float *db) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t k = 0; k < K; k++) {
            float sum = 0;
            for (int64_t j = 0; j < N; j++) {
                sum += dy[i * N + j] * w[k * N + j];
                dw[k * N + j] += x[i * K + k] * dy[i * N + j];
            }
            dx[i * K + k] = sum;
        }
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) db[j] += dy[i * N + j];
}

// gelu(x) = x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3)
static inline void gelu_by_formula(int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = 0.5f * x[i] * (1 + tanhf(0.797884561f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

// dx = dy times the slope at x; dx may be dy itself.
static inline void gelu_backward_by_formula(int64_t n, const float *x, const float *dy, float *dx) {
    for (int64_t i = 0; i < n; i++) {
        float t = tanhf(0.797884561f * (x[i] + 0.044715f * x[i] * x[i] * x[i]));
        float bend = 0.797884561f * (1 + 3 * 0.044715f * x[i] * x[i]);
        dx[i] = dy[i] * (0.5f * (1 + t) + 0.5f * x[i] * (1 - t * t) * bend);
    }
}

// One row of probabilities: p_j = e^(q.k_j / sqrt D) over the sum of these, j = 0 … t. q and k lie in rows of 3 C.
static inline void attention_row(int64_t t, int64_t D, int64_t row, const float *q, const float *k, float *p) {
    float max = -INFINITY, total = 0;
    for (int64_t j = 0; j <= t; j++) {
        p[j] = 0;
        for (int64_t d = 0; d < D; d++) p[j] += q[d] * k[j * row + d];
        p[j] /= sqrtf((float)D);
        max = p[j] > max ? p[j] : max;
    }
    for (int64_t j = 0; j <= t; j++) total += p[j] = expf(p[j] - max);
    for (int64_t j = 0; j <= t; j++) p[j] /= total;
}

// qkv (M, 3 C) holds queries, keys and values of all heads; a (M, C): what each head found. work: 2 T numbers.
static inline void attention_by_formula(int64_t B, int64_t T, int64_t H, int64_t D, const float *qkv, float *a,
                                        float *p) {
    int64_t C = H * D, row = 3 * C;
    memset(a, 0, (size_t)(B * T * C) * sizeof *a);
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t t = 0; t < T; t++) {
                const float *q = qkv + (b * T + t) * row + h * D, *k = qkv + b * T * row + C + h * D, *v = k + C;
                attention_row(t, D, row, q, k, p);
                for (int64_t j = 0; j <= t; j++)
                    for (int64_t d = 0; d < D; d++) a[(b * T + t) * C + h * D + d] += p[j] * v[j * row + d];
            }
}

// dp_j = da.v_j, and by the score of j: ds_j = p_j (dp_j - the sum of p dp) / sqrt D.
static inline void attention_backward_by_formula(int64_t B, int64_t T, int64_t H, int64_t D, const float *qkv,
                                                 const float *da, float *dqkv, float *p) {
    int64_t C = H * D, row = 3 * C;
    float *dp = p + T;
    memset(dqkv, 0, (size_t)(B * T * row) * sizeof *dqkv);
    for (int64_t b = 0; b < B; b++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t t = 0; t < T; t++) {
                int64_t query = (b * T + t) * row + h * D, keys = b * T * row + C + h * D;
                const float *q = qkv + query, *k = qkv + keys, *v = k + C, *out = da + (b * T + t) * C + h * D;
                float *dq = dqkv + query, *dk = dqkv + keys, *dv = dk + C, mean = 0;
                attention_row(t, D, row, q, k, p);
                for (int64_t j = 0; j <= t; j++) {
                    dp[j] = 0;
                    for (int64_t d = 0; d < D; d++) dp[j] += out[d] * v[j * row + d];
                    mean += p[j] * dp[j];
                }
                for (int64_t j = 0; j <= t; j++) {
                    float ds = p[j] * (dp[j] - mean) / sqrtf((float)D);
                    for (int64_t d = 0; d < D; d++) {
                        dq[d] += ds * k[j * row + d];
                        dk[j * row + d] += ds * q[d];
                        dv[j * row + d] += p[j] * out[d];
                    }
                }
            }
}

// logits (M, V) = h (M, C) table^T: how well the row of each word fits.
static inline void logits_by_formula(int64_t M, int64_t C, int64_t V, const float *h, const float *table,
                                     float *logits) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < V; j++) {
            float sum = 0;
            for (int64_t c = 0; c < C; c++) sum += h[i * C + c] * table[j * C + c];
            logits[i * V + j] = sum;
        }
}

// The sum over tokens of -ln p[target], p = softmax(logits). logits become p. A target of -1 counts for nothing.
static inline double loss_by_formula(int64_t M, int64_t V, float *logits, const int32_t *targets) {
    double loss = 0;
    for (int64_t i = 0; i < M; i++, logits += V) {
        float max = -INFINITY;
        double total = 0;
        for (int64_t j = 0; j < V; j++) max = logits[j] > max ? logits[j] : max;
        if (targets[i] >= 0) loss -= logits[targets[i]] - max;
        for (int64_t j = 0; j < V; j++) total += logits[j] = expf(logits[j] - max);
        for (int64_t j = 0; j < V; j++) logits[j] = (float)(logits[j] / total);
        if (targets[i] >= 0) loss += log(total);
    }
    return loss;
}

// p become the gradients of the logits: (p - 1 at the target) scale, or 0 where there is no target.
static inline void dlogits_by_formula(int64_t M, int64_t V, float *p, const int32_t *targets, float scale) {
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < V; j++)
            p[i * V + j] = targets[i] < 0 ? 0 : (p[i * V + j] - (j == targets[i])) * scale;
}

// From p, which become dlogits: dh = dlogits table, dtable += dlogits^T h.
static inline void loss_backward_by_formula(int64_t M, int64_t C, int64_t V, float *p, const int32_t *targets,
                                            float scale, const float *h, const float *table, float *dh,
                                            float *dtable) {
    dlogits_by_formula(M, V, p, targets, scale);
    memset(dh, 0, (size_t)(M * C) * sizeof *dh);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < V; j++)
            for (int64_t c = 0; c < C; c++) {
                dh[i * C + c] += p[i * V + j] * table[j * C + c];
                dtable[j * C + c] += p[i * V + j] * h[i * C + c];
            }
}

// The numbers of a step of AdamW that are the same for all parameters.
typedef struct {
    float beta1, beta2, eps;
    float keep, rate, correct;  // 1 - lr decay, lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
} AdamwStep;

// m and v follow the mean of g and of g^2;  p = keep p - rate m / (sqrt(v) correct + eps).
static inline void adamw_by_formula(int64_t n, AdamwStep s, float *p, const float *g, float *m, float *v) {
    for (int64_t i = 0; i < n; i++) {
        m[i] += (g[i] - m[i]) * (1 - s.beta1);
        v[i] = v[i] * s.beta2 + g[i] * g[i] * (1 - s.beta2);
        p[i] = p[i] * s.keep - s.rate * m[i] / (sqrtf(v[i]) * s.correct + s.eps);
    }
}

#endif
