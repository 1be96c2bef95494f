// Learning merges as the formula says: after every merge all pairs are counted again.
//
//     c(x, y) = sum over words w of f_w |{i : w_i = x, w_(i+1) = y}|,   (a, b) = the pair with the largest c
//
// The first rung of bpe.c's ladder, by which the others are tested; the words and the order of tokens are those of
// bpe_train.h. It reads every word once for each merge.

#ifndef BPE_FORMULA_H
#define BPE_FORMULA_H

#include "bpe_train.h"

typedef struct {
    uint64_t tokens;  // left << 32 | right
    int64_t count;    // 0: a free place
} PairCount;

// A hash table of pairs with linear probing, at most half full.
typedef struct {
    PairCount *at;
    int bits;
    size_t count;
} PairCounts;

static inline PairCount *pair_place(const PairCounts *table, uint64_t tokens) {
    size_t last = ((size_t)1 << table->bits) - 1, i = (size_t)(tokens * 0x9E3779B97F4A7C15u >> (64 - table->bits));
    while (table->at[i].count && table->at[i].tokens != tokens) i = (i + 1) & last;
    return &table->at[i];
}

// Counts all pairs. False: not enough memory.
static inline bool count_pairs(const Learner *l, PairCounts *table) {
    memset(table->at, 0, ((size_t)1 << table->bits) * sizeof *table->at);
    table->count = 0;
    for (int32_t i = 0; i < l->piece_count; i++) {
        const WordToken *p = &l->pieces[i];
        if (p->token < 0 || p->right < 0) continue;
        uint64_t tokens = (uint64_t)(uint32_t)p->token << 32 | (uint32_t)l->pieces[p->right].token;
        PairCount *pair = pair_place(table, tokens);
        if (!pair->count && ++table->count >> (table->bits - 1)) {  // too many: again, in a larger table
            free(table->at);
            table->at = malloc(((size_t)1 << ++table->bits) * sizeof *table->at);
            return table->at && count_pairs(l, table);
        }
        pair->tokens = tokens;
        pair->count += l->weights[p->word];
    }
    return true;
}

static inline PairCount largest_count(const PairCounts *table) {
    PairCount best = {UINT64_MAX, 0};
    for (size_t i = 0; i < (size_t)1 << table->bits; i++) {
        PairCount pair = table->at[i];
        bool first = pair.count && pair.count == best.count && pair.tokens < best.tokens;
        if (pair.count > best.count || first) best = pair;
    }
    return best;
}

// The pair becomes one token, wherever it is, from left to right.
static inline void merge_everywhere(Learner *l, uint64_t tokens, int32_t made) {
    for (int32_t i = 0; i < l->piece_count; i++) {
        WordToken *p = &l->pieces[i];
        if (p->token != (int32_t)(tokens >> 32) || p->right < 0) continue;
        WordToken *swallowed = &l->pieces[p->right];
        if (swallowed->token != (int32_t)(tokens & UINT32_MAX)) continue;
        p->token = made;
        p->right = swallowed->right;
        swallowed->token = -1;
    }
}

// Writes up to `wanted` merges and returns how many there are. -1: not enough memory.
static inline int64_t learn_by_formula(Learner *l, int64_t wanted, int32_t *merges) {
    PairCounts table = {.bits = 8};
    table.at = malloc(((size_t)1 << table.bits) * sizeof *table.at);
    int64_t k = 0;
    for (; table.at && k < wanted; k++) {
        if (!count_pairs(l, &table)) break;
        PairCount best = largest_count(&table);
        if (best.count == 0) {
            free(table.at);
            return k;  // every word is one token
        }
        merges[2 * k] = (int32_t)(best.tokens >> 32);
        merges[2 * k + 1] = (int32_t)(best.tokens & UINT32_MAX);
        merge_everywhere(l, best.tokens, (int32_t)(256 + k));
    }
    bool good = table.at;
    free(table.at);
    return good ? k : -1;
}

#endif
