// Damage for the tests: a copy of some bytes, changed the way that accidents and enemies change files.
//
// The same seed gives the same damage, so a case that once failed can be named by its seed. The copy has memory of its
// own of exactly its size: the sanitizer sees a reader that goes one byte too far.

#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"

// Copies a text in which ` stands for ", as JSON in a test is easier to read; returns the end of the copy.
static inline char *quoted(char *to, const char *text) {
    for (; *text; text++) *to++ = *text == '`' ? '"' : *text;
    *to = '\0';
    return to;
}

typedef struct {
    char *data;  // aligned to 16 bytes, as malloc has it
    size_t bytes;
} Damaged;

// Replaces `old` bytes at `at` by those of `text`.
static inline void fuzz_replace(Damaged *d, size_t at, size_t old, const char *text, size_t bytes) {
    char *data = malloc(d->bytes - old + bytes + 1);
    if (!data) abort();
    memcpy(data, d->data, at);
    memcpy(data + at, text, bytes);
    memcpy(data + at + bytes, d->data + at + old, d->bytes - at - old);
    free(d->data);
    d->data = data;
    d->bytes = d->bytes - old + bytes;
}

// Puts another number where a run of digits is.
static inline void fuzz_number(Damaged *d, Rng *rng) {
    static const char *const numbers[] = {
        "0",
        "1",
        "-1",
        "7",
        "31",
        "2147483647",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1e308",
        "1e999",
        "-0",
        "0.5",
        "00",
        "1000000000",
        "99999999999999999999999999999999999",
    };
    size_t at = rng_below(rng, (uint32_t)d->bytes), end;
    while (at < d->bytes && (d->data[at] < '0' || d->data[at] > '9')) at++;
    for (end = at; end < d->bytes && d->data[end] >= '0' && d->data[end] <= '9';) end++;
    const char *number = numbers[rng_below(rng, sizeof numbers / sizeof *numbers)];
    fuzz_replace(d, at, end - at, number, strlen(number));
}

// The first text in quotes behind `at`, quotes included; its length, 0: there is none.
static inline size_t fuzz_quoted(const Damaged *d, size_t *at) {
    size_t i = *at, end;
    while (i < d->bytes && d->data[i] != '"') i++;
    for (end = i + 1; end < d->bytes && d->data[end] != '"';) end++;
    *at = i;
    return end < d->bytes ? end + 1 - i : 0;
}

// Puts a text in quotes where another one is: what comes out is often still JSON.
static inline void fuzz_swap(Damaged *d, Rng *rng) {
    char part[200];
    size_t from = rng_below(rng, (uint32_t)d->bytes), to = rng_below(rng, (uint32_t)d->bytes);
    size_t length = fuzz_quoted(d, &from), old = fuzz_quoted(d, &to);
    if (length == 0 || old == 0 || length > sizeof part) return;
    memcpy(part, d->data + from, length);
    fuzz_replace(d, to, old, part, length);
}

// One change somewhere.
static inline void fuzz_once(Damaged *d, Rng *rng) {
    static const char *const pieces[] = {"{", "}", "[", "]", "\"", ",", ":", "\\u0000", "\\ud800", "null", "\xFF"};
    if (d->bytes == 0) return;
    size_t at = rng_below(rng, (uint32_t)d->bytes), left = d->bytes - at;
    size_t length = 1 + rng_below(rng, (uint32_t)(left < 40 ? left : 40));
    switch (rng_below(rng, 12)) {
        case 0:
        case 1: d->data[at] = (char)(d->data[at] ^ 1 << rng_below(rng, 8)); break;
        case 2: d->data[at] = (char)rng_below(rng, 256); break;
        case 3:
            fuzz_replace(d, rng_below(rng, 4) ? at : d->bytes - length, length > left ? left : length, "", 0);
            break;
        case 4: fuzz_replace(d, at, left, "", 0); break;  // cut off
        case 5: {                                         // a part stands somewhere else, too
            char part[40];
            memcpy(part, d->data + at, length);
            fuzz_replace(d, rng_below(rng, (uint32_t)d->bytes), 0, part, length);
            break;
        }
        case 6: {
            const char *piece = pieces[rng_below(rng, sizeof pieces / sizeof *pieces)];
            fuzz_replace(d, at, rng_below(rng, 2), piece, strlen(piece));
            break;
        }
        case 7:
        case 8:
        case 9: fuzz_swap(d, rng); break;
        default: fuzz_number(d, rng);
    }
}

// A damaged copy: one to four changes. The caller frees its data.
static inline Damaged fuzz(const char *data, size_t bytes, Rng *rng) {
    Damaged d = {malloc(bytes + 1), bytes};
    if (!d.data) abort();
    memcpy(d.data, data, bytes);
    for (uint32_t changes = 1 + rng_below(rng, 4); changes > 0; changes--) fuzz_once(&d, rng);
    char *exact = malloc(d.bytes ? d.bytes : 1);  // not one byte more
    if (!exact) abort();
    memcpy(exact, d.data, d.bytes);
    free(d.data);
    d.data = exact;
    return d;
}

#endif
