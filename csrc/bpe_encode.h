// Encoding: pieces of text to ids, most of them by one look into a table.
//
// A language uses few words again and again, so the ids of a word are worth keeping. The table of short words (up to
// 15 bytes) has entries of 64 bytes, a line of the processor's cache: the word as a Key, how many ids it has, and the
// ids themselves. Finding a word and writing its ids down then takes about as long as reading its letters. Longer
// words have a table of their own. Neither table grows: a word that is not found is merged anew, and takes the place
// of another.
//
//     | low 8 bytes | high 8 bytes, with the length | count | up to 11 ids of 4 bytes |
//
// What is not in a table is merged: up to 64 bytes by looking at all ranks again after each merge, longer ones by the
// heap of bpe.h, so that n bytes take n log n steps.

#ifndef BPE_ENCODE_H
#define BPE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpe.h"
#include "split_fast.h"
#include "words.h"

enum { ENTRY_IDS = 11, LONG_BYTES = 64, FILTER_BITS = 1 << 16, NO_MERGE = INT32_MAX };
#ifndef ENCODER_BITS  // the tests have smaller tables, which are full at once
enum { ENCODER_BITS = 16, ENCODER_LONG_BITS = 12 };
#endif

typedef struct {
    Key key;  // all zero: a free place
    int32_t count, ids[ENTRY_IDS];
} Entry;
_Static_assert(sizeof(Entry) == 64, "an entry is a line of the cache");

// A word of more than KEY_BYTES bytes, up to LONG_BYTES.
typedef struct {
    int32_t bytes, count;  // bytes 0: a free place
    char text[LONG_BYTES];
    int32_t ids[LONG_BYTES];
} LongEntry;

typedef struct {
    Merges merges;
    uint64_t filter[FILTER_BITS / 64];
    Entry *entries;
    LongEntry *longs;
    Word word;  // what the heap needs
} FastEncoder;

static inline void encoder_free(FastEncoder *e) {
    if (!e) return;
    free(e->merges.places);
    free(e->entries);
    free(e->longs);
    word_free(&e->word);
    free(e);
}

// Most pairs merge into nothing. The filter has a bit for every merge, by its hash: where a pair's bit is not set, the
// table need not be asked; where it is, another pair may have set it (Bloom, 1970). It has 8 KB, the table 128.
static inline uint64_t filter_bit(int32_t left, int32_t right) {
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return (pair * 0x9E3779B97F4A7C15u >> 32) % FILTER_BITS;
}

// An encoder for n merges, pairs of ids; merge k makes id 256 + k. NULL: not enough memory.
static inline FastEncoder *encoder_new(const int32_t *merges, int64_t n) {
    FastEncoder *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    size_t bytes = sizeof(Entry) << ENCODER_BITS;
    e->entries = aligned_alloc(64, bytes);
    e->longs = calloc((size_t)1 << ENCODER_LONG_BITS, sizeof *e->longs);
    if (!e->entries || !e->longs || !merges_reserve(&e->merges, (size_t)n)) {
        encoder_free(e);
        return NULL;
    }
    memset(e->entries, 0, bytes);
    for (int64_t k = 0; k < n; k++) {
        int32_t left = merges[2 * k], right = merges[2 * k + 1], made = (int32_t)(256 + k);
        uint64_t bit = filter_bit(left, right);
        *merges_place(&e->merges, left, right) = (Merge){left, right, made, made};  // made later, higher rank
        e->filter[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    return e;
}

// --- merging one word ----------------------------------------------------------------------------------------------

// What a pair of ids becomes, which is also its rank; NO_MERGE: it stays two.
static inline int32_t merged(const FastEncoder *e, int32_t left, int32_t right) {
    uint64_t bit = filter_bit(left, right);
    if (!(e->filter[bit / 64] >> bit % 64 & 1)) return NO_MERGE;
    const Merge *merge = merges_place(&e->merges, left, right);
    return merge->left >= 0 ? merge->made : NO_MERGE;
}

// The word's ids, up to LONG_BYTES of them: the pair of lowest rank is joined, of several the leftmost, until none is
// left.
static inline int32_t merge_by_ranks(const FastEncoder *e, const char *word, int32_t n, int32_t *ids) {
    int32_t ranks[LONG_BYTES];
    for (int32_t i = 0; i < n; i++) ids[i] = (unsigned char)word[i];
    for (int32_t i = 0; i + 1 < n; i++) ranks[i] = merged(e, ids[i], ids[i + 1]);
    while (n > 1) {
        int32_t best = 0, lowest = ranks[0];
        for (int32_t i = 1; i + 1 < n; i++) {
            best = ranks[i] < lowest ? i : best;
            lowest = ranks[i] < lowest ? ranks[i] : lowest;
        }
        if (lowest == NO_MERGE) break;
        ids[best] = lowest;
        n--;
        for (int32_t i = best + 1; i < n; i++) ids[i] = ids[i + 1];
        for (int32_t i = best + 1; i + 1 < n; i++) ranks[i] = ranks[i + 1];
        if (best > 0) ranks[best - 1] = merged(e, ids[best - 1], ids[best]);
        if (best + 1 < n) ranks[best] = merged(e, ids[best], ids[best + 1]);
    }
    return n;
}

// The same for a word of any length. -1: not enough memory.
static inline int64_t merge_by_heap(FastEncoder *e, const char *word, size_t n, int32_t *ids) {
    int64_t count = 0;
    if (n > INT32_MAX / 8 || !word_reserve(&e->word, n)) return -1;
    for (size_t i = 0; i < n; i++) e->word.symbols[i].id = (unsigned char)word[i];
    e->word.count = n;
    word_merge(&e->word, &e->merges);
    for (size_t i = 0; i < n; i++)
        if (e->word.symbols[i].id >= 0) ids[count++] = e->word.symbols[i].id;
    return count;
}

static inline int64_t merge_word(FastEncoder *e, const char *word, size_t n, int32_t *ids) {
    return n <= LONG_BYTES ? merge_by_ranks(e, word, (int32_t)n, ids) : merge_by_heap(e, word, n, ids);
}

// --- words that are known ------------------------------------------------------------------------------------------

// A short word that is not in the first place of its two: in the second, or merged and put into the first, whose old
// word moves to the second.
__attribute__((noinline)) static int32_t encode_missed(FastEncoder *e, Entry *first, Key key, int32_t *ids) {
    Entry *second = &e->entries[(first - e->entries) ^ 1], found = *second;
    if (!key_is(&found.key, key)) {
        int32_t all[KEY_BYTES], count = merge_by_ranks(e, (const char *)&key, (int32_t)key_bytes(&key), all);
        memcpy(ids, all, (size_t)count * sizeof *ids);
        if (count > ENTRY_IDS) return count;
        found = (Entry){.key = key, .count = count};
        memcpy(found.ids, all, (size_t)count * sizeof *ids);
    } else {
        memcpy(ids, found.ids, (size_t)found.count * sizeof *ids);
    }
    *second = *first;
    *first = found;
    return found.count;
}

// A word of up to KEY_BYTES bytes, of which 16 can be read. Writes four ids at least, of which the first ones count.
static inline int32_t encode_short(FastEncoder *e, const char *read, size_t bytes, int32_t *ids) {
    Key key = key_of(read, bytes);
    Entry *entry = &e->entries[key_hash(key) >> (64 - ENCODER_BITS)];
    if (__builtin_expect(!key_is(&entry->key, key), 0)) return encode_missed(e, entry, key, ids);
    memcpy(ids, entry->ids, 4 * sizeof *ids);
    if (__builtin_expect(entry->count > 4, 0))
        memcpy(ids + 4, entry->ids + 4, (size_t)(entry->count - 4) * sizeof *ids);
    return entry->count;
}

// A longer word. -1: not enough memory.
static inline int64_t encode_long(FastEncoder *e, const char *text, size_t bytes, int32_t *ids) {
    if (bytes > LONG_BYTES) return merge_by_heap(e, text, bytes, ids);
    LongEntry *entry = &e->longs[bytes_hash(text, bytes) >> (64 - ENCODER_LONG_BITS)];
    if (entry->bytes != (int32_t)bytes || memcmp(entry->text, text, bytes) != 0) {
        memcpy(entry->text, text, bytes);
        entry->bytes = (int32_t)bytes;
        entry->count = merge_by_ranks(e, text, entry->bytes, entry->ids);
    }
    memcpy(ids, entry->ids, (size_t)entry->count * sizeof *ids);
    return entry->count;
}

static inline int64_t ids_of_piece(FastEncoder *e, bool remember, const char *read, size_t bytes, int32_t *ids) {
    if (!remember) return merge_word(e, read, bytes, ids);
    return bytes <= KEY_BYTES ? encode_short(e, read, bytes, ids) : encode_long(e, read, bytes, ids);
}

// The ids of a text, into room for one a byte and three more. Returns how many there are; -1: not enough memory.
static inline int64_t ids_of_text(FastEncoder *e, bool remember, int kind, Classify classify, const char *text,
                                  size_t bytes, int32_t *ids) {
    Cutter c;
    int64_t count = 0, more;
    cut_begin(&c, kind, classify, text, bytes);
    while (cut_next(&c)) {
        const char *begin = c.read;
        if (c.ends == 0) {
            if ((more = ids_of_piece(e, remember, begin, c.length, ids + count)) < 0) return -1;
            count += more;
        }
        for (uint64_t ends = c.ends; ends; ends &= ends - 1) {
            const char *end = c.read + __builtin_ctzll(ends) + 1;
            count += ids_of_piece(e, remember, begin, (size_t)(end - begin), ids + count);
            begin = end;
        }
    }
    return count;
}

#endif
