// Cutting text into pieces that no merge crosses: the split patterns of GPT-2 and GPT-4, by hand in place of an engine
// for regular expressions.
//
//     GPT-2     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//     cl100k    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
//               |\s*[\r\n]+|\s+(?!\S)|\s+
//
// cl100k is GPT-4's, Llama 3's and ours. At each place the alternatives are tried in turn, and the first that fits is
// taken, as far as it goes. Every character is a letter, a number, white space or something else, and each alternative
// begins with another kind, so what comes first decides, and no step has to be taken back. The text is UTF-8.

#ifndef SPLIT_H
#define SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "unicode.h"
#include "utf8.h"

#define SPLIT_MARK "\xE2\x96\x81"  // U+2581, which stands for a space in the vocabularies of Llama 2's kind

typedef enum {
    SPLIT_GPT2,
    SPLIT_CL100K,      // numbers in threes
    SPLIT_CL100K_ONE,  // numbers one by one: \p{N} in place of \p{N}{1,3} (Qwen)
    SPLIT_DIGIT,       // each number is a piece, and what lies between two of them
    SPLIT_DIGITS,      // each run of numbers
    SPLIT_MARKS,       // each piece but the first begins with U+2581
} SplitKind;

// A piece of text.
typedef struct {
    const char *text;
    size_t bytes;
} Span;

// What stands at `at`; END behind the last character. Sets *next to the place behind it.
enum { SPLIT_END = -1 };
static inline int split_look(const Span *s, size_t at, size_t *next, uint32_t *code) {
    *code = 0;
    *next = at;
    if (at >= s->bytes) return SPLIT_END;
    size_t n = utf8_read((const unsigned char *)s->text + at, s->bytes - at, code);
    *next = at + (n ? n : 1);
    return n ? (int)unicode_class(*code) : (int)OTHER;
}

// The end of the run of characters of one class, at most `most` of them, that begins at `at`.
static inline size_t split_run(const Span *s, size_t at, CharacterClass kind, size_t most) {
    size_t next;
    uint32_t code;
    for (; most > 0 && split_look(s, at, &next, &code) == (int)kind; most--) at = next;
    return at;
}

// The length of the 's 't 're 've 'm 'll 'd at `at`, 0 if there is none. In any case U+017F, the long s, is an s.
static inline size_t split_contraction(const Span *s, size_t at, bool any_case) {
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    const char *c = s->text + at;
    size_t left = s->bytes - at;
    if (left < 2 || *c != '\'') return 0;
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
        size_t n = strlen(endings[k]), i = 0;
        while (i < n && i + 1 < left && (c[i + 1] == endings[k][i] || (any_case && c[i + 1] == endings[k][i] - 32)))
            i++;
        if (i == n) return n + 1;
    }
    return any_case && left >= 3 && memcmp(c + 1, "\xC5\xBF", 2) == 0 ? 3 : 0;
}

// The end of the white space at `at` (which is some): \s+(?!\S)|\s+. All of it at the end of the text; before anything
// else the last character is left, to go with what follows.
static inline size_t split_space(const Span *s, size_t at) {
    size_t end = at, last = at, next;
    uint32_t code;
    while (split_look(s, end, &next, &code) == SPACE) {
        last = end;
        end = next;
    }
    return end == s->bytes || last == at ? end : last;
}

static inline size_t split_gpt2(const Span *s, size_t at) {
    size_t n = split_contraction(s, at, false), next, behind;
    uint32_t code, other;
    if (n) return at + n;
    int kind = split_look(s, at, &next, &code);
    if (code == ' ') {
        int following = split_look(s, next, &behind, &other);
        if (following != SPLIT_END && following != SPACE)
            return split_run(s, next, (CharacterClass)following, SIZE_MAX);
    }
    return kind == SPACE ? split_space(s, at) : split_run(s, at, (CharacterClass)kind, SIZE_MAX);
}

static inline size_t split_line_ends(const Span *s, size_t at) {
    while (at < s->bytes && (s->text[at] == '\r' || s->text[at] == '\n')) at++;
    return at;
}

static inline size_t split_cl100k(const Span *s, size_t at, size_t digits) {
    size_t n = split_contraction(s, at, true), next, behind;
    uint32_t code, other;
    if (n) return at + n;
    int kind = split_look(s, at, &next, &code);
    if (kind == LETTER) return split_run(s, at, LETTER, SIZE_MAX);
    if (kind == NUMBER) return split_run(s, at, NUMBER, digits);
    int following = split_look(s, next, &behind, &other);
    if (code != '\r' && code != '\n' && following == LETTER) return split_run(s, next, LETTER, SIZE_MAX);
    if (kind == OTHER) return split_line_ends(s, split_run(s, at, OTHER, SIZE_MAX));
    if (code == ' ' && following == OTHER) return split_line_ends(s, split_run(s, next, OTHER, SIZE_MAX));
    size_t line = 0;  // behind the last line end of this white space
    for (size_t end = at; split_look(s, end, &next, &code) == SPACE; end = next)
        if (code == '\r' || code == '\n') line = next;
    return line ? line : split_space(s, at);
}

// The end of the piece of the text that begins at `at`, which is before the text's end: always beyond `at`.
static inline size_t split_next(SplitKind kind, const char *text, size_t bytes, size_t at) {
    Span s = {text, bytes};
    size_t next;
    uint32_t code;
    switch (kind) {
        case SPLIT_GPT2: return split_gpt2(&s, at);
        case SPLIT_CL100K: return split_cl100k(&s, at, 3);
        case SPLIT_CL100K_ONE: return split_cl100k(&s, at, 1);
        case SPLIT_DIGIT:
        case SPLIT_DIGITS:
            if (split_look(&s, at, &next, &code) == NUMBER)
                return split_run(&s, at, NUMBER, kind == SPLIT_DIGIT ? 1 : SIZE_MAX);
            do at = next;
            while (at < bytes && split_look(&s, at, &next, &code) != NUMBER);
            return at;
        case SPLIT_MARKS: break;
    }
    for (at++; at + 3 <= bytes; at++)
        if (memcmp(text + at, SPLIT_MARK, 3) == 0) return at;
    return bytes;
}

#endif
