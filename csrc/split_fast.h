// Cutting text into pieces, 64 bytes at a time: the same pieces as split.h, without looking at letters one by one.
//
// For 64 bytes a number of 64 bits says which of them are letters: bit k belongs to byte k. So do others for numbers,
// line ends, other white space and bytes above 127. Shifted by one place, such a number says of each byte what its left
// or its right neighbor is, and a few operations give the bits at which pieces begin, for all 64 bytes together:
//
//     text      W h a t   a   d a y ! " \n
//     letters   1 1 1 1 0 1 0 1 1 1 0 0 0
//     blanks    0 0 0 0 1 0 1 0 0 0 0 0 0
//     begins    1 0 0 0 1 0 1 0 0 0 1 0 0      What| a| day|!"\n
//
// A block begins where a piece begins, so nothing before it matters. Its last piece may go on behind it; the next
// block begins there. What the numbers do not say (a letter above 127, a fourth digit, a piece of more than 60 bytes)
// is left to split.h, piece by piece. The numbers come from AVX-512, AVX2, or from plain C, eight bytes in one word.

#ifndef SPLIT_FAST_H
#define SPLIT_FAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "split.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// BLOCK bytes are looked at together, and a piece may be read as 16 bytes: so many bytes must be there to be read.
enum { BLOCK = 64, READABLE = BLOCK + 16 };

// Bit k says whether byte k is such a character.
typedef struct {
    uint64_t letters, numbers, lines, blanks, spaces, quotes, high;  // lines: \r \n; blanks: all other white space
} Masks;

typedef void (*Classify)(const char *text, Masks *masks);

// --- which of 64 bytes are what ------------------------------------------------------------------------------------

#define EVERY(byte) (0x0101010101010101u * (uint64_t)(byte))

// Bit 7 of each of eight bytes, all below 128: whether low <= byte <= high. Adding never carries into the next byte.
static inline uint64_t eight_between(uint64_t x, unsigned low, unsigned high) {
    return (x + EVERY(128 - low)) & ~(x + EVERY(127 - high)) & EVERY(128);
}

// The bits 7 of eight bytes, the first byte's lowest.
static inline uint64_t eight_bits(uint64_t x) { return (x >> 7) * 0x0102040810204080u >> 56; }

static void classify_plain(const char *text, Masks *m) {
    *m = (Masks){0};
    for (int k = 0; k < BLOCK; k += 8) {
        uint64_t raw, x, lines;
        memcpy(&raw, text + k, sizeof raw);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        raw = __builtin_bswap64(raw);
#endif
        x = raw & EVERY(127);
        uint64_t low = ~raw & EVERY(128), spaces = eight_between(x, ' ', ' ') & low;
        lines = (eight_between(x, '\n', '\n') | eight_between(x, '\r', '\r')) & low;
        m->letters |= eight_bits(eight_between(x | EVERY(32), 'a', 'z') & low) << k;
        m->numbers |= eight_bits(eight_between(x, '0', '9') & low) << k;
        m->lines |= eight_bits(lines) << k;
        m->blanks |= eight_bits(((eight_between(x, 9, 13) & low) | spaces) & ~lines) << k;
        m->spaces |= eight_bits(spaces) << k;
        m->quotes |= eight_bits(eight_between(x, '\'', '\'') & low) << k;
        m->high |= eight_bits(raw & EVERY(128)) << k;
    }
}

#if defined(__x86_64__)
// Bytes from low to high, as signed numbers: those above 127 are negative, and in no range.
__attribute__((target("avx2"))) static inline uint64_t between_avx2(__m256i x, char low, char high) {
    __m256i above = _mm256_cmpgt_epi8(x, _mm256_set1_epi8((char)(low - 1)));
    __m256i below = _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(high + 1)), x);
    return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(above, below));
}

__attribute__((target("avx2"))) static inline uint64_t equal_avx2(__m256i x, char byte) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(byte)));
}

__attribute__((target("avx2"))) static void classify_avx2(const char *text, Masks *m) {
    *m = (Masks){0};
    for (int k = 0; k < BLOCK; k += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(text + k));
        uint64_t lines = equal_avx2(x, '\n') | equal_avx2(x, '\r'), spaces = equal_avx2(x, ' ');
        m->letters |= between_avx2(_mm256_or_si256(x, _mm256_set1_epi8(32)), 'a', 'z') << k;
        m->numbers |= between_avx2(x, '0', '9') << k;
        m->lines |= lines << k;
        m->blanks |= ((between_avx2(x, 9, 13) | spaces) & ~lines) << k;
        m->spaces |= spaces << k;
        m->quotes |= equal_avx2(x, '\'') << k;
        m->high |= (uint64_t)(uint32_t)_mm256_movemask_epi8(x) << k;
    }
}

#define AVX512 __attribute__((target("avx512f,avx512bw")))
AVX512 static inline uint64_t between_avx512(__m512i x, char low, char high) {
    __m512i from = _mm512_sub_epi8(x, _mm512_set1_epi8(low));
    return _mm512_cmple_epu8_mask(from, _mm512_set1_epi8((char)(high - low)));
}

AVX512 static inline uint64_t equal_avx512(__m512i x, char byte) {
    return _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(byte));
}

AVX512 static void classify_avx512(const char *text, Masks *m) {
    __m512i x = _mm512_loadu_si512(text);
    m->letters = between_avx512(_mm512_or_si512(x, _mm512_set1_epi8(32)), 'a', 'z');
    m->numbers = between_avx512(x, '0', '9');
    m->lines = equal_avx512(x, '\n') | equal_avx512(x, '\r');
    m->spaces = equal_avx512(x, ' ');
    m->blanks = (between_avx512(x, 9, 13) | m->spaces) & ~m->lines;
    m->quotes = equal_avx512(x, '\'');
    m->high = _mm512_movepi8_mask(x);
}
#undef AVX512
#endif

// --- where pieces begin --------------------------------------------------------------------------------------------

// 64 bytes or fewer, from the beginning of a piece on.
typedef struct {
    const char *text;
    uint64_t inside, letters, numbers, lines, blanks, spaces, quotes, white, others;
    unsigned n;
    bool last;  // the text ends behind them
} Block;

static inline uint64_t first_bits(unsigned n) { return n < 64 ? ((uint64_t)1 << n) - 1 : UINT64_MAX; }

// The first n of the 64 bytes, up to one that is left to split.h: a byte above 127, or the digit after `digits` others.
static inline Block block_of(const char *text, const Masks *m, unsigned n, bool last, int digits) {
    uint64_t hard = m->high, run = m->numbers;
    for (int k = 1; k <= digits; k++) run &= m->numbers << k;
    if (digits > 1) hard |= run;
    if (hard & first_bits(n)) n = (unsigned)__builtin_ctzll(hard), last = false;
    Block b = {.text = text, .inside = first_bits(n), .n = n, .last = last};
    b.letters = m->letters & b.inside, b.numbers = m->numbers & b.inside, b.quotes = m->quotes & b.inside;
    b.lines = m->lines & b.inside, b.blanks = m->blanks & b.inside, b.spaces = m->spaces & b.inside;
    b.white = b.lines | b.blanks;
    b.others = b.inside & ~(b.letters | b.numbers | b.white);
    return b;
}

// The begins with contractions as pieces ('s 't 're 've 'm 'll 'd). quotes: those that begin a piece and that a letter
// follows.
static inline uint64_t with_contractions(const Block *b, uint64_t starts, uint64_t quotes, bool any_case) {
    for (; quotes; quotes &= quotes - 1) {
        unsigned i = (unsigned)__builtin_ctzll(quotes);
        int fold = any_case ? 32 : 0, one = b->text[i + 1] | fold, two = i + 2 < b->n ? b->text[i + 2] | fold : 0;
        unsigned length = one == 's' || one == 't' || one == 'm' || one == 'd' ? 2
                          : ((one == 'r' || one == 'v') && two == 'e') || (one == 'l' && two == 'l') ? 3 : 0;
        if (length) starts &= ~((uint64_t)1 << (i + 1));
        if (length && i + length < 64) starts |= (uint64_t)1 << (i + length);
    }
    return starts;
}

// Of the blanks right behind a line end, those that begin a piece: all but those with another line end after them,
// unless what was before the line end took it along. Leaves those out that nothing is known of: the block becomes
// shorter.
static inline uint64_t behind_lines(Block *b) {
    uint64_t behind = 0;
    for (uint64_t left = b->blanks & (b->lines << 1); left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left), run = (unsigned)__builtin_ctzll(~(b->blanks >> i)), end = i + run;
        unsigned lines = (unsigned)__builtin_clzll(~(b->lines << (64 - i))), start = i - lines;
        bool taken = start > 0 && (b->others >> (start - 1) & 1);
        if (end >= b->n && !b->last && !taken) {
            b->n = i + 1;
            break;
        }
        if (taken || end >= b->n || !(b->lines >> end & 1)) behind |= (uint64_t)1 << i;
    }
    return behind;
}

// GPT-4's pattern (see split.h). digits: 3, or 1 where each digit is a piece.
static inline uint64_t starts_cl100k(Block *b, int digits) {
    uint64_t own = b->others & ~((b->others | b->spaces) << 1);  // signs that begin a piece
    uint64_t joined = own & (b->letters >> 1);  // those that letters follow
    uint64_t starts = 1 | own | (b->letters & ~((b->letters | b->blanks | joined) << 1));
    starts |= digits == 1 ? b->numbers : b->numbers & ~(b->numbers << 1);
    starts |= b->white & ~(b->white << 1) & ~(b->lines & (b->others << 1));  // signs take line ends along
    starts |= b->blanks & ((b->inside & ~b->white) >> 1);  // the last of several goes with what follows
    return with_contractions(b, starts, joined & b->quotes, true) | behind_lines(b);
}

static inline uint64_t starts_gpt2(Block *b) {
    uint64_t own = b->others & ~((b->others | b->spaces) << 1);
    uint64_t starts = 1 | own | (b->letters & ~((b->letters | b->spaces) << 1));
    starts |= (b->numbers & ~((b->numbers | b->spaces) << 1)) | (b->white & ~(b->white << 1));
    starts |= b->white & ((b->inside & ~b->white) >> 1);
    return with_contractions(b, starts, own & b->quotes & (b->letters >> 1), false);
}

// Where pieces end, of the first n bytes: bit k for a piece whose last byte is k. 0: nothing is certain. What begins
// with the last byte of a block that goes on does not count: it may be a letter of a contraction.
static inline uint64_t block_ends(SplitKind kind, const char *text, const Masks *m, unsigned n, bool last) {
    int digits = kind == SPLIT_CL100K ? 3 : 1;
    Block b = block_of(text, m, n, last, digits);
    if (b.n == 0) return 0;
    uint64_t starts = kind == SPLIT_GPT2 ? starts_gpt2(&b) : starts_cl100k(&b, digits);
    if (b.last) return starts >> 1 | (uint64_t)1 << (n - 1);
    return (starts & first_bits(b.n - 1)) >> 1;
}

// --- a whole text --------------------------------------------------------------------------------------------------

enum { CUT_WHOLE = -1 };  // in place of a SplitKind: each text is one piece

// Goes through a text: cut_begin, then cut_next until it says false.
typedef struct {
    int kind;           // a SplitKind, or CUT_WHOLE
    Classify classify;  // NULL: by split.h, piece by piece
    const char *text;
    size_t bytes, at;
    const char *read;  // what cut_next found: pieces, one after the other; of each, 16 bytes can be read
    uint64_t ends;     // bit k: byte k is a piece's last one; 0: a single piece,
    size_t length;     // of so many bytes; else of all pieces together
    char tail[READABLE];
} Cutter;

static inline void cut_begin(Cutter *c, int kind, Classify classify, const char *text, size_t bytes) {
    c->kind = kind, c->classify = classify, c->text = text, c->bytes = bytes, c->at = 0;
    if (kind != SPLIT_GPT2 && kind != SPLIT_CL100K && kind != SPLIT_CL100K_ONE) c->classify = NULL;
}

// One piece or several. False: the text is at its end.
static inline bool cut_next(Cutter *c) {
    size_t left = c->bytes - c->at;
    if (left == 0) return false;
    c->read = c->text + c->at;
    if (left < READABLE) {
        memset(c->tail, 0, sizeof c->tail);
        c->read = memcpy(c->tail, c->read, left);
    }
    if (c->classify && ((c->read[0] | c->read[1]) & 0x80) == 0) {
        Masks masks;
        c->classify(c->read, &masks);
        c->ends = block_ends((SplitKind)c->kind, c->read, &masks, left < BLOCK ? (unsigned)left : BLOCK, left <= BLOCK);
        if (c->ends) {
            c->length = BLOCK - (size_t)__builtin_clzll(c->ends);
            c->at += c->length;
            return true;
        }
    }
    c->length = c->kind == CUT_WHOLE ? left : split_next((SplitKind)c->kind, c->text, c->bytes, c->at) - c->at;
    c->ends = c->length <= BLOCK ? (uint64_t)1 << (c->length - 1) : 0;
    if (!c->ends) c->read = c->text + c->at;  // longer than the tail
    c->at += c->length;
    return true;
}

#endif
