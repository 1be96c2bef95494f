// UTF-8: one character read, one character written, a whole text checked and mended.
//
//     U+0000 … U+007F      0xxxxxxx
//     U+0080 … U+07FF      110xxxxx 10xxxxxx
//     U+0800 … U+FFFF      1110xxxx 10xxxxxx 10xxxxxx
//     U+10000 … U+10FFFF   11110xxx 10xxxxxx 10xxxxxx 10xxxxxx
//
// Not allowed: a longer form than is needed, the halves of a UTF-16 pair (U+D800 to U+DFFF), above U+10FFFF.

#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define UTF8_REPLACEMENT 0xFFFDu  // stands for what is no character

// Reads the character at p, of which `left` >= 1 bytes follow. Returns its bytes, 1 to 4, and sets *code. Where there
// is no character it returns 0, and *code is the number of bytes that one U+FFFD replaces: the beginning of a character
// as far as it goes, or one byte (Unicode's "maximal subpart", which is what Python does).
static inline size_t utf8_read(const unsigned char *p, size_t left, uint32_t *code) {
    *code = p[0];
    if (p[0] < 0x80) return 1;
    size_t n = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    uint32_t bits = n ? p[0] & (0x7Fu >> n) : 0;
    for (size_t k = 1; k < n; k++) {
        unsigned low = 0x80, high = 0xBF;
        if (k == 1 && p[0] == 0xE0) low = 0xA0;  // shorter forms
        if (k == 1 && p[0] == 0xF0) low = 0x90;
        if (k == 1 && p[0] == 0xED) high = 0x9F;  // halves of a pair
        if (k == 1 && p[0] == 0xF4) high = 0x8F;  // above U+10FFFF
        if (k == left || p[k] < low || p[k] > high) {
            *code = (uint32_t)k;
            return 0;
        }
        bits = bits << 6 | (p[k] & 0x3Fu);
    }
    *code = n ? bits : 1;
    return n;
}

// Writes the character `code` to `to`, up to 4 bytes; returns how many.
static inline size_t utf8_write(uint32_t code, char *to) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t k = n - 1; k > 0; k--, code >>= 6) to[k] = (char)(0x80 | (code & 0x3F));
    to[0] = (char)((0xF00u >> n) | code);
    return n;
}

// Where the text stops being UTF-8; `bytes` if it never does.
static inline size_t utf8_valid(const char *text, size_t bytes) {
    size_t i = 0;
    uint32_t code;
    while (i < bytes) {
        uint64_t eight;
        if (bytes - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {  // eight characters of ASCII at once
                i += sizeof eight;
                continue;
            }
        }
        size_t n = utf8_read((const unsigned char *)text + i, bytes - i, &code);
        if (n == 0) return i;
        i += n;
    }
    return bytes;
}

// A copy of the text in which U+FFFD stands for what is no character, as bytes.decode("utf-8", "replace") gives it.
// Sets *length; the caller frees it. NULL: not enough memory.
static inline char *utf8_mend(const char *text, size_t bytes, size_t *length) {
    char *copy = bytes > SIZE_MAX / 3 - 1 ? NULL : malloc(bytes * 3 + 1);  // one byte becomes three at most
    size_t at = 0, n;
    if (!copy) return NULL;
    for (size_t i = 0; i < bytes; i += n) {
        uint32_t code;
        n = utf8_read((const unsigned char *)text + i, bytes - i, &code);
        if (n > 0) {
            memcpy(copy + at, text + i, n);
            at += n;
        } else {
            n = code;
            at += utf8_write(UTF8_REPLACEMENT, copy + at);
        }
    }
    *length = at;
    return copy;
}

#endif
