// A safetensors file: tensors by name, used where they lie, without a copy.
//
//     8 bytes    n, little-endian
//     n bytes    JSON: {"name": {"dtype": "BF16", "shape": [4096, 320], "data_offsets": [0, 2621440]}, …}
//     the rest   the numbers; offsets count from here
//
// Nothing in a file is believed. The header lies inside the file and is JSON; each dtype is known; each shape times
// the size of a number is what the offsets span, without overflow; the tensors cover the rest of the file without a
// hole or an overlap; names are texts that stand once; numbers are aligned to their own size, so that they can be read
// in place. This is what the `safetensors` library demands, too, except that it takes numbers that are not aligned.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "file.h"
#include "json.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the numbers in a safetensors file are little-endian, and are used where they lie"
#endif

#define SAFETENSORS_HEADER 100000000  // bytes at most, as in the library

typedef enum { TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_I8, TYPE_U8, TYPE_I32, TYPE_I64, TYPE_OTHER } Type;

// A tensor as it lies in the mapped file: row after row, aligned to the size of its numbers.
typedef struct {
    const char *name;
    Type type;
    int dimensions;
    int64_t shape[8];  // 1 behind the last dimension
    const void *data;
    size_t bytes;
} TensorView;

typedef struct {
    File file;
    Json header;  // holds the names
    TensorView *tensors;
    size_t count;
} Safetensors;

static const struct {
    char name[8];
    Type type;
    int64_t bytes;
} SAFETENSORS_TYPES[] = {
    {"F32", TYPE_F32, 4},   {"F16", TYPE_F16, 2},    {"BF16", TYPE_BF16, 2},     {"I8", TYPE_I8, 1},
    {"U8", TYPE_U8, 1},     {"I32", TYPE_I32, 4},    {"I64", TYPE_I64, 8},       {"F64", TYPE_OTHER, 8},
    {"U64", TYPE_OTHER, 8}, {"U32", TYPE_OTHER, 4},  {"I16", TYPE_OTHER, 2},     {"U16", TYPE_OTHER, 2},
    {"C64", TYPE_OTHER, 8}, {"BOOL", TYPE_OTHER, 1}, {"F8_E4M3", TYPE_OTHER, 1}, {"F8_E5M2", TYPE_OTHER, 1},
};

// What a type is called, for messages.
static inline const char *type_name(Type type) {
    return type == TYPE_OTHER ? "another type" : SAFETENSORS_TYPES[type].name;
}

// The numbers' offsets [begin, end) of one entry of the header, checked against its dtype and shape.
static inline bool safetensors_entry(TensorView *t, const JsonNode *name, size_t room, size_t *begin, const char *path,
                                     Error *e) {
    const JsonNode *entry = name + 1, *dtype = json_get(entry, "dtype"), *shape = json_get(entry, "shape");
    const JsonNode *offsets = json_get(entry, "data_offsets");
    if (name->count == 0 || memchr(name->text, 0, name->count))
        return fault(e, "%s is damaged: a tensor has no proper name; copy the file again", path);
    if (!dtype || dtype->kind != JSON_STRING || !shape || shape->kind != JSON_ARRAY || !offsets ||
        offsets->kind != JSON_ARRAY || offsets->count != 2)
        return fault(e, "%s is damaged: %.100s lacks dtype, shape or data_offsets; copy the file again", path,
                     name->text);
    size_t k = 0, types = sizeof SAFETENSORS_TYPES / sizeof *SAFETENSORS_TYPES;
    while (k < types && !json_is(dtype, SAFETENSORS_TYPES[k].name)) k++;
    if (k == types) return fault(e, "%s: the dtype %.20s of %.100s is unknown here", path, dtype->text, name->text);
    if (shape->count > 8) return fault(e, "%s: %.100s has more than 8 dimensions", path, name->text);

    *t = (TensorView){.name = name->text, .type = SAFETENSORS_TYPES[k].type, .dimensions = (int)shape->count};
    int64_t bytes = SAFETENSORS_TYPES[k].bytes;
    const JsonNode *size = json_first(shape);
    for (uint32_t i = 0; i < 8; i++) {
        t->shape[i] = 1;
        if (i >= shape->count) continue;
        if (!size->whole || size->integer < 0 || (size->integer > 0 && bytes > INT64_MAX / size->integer))
            return fault(e, "%s is damaged: the shape of %.100s cannot be; copy the file again", path, name->text);
        t->shape[i] = size->integer;
        bytes *= size->integer;
        size = json_next(size);
    }
    const JsonNode *from = json_first(offsets), *to = json_next(from);
    if (!from->whole || !to->whole || from->integer < 0 || to->integer < from->integer || (uint64_t)to->integer > room)
        return fault(e, "%s is damaged: %.100s lies outside the file; copy the file again", path, name->text);
    if (to->integer - from->integer != bytes)
        return fault(e, "%s is damaged: %.100s has %lld bytes, its shape asks for %lld; copy the file again", path,
                     name->text, (long long)(to->integer - from->integer), (long long)bytes);
    *begin = (size_t)from->integer;
    t->bytes = (size_t)bytes;
    return true;
}

static inline int safetensors_order(const void *a, const void *b) {
    const TensorView *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    return p != q ? (p < q ? -1 : 1) : x->bytes != y->bytes ? (x->bytes < y->bytes ? -1 : 1) : 0;
}

// The tensors of s->file, whose header has been read: each checked alone, then together.
static inline bool safetensors_tensors(Safetensors *s, const char *numbers, size_t room, const char *path, Error *e) {
    const JsonNode *name = json_first(s->header.nodes);
    uint32_t entries = s->header.nodes->count;
    s->tensors = malloc((entries + (size_t)1) * sizeof *s->tensors);
    if (!s->tensors) return fault(e, "%s: not enough memory for its header", path);
    for (uint32_t i = 0; i < entries; i++, name = json_next(name + 1)) {
        if (json_is(name, "__metadata__")) continue;
        TensorView *t = &s->tensors[s->count];
        size_t begin = 0;
        if (!safetensors_entry(t, name, room, &begin, path, e)) return false;
        size_t unit = t->type == TYPE_I64                           ? 8
                      : t->type == TYPE_F32 || t->type == TYPE_I32  ? 4
                      : t->type == TYPE_F16 || t->type == TYPE_BF16 ? 2
                                                                    : 1;
        t->data = numbers + begin;
        if ((uintptr_t)t->data % unit != 0)
            return fault(e, "%s: %.100s is not aligned to %zu bytes; write it again with the safetensors library", path,
                         t->name, unit);
        s->count++;
    }
    qsort(s->tensors, s->count, sizeof *s->tensors, safetensors_order);
    const char *at = numbers;
    for (size_t i = 0; i < s->count; at += s->tensors[i++].bytes)
        if (s->tensors[i].data != at)
            return fault(e, "%s is damaged: %.100s leaves a hole or overlaps; copy the file again", path,
                         s->tensors[i].name);
    if (at != numbers + room)
        return fault(e, "%s is damaged: %zu bytes belong to no tensor; copy the file again", path,
                     (size_t)(numbers + room - at));
    return true;
}

static inline void safetensors_close(Safetensors *s) {
    free(s->tensors);
    json_free(&s->header);
    file_close(&s->file);
    *s = (Safetensors){0};
}

// Fills s->tensors from the bytes of s->file, which begin at a multiple of 8. `path` is for the error.
static inline bool safetensors_read(Safetensors *s, const char *path, Error *e) {
    uint64_t header;
    if (s->file.bytes < 8) return fault(e, "%s is no safetensors file: it has %zu bytes", path, s->file.bytes);
    memcpy(&header, s->file.data, 8);
    if (header > SAFETENSORS_HEADER || header > s->file.bytes - 8)
        return fault(e, "%s is truncated or no safetensors file: its header should have %llu bytes; copy it again",
                     path, (unsigned long long)header);
    if (!json_parse(&s->header, path, s->file.data + 8, (size_t)header, e)) return false;
    if (s->header.nodes->kind != JSON_OBJECT)
        return fault(e, "%s is no safetensors file: its header is %s", path, json_kind(s->header.nodes));
    return safetensors_tensors(s, s->file.data + 8 + header, s->file.bytes - 8 - (size_t)header, path, e);
}

static inline bool safetensors_open(Safetensors *s, const char *path, Error *e) {
    *s = (Safetensors){0};
    if (file_open(&s->file, path, e) && safetensors_read(s, path, e)) return true;
    safetensors_close(s);
    return false;
}

#endif
