// Tests of bigram.c and of what it includes: random numbers, reading stories, counting, sampling.

#define main bigram_main
#include "bigram.c"
#undef main

#undef NDEBUG  // the assertions are the test
#include <assert.h>

static void test_random_numbers(void) {
    // The same numbers as in tests/test_bigram.py.
    const struct {
        uint64_t seed;
        uint32_t bits[6];
    } golden[] = {{0, {0x90644221, 0x4618e85f, 0x8f5bd9cd, 0xaf2c0306, 0xf6cd0b71, 0xa19ab615}},
                  {1, {0x5249c5dc, 0x01959430, 0xe7976769, 0x57d21847, 0xec099420, 0x7efb0d93}},
                  {7, {0x531d0e40, 0x574f6127, 0x1a93746d, 0xb398e5e1, 0x9df494f7, 0x000e7e37}},
                  {UINT64_MAX, {0x4df7fdf8, 0x74675b30, 0xa2f72031, 0x21affdbd, 0x328cc5c3, 0xf2c90021}}};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        Rng rng = rng_seed(golden[i].seed);
        for (size_t k = 0; k < 6; k++) assert(rng_next_u32(&rng) == golden[i].bits[k]);
    }
    // One stream, one kind of number after the other.
    Rng rng = rng_seed(7);
    const double uniform[] = {0x1.4c7438p-2, 0x1.5d3d84p-2, 0x1.a93740p-4};
    const uint32_t ten[] = {5, 1, 5, 3, 4};
    const uint32_t large[] = {1155691352, 2998075808, 1533555001, 520363665, 2060070975};
    const double normal[] = {-0x1.b6ef2dbaa25e0p-1, -0x1.2b88357cce688p-1, 0x1.d2ab52c1933afp-3};
    const size_t chosen[] = {2, 2, 2, 2, 2, 2, 2, 2, 0, 2};
    const double probabilities[] = {0.1, 0.2, 0.7, 0};
    for (size_t i = 0; i < 3; i++) assert(rng_uniform(&rng) == uniform[i]);
    for (size_t i = 0; i < 5; i++) assert(rng_below(&rng, 10) == ten[i]);
    for (size_t i = 0; i < 5; i++) assert(rng_below(&rng, 3000000000u) == large[i]);
    for (size_t i = 0; i < 3; i++) assert(fabs(rng_normal(&rng) - normal[i]) < 1e-14);
    for (size_t i = 0; i < 10; i++) assert(rng_choice(&rng, probabilities, 4) == chosen[i]);
    for (size_t i = 0; i < 1000; i++) assert(rng_below(&rng, 1) == 0);
    const double only_last[] = {0, 0, 5e-324};
    for (size_t i = 0; i < 1000; i++) assert(rng_choice(&rng, only_last, 3) == 2);
    const double never_last[] = {0.3, 0};
    for (size_t i = 0; i < 1000; i++) assert(rng_choice(&rng, never_last, 2) == 0);
}

static void test_utf8(void) {
    // Every code point, written as UTF-8 by the definition: valid unless it is half of a UTF-16 pair.
    for (uint32_t c = 0; c < 0x120000; c++) {
        Byte p[8] = {0};
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (size_t k = n; k-- > 1;) p[k] = (Byte)(0x80 | (c >> 6 * (n - 1 - k) & 0x3F));
        p[0] = n == 1 ? (Byte)c : (Byte)(0xF00 >> n | c >> 6 * (n - 1));
        bool valid = c < 0x110000 && !(c >= 0xD800 && c < 0xE000);
        assert(utf8_length(p, n) == (valid ? n : 0));
        assert(first_not_utf8(p, n) == (valid ? n : 0));
        for (size_t left = 1; left < n; left++) assert(utf8_length(p, left) == 0);
    }
    const char *wrong[] = {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",
                           "\xF5\x80\x80\x80", "\xFF", "\xC3(", "\xE2\x82(", "\xF0\x9F\x98(",
                           "\xF8\x88\x80\x80\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[64];
        for (int before = 0; before < 20; before++) {  // the eight-bytes shortcut must not step over it
            int length = snprintf(text, sizeof text, "%.*s%s and", before, "0123456789abcdefghi", wrong[i]);
            assert(first_not_utf8((const Byte *)text, (size_t)length) == (size_t)before);
        }
    }
}

// The stories in a text, written one after the other with '|' behind each.
static void expect_stories(const char *text, size_t size, const char *expected) {
    Stories stories = {.text = malloc(size + 1), .size = size};
    assert(stories.text);
    memcpy(stories.text, text, size);
    assert(split_stories(&stories));
    size_t bytes = 0;
    for (size_t s = 0; s < stories.count; s++) {
        const Story story = stories.items[s];
        assert(story.length > 0 && memcmp(story.bytes, expected, story.length) == 0);
        expected += story.length;
        assert(*expected++ == '|');
        bytes += story.length;
    }
    assert(*expected == '\0' && bytes == stories.bytes);
    free_stories(&stories);
}

static void test_splitting(void) {
    const struct {
        const char *text, *stories;
    } cases[] = {{"", ""},
                 {" \n\t\r\n", ""},
                 {"a", "a|"},
                 {"a\n<|endoftext|>\nb\n", "a|b|"},
                 {"a\r\n<|endoftext|>\r\nb\r\nc\r\n", "a|b\r\nc|"},
                 {"<|endoftext|>\n\n <|endoftext|>\t\na\n<|endoftext|>", "a|"},
                 {"a <|endoftext|>\nb<|endoftext|>", "a <|endoftext|>\nb<|endoftext|>|"},
                 {"<|endoftext|> <|endoftext|>", "<|endoftext|> <|endoftext|>|"},
                 {"<|endoftext|\n>", "<|endoftext|\n>|"},
                 {"\xE3\x80\x80 a\xC2\xA0\n\xC2\x85<|endoftext|>\xE2\x80\x8A\n\xE2\x80\x8B",
                  "a|\xE2\x80\x8B|"},
                 {"\x1C\x1F" "a\x1B\n", "a\x1B|"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_stories(cases[i].text, strlen(cases[i].text), cases[i].stories);
    const char zero[] = "\0a\n<|endoftext|>\n\0";
    Stories stories = {.text = malloc(sizeof zero), .size = sizeof zero - 1};
    assert(stories.text);
    memcpy(stories.text, zero, stories.size);
    assert(split_stories(&stories) && stories.count == 2 && stories.bytes == 3);  // zeros are no white space
    free_stories(&stories);
}

// Stories of random bytes from a small alphabet, so that pairs recur; lengths from 1 on.
static Stories random_stories(Rng *rng, size_t count, uint32_t longest, uint32_t alphabet) {
    Stories stories = {.text = malloc(count * longest)};
    assert(stories.text);
    for (size_t s = 0; s < count; s++) {
        Byte *bytes = stories.text + s * longest;
        size_t length = 1 + rng_below(rng, longest);
        for (size_t i = 0; i < length; i++) bytes[i] = (Byte)(255 - rng_below(rng, alphabet));
        assert(add_story(&stories, (Story){bytes, length}));
    }
    return stories;
}

static void test_counting(void) {
    uint64_t *expected = malloc(V * V * sizeof *expected), *counts = malloc(V * V * sizeof *counts);
    uint32_t *tables = calloc(2 * PAIRS, sizeof *tables);
    assert(expected && counts && tables);
    Rng rng = rng_seed(1);
    const uint32_t alphabets[] = {1, 2, 20, 256};
    for (size_t i = 0; i < 80; i++) {
        Stories stories = random_stories(&rng, 40, i % 2 ? 300 : 20, alphabets[i / 2 % 4]);
        count_rung(0, &stories, expected, tables);
        uint64_t total = 0;
        for (size_t k = 0; k < V * V; k++) total += expected[k];
        assert(total == stories.bytes + stories.count && expected[END * V + END] == 0);
        for (size_t rung = 1; rung < RUNGS; rung++) {
            count_rung(rung, &stories, counts, tables);
            assert(memcmp(counts, expected, V * V * sizeof *counts) == 0);
        }
        for (size_t k = 0; k < 2 * PAIRS; k++) assert(tables[k] == 0);
        free_stories(&stories);
    }
    for (size_t most = 1; most < 30; most = 2 * most + 1) {  // emptying counters early changes nothing
        Stories stories = random_stories(&rng, 5, 20, 2);
        count_rung(0, &stories, expected, tables);
        for (size_t rung = 1; rung < RUNGS; rung++) {
            memset(counts, 0, V * V * sizeof *counts);
            count_with(LADDER[rung].pairs, &stories, counts, tables, most);
            assert(memcmp(counts, expected, V * V * sizeof *counts) == 0);
        }
        free_stories(&stories);
    }
    free(expected);
    free(counts);
    free(tables);
}

static void test_probabilities(void) {
    // Two stories, "ab" and "b": END is followed by a once and by b once, b twice by END.
    uint64_t counts[V * V] = {0};
    const Byte text[] = "abb";
    Story items[] = {{text, 2}, {text + 2, 1}};
    Stories stories = {.items = items, .count = 2, .bytes = 3};
    count_1(&stories, counts);
    assert(counts[END * V + 'a'] == 1 && counts[END * V + 'b'] == 1);
    assert(counts['a' * V + 'b'] == 1 && counts['b' * V + END] == 2);
    double p[V];
    smooth_row(counts, END, 0.0, p);
    assert(p['a'] == 0.5 && p['b'] == 0.5 && p[END] == 0.0);
    smooth_row(counts, 'x', 0.0, p);  // never seen
    for (size_t b = 0; b < V; b++) assert(p[b] == 0.0);
    smooth_row(counts, 'x', 0.5, p);
    for (size_t b = 0; b < V; b++) assert(fabs(p[b] - 1.0 / V) < 1e-15);
    assert(table_bits(counts, counts, 0.0) == 2.0);  // only a story's first byte is a question: one bit
    uint64_t other[V * V] = {0};
    other['a' * V + 'a'] = 1;
    assert(isinf(table_bits(counts, other, 0.0)) && table_bits(counts, other, 1.0) < 8.1);

    // What this model can tell: nothing but its two stories.
    Rng rng = rng_seed(3);
    size_t both[2] = {0, 0};
    for (size_t i = 0; i < 1000; i++) {
        size_t first = next_symbol(counts, 0.0, &rng, END);
        assert(first == 'a' || first == 'b');
        both[first == 'b']++;
        assert(next_symbol(counts, 0.0, &rng, 'a') == 'b' && next_symbol(counts, 0.0, &rng, 'b') == END);
    }
    assert(both[0] > 400 && both[1] > 400);
}

static void test_commas(void) {
    assert(strcmp(commas(0).text, "0") == 0 && strcmp(commas(999).text, "999") == 0);
    assert(strcmp(commas(1000).text, "1,000") == 0 && strcmp(commas(4934415).text, "4,934,415") == 0);
    assert(strcmp(commas(UINT64_MAX).text, "18,446,744,073,709,551,615") == 0);
}

int main(void) {
    test_random_numbers();
    test_utf8();
    test_splitting();
    test_counting();
    test_probabilities();
    test_commas();
    return 0;
}
