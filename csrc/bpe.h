// Byte pair encoding: again and again the merge that was learned first, of those the leftmost.
//
// A heap offers the merges in that order, and links skip what has been swallowed, so that n symbols take n log n steps:
// a word may be a million letters long. The same as encode_word of tokenization/tokenizer.py.
//
// Paper: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016).

#ifndef BPE_H
#define BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// A merge: the pair (left, right) becomes `made`; the earlier it was learned, the lower its rank.
typedef struct {
    int32_t left, right, rank, made;  // left -1: a free place
} Merge;

// All merges, found by their pair: a hash table with linear probing, at most half full.
typedef struct {
    Merge *places;
    size_t room;  // a power of two
} Merges;

static inline Merge *merges_place(const Merges *m, int32_t left, int32_t right) {
    uint64_t hash = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(hash >> 32) & (m->room - 1);
    while (m->places[i].left >= 0 && (m->places[i].left != left || m->places[i].right != right))
        i = (i + 1) & (m->room - 1);
    return &m->places[i];
}

// Room for n merges. False: not enough memory.
static inline bool merges_reserve(Merges *m, size_t n) {
    m->room = 16;
    while (m->room < 2 * n) m->room *= 2;
    m->places = malloc(m->room * sizeof *m->places);
    for (size_t i = 0; m->places && i < m->room; i++) m->places[i].left = -1;
    return m->places;
}

// A symbol of the word that is being merged: its id, -1 once it is swallowed, and its neighbors.
typedef struct {
    int32_t id, left, right;
} Symbol;

// A word and what merging needs; begin with {0}, end with word_free. It is used again for the next word.
typedef struct {
    Symbol *symbols;
    uint64_t *heap;  // rank << 32 | place
    size_t count, room, heap_count;
} Word;

static inline void word_free(Word *w) {
    free(w->symbols);
    free(w->heap);
    *w = (Word){0};
}

// Room for n symbols. False: not enough memory.
static inline bool word_reserve(Word *w, size_t n) {
    if (n <= w->room) return true;
    size_t room = n < 256 ? 256 : n + n / 2;
    Symbol *symbols = realloc(w->symbols, room * sizeof *symbols);
    if (symbols) w->symbols = symbols;
    uint64_t *heap = realloc(w->heap, 2 * room * sizeof *heap);  // every merge takes one away and puts two in
    if (heap) w->heap = heap;
    if (!symbols || !heap) return false;
    w->room = room;
    return true;
}

static inline void word_push(Word *w, uint64_t key) {
    size_t i = w->heap_count++;
    for (; i > 0 && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static inline uint64_t word_pop(Word *w) {
    uint64_t first = w->heap[0], key = w->heap[--w->heap_count];
    size_t i = 0, n = w->heap_count;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < n && w->heap[child + 1] < w->heap[child]) child++;
        if (child >= n || w->heap[child] >= key) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = key;
    return first;
}

// Puts the merge of the symbol at `place` with its right neighbor into the heap, if there is one.
static inline void word_offer(Word *w, const Merges *m, int32_t place) {
    const Symbol *s = &w->symbols[place];
    if (s->right >= (int32_t)w->count) return;
    const Merge *merge = merges_place(m, s->id, w->symbols[s->right].id);
    if (merge->left >= 0) word_push(w, (uint64_t)(uint32_t)merge->rank << 32 | (uint32_t)place);
}

// Merges the word's symbols, of which only the ids are set; those with id -1 have then been swallowed.
static inline void word_merge(Word *w, const Merges *m) {
    Symbol *s = w->symbols;
    const int32_t n = (int32_t)w->count;
    w->heap_count = 0;
    for (int32_t i = 0; i < n; i++) s[i].left = i - 1, s[i].right = i + 1;
    for (int32_t i = 0; i < n; i++) word_offer(w, m, i);
    while (w->heap_count > 0) {
        uint64_t key = word_pop(w);
        int32_t i = (int32_t)(key & UINT32_MAX), j = s[i].right;
        if (s[i].id < 0 || j >= n) continue;
        const Merge *merge = merges_place(m, s[i].id, s[j].id);
        if (merge->left < 0 || merge->rank != (int32_t)(key >> 32)) continue;  // one of the two has merged otherwise
        s[i].id = merge->made;
        s[i].right = s[j].right;
        s[j].id = -1;
        if (s[i].right < n) s[s[i].right].left = i;
        if (s[i].left >= 0) word_offer(w, m, s[i].left);
        word_offer(w, m, i);
    }
}

#endif
