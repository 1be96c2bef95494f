// The vocabulary and the merges of a tokenizer.json: which bytes has an id, which id has a text, which pair becomes
// what.
//
// There are two kinds. Byte-level (GPT-2, GPT-4, Llama 3, SmolLM, ours): text is bytes, each byte is a symbol, and the
// file prints byte b as a letter (a space as "Ġ"). With marks (Llama 2, TinyLlama, Mistral, converted from
// SentencePiece): text is characters, a space is written "▁", and a character without a token falls back to its bytes,
// <0xE2> and so on. Which kind it is, the rest of the file says: see tokenizer_json.h.

#ifndef VOCABULARY_H
#define VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpe.h"
#include "error.h"
#include "json.h"
#include "split.h"
#include "table.h"

#define TOKENIZER_LARGEST (1 << 22)  // ids
#define TOKENIZER_STEPS 4            // splits one after the other

// The bytes that an id stands for; text NULL: no such id.
typedef struct {
    const char *text;
    uint32_t bytes;
    bool special;
} Token;

// A token that is found in the text before it is cut: "<|end|>".
typedef struct {
    const char *text;    // as it is printed
    const char *wanted;  // as it is looked for; memory of its own where the two differ
    uint32_t bytes, wanted_bytes;
    int32_t id;
    bool special;
} Added;

typedef enum { MARK_NEVER, MARK_ALWAYS, MARK_UNLESS_THERE, MARK_FIRST } MarkWhen;

typedef struct {
    int32_t vocab_size;  // the highest id and 1
    int32_t begin;       // the special token that post_processor puts before a text; -1: none. encode() does not add it
    bool strips_space;   // decoding drops one space at the very beginning of a whole text (the kind with marks)

    bool byte_level, byte_fallback, fuse_unknown, ignore_merges;
    bool marks_spaces;  // a space becomes U+2581,
    MarkWhen mark;      // and one is put before the text:
    bool marks_early;   // before the added tokens that are "normalized" are looked for, or behind that
    SplitKind steps[TOKENIZER_STEPS];
    int step_count;
    int32_t unknown, byte_ids[256];  // -1: none

    Table vocab;  // token, as the file spells it -> id
    Table names;  // added token -> id
    Merges merges;
    Token *tokens;
    Added *added[2];  // in order of their text: those looked for in the text itself, and in the normalized text
    size_t added_count[2];
    Json json;     // the file's texts
    char *memory;  // the tokens' bytes
} Tokenizer;

// What is being read, with what is needed to complain.
typedef struct {
    Tokenizer *t;
    const char *path;
    Error *error;
    size_t room;       // of t->tokens
    bool lacks_bytes;  // some text has no ids, so that the unknown token is needed
} TokenizerReader;

static inline bool tokenizer_no_memory(const TokenizerReader *r) {
    return fault(r->error, "%s: not enough memory to read it", r->path);
}

// Whether the key is absent, null, false, zero or an empty text.
static inline bool json_unset(const JsonNode *object, const char *key) {
    const JsonNode *node = json_get(object, key);
    return !node || node->kind == JSON_FALSE || (node->kind == JSON_NUMBER && node->number == 0) || json_is(node, "");
}

static inline bool json_set(const JsonNode *object, const char *key) {
    const JsonNode *node = json_get(object, key);
    return node && node->kind == JSON_TRUE;
}

static inline const char *json_type(const JsonNode *object) {
    const JsonNode *type = json_get(object, "type");
    return type && type->kind == JSON_STRING ? type->text : "of no type";
}

// The byte that a letter of a byte-level vocabulary stands for; -1: none. Bytes that print well are their own letters;
// the others are U+0100, U+0101, … in turn (Radford et al., GPT-2, 2019).
static inline int tokenizer_byte(uint32_t letter) {
    if ((letter >= '!' && letter <= '~') || (letter >= 0xA1 && letter <= 0xFF && letter != 0xAD)) return (int)letter;
    if (letter < 0x100 || letter > 0x143) return -1;
    int k = (int)letter - 0x100;  // 0 … 32, 127 … 160, 173
    return k <= 32 ? k : k <= 66 ? k - 33 + 127 : 173;
}

// The letter of a byte, as UTF-8; returns its length.
static inline size_t tokenizer_letter(int byte, char *to) {
    uint32_t letter = (uint32_t)byte;
    if (byte <= 32) letter = 0x100 + letter;
    if (byte >= 127 && byte <= 160) letter = 0x100 + 33 + letter - 127;
    if (byte == 173) letter = 0x143;
    return utf8_write(letter, to);
}

// --- the vocabulary ------------------------------------------------------------------------------------------------

// Writes the bytes of the token `spelled` to `to`, which has room for the spelling; returns their number.
static inline uint32_t tokenizer_spell(const Tokenizer *t, const JsonNode *spelled, char *to) {
    const unsigned char *c = (const unsigned char *)spelled->text;
    size_t left = spelled->count, n = 0, length;
    if (t->byte_level) {
        uint32_t code;
        for (; left > 0; c += length, left -= length) {
            length = utf8_read(c, left, &code);
            if (tokenizer_byte(code) < 0) break;
            to[n++] = (char)tokenizer_byte(code);
        }
        if (left == 0) return (uint32_t)n;
        memcpy(to, spelled->text, spelled->count);  // not made of bytes' letters: it stands for itself
        return spelled->count;
    }
    if (t->byte_fallback && left == 6 && memcmp(c, "<0x", 3) == 0 && c[5] == '>') {
        char digits[5] = {'0', '0', (char)c[3], (char)c[4], '\0'};
        if (json_hex(digits) >= 0) {
            to[0] = (char)json_hex(digits);
            return 1;
        }
    }
    while (left > 0) {
        bool mark = left >= 3 && memcmp(c, SPLIT_MARK, 3) == 0;
        to[n++] = mark ? ' ' : (char)*c;
        c += mark ? 3 : 1;
        left -= mark ? 3 : 1;
    }
    return (uint32_t)n;
}

// The id in `node`; makes room for it among the tokens. -1: a fault.
static inline int32_t tokenizer_id(TokenizerReader *r, const JsonNode *node) {
    Tokenizer *t = r->t;
    if (!node || !node->whole || node->integer < 0 || node->integer >= TOKENIZER_LARGEST) {
        fault(r->error, "%s: a token has no id from 0 to %d", r->path, TOKENIZER_LARGEST - 1);
        return -1;
    }
    if ((size_t)node->integer >= r->room) {
        size_t room = (size_t)node->integer + (size_t)node->integer / 2 + 256;
        Token *tokens = realloc(t->tokens, room * sizeof *tokens);
        if (!tokens) {
            tokenizer_no_memory(r);
            return -1;
        }
        memset(tokens + r->room, 0, (room - r->room) * sizeof *tokens);
        t->tokens = tokens;
        r->room = room;
    }
    if (node->integer >= t->vocab_size) t->vocab_size = (int32_t)node->integer + 1;
    return (int32_t)node->integer;
}

// The tokens that merges make or begin with: their texts, bytes and ids.
static inline bool tokenizer_vocab(TokenizerReader *r, const JsonNode *vocab) {
    Tokenizer *t = r->t;
    size_t bytes = 1;
    const JsonNode *word = json_first(vocab);
    for (uint32_t i = 0; i < vocab->count; i++, word = json_next(word + 1)) bytes += word->count;
    char *to = t->memory = malloc(bytes);
    if (!to) return tokenizer_no_memory(r);
    word = json_first(vocab);
    for (uint32_t i = 0; i < vocab->count; i++, word = json_next(word + 1)) {
        int32_t id = tokenizer_id(r, word + 1);
        if (id < 0) return false;
        if (t->tokens[id].text) return fault(r->error, "%s: two tokens have the id %d", r->path, id);
        t->tokens[id] = (Token){to, tokenizer_spell(t, word, to), false};
        to += t->tokens[id].bytes;
        if (!table_add(&t->vocab, word->text, word->count, id)) return tokenizer_no_memory(r);
    }
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        size_t length = t->byte_level ? tokenizer_letter(byte, name) : (size_t)snprintf(name, 8, "<0x%02X>", byte);
        t->byte_ids[byte] = table_get(&t->vocab, name, length);
        if (t->byte_fallback && t->byte_ids[byte] < 0)
            return fault(r->error, "%s: byte_fallback is set, but %s is not in the vocabulary", r->path, name);
        r->lacks_bytes |= t->byte_ids[byte] < 0 || !(t->byte_level || t->byte_fallback);
    }
    return true;
}

// The two parts of merge k: a pair of texts, or one text with a space between them.
static inline bool tokenizer_pair(const JsonNode *merge, Span *left, Span *right) {
    if (merge->kind == JSON_ARRAY && merge->count == 2) {
        const JsonNode *a = json_first(merge), *b = json_next(a);
        *left = (Span){a->text, a->count};
        *right = (Span){b->text, b->count};
        return a->kind == JSON_STRING && b->kind == JSON_STRING;
    }
    const char *space = merge->kind == JSON_STRING ? memchr(merge->text, ' ', merge->count) : NULL;
    if (!space) return false;
    *left = (Span){merge->text, (size_t)(space - merge->text)};
    *right = (Span){space + 1, merge->count - left->bytes - 1};
    return !memchr(right->text, ' ', right->bytes);
}

static inline bool tokenizer_merges(TokenizerReader *r, const JsonNode *merges) {
    Tokenizer *t = r->t;
    if (!merges_reserve(&t->merges, merges->count)) return tokenizer_no_memory(r);
    char *made = NULL;
    size_t room = 0;
    bool good = true;
    const JsonNode *merge = json_first(merges);
    for (uint32_t k = 0; good && k < merges->count; k++, merge = json_next(merge)) {
        Span a, b;
        if (!tokenizer_pair(merge, &a, &b)) {
            good = fault(r->error, "%s: merge %u is not a pair of tokens", r->path, k);
            break;
        }
        if (a.bytes + b.bytes > room) {
            room = 2 * (a.bytes + b.bytes);
            char *larger = realloc(made, room);
            if (!larger) {
                good = tokenizer_no_memory(r);
                break;
            }
            made = larger;
        }
        if (a.bytes > 0) memcpy(made, a.text, a.bytes);
        if (b.bytes > 0) memcpy(made + a.bytes, b.text, b.bytes);
        int32_t left = table_get(&t->vocab, a.text, a.bytes), right = table_get(&t->vocab, b.text, b.bytes);
        int32_t whole = table_get(&t->vocab, made, a.bytes + b.bytes);
        good = (left >= 0 && right >= 0 && whole >= 0) ||
               fault(r->error, "%s: merge %u uses or makes a token that is not in the vocabulary", r->path, k);
        if (good) *merges_place(&t->merges, left, right) = (Merge){left, right, (int32_t)k, whole};
    }
    free(made);
    return good;
}

// The settings of the model, then its vocabulary and merges.
static inline bool tokenizer_model(TokenizerReader *r, const JsonNode *model) {
    Tokenizer *t = r->t;
    const JsonNode *vocab = json_get(model, "vocab"), *merges = json_get(model, "merges");
    const JsonNode *unknown = json_get(model, "unk_token");
    if (!model || (json_get(model, "type") && !json_is(json_get(model, "type"), "BPE")))
        return fault(r->error, "%s: its model is %.40s; this program knows BPE", r->path, json_type(model));
    if (!vocab || vocab->kind != JSON_OBJECT || !merges || merges->kind != JSON_ARRAY)
        return fault(r->error, "%s: its vocab or merges are missing", r->path);
    static const char *const others[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 3; i++)
        if (!json_unset(model, others[i]))
            return fault(r->error, "%s: it sets %s, which this program does not know", r->path, others[i]);
    t->byte_fallback = json_set(model, "byte_fallback");
    t->fuse_unknown = json_set(model, "fuse_unk");
    t->ignore_merges = json_set(model, "ignore_merges");
    if (t->byte_level && t->byte_fallback)
        return fault(r->error, "%s: byte_fallback in a byte-level tokenizer is unknown here", r->path);
    if (!tokenizer_vocab(r, vocab) || !tokenizer_merges(r, merges)) return false;
    t->unknown = unknown && unknown->kind == JSON_STRING ? table_get(&t->vocab, unknown->text, unknown->count) : -1;
    return !unknown || t->unknown >= 0 || !r->lacks_bytes ||
           fault(r->error, "%s: its unk_token is not in the vocabulary", r->path);
}

#endif
