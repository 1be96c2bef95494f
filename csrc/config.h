// config.json of a model of the Llama family: its sizes, and a refusal of all that would compute something else.
//
// A file may say more than we know. What changes the computation (another activation, another rotary scaling, a family
// of another name) is refused with a line that names the setting; what does not (the dtype that it was trained in,
// who made it) is passed over. Where the file is silent, the family's defaults hold.

#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "json.h"

#define CONFIG_LARGEST (1 << 24)  // of any size but the context's: products of two stay far from overflow

enum { ROPE_NONE, ROPE_LINEAR, ROPE_LLAMA3 };

typedef struct {
    int64_t vocab_size, hidden_size, intermediate_size, layers, heads, kv_heads, head_dim, context;
    double rope_theta, rms_norm_eps;
    bool tied, attention_bias, mlp_bias;
    struct {
        int kind;                            // ROPE_NONE, ROPE_LINEAR (factor), ROPE_LLAMA3 (all four)
        double factor, low, high, original;  // low_freq_factor, high_freq_factor, original_max_position_embeddings
    } rope;
    int64_t quant_bits, quant_group;  // 0: weights are floats; else 8 or 4, and the columns of a group (0: they differ)
    int32_t bos, eos[8];              // -1: no bos
    int eos_count;
} Config;

// One of the settings, with what is needed to complain about it.
typedef struct {
    const char *path;
    const JsonNode *root;
    Error *error;
} Settings;

// A whole number from `least` to `most`. Absent: `otherwise`, or a fault where that is negative.
static inline bool config_whole(const Settings *s, const char *key, int64_t least, int64_t most, int64_t otherwise,
                                int64_t *value) {
    const JsonNode *node = json_get(s->root, key);
    if (!node && otherwise >= 0) {
        *value = otherwise;
        return true;
    }
    if (!node) return fault(s->error, "%s does not give %s", s->path, key);
    if (!node->whole || node->integer < least || node->integer > most)
        return fault(s->error, "%s: %s is not a whole number from %lld to %lld", s->path, key, (long long)least,
                     (long long)most);
    *value = node->integer;
    return true;
}

// A number above 0.
static inline bool config_number(const Settings *s, const JsonNode *object, const char *key, double otherwise,
                                 double *value) {
    const JsonNode *node = json_get(object, key);
    *value = node && node->kind == JSON_NUMBER ? node->number : node ? -1 : otherwise;
    return *value > 0 || fault(s->error, "%s: %s is not a number above 0", s->path, key);
}

static inline bool config_flag(const Settings *s, const JsonNode *object, const char *key, bool otherwise,
                               bool *value) {
    const JsonNode *node = json_get(object, key);
    if (node && node->kind != JSON_TRUE && node->kind != JSON_FALSE)
        return fault(s->error, "%s: %s is neither true nor false", s->path, key);
    *value = node ? node->kind == JSON_TRUE : otherwise;
    return true;
}

// The rotary embedding: rope_parameters or rope_scaling, the new name and the old.
static inline bool config_rope(const Settings *s, Config *c) {
    const JsonNode *rope = json_get(s->root, "rope_parameters"), *kind;
    if (!rope) rope = json_get(s->root, "rope_scaling");
    if (rope && rope->kind != JSON_OBJECT)
        return fault(s->error, "%s: the rotary scaling is %s, not an object", s->path, json_kind(rope));
    kind = json_get(rope, "rope_type");
    if (!kind) kind = json_get(rope, "type");
    c->rope.kind = !kind || json_is(kind, "default") ? ROPE_NONE
                   : json_is(kind, "linear")         ? ROPE_LINEAR
                   : json_is(kind, "llama3")         ? ROPE_LLAMA3
                                                     : -1;
    if (c->rope.kind < 0)
        return fault(s->error, "%s: the rotary scaling is '%.40s'; known here are default, linear and llama3", s->path,
                     kind->kind == JSON_STRING ? kind->text : json_kind(kind));
    double theta = 0, partial = 0;
    if (!config_number(s, rope, "rope_theta", 10000.0, &theta)) return false;
    if (!config_number(s, s->root, "rope_theta", theta, &c->rope_theta)) return false;
    if (json_get(rope, "rope_theta")) c->rope_theta = theta;
    if (!config_number(s, s->root, "partial_rotary_factor", 1.0, &partial)) return false;
    if (partial == 1.0 && !config_number(s, rope, "partial_rotary_factor", 1.0, &partial)) return false;
    if (partial != 1.0)
        return fault(s->error, "%s: partial_rotary_factor is %g; only 1 is known here", s->path, partial);
    c->rope.factor = c->rope.low = c->rope.high = c->rope.original = 0;
    if (c->rope.kind == ROPE_NONE) return true;
    if (!config_number(s, rope, "factor", -1, &c->rope.factor)) return false;
    if (c->rope.kind == ROPE_LINEAR) return true;
    if (!config_number(s, rope, "low_freq_factor", -1, &c->rope.low)) return false;
    if (!config_number(s, rope, "high_freq_factor", -1, &c->rope.high)) return false;
    if (!config_number(s, rope, "original_max_position_embeddings", -1, &c->rope.original)) return false;
    return c->rope.high > c->rope.low || fault(s->error, "%s: high_freq_factor is not above low_freq_factor", s->path);
}

// The tokens that end a text: one id, several, or none.
static inline bool config_eos(const Settings *s, Config *c) {
    const JsonNode *node = json_get(s->root, "eos_token_id"), *item = node;
    if (!node) return true;  // what was known stays
    uint32_t count = node->kind == JSON_ARRAY ? node->count : 1;
    if (count > 8) return fault(s->error, "%s: eos_token_id names %u tokens; 8 are known here", s->path, count);
    if (node->kind == JSON_ARRAY) item = json_first(node);
    c->eos_count = 0;
    for (uint32_t i = 0; i < count; i++, item = json_next(item)) {
        if (!item->whole || item->integer < 0 || item->integer >= c->vocab_size)
            return fault(s->error, "%s: eos_token_id is no id below %lld", s->path, (long long)c->vocab_size);
        c->eos[c->eos_count++] = (int32_t)item->integer;
    }
    return true;
}

// How the weights are stored: see quantization/store.py.
static inline bool config_quantization(const Settings *s, Config *c) {
    const JsonNode *stored = json_get(s->root, "quantization_config");
    c->quant_bits = c->quant_group = 0;
    if (!stored) return true;
    if (!json_is(json_get(stored, "quant_method"), "storyteller"))
        return fault(s->error, "%s: the weights are quantized by another method than 'storyteller' (quant_method)",
                     s->path);
    Settings inner = {s->path, stored, s->error};
    bool symmetric = true;
    if (!config_whole(&inner, "bits", 4, 8, -1, &c->quant_bits)) return false;
    if (c->quant_bits != 4 && c->quant_bits != 8)
        return fault(s->error, "%s: bits is %lld; weights of 8 and 4 bits are known here", s->path,
                     (long long)c->quant_bits);
    if (!config_flag(s, stored, "symmetric", true, &symmetric)) return false;
    if (!symmetric)
        return fault(s->error,
                     "%s: the weights are quantized asymmetrically, which only Python reads; use symmetric ones",
                     s->path);
    if (!config_whole(&inner, "group_size", -1, CONFIG_LARGEST, 0, &c->quant_group)) return false;
    if (c->quant_group < 0) c->quant_group = 0;
    return c->quant_group % 32 == 0 || fault(s->error, "%s: group_size is not a multiple of 32", s->path);
}

static inline bool config_sizes(const Settings *s, Config *c) {
    const int64_t most = CONFIG_LARGEST;
    int64_t window = 0;
    if (!config_whole(s, "vocab_size", 1, most, -1, &c->vocab_size)) return false;
    if (!config_whole(s, "hidden_size", 1, most, -1, &c->hidden_size)) return false;
    if (!config_whole(s, "intermediate_size", 1, most, -1, &c->intermediate_size)) return false;
    if (!config_whole(s, "num_hidden_layers", 1, most, -1, &c->layers)) return false;
    if (!config_whole(s, "num_attention_heads", 1, most, -1, &c->heads)) return false;
    if (!config_whole(s, "num_key_value_heads", 1, most, c->heads, &c->kv_heads)) return false;
    if (!config_whole(s, "head_dim", 1, most, c->hidden_size / c->heads, &c->head_dim)) return false;
    if (!config_whole(s, "max_position_embeddings", 1, INT32_MAX, -1, &c->context)) return false;
    // Attention that sees the last `window` tokens is attention to all of them until a text is longer than that.
    if (!config_whole(s, "sliding_window", 1, INT32_MAX, c->context, &window)) return false;
    if (window < c->context) c->context = window;
    if (!json_get(s->root, "head_dim") && c->hidden_size % c->heads != 0)
        return fault(s->error, "%s: hidden_size is not a multiple of num_attention_heads", s->path);
    if (c->heads % c->kv_heads != 0)
        return fault(s->error, "%s: num_attention_heads is not a multiple of num_key_value_heads", s->path);
    if (c->head_dim % 2 != 0 || c->head_dim == 0)
        return fault(s->error, "%s: a head of %lld numbers cannot be turned in pairs (head_dim)", s->path,
                     (long long)c->head_dim);
    return c->head_dim <= most / c->heads || fault(s->error, "%s: head_dim is absurd", s->path);
}

// Reads the object of a config.json. `path` is for the error.
static inline bool config_read(Config *c, const char *path, const JsonNode *root, Error *e) {
    Settings s = {path, root, e};
    *c = (Config){0};
    if (root->kind != JSON_OBJECT) return fault(e, "%s holds %s, not an object", path, json_kind(root));
    const JsonNode *family = json_get(root, "model_type"), *act = json_get(root, "hidden_act");
    if (!json_is(family, "llama") && !json_is(family, "mistral"))
        return fault(e, "%s: model_type is '%.40s'; this program reads models of type 'llama' and 'mistral'", path,
                     family && family->kind == JSON_STRING ? family->text : json_kind(family));
    if (act && !json_is(act, "silu") && !json_is(act, "swish"))
        return fault(e, "%s: hidden_act is '%.40s'; only 'silu' is known here", path,
                     act->kind == JSON_STRING ? act->text : json_kind(act));
    int64_t bos = -1;
    if (!config_sizes(&s, c) || !config_rope(&s, c) || !config_quantization(&s, c) || !config_eos(&s, c)) return false;
    if (!config_number(&s, root, "rms_norm_eps", 1e-6, &c->rms_norm_eps)) return false;
    if (!config_flag(&s, root, "tie_word_embeddings", false, &c->tied)) return false;
    if (!config_flag(&s, root, "attention_bias", false, &c->attention_bias)) return false;
    if (!config_flag(&s, root, "mlp_bias", false, &c->mlp_bias)) return false;
    if (!config_whole(&s, "bos_token_id", 0, c->vocab_size - 1, INT64_MAX, &bos)) return false;
    c->bos = bos == INT64_MAX ? -1 : (int32_t)bos;
    return true;
}

#endif
