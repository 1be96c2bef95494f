// Tokens to text that is safe to show: never half a character, never the beginning of a string that ends the text.
//
// The same rules as inference/generate.py::Sequence: a token may end in the middle of a character, whose other bytes
// come with the next one; what is no UTF-8 becomes U+FFFD; and what may go on to be a stop string waits until it does
// or does not.

#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

// Text that grows; begin with {0}, end with free(text.at).
typedef struct {
    char *at;
    size_t count, room;
} Text;

// False where there is not enough memory.
static inline bool text_add(Text *t, const char *bytes, size_t count) {
    if (t->room - t->count < count) {
        size_t room = 2 * t->room + count + 64;
        char *at = realloc(t->at, room);
        if (!at) return false;
        t->at = at, t->room = room;
    }
    if (count > 0) memcpy(t->at + t->count, bytes, count);
    t->count += count;
    return true;
}

static inline void text_drop(Text *t, size_t count) {
    t->count -= count;
    if (t->count > 0) memmove(t->at, t->at + count, t->count);
}

typedef struct {
    const char *const *stops;  // strings before which the text ends, none of them empty
    size_t stop_count;
    Text bytes, held;  // a character that is not whole yet; characters that are not shown yet
} Stream;

static inline void stream_free(Stream *s) {
    free(s->bytes.at), free(s->held.at);
    *s = (Stream){0};
}

// Moves whole characters from s->bytes to s->held. At the end of the text, all that is left is no character.
static inline bool stream_decode(Stream *s, bool end) {
    size_t at = 0;
    while (at < s->bytes.count) {
        const unsigned char *p = (const unsigned char *)s->bytes.at + at;
        uint32_t code;
        char mark[4];
        size_t left = s->bytes.count - at, n = utf8_read(p, left, &code);
        if (n == 0 && code == left && p[0] >= 0xC2 && p[0] < 0xF5 && !end) break;  // the rest may still come
        if (!(n ? text_add(&s->held, (const char *)p, n)
                : text_add(&s->held, mark, utf8_write(UTF8_REPLACEMENT, mark)))) return false;
        at += n ? n : code;
    }
    text_drop(&s->bytes, at);
    return true;
}

// Where `part` begins in the text, or the text's length.
static inline size_t stream_find(const Text *t, const char *part) {
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= t->count; i++)
        if (memcmp(t->at + i, part, length) == 0) return i;
    return t->count;
}

// Whether a stop string is there; then held ends before the one that is complete first.
static inline bool stream_cut(Stream *s) {
    size_t first_end = SIZE_MAX, cut = 0;
    for (size_t i = 0; i < s->stop_count; i++) {
        size_t at = stream_find(&s->held, s->stops[i]), end = at + strlen(s->stops[i]);
        if (end > s->held.count) continue;
        if (end < first_end || (end == first_end && at < cut)) first_end = end, cut = at;
    }
    if (first_end == SIZE_MAX) return false;
    s->held.count = cut;
    return true;
}

// How many bytes at the end of held may be the beginning of a stop string.
static inline size_t stream_possible(const Stream *s) {
    size_t most = 0;
    for (size_t i = 0; i < s->stop_count; i++)
        for (size_t n = strlen(s->stops[i]); n-- > 1;)
            if (n <= s->held.count && memcmp(s->held.at + s->held.count - n, s->stops[i], n) == 0) {
                most = n > most ? n : most;
                break;
            }
    return most;
}

// The bytes of the next token. Adds to `out` what is now safe to show; *stopped: a stop string is complete, and
// nothing more may come. False where there is not enough memory.
static inline bool stream_push(Stream *s, const char *bytes, size_t count, Text *out, bool *stopped) {
    if (!text_add(&s->bytes, bytes, count) || !stream_decode(s, false)) return false;
    *stopped = stream_cut(s);
    size_t safe = s->held.count - (*stopped ? 0 : stream_possible(s));
    if (!text_add(out, s->held.at, safe)) return false;
    text_drop(&s->held, safe);
    return true;
}

// The end of the text: what was held back is no stop string after all, and half a character is U+FFFD.
static inline bool stream_end(Stream *s, Text *out) {
    if (!stream_decode(s, true) || !text_add(out, s->held.at, s->held.count)) return false;
    s->held.count = 0;
    return true;
}

#endif
