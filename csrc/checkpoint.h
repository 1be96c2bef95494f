// A model folder in the Hugging Face layout: config.json and model.safetensors, or the parts ("shards") of its index.
//
//     Checkpoint c;
//     if (!checkpoint_open(&c, "deployment/weights/storyteller", e)) … print e->text, stop …
//     const TensorView *norm = checkpoint_find(&c, "model.norm.weight");
//     … c.config.layers, norm->data …
//     checkpoint_close(&c);
//
// When it is open, every tensor that the configuration asks for is there with the shape and a type that it should have,
// quantized ones with their scales, and nothing is there that the computation would pass over.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "error.h"
#include "json.h"
#include "safetensors.h"
#include "table.h"

#define CHECKPOINT_PATH 4096   // bytes of a path
#define CHECKPOINT_FILES 1000  // parts of a model

typedef struct {
    Config config;
    Safetensors *files;
    size_t file_count;
    Table names;                 // name -> its number among all tensors
    const TensorView **tensors;  // all files' tensors
    bool *used;                  // those that the configuration asks for
    size_t count;
} Checkpoint;

// The tensor of that name; NULL: there is none.
static inline const TensorView *checkpoint_find(const Checkpoint *c, const char *name) {
    int32_t i = table_get(&c->names, name, strlen(name));
    return i < 0 ? NULL : c->tensors[i];
}

static inline void checkpoint_close(Checkpoint *c) {
    for (size_t i = 0; i < c->file_count; i++) safetensors_close(&c->files[i]);
    free(c->files);
    free(c->tensors);
    free(c->used);
    table_free(&c->names);
    *c = (Checkpoint){0};
}

static inline bool checkpoint_path(char *path, const char *folder, const char *file, Error *e) {
    int length = snprintf(path, CHECKPOINT_PATH, "%s/%s", folder, file);
    return (length > 0 && length < CHECKPOINT_PATH) || fault(e, "the name of the folder %.100s is too long", folder);
}

// --- the tensors against the configuration -------------------------------------------------------------------------

// Finds a tensor and marks it as used.
static inline const TensorView *checkpoint_take(Checkpoint *c, const char *name) {
    int32_t i = table_get(&c->names, name, strlen(name));
    if (i < 0) return NULL;
    c->used[i] = true;
    return c->tensors[i];
}

static inline bool checkpoint_is_float(Type type) { return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16; }

// Whether all numbers of a tensor of type F32 or F16 are finite: no exponent is all ones.
static inline bool checkpoint_finite(const TensorView *t) {
    const uint32_t *wide = t->data, infinite = 0x7F800000;
    const uint16_t *narrow = t->data, half_infinite = 0x7C00;
    bool finite = true;
    for (size_t i = 0; t->type == TYPE_F32 && i < t->bytes / 4; i++) finite &= (wide[i] & infinite) != infinite;
    for (size_t i = 0; t->type == TYPE_F16 && i < t->bytes / 2; i++)
        finite &= (narrow[i] & half_infinite) != half_infinite;
    return finite;
}

// A weight of `rows` and `columns` as 8 or 4 bits with their scales: see quantization/store.py.
static inline bool checkpoint_quantized(Checkpoint *c, const char *folder, const TensorView *t, int64_t rows,
                                        int64_t columns, Error *e) {
    char name[200];
    snprintf(name, sizeof name, "%.*s.scale", (int)(strlen(t->name) - strlen(".weight")), t->name);
    const TensorView *scale = checkpoint_take(c, name);
    int64_t stored = t->type == TYPE_I8 ? columns : columns / 2;
    if (!c->config.quant_bits)
        return fault(e, "%s: %s is quantized, but config.json has no quantization_config", folder, t->name);
    if (!scale) return fault(e, "%s: %s is quantized, but %s is missing", folder, t->name, name);
    if (t->dimensions != 2 || t->shape[0] != rows || t->shape[1] != stored || columns % 32 != 0)
        return fault(e, "%s: %s has shape (%lld, %lld), config.json asks for (%lld, %lld)", folder, t->name,
                     (long long)t->shape[0], (long long)t->shape[1], (long long)rows, (long long)stored);
    if (scale->type != TYPE_F32 && scale->type != TYPE_F16)
        return fault(e, "%s: %s is of type %s; scales are F32 or F16", folder, name, type_name(scale->type));
    int64_t groups = scale->shape[1], group = groups > 0 && columns % groups == 0 ? columns / groups : 0;
    bool fits = group > 0 && group % 32 == 0 && (c->config.quant_group == 0 || group == c->config.quant_group);
    if (scale->dimensions != 2 || scale->shape[0] != rows || !fits)
        return fault(e, "%s: %s has shape (%lld, %lld), which does not fit (%lld, %lld) in groups of %lld", folder,
                     name, (long long)scale->shape[0], (long long)groups, (long long)rows, (long long)columns,
                     (long long)c->config.quant_group);
    return checkpoint_finite(scale) || fault(e, "%s: %s has a number that is not finite", folder, name);
}

// One tensor that must be there; columns 0: it has one dimension.
static inline bool checkpoint_expect(Checkpoint *c, const char *folder, const char *name, int64_t rows, int64_t columns,
                                     Error *e) {
    const TensorView *t = checkpoint_take(c, name);
    if (!t) return fault(e, "%s: the weights lack %s, which config.json asks for", folder, name);
    if (columns > 0 && (t->type == TYPE_I8 || t->type == TYPE_U8))
        return checkpoint_quantized(c, folder, t, rows, columns, e);
    if (!checkpoint_is_float(t->type))
        return fault(e, "%s: %s is of type %s; F32, F16 and BF16 are known here", folder, name, type_name(t->type));
    if (t->dimensions != (columns ? 2 : 1) || t->shape[0] != rows || t->shape[1] != (columns ? columns : 1))
        return fault(e, "%s: %s has shape (%lld, %lld), config.json asks for (%lld, %lld)", folder, name,
                     (long long)t->shape[0], (long long)t->shape[1], (long long)rows,
                     (long long)(columns ? columns : 1));
    return true;
}

// Everything of one layer.
static inline bool checkpoint_layer(Checkpoint *c, const char *folder, int64_t layer, Error *e) {
    const Config *g = &c->config;
    const int64_t C = g->hidden_size, F = g->intermediate_size, Q = g->heads * g->head_dim,
                  K = g->kv_heads * g->head_dim;
    const struct {
        const char *name;
        int64_t rows, columns;
        bool bias;
    } parts[] = {
        {"input_layernorm", C, 0, false},
        {"self_attn.q_proj", Q, C, g->attention_bias},
        {"self_attn.k_proj", K, C, g->attention_bias},
        {"self_attn.v_proj", K, C, g->attention_bias},
        {"self_attn.o_proj", C, Q, g->attention_bias},
        {"post_attention_layernorm", C, 0, false},
        {"mlp.gate_proj", F, C, g->mlp_bias},
        {"mlp.up_proj", F, C, g->mlp_bias},
        {"mlp.down_proj", C, F, g->mlp_bias},
    };
    char name[120];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(name, sizeof name, "model.layers.%lld.%s.weight", (long long)layer, parts[i].name);
        if (!checkpoint_expect(c, folder, name, parts[i].rows, parts[i].columns, e)) return false;
        snprintf(name, sizeof name, "model.layers.%lld.%s.bias", (long long)layer, parts[i].name);
        if (parts[i].bias && !checkpoint_expect(c, folder, name, parts[i].rows, 0, e)) return false;
    }
    return true;
}

// Whether a tensor may be there without being used: tables that are computed anew, and the other name of tied weights.
static inline bool checkpoint_spare(const Config *config, const char *name) {
    static const char *const table = ".rotary_emb.inv_freq";
    size_t length = strlen(name), tail = strlen(table);
    return (length > tail && strcmp(name + length - tail, table) == 0) ||
           (config->tied && (strcmp(name, "lm_head.weight") == 0 || strcmp(name, "lm_head.scale") == 0));
}

// Compares all tensors with the configuration.
static inline bool checkpoint_check(Checkpoint *c, const char *folder, Error *e) {
    const Config *g = &c->config;
    c->used = calloc(c->count + 1, sizeof *c->used);
    if (!c->used) return fault(e, "%s: not enough memory to read it", folder);
    if (!checkpoint_expect(c, folder, "model.embed_tokens.weight", g->vocab_size, g->hidden_size, e)) return false;
    if (!checkpoint_expect(c, folder, "model.norm.weight", g->hidden_size, 0, e)) return false;
    if (!g->tied && !checkpoint_expect(c, folder, "lm_head.weight", g->vocab_size, g->hidden_size, e)) return false;
    for (int64_t layer = 0; layer < g->layers; layer++)  // ends at the first layer that is not there
        if (!checkpoint_layer(c, folder, layer, e)) return false;
    for (size_t i = 0; i < c->count; i++)
        if (!c->used[i] && !checkpoint_spare(g, c->tensors[i]->name))
            return fault(e, "%s: the weights have %.100s, for which config.json has no use", folder,
                         c->tensors[i]->name);
    return true;
}

// --- the files -----------------------------------------------------------------------------------------------------

// Makes one list of the files' tensors.
static inline bool checkpoint_merge(Checkpoint *c, const char *folder, Error *e) {
    size_t total = 0;
    for (size_t f = 0; f < c->file_count; f++) total += c->files[f].count;
    c->tensors = malloc((total + 1) * sizeof *c->tensors);
    if (!c->tensors || total > INT32_MAX) return fault(e, "%s: not enough memory to read it", folder);
    for (size_t f = 0; f < c->file_count; f++)
        for (size_t i = 0; i < c->files[f].count; i++) {
            const TensorView *t = &c->files[f].tensors[i];
            if (checkpoint_find(c, t->name)) return fault(e, "%s: %.100s is in two of its files", folder, t->name);
            if (!table_add(&c->names, t->name, strlen(t->name), (int32_t)c->count))
                return fault(e, "%s: not enough memory to read it", folder);
            c->tensors[c->count++] = t;
        }
    return true;
}

// Opens one file of weights, which the folder itself must hold.
static inline bool checkpoint_file(Checkpoint *c, const char *folder, const char *file, Error *e) {
    char path[CHECKPOINT_PATH];
    if (*file == '\0' || strchr(file, '/') || strchr(file, '\\') || strcmp(file, ".") == 0 || strcmp(file, "..") == 0)
        return fault(e, "%s: the index names '%.100s', which is outside the folder", folder, file);
    if (c->file_count == CHECKPOINT_FILES)
        return fault(e, "%s: more than %d files of weights", folder, CHECKPOINT_FILES);
    Safetensors *files = realloc(c->files, (c->file_count + 1) * sizeof *files);
    if (!files) return fault(e, "%s: not enough memory to read it", folder);
    c->files = files;
    if (!checkpoint_path(path, folder, file, e) || !safetensors_open(&c->files[c->file_count], path, e)) return false;
    c->file_count++;
    return true;
}

// All files that the index names, each tensor in the file where it should be.
static inline bool checkpoint_shards(Checkpoint *c, const char *folder, const char *path, const Json *index, Error *e) {
    const JsonNode *map = json_get(index->nodes, "weight_map"), *name;
    Table files = {0};
    bool good = (map && map->kind == JSON_OBJECT) || fault(e, "%s has no weight_map; copy it again", path);
    name = good ? json_first(map) : NULL;
    for (uint32_t i = 0; good && i < map->count; i++, name = json_next(name + 1)) {
        const JsonNode *file = name + 1;
        if (file->kind != JSON_STRING || strlen(file->text) != file->count || strlen(name->text) != name->count) {
            good = fault(e, "%s: %.100s has no proper file name", path, name->text);
        } else if (table_get(&files, file->text, file->count) < 0) {
            good = checkpoint_file(c, folder, file->text, e);
            if (good && !table_add(&files, file->text, file->count, (int32_t)c->file_count - 1))
                good = fault(e, "%s: not enough memory to read it", path);
        }
    }
    good = good && checkpoint_merge(c, folder, e);
    name = good ? json_first(map) : NULL;
    for (uint32_t i = 0; good && i < map->count; i++, name = json_next(name + 1)) {
        const Safetensors *file = &c->files[table_get(&files, name[1].text, name[1].count)];
        const TensorView *t = checkpoint_find(c, name->text);
        if (!t || t < file->tensors || t >= file->tensors + file->count)
            good = fault(e, "%s: %.100s is not in %.100s; copy the folder again", path, name->text, name[1].text);
    }
    table_free(&files);
    return good;
}

// model.safetensors, or what model.safetensors.index.json names.
static inline bool checkpoint_weights(Checkpoint *c, const char *folder, Error *e) {
    char path[CHECKPOINT_PATH], whole[CHECKPOINT_PATH];
    struct stat about;
    if (!checkpoint_path(whole, folder, "model.safetensors", e)) return false;
    if (!checkpoint_path(path, folder, "model.safetensors.index.json", e)) return false;
    if (stat(whole, &about) == 0 || stat(path, &about) != 0)
        return checkpoint_file(c, folder, "model.safetensors", e) && checkpoint_merge(c, folder, e);
    Json index;
    bool good = json_load(&index, path, e) && checkpoint_shards(c, folder, path, &index, e);
    json_free(&index);
    return good;
}

// config.json, and the end tokens of generation_config.json, which win where they differ.
static inline bool checkpoint_config(Config *config, const char *folder, Error *e) {
    char path[CHECKPOINT_PATH];
    struct stat about;
    Json json;
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode)) return fault(e, "there is no model folder %s", folder);
    if (!checkpoint_path(path, folder, "config.json", e)) return false;
    bool good = json_load(&json, path, e) && config_read(config, path, json.nodes, e);
    json_free(&json);
    if (!good || !checkpoint_path(path, folder, "generation_config.json", e)) return false;
    if (stat(path, &about) != 0) return true;
    good = json_load(&json, path, e) && config_eos(&(Settings){path, json.nodes, e}, config);
    json_free(&json);
    return good;
}

// Opens a model folder and checks all of it. Faults are one line that names the file or the folder.
static inline bool checkpoint_open(Checkpoint *c, const char *folder, Error *e) {
    *c = (Checkpoint){0};
    if (checkpoint_config(&c->config, folder, e) && checkpoint_weights(c, folder, e) && checkpoint_check(c, folder, e))
        return true;
    checkpoint_close(c);
    return false;
}

#endif
