// Stories as one long stream of tokens, and what is cut out of it: batches to learn from, windows to be scored.
//
// Every story is led by the mark <|endoftext|>, and one more mark ends the stream. So a story is the tokens from its
// mark up to the next one, which it has to predict as well. The batches are those of transformer/in_c.py, draw for
// draw; the windows those of transformer/data.py. The includer defines _POSIX_C_SOURCE (200809L).

#ifndef CORPUS_H
#define CORPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "error.h"
#include "rng.h"
#include "stories.h"
#include "tokenizer.h"

typedef struct {
    Ids stream;      // mark, story, mark, story, …, mark
    int64_t *marks;  // where each story's mark stands, and the last one: stories + 1 places
    size_t stories;
    size_t bytes;  // UTF-8 bytes of the stories
} Corpus;

static inline void corpus_free(Corpus *c) {
    free(c->stream.at);
    free(c->marks);
    *c = (Corpus){0};
}

// Encodes the stories; `end` is the id of the mark.
static inline bool corpus_encode(Corpus *c, const Stories *stories, const Tokenizer *t, int32_t end, Error *e) {
    *c = (Corpus){.stories = stories->count, .bytes = stories->bytes};
    c->marks = malloc((stories->count + 1) * sizeof *c->marks);
    bool good = c->marks != NULL;
    for (size_t i = 0; i <= stories->count && good; i++) {
        c->marks[i] = (int64_t)c->stream.count;
        good = ids_add(&c->stream, end);
        if (i == stories->count || !good) break;
        const char *text = (const char *)stories->items[i].bytes;
        if (!tokenizer_encode(t, text, stories->items[i].length, false, &c->stream, e)) {
            corpus_free(c);
            return false;
        }
    }
    if (good && c->stream.count < UINT32_MAX) return true;
    corpus_free(c);
    return fault(e, good ? "the stories have more tokens than this program can draw from"
                         : "not enough memory for the stories' tokens");
}

// The stories of folder/SPLIT.txt as tokens.
static inline bool corpus_load(Corpus *c, const char *folder, const char *split, const Tokenizer *t, int32_t end,
                               Error *e) {
    Stories stories;
    char error[ERROR_SIZE];
    *c = (Corpus){0};
    if (!load_split(folder, split, &stories, error)) return fault(e, "%s", error);
    bool good = corpus_encode(c, &stories, t, end, e);
    free_stories(&stories);
    return good;
}

// Draws B windows of the stream: inputs (B, T), and as targets (B, T) the tokens that follow. The stream has more than
// T tokens.
static inline void draw_batch(const Corpus *c, Rng *rng, int64_t B, int64_t T, int32_t *inputs, int32_t *targets) {
    for (int64_t b = 0; b < B; b++) {
        const int32_t *window = c->stream.at + rng_below(rng, (uint32_t)((int64_t)c->stream.count - T));
        memcpy(inputs + b * T, window, (size_t)T * sizeof *inputs);
        memcpy(targets + b * T, window + 1, (size_t)T * sizeof *targets);
    }
}

// A piece of a story to be scored: `tokens` of the stream go into the model, and predictions from `first` on count.
typedef struct {
    const int32_t *at;
    int64_t tokens, first;
} Piece;

static inline int piece_order(const void *a, const void *b) {
    const Piece *x = a, *y = b;  // longest first; among equals as they stand in the stream
    if (x->tokens != y->tokens) return x->tokens > y->tokens ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

// The pieces that together predict each token and end mark once, sorted by length, and their number; NULL: not enough
// memory. A story within the context is one piece; a longer one moves on by half a context, so that each prediction
// sees at least half a context before it. The caller frees them.
static inline Piece *corpus_pieces(const Corpus *c, int64_t context, size_t *count) {
    size_t room = c->stories + 2 * c->stream.count / (size_t)context + 1, n = 0;
    Piece *pieces = malloc(room * sizeof *pieces);
    for (size_t i = 0; pieces && i < c->stories; i++) {
        int64_t last = c->marks[i + 1] - c->marks[i], first = 0;
        while (first < last) {
            int64_t start = first == 0 ? 0 : first - context / 2;
            int64_t end = start + context < last ? start + context : last;
            pieces[n++] = (Piece){c->stream.at + c->marks[i] + start, end - start, first - start};
            first = end;
        }
    }
    *count = n;
    if (pieces) qsort(pieces, n, sizeof *pieces, piece_order);
    return pieces;
}

// A number that is another one for other stories, other tokens or another order (FNV-1a over the tokens).
static inline uint64_t corpus_fingerprint(const Corpus *c) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < c->stream.count; i++) hash = (hash ^ (uint32_t)c->stream.at[i]) * 0x100000001B3u;
    return hash;
}

#endif
