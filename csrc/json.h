// Reading JSON (RFC 8259): strictly, with a line for every mistake, never more memory than the file deserves.
//
// The whole text becomes a row of nodes. A node is followed by what it contains, and knows how many nodes that is:
//
//     {"a": [1, 2], "b": "x"}      object(7)  "a"  array(3)  1  2  "b"  "x"
//
// so that the next sibling of a node is `node + node->size`: no pointers, one block of memory. Texts are unescaped
// where they lie, since no escape is shorter than what it stands for. A key that stands twice in an object is refused
// everywhere, since readers disagree about which one counts.
//
//     Json json;
//     if (!json_load(&json, "config.json", e)) return false;
//     const JsonNode *layers = json_get(json.nodes, "num_hidden_layers");
//     if (layers && layers->whole) … layers->integer …
//     json_free(&json);
//
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef JSON_H
#define JSON_H

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"
#include "table.h"
#include "utf8.h"

#define JSON_DEPTH 64              // arrays within arrays
#define JSON_LARGEST (256u << 20)  // bytes of a text; a tokenizer of 256,000 words has 33 MB
#define JSON_FEW 16                // so many keys are compared one with another; more go into a table

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;

typedef struct {
    uint8_t kind;    // JsonKind
    bool whole;      // a number written without point and exponent that fits `integer`
    uint32_t size;   // nodes, with all that it contains
    uint32_t count;  // items of an array, pairs of an object, bytes of a string
    union {
        const char *text;  // of a string; a zero byte follows, and may be in it
        int64_t integer;
    };
    double number;  // finite
} JsonNode;

typedef struct {
    char *text;       // the file
    JsonNode *nodes;  // nodes[0] is the outermost value
    size_t count, room;
} Json;

// --- looking at it -------------------------------------------------------------------------------------------------

// The first item of an array, or the first key of an object, whose value is its next sibling. It is there if count > 0.
static inline const JsonNode *json_first(const JsonNode *parent) { return parent + 1; }
static inline const JsonNode *json_next(const JsonNode *node) { return node + node->size; }

static inline bool json_is(const JsonNode *node, const char *text) {
    return node && node->kind == JSON_STRING && node->count == strlen(text) &&
           memcmp(node->text, text, node->count) == 0;
}

// The value of a key; NULL where it is not there, or null, or `object` is no object.
static inline const JsonNode *json_get(const JsonNode *object, const char *key) {
    if (!object || object->kind != JSON_OBJECT) return NULL;
    const JsonNode *node = json_first(object);
    for (uint32_t i = 0; i < object->count; i++, node = json_next(node + 1))
        if (json_is(node, key)) return node[1].kind == JSON_NULL ? NULL : node + 1;
    return NULL;
}

static inline const char *json_kind(const JsonNode *node) {
    static const char *const names[] = {"null", "false", "true", "a number", "a string", "an array", "an object"};
    return node ? names[node->kind] : "nothing";
}

// --- reading it ----------------------------------------------------------------------------------------------------

typedef struct {
    Json *json;
    char *at, *end;  // *end is a zero byte
    size_t line;
    const char *path;
    Error *error;
} JsonReader;

static inline bool json_fault(const JsonReader *r, const char *what) {
    return fault(r->error, "%s is damaged: line %zu is not JSON (%s); copy the file again", r->path, r->line, what);
}

static inline void json_skip(JsonReader *r) {
    for (; *r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'; r->at++) r->line += *r->at == '\n';
}

// A new node at the end of the row; its number, or SIZE_MAX.
static inline size_t json_new(JsonReader *r, JsonKind kind) {
    Json *j = r->json;
    if (j->count == j->room) {
        size_t room = j->room ? j->room * 2 : 64;
        JsonNode *nodes = room > UINT32_MAX ? NULL : realloc(j->nodes, room * sizeof *nodes);
        if (!nodes) {
            fault(r->error, "%s: not enough memory to read it", r->path);
            return SIZE_MAX;
        }
        j->nodes = nodes;
        j->room = room;
    }
    j->nodes[j->count] = (JsonNode){.kind = (uint8_t)kind, .size = 1};
    return j->count++;
}

// Four hexadecimal digits; -1: they are not.
static inline int32_t json_hex(const char *c) {
    int32_t value = 0;
    for (int k = 0; k < 4; k++) {
        int letter = c[k] | 32;
        int digit = c[k] >= '0' && c[k] <= '9' ? c[k] - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

// The \u escape at r->at[-2], which may be two halves of a pair, written to `to`; 0: it is no character.
static inline size_t json_escape_u(JsonReader *r, char *to) {
    int32_t code = json_hex(r->at);  // stops at the zero byte behind the end
    if (code < 0) return 0;
    r->at += 4;
    if (code >= 0xD800 && code < 0xE000) {
        int32_t low = code < 0xDC00 && r->at[0] == '\\' && r->at[1] == 'u' ? json_hex(r->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) return 0;
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
        r->at += 6;
    }
    return utf8_write((uint32_t)code, to);
}

static inline bool json_string(JsonReader *r) {
    size_t index = json_new(r, JSON_STRING);
    if (index == SIZE_MAX) return false;
    char *start = ++r->at, *to = start;
    while (*r->at != '"') {
        unsigned char c = (unsigned char)*r->at;
        if (c < 0x20)
            return json_fault(r, r->at == r->end ? "it ends inside a string" : "a string has a control character");
        if (c == '\\') {
            static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
            const char *known = r->at[1] ? strchr(from, r->at[1]) : NULL;
            r->at += 2;
            if (known) {
                *to++ = into[known - from];
            } else {
                size_t n = r->at[-1] == 'u' ? json_escape_u(r, to) : 0;
                if (n == 0) return json_fault(r, "a \\ begins no escape that JSON knows");
                to += n;
            }
        } else if (c < 0x80) {
            *to++ = *r->at++;
        } else {
            uint32_t code;
            size_t n = utf8_read((unsigned char *)r->at, (size_t)(r->end - r->at), &code);
            if (n == 0) return json_fault(r, "a string is not UTF-8");
            memmove(to, r->at, n);
            to += n;
            r->at += n;
        }
    }
    r->at++;
    *to = '\0';  // at the closing quote or before it
    r->json->nodes[index].text = start;
    r->json->nodes[index].count = (uint32_t)(to - start);
    return true;
}

static inline bool json_digits(JsonReader *r) {
    if (*r->at < '0' || *r->at > '9') return json_fault(r, "a number lacks a digit");
    while (*r->at >= '0' && *r->at <= '9') r->at++;
    return true;
}

static inline bool json_number(JsonReader *r) {
    const char *start = r->at;
    bool whole = true;
    r->at += *r->at == '-';
    if (r->at[0] == '0' && r->at[1] >= '0' && r->at[1] <= '9') return json_fault(r, "a number begins with 0");
    if (!json_digits(r)) return false;
    if (*r->at == '.') {
        whole = false;
        r->at++;
        if (!json_digits(r)) return false;
    }
    if (*r->at == 'e' || *r->at == 'E') {
        whole = false;
        r->at++;
        r->at += *r->at == '+' || *r->at == '-';
        if (!json_digits(r)) return false;
    }
    size_t index = json_new(r, JSON_NUMBER);
    if (index == SIZE_MAX) return false;
    char after = *r->at, *stop;
    *r->at = '\0';  // so that the library reads no further than we did
    JsonNode *node = &r->json->nodes[index];
    node->number = strtod(start, &stop);
    errno = 0;
    node->integer = whole ? strtoll(start, NULL, 10) : 0;
    node->whole = whole && errno == 0;
    *r->at = after;
    if (stop != r->at) return json_fault(r, "a number's point is unknown in this locale");
    return isfinite(node->number) || json_fault(r, "a number is too large");
}

static inline bool json_word(JsonReader *r, const char *word, JsonKind kind) {
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0) return json_fault(r, "a value is missing");
    r->at += length;
    return json_new(r, kind) != SIZE_MAX;
}

// Whether no key of the object stands twice.
static inline bool json_distinct(JsonReader *r, size_t index) {
    const JsonNode *object = &r->json->nodes[index], *key = json_first(object);
    Table keys = {0};
    for (uint32_t i = 0; i < object->count; i++, key = json_next(key + 1)) {
        const JsonNode *other = json_first(object);
        bool twice = false;
        if (object->count > JSON_FEW) {
            twice = table_get(&keys, key->text, key->count) >= 0;
            if (!twice && !table_add(&keys, key->text, key->count, 0)) {
                table_free(&keys);
                return fault(r->error, "%s: not enough memory to read it", r->path);
            }
        } else {
            for (; other < key && !twice; other = json_next(other + 1))
                twice = other->count == key->count && memcmp(other->text, key->text, key->count) == 0;
        }
        if (twice) {
            table_free(&keys);
            return fault(r->error, "%s is damaged: the key \"%.80s\" stands twice in an object", r->path, key->text);
        }
    }
    table_free(&keys);
    return true;
}

static inline bool json_value(JsonReader *r, int depth);

// An array or an object, whose first character has been seen.
static inline bool json_many(JsonReader *r, JsonKind kind, char close, int depth) {
    size_t index = json_new(r, kind);
    if (index == SIZE_MAX) return false;
    if (depth == 0) return json_fault(r, "its arrays and objects are nested too deeply");
    uint32_t count = 0;
    r->at++;
    json_skip(r);
    while (*r->at != close) {
        if (count++ > 0) {
            if (*r->at != ',') return json_fault(r, "a comma or a bracket is missing");
            r->at++;
            json_skip(r);
        }
        if (kind == JSON_OBJECT) {
            if (*r->at != '"') return json_fault(r, "a key is missing");
            if (!json_string(r)) return false;
            json_skip(r);
            if (*r->at != ':') return json_fault(r, "a colon is missing");
            r->at++;
        }
        if (!json_value(r, depth - 1)) return false;
        json_skip(r);
    }
    r->at++;
    r->json->nodes[index].count = count;
    r->json->nodes[index].size = (uint32_t)(r->json->count - index);
    return kind == JSON_ARRAY || json_distinct(r, index);
}

static inline bool json_value(JsonReader *r, int depth) {
    json_skip(r);
    switch (*r->at) {
        case '{': return json_many(r, JSON_OBJECT, '}', depth);
        case '[': return json_many(r, JSON_ARRAY, ']', depth);
        case '"': return json_string(r);
        case 't': return json_word(r, "true", JSON_TRUE);
        case 'f': return json_word(r, "false", JSON_FALSE);
        case 'n': return json_word(r, "null", JSON_NULL);
        default: break;
    }
    if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9')) return json_number(r);
    return json_fault(r, r->at == r->end ? "it ends where a value should be" : "a value is missing");
}

static inline void json_free(Json *j) {
    free(j->text);
    free(j->nodes);
    *j = (Json){0};
}

// Reads `bytes` of text, which is copied. `path` is for the error.
static inline bool json_parse(Json *j, const char *path, const char *text, size_t bytes, Error *e) {
    *j = (Json){0};
    if (bytes > JSON_LARGEST) return fault(e, "%s: %zu bytes are too many for JSON", path, bytes);
    j->text = malloc(bytes + 1);
    if (!j->text) return fault(e, "%s: not enough memory to read it", path);
    memcpy(j->text, text, bytes);
    j->text[bytes] = '\0';
    JsonReader r = {j, j->text, j->text + bytes, 1, path, e};
    bool good = json_value(&r, JSON_DEPTH);
    if (good) json_skip(&r);
    if (good && r.at != r.end) good = json_fault(&r, "something follows the value");
    if (!good) json_free(j);
    return good;
}

static inline bool json_load(Json *j, const char *path, Error *e) {
    File file;
    *j = (Json){0};
    if (!file_open(&file, path, e)) return false;
    bool good = json_parse(j, path, file.data, file.bytes, e);
    file_close(&file);
    return good;
}

#endif
