// The Llama family's forward pass: token ids to logits, with a KV cache, for several sequences at once.
//
// The numbers are those of inference/model.py. What is computed for a token, in every layer:
//
//     h = x / rms(x) * weight                      q, k, v = Wq h, Wk h, Wv h     q and k turned by the position
//     k, v go to the cache                         y = softmax(q k^T / sqrt(D)) v over all that the cache holds
//     x = x + Wo y                                 h = x / rms(x) * weight
//     x = x + Wdown(silu(Wgate h) * Wup h)         and after the last layer, logits = Whead (x / rms(x) * weight)
//
// One call takes a part of any number of sequences: a block of one's prompt, the last tokens of others. Their tokens
// are the rows of the same matrix products (linear.h), so the weights are read once for all of them. Only attention
// knows which token belongs to whom. A row's numbers do not depend on its company, nor on the number of threads.
//
// The threads live through the whole call and wait for one another a dozen times a layer (gate.h); each computes its
// share of the rows of every matrix. What is too small to share, the first one computes.
//
// Shapes: N rows, T tokens of one sequence, C width, H query heads, K key and value heads, D width of a head, F width
// of the MLP.
//
// Papers: Touvron et al., LLaMA (2023); Zhang and Sennrich, RMSNorm (2019); Su et al., rotary positions (2021);
// Shazeer, SwiGLU (2020); Ainslie et al., grouped queries (2023).

#ifndef LLAMA_H
#define LLAMA_H

#ifdef _OPENMP
#include <omp.h>
#endif

#include "checkpoint.h"
#include "gate.h"
#include "linear.h"
#include "llama_memory.h"
#include "llama_vector.h"
#include "llama_weights.h"

// A part of one sequence: `count` tokens that follow what its slot holds. The logits of the last `wanted` are computed.
typedef struct {
    int64_t slot, count, wanted;
    const int32_t *ids;
} Chunk;

// What one call is about.
typedef struct {
    const Llama *m;
    const Cache *cache;
    const Space *space;
    const Chunk *chunks;
    const LlamaPath *path;
    int64_t n, N, W;  // chunks, rows, rows whose logits are wanted
    float *logits;    // (W, vocabulary)
    Gate *gate;       // where the threads wait for one another
} Pass;

// --- the pieces ----------------------------------------------------------------------------------------------------

static inline void add_to(float *x, const float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

// Adds a bias, where there is one, to rows of n numbers.
static inline void add_bias(float *x, const float *bias, int64_t rows, int64_t n) {
    if (!bias) return;
    for (int64_t r = 0; r < rows; r++) add_to(x + r * n, bias, n);
}

// Turns the pairs (x[i], x[i + D/2]) of one head by the angles of its position, and scales it; turn: D/2 cosines, then
// D/2 sines.
static inline void rotate_head(float *x, const float *turn, int64_t D, float scale) {
    for (int64_t i = 0; i < D / 2; i++) {
        float first = x[i], second = x[i + D / 2], cosine = turn[i], sine = turn[i + D / 2];
        x[i] = (first * cosine - second * sine) * scale;
        x[i + D / 2] = (second * cosine + first * sine) * scale;
    }
}

// Where the rows of the chunks stand: their positions, slots and angles; and their embeddings.
static inline void place_rows(const Pass *p) {
    const Llama *m = p->m;
    int64_t D = m->config.head_dim, row = 0;
    for (const Chunk *chunk = p->chunks; chunk < p->chunks + p->n; chunk++)
        for (int64_t t = 0; t < chunk->count; t++, row++) {
            int64_t position = p->cache->used[chunk->slot] + t;
            p->space->position[row] = position, p->space->row_slot[row] = chunk->slot;
            for (int64_t i = 0; i < D / 2; i++) {
                double angle = (double)((float)position * m->frequency[i]);  // rounded to float, as torch does
                p->space->turn[row * D + i] = (float)cos(angle);
                p->space->turn[row * D + D / 2 + i] = (float)sin(angle);
            }
            llama_embed(m, chunk->ids[t], p->space->x + row * m->config.hidden_size);
        }
}

// Rows of x, normed, to h, and in order for the matrix w.
static inline void norm_rows(const Pass *p, const float *weight, const float *x, int64_t rows, const Linear *w) {
    int64_t C = p->m->config.hidden_size;
    for (int64_t r = 0; r < rows; r++)
        p->path->norm(x + r * C, weight, C, (float)p->m->config.rms_norm_eps, p->space->h + r * C);
    linear_input(w, p->space->h, rows, p->space->scratch);
}

// Where head g of a layer keeps a slot's keys, counted in tokens.
static inline int64_t cache_row(const Pass *p, int64_t layer, int64_t slot, int64_t g) {
    return ((layer * p->cache->slots + slot) * p->m->config.kv_heads + g) * p->cache->room;
}

// Key head g, and the query heads that share it, of the rows first … last - 1, turned: queries stay where they are,
// scaled; keys and values go to the cache. Neighboring rows mostly write to the same lines of memory.
static inline void store_rows(const Pass *p, int64_t layer, int64_t g, int64_t first, int64_t last) {
    const Config *c = &p->m->config;
    const LlamaLayer *l = &p->m->layers[layer];
    int64_t D = c->head_dim, V = fill_up(D, KEYS), group = c->heads / c->kv_heads;
    float scale = 1.0f / sqrtf((float)D);
    for (int64_t row = first; row < last; row++) {
        int64_t position = p->space->position[row], to = cache_row(p, layer, p->space->row_slot[row], g);
        float *q = p->space->q + (row * c->heads + g * group) * D, *k = p->space->k + (row * c->kv_heads + g) * D;
        float *v = p->space->v + (row * c->kv_heads + g) * D;
        float *keys = p->cache->k + (to + position / KEYS * KEYS) * D + position % KEYS;
        const float *turn = p->space->turn + row * D;
        if (l->q_bias) {
            add_to(q, l->q_bias + g * group * D, group * D);
            add_to(k, l->k_bias + g * D, D), add_to(v, l->v_bias + g * D, D);
        }
        for (int64_t h = 0; h < group; h++) rotate_head(q + h * D, turn, D, scale);
        rotate_head(k, turn, D, 1.0f);
        for (int64_t d = 0; d < D; d++) keys[d * KEYS] = k[d];
        memcpy(p->cache->v + (to + position) * V, v, (size_t)D * sizeof(float));
    }
}

// Attention of key head g for the rows first … first + count - 1 of one sequence, by as many queries at a time as
// the vectors can hold: the heads that share g, of one row after another.
static inline void attend_rows(const Pass *p, int64_t layer, int64_t g, int64_t first, int64_t count, int thread) {
    const Config *c = &p->m->config;
    int64_t D = c->head_dim, V = fill_up(D, KEYS), group = c->heads / c->kv_heads;
    int64_t row = cache_row(p, layer, p->space->row_slot[first], g);
    Attend a = {.D = D, .V = V, .k = p->cache->k + row * D, .v = p->cache->v + row * V};
    for (int64_t i = 0; i < count * group; i += a.rows) {
        int64_t left = count * group - i;
        a.rows = left >= 4 ? 4 : left >= 2 ? 2 : 1;
        a.longest = 0;
        for (int r = 0; r < a.rows; r++) {
            int64_t at = first + (i + r) / group, head = g * group + (i + r) % group;
            a.seen[r] = p->space->position[at] + 1;
            a.longest = a.seen[r] > a.longest ? a.seen[r] : a.longest;
            a.q[r] = p->space->q + (at * c->heads + head) * D;
            a.p[r] = p->space->p + (thread * 4 + r) * p->cache->room;
            a.y[r] = p->space->y + (at * c->heads + head) * V;
        }
        p->path->attend(&a);
    }
}

// The heads' results without the columns that fill up the strips.
static inline const float *without_gaps(const Pass *p, int64_t rows) {
    int64_t D = p->m->config.head_dim, V = fill_up(D, KEYS);
    if (V != D)
        for (int64_t i = 1; i < rows * p->m->config.heads; i++)
            memmove(p->space->y + i * D, p->space->y + i * V, (size_t)D * sizeof(float));
    return p->space->y;
}

// --- the pass, as every thread walks through it --------------------------------------------------------------------

enum { ATTEND_ROWS = 8 };  // of a prompt, that a thread takes at a time

static inline void meet(const Pass *p, int threads) {
    if (threads > 1) gate_wait(p->gate, threads);
}

static inline void attention_layer(const Pass *p, int64_t layer, int thread, int threads) {
    const Space *s = p->space;
    const LlamaLayer *l = &p->m->layers[layer];
    const Config *c = &p->m->config;
    if (thread == 0) norm_rows(p, l->input_norm, s->x, p->N, &l->q);
    meet(p, threads);
    linear_share(&l->q, p->N, s->q, s->scratch, thread, threads);
    linear_share(&l->k, p->N, s->k, s->scratch, thread, threads);
    linear_share(&l->v, p->N, s->v, s->scratch, thread, threads);
    meet(p, threads);
    int64_t first = 0, blocks = (p->N + KEYS - 1) / KEYS, parts = blocks * c->kv_heads;
    for (int64_t i = parts * thread / threads; i < parts * (thread + 1) / threads; i++) {
        int64_t row = i % blocks * KEYS;
        store_rows(p, layer, i / blocks, row, p->N - row < KEYS ? p->N : row + KEYS);
    }
    meet(p, threads);
    for (const Chunk *chunk = p->chunks; chunk < p->chunks + p->n; first += chunk++->count) {
        int64_t pieces = (chunk->count + ATTEND_ROWS - 1) / ATTEND_ROWS;
#pragma omp for schedule(dynamic) nowait
        for (int64_t i = 0; i < pieces * c->kv_heads; i++) {
            int64_t at = i % pieces * ATTEND_ROWS, left = chunk->count - at;
            attend_rows(p, layer, i / pieces, first + at, left < ATTEND_ROWS ? left : ATTEND_ROWS, thread);
        }
    }
    meet(p, threads);
    if (thread == 0) linear_input(&l->o, without_gaps(p, p->N), p->N, s->scratch);
    meet(p, threads);
    linear_share(&l->o, p->N, s->h, s->scratch, thread, threads);
    meet(p, threads);
}

static inline void mlp_layer(const Pass *p, int64_t layer, int thread, int threads) {
    const Space *s = p->space;
    const LlamaLayer *l = &p->m->layers[layer];
    int64_t C = p->m->config.hidden_size, F = p->m->config.intermediate_size;
    if (thread == 0) {
        add_bias(s->h, l->o_bias, p->N, C);
        add_to(s->x, s->h, p->N * C);
        norm_rows(p, l->post_norm, s->x, p->N, &l->gate);
    }
    meet(p, threads);
    linear_share(&l->gate, p->N, s->gate, s->scratch, thread, threads);
    linear_share(&l->up, p->N, s->up, s->scratch, thread, threads);
    meet(p, threads);
    for (int64_t row = p->N * thread / threads; row < p->N * (thread + 1) / threads; row++) {
        add_bias(s->gate + row * F, l->gate_bias, 1, F);
        add_bias(s->up + row * F, l->up_bias, 1, F);
        p->path->swiglu(s->gate + row * F, s->up + row * F, F);
    }
    meet(p, threads);
    if (thread == 0) linear_input(&l->down, s->gate, p->N, s->scratch);
    meet(p, threads);
    linear_share(&l->down, p->N, s->h, s->scratch, thread, threads);
    meet(p, threads);
    if (thread == 0) {  // as all that comes before the next meeting
        add_bias(s->h, l->down_bias, p->N, C);
        add_to(s->x, s->h, p->N * C);
    }
}

// The rows whose logits are wanted, one behind the other. Returns how many.
static inline void gather_wanted(const Pass *p) {
    int64_t C = p->m->config.hidden_size, row = 0, to = 0;
    for (const Chunk *chunk = p->chunks; chunk < p->chunks + p->n; row += chunk++->count)
        for (int64_t t = chunk->count - chunk->wanted; t < chunk->count; t++, to++)
            memmove(p->space->x + to * C, p->space->x + (row + t) * C, (size_t)C * sizeof(float));
}

static inline void run_pass(const Pass *p, int thread, int threads) {
    if (thread == 0) place_rows(p);
    for (int64_t layer = 0; layer < p->m->config.layers; layer++) {
        attention_layer(p, layer, thread, threads);
        mlp_layer(p, layer, thread, threads);
    }
    if (p->W == 0) return;
    if (thread == 0) {
        gather_wanted(p);
        norm_rows(p, p->m->norm, p->space->x, p->W, &p->m->head);
    }
    meet(p, threads);
    linear_share(&p->m->head, p->W, p->logits, p->space->scratch, thread, threads);
}

// Sends the chunks through the model: n different slots, together at most space->rows tokens, each with room for its
// own. logits: a row for each token that is wanted, chunk after chunk. The slots then hold the new tokens, too.
static inline void llama_forward(const Llama *m, Cache *cache, const Space *space, const Chunk *chunks, int64_t n,
                                 float *logits) {
    Gate gate = {0};
    Pass p = {m, cache, space, chunks, &LLAMA_PATHS[m->path], .n = n, .logits = logits, .gate = &gate};
    for (int64_t i = 0; i < n; i++) p.N += chunks[i].count, p.W += chunks[i].wanted;
    if (space->threads <= 1) {
        run_pass(&p, 0, 1);
    } else {
#ifdef _OPENMP
#pragma omp parallel num_threads((int)space->threads)
        run_pass(&p, omp_get_thread_num(), omp_get_num_threads());
#else
        run_pass(&p, 0, 1);
#endif
    }
    for (int64_t i = 0; i < n; i++) cache->used[chunks[i].slot] += chunks[i].count;
}

#endif
