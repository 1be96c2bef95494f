// The weights of a Llama-family model, made ready for llama.h: matrices in the panels of linear.h, the rest as floats.
//
// The embedding table is only looked up, a row a token: it stays in the mapped file where it is floats. The output
// layer is a matrix like the others; with tied embeddings it is made from the same tensor.
//
//     LlamaOptions options = {.bits = 8, .group = 32, .path = linear_best_path()};
//     Llama model;
//     if (!llama_load(&model, &checkpoint, &options, &error)) … error.text says what is wrong …
//     llama_close(&model);

#ifndef LLAMA_WEIGHTS_H
#define LLAMA_WEIGHTS_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "half.h"
#include "linear.h"

typedef struct {
    int bits;         // 8 or 4: floats are rounded to int8 or int4 while loading; 0: they stay
    int64_t group;    // columns that share a scale then
    bool widen;       // bfloat16 and float16 become float32 in memory: twice the bytes, the same numbers
    LinearPath path;  // which instructions; linear_best_path() but for tests
} LlamaOptions;

typedef struct {
    Linear q, k, v, o, gate, up, down;
    float *input_norm, *post_norm;
    float *q_bias, *k_bias, *v_bias, *o_bias, *gate_bias, *up_bias, *down_bias;  // NULL where there is none
} LlamaLayer;

typedef struct {
    Config config;
    LinearPath path;
    LlamaLayer *layers;
    float *norm;
    float *frequency;             // (D/2,) by how much a position turns each pair
    Linear head, table;           // table: the embedding where it is stored as integers and is not the head
    const TensorView *embedding;  // in the mapped file
    size_t bytes;                 // of weights that the pass of one token reads
    LinearPages pages;            // where the matrices lie
} Llama;

static inline void llama_close(Llama *m) {
    for (int64_t i = 0; m->layers && i < m->config.layers; i++) {
        LlamaLayer *l = &m->layers[i];
        Linear *matrices[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        float *vectors[] = {l->input_norm, l->post_norm, l->q_bias, l->k_bias, l->v_bias,
                            l->o_bias,     l->gate_bias, l->up_bias, l->down_bias};
        for (size_t n = 0; n < sizeof matrices / sizeof *matrices; n++) linear_free(matrices[n]);
        for (size_t n = 0; n < sizeof vectors / sizeof *vectors; n++) free(vectors[n]);
    }
    linear_free(&m->head), linear_free(&m->table);
    linear_pages_free(&m->pages);
    free(m->layers), free(m->norm), free(m->frequency);
    *m = (Llama){0};
}

// --- tensors by name -----------------------------------------------------------------------------------------------

// Number i of a tensor of floats.
static inline float number_of_view(const TensorView *view, int64_t i) {
    float number;
    uint16_t half;
    if (view->type == TYPE_F32) {
        memcpy(&number, (const char *)view->data + i * 4, 4);
        return number;
    }
    memcpy(&half, (const char *)view->data + i * 2, 2);
    return view->type == TYPE_F16 ? float_of_f16(half) : float_of_bf16(half);
}

static inline bool view_is_float(const TensorView *view) {
    return view->type == TYPE_F32 || view->type == TYPE_F16 || view->type == TYPE_BF16;
}

// Numbers first … first + n - 1 of a tensor of floats.
static inline void numbers_of_view(const TensorView *view, int64_t first, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i++) to[i] = number_of_view(view, first + i);
}

// A vector of n floats of the checkpoint.
static inline bool load_vector(float **to, const Checkpoint *c, const char *name, int64_t n, Error *e) {
    const TensorView *view = checkpoint_find(c, name);
    if (!view) return fault(e, "the weights lack %s, which config.json asks for", name);
    if (view->dimensions != 1 || view->shape[0] != n || !view_is_float(view))
        return fault(e, "%s: it should be %" PRId64 " numbers in F32, F16 or BF16", name, n);
    *to = malloc((size_t)n * sizeof **to);
    if (!*to) return fault(e, "%s: not enough memory", name);
    numbers_of_view(view, 0, n, *to);
    return true;
}

// The name of what belongs to a weight: "….scale" for "….weight".
static inline void name_beside(const char *name, const char *ending, char *other, size_t size) {
    int stem = (int)(strlen(name) - strlen(".weight"));
    snprintf(other, size, "%.*s%s", stem, name, ending);
}

// The matrix (rows, columns) of that name; rounded to integers where the options say so and its width allows.
static inline bool load_matrix(Linear *w, const Checkpoint *c, const char *name, int64_t rows, int64_t columns,
                               const LlamaOptions *options, Error *e) {
    char other[256];
    const TensorView *weight = checkpoint_find(c, name);
    if (!weight) return fault(e, "the weights lack %s, which config.json asks for", name);
    name_beside(name, ".zero", other, sizeof other);
    if (checkpoint_find(c, other))
        return fault(e, "%s: asymmetric integers are not read here; quantize the model symmetrically", other);
    name_beside(name, ".scale", other, sizeof other);
    if (!linear_from(w, weight, checkpoint_find(c, other), !options->widen, e)) return false;
    if (w->rows != rows || w->columns != columns)
        return fault(e, "%s has shape (%" PRId64 ", %" PRId64 "), config.json asks for (%" PRId64 ", %" PRId64 ")",
                     name, w->rows, w->columns, rows, columns);
    if (options->bits && linear_can_quantize(w, options->bits, options->group)) {
        Linear floats = *w;
        *w = (Linear){0};
        bool done = quantize_linear(w, &floats, options->bits, options->group);
        linear_free(&floats);
        if (!done) return fault(e, "%s: not enough memory", name);
    }
    w->path = options->path;
    return true;
}

// --- layers --------------------------------------------------------------------------------------------------------

static inline bool load_layer(Llama *m, const Checkpoint *c, int64_t i, const LlamaOptions *options, Error *e) {
    const Config *s = &m->config;
    LlamaLayer *l = &m->layers[i];
    int64_t C = s->hidden_size, F = s->intermediate_size, Q = s->heads * s->head_dim, KV = s->kv_heads * s->head_dim;
    struct { const char *name; Linear *w; int64_t rows, columns; bool has_bias; float **bias; } matrices[] = {
        {"self_attn.q_proj", &l->q, Q, C, s->attention_bias, &l->q_bias},
        {"self_attn.k_proj", &l->k, KV, C, s->attention_bias, &l->k_bias},
        {"self_attn.v_proj", &l->v, KV, C, s->attention_bias, &l->v_bias},
        {"self_attn.o_proj", &l->o, C, Q, s->attention_bias, &l->o_bias},
        {"mlp.gate_proj", &l->gate, F, C, s->mlp_bias, &l->gate_bias},
        {"mlp.up_proj", &l->up, F, C, s->mlp_bias, &l->up_bias},
        {"mlp.down_proj", &l->down, C, F, s->mlp_bias, &l->down_bias},
    };
    char name[128];
    for (size_t n = 0; n < sizeof matrices / sizeof *matrices; n++) {
        snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s.weight", i, matrices[n].name);
        if (!load_matrix(matrices[n].w, c, name, matrices[n].rows, matrices[n].columns, options, e)) return false;
        linear_settle(&m->pages, matrices[n].w);
        m->bytes += matrices[n].w->bytes;
        snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s.bias", i, matrices[n].name);
        if (matrices[n].has_bias && !load_vector(matrices[n].bias, c, name, matrices[n].rows, e)) return false;
    }
    if (!linear_same_input(&l->q, &l->k) || !linear_same_input(&l->q, &l->v) || !linear_same_input(&l->gate, &l->up))
        return fault(e, "layer %" PRId64 ": q, k and v, or gate and up, are not of one kind; quantize them alike", i);
    snprintf(name, sizeof name, "model.layers.%" PRId64 ".input_layernorm.weight", i);
    if (!load_vector(&l->input_norm, c, name, C, e)) return false;
    snprintf(name, sizeof name, "model.layers.%" PRId64 ".post_attention_layernorm.weight", i);
    return load_vector(&l->post_norm, c, name, C, e);
}

static inline bool load_embedding(Llama *m, const Checkpoint *c, const LlamaOptions *options, Error *e) {
    const Config *s = &m->config;
    const char *table = "model.embed_tokens.weight", *head = s->tied ? table : "lm_head.weight";
    LlamaOptions as_stored = {.path = options->path};
    if (!load_matrix(&m->head, c, head, s->vocab_size, s->hidden_size, options, e)) return false;
    linear_settle(&m->pages, &m->head);
    m->bytes += m->head.bytes;
    m->embedding = checkpoint_find(c, table);
    if (!m->embedding) return fault(e, "the weights lack %s, which config.json asks for", table);
    if (!view_is_float(m->embedding))
        return s->tied || load_matrix(&m->table, c, table, s->vocab_size, s->hidden_size, &as_stored, e);
    if (m->embedding->dimensions != 2 || m->embedding->shape[0] != s->vocab_size
        || m->embedding->shape[1] != s->hidden_size)
        return fault(e, "%s is not (%" PRId64 ", %" PRId64 "), as config.json asks", table, s->vocab_size,
                     s->hidden_size);
    return true;
}

// The row of the embedding table for a token.
static inline void llama_embed(const Llama *m, int32_t id, float *x) {
    int64_t C = m->config.hidden_size;
    if (!view_is_float(m->embedding)) linear_row(m->config.tied ? &m->head : &m->table, id, x);
    else numbers_of_view(m->embedding, id * C, C, x);
}

// theta^(-2i/D), and what the family's rules for longer contexts make of it (Llama 3: slow pairs are slowed down
// further, fast ones stay, and between the two borders it goes over smoothly).
static inline float rotary_frequency(const Config *c, int64_t i) {
    float frequency = 1.0f / (float)pow(c->rope_theta, (double)(2 * i) / (double)c->head_dim);
    if (c->rope.kind == ROPE_LINEAR) return frequency / (float)c->rope.factor;
    if (c->rope.kind != ROPE_LLAMA3) return frequency;
    double wave = 2 * 3.14159265358979323846 / (double)frequency;  // in positions
    if (wave < c->rope.original / c->rope.high) return frequency;
    if (wave > c->rope.original / c->rope.low) return frequency / (float)c->rope.factor;
    double mix = (c->rope.original / wave - c->rope.low) / (c->rope.high - c->rope.low);
    return (float)((1 - mix) * (double)frequency / c->rope.factor + mix * (double)frequency);
}

// The most bytes of scratch that one of the matrices wants for so many rows.
static inline size_t llama_scratch(const Llama *m, int64_t rows, int threads) {
    size_t most = linear_scratch(&m->head, rows, threads);
    for (int64_t i = 0; i < m->config.layers; i++) {
        const Linear *matrices[] = {&m->layers[i].q, &m->layers[i].o, &m->layers[i].gate, &m->layers[i].down};
        for (int n = 0; n < 4; n++) {
            size_t bytes = linear_scratch(matrices[n], rows, threads);
            most = bytes > most ? bytes : most;
        }
    }
    return most;
}

// Makes a model of a checkpoint, which must stay open as long as the model is used. Where it fails, there is nothing
// to close.
static inline bool llama_load(Llama *m, const Checkpoint *c, const LlamaOptions *options, Error *e) {
    *m = (Llama){.config = c->config, .path = options->path};
    const Config *s = &m->config;
    m->layers = calloc((size_t)s->layers, sizeof *m->layers);
    m->frequency = malloc((size_t)(s->head_dim / 2) * sizeof *m->frequency);
    bool fine = (m->layers && m->frequency) || fault(e, "not enough memory for the model");
    for (int64_t i = 0; fine && i < s->head_dim / 2; i++) m->frequency[i] = rotary_frequency(s, i);
    for (int64_t i = 0; fine && i < s->layers; i++) fine = load_layer(m, c, i, options, e);
    fine = fine && load_vector(&m->norm, c, "model.norm.weight", s->hidden_size, e) && load_embedding(m, c, options, e);
    if (!fine) llama_close(m);
    return fine;
}

#endif
