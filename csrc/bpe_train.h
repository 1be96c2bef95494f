// Learning merges: again and again the pair of neighbors that is the most frequent now becomes one token.
//
// All different words lie one behind the other, a piece for each byte. A piece knows its neighbors within its word,
// and which pair it makes with the right one. So when two pieces become one, three pairs lose a place and two gain
// one, and no pair has to be looked up:
//
//     pieces   … x  a  b  y …     the pair (a, b) becomes c
//     pairs      xa ab by         these lose a place,
//     pieces   … x  c     y …
//     pairs      xc cy            these gain one
//
// A pair's places are a list, made when the pair comes up and never added to later: it holds the newest token, and
// that is made only once. Places that are gone stay in the list and are skipped. Counts therefore only fall, and the
// largest is found by a heap whose numbers may be too high, as in tokenization/bpe.py. The same rule for ties: the
// left token that comes first, then the right one. Tokens are numbered so that this is their order: the 256 bytes by
// their letters in tokenizer.json, then the merged ones.

#ifndef BPE_TRAIN_H
#define BPE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "split_fast.h"
#include "words.h"

// A token in a word.
typedef struct {
    int32_t token, left, right;  // neighbors: -1 where the word ends
    int32_t pair;                // with the right neighbor; -1: there is none, or the piece is gone
    int32_t word;
} WordToken;

typedef struct {
    int64_t count;
    int32_t left, right;  // tokens
    int32_t first, last;  // of its places; -1: none
} Pair;

typedef struct {
    int32_t piece;  // the left one
    int32_t next;   // the pair's next place, or -1
} Place;

// What the heap says of a pair: its count, too high or right.
typedef struct {
    int64_t count;
    uint64_t tokens;  // left << 32 | right
    int32_t pair;
} Claim;

// Begin with {0}, end with learner_free.
typedef struct {
    WordToken *pieces;
    int64_t *weights;  // of the words: how often each occurs
    Place *places;
    Pair *pairs;
    Claim *heap;
    int32_t *before, *behind;  // by token: the pair that it makes with the newest, on its left, on its right; or -1
    int32_t piece_count, word_count, place_count, place_room, pair_count, pair_room, token_count;
    int64_t heap_count, heap_room;
} Learner;

static inline void learner_free(Learner *l) {
    free(l->pieces), free(l->weights), free(l->places), free(l->pairs), free(l->heap), free(l->before), free(l->behind);
    *l = (Learner){0};
}

// --- the order of bytes --------------------------------------------------------------------------------------------

// Whether tokenizer.json prints a byte as itself. The others get letters of their own, which come after all of these.
static inline bool byte_printable(int byte) { return (byte > 32 && byte < 127) || (byte > 160 && byte != 173); }

// order[k] is the byte that is k-th by its letter; place[byte] is k.
static inline void byte_order(int32_t order[256], int32_t place[256]) {
    int k = 0;
    for (int printable = 1; printable >= 0; printable--)
        for (int byte = 0; byte < 256; byte++)
            if (byte_printable(byte) == printable) place[byte] = k, order[k++] = byte;
}

// --- the pieces of all words ---------------------------------------------------------------------------------------

static inline void add_word(Learner *l, const char *text, size_t bytes, int64_t count, const int32_t place[256]) {
    int32_t word = l->word_count++, begin = l->piece_count, n = (int32_t)bytes;
    l->weights[word] = count;
    for (int32_t i = 0; i < n; i++)
        l->pieces[begin + i] = (WordToken){place[(unsigned char)text[i]], i > 0 ? begin + i - 1 : -1,
                                       i + 1 < n ? begin + i + 1 : -1, -1, word};
    l->piece_count += n;
}

// The words as pieces. False: not enough memory, or more bytes of different words than places have numbers: a word of n
// bytes has fewer than n places at first, and each of fewer than n merges makes two more.
static inline bool add_words(Learner *l, const Words *words, const int32_t place[256]) {
    size_t shorts = (size_t)1 << words->short_bits, longs = (size_t)1 << words->long_bits, bytes = 0;
    for (size_t i = 0; i < shorts; i++)
        if (words->shorts[i].count) bytes += key_bytes(&words->shorts[i].key);
    for (size_t i = 0; i < longs; i++)
        if (words->longs[i].count) bytes += words->longs[i].bytes;
    if (bytes > INT32_MAX / 4) return false;
    l->pieces = malloc((bytes + 1) * sizeof *l->pieces);
    l->weights = malloc((words->short_count + words->long_count + 1) * sizeof *l->weights);
    if (!l->pieces || !l->weights) return false;
    for (size_t i = 0; i < shorts; i++) {
        const ShortWord *word = &words->shorts[i];
        if (word->count) add_word(l, (const char *)&word->key, key_bytes(&word->key), word->count, place);
    }
    for (size_t i = 0; i < longs; i++) {
        const LongWord *word = &words->longs[i];
        if (word->count) add_word(l, word->text, word->bytes, word->count, place);
    }
    return true;
}

// --- pairs and their places ----------------------------------------------------------------------------------------

// A new pair without a place. -1: not enough memory.
static inline int32_t add_pair(Learner *l, int32_t left, int32_t right) {
    if (l->pair_count == l->pair_room) {
        int32_t room = l->pair_room > INT32_MAX / 2 ? 0 : l->pair_room ? 2 * l->pair_room : 1 << 12;
        Pair *pairs = room ? realloc(l->pairs, (size_t)room * sizeof *pairs) : NULL;
        if (!pairs) return -1;
        l->pairs = pairs;
        l->pair_room = room;
    }
    l->pairs[l->pair_count] = (Pair){0, left, right, -1, -1};
    return l->pair_count++;
}

// The piece and its right neighbor are a place of the pair.
static inline bool add_place(Learner *l, int32_t pair, int32_t piece) {
    if (l->place_count == l->place_room) {
        int32_t most = 3 * l->piece_count, room = l->place_room > most / 2 ? most : 2 * l->place_room + 16;
        Place *places = realloc(l->places, (size_t)room * sizeof *places);
        if (!places) return false;
        l->places = places;
        l->place_room = room;
    }
    Pair *p = &l->pairs[pair];
    l->places[l->place_count] = (Place){piece, -1};
    if (p->last >= 0)
        l->places[p->last].next = l->place_count;
    else
        p->first = l->place_count;
    p->last = l->place_count++;
    p->count += l->weights[l->pieces[piece].word];
    l->pieces[piece].pair = pair;
    return true;
}

static inline void lose_place(Learner *l, int32_t piece) {
    if (piece < 0 || l->pieces[piece].pair < 0) return;
    l->pairs[l->pieces[piece].pair].count -= l->weights[l->pieces[piece].word];
    l->pieces[piece].pair = -1;
}

// All pairs of bytes. They are found by a table of 256 times 256.
static inline bool first_pairs(Learner *l) {
    int32_t *table = malloc(256 * 256 * sizeof *table);
    bool good = table;
    for (int i = 0; table && i < 256 * 256; i++) table[i] = -1;
    for (int32_t i = 0; good && i < l->piece_count; i++) {
        if (l->pieces[i].right < 0) continue;
        int32_t left = l->pieces[i].token, right = l->pieces[i + 1].token, *pair = &table[left * 256 + right];
        if (*pair < 0) *pair = add_pair(l, left, right);
        good = *pair >= 0 && add_place(l, *pair, i);
    }
    free(table);
    return good;
}

// --- the heap ------------------------------------------------------------------------------------------------------

static inline bool claim_before(Claim a, Claim b) {
    return a.count != b.count ? a.count > b.count : a.tokens < b.tokens;
}

static inline Claim claim_of(const Learner *l, int32_t pair) {
    const Pair *p = &l->pairs[pair];
    return (Claim){p->count, (uint64_t)(uint32_t)p->left << 32 | (uint32_t)p->right, pair};
}

static inline bool heap_push(Learner *l, Claim claim) {
    if (l->heap_count == l->heap_room) {
        int64_t room = l->heap_room ? 2 * l->heap_room : 1 << 12;
        Claim *heap = realloc(l->heap, (size_t)room * sizeof *heap);
        if (!heap) return false;
        l->heap = heap;
        l->heap_room = room;
    }
    int64_t i = l->heap_count++;
    for (; i > 0 && claim_before(claim, l->heap[(i - 1) / 2]); i = (i - 1) / 2) l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = claim;
    return true;
}

// Puts a claim at the top, in place of the one there, and lets it sink.
static inline void heap_sink(Learner *l, Claim claim) {
    int64_t i = 0, n = l->heap_count;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < n && claim_before(l->heap[child + 1], l->heap[child])) child++;
        if (child >= n || claim_before(claim, l->heap[child])) break;
        l->heap[i] = l->heap[child];
        i = child;
    }
    l->heap[i] = claim;
}

// The most frequent pair, -1: none is left. A claim that turns out too high sinks to where it belongs.
static inline int32_t heap_pop(Learner *l) {
    while (l->heap_count > 0) {
        Claim top = l->heap[0], now = claim_of(l, top.pair);
        if (now.count == top.count || now.count == 0) {
            Claim end = l->heap[--l->heap_count];
            if (l->heap_count > 0) heap_sink(l, end);
            if (now.count > 0) return top.pair;
        } else {
            heap_sink(l, now);
        }
    }
    return -1;
}

// The same by looking at all pairs.
static inline int32_t most_frequent(const Learner *l) {
    Claim best = {0, UINT64_MAX, -1};
    for (int32_t i = 0; i < l->pair_count; i++)
        if (l->pairs[i].count > 0 && claim_before(claim_of(l, i), best)) best = claim_of(l, i);
    return best.pair;
}

// --- one merge -----------------------------------------------------------------------------------------------------

// The piece i and its right neighbor become `made`.
static inline bool join_pieces(Learner *l, int32_t i, int32_t made) {
    WordToken *pieces = l->pieces;
    int32_t j = pieces[i].right, before = pieces[i].left, behind = pieces[j].right;
    lose_place(l, before), lose_place(l, i), lose_place(l, j);
    pieces[i].token = made;
    pieces[i].right = behind;
    if (before >= 0) {
        int32_t *pair = &l->before[pieces[before].token];
        if (*pair < 0) *pair = add_pair(l, pieces[before].token, made);
        if (*pair < 0 || !add_place(l, *pair, before)) return false;
    }
    if (behind >= 0) {
        pieces[behind].left = i;
        int32_t *pair = &l->behind[pieces[behind].token];
        if (*pair < 0) *pair = add_pair(l, made, pieces[behind].token);
        if (*pair < 0 || !add_place(l, *pair, i)) return false;
    }
    return true;
}

// Merges a pair wherever it is, from left to right, into the next token, and offers the new pairs to the heap.
static inline bool join_pair(Learner *l, int32_t pair, bool with_heap) {
    int32_t made = l->token_count++, first_new = l->pair_count;
    l->before[made] = l->behind[made] = -1;
    for (int32_t at = l->pairs[pair].first; at >= 0; at = l->places[at].next) {
        int32_t piece = l->places[at].piece;
        if (l->pieces[piece].pair == pair && !join_pieces(l, piece, made)) return false;
    }
    for (int32_t p = first_new; p < l->pair_count; p++) {
        l->before[l->pairs[p].left] = l->behind[l->pairs[p].right] = -1;  // ready for the next token
        if (with_heap && l->pairs[p].count > 0 && !heap_push(l, claim_of(l, p))) return false;
    }
    return true;
}

// --- all merges ----------------------------------------------------------------------------------------------------

// Room for so many tokens, the first 256 of them bytes.
static inline bool learner_begin(Learner *l, size_t tokens) {
    l->token_count = 256;
    l->before = malloc(tokens * sizeof *l->before);
    l->behind = malloc(tokens * sizeof *l->behind);
    for (size_t i = 0; l->before && l->behind && i < tokens; i++) l->before[i] = l->behind[i] = -1;
    return l->before && l->behind;
}

// Writes up to `wanted` merges, pairs of tokens, and returns how many there are. -1: not enough memory. There are fewer
// merges than pieces.
static inline int64_t learn(Learner *l, int64_t wanted, bool with_heap, int32_t *merges) {
    if (wanted > l->piece_count) wanted = l->piece_count;
    if (!learner_begin(l, 256 + (size_t)wanted) || !first_pairs(l)) return -1;
    for (int32_t p = 0; with_heap && p < l->pair_count; p++)
        if (!heap_push(l, claim_of(l, p))) return -1;
    for (int64_t k = 0; k < wanted; k++) {
        int32_t pair = with_heap ? heap_pop(l) : most_frequent(l);
        if (pair < 0) return k;
        merges[2 * k] = l->pairs[pair].left;
        merges[2 * k + 1] = l->pairs[pair].right;
        if (!join_pair(l, pair, with_heap)) return -1;
    }
    return wanted;
}

#endif
