// Writing a safetensors file of float32 tensors: what safetensors.h, and the library of that name, read.
//
//     NamedTensor tensors[] = {{"weight", 2, {2, 3}, numbers}};
//     Metadata about[] = {{"format", "pt"}};
//     safetensors_write("model.safetensors", tensors, 1, about, 1, e)
//
// The header is JSON, filled up with spaces so that the numbers behind it begin at a multiple of 8. The tensors follow
// one another in the order in which they are given. The file is written atomically.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef SAFETENSORS_WRITE_H
#define SAFETENSORS_WRITE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "atomic_file.h"
#include "error.h"
#include "stream.h"  // Text

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the numbers in a safetensors file are little-endian"
#endif

typedef struct {
    const char *name;
    int dimensions;
    int64_t shape[2];
    const float *data;
} NamedTensor;

typedef struct {
    const char *key, *value;
} Metadata;

static inline int64_t tensor_numbers(const NamedTensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->dimensions; i++) count *= t->shape[i];
    return count;
}

// Adds a text as JSON writes it, with its quotation marks. False: not enough memory.
static inline bool text_add_json(Text *t, const char *text) {
    bool good = text_add(t, "\"", 1);
    for (const char *c = text; *c && good; c++) {
        char escaped[8];
        unsigned char byte = (unsigned char)*c;
        int length = byte == '"' || byte == '\\' ? snprintf(escaped, sizeof escaped, "\\%c", byte)
                     : byte < 32                 ? snprintf(escaped, sizeof escaped, "\\u%04x", byte)
                                                 : snprintf(escaped, sizeof escaped, "%c", byte);
        good = text_add(t, escaped, (size_t)length);
    }
    return good && text_add(t, "\"", 1);
}

// Adds one entry of the header: "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}.
static inline bool text_add_entry(Text *t, const NamedTensor *tensor, int64_t begin) {
    char rest[200], shape[60] = "";
    for (int i = 0, at = 0; i < tensor->dimensions; i++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%" PRId64, i ? ", " : "", tensor->shape[i]);
    int64_t end = begin + tensor_numbers(tensor) * (int64_t)sizeof(float);
    int length = snprintf(rest, sizeof rest,
                          ": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%" PRId64 ", %" PRId64 "]}",
                          shape, begin, end);
    return text_add_json(t, tensor->name) && text_add(t, rest, (size_t)length);
}

// The header with its length in front. False: not enough memory.
static inline bool safetensors_header(Text *t, const NamedTensor *tensors, size_t count, const Metadata *metadata,
                                      size_t pairs) {
    int64_t begin = 0;
    bool good = text_add(t, "--------{\"__metadata__\": {", 26);  // eight bytes for the length
    for (size_t i = 0; i < pairs && good; i++)
        good = (i == 0 || text_add(t, ", ", 2)) && text_add_json(t, metadata[i].key) && text_add(t, ": ", 2) &&
               text_add_json(t, metadata[i].value);
    good = good && text_add(t, "}", 1);
    for (size_t i = 0; i < count && good; i++) {
        good = text_add(t, ", ", 2) && text_add_entry(t, &tensors[i], begin);
        begin += tensor_numbers(&tensors[i]) * (int64_t)sizeof(float);
    }
    good = good && text_add(t, "}", 1);
    while (good && t->count % 8 != 0) good = text_add(t, " ", 1);
    uint64_t length = t->count - 8;
    if (good) memcpy(t->at, &length, sizeof length);
    return good;
}

static inline bool safetensors_write(const char *path, const NamedTensor *tensors, size_t count,
                                     const Metadata *metadata, size_t pairs, Error *e) {
    Text header = {0};
    AtomicFile file = {0};
    bool good = safetensors_header(&header, tensors, count, metadata, pairs) ||
                fault(e, "%s: not enough memory for its header", path);
    good = good && atomic_begin(&file, path, e) && atomic_write(&file, header.at, header.count, e);
    for (size_t i = 0; i < count && good; i++)
        good = atomic_write(&file, tensors[i].data, (size_t)tensor_numbers(&tensors[i]) * sizeof(float), e);
    free(header.at);
    return atomic_end(&file, good, e);
}

#endif
