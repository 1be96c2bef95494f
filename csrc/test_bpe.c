// Tests of bpe.c: every rung against the first one and against merging by the definition, on text made to be difficult.

#include <stdint.h>
#include <stdlib.h>

// Small tables, which are full at once, and memory that can run out: so many requests are granted.
#define WORDS_BITS 4
#define ENCODER_BITS 2
#define ENCODER_LONG_BITS 1
static int64_t granted = INT64_MAX;
static void *test_malloc(size_t n) { return granted-- > 0 ? malloc(n) : NULL; }
static void *test_calloc(size_t n, size_t size) { return granted-- > 0 ? calloc(n, size) : NULL; }
static void *test_realloc(void *old, size_t n) { return granted-- > 0 ? realloc(old, n) : NULL; }
static void *test_aligned(size_t to, size_t n) { return granted-- > 0 ? aligned_alloc(to, n) : NULL; }
#define malloc test_malloc
#define calloc test_calloc
#define realloc test_realloc
#define aligned_alloc test_aligned
#include "bpe.c"
#include "rng.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <string.h>

enum { LONGEST = 400, MERGES = 60 };

static const char *const ALPHABETS[] = {
    "ab", "abc ", " \n", " \n\r\ta", "a'sStTrReEvVlLmMdD ", "0123456789a ", "a.!' \n", "aB1.' \t\r\n",
    "The quick brown fox jumps over the lazy dog 's. ", "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x89\xC5\xBF's 1\n",
};
enum { ALPHABET_COUNT = sizeof ALPHABETS / sizeof *ALPHABETS };

// A text of random bytes, or of random letters of one of the alphabets, in memory that ends where it ends.
static char *random_text(Rng *rng, size_t *bytes) {
    const char *alphabet = ALPHABETS[rng_below(rng, ALPHABET_COUNT)];
    uint32_t letters = (uint32_t)strlen(alphabet), any = rng_below(rng, 8) == 0, runs = rng_below(rng, 3) == 0;
    *bytes = rng_below(rng, rng_below(rng, 4) ? 100 : LONGEST);
    char *text = malloc(*bytes ? *bytes : 1);
    for (size_t i = 0; i < *bytes; i++) {
        text[i] = any ? (char)rng_below(rng, 256) : alphabet[rng_below(rng, letters)];
        if (runs && i > 0 && rng_below(rng, 8)) text[i] = text[i - 1];
    }
    return text;
}

static void test_masks(void) {
    Rng rng = rng_seed(1);
    for (int round = 0; round < 200; round++) {
        char text[BLOCK];
        for (int k = 0; k < BLOCK; k++) text[k] = (char)(round < 4 ? round * BLOCK + k : (int)rng_below(&rng, 256));
        for (int rung = ENCODE_BLOCKS; rung <= bpe_rungs(); rung++) {
            Masks m;
            classify_of(rung)(text, &m);
            for (int k = 0; k < BLOCK; k++) {
                unsigned char c = (unsigned char)text[k];
                CharacterClass kind = c < 128 ? unicode_class(c) : OTHER;
                assert((m.high >> k & 1) == (c >= 128) && (m.quotes >> k & 1) == (c == '\''));
                assert((m.letters >> k & 1) == (kind == LETTER) && (m.numbers >> k & 1) == (kind == NUMBER));
                assert((m.lines >> k & 1) == (c == '\n' || c == '\r') && (m.spaces >> k & 1) == (c == ' '));
                assert((m.blanks >> k & 1) == (kind == SPACE && c != '\n' && c != '\r'));
            }
        }
    }
}

// All rungs cut as split.h does, whatever the text.
static void test_cutting(void) {
    Rng rng = rng_seed(2);
    for (int round = 0; round < 6000; round++) {
        int64_t ends[LONGEST], wanted[LONGEST], count = 0;
        size_t bytes, at = 0;
        char *text = random_text(&rng, &bytes);
        int kind = (int)rng_below(&rng, SPLIT_MARKS + 1);
        for (; at < bytes; wanted[count++] = (int64_t)at) at = split_next((SplitKind)kind, text, bytes, at);
        for (int rung = ENCODE_FORMULA; rung <= bpe_rungs(); rung++) {
            assert(bpe_cut(rung, kind, text, 1, &(int64_t){(int64_t)bytes}, ends) == count);
            assert(memcmp(ends, wanted, (size_t)count * sizeof *ends) == 0);
        }
        free(text);
    }
}

// Ids of a word by the definition: every merge in the order of learning, wherever its pair is.
static int64_t encode_by_definition(const int32_t *merges, int64_t n, const char *word, int64_t bytes, int32_t *ids) {
    int64_t count = bytes;
    for (int64_t i = 0; i < bytes; i++) ids[i] = (unsigned char)word[i];
    for (int64_t k = 0; k < n; k++) {
        int64_t kept = 0;
        for (int64_t i = 0; i < count; i++) {
            bool pair = i + 1 < count && ids[i] == merges[2 * k] && ids[i + 1] == merges[2 * k + 1];
            ids[kept++] = pair ? (int32_t)(256 + k) : ids[i];
            i += pair;
        }
        count = kept;
    }
    return count;
}

// Several texts one after the other.
typedef struct {
    char *text;
    int64_t ends[8], count, bytes;
} Texts;

static Texts random_texts(Rng *rng) {
    Texts t = {.text = malloc(1), .count = rng_below(rng, 8)};
    for (int64_t i = 0; i < t.count; i++) {
        size_t bytes;
        char *text = random_text(rng, &bytes);
        t.text = realloc(t.text, (size_t)t.bytes + bytes + 1);
        memcpy(t.text + t.bytes, text, bytes);
        t.ends[i] = t.bytes += (int64_t)bytes;
        free(text);
    }
    t.text = realloc(t.text, t.bytes ? (size_t)t.bytes : 1);  // it ends where the last one ends
    return t;
}

// All rungs learn the same merges, and give the ids of the definition; the ids give the text back.
static void test_training_and_encoding(void) {
    Rng rng = rng_seed(3);
    for (int round = 0; round < 600; round++) {
        Texts t = random_texts(&rng);
        int kind = (int)rng_below(&rng, SPLIT_CL100K_ONE + 2) - 1;
        int64_t wanted = rng_below(&rng, MERGES), n = 0, sizes[3], pieces[8 * LONGEST], id_ends[8];
        int32_t first[2 * MERGES], merges[2 * MERGES], ids[8 * LONGEST + 3], right[8 * LONGEST];
        for (int rung = TRAIN_FORMULA; rung <= bpe_rungs() + 1; rung++) {
            int64_t count = bpe_train(rung, kind, t.text, t.count, t.ends, wanted, merges, sizes);
            if (rung == TRAIN_FORMULA) n = count, memcpy(first, merges, sizeof merges);
            assert(count == n && n >= 0 && n <= wanted && memcmp(first, merges, (size_t)n * 8) == 0);
            assert(n == wanted || n == sizes[2] - sizes[1] || n < sizes[2]);
        }
        int64_t piece_count = bpe_cut(ENCODE_FORMULA, kind, t.text, t.count, t.ends, pieces);
        assert(piece_count == sizes[0]);
        FastEncoder *e = bpe_encoder(first, n);
        for (int rung = ENCODE_FORMULA; rung <= bpe_rungs(); rung++) {
            int64_t count = bpe_encode(e, rung, kind, t.text, t.count, t.ends, ids, id_ends), at = 0, text = 0;
            for (int64_t i = 0, begin = 0; i < piece_count; begin = pieces[i++]) {
                while (text < t.count && t.ends[text] <= begin) assert(id_ends[text++] == at);
                int64_t more = encode_by_definition(first, n, t.text + begin, pieces[i] - begin, right);
                assert(at + more <= count && memcmp(ids + at, right, (size_t)more * sizeof *ids) == 0);
                at += more;
            }
            assert(at == count && (t.count == 0 || id_ends[t.count - 1] == count));
        }
        bpe_encoder_free(e);
        free(t.text);
    }
}

static void test_by_hand(void) {
    const char *text = "the tea, then the team";
    int32_t merges[10], ids[25];
    int64_t sizes[3], ends = 22;
    const int32_t wanted[10] = {' ', 't', 'h', 'e', 'e', 'a', 256, 257, 256, 258};
    assert(bpe_train(TRAIN_HEAP, CUT_WHOLE, text, 1, &ends, 5, merges, sizes) == 5);
    assert(sizes[0] == 1 && sizes[1] == 1 && sizes[2] == 22 && memcmp(merges, wanted, sizeof wanted) == 0);
    FastEncoder *e = bpe_encoder(wanted, 5);
    const int32_t right[] = {116, 257, 260, 44, 259, 110, 259, 260, 109};
    assert(bpe_encode_one(e, ENCODE_KNOWN, CUT_WHOLE, text, 22, ids) == 9 && memcmp(ids, right, sizeof right) == 0);
    bpe_encoder_free(e);
}

// The order of bytes in tokenizer.json.
static void test_order(void) {
    int32_t order[256], place[256];
    byte_order(order, place);
    for (int k = 0; k < 256; k++) assert(place[order[k]] == k);
    assert(order[0] == '!' && order[93] == '~' && order[94] == 0xA1 && order[187] == 0xFF);
    assert(order[188] == 0 && order[220] == ' ' && order[221] == 127 && order[255] == 0xAD);
}

static void test_long_words(void) {
    enum { BYTES = 200000 };
    char *text = malloc(BYTES);
    int32_t *ids = malloc((BYTES + 3) * sizeof *ids), merges[80];
    int64_t sizes[3], end = BYTES;
    for (int kind = 0; kind < 3; kind++) {
        memset(text, "a \n"[kind], BYTES);
        int64_t n = bpe_train(bpe_rungs() + 1, SPLIT_CL100K, text, 1, &end, 40, merges, sizes);
        assert(n >= 17 && merges[0] == merges[1] && merges[2] == 256 && merges[3] == 256 && sizes[0] == 1);
        FastEncoder *e = bpe_encoder(merges, n);
        int64_t count = bpe_encode_one(e, bpe_rungs(), SPLIT_CL100K, text, BYTES, ids);
        assert(count == 1);  // so many merges make one token of it
        assert(e->word.room == 0);  // given back
        bpe_encoder_free(e);
    }
    free(text);
    free(ids);
}

static void test_decoding(void) {
    const char *tokens = "ab<|end|>";
    const int64_t ends[] = {1, 2, 2, 9}, ids[] = {3, 0, 2, 1, 0}, wrong[] = {0, 4}, less[] = {-1};
    char out[12];
    assert(bpe_decode(tokens, ends, 4, ids, 5, NULL) == 10);
    assert(bpe_decode(tokens, ends, 4, ids, 5, out) == 10 && memcmp(out, "<|end|>aba", 10) == 0);
    assert(bpe_decode(tokens, ends, 4, wrong, 2, NULL) == BPE_WRONG);
    assert(bpe_decode(tokens, ends, 4, less, 1, NULL) == BPE_WRONG);
    assert(bpe_decode(tokens, ends, 4, ids, 0, NULL) == 0);
}

static void test_what_is_refused(void) {
    int32_t ids[8];
    int64_t end = 3, sizes[3], out[3];
    FastEncoder *e = bpe_encoder(NULL, 0);
    for (int rung = -1; rung <= ENCODE_AVX512 + 2; rung++) {
        bool known = rung >= 1 && rung <= bpe_rungs();
        assert(bpe_encode_one(e, rung, SPLIT_GPT2, "abc", 3, ids) == (known ? 3 : BPE_NO_SUCH_RUNG));
        assert(bpe_cut(rung, SPLIT_GPT2, "abc", 1, &end, out) == (known ? 1 : BPE_NO_SUCH_RUNG));
        known = rung >= 1 && rung <= bpe_rungs() + 1;
        assert(bpe_train(rung, SPLIT_GPT2, "abc", 1, &end, 1, ids, sizes) == (known ? 1 : BPE_NO_SUCH_RUNG));
    }
    for (int kind = -3; kind < 9; kind++) {
        bool known = kind >= -1 && kind <= SPLIT_MARKS;
        assert((bpe_encode_one(e, 2, kind, "abc", 3, ids) == BPE_WRONG) == !known);
        assert((bpe_cut(2, kind, "abc", 1, &end, out) == BPE_WRONG) == !known);
        assert((bpe_train(2, kind, "abc", 1, &end, 1, ids, sizes) == BPE_WRONG) == !known);
    }
    assert(bpe_encode(e, 2, SPLIT_GPT2, "", 0, NULL, ids, NULL) == 0);
    assert(bpe_train(2, SPLIT_GPT2, "", 0, NULL, 5, ids, sizes) == 0 && sizes[0] == 0);
    assert(bpe_train(2, SPLIT_GPT2, "abc", 1, &end, -1, ids, sizes) == BPE_WRONG);
    assert(bpe_read("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3", 17) != 0);
    bpe_encoder_free(e);
}

// Memory runs out at the k-th request, for every k: an answer, and nothing is lost.
static void test_without_memory(void) {
    Rng rng = rng_seed(4);
    char text[600];
    int32_t ids[603], merges[100];
    int64_t sizes[3], end = sizeof text;
    for (int i = 0; i < 600; i++) text[i] = "abcd  "[rng_below(&rng, 6)];
    memset(text, 'x', 100);  // too long for a table
    for (int rung = TRAIN_FORMULA; rung <= bpe_rungs() + 1; rung++) {
        int64_t count = BPE_NO_MEMORY;
        for (int64_t k = 0; count == BPE_NO_MEMORY; k++) {
            granted = k;
            count = bpe_train(rung, SPLIT_CL100K, text, 1, &end, 50, merges, sizes);
            granted = INT64_MAX;
            assert(k < 200 && (k > 5 || count == BPE_NO_MEMORY));
        }
        assert(count == 50);
    }
    FastEncoder *e = NULL;
    for (int64_t k = 0; !e; k++) {
        granted = k;
        e = bpe_encoder(merges, 50);
        granted = INT64_MAX;
        assert(k <= 4);
    }
    for (int64_t k = 0; k < 2; k++) {
        granted = k;
        assert(bpe_encode_one(e, ENCODE_KNOWN, SPLIT_CL100K, text, end, ids) == BPE_NO_MEMORY);
        granted = INT64_MAX;
    }
    assert(bpe_encode_one(e, ENCODE_KNOWN, SPLIT_CL100K, text, end, ids) > 0);
    bpe_encoder_free(e);
}

int main(void) {
    test_masks();
    test_cutting();
    test_by_hand();
    test_order();
    test_training_and_encoding();
    test_long_words();
    test_decoding();
    test_what_is_refused();
    test_without_memory();
    return 0;
}
