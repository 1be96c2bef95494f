// Causal attention with grouped queries, forward and backward, in float32: one formula on a ladder of five rungs.
//
//     O = softmax(Q K^T / sqrt(D)) V        query i sees the keys 0 … i + Tk - Tq
//
// 1 by the formula: the whole table of scores of a head, Tq Tk numbers. 2 FlashAttention 1: tiles of 64 by 64 scores,
// key tiles in the outer loop, online softmax, the output divided and written anew for every tile. 3 FlashAttention 2:
// query tiles in the outer loop, the output stays in the cache, one division at the end, and tiles of which no query
// sees a key are skipped. 4 the order of 3 in vector code (attention_tiles.h). 5 the same by several threads.
// The backward pass of 2 to 5 finds the probabilities of a tile again from the scores and the logarithm of their sum.
//
// Shapes: q, o (B, H, Tq, D), k, v (B, K, Tk, D), lse (B, H, Tq); H is a multiple of K, query heads h of one group
// h / (H / K) share a key and value head; Tq is at most Tk, and the last query stands beside the last key.
//
//     make -C csrc attention          builds build/attention.so, which attention/flash.py calls
//
// Papers: Milakov and Gimelshein (2018), online softmax; Rabe and Staats (2021); Dao et al., FlashAttention (2022);
// Dao, FlashAttention-2 (2023); Ainslie et al., grouped queries (2023).

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "vecmath.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum AttentionNumbers { RUNGS = 5, TILE = 64, STRIP = 16 };  // 64 queries by 64 keys; near the diagonal 16 keys
enum AttentionResult { FINE, NO_MEMORY, IMPOSSIBLE };        // what attention_forward and _backward return
enum AttentionPath { PLAIN, AVX2, AVX512 };                  // the kinds of vectors, for rungs 4 and 5

typedef struct {
    int64_t B, H, K, Tq, Tk, D;
} AttentionSizes;

// What a call computes, or the part of it that belongs to one query head.
typedef struct {
    int64_t B, H, K, Tq, Tk, D;
    float scale;
    const float *q, *k, *v;
    float *o, *lse;
    const float *grad_o;  // from here on: backward only
    float *grad_q, *grad_k, *grad_v;
} AttentionJob;

static inline int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t at_least_0(int64_t a) { return a > 0 ? a : 0; }
static inline int64_t whole_strips(int64_t n) { return (n + STRIP - 1) / STRIP * STRIP; }
static inline int64_t whole_tiles(int64_t n) { return (n + TILE - 1) / TILE * TILE; }

static AttentionJob head_of(const AttentionJob *job, int64_t b, int64_t h) {
    AttentionJob head = *job;
    int64_t query_head = b * job->H + h, key_head = b * job->K + h / (job->H / job->K);
    int64_t queries = query_head * job->Tq * job->D, keys = key_head * job->Tk * job->D;
    head.q += queries, head.o += queries, head.lse += query_head * job->Tq;
    head.k += keys, head.v += keys;
    if (job->grad_o) {
        head.grad_o += queries, head.grad_q += queries;
        head.grad_k += keys, head.grad_v += keys;
    }
    return head;
}

static inline float dot_row(const float *a, const float *b, int64_t D) {
    float sum = 0;
    for (int64_t d = 0; d < D; d++) sum += a[d] * b[d];
    return sum;
}

static inline void add_row(float *to, float factor, const float *row, int64_t D) {
    for (int64_t d = 0; d < D; d++) to[d] += factor * row[d];
}

// --- 1: by the formula --------------------------------------------------------------------------------------------

// p (Tq, Tk) becomes the table of probabilities, lse (unless it is NULL) the logarithm of each row's sum.
static void whole_table(const AttentionJob *head, float *p, float *lse) {
    for (int64_t i = 0; i < head->Tq; i++, p += head->Tk) {
        int64_t seen = i + 1 + head->Tk - head->Tq;
        float max = -INFINITY, total = 0;
        for (int64_t j = 0; j < seen; j++) {
            p[j] = head->scale * dot_row(head->q + i * head->D, head->k + j * head->D, head->D);
            max = p[j] > max ? p[j] : max;
        }
        for (int64_t j = 0; j < seen; j++) total += p[j] = expf(p[j] - max);
        for (int64_t j = 0; j < seen; j++) p[j] /= total;
        for (int64_t j = seen; j < head->Tk; j++) p[j] = 0;
        if (lse) lse[i] = max + logf(total);
    }
}

static void forward_by_formula(const AttentionJob *head, float *p) {
    int64_t D = head->D;
    whole_table(head, p, head->lse);
    for (int64_t i = 0; i < head->Tq; i++, p += head->Tk) {
        memset(head->o + i * D, 0, (size_t)D * sizeof(float));
        for (int64_t j = 0; j <= i + head->Tk - head->Tq; j++) add_row(head->o + i * D, p[j], head->v + j * D, D);
    }
}

static void backward_by_formula(const AttentionJob *head, float *p) {
    int64_t D = head->D, Tk = head->Tk;
    float *grad_p = p + head->Tq * Tk;
    whole_table(head, p, NULL);
    for (int64_t i = 0; i < head->Tq; i++, p += Tk, grad_p += Tk) {
        int64_t seen = i + 1 + Tk - head->Tq;
        const float *grad_o = head->grad_o + i * D;
        float mean = 0;  // of the gradients of a row's probabilities, as they weigh
        for (int64_t j = 0; j < seen; j++) {
            grad_p[j] = dot_row(grad_o, head->v + j * D, D);
            mean += p[j] * grad_p[j];
        }
        for (int64_t j = 0; j < seen; j++) {
            float grad_score = p[j] * (grad_p[j] - mean) * head->scale;
            add_row(head->grad_v + j * D, p[j], grad_o, D);
            add_row(head->grad_q + i * D, grad_score, head->k + j * D, D);
            add_row(head->grad_k + j * D, grad_score, head->q + i * D, D);
        }
    }
}

// --- 2 and 3: tiles -----------------------------------------------------------------------------------------------

// Scores of the queries i0 … and the keys j0 …, at most TILE of each; -infinity where a query must not see a key.
static void scores_of_tile(const AttentionJob *head, int64_t i0, int64_t rows, int64_t j0, int64_t keys, float *s) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < keys; j++) {
            bool hidden = j0 + j > i0 + i + head->Tk - head->Tq;
            const float *q = head->q + (i0 + i) * head->D, *k = head->k + (j0 + j) * head->D;
            s[i * TILE + j] = hidden ? -INFINITY : head->scale * dot_row(q, k, head->D);
        }
}

// One row of a tile: scores become exp(score - max), and max and total take them in. Returns what the sum and the
// output so far must be multiplied by, because they were computed with the smaller max of before.
static float online_softmax(float *s, int64_t keys, float *max, float *total) {
    float before = *max;
    for (int64_t j = 0; j < keys; j++) *max = s[j] > *max ? s[j] : *max;
    float factor = expf(before - *max);
    *total *= factor;
    for (int64_t j = 0; j < keys; j++) *total += s[j] = expf(s[j] - *max);
    return factor;
}

static void forward_keys_outside(const AttentionJob *head, float *work) {
    int64_t D = head->D, Tq = head->Tq;
    float *max = work, *total = max + Tq, *s = total + Tq;
    for (int64_t i = 0; i < Tq; i++) max[i] = -INFINITY, total[i] = 0;
    memset(head->o, 0, (size_t)(Tq * D) * sizeof(float));
    for (int64_t j0 = 0; j0 < head->Tk; j0 += TILE)
        for (int64_t i0 = 0; i0 < Tq; i0 += TILE) {
            int64_t rows = least_of(TILE, Tq - i0), keys = least_of(TILE, head->Tk - j0);
            scores_of_tile(head, i0, rows, j0, keys, s);
            for (int64_t i = 0; i < rows; i++) {
                float *p = s + i * TILE, *o = head->o + (i0 + i) * D, before = total[i0 + i];
                float factor = online_softmax(p, keys, &max[i0 + i], &total[i0 + i]);
                for (int64_t d = 0; d < D; d++) o[d] *= before * factor;  // undoes the division
                for (int64_t j = 0; j < keys; j++) add_row(o, p[j], head->v + (j0 + j) * D, D);
                for (int64_t d = 0; d < D; d++) o[d] /= total[i0 + i];
            }
        }
    for (int64_t i = 0; i < Tq; i++) head->lse[i] = max[i] + logf(total[i]);
}

static void forward_queries_outside(const AttentionJob *head, float *work) {
    int64_t D = head->D;
    float *max = work, *total = max + TILE, *s = total + TILE, *o = s + TILE * TILE;
    for (int64_t i0 = 0; i0 < head->Tq; i0 += TILE) {
        int64_t rows = least_of(TILE, head->Tq - i0), end = i0 + rows + head->Tk - head->Tq;
        for (int64_t i = 0; i < rows; i++) max[i] = -INFINITY, total[i] = 0;
        memset(o, 0, (size_t)(rows * D) * sizeof(float));
        for (int64_t j0 = 0; j0 < end; j0 += TILE) {
            int64_t keys = least_of(TILE, end - j0);
            scores_of_tile(head, i0, rows, j0, keys, s);
            for (int64_t i = 0; i < rows; i++) {
                float factor = online_softmax(s + i * TILE, keys, &max[i], &total[i]);
                for (int64_t d = 0; d < D; d++) o[i * D + d] *= factor;
                for (int64_t j = 0; j < keys; j++) add_row(o + i * D, s[i * TILE + j], head->v + (j0 + j) * D, D);
            }
        }
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t d = 0; d < D; d++) head->o[(i0 + i) * D + d] = o[i * D + d] / total[i];
            head->lse[i0 + i] = max[i] + logf(total[i]);
        }
    }
}

// The first query tile of which a query sees a key of the tile at j0.
static int64_t first_query_tile(const AttentionJob *head, int64_t j0) {
    return at_least_0(j0 - (head->Tk - head->Tq)) / TILE * TILE;
}

// The mean of the gradients of a row's probabilities, without the table: sum_j p_j (grad_o v_j) = grad_o o.
static void row_means(const AttentionJob *head, float *delta) {
    int64_t D = head->D;
    for (int64_t i = 0; i < head->Tq; i++) delta[i] = dot_row(head->grad_o + i * D, head->o + i * D, D);
}

// Both orders of FlashAttention have the key tiles outside here: grad_k and grad_v of a tile stay in the cache.
static void backward_by_tiles(const AttentionJob *head, float *work, bool skip) {
    int64_t D = head->D;
    float *delta = work, *p = delta + head->Tq;
    row_means(head, delta);
    for (int64_t j0 = 0; j0 < head->Tk; j0 += TILE)
        for (int64_t i0 = skip ? first_query_tile(head, j0) : 0; i0 < head->Tq; i0 += TILE) {
            int64_t rows = least_of(TILE, head->Tq - i0), keys = least_of(TILE, head->Tk - j0);
            scores_of_tile(head, i0, rows, j0, keys, p);
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = 0; j < keys; j++) {
                    int64_t query = (i0 + i) * D, key = (j0 + j) * D;
                    float probability = expf(p[i * TILE + j] - head->lse[i0 + i]);
                    float grad_p = dot_row(head->grad_o + query, head->v + key, D);
                    float grad_score = probability * (grad_p - delta[i0 + i]) * head->scale;
                    add_row(head->grad_v + key, probability, head->grad_o + query, D);
                    add_row(head->grad_q + query, grad_score, head->k + key, D);
                    add_row(head->grad_k + key, grad_score, head->q + query, D);
                }
        }
}

#include "attention_vector.h"  // 4 and 5

// --- what Python calls --------------------------------------------------------------------------------------------

static void run_rung(const AttentionJob *job, int rung, int path, int threads, float *work) {
    bool backward = job->grad_o;
    if (rung >= 4) {
        (backward ? backward_by_threads : forward_by_threads)(job, path, threads, work);
        return;
    }
    if (backward) {
        set_0(job->grad_q, job->B * job->H * job->Tq * job->D);
        set_0(job->grad_k, job->B * job->K * job->Tk * job->D);
        set_0(job->grad_v, job->B * job->K * job->Tk * job->D);
    }
    for (int64_t n = 0; n < job->B * job->H; n++) {
        AttentionJob head = head_of(job, n / job->H, n % job->H);
        if (backward && rung == 1) backward_by_formula(&head, work);
        else if (backward) backward_by_tiles(&head, work, rung == 3);
        else if (rung == 1) forward_by_formula(&head, work);
        else if (rung == 2) forward_keys_outside(&head, work);
        else forward_queries_outside(&head, work);
    }
}

// How many numbers of working memory a rung needs.
static int64_t floats_of_job(const AttentionJob *job, int rung, int threads, bool backward) {
    int64_t Tq = whole_tiles(job->Tq), table = job->Tq * job->Tk, tile = TILE * TILE;
    if (rung >= 4) return backward ? floats_of_backward(job, threads) : threads * floats_of_forward(job);
    if (rung == 1) return backward ? 2 * table : table;
    if (backward) return Tq + tile;
    return rung == 2 ? 2 * Tq + tile : 2 * TILE + tile + TILE * job->D;
}

// Vector code wants D in whole strips. Any other D is filled up with zeros in copies of all arrays, which changes no
// product; their numbers are the rest of the working memory.
static int64_t wide_D(int64_t D, int rung) { return rung >= 4 ? whole_strips(D) : D; }

static int64_t floats_of_copies(const AttentionJob *job, int rung, bool backward) {
    int64_t wide = wide_D(job->D, rung), rows = job->B * (job->H * job->Tq + job->K * job->Tk);
    return wide == job->D ? 0 : (backward ? 4 : 2) * rows * wide;
}

// Copies rows of D numbers to rows of `wide`, the rest 0; or, with a smaller `wide`, leaves the rest out.
static void copy_rows(const float *from, int64_t rows, int64_t D, float *to, int64_t wide) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t d = 0; d < wide; d++) to[i * wide + d] = d < D ? from[i * D + d] : 0;
}

static void run_wide(const AttentionJob *job, int rung, int path, int threads, float *copies, float *work) {
    int64_t D = job->D, wide = wide_D(D, rung), rows = job->B * job->H * job->Tq, keys = job->B * job->K * job->Tk;
    float *q = copies, *o = q + rows * wide, *k = o + rows * wide, *v = k + keys * wide, *more = v + keys * wide;
    AttentionJob job_of_copies = *job;
    job_of_copies.D = wide, job_of_copies.q = q, job_of_copies.k = k, job_of_copies.v = v, job_of_copies.o = o;
    copy_rows(job->q, rows, D, q, wide);
    copy_rows(job->k, keys, D, k, wide);
    copy_rows(job->v, keys, D, v, wide);
    if (!job->grad_o) {
        run_rung(&job_of_copies, rung, path, threads, work);
        copy_rows(o, rows, wide, job->o, D);
        return;
    }
    float *grad_o = more, *grad_q = grad_o + rows * wide, *grad_k = grad_q + rows * wide;
    float *grad_v = grad_k + keys * wide;
    job_of_copies.grad_o = grad_o, job_of_copies.grad_q = grad_q;
    job_of_copies.grad_k = grad_k, job_of_copies.grad_v = grad_v;
    copy_rows(job->o, rows, D, o, wide);
    copy_rows(job->grad_o, rows, D, grad_o, wide);
    run_rung(&job_of_copies, rung, path, threads, work);
    copy_rows(grad_q, rows, wide, job->grad_q, D);
    copy_rows(grad_k, keys, wide, job->grad_k, D);
    copy_rows(grad_v, keys, wide, job->grad_v, D);
}

static int64_t floats_of_call(AttentionJob job, int rung, int threads, bool backward) {
    int64_t copies = floats_of_copies(&job, rung, backward);
    job.D = wide_D(job.D, rung);
    return whole_strips(copies + floats_of_job(&job, rung, threads, backward));
}

static int run_job(AttentionJob *job, int rung, int path, int threads) {
    bool possible = job->B > 0 && job->H > 0 && job->K > 0 && job->H % job->K == 0 && job->Tq > 0 && job->D > 0;
    possible = possible && job->Tq <= job->Tk && rung >= 1 && rung <= RUNGS && threads >= 1;
    if (!possible || path < PLAIN || path >= attention_paths()) return IMPOSSIBLE;
    if (rung < 5) threads = 1;
    int64_t copies = floats_of_copies(job, rung, job->grad_o);
    float *room = aligned_alloc(64, (size_t)floats_of_call(*job, rung, threads, job->grad_o) * sizeof(float));
    if (!room) return NO_MEMORY;
    if (copies) run_wide(job, rung, path, threads, room, room + copies);
    else run_rung(job, rung, path, threads, room);
    free(room);
    return FINE;
}

static AttentionJob job_of(const AttentionSizes *sizes) {
    return (AttentionJob){.B = sizes->B, .H = sizes->H, .K = sizes->K, .Tq = sizes->Tq, .Tk = sizes->Tk,
                          .D = sizes->D, .scale = 1 / sqrtf((float)sizes->D)};
}

// Computes o and lse. Returns FINE, or NO_MEMORY, or IMPOSSIBLE for sizes, rungs and paths that are not there.
int attention_forward(int rung, int path, int threads, const AttentionSizes *sizes, const float *q, const float *k,
                      const float *v, float *o, float *lse) {
    AttentionJob job = job_of(sizes);
    job.q = q, job.k = k, job.v = v, job.o = o, job.lse = lse;
    return run_job(&job, rung, path, threads);
}

// Computes the gradients of q, k and v from that of o, and from what attention_forward left in o and lse.
int attention_backward(int rung, int path, int threads, const AttentionSizes *sizes, const float *q, const float *k,
                       const float *v, const float *o, const float *lse, const float *grad_o, float *grad_q,
                       float *grad_k, float *grad_v) {
    AttentionJob job = job_of(sizes);
    job.q = q, job.k = k, job.v = v, job.o = (float *)o, job.lse = (float *)lse, job.grad_o = grad_o;
    job.grad_q = grad_q, job.grad_k = grad_k, job.grad_v = grad_v;
    return run_job(&job, rung, path, threads);
}

// The bytes that a call allocates and frees again.
int64_t attention_bytes(int rung, int threads, const AttentionSizes *sizes, int backward) {
    return floats_of_call(job_of(sizes), rung, rung < 5 ? 1 : threads, backward) * (int64_t)sizeof(float);
}
