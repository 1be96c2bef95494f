// Tests of json.h, table.h and utf8.h: what is JSON and what is not, values written at random and read again, damage.

#define _POSIX_C_SOURCE 200809L
#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "fuzz.h"
#include "json.h"
#include "rng.h"

static bool reads(const char *text, size_t bytes, Json *json, Error *e) {
    char *exact = malloc(bytes ? bytes : 1);  // without a zero byte behind it
    assert(exact);
    memcpy(exact, text, bytes);
    bool good = json_parse(json, "x.json", exact, bytes, e);
    free(exact);
    return good;
}

// Every node's size is that of its parts, and they end where the row ends.
static size_t check_tree(const JsonNode *node, int depth) {
    assert(depth <= JSON_DEPTH + 1 && node->kind <= JSON_OBJECT);
    size_t size = 1;
    if (node->kind == JSON_STRING)
        assert(node->text[node->count] == '\0' && utf8_valid(node->text, node->count) == node->count);
    if (node->kind == JSON_NUMBER) assert(isfinite(node->number));
    if (node->kind == JSON_ARRAY || node->kind == JSON_OBJECT) {
        const JsonNode *item = json_first(node);
        for (uint32_t i = 0; i < node->count * (node->kind == JSON_OBJECT ? 2 : 1); i++, item = json_next(item)) {
            if (node->kind == JSON_OBJECT && i % 2 == 0) assert(item->kind == JSON_STRING);
            size += check_tree(item, depth + 1);
        }
    }
    assert(size == node->size);
    return size;
}

static void test_values(void) {
    const char *text =
        " {\"a\": [1, -2.5e1, true, false, null], \"b\\u00e9\\n\": \"\\ud83d\\udc09 \\\"\\/\\\\\", \"c\": {},\n"
        "\"n\": null, \"long\": 9223372036854775807, \"longer\": 9223372036854775808, \"-\": -0} ";
    Json j;
    Error e;
    assert(reads(text, strlen(text), &j, &e));
    const JsonNode *root = j.nodes, *a = json_get(root, "a"), *item = json_first(a);
    assert(root->kind == JSON_OBJECT && root->count == 7 && root->size == j.count && check_tree(root, 0) == j.count);
    assert(a->kind == JSON_ARRAY && a->count == 5 && a->size == 6 && item->whole && item->integer == 1);
    item = json_next(item);
    assert(!item->whole && item->number == -25.0);
    assert(json_is(json_get(root, "b\xC3\xA9\n"), "\xF0\x9F\x90\x89 \"/\\"));
    assert(json_get(root, "c")->count == 0 && !json_get(root, "n") && !json_get(root, "d") && !json_get(a, "a"));
    assert(json_get(root, "long")->whole && json_get(root, "long")->integer == INT64_MAX);
    assert(!json_get(root, "longer")->whole && json_get(root, "longer")->number == 9223372036854775808.0);
    assert(json_get(root, "-")->whole && json_get(root, "-")->integer == 0);
    json_free(&j);
    assert(reads("\"a\\u0000b\"", 10, &j, &e) && j.nodes->count == 3 && memcmp(j.nodes->text, "a\0b", 4) == 0);
    json_free(&j);
}

static void test_refusals(void) {
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1 2",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\t\"",
        "\"\n\"",
        "\"\xFF\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"",
        "1e999",
        "-1e999",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "[[1}]",
        "{\"a\":1]",
        "\xEF\xBB\xBF{}",
        "'a'",
        "[1]\x01",
        "// a\n1",
    };
    Json j;
    Error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e.text[0] = '\0';
        assert(!reads(bad[i], strlen(bad[i]), &j, &e));
        assert(strncmp(e.text, "x.json", 6) == 0 && !strchr(e.text, '\n') && j.text == NULL && j.nodes == NULL);
    }
    assert(!reads("{\n\"a\\n\":\n1,\n}", 13, &j, &e) && strstr(e.text, "line 4"));
    assert(!reads("1\0", 2, &j, &e) && !reads("\"a\0\"", 4, &j, &e));  // zero bytes are no JSON
    for (int depth = 1; depth < 300000; depth *= 2) {
        char *text = malloc(2 * (size_t)depth);
        assert(text);
        memset(text, '[', (size_t)depth), memset(text + depth, ']', (size_t)depth);
        assert(reads(text, 2 * (size_t)depth, &j, &e) == (depth <= JSON_DEPTH));
        json_free(&j);
        free(text);
    }
    char many[2000] = "{", *at = many + 1;  // more keys than are compared one by one; the last is there twice
    for (int i = 0; i < 100; i++) at += sprintf(at, "\"%d\":%d,", i, i);
    sprintf(at, "\"x\":1}");
    assert(reads(many, strlen(many), &j, &e) && json_get(j.nodes, "99")->integer == 99);
    json_free(&j);
    sprintf(at, "\"57\":1}");
    assert(!reads(many, strlen(many), &j, &e) && strstr(e.text, "\"57\" stands twice"));
    assert(!json_load(&j, "no such file.json", &e) && strstr(e.text, "no such file.json"));
    assert(!json_load(&j, "/", &e) && strstr(e.text, "not a file"));
    assert(!json_parse(&j, "x", "1", 1, NULL) || (json_free(&j), true));  // nobody wants to know the fault
    assert(!json_parse(&j, "x", "}", 1, NULL));
}

// Writes a value at random, in any spelling, into `to`, and the same value's nodes again from what was read.
static char *write_random(Rng *rng, char *to, int depth) {
    uint32_t n = rng_below(rng, 4), kind = rng_below(rng, depth > 0 ? 7 : 5);
    if (rng_below(rng, 3) == 0) *to++ = " \n\t\r"[rng_below(rng, 4)];
    if (kind == JSON_NUMBER) return to + sprintf(to, "%.17g", (rng_uniform(rng) - 0.5) * pow(10.0, rng_below(rng, 40)));
    if (kind < JSON_NUMBER) return to + sprintf(to, "%s", (const char *[]){"null", "false", "true"}[kind]);
    if (kind == JSON_STRING) {
        *to++ = '"';
        for (uint32_t i = 0; i < 3 * n; i++) {
            uint32_t code = rng_below(rng, 3) ? rng_below(rng, 128) : rng_below(rng, 0x110000);
            if (code >= 0xD800 && code < 0xE000) code = '\\';
            if (code >= 0x10000 && rng_below(rng, 2))
                to += sprintf(to, "\\u%04x\\u%04X", 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF));
            else if (code < 0x10000 && (code < 32 || code == '"' || code == '\\' || rng_below(rng, 2)))
                to += sprintf(to, "\\u%04x", code);
            else
                to += utf8_write(code, to);
        }
        *to++ = '"';
        return to;
    }
    *to++ = kind == JSON_ARRAY ? '[' : '{';
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) *to++ = ',';
        if (kind == JSON_OBJECT) to += sprintf(to, "\"%u\\u%04x\":", i, rng_below(rng, 0xD800));
        to = write_random(rng, to, depth - 1);
    }
    *to++ = kind == JSON_ARRAY ? ']' : '}';
    return to;
}

static void test_random(Rng *rng) {
    static char text[1 << 16];
    Json j;
    Error e;
    size_t good = 0;
    for (int trial = 0; trial < 3000; trial++) {
        size_t bytes = (size_t)(write_random(rng, text, 5) - text);
        assert(reads(text, bytes, &j, &e) && check_tree(j.nodes, 0) == j.count);
        json_free(&j);
        Damaged d = fuzz(text, bytes, rng);
        if (json_parse(&j, "x.json", d.data, d.bytes, &e)) {
            good++;
            assert(check_tree(j.nodes, 0) == j.count);
            json_free(&j);
        }
        free(d.data);
    }
    assert(good > 100);  // the damage is not so coarse that nothing is ever read
}

static void test_table(Rng *rng) {
    Table t = {0};
    char names[2000][8];
    assert(table_get(&t, "a", 1) == -1);
    for (int i = 0; i < 2000; i++) {
        sprintf(names[i], "n%d", i);
        assert(table_add(&t, names[i], strlen(names[i]), i) && t.count == (size_t)i + 1);
        int k = (int)rng_below(rng, (uint32_t)i + 1);
        assert(table_get(&t, names[k], strlen(names[k])) == k);
    }
    assert(table_get(&t, "n2000", 5) == -1 && table_get(&t, "", 0) == -1 && table_get(&t, "n1999", 4) == 199);
    assert(table_add(&t, "n5", 2, 77) && table_get(&t, names[5], 2) == 77 && t.count == 2000);
    assert(t.room >= 2 * t.count);
    table_free(&t);
}

static void test_utf8(Rng *rng) {
    char bytes[4];
    uint32_t code;
    for (uint32_t c = 0; c < 0x110000; c++) {
        size_t n = utf8_write(c, bytes);
        bool half = c >= 0xD800 && c < 0xE000;
        assert(n == (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u));
        assert(half ? utf8_read((unsigned char *)bytes, n, &code) == 0
                    : utf8_read((unsigned char *)bytes, n, &code) == n && code == c);
        if (!half && n > 1) assert(utf8_read((unsigned char *)bytes, n - 1, &code) == 0 && code == n - 1);
    }
    static const char *const mended[][2] = {
        // as Python has them
        {"a\xFF"
         "b",
         "a\xEF\xBF\xBD"
         "b"},
        {"\xE2\x82", "\xEF\xBF\xBD"},
        {"\xE2\x82"
         "a",
         "\xEF\xBF\xBD"
         "a"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x90", "\xEF\xBF\xBD"},
        {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < sizeof mended / sizeof *mended; i++) {
        size_t length;
        char *text = utf8_mend(mended[i][0], strlen(mended[i][0]), &length);
        assert(text && length == strlen(mended[i][1]) && memcmp(text, mended[i][1], length) == 0);
        free(text);
    }
    for (int trial = 0; trial < 3000; trial++) {
        size_t n = rng_below(rng, 40), length;
        char *text = malloc(n + !n);
        for (size_t i = 0; i < n; i++) text[i] = (char)(rng_below(rng, 3) ? rng_below(rng, 256) : 'a');
        char *copy = utf8_mend(text, n, &length);
        assert(copy && utf8_valid(copy, length) == length && length <= 3 * n);
        assert(utf8_valid(text, n) < n || (length == n && memcmp(copy, text, n) == 0));
        free(copy), free(text);
    }
}

static void test_error(void) {
    Error e;
    char name[1000];
    assert(!fault(&e, "%s: line\n%d\x1b[31m", "a\tb", 7) && strcmp(e.text, "a?b: line?7?[31m") == 0);
    for (size_t n = 490; n < 530; n++) {
        for (size_t i = 0; i < n; i++) name[i] = "\xE2\x82\xAC"[i % 3];
        name[n - n % 3] = '\0';
        assert(!fault(&e, "%s", name) && strlen(e.text) < sizeof e.text);
        size_t length = strlen(e.text);
        assert(utf8_valid(e.text, length) == length && (strlen(name) < sizeof e.text) == (strcmp(name, e.text) == 0));
    }
    assert(!fault(NULL, "nobody asks"));
}

int main(void) {
    Rng rng = rng_seed(11);
    test_error();
    test_utf8(&rng);
    test_table(&rng);
    test_values();
    test_refusals();
    test_random(&rng);
    return 0;
}
