// From a folder to tokens: the model, its tokenizer, and sequences in slots, each with its own settings and seed.
//
//     Generator g;
//     if (!generator_open(&g, folder, &options, &error)) … error.text …
//     generator_begin(&g, slot, ids, count, &sampling, seed, &error);
//     while (…) generator_step(&g, slots, n, tokens, &error);     one more token for each of the n slots
//     generator_close(&g);
//
// A step takes what is new of all its slots: whole prompts of those that have just begun, the last token of the others.
// They go through the model together, at most `block` tokens at a time, and the product for a long block runs at the
// speed of arithmetic, not of memory. A sequence's tokens depend on its ids, its settings and its seed, and on nothing
// else: not on who else is there, nor on the block, nor on the number of threads.

#ifndef GENERATE_H
#define GENERATE_H

#include "llama.h"
#include "sampling.h"
#include "tokenizer.h"

typedef struct {
    int64_t slots, length;  // sequences at once; tokens of each, 0: the model's context
    int64_t block;          // tokens that go through the model together, at most
    int threads;
    LlamaOptions weights;
} GeneratorOptions;

typedef struct {
    bool taken;
    int32_t *ids;      // (length + 1,) the prompt's and those generated
    int32_t *history;  // the same without special tokens: what the repetition penalty counts
    int64_t count, history_count;
    Sampling sampling;
    Rng rng;
} Slot;

typedef struct {
    Checkpoint checkpoint;
    Tokenizer tokenizer;
    Llama model;
    Cache cache;
    Space space;
    Sampler sampler;
    Slot *slots;
    Chunk *chunks;          // (slots,)
    int64_t *owner;         // (slots,) whose logits a row is
    float *logits;          // (slots, vocabulary)
    int64_t V;              // ids that can be drawn: some models have rows to spare
    int32_t *ids;           // of all slots
    bool has_checkpoint, has_tokenizer;
} Generator;

static inline void generator_close(Generator *g) {
    sampler_close(&g->sampler);
    space_close(&g->space);
    cache_close(&g->cache);
    llama_close(&g->model);
    if (g->has_tokenizer) tokenizer_free(&g->tokenizer);
    if (g->has_checkpoint) checkpoint_close(&g->checkpoint);
    free(g->slots), free(g->chunks), free(g->owner), free(g->logits), free(g->ids);
    *g = (Generator){0};
}

// Room for `slots` sequences of `length` tokens. False where there is not enough memory.
static inline bool generator_room(Generator *g, const GeneratorOptions *o, int64_t length) {
    size_t slots = (size_t)o->slots, vocabulary = (size_t)g->model.config.vocab_size;
    int64_t rows = o->block > o->slots ? o->block : o->slots;
    g->slots = calloc(slots, sizeof *g->slots);
    g->chunks = calloc(slots, sizeof *g->chunks);
    g->owner = calloc(slots, sizeof *g->owner);
    g->logits = malloc(slots * vocabulary * sizeof *g->logits);
    g->ids = malloc(slots * 2 * (size_t)(length + 1) * sizeof *g->ids);
    if (!g->slots || !g->chunks || !g->owner || !g->logits || !g->ids) return false;
    for (int64_t s = 0; s < o->slots; s++) {
        g->slots[s].ids = g->ids + s * 2 * (length + 1);
        g->slots[s].history = g->slots[s].ids + length + 1;
    }
    return cache_open(&g->cache, &g->model.config, o->slots, length)
           && space_open(&g->space, &g->model, &g->cache, rows, o->threads) && sampler_open(&g->sampler, g->V);
}

// Reads a model folder. Where that fails there is nothing to close.
static inline bool generator_open(Generator *g, const char *folder, const GeneratorOptions *o, Error *e) {
    char path[4096];
    *g = (Generator){0};
    if (snprintf(path, sizeof path, "%s/tokenizer.json", folder) >= (int)sizeof path)
        return fault(e, "the folder's name is too long");
    g->has_checkpoint = checkpoint_open(&g->checkpoint, folder, e);
    g->has_tokenizer = g->has_checkpoint && tokenizer_load(&g->tokenizer, path, e);
    if (!g->has_tokenizer || !llama_load(&g->model, &g->checkpoint, &o->weights, e)) {
        generator_close(g);
        return false;
    }
    int64_t context = g->model.config.context, vocabulary = g->model.config.vocab_size;
    g->V = vocabulary < g->tokenizer.vocab_size ? vocabulary : g->tokenizer.vocab_size;
    if (generator_room(g, o, o->length > 0 && o->length < context ? o->length : context)) return true;
    generator_close(g);
    return fault(e, "not enough memory for %lld texts of that length; fewer slots or a shorter context need less",
                 (long long)o->slots);
}

// The token that stands before every text, or -1: the tokenizer's own, else the end mark that the course's stories have
// between them, else the one that config.json names.
static inline int32_t generator_mark(const Generator *g) {
    int32_t mark = g->tokenizer.begin;
    if (mark < 0) mark = tokenizer_special(&g->tokenizer, "<|endoftext|>");
    if (mark < 0) mark = g->model.config.bos;
    return mark < g->V ? mark : -1;
}

// Whether a token ends a text: every special one does, and those that config.json names.
static inline bool generator_is_end(const Generator *g, int32_t id) {
    for (int i = 0; i < g->model.config.eos_count; i++)
        if (g->model.config.eos[i] == id) return true;
    return tokenizer_is_special(&g->tokenizer, id);
}

static inline void slot_push(const Generator *g, Slot *slot, int32_t id) {
    slot->ids[slot->count++] = id;
    if (!generator_is_end(g, id)) slot->history[slot->history_count++] = id;
}

// Puts more ids behind those that a slot has. They go through the model with the next step.
static inline bool generator_append(Generator *g, int64_t slot, const int32_t *ids, int64_t count, Error *e) {
    Slot *s = &g->slots[slot];
    if (count < 1) return fault(e, "the prompt has no tokens; it needs at least the begin mark");
    if (count > g->cache.length - s->count)
        return fault(e, "the prompt has %lld tokens, the context holds %lld; shorten it",
                     (long long)(s->count + count), (long long)g->cache.length);
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= g->V)
            return fault(e, "the prompt has a token id that is not in 0 to %lld", (long long)g->V - 1);
    for (int64_t i = 0; i < count; i++) slot_push(g, s, ids[i]);
    return true;
}

// A new sequence in a slot, whatever was there before.
static inline bool generator_begin(Generator *g, int64_t slot, const int32_t *ids, int64_t count,
                                   const Sampling *sampling, uint64_t seed, Error *e) {
    Slot *s = &g->slots[slot];
    const char *wrong = sampling_fault(sampling);
    if (wrong) return fault(e, "%s", wrong);
    s->count = s->history_count = 0;
    g->cache.used[slot] = 0;
    s->sampling = *sampling, s->rng = rng_seed(seed);
    s->taken = generator_append(g, slot, ids, count, e);
    return s->taken;
}

static inline void generator_end(Generator *g, int64_t slot) {
    g->slots[slot].taken = false;
    g->slots[slot].count = g->slots[slot].history_count = g->cache.used[slot] = 0;
}

// As many tokens of the slots as one pass may take. owner[row] says to which of the slots a row of logits belongs;
// *rows grows by those that come. Returns the number of chunks, 0 when everything has gone through.
static inline int64_t next_chunks(Generator *g, const int64_t *slots, int64_t n, int64_t *rows) {
    int64_t chunks = 0, left = g->space.rows;
    for (int64_t i = 0; i < n && left > 0; i++) {
        int64_t used = g->cache.used[slots[i]], waiting = g->slots[slots[i]].count - used;
        if (waiting == 0) continue;
        int64_t count = waiting < left ? waiting : left;
        g->chunks[chunks++] = (Chunk){slots[i], count, count == waiting, g->slots[slots[i]].ids + used};
        if (count == waiting) g->owner[(*rows)++] = i;
        left -= count;
    }
    return chunks;
}

// One more token for each of n different slots: tokens[i] is that of slots[i]. The logits stay in g->logits, in the
// order of g->owner.
static inline bool generator_step(Generator *g, const int64_t *slots, int64_t n, int32_t *tokens, Error *e) {
    int64_t vocabulary = g->model.config.vocab_size, rows = 0, chunks, done = 0;
    for (int64_t i = 0; i < n; i++) {
        const Slot *s = &g->slots[slots[i]];
        if (!s->taken) return fault(e, "slot %lld has no text that could go on", (long long)slots[i]);
        if (s->count > g->cache.length) return fault(e, "the context of slot %lld is full", (long long)slots[i]);
        if (s->count == g->cache.used[slots[i]])
            return fault(e, "slot %lld has no new token to go on from", (long long)slots[i]);
    }
    while ((chunks = next_chunks(g, slots, n, &rows)) > 0) {
        llama_forward(&g->model, &g->cache, &g->space, g->chunks, chunks, g->logits + done * vocabulary);
        done = rows;
    }
    for (int64_t row = 0; row < rows; row++) {
        Slot *s = &g->slots[slots[g->owner[row]]];
        int32_t token = sample_token(&g->sampler, g->logits + row * vocabulary, &s->sampling, &s->rng, s->history,
                                     s->history_count);
        if (token < 0)
            return fault(e, "the logits are not finite; the model's weights are damaged or its training diverged");
        tokens[g->owner[row]] = token;
        slot_push(g, s, token);
    }
    return true;
}

#endif
