// A hash table from texts to numbers: where is the tensor of this name, which id has this token?
//
//     Table table = {0};
//     if (!table_add(&table, "cat", 3, 7)) …           not enough memory
//     table_get(&table, "cat", 3)                      7; -1 for a text that is not there
//     table_free(&table);
//
// The places are a row of 2^k. A text's hash says where to begin looking; a place that is taken sends us to the
// next one ("linear probing"). At most half of the places are taken, so a look-up takes two or three steps. The table
// does not copy the texts: they must stay where they are.

#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *text;  // NULL: a free place
    uint32_t length;
    int32_t value;  // 0 or more
} TablePlace;

typedef struct {
    TablePlace *places;
    size_t room, count;  // places, a power of two; those taken
} Table;

// FNV-1a (Fowler, Noll and Vo), its high bits folded into the low ones.
static inline size_t table_hash(const char *text, size_t length) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    return (size_t)(hash ^ hash >> 29);
}

// The place of the text, or the free place where it belongs. The table has a free place.
static inline TablePlace *table_place(const Table *t, const char *text, size_t length) {
    size_t i = table_hash(text, length) & (t->room - 1);
    while (t->places[i].text && (t->places[i].length != length || memcmp(t->places[i].text, text, length) != 0))
        i = (i + 1) & (t->room - 1);
    return &t->places[i];
}

// The text's number; -1: it is not there.
static inline int32_t table_get(const Table *t, const char *text, size_t length) {
    if (t->count == 0) return -1;
    const TablePlace *place = table_place(t, text, length);
    return place->text ? place->value : -1;
}

// Puts the text in, or gives it another number if it is there. False: not enough memory.
static inline bool table_add(Table *t, const char *text, size_t length, int32_t value) {
    if (length > UINT32_MAX) return false;
    if (t->count >= t->room / 2) {
        Table larger = {.room = t->room ? t->room * 2 : 16};
        larger.places = calloc(larger.room, sizeof *larger.places);
        if (!larger.places) return false;
        for (size_t i = 0; i < t->room; i++)
            if (t->places[i].text) *table_place(&larger, t->places[i].text, t->places[i].length) = t->places[i];
        larger.count = t->count;
        free(t->places);
        *t = larger;
    }
    TablePlace *place = table_place(t, text, length);
    t->count += !place->text;
    *place = (TablePlace){text, (uint32_t)length, value};
    return true;
}

static inline void table_free(Table *t) {
    free(t->places);
    *t = (Table){0};
}

#endif
