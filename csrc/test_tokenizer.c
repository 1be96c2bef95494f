// Tests of tokenizer.h and what it stands on: split patterns, merges, both kinds of tokenizer.json, faults, damage.
// tests/test_inference_text.py compares the ids with those of the library `tokenizers`.

#define _POSIX_C_SOURCE 200809L
#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdio.h>

#include "fuzz.h"
#include "rng.h"
#include "tokenizer.h"

// --- two small tokenizers ------------------------------------------------------------------------------------------

// ` stands for " in these texts.
static const char BYTE_LEVEL[] =
    "{`added_tokens`: [{`id`: 266, `content`: `<|end|>`, `special`: true, `normalized`: false},"
    "  {`id`: 267, `content`: `<|end|><`, `special`: true}, {`id`: 268, `content`: `<tool>`, `special`: false}],"
    " `normalizer`: null,"
    " `pre_tokenizer`: {`type`: `Sequence`, `pretokenizers`: ["
    "  {`type`: `Split`, `pattern`: {`Regex`: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+"
    "|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+`},"
    "   `behavior`: `Isolated`, `invert`: false},"
    "  {`type`: `ByteLevel`, `add_prefix_space`: false, `use_regex`: false}]},"
    " `decoder`: {`type`: `ByteLevel`},"
    " `post_processor`: {`type`: `TemplateProcessing`, `single`: ["
    "  {`SpecialToken`: {`id`: `<|end|>`, `type_id`: 0}}, {`Sequence`: {`id`: `A`, `type_id`: 0}}]},"
    " `model`: {`type`: `BPE`, `dropout`: null, `unk_token`: null, `ignore_merges`: false,"
    "  `merges`: [`h e`, `l l`, [`he`, `ll`], `o w`, `hell o`, `Ġ w`, `a a`, `aa aa`, `â Ģ`, `aaaa a`],"
    "  `vocab`: {";
static const char *const BYTE_WORDS[] = {"he", "ll", "hell", "ow", "hello", "Ġw", "aa", "aaaa", "âĢ", "aaaaa"};

static const char MARKED[] =
    "{`added_tokens`: [{`id`: 0, `content`: `<unk>`, `special`: true}, {`id`: 1, `content`: `<s>`, `special`: true},"
    "  {`id`: 2, `content`: `</s>`, `special`: true, `normalized`: true}],"
    " `normalizer`: {`type`: `Sequence`, `normalizers`: [{`type`: `Prepend`, `prepend`: `▁`},"
    "  {`type`: `Replace`, `pattern`: {`String`: ` `}, `content`: `▁`}]},"
    " `pre_tokenizer`: null,"
    " `decoder`: {`type`: `Sequence`, `decoders`: ["
    "  {`type`: `Replace`, `pattern`: {`String`: `▁`}, `content`: ` `}, {`type`: `ByteFallback`}, {`type`: `Fuse`},"
    "  {`type`: `Strip`, `content`: ` `, `start`: 1, `stop`: 0}]},"
    " `model`: {`type`: `BPE`, `unk_token`: `<unk>`, `fuse_unk`: true, `byte_fallback`: true,"
    "  `merges`: [`h e`, `l l`, `▁ he`, `▁he ll`, `o ▁`],"
    "  `vocab`: {`<unk>`: 0, `<s>`: 1, `</s>`: 2";
static const char *const MARKED_WORDS[] = {"h", "e", "l", "o", "▁", "é", "he", "ll", "▁he", "▁hell", "o▁"};

enum { FILE_ROOM = 20000 };

// The two files' texts.
static size_t write_byte_level(char *to) {
    char *at = quoted(to, BYTE_LEVEL);
    for (int byte = 0; byte < 256; byte++) {
        char letter[8] = {0};
        tokenizer_letter(byte, letter);
        at += sprintf(at, "\"%s%s\": %d, ", byte == '"' || byte == '\\' ? "\\" : "", letter, byte);
    }
    for (size_t i = 0; i < sizeof BYTE_WORDS / sizeof *BYTE_WORDS; i++)
        at += sprintf(at, "%s\"%s\": %zu", i ? ", " : "", BYTE_WORDS[i], 256 + i);
    return (size_t)(at + sprintf(at, "}}}") - to);
}

static size_t write_marked(char *to) {
    char *at = quoted(to, MARKED);
    for (int byte = 0; byte < 256; byte++) at += sprintf(at, ", \"<0x%02X>\": %d", byte, 3 + byte);
    for (size_t i = 0; i < sizeof MARKED_WORDS / sizeof *MARKED_WORDS; i++)
        at += sprintf(at, ", \"%s\": %zu", MARKED_WORDS[i], 259 + i);
    return (size_t)(at + sprintf(at, "}}}") - to);
}

static Tokenizer load(bool marked) {
    static char text[FILE_ROOM];
    Tokenizer t;
    Error e = {""};
    size_t bytes = marked ? write_marked(text) : write_byte_level(text);
    if (!tokenizer_read(&t, "tokenizer.json", text, bytes, &e)) fprintf(stderr, "%s\n", e.text), abort();
    return t;
}

// The ids of a text as words: "1 2 3".
static const char *ids_of(const Tokenizer *t, const char *text, size_t bytes, bool allow_special) {
    static char words[4000];
    char *at = words, *exact = malloc(bytes + !bytes);
    Ids ids = {0};
    Error e;
    memcpy(exact, text, bytes);
    assert(tokenizer_encode(t, exact, bytes, allow_special, &ids, &e));
    *at = '\0';
    for (size_t i = 0; i < ids.count; i++) at += sprintf(at, "%s%d", i ? " " : "", ids.at[i]);
    free(ids.at), free(exact);
    return words;
}

static void expect(const Tokenizer *t, const char *text, bool allow_special, const char *ids) {
    const char *got = ids_of(t, text, strlen(text), allow_special);
    if (strcmp(got, ids) != 0) fprintf(stderr, "%s: %s, not %s\n", text, got, ids);
    assert(strcmp(got, ids) == 0);
}

static void test_byte_level(void) {
    Tokenizer t = load(false);
    assert(t.vocab_size == 269 && t.begin == 266 && !t.strips_space);
    expect(&t, "", true, "");
    expect(&t, "hello", false, "260");
    expect(&t, "hellow", false, "258 259");  // "o w" was learned before "hell o"
    expect(&t, "hello w", false, "260 261");
    expect(&t, "aaa", false, "262 97");
    expect(&t, "aaaaaaaaaaa", false, "263 263 262 97");
    expect(&t, "\xE2\x80\x82", false, "264 130");
    expect(&t, "\xE2", false, "239 191 189");  // U+FFFD
    expect(&t, "a<|end|>b", true, "97 266 98");
    expect(&t, "a<|end|><b", true, "97 267 98");  // the longest
    expect(&t, "a<|end|>b", false, "97 60 124 101 110 100 124 62 98");
    expect(&t, "<|<|end|>", true, "60 124 266");
    expect(&t, "<tool>", false, "268");  // added, not special: always
    expect(&t, "<|end|", true, "60 124 101 110 100 124");
    assert(strcmp(ids_of(&t, "a\0b", 3, false), "97 0 98") == 0);
    size_t bytes;
    assert(memcmp(tokenizer_token(&t, 261, &bytes), " w", 2) == 0 && bytes == 2);
    assert(memcmp(tokenizer_token(&t, 0, &bytes), "\0", 1) == 0 && bytes == 1);
    assert(memcmp(tokenizer_token(&t, 264, &bytes), "\xE2\x80", 2) == 0 && bytes == 2);
    assert(!tokenizer_token(&t, -1, &bytes) && !tokenizer_token(&t, 269, &bytes) &&
           !tokenizer_token(&t, INT32_MAX, &bytes));
    assert(tokenizer_special(&t, "<|end|>") == 266 && tokenizer_special(&t, "hello") == -1 &&
           tokenizer_special(&t, "") == -1);
    assert(tokenizer_is_special(&t, 266) && !tokenizer_is_special(&t, 268) && !tokenizer_is_special(&t, 300));
    for (int byte = 0; byte < 256; byte++)
        assert(tokenizer_token(&t, byte, &bytes)[0] == (char)byte && bytes == 1 && t.byte_ids[byte] == byte);
    tokenizer_free(&t);
}

static void test_marked(void) {
    Tokenizer t = load(true);
    assert(t.vocab_size == 270 && t.begin == -1 && t.strips_space);
    expect(&t, "", true, "");
    expect(&t, "hello", false, "268 262");  // ▁hell o
    expect(&t, " hello", false, "263 268 262");
    expect(&t, "o o", false, "263 269 262");                           // ▁ o▁ o
    expect(&t, "\xC3\xA9\xE2\x82\xAC", false, "263 264 229 133 175");  // € has no token: its bytes
    expect(&t, "<s>he</s> o", true, "1 267 63 50 118 65 263 262");     // "</s>" is looked for with its mark,
    expect(&t, "he </s>he", true, "267 2 265");  // as the library does: where a space is before it
    size_t bytes;
    assert(memcmp(tokenizer_token(&t, 268, &bytes), " hell", 5) == 0 && bytes == 5);
    assert(tokenizer_token(&t, 3 + 0xE2, &bytes)[0] == '\xE2' && bytes == 1);
    tokenizer_free(&t);
}

// --- split patterns ------------------------------------------------------------------------------------------------

// The pieces of a text, with | between them.
static void expect_pieces(SplitKind kind, const char *text, const char *pieces) {
    char got[500], *to = got;
    size_t bytes = strlen(text);
    for (size_t at = 0, end; at < bytes; at = end) {
        end = split_next(kind, text, bytes, at);
        assert(end > at && end <= bytes);
        if (at > 0) *to++ = '|';
        memcpy(to, text + at, end - at);
        to += end - at;
    }
    *to = '\0';
    if (strcmp(got, pieces) != 0) fprintf(stderr, "%s: %s, not %s\n", text, got, pieces);
    assert(strcmp(got, pieces) == 0);
}

static void test_splits(Rng *rng) {
    expect_pieces(SPLIT_GPT2, "I'll say 'tis 12345 o'clock, DON'T", "I|'ll| say| '|tis| 12345| o|'|clock|,| DON|'|T");
    expect_pieces(SPLIT_GPT2, "a  b\n\n c \t", "a| | b|\n\n| c| \t");
    expect_pieces(SPLIT_CL100K, "I'll say 'tis 12345 o'clock, DON'T", "I|'ll| say| '|tis| |123|45| o|'clock|,| DON|'T");
    expect_pieces(SPLIT_CL100K, "a  b\n\n c \t", "a| | b|\n\n| c| \t");
    expect_pieces(SPLIT_CL100K, "wow!!\n\n\nx \n \n  y", "wow|!!\n\n\n|x| \n \n| | y");
    expect_pieces(SPLIT_CL100K, "it'\xC5\xBF", "it|'\xC5\xBF");  // the long s is an s in any case
    expect_pieces(SPLIT_CL100K,
                  "\xC2\xA0"
                  "a\xC2\xA0\xC2\xA0"
                  "1",
                  "\xC2\xA0"
                  "a|\xC2\xA0|\xC2\xA0|1");
    expect_pieces(SPLIT_CL100K_ONE, "12 3", "1|2| |3");
    expect_pieces(SPLIT_DIGIT, "ab12c", "ab|1|2|c");
    expect_pieces(SPLIT_DIGITS, "ab12c", "ab|12|c");
    expect_pieces(SPLIT_MARKS,
                  "\xE2\x96\x81"
                  "a\xE2\x96\x81\xE2\x96\x81"
                  "b",
                  "\xE2\x96\x81"
                  "a|\xE2\x96\x81|\xE2\x96\x81"
                  "b");
    static const char *const parts[] = {"a",
                                        "Z",
                                        "'",
                                        "s",
                                        "ll",
                                        " ",
                                        "  ",
                                        "\n",
                                        "\r",
                                        "\t",
                                        "1",
                                        "23",
                                        ".",
                                        "!",
                                        "\xC3\xA9",
                                        "\xE2\x80\x83",
                                        "\xF0\x9F\x90\x89",
                                        "\xC2\xBD",
                                        "\xE2\x96\x81",
                                        "\xCC\x81",
                                        "\xC2\x85"};
    for (int trial = 0; trial < 3000; trial++) {
        char text[200] = "", *exact;
        for (uint32_t n = rng_below(rng, 30); n > 0; n--)
            strcat(text, parts[rng_below(rng, sizeof parts / sizeof *parts)]);
        size_t bytes = strlen(text);
        exact = malloc(bytes + !bytes);
        memcpy(exact, text, bytes);
        for (SplitKind kind = SPLIT_GPT2; kind <= SPLIT_MARKS; kind++)
            for (size_t at = 0, end; at < bytes; at = end) {
                end = split_next(kind, exact, bytes, at);
                assert(end > at && end <= bytes && utf8_valid(exact + at, end - at) == end - at);
            }
        free(exact);
    }
}

// --- properties ----------------------------------------------------------------------------------------------------

// Merging by the definition: the lowest rank of all neighbors, the leftmost, again and again.
static size_t merge_slowly(const Merges *m, int32_t *ids, size_t n) {
    for (;;) {
        const Merge *best = NULL;
        size_t place = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const Merge *merge = merges_place(m, ids[i], ids[i + 1]);
            if (merge->left >= 0 && (!best || merge->rank < best->rank)) best = merge, place = i;
        }
        if (!best) return n;
        ids[place] = best->made;
        memmove(ids + place + 1, ids + place + 2, (n - place - 2) * sizeof *ids);
        n--;
    }
}

static void test_merges(Rng *rng) {
    enum { LETTERS = 3, MERGES = 40, LONGEST = 60 };
    for (int trial = 0; trial < 400; trial++) {
        Merges m = {0};
        assert(merges_reserve(&m, MERGES));
        for (int32_t k = 0; k < MERGES; k++) {  // any pair may make any id, at any rank
            int32_t left = (int32_t)rng_below(rng, LETTERS + (uint32_t)k),
                    right = (int32_t)rng_below(rng, LETTERS + (uint32_t)k);
            *merges_place(&m, left, right) = (Merge){left, right, k, LETTERS + k};
        }
        Word w = {0};
        for (int again = 0; again < 5; again++) {
            int32_t ids[LONGEST];
            size_t n = rng_below(rng, LONGEST), at = 0;
            assert(word_reserve(&w, n));
            for (size_t i = 0; i < n; i++) w.symbols[i].id = ids[i] = (int32_t)rng_below(rng, LETTERS);
            w.count = n;
            word_merge(&w, &m);
            n = merge_slowly(&m, ids, n);
            for (size_t i = 0; i < w.count; i++)
                if (w.symbols[i].id >= 0) assert(at < n && w.symbols[i].id == ids[at++]);
            assert(at == n);
        }
        word_free(&w);
        free(m.places);
    }
}

// Decoding what was encoded gives the text back, and encoding is in pieces what it is as a whole.
static void test_round_trip(Rng *rng) {
    Tokenizer both[] = {load(false), load(true)};
    Error e;
    for (int trial = 0; trial < 3000; trial++) {
        const Tokenizer *t = &both[trial % 2];
        char text[300], got[1200];
        size_t bytes = 0, n = 0, length;
        for (uint32_t k = rng_below(rng, 50); k > 0; k--) {
            uint32_t code = rng_below(rng, 3) ? (uint32_t)"hello w\n1a'"[rng_below(rng, 11)] : rng_below(rng, 0x3000);
            bytes += utf8_write(code == 0x2581 || (code >= 0xD800 && code < 0xE000) ? ' ' : code, text + bytes);
        }
        Ids ids = {0};
        assert(tokenizer_encode(t, text, bytes, rng_below(rng, 2), &ids, &e));
        for (size_t i = 0; i < ids.count; i++) {
            const char *piece = tokenizer_token(t, ids.at[i], &length);
            assert(piece && n + length < sizeof got);
            memcpy(got + n, piece, length);
            n += length;
        }
        bool space = t->strips_space && bytes > 0;  // the mark before the text
        assert(n == bytes + space && memcmp(got + space, text, bytes) == 0 && (!space || got[0] == ' '));
        free(ids.at);
    }
    size_t million = 1000000;
    char *word = malloc(million);
    memset(word, 'a', million);
    for (int k = 0; k < 2; k++) {
        Ids ids = {0};
        assert(tokenizer_encode(&both[k], word, million, false, &ids, &e));
        assert(ids.count == (k ? 1000001u : 250000u));  // "aaaa", again and again; or a mark and a million bytes
        free(ids.at);
    }
    free(word);
    tokenizer_free(&both[0]), tokenizer_free(&both[1]);
}

// --- faults and damage ---------------------------------------------------------------------------------------------

static bool changed(bool marked, const char *from, const char *to, Error *e) {
    static char text[FILE_ROOM], rest[FILE_ROOM];
    size_t bytes = marked ? write_marked(text) : write_byte_level(text);
    char wanted[200];
    quoted(wanted, from);
    char *at = strstr(text, wanted);
    assert(at);
    strcpy(rest, at + strlen(wanted));
    at = quoted(at, to);
    bytes = (size_t)(at - text) + (size_t)sprintf(at, "%s", rest);
    Tokenizer t;
    strcpy(e->text, "accepted");
    bool good = tokenizer_read(&t, "tokenizer.json", text, bytes, e);
    if (good) tokenizer_free(&t);
    return good;
}

static void test_faults(void) {
    static const struct {
        bool marked;
        const char *from, *to, *says;
    } faults[] = {
        {0, "`type`: `BPE`, ", "", "accepted"},  // as in GPT-2's own file
        {0, "`BPE`", "`Unigram`", "Unigram"},
        {0, "`vocab`", "`vocabulary`", "vocab or merges"},
        {0, "`merges`", "`merge`", "vocab or merges"},
        {0, "`dropout`: null", "`dropout`: 0.1", "dropout"},
        {0, "`dropout`: null", "`end_of_word_suffix`: `</w>`", "end_of_word_suffix"},
        {0, "`dropout`: null", "`byte_fallback`: true", "byte_fallback"},
        {0, "`unk_token`: null", "`unk_token`: `?!`", "accepted"},  // all bytes have ids: nothing is unknown
        {0, "`dropout`: null, `unk_token`: null, `ignore_merges`: false", "`unk_token`: 3", "accepted"},
        {1, "`unk_token`: `<unk>`, `fuse_unk`: true, `byte_fallback`: true", "`unk_token`: `?!`", "unk_token"},
        {0, "`normalizer`: null", "`normalizer`: {`type`: `NFC`}", "NFC"},
        {0, "`normalizer`: null", "`normalizer`: {`type`: `Sequence`}", "Sequence"},
        {0, "\\\\p{N}{1,3}", "\\\\p{N}{1,4}", "in a way that is unknown"},
        {0, "`Isolated`", "`Removed`", "in a way that is unknown"},
        {0, "`invert`: false", "`invert`: true", "in a way that is unknown"},
        {0, "`type`: `Split`", "`type`: `Whitespace`", "Whitespace"},
        {0, "`add_prefix_space`: false", "`add_prefix_space`: true", "add_prefix_space"},
        {0, "`decoder`: {`type`: `ByteLevel`}", "`decoder`: {`type`: `WordPiece`}", "WordPiece"},
        {0, "`h e`", "`h  e`", "not a pair"},
        {0, "`h e`", "`he`", "not a pair"},
        {0, "`h e`", "[`h`, `e`, ``]", "not a pair"},
        {0, "`h e`", "[`h`, 1]", "not a pair"},
        {0, "`h e`", "`h x`", "not in the vocabulary"},
        {0, "`he`: 256", "`he`: 257", "two tokens have the id 257"},
        {0, "`he`: 256", "`he`: -1", "no id"},
        {0, "`he`: 256", "`he`: 1e2", "no id"},
        {0, "`he`: 256", "`he`: 4194304", "no id"},
        {0, "`he`: 256", "`he`: 4194303", "accepted"},
        {0, "`id`: 266", "`id`: 256", "taken"},
        {0, "`id`: 266", "`id`: null", "no id"},
        {0, "`<|end|>`", "``", "no content"},
        {0, "`<tool>`", "`<|end|>`", "there twice"},
        {0, "`special`: true", "`special`: true, `lstrip`: true", "takes spaces"},
        {0, "`added_tokens`: [", "`added_tokens`: 3, `x`: [", "not an array"},
        {1, "<0x00>", "<0x0>", "byte_fallback is set, but <0x00>"},
        {1, "`prepend`: `▁`", "`prepend`: `_`", "Prepend"},
        {1, "`pre_tokenizer`: null", "`pre_tokenizer`: {`type`: `ByteLevel`}", "unknown here"},
        {1, "`pre_tokenizer`: null", "`pre_tokenizer`: {`type`: `Metaspace`, `replacement`: `▁`}", "both"},
        {1, "`Fuse`", "`CTC`", "CTC"},
        {1, "`id`: 1,", "`id`: 2,", "taken, or two"},
    };
    Error e;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        bool good = changed(faults[i].marked, faults[i].from, faults[i].to, &e);
        if (!strstr(e.text, faults[i].says)) fprintf(stderr, "%s -> %s: %s\n", faults[i].from, faults[i].to, e.text);
        assert(strstr(e.text, faults[i].says) && (good || strncmp(e.text, "tokenizer.json", 14) == 0));
    }
    Tokenizer t;
    assert(!tokenizer_load(&t, "no such file.json", &e) && strstr(e.text, "no such file.json"));
    assert(!tokenizer_read(&t, "x", "[]", 2, &e) && strstr(e.text, "an array"));
    assert(!tokenizer_read(&t, "x", "{}", 2, &e) && !tokenizer_read(&t, "x", "", 0, &e));
}

// A damaged file is a fault in one line, or a tokenizer that gives ids it knows.
static int damage_once(uint64_t seed) {
    static char text[FILE_ROOM];
    Rng rng = rng_seed(seed);
    size_t bytes = rng_below(&rng, 2) ? write_marked(text) : write_byte_level(text), length;
    size_t settings =
        (size_t)(strstr(text, "\"vocab\"") - text);  // most of the damage goes to what stands before the list
    Damaged front = fuzz(text, rng_below(&rng, 4) ? settings : bytes, &rng), d = {NULL, front.bytes};
    if (front.bytes < settings + 200) {
        d.bytes += bytes - settings;
        d.data = malloc(d.bytes);
        memcpy(d.data, front.data, front.bytes);
        memcpy(d.data + front.bytes, text + settings, bytes - settings);
        free(front.data);
    } else {
        d = front;
    }
    Tokenizer t;
    Error e = {""};
    bool good = tokenizer_read(&t, "tokenizer.json", d.data, d.bytes, &e);
    assert(good || (strlen(e.text) > 10 && !strchr(e.text, '\n')));
    if (good) {
        Ids ids = {0};
        static const char words[] = "hello <|end|>\xE2\x82\xAC \xFFhellow</s> 12";
        assert(tokenizer_encode(&t, words, sizeof words, seed % 2, &ids, &e));
        for (size_t i = 0; i < ids.count; i++) assert(tokenizer_token(&t, ids.at[i], &length));
        assert(t.begin < t.vocab_size);
        free(ids.at);
        tokenizer_free(&t);
    }
    free(d.data);
    return good;
}

static void test_damage(void) {
    int good = 0;
    for (uint64_t seed = 0; seed < 4000; seed++) good += damage_once(seed);
    assert(good > 100 && good < 3800);
}

int main(int argc, char **argv) {
    if (argc > 1) return !damage_once(strtoull(argv[1], NULL, 10));  // one case again, by its seed
    Rng rng = rng_seed(17);
    test_byte_level();
    test_marked();
    test_splits(&rng);
    test_merges(&rng);
    test_round_trip(&rng);
    test_faults();
    test_damage();
    return 0;
}
