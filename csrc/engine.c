// The engine as a library: what inference/engine.py calls. The work is in generate.h and what that includes.
//
// An engine is opened from a model folder and holds sequences in slots. engine_begin puts a prompt into a slot, each
// engine_step gives one more token for every slot that is named, engine_end frees a slot. What can fail returns false
// and leaves one line in the text of 512 bytes that the caller gave.
//
//     make -C csrc inference          builds build/engine.so and the program build/run

#define _GNU_SOURCE  // for linear.h: large pages

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"

// Sizes for the caller, in this order.
typedef struct {
    int64_t vocabulary, V, hidden, intermediate, layers, heads, kv_heads, head_dim, context, length, slots;
    int64_t mark;   // the token that stands before every text, -1: none
    int64_t bytes;  // of weights that one token's pass reads
} EngineSizes;

typedef struct {
    int64_t slots, length, block, threads;
    int64_t bits, group, widen;  // see LlamaOptions
    int64_t path;                // -1: the best that this processor has
} EngineOptions;

// The paths that this processor can run: bit p stands for path p (0 plain C, 1 AVX2, 2 AVX-512).
int engine_paths(void) { return linear_paths(); }

// NULL, and a line in error, where it cannot be opened.
Generator *engine_open(const char *folder, const EngineOptions *o, char *error) {
    Error e = {{0}};
    int64_t path = o->path < 0 ? (int64_t)linear_best_path() : o->path;
    Generator *g = malloc(sizeof *g);
    if (path >= PATHS || !(linear_paths() >> path & 1)) fault(&e, "this processor has no path %lld", (long long)path);
    else if (o->slots < 1 || o->slots > 4096 || o->block < 1 || o->block > 65536 || o->threads < 1 || o->threads > 1024)
        fault(&e, "slots must be from 1 to 4096, block from 1 to 65536, threads from 1 to 1024");
    else if (!g) fault(&e, "not enough memory");
    else {
        GeneratorOptions options = {
            .slots = o->slots, .length = o->length, .block = o->block, .threads = (int)o->threads,
            .weights = {.bits = (int)o->bits, .group = o->group, .widen = o->widen != 0, .path = (LinearPath)path},
        };
        if (generator_open(g, folder, &options, &e)) return g;
    }
    free(g);
    memcpy(error, e.text, sizeof e.text);
    return NULL;
}

void engine_close(Generator *g) {
    if (!g) return;
    generator_close(g);
    free(g);
}

void engine_sizes(const Generator *g, EngineSizes *sizes) {
    const Config *c = &g->model.config;
    *sizes = (EngineSizes){c->vocab_size, g->V, c->hidden_size, c->intermediate_size, c->layers, c->heads, c->kv_heads,
                           c->head_dim, c->context, g->cache.length, g->cache.slots, generator_mark(g),
                           (int64_t)g->model.bytes};
}

// --- sequences -----------------------------------------------------------------------------------------------------

static bool slot_exists(const Generator *g, int64_t slot, Error *e) {
    return (slot >= 0 && slot < g->cache.slots) || fault(e, "there is no slot %lld", (long long)slot);
}

// A new sequence in a slot: count ids, which go through the model with the next step.
bool engine_begin(Generator *g, int64_t slot, const int32_t *ids, int64_t count, const Sampling *sampling,
                  uint64_t seed, char *error) {
    Error *e = (Error *)(void *)error;
    return slot_exists(g, slot, e) && generator_begin(g, slot, ids, count, sampling, seed, e);
}

// One more token for each of n different slots.
bool engine_step(Generator *g, const int64_t *slots, int64_t n, int32_t *tokens, char *error) {
    Error *e = (Error *)(void *)error;
    for (int64_t i = 0; i < n; i++) {
        if (!slot_exists(g, slots[i], e)) return false;
        for (int64_t j = 0; j < i; j++)
            if (slots[i] == slots[j]) return fault(e, "slot %lld is named twice", (long long)slots[i]);
    }
    return generator_step(g, slots, n, tokens, e);
}

void engine_end(Generator *g, int64_t slot) {
    Error e;
    if (slot_exists(g, slot, &e)) generator_end(g, slot);
}

// --- for tests and measurements ------------------------------------------------------------------------------------

// Sends count ids through the model, in blocks, behind those that a slot holds already; logits: (count, vocabulary),
// or NULL, or with `last` (1, vocabulary). With `fresh` the slot is emptied first.
bool engine_logits(Generator *g, int64_t slot, const int32_t *ids, int64_t count, bool fresh, bool last, float *logits,
                   char *error) {
    Error *e = (Error *)(void *)error;
    if (!slot_exists(g, slot, e)) return false;
    if (fresh) g->cache.used[slot] = 0;
    if (count > g->cache.length - g->cache.used[slot]) return fault(e, "the context of the slot is too short");
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= g->model.config.vocab_size) return fault(e, "there is no token %d", (int)ids[i]);
    for (int64_t at = 0, n; at < count; at += n) {
        n = count - at < g->space.rows ? count - at : g->space.rows;
        int64_t wanted = !logits ? 0 : !last ? n : at + n == count;
        Chunk chunk = {slot, n, wanted, ids + at};
        llama_forward(&g->model, &g->cache, &g->space, &chunk, 1,
                      last || !logits ? logits : logits + at * g->model.config.vocab_size);
    }
    return true;
}

// The next token of each of n slots, all of them the same id, without sampling: what bench.py measures. Each slot
// forgets it again, so that every call does the same work.
void engine_same_step(Generator *g, int64_t n, int32_t id, int64_t length) {
    for (int64_t i = 0; i < n; i++) {
        g->cache.used[i] = length;
        g->chunks[i] = (Chunk){i, 1, 1, &id};
    }
    llama_forward(&g->model, &g->cache, &g->space, g->chunks, n, g->logits);
}

// Samples from given logits (V,), for the comparison with inference/sampling.py: `draws` tokens in a row. False where
// the logits are not finite, or where there is not enough memory.
bool engine_sample(const float *logits, int64_t V, const Sampling *sampling, uint64_t seed, const int32_t *history,
                   int64_t length, int64_t draws, int32_t *tokens) {
    Rng rng = rng_seed(seed);
    Sampler sampler;
    if (!sampler_open(&sampler, V)) return false;
    bool fine = true;
    for (int64_t i = 0; fine && i < draws; i++) {
        tokens[i] = sample_token(&sampler, logits, sampling, &rng, history, length);
        fine = tokens[i] >= 0;
    }
    sampler_close(&sampler);
    return fine;
}

// The sum of n floats, by `threads` threads: what the speed of memory is measured with.
double engine_read(const float *x, int64_t n, int threads) {
    enum { PARTS = 16 };
    int64_t part = n / PARTS / 128 * 128;
    double total = 0;
    (void)threads;
#pragma omp parallel for num_threads(threads) reduction(+ : total) if (threads > 1)
    for (int i = 0; i < PARTS; i++) total += (double)LLAMA_PATHS[linear_best_path()].read(x + i * part, part);
    return total;
}

// --- the tokenizer -------------------------------------------------------------------------------------------------

// Writes at most `room` ids and returns how many there are, or -1 and a line in error.
int64_t engine_encode(const Generator *g, const char *text, int64_t bytes, bool allow_special, int32_t *ids,
                      int64_t room, char *error) {
    Ids found = {0};
    int64_t count = -1;
    if (tokenizer_encode(&g->tokenizer, text, (size_t)bytes, allow_special, &found, (Error *)(void *)error)) {
        count = (int64_t)found.count;
        for (int64_t i = 0; i < count && i < room; i++) ids[i] = found.at[i];
    }
    free(found.at);
    return count;
}

// The bytes of a token, not ended by a zero; NULL for an id that is not there.
const char *engine_token(const Generator *g, int32_t id, int64_t *bytes) {
    size_t size = 0;
    const char *token = tokenizer_token(&g->tokenizer, id, &size);
    *bytes = (int64_t)size;
    return token;
}

int64_t engine_tokens(const Generator *g) { return g->tokenizer.vocab_size; }
bool engine_is_special(const Generator *g, int32_t id) { return tokenizer_is_special(&g->tokenizer, id); }

// Whether the decoded text loses a space at its very beginning.
bool engine_strips_space(const Generator *g) { return g->tokenizer.strips_space; }
