// Text to ids and back, for any tokenizer.json that tokenizer_json.h reads.
//
//     Tokenizer t;
//     if (!tokenizer_load(&t, "deployment/weights/storyteller/tokenizer.json", e)) … print e->text, stop …
//     Ids ids = {0};
//     tokenizer_encode(&t, "Once upon a time", 16, false, &ids, e);
//     for (size_t i = 0; i < ids.count; i++) … tokenizer_token(&t, ids.at[i], &bytes) …
//     free(ids.at);
//     tokenizer_free(&t);
//
// A tokenizer does not change once it is loaded: several threads may use it. The text is UTF-8; what is not becomes
// U+FFFD first, as bytes.decode("utf-8", "replace") has it. The ids are those of the library `tokenizers`.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef TOKENIZER_H
#define TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bpe.h"
#include "error.h"
#include "split.h"
#include "tokenizer_json.h"

// Ids that grow; begin with {0}, end with free(ids.at).
typedef struct {
    int32_t *at;
    size_t count, room;
} Ids;

// --- ids to text ---------------------------------------------------------------------------------------------------

// The bytes of an id, and their number (they may be part of a character, and may hold a zero byte); NULL: no such id.
static inline const char *tokenizer_token(const Tokenizer *t, int32_t id, size_t *bytes) {
    bool known = id >= 0 && id < t->vocab_size;
    *bytes = known ? t->tokens[id].bytes : 0;
    return known ? t->tokens[id].text : NULL;
}

// The id of a special token, or of another one that was added; -1: there is none of that name.
static inline int32_t tokenizer_special(const Tokenizer *t, const char *text) {
    return table_get(&t->names, text, strlen(text));
}

static inline bool tokenizer_is_special(const Tokenizer *t, int32_t id) {
    return id >= 0 && id < t->vocab_size && t->tokens[id].special;
}

// --- text to ids ---------------------------------------------------------------------------------------------------

// What one call of tokenizer_encode carries with it.
typedef struct {
    const Tokenizer *t;
    bool allow_special;
    Ids *ids;
    Word word;
    char *letters;  // a piece as the vocabulary spells it
    size_t letters_room;
} Encoder;

static inline bool ids_add(Ids *ids, int32_t id) {
    if (ids->count == ids->room) {
        size_t room = ids->room ? ids->room * 2 : 64;
        int32_t *at = realloc(ids->at, room * sizeof *at);
        if (!at) return false;
        ids->at = at;
        ids->room = room;
    }
    ids->at[ids->count++] = id;
    return true;
}

// The symbols of a piece before any merge: its bytes, or its characters. What has no token becomes the unknown token,
// or nothing where there is none.
static inline void encode_symbols(Encoder *c, const char *text, size_t bytes) {
    const Tokenizer *t = c->t;
    Symbol *symbols = c->word.symbols;
    size_t n = 0, length;
    bool unknown = false;  // the last symbol is
    for (size_t i = 0; i < bytes; i += length) {
        uint32_t code;
        length = t->byte_level ? 1 : utf8_read((const unsigned char *)text + i, bytes - i, &code);
        int32_t id = t->byte_level ? t->byte_ids[(unsigned char)text[i]] : table_get(&t->vocab, text + i, length);
        if (id < 0 && t->byte_fallback) {
            for (size_t k = 0; k < length; k++) symbols[n++].id = t->byte_ids[(unsigned char)text[i + k]];
        } else if (id >= 0 || (t->unknown >= 0 && !(unknown && t->fuse_unknown))) {
            symbols[n++].id = id >= 0 ? id : t->unknown;
        }
        unknown = id < 0 && !t->byte_fallback;
    }
    c->word.count = n;
}

// The id of a whole piece, if the vocabulary has it; else -1. False: not enough memory.
static inline bool encode_whole(Encoder *c, const char *text, size_t bytes, int32_t *id) {
    size_t n = 0;
    if (!c->t->byte_level) {
        *id = table_get(&c->t->vocab, text, bytes);
        return true;
    }
    if (2 * bytes > c->letters_room) {
        char *letters = realloc(c->letters, 4 * bytes);
        if (!letters) return false;
        c->letters = letters;
        c->letters_room = 4 * bytes;
    }
    for (size_t i = 0; i < bytes; i++) n += tokenizer_letter((unsigned char)text[i], c->letters + n);
    *id = table_get(&c->t->vocab, c->letters, n);
    return true;
}

// One piece: its symbols, merged.
static inline bool encode_piece(Encoder *c, const char *text, size_t bytes) {
    int32_t id = -1;
    if (c->t->ignore_merges && !encode_whole(c, text, bytes, &id)) return false;
    if (id >= 0) return ids_add(c->ids, id);
    if (!word_reserve(&c->word, bytes)) return false;
    encode_symbols(c, text, bytes);
    word_merge(&c->word, &c->t->merges);
    for (size_t i = 0; i < c->word.count; i++)
        if (c->word.symbols[i].id >= 0 && !ids_add(c->ids, c->word.symbols[i].id)) return false;
    return true;
}

// Cuts a text by one step of the tokenizer, and each piece by the next.
static inline bool encode_steps(Encoder *c, int step, const char *text, size_t bytes) {
    if (step == TOKENIZER_STEPS || step == c->t->step_count) return encode_piece(c, text, bytes);
    for (size_t at = 0; at < bytes;) {
        size_t end = split_next(c->t->steps[step], text, bytes, at);
        if (!encode_steps(c, step + 1, text + at, end - at)) return false;
        at = end;
    }
    return true;
}

// Of the sorted added tokens low … high, which agree in their first k bytes and are longer: the first whose next byte
// is at least `byte`.
static inline size_t encode_narrow(const Added *added, size_t low, size_t high, size_t k, int byte) {
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((unsigned char)added[middle].wanted[k] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The longest of the added tokens, sorted by their text, that the text begins with; NULL: none.
static inline const Added *encode_match(const Encoder *c, const Added *added, size_t count, const char *text,
                                        size_t bytes) {
    const Added *found = NULL;
    size_t low = 0, high = count;  // those that agree with the text so far
    for (size_t k = 0; low < high; k++) {
        for (; low < high && added[low].wanted_bytes == k; low++)
            if (c->allow_special || !added[low].special) found = &added[low];
        if (k == bytes) break;
        low = encode_narrow(added, low, high, k, (unsigned char)text[k]);
        high = encode_narrow(added, low, high, k, (unsigned char)text[k] + 1);
    }
    return found;
}

static inline bool encode_text(Encoder *c, int stage, const char *text, size_t bytes, bool first);

// Cuts out the added tokens of one list (0: those that stand in the text as it is, 1: in the normalized text), and
// encodes what lies between. `first`: the text is the beginning of all.
static inline bool encode_added(Encoder *c, int list, const char *text, size_t bytes, bool first) {
    const Added *added = c->t->added[list];
    size_t count = c->t->added_count[list], start = 0;
    bool begins[256] = {false};
    for (size_t k = 0; k < count; k++) begins[(unsigned char)added[k].wanted[0]] = true;
    for (size_t i = 0; count > 0 && i < bytes;) {
        const Added *found = begins[(unsigned char)text[i]] ? encode_match(c, added, count, text + i, bytes - i) : NULL;
        if (found) {
            if (!encode_text(c, list + 1, text + start, i - start, first && start == 0)) return false;
            if (!ids_add(c->ids, found->id)) return false;
            start = i += found->wanted_bytes;
        } else {
            i++;
        }
    }
    return encode_text(c, list + 1, text + start, bytes - start, first && start == 0);
}

// Marks in, at this stage or the next (1: behind the first list of added tokens, 2: behind the second); then on.
static inline bool encode_text(Encoder *c, int stage, const char *text, size_t bytes, bool first) {
    const Tokenizer *t = c->t;
    char *marked = NULL;
    if (bytes == 0) return true;
    if ((t->marks_spaces || t->mark != MARK_NEVER) && t->marks_early == (stage == 1)) {
        text = marked = tokenizer_mark(t, text, bytes, first, &bytes);
        if (!marked) return false;
    }
    bool good = stage == 1 ? encode_added(c, 1, text, bytes, first) : encode_steps(c, 0, text, bytes);
    free(marked);
    return good;
}

// Appends the ids of a text to `ids`. allow_special: "<|end|>" in it is that token; else it is seven characters, as
// everything that users type must be.
static inline bool tokenizer_encode(const Tokenizer *t, const char *text, size_t bytes, bool allow_special, Ids *ids,
                                    Error *e) {
    Encoder c = {.t = t, .allow_special = allow_special, .ids = ids};
    char *mended = NULL;
    if (bytes == 0) return true;
    if (bytes > INT32_MAX / 8) return fault(e, "a text of %zu bytes is too long to encode", bytes);
    if (utf8_valid(text, bytes) < bytes) text = mended = utf8_mend(text, bytes, &bytes);
    bool good = text && encode_added(&c, 0, text, bytes, true);
    free(mended);
    free(c.letters);
    word_free(&c.word);
    return good || fault(e, "not enough memory to encode a text of %zu bytes", bytes);
}

#endif
