// Reading stories: UTF-8 text, one story after another, a line `<|endoftext|>` between them.
//
// The same stories as bigram/stories.py, to the byte, and the same errors. Python makes a string of each
// story; here a story is a piece of the file's bytes, and nothing is copied. White space is what Python's
// str.strip() takes away, Unicode's included. The includer defines _POSIX_C_SOURCE (for stat).
//
//     Stories train;
//     char error[ERROR_SIZE];
//     if (!load_split("datasets/stories", "train", &train, error)) { … print error, stop … }
//     … train.items[i].bytes, train.items[i].length …
//     free_stories(&train);

#ifndef STORIES_H
#define STORIES_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define END_LINE "<|endoftext|>"
#define ERROR_SIZE 1024  // bytes of an error message

typedef unsigned char Byte;

typedef struct {
    const Byte *bytes;
    size_t length;  // at least 1
} Story;

typedef struct {
    Byte *text;  // the whole file
    size_t size;
    Story *items;
    size_t count, capacity;
    size_t bytes;  // of all stories together
} Stories;

static inline void free_stories(Stories *stories) {
    free(stories->text);
    free(stories->items);
    *stories = (Stories){0};
}

// The bytes of the well-formed UTF-8 character at p (1 to 4), or 0 where there is none; `left` >= 1 bytes
// follow.
static inline size_t utf8_length(const Byte *p, size_t left) {
    if (p[0] < 0x80) return 1;
    size_t n = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) return 0;
    // Forbidden: what a shorter form could write, half of a UTF-16 pair (U+D800 to U+DFFF), above U+10FFFF.
    Byte low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    Byte high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t k = 2; k < n; k++)
        if (p[k] >> 6 != 2) return 0;
    return n;
}

// Where the text stops being UTF-8; `size` if it never does.
static inline size_t first_not_utf8(const Byte *text, size_t size) {
    size_t i = 0;
    while (i < size) {
        uint64_t eight;
        if (size - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {  // eight ASCII characters at once
                i += sizeof eight;
                continue;
            }
        }
        size_t n = utf8_length(text + i, size - i);
        if (n == 0) return i;
        i += n;
    }
    return size;
}

// The bytes of the white space character at p, in valid UTF-8; 0 if another character stands there.
static inline size_t space_length(const Byte *p) {
    if ((p[0] >= 9 && p[0] <= 13) || (p[0] >= 28 && p[0] <= 32)) return 1;
    if (p[0] == 0xC2) return p[1] == 0x85 || p[1] == 0xA0 ? 2 : 0;  // next line, no-break space
    if (p[0] < 0xE1 || p[0] > 0xE3) return 0;
    uint32_t c = (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
                 c == 0x205F || c == 0x3000;
    return space ? 3 : 0;
}

// The piece from begin to end without white space around it.
static inline Story strip(const Byte *begin, const Byte *end) {
    size_t n;
    while (begin < end && (n = space_length(begin)) > 0) begin += n;
    while (begin < end) {
        const Byte *last = end - 1;
        while (*last >> 6 == 2) last--;  // back to the first byte of the last character
        if (space_length(last) == 0) break;
        end = last;
    }
    return (Story){begin, (size_t)(end - begin)};
}

// Adds a story, if anything is left of it. False: not enough memory.
static inline bool add_story(Stories *stories, Story story) {
    if (story.length == 0) return true;
    if (stories->count == stories->capacity) {
        size_t capacity = stories->capacity ? 2 * stories->capacity : 1024;
        Story *items = realloc(stories->items, capacity * sizeof *items);
        if (!items) return false;
        stories->items = items;
        stories->capacity = capacity;
    }
    stories->items[stories->count++] = story;
    stories->bytes += story.length;
    return true;
}

// Cuts stories->text at the lines that hold nothing but END_LINE. False: not enough memory.
static inline bool split_stories(Stories *stories) {
    const Byte *end = stories->text + stories->size, *line = stories->text, *begin = line;
    while (line < end) {
        const Byte *newline = memchr(line, '\n', (size_t)(end - line));
        const Byte *next = newline ? newline + 1 : end;
        Story bare = strip(line, next);
        if (bare.length == strlen(END_LINE) && memcmp(bare.bytes, END_LINE, bare.length) == 0) {
            if (!add_story(stories, strip(begin, line))) return false;
            begin = next;
        }
        line = next;
    }
    return add_story(stories, strip(begin, end));
}

// The bytes of a file and their number in *size; NULL, with errno set, where it cannot be read.
static inline Byte *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t capacity = 1 << 16, got = 0;
    Byte *bytes = malloc(capacity);
    while (bytes) {
        got += fread(bytes + got, 1, capacity - got, file);
        if (got < capacity) break;  // the end, or an error
        Byte *grown = realloc(bytes, 2 * capacity);
        if (!grown) {
            free(bytes);
            errno = ENOMEM;
        }
        bytes = grown;
        capacity *= 2;
    }
    if (bytes && ferror(file)) {
        free(bytes);
        bytes = NULL;
    }
    int reason = errno;  // fclose may change it
    fclose(file);
    errno = reason;
    *size = got;
    return bytes;
}

// The stories of one file. False where it is missing, is not UTF-8, or holds no story; `error` says so.
static inline bool read_stories(const char *path, Stories *stories, char error[ERROR_SIZE]) {
    *stories = (Stories){0};
    stories->text = read_file(path, &stories->size);
    if (!stories->text) {
        if (errno == ENOENT)
            snprintf(error, ERROR_SIZE,
                     "%s does not exist; --data takes a folder with train.txt and valid.txt", path);
        else
            snprintf(error, ERROR_SIZE, "%s cannot be read: %s", path, strerror(errno));
        return false;
    }
    size_t valid = first_not_utf8(stories->text, stories->size);
    if (valid < stories->size)
        snprintf(error, ERROR_SIZE, "%s is not UTF-8 text (byte %zu); convert it to UTF-8 first", path,
                 valid);
    else if (!split_stories(stories))
        snprintf(error, ERROR_SIZE, "not enough memory for the stories of %s", path);
    else if (stories->count == 0)
        snprintf(error, ERROR_SIZE, "%s holds no story", path);
    else
        return true;
    free_stories(stories);
    return false;
}

// The stories of folder/train.txt or folder/valid.txt (`split` is "train" or "valid").
static inline bool load_split(const char *folder, const char *split, Stories *stories,
                              char error[ERROR_SIZE]) {
    *stories = (Stories){0};
    struct stat about;
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode)) {
        snprintf(error, ERROR_SIZE, "--data %s: there is no such folder; try --data datasets/stories",
                 folder);
        return false;
    }
    size_t room = strlen(folder) + strlen(split) + sizeof "/.txt";
    char *path = malloc(room);
    if (!path) {
        snprintf(error, ERROR_SIZE, "not enough memory to read %s", folder);
        return false;
    }
    snprintf(path, room, "%s%s%s.txt", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", split);
    bool read = read_stories(path, stories, error);
    free(path);
    return read;
}

#endif
