// Reading tokenizer.json, the format of the library `tokenizers`: what happens to a text before its merges and behind
// them, and the tokens that are never cut. The vocabulary is read in vocabulary.h.
//
// A text runs through: added tokens are cut out; normalizer; the added tokens that are "normalized"; pre_tokenizer,
// which cuts what is left into pieces (split.h). What a file says besides is refused, with a line that names it, where
// it would give other ids than the library's. The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef TOKENIZER_JSON_H
#define TOKENIZER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"
#include "json.h"
#include "split.h"
#include "table.h"
#include "vocabulary.h"

// --- added tokens --------------------------------------------------------------------------------------------------

// The text with its marks. Sets *length; the caller frees it. NULL: not enough memory.
static inline char *tokenizer_mark(const Tokenizer *t, const char *text, size_t bytes, bool first, size_t *length) {
    bool there = bytes >= 3 && memcmp(text, SPLIT_MARK, 3) == 0;
    bool spaced = t->marks_spaces && bytes > 0 && text[0] == ' ';
    bool may = t->mark == MARK_UNLESS_THERE || (t->mark == MARK_FIRST && first);
    bool before = t->mark == MARK_ALWAYS || (may && !there && !spaced);
    char *marked = malloc(bytes * 3 + 4), *to = marked;
    if (!marked) return NULL;
    if (before && bytes > 0) {
        memcpy(to, SPLIT_MARK, 3);
        to += 3;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (t->marks_spaces && text[i] == ' ') {
            memcpy(to, SPLIT_MARK, 3);
            to += 3;
        } else {
            *to++ = text[i];
        }
    }
    *length = (size_t)(to - marked);
    return marked;
}

static inline int tokenizer_added_order(const void *a, const void *b) {
    const Added *x = a, *y = b;
    size_t n = x->wanted_bytes < y->wanted_bytes ? x->wanted_bytes : y->wanted_bytes;
    int order = memcmp(x->wanted, y->wanted, n);
    return order ? order : x->wanted_bytes < y->wanted_bytes ? -1 : x->wanted_bytes > y->wanted_bytes;
}

static inline bool tokenizer_added_token(TokenizerReader *r, const JsonNode *token) {
    Tokenizer *t = r->t;
    const JsonNode *content = json_get(token, "content");
    int32_t id = tokenizer_id(r, json_get(token, "id"));
    if (id < 0) return false;
    if (!content || content->kind != JSON_STRING || content->count == 0)
        return fault(r->error, "%s: the added token %d has no content", r->path, id);
    if (json_set(token, "lstrip") || json_set(token, "rstrip") || json_set(token, "single_word"))
        return fault(r->error, "%s: its token %.80s takes spaces with it, which is unknown here", r->path,
                     content->text);
    int32_t before = table_get(&t->vocab, content->text, content->count);
    if (before != id && (before >= 0 || t->tokens[id].text))
        return fault(r->error, "%s: its token %.80s has an id that is taken, or two", r->path, content->text);
    if (table_get(&t->names, content->text, content->count) >= 0)
        return fault(r->error, "%s: its token %.80s is there twice", r->path, content->text);
    if (!table_add(&t->names, content->text, content->count, id)) return tokenizer_no_memory(r);
    bool special = json_set(token, "special"), normalized = json_set(token, "normalized");
    Added added = {content->text, content->text, content->count, content->count, id, special};
    if (normalized && t->marks_early) {
        size_t length;
        added.wanted = tokenizer_mark(t, content->text, content->count, true, &length);
        if (!added.wanted) return tokenizer_no_memory(r);
        added.wanted_bytes = (uint32_t)length;
    }
    t->tokens[id] = (Token){content->text, content->count, special};
    t->added[normalized][t->added_count[normalized]++] = added;
    return true;
}

static inline bool tokenizer_added(TokenizerReader *r, const JsonNode *tokens) {
    Tokenizer *t = r->t;
    if (!tokens) return true;
    if (tokens->kind != JSON_ARRAY) return fault(r->error, "%s: its added_tokens are not an array", r->path);
    for (int k = 0; k < 2; k++) {
        t->added[k] = calloc((size_t)tokens->count + 1, sizeof **t->added);
        if (!t->added[k]) return tokenizer_no_memory(r);
    }
    const JsonNode *token = json_first(tokens);
    for (uint32_t i = 0; i < tokens->count; i++, token = json_next(token))
        if (!tokenizer_added_token(r, token)) return false;
    for (int k = 0; k < 2; k++) qsort(t->added[k], t->added_count[k], sizeof **t->added, tokenizer_added_order);
    return true;
}

// --- what happens to a text before its merges, and behind them -----------------------------------------------------

// The items of a "Sequence" (under `key`), or the one thing that stands in its place.
static inline const JsonNode *tokenizer_items(const JsonNode *node, const char *key, uint32_t *count) {
    *count = node ? 1 : 0;
    if (!node || !json_is(json_get(node, "type"), "Sequence")) return node;
    const JsonNode *items = json_get(node, key);
    if (!items || items->kind != JSON_ARRAY) return node;  // nobody knows a Sequence of nothing
    *count = items->count;
    return json_first(items);
}

// normalizer: nothing, or Prepend and Replace with the mark.
static inline bool tokenizer_normalizer(TokenizerReader *r, const JsonNode *normalizer) {
    uint32_t count;
    const JsonNode *item = tokenizer_items(normalizer, "normalizers", &count);
    for (uint32_t i = 0; i < count; i++, item = json_next(item)) {
        bool prepend = json_is(json_get(item, "type"), "Prepend") && json_is(json_get(item, "prepend"), SPLIT_MARK);
        bool replace = json_is(json_get(item, "type"), "Replace") && json_is(json_get(item, "content"), SPLIT_MARK) &&
                       json_is(json_get(json_get(item, "pattern"), "String"), " ");
        if (!prepend && !replace)
            return fault(r->error, "%s: its normalizer %.40s changes text in a way that is unknown here", r->path,
                         json_type(item));
        r->t->marks_early = true;
        r->t->marks_spaces |= replace;
        if (prepend) r->t->mark = MARK_ALWAYS;
    }
    return true;
}

// The patterns that split.h knows, as they are written in tokenizer.json.
static const struct {
    const char *pattern;
    SplitKind kind;
} TOKENIZER_PATTERNS[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", SPLIT_GPT2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
     "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SPLIT_CL100K},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
     "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     SPLIT_CL100K_ONE},
};

static inline bool tokenizer_step(TokenizerReader *r, SplitKind kind) {
    if (r->t->step_count == TOKENIZER_STEPS) return fault(r->error, "%s: it splits text too often", r->path);
    r->t->steps[r->t->step_count++] = kind;
    return true;
}

static inline bool tokenizer_split(TokenizerReader *r, const JsonNode *item) {
    const JsonNode *pattern = json_get(json_get(item, "pattern"), "Regex");
    bool isolated = json_is(json_get(item, "behavior"), "Isolated") && json_unset(item, "invert");
    bool removed =
        json_is(json_get(item, "behavior"), "Removed") && json_set(item, "invert");  // nothing is between matches
    for (size_t k = 0; k < sizeof TOKENIZER_PATTERNS / sizeof *TOKENIZER_PATTERNS; k++)
        if (json_is(pattern, TOKENIZER_PATTERNS[k].pattern) && (isolated || removed))
            return tokenizer_step(r, TOKENIZER_PATTERNS[k].kind);
    return fault(r->error, "%s: it splits text in a way that is unknown here (%.200s)", r->path,
                 pattern && pattern->kind == JSON_STRING ? pattern->text : "no Regex");
}

static inline bool tokenizer_metaspace(TokenizerReader *r, const JsonNode *item) {
    Tokenizer *t = r->t;
    const JsonNode *scheme = json_get(item, "prepend_scheme"), *split = json_get(item, "split");
    if (t->marks_early || t->marks_spaces)
        return fault(r->error, "%s: both its normalizer and its pre_tokenizer put marks in", r->path);
    if (!json_is(json_get(item, "replacement"), SPLIT_MARK))
        return fault(r->error, "%s: its Metaspace has another mark than U+2581", r->path);
    t->marks_spaces = true;
    t->mark = json_is(scheme, "first")   ? MARK_FIRST
              : json_is(scheme, "never") ? MARK_NEVER
              : scheme || json_get(item, "add_prefix_space") == NULL || json_set(item, "add_prefix_space")
                  ? MARK_UNLESS_THERE
                  : MARK_NEVER;
    return (split && split->kind == JSON_FALSE) || tokenizer_step(r, SPLIT_MARKS);
}

// pre_tokenizer: ByteLevel behind splits and digits, or Metaspace, or nothing.
static inline bool tokenizer_pre(TokenizerReader *r, const JsonNode *pre) {
    uint32_t count;
    const JsonNode *item = tokenizer_items(pre, "pretokenizers", &count);
    for (uint32_t i = 0; i < count; i++, item = json_next(item)) {
        const JsonNode *type = json_get(item, "type"), *regex = json_get(item, "use_regex");
        bool good = true;
        if (r->t->byte_level || (json_is(type, "Metaspace") && count > 1)) {
            return fault(r->error, "%s: its pre_tokenizer is a sequence that is unknown here", r->path);
        } else if (json_is(type, "ByteLevel")) {
            r->t->byte_level = true;
            if (json_set(item, "add_prefix_space"))
                return fault(r->error, "%s: it sets add_prefix_space, which this program does not know", r->path);
            good = (regex && regex->kind == JSON_FALSE) || tokenizer_step(r, SPLIT_GPT2);
        } else if (json_is(type, "Split")) {
            good = tokenizer_split(r, item);
        } else if (json_is(type, "Digits")) {
            good = tokenizer_step(r, json_set(item, "individual_digits") ? SPLIT_DIGIT : SPLIT_DIGITS);
        } else if (json_is(type, "Metaspace")) {
            good = tokenizer_metaspace(r, item);
        } else {
            good = fault(r->error, "%s: its pre_tokenizer %.40s is unknown here", r->path, json_type(item));
        }
        if (!good) return false;
    }
    if (r->t->byte_level && (r->t->marks_spaces || r->t->mark != MARK_NEVER))
        return fault(r->error, "%s: a byte-level tokenizer whose normalizer puts marks in is unknown here", r->path);
    return true;
}

// decoder: ids to text the way we do it, with or without taking the first space.
static inline bool tokenizer_decoder(TokenizerReader *r, const JsonNode *decoder) {
    static const char *const known[] = {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"};
    uint32_t count;
    const JsonNode *item = tokenizer_items(decoder, "decoders", &count);
    for (uint32_t i = 0; i < count; i++, item = json_next(item)) {
        const JsonNode *type = json_get(item, "type");
        size_t k = 0;
        while (k < 6 && !json_is(type, known[k])) k++;
        if (k == 6 || (k == 0) != r->t->byte_level)
            return fault(r->error, "%s: its decoder %.40s is unknown here", r->path, json_type(item));
        r->t->strips_space |= json_is(type, "Strip") || (json_is(type, "Metaspace") && r->t->mark != MARK_NEVER);
    }
    return true;
}

// post_processor: the special token that a TemplateProcessing puts before a text.
static inline void tokenizer_post(Tokenizer *t, const JsonNode *post) {
    uint32_t count;
    const JsonNode *item = tokenizer_items(post, "processors", &count);
    t->begin = -1;
    for (uint32_t i = 0; i < count; i++, item = json_next(item)) {
        const JsonNode *single = json_get(item, "single");
        if (!json_is(json_get(item, "type"), "TemplateProcessing") || !single || single->kind != JSON_ARRAY ||
            single->count == 0)
            continue;
        const JsonNode *name = json_get(json_get(json_first(single), "SpecialToken"), "id");
        if (name && name->kind == JSON_STRING) t->begin = table_get(&t->names, name->text, name->count);
    }
}

// --- the file ------------------------------------------------------------------------------------------------------

static inline void tokenizer_free(Tokenizer *t) {
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < t->added_count[k]; i++)
            if (t->added[k][i].wanted != t->added[k][i].text) free((char *)(uintptr_t)t->added[k][i].wanted);
        free(t->added[k]);
    }
    table_free(&t->vocab);
    table_free(&t->names);
    free(t->merges.places);
    free(t->tokens);
    free(t->memory);
    json_free(&t->json);
    *t = (Tokenizer){0};
}

// Reads the `bytes` of a tokenizer.json. `path` is for the error.
static inline bool tokenizer_read(Tokenizer *t, const char *path, const char *text, size_t bytes, Error *e) {
    *t = (Tokenizer){0};
    if (!json_parse(&t->json, path, text, bytes, e)) return false;
    TokenizerReader r = {.t = t, .path = path, .error = e};
    const JsonNode *root = t->json.nodes;
    bool good = root->kind == JSON_OBJECT || fault(e, "%s holds %s, not an object", path, json_kind(root));
    good = good && tokenizer_normalizer(&r, json_get(root, "normalizer")) &&
           tokenizer_pre(&r, json_get(root, "pre_tokenizer"));
    good = good && tokenizer_decoder(&r, json_get(root, "decoder")) && tokenizer_model(&r, json_get(root, "model"));
    good = good && tokenizer_added(&r, json_get(root, "added_tokens"));
    if (good)
        tokenizer_post(t, json_get(root, "post_processor"));
    else
        tokenizer_free(t);
    return good;
}

static inline bool tokenizer_load(Tokenizer *t, const char *path, Error *e) {
    File file;
    *t = (Tokenizer){0};
    if (!file_open(&file, path, e)) return false;
    bool good = tokenizer_read(t, path, file.data, file.bytes, e);
    file_close(&file);
    return good;
}

#endif
