// The memory that llama.h works in: the cache of keys and values, and the rows of numbers of one pass.
//
// Both are allocated once, when the model is loaded. A long context costs nothing as long as texts are short: the
// system gives the cache's pages only when they are first written to.

#ifndef LLAMA_MEMORY_H
#define LLAMA_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "llama_vector.h"
#include "llama_weights.h"

// Keys and values of every layer, for sequences in slots of `length` tokens. Keys lie in blocks of 16, turned (see
// llama_vector.h). What lies behind a sequence's end is never seen.
typedef struct {
    int64_t slots, length, room;  // room: length filled up to whole blocks
    float *k, *v, *memory;        // (layers, slots, K, room / 16, D, 16) and (layers, slots, K, room, V)
    int64_t *used;                // (slots,) tokens that are there
} Cache;

// Working memory for at most `rows` tokens in a call.
typedef struct {
    int64_t rows, threads;
    float *x, *h, *q, *k, *v, *y, *gate, *up;      // (rows, …)
    float *turn;                                   // (rows, D): cosines, then sines, of each token's angles
    float *p;                                      // (threads, 4, room) scores
    int64_t *position, *row_slot;                  // (rows,)
    void *scratch, *memory;                        // of linear.h; of all of them
} Space;

static inline int64_t fill_up(int64_t n, int64_t whole) { return (n + whole - 1) / whole * whole; }

static inline void cache_close(Cache *cache) {
    free(cache->memory), free(cache->used);
    *cache = (Cache){0};
}

// False where there is not enough memory; then there is nothing to close.
static inline bool cache_open(Cache *cache, const Config *c, int64_t slots, int64_t length) {
    int64_t room = fill_up(length, KEYS), wide = fill_up(c->head_dim, KEYS);
    double numbers = (double)c->layers * (double)slots * (double)c->kv_heads * (double)room * (double)(2 * wide);
    *cache = (Cache){.slots = slots, .length = length, .room = room};
    if (numbers > 1e14) return false;
    int64_t keys = c->layers * slots * c->kv_heads * room * c->head_dim, values = keys / c->head_dim * wide;
    cache->memory = calloc((size_t)(keys + values) + KEYS, sizeof(float));
    cache->used = calloc((size_t)slots, sizeof *cache->used);
    if (!cache->memory || !cache->used) {
        cache_close(cache);
        return false;
    }
    cache->k = (float *)(((uintptr_t)cache->memory + 63) / 64 * 64);
    cache->v = cache->k + keys;
    return true;
}

static inline void space_close(Space *s) {
    free(s->memory);
    *s = (Space){0};
}

static inline bool space_open(Space *s, const Llama *m, const Cache *cache, int64_t rows, int threads) {
    const Config *c = &m->config;
    int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    int64_t wide = fill_up(c->head_dim, KEYS) * c->heads, scratch = (int64_t)llama_scratch(m, rows, threads);
    int64_t sizes[] = {rows * c->hidden_size, rows * (c->hidden_size > wide ? c->hidden_size : wide), rows * q,
                       rows * kv, rows * kv, rows * wide, rows * c->intermediate_size, rows * c->intermediate_size,
                       rows * c->head_dim, threads * 4 * cache->room, 2 * rows, 2 * rows, (scratch + 3) / 4};
    enum { PARTS = sizeof sizes / sizeof *sizes };
    int64_t total = 0;
    for (int i = 0; i < PARTS; i++) total += sizes[i] = fill_up(sizes[i], 16);
    *s = (Space){.rows = rows, .threads = threads, .memory = aligned_alloc(64, (size_t)total * sizeof(float))};
    if (!s->memory) return false;
    float **parts[] = {&s->x, &s->h, &s->q, &s->k, &s->v, &s->y, &s->gate, &s->up, &s->turn, &s->p};
    float *at = s->memory;
    int part = 0;
    for (; part < 10; at += sizes[part++]) *parts[part] = at;
    s->position = (int64_t *)(void *)at, at += sizes[part++];
    s->row_slot = (int64_t *)(void *)at, at += sizes[part++];
    s->scratch = at;
    return true;
}

#endif
