// A GPT-2 as a folder in the Hugging Face layout: config.json, model.safetensors and tokenizer.json.
//
// What is written here loads in `transformers` and in transformer/gpt2.py, and the other way round. Matrices lie in
// the file as gpt.h keeps them, (in, out); the output layer has the embedding's table and is not stored.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef GPT2_FOLDER_H
#define GPT2_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "atomic_file.h"
#include "config.h"
#include "error.h"
#include "gpt.h"
#include "half.h"
#include "json.h"
#include "safetensors.h"
#include "safetensors_write.h"

#define FOLDER_PATH 4096  // bytes of a path

static inline bool folder_path(char path[FOLDER_PATH], const char *folder, const char *file, Error *e) {
    int length = snprintf(path, FOLDER_PATH, "%s/%s", folder, file);
    return (length > 0 && length < FOLDER_PATH) || fault(e, "the name of the folder %.100s is too long", folder);
}

// --- reading -------------------------------------------------------------------------------------------------------

// Whether a setting that changes the computation is absent or has the value that a GPT-2 has.
static inline bool gpt2_setting(const Settings *s, const char *key, const char *value) {
    const JsonNode *node = json_get(s->root, key);
    return !node || json_is(node, value) || fault(s->error, "%s: %s is '%.40s'; a GPT-2 has %s", s->path, key,
                                                  node->kind == JSON_STRING ? node->text : json_kind(node), value);
}

static inline bool gpt2_switch(const Settings *s, const char *key, bool value) {
    bool found = value;
    return config_flag(s, s->root, key, value, &found) &&
           (found == value || fault(s->error, "%s: %s is %s; a GPT-2 has %s", s->path, key, found ? "true" : "false",
                                    value ? "true" : "false"));
}

// The sizes in a config.json; what is absent has the value of the smallest of the four models.
static inline bool gpt2_sizes(const Settings *s, GptConfig *c) {
    const JsonNode *act = json_get(s->root, "activation_function");
    int64_t inner = 0;
    double eps = 0;
    if (!json_get(s->root, "model_type")) return fault(s->error, "%s does not give model_type", s->path);
    if (!gpt2_setting(s, "model_type", "gpt2")) return false;
    if (!json_is(act, "gelu_pytorch_tanh") && !gpt2_setting(s, "activation_function", "gelu_new")) return false;
    if (!config_whole(s, "vocab_size", 1, CONFIG_LARGEST, 50257, &c->vocab)) return false;
    if (!config_whole(s, "n_positions", 1, CONFIG_LARGEST, 1024, &c->context)) return false;
    if (!config_whole(s, "n_embd", 1, 1 << 16, 768, &c->width)) return false;
    if (!config_whole(s, "n_layer", 1, 1 << 10, 12, &c->layers)) return false;
    if (!config_whole(s, "n_head", 1, 1 << 16, 12, &c->heads)) return false;
    if (!config_whole(s, "n_inner", 1, 1 << 18, 4 * c->width, &inner)) return false;
    if (!config_number(s, s->root, "layer_norm_epsilon", 1e-5, &eps)) return false;
    c->eps = (float)eps;
    if (inner != 4 * c->width)
        return fault(s->error, "%s: n_inner is %lld; a GPT-2 has four times n_embd", s->path, (long long)inner);
    if (c->width % c->heads != 0) return fault(s->error, "%s: n_embd is not a multiple of n_head", s->path);
    return gpt2_switch(s, "tie_word_embeddings", true) && gpt2_switch(s, "scale_attn_weights", true) &&
           gpt2_switch(s, "scale_attn_by_inverse_layer_idx", false);
}

// The sizes of the model in a folder.
static inline bool gpt2_read_config(GptConfig *config, const char *folder, Error *e) {
    char path[FOLDER_PATH];
    struct stat about;
    Json json;
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode)) return fault(e, "there is no model folder %s", folder);
    if (!folder_path(path, folder, "config.json", e) || !json_load(&json, path, e)) return false;
    bool good = json.nodes->kind == JSON_OBJECT || fault(e, "%s holds no JSON object", path);
    good = good && gpt2_sizes(&(Settings){path, json.nodes, e}, config);
    json_free(&json);
    return good;
}

// The tensor of that name, with or without "transformer." in front, as OpenAI's own files have it. NULL: not there.
static inline const TensorView *find_tensor(const Safetensors *s, const char *name) {
    const char *prefix = "transformer.";
    const char *bare = strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : name;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->tensors[i].name, name) == 0 || strcmp(s->tensors[i].name, bare) == 0) return &s->tensors[i];
    return NULL;
}

static inline int64_t gpt_tensor_numbers(const GptTensor *t) {
    return t->shape[0] * t->shape[1];
}

// Whether a tensor of a file has the shape that the model's has, and numbers that we know.
static inline bool tensor_fits(const TensorView *t, const GptTensor *wanted, const char *name, const char *path,
                               Error *e) {
    if (!t) return fault(e, "%s lacks %s, which config.json asks for", path, name);
    if (t->type != TYPE_F32 && t->type != TYPE_F16 && t->type != TYPE_BF16)
        return fault(e, "%s: %s is of type %s; F32, F16 and BF16 are known here", path, name, type_name(t->type));
    bool same = t->dimensions == wanted->dimensions && t->shape[0] == wanted->shape[0] &&
                (t->dimensions == 1 || t->shape[1] == wanted->shape[1]);
    return same || fault(e, "%s: %s has shape (%lld, %lld), which does not fit config.json", path, name,
                         (long long)t->shape[0], (long long)t->shape[1]);
}

static inline void tensor_to_floats(const TensorView *t, float *to, int64_t n) {
    const uint16_t *half = t->data;
    if (t->type == TYPE_F32) memcpy(to, t->data, (size_t)n * sizeof *to);
    if (t->type == TYPE_F16)
        for (int64_t i = 0; i < n; i++) to[i] = float_of_f16(half[i]);
    if (t->type == TYPE_BF16)
        for (int64_t i = 0; i < n; i++) to[i] = float_of_bf16(half[i]);
}

// Fills the model's parameters from folder/model.safetensors.
static inline bool gpt2_read_weights(Gpt *g, const char *folder, Error *e) {
    char path[FOLDER_PATH];
    Safetensors file;
    if (!folder_path(path, folder, "model.safetensors", e) || !safetensors_open(&file, path, e)) return false;
    bool good = true;
    for (int64_t i = 0; i < g->tensor_count && good; i++) {
        GptTensor *wanted = &g->tensors[i];
        const TensorView *t = find_tensor(&file, wanted->name);
        good = tensor_fits(t, wanted, wanted->name, path, e);
        if (good) tensor_to_floats(t, wanted->data, gpt_tensor_numbers(wanted));
    }
    safetensors_close(&file);
    return good;
}

// --- writing -------------------------------------------------------------------------------------------------------

static inline bool gpt2_write_config(const GptConfig *c, const char *folder, int32_t end, Error *e) {
    char path[FOLDER_PATH], text[1000];
    int length = snprintf(text, sizeof text,
                          "{\n  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"model_type\": \"gpt2\",\n"
                          "  \"vocab_size\": %" PRId64 ",\n  \"n_positions\": %" PRId64 ",\n"
                          "  \"n_embd\": %" PRId64 ",\n"
                          "  \"n_layer\": %" PRId64 ",\n  \"n_head\": %" PRId64 ",\n  \"layer_norm_epsilon\": %.7g,\n"
                          "  \"activation_function\": \"gelu_new\",\n  \"tie_word_embeddings\": true,\n"
                          "  \"bos_token_id\": %d,\n  \"eos_token_id\": %d\n}\n",
                          c->vocab, c->context, c->width, c->layers, c->heads, (double)c->eps, end, end);
    return folder_path(path, folder, "config.json", e) && write_atomic(path, text, (size_t)length, e);
}

static inline bool copy_file(const char *from, const char *to, Error *e) {
    File file;
    if (!file_open(&file, from, e)) return false;
    bool good = write_atomic(to, file.data, file.bytes, e);
    file_close(&file);
    return good;
}

// Writes the model as a folder that exists, each file atomically, the weights last. `end`: the id of <|endoftext|>.
static inline bool gpt2_write_folder(const Gpt *g, const char *folder, const char *tokenizer, int32_t end, Error *e) {
    char path[FOLDER_PATH];
    NamedTensor *tensors = malloc((size_t)g->tensor_count * sizeof *tensors);
    if (!tensors) return fault(e, "not enough memory to write %s", folder);
    for (int64_t i = 0; i < g->tensor_count; i++) {
        const GptTensor *t = &g->tensors[i];
        tensors[i] = (NamedTensor){t->name, t->dimensions, {t->shape[0], t->shape[1]}, t->data};
    }
    Metadata about[] = {{"format", "pt"}};
    bool good = gpt2_write_config(&g->config, folder, end, e) && folder_path(path, folder, "tokenizer.json", e) &&
                copy_file(tokenizer, path, e) && folder_path(path, folder, "model.safetensors", e) &&
                safetensors_write(path, tensors, (size_t)g->tensor_count, about, 1, e);
    free(tensors);
    return good;
}

#endif
