// Words and how often they occur: a hash table of our own.
//
// Most words are short. One of up to 15 bytes becomes a Key: its bytes and its length, 16 bytes in two registers, so
// that finding it is a multiplication, a look and two comparisons, whatever its length. Longer words, one in a
// thousand, lie in a second table, which keeps where they stand in the text. Both are open: a word whose place is
// taken goes to the next free one. (Somebody who knows the numbers below could write a text whose words all want one
// place, which would take long to count. Encoding is safe from that: its tables look at two places at most.)

#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 15 };  // the longest word of a Key
#ifndef WORDS_BITS        // the tests begin with smaller tables
enum { WORDS_BITS = 14 };
#endif

// The bytes of a word, zeros behind them, and its length in the last byte: never all zero.
typedef struct {
    uint64_t low, high;
} Key;

// The Key of a word of n bytes, 1 to 15. 16 bytes must be there to be read.
static inline Key key_of(const char *word, size_t n) {
    static const unsigned char SHOWN[32] = {255, 255, 255, 255, 255, 255, 255, 255,  // 16 times 255, 16 times 0
                                            255, 255, 255, 255, 255, 255, 255, 255};
    Key key, shown;
    memcpy(&key, word, sizeof key);
    memcpy(&shown, SHOWN + 16 - n, sizeof shown);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return (Key){key.low & shown.low, (key.high & shown.high) | n};
#else
    return (Key){key.low & shown.low, (key.high & shown.high) | (uint64_t)n << 56};
#endif
}

static inline size_t key_bytes(const Key *key) { return ((const unsigned char *)key)[KEY_BYTES]; }

static inline bool key_is(const Key *a, Key b) { return a->low == b.low && a->high == b.high; }

// The highest bits of a product depend on all bits of its factors, so they number the places: hash >> (64 - bits).
static inline uint64_t key_hash(Key key) {
    return (key.low * 0x9E3779B97F4A7C15u) ^ (key.high * 0xC2B2AE3D27D4EB4Fu);
}

// Of any bytes: eight at a time, each step a product whose halves are added.
static inline uint64_t bytes_hash(const char *bytes, size_t n) {
    uint64_t hash = n;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t eight = 0;
        memcpy(&eight, bytes + i, n - i < 8 ? n - i : 8);
        hash = (hash ^ eight) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    return hash;
}

typedef struct {
    Key key;
    int64_t count;  // 0: a free place
} ShortWord;

typedef struct {
    const char *text;
    size_t bytes;
    uint64_t hash;
    int64_t count;  // 0: a free place
} LongWord;

// Begin with words_begin, end with words_free. At most half of the places are taken.
typedef struct {
    ShortWord *shorts;
    LongWord *longs;
    int short_bits, long_bits;  // there is room for 2 to the power of these
    size_t short_count, long_count;
    int64_t total;
} Words;

static inline bool words_begin(Words *w) {
    *w = (Words){.short_bits = WORDS_BITS, .long_bits = WORDS_BITS / 2};
    w->shorts = calloc((size_t)1 << w->short_bits, sizeof *w->shorts);
    w->longs = calloc((size_t)1 << w->long_bits, sizeof *w->longs);
    return w->shorts && w->longs;
}

static inline void words_free(Words *w) {
    free(w->shorts);
    free(w->longs);
    *w = (Words){0};
}

static inline ShortWord *short_place(ShortWord *words, int bits, Key key) {
    size_t i = (size_t)(key_hash(key) >> (64 - bits)), last = ((size_t)1 << bits) - 1;
    while (words[i].count && !key_is(&words[i].key, key)) i = (i + 1) & last;
    return &words[i];
}

static inline LongWord *long_place(LongWord *words, int bits, const char *text, size_t bytes, uint64_t hash) {
    size_t i = (size_t)(hash >> (64 - bits)), last = ((size_t)1 << bits) - 1;
    while (words[i].count
           && (words[i].hash != hash || words[i].bytes != bytes || memcmp(words[i].text, text, bytes) != 0))
        i = (i + 1) & last;
    return &words[i];
}

// Twice as many places, when half of them are taken. False: not enough memory.
static inline bool shorts_grow(Words *w) {
    ShortWord *larger = calloc((size_t)2 << w->short_bits, sizeof *larger);
    if (!larger) return false;
    for (size_t i = 0; i < (size_t)1 << w->short_bits; i++)
        if (w->shorts[i].count) *short_place(larger, w->short_bits + 1, w->shorts[i].key) = w->shorts[i];
    free(w->shorts);
    w->shorts = larger;
    w->short_bits++;
    return true;
}

static inline bool longs_grow(Words *w) {
    LongWord *larger = calloc((size_t)2 << w->long_bits, sizeof *larger);
    if (!larger) return false;
    for (size_t i = 0; i < (size_t)1 << w->long_bits; i++) {
        const LongWord *old = &w->longs[i];
        if (old->count) *long_place(larger, w->long_bits + 1, old->text, old->bytes, old->hash) = *old;
    }
    free(w->longs);
    w->longs = larger;
    w->long_bits++;
    return true;
}

// One more of a word of up to 15 bytes, of which 16 can be read. False: not enough memory.
static inline bool words_add_short(Words *w, const char *read, size_t bytes) {
    Key key = key_of(read, bytes);
    ShortWord *word = short_place(w->shorts, w->short_bits, key);
    if (word->count++) return true;
    word->key = key;
    return ++w->short_count >> (w->short_bits - 1) == 0 || shorts_grow(w);
}

// One more of a longer word. Its text must stay where it is as long as the table.
static inline bool words_add_long(Words *w, const char *text, size_t bytes) {
    uint64_t hash = bytes_hash(text, bytes);
    LongWord *word = long_place(w->longs, w->long_bits, text, bytes, hash);
    if (word->count++) return true;
    word->text = text, word->bytes = bytes, word->hash = hash;
    return ++w->long_count >> (w->long_bits - 1) == 0 || longs_grow(w);
}

#endif
