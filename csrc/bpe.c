// Byte pair encoding at full speed: text in, merges or ids out, the same as by tokenization/bpe.py.
//
//     bpe_train     the merges of some texts: words counted, then the most frequent pair joined, again and again
//     bpe_encode    ids of texts: cut into pieces, each found in a table of known words, or merged
//     bpe_decode    the bytes of ids
//     bpe_cut       the pieces alone; bpe_read: every byte read once, the limit of anything that reads text
//
// Both ladders end in the same way: the text is cut by numbers of 64 bits (split_fast.h) made by plain C, AVX2,
// AVX-512.
//
//     training                                           encoding
//     1 formula   all pairs counted after every merge    1 formula   every piece merged, letter by letter
//     2 places    counts changed where a merge was made  2 known     ids of words are kept in a table
//     3 heap      the largest count from a heap          3 blocks    cut 64 bytes at a time, in plain C
//     4 blocks    cut 64 bytes at a time, in plain C     4 AVX2
//     5 AVX2                                             5 AVX-512
//     6 AVX-512
//
// Texts lie one after the other in memory; ends[i] is where text i ends. They are UTF-8; what is not is cut as it
// comes.
//
// Papers: Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units" (2016); Minoux,
// "Accelerated Greedy Algorithms" (1978), for the heap; Langdale and Lemire, "Parsing Gigabytes of JSON per Second"
// (2019), for text as bits; Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors" (1970), for the filter.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpe_encode.h"
#include "bpe_formula.h"
#include "bpe_train.h"
#include "split_fast.h"
#include "words.h"

enum { BPE_NO_MEMORY = -1, BPE_NO_SUCH_RUNG = -2, BPE_WRONG = -3 };  // in place of a count
enum { TRAIN_FORMULA = 1, TRAIN_PLACES, TRAIN_HEAP, TRAIN_BLOCKS, TRAIN_AVX2, TRAIN_AVX512 };
enum { ENCODE_FORMULA = 1, ENCODE_KNOWN, ENCODE_BLOCKS, ENCODE_AVX2, ENCODE_AVX512 };

// --- rungs ---------------------------------------------------------------------------------------------------------

// The highest rung of bpe_encode that this processor has, 3 to 5; of bpe_train it is one more.
int bpe_rungs(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw")) return ENCODE_AVX512;
    if (__builtin_cpu_supports("avx2")) return ENCODE_AVX2;
#endif
    return ENCODE_BLOCKS;
}

// How a rung of bpe_encode looks at text; NULL: letter by letter.
static Classify classify_of(int rung) {
#if defined(__x86_64__)
    if (rung == ENCODE_AVX512) return classify_avx512;
    if (rung == ENCODE_AVX2) return classify_avx2;
#endif
    return rung >= ENCODE_BLOCKS ? classify_plain : NULL;
}

static bool known_kind(int kind) { return kind >= CUT_WHOLE && kind <= SPLIT_MARKS; }

// --- training ------------------------------------------------------------------------------------------------------

// Counts the pieces of a text. False: not enough memory.
static bool count_words(Words *words, int kind, Classify classify, const char *text, size_t bytes) {
    Cutter c;
    bool good = true;
    cut_begin(&c, kind, classify, text, bytes);
    for (size_t at = 0; good && cut_next(&c); at = c.at) {
        size_t begin = 0, end;
        uint64_t ends = c.ends;
        do {
            end = ends ? (size_t)__builtin_ctzll(ends) + 1 : c.length;
            good = end - begin <= KEY_BYTES ? words_add_short(words, c.read + begin, end - begin)
                                            : words_add_long(words, text + at + begin, end - begin);
            words->total++;
            begin = end;
            ends &= ends - 1;
        } while (good && begin < c.length);
    }
    return good;
}

// Learns up to `wanted` merges of texts and writes them as pairs of ids (bytes 0 to 255, merge k 256 + k); sizes[0 … 2]
// become the number of pieces, of different ones, and of the bytes of these. Returns the number of merges.
int64_t bpe_train(int rung, int kind, const char *text, int64_t texts, const int64_t *ends, int64_t wanted,
                  int32_t *merges, int64_t sizes[3]) {
    if (rung < TRAIN_FORMULA || rung > bpe_rungs() + 1) return BPE_NO_SUCH_RUNG;
    if (!known_kind(kind) || texts < 0 || wanted < 0) return BPE_WRONG;
    Words words;
    Learner l = {0};
    int32_t order[256], place[256];
    byte_order(order, place);
    bool good = words_begin(&words);
    for (int64_t i = 0, at = 0; good && i < texts; at = ends[i++])
        good = count_words(&words, kind, classify_of(rung - 1), text + at, (size_t)(ends[i] - at));
    good = good && add_words(&l, &words, place);
    sizes[0] = words.total, sizes[1] = l.word_count, sizes[2] = l.piece_count;
    words_free(&words);
    int64_t count = !good ? BPE_NO_MEMORY
                    : rung == TRAIN_FORMULA ? learn_by_formula(&l, wanted, merges)
                                            : learn(&l, wanted, rung >= TRAIN_HEAP, merges);
    for (int64_t i = 0; i < 2 * count; i++)
        if (merges[i] < 256) merges[i] = order[merges[i]];
    learner_free(&l);
    return count;
}

// --- encoding ------------------------------------------------------------------------------------------------------

// An encoder of n merges, pairs of ids as bpe_train gives them. It remembers words, so one thread at a time may use it.
// NULL: not enough memory.
FastEncoder *bpe_encoder(const int32_t *merges, int64_t n) { return encoder_new(merges, n); }

void bpe_encoder_free(FastEncoder *e) { encoder_free(e); }

// The ids of one text, into room for one a byte and three more. Returns how many there are.
int64_t bpe_encode_one(FastEncoder *e, int rung, int kind, const char *text, int64_t bytes, int32_t *ids) {
    if (rung < ENCODE_FORMULA || rung > bpe_rungs()) return BPE_NO_SUCH_RUNG;
    if (!known_kind(kind) || bytes < 0) return BPE_WRONG;
    int64_t count = ids_of_text(e, rung >= ENCODE_KNOWN, kind, classify_of(rung), text, (size_t)bytes, ids);
    if (e->word.room > 1 << 16) word_free(&e->word);  // a very long word is rare
    return count;  // -1 is BPE_NO_MEMORY
}

// The same for several texts: their ids one after the other, into room for one a byte and three more; id_ends[i] is
// where those of text i end. Returns how many there are.
int64_t bpe_encode(FastEncoder *e, int rung, int kind, const char *text, int64_t texts, const int64_t *ends,
                   int32_t *ids, int64_t *id_ends) {
    if (!known_kind(kind) || texts < 0) return BPE_WRONG;
    int64_t count = 0;
    for (int64_t i = 0, at = 0; i < texts; at = ends[i++]) {
        int64_t more = bpe_encode_one(e, rung, kind, text + at, ends[i] - at, ids + count);
        if (more < 0) return more;
        id_ends[i] = count += more;
    }
    return count;
}

// --- decoding ------------------------------------------------------------------------------------------------------

// The bytes of n ids; token i is tokens[ends[i - 1] … ends[i]). `out` NULL: only how many there are. BPE_WRONG: one of
// the ids is none of the `vocabulary` ids.
int64_t bpe_decode(const char *tokens, const int64_t *ends, int64_t vocabulary, const int64_t *ids, int64_t n,
                   char *out) {
    int64_t bytes = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= vocabulary) return BPE_WRONG;
        int64_t begin = ids[i] > 0 ? ends[ids[i] - 1] : 0, length = ends[ids[i]] - begin;
        if (out) memcpy(out + bytes, tokens + begin, (size_t)length);
        bytes += length;
    }
    return bytes;
}

// --- what is a part of the work, to be timed -----------------------------------------------------------------------

// Where the pieces of texts end, as bpe_encode of that rung cuts them, if `piece_ends` is not NULL (room for one a
// byte). Returns how many there are.
int64_t bpe_cut(int rung, int kind, const char *text, int64_t texts, const int64_t *ends, int64_t *piece_ends) {
    if (rung < ENCODE_FORMULA || rung > bpe_rungs()) return BPE_NO_SUCH_RUNG;
    if (!known_kind(kind) || texts < 0) return BPE_WRONG;
    int64_t count = 0;
    for (int64_t i = 0, at = 0; i < texts; at = ends[i++]) {
        Cutter c;
        cut_begin(&c, kind, classify_of(rung), text + at, (size_t)(ends[i] - at));
        for (int64_t begin = at; cut_next(&c); begin = at + (int64_t)c.at) {
            if (c.ends == 0) {
                if (piece_ends) piece_ends[count] = begin + (int64_t)c.length;
                count++;
            }
            for (uint64_t left = c.ends; left; left &= left - 1, count++)
                if (piece_ends) piece_ends[count] = begin + __builtin_ctzll(left) + 1;
        }
    }
    return count;
}

// The sum of all eights of bytes.
uint64_t bpe_read(const char *text, int64_t bytes) {
    uint64_t sum = 0, eight;
    for (int64_t i = 0; i + 8 <= bytes; i += 8) {
        memcpy(&eight, text + i, sizeof eight);
        sum += eight;
    }
    return sum;
}
