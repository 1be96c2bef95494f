// Tests of safetensors.h, config.h and checkpoint.h: small models in memory and in folders, each kind of fault, damage.

#define _POSIX_C_SOURCE 200809L
#undef NDEBUG  // the assertions are the test
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "checkpoint.h"
#include "fuzz.h"
#include "rng.h"

// --- a model that is written here ----------------------------------------------------------------------------------

typedef struct {
    char header[20000], config[2000];
    size_t header_bytes, numbers;
} Model;

typedef struct {
    bool tied, bias;
    int bits;           // 0, 8, 4
    int64_t group;      // 0: a whole row
    const char *extra;  // more of config.json
} Options;

static void add(Model *m, const char *name, const char *dtype, int64_t unit, int64_t rows, int64_t columns) {
    size_t bytes = (size_t)(rows * (columns ? columns : 1) * unit);
    char shape[60];
    sprintf(shape, columns ? "%lld,%lld" : "%lld", (long long)rows, (long long)columns);
    m->header_bytes +=
        (size_t)sprintf(m->header + m->header_bytes, "%s`%s`:{`dtype`:`%s`,`shape`:[%s],`data_offsets`:[%zu,%zu]}",
                        m->header_bytes > 1 ? "," : "", name, dtype, shape, m->numbers, m->numbers + bytes);
    m->numbers += bytes;
    assert(m->header_bytes < sizeof m->header - 400);
}

// A linear weight; in round 0 what has 4 bytes a number is written, in round 1 what has 1.
static void add_linear(Model *m, const char *stem, int64_t rows, int64_t columns, const Options *o, int round) {
    char name[100];
    snprintf(name, sizeof name, "%s.weight", stem);
    if (o->bits && round == 1) add(m, name, o->bits == 8 ? "I8" : "U8", 1, rows, o->bits == 8 ? columns : columns / 2);
    if (!o->bits && round == 0) add(m, name, "F32", 4, rows, columns);
    snprintf(name, sizeof name, "%s.scale", stem);
    if (o->bits && round == 0) add(m, name, "F32", 4, rows, o->group ? columns / o->group : 1);
}

static Model new_model(const Options *o) {
    enum { V = 12, C = 64, F = 128, H = 4, K = 2, D = 16, LAYERS = 2 };
    static const char *const norms[] = {"input_layernorm", "post_attention_layernorm"};
    const struct {
        const char *name;
        int64_t rows, columns;
    } parts[] = {{"self_attn.q_proj", H * D, C}, {"self_attn.k_proj", K * D, C}, {"self_attn.v_proj", K * D, C},
                 {"self_attn.o_proj", C, H * D}, {"mlp.gate_proj", F, C},        {"mlp.up_proj", F, C},
                 {"mlp.down_proj", C, F}};
    Model m = {.header_bytes = 0};
    m.header[m.header_bytes++] = '{';
    char name[100];
    for (int round = 0; round < 2; round++) {
        add_linear(&m, "model.embed_tokens", V, C, o, round);
        if (!o->tied) add_linear(&m, "lm_head", V, C, o, round);
        if (round == 0) add(&m, "model.norm.weight", "F32", 4, C, 0);
        for (int layer = 0; layer < LAYERS; layer++) {
            for (int k = 0; round == 0 && k < 2; k++) {
                sprintf(name, "model.layers.%d.%s.weight", layer, norms[k]);
                add(&m, name, "F32", 4, C, 0);
            }
            for (int k = 0; k < 7; k++) {
                sprintf(name, "model.layers.%d.%s", layer, parts[k].name);
                add_linear(&m, name, parts[k].rows, parts[k].columns, o, round);
                sprintf(name, "model.layers.%d.%s.bias", layer, parts[k].name);
                if (round == 0 && o->bias) add(&m, name, "F32", 4, parts[k].rows, 0);
            }
        }
    }
    strcpy(m.header + m.header_bytes++, "}");
    while (m.header_bytes % 8 != 0) m.header[m.header_bytes++] = ' ';
    const char *flag = o->bias ? "true" : "false";
    int n = sprintf(m.config,
                    "{`model_type`: `llama`, `vocab_size`: %d, `hidden_size`: %d, `intermediate_size`: %d, "
                    "`num_hidden_layers`: %d, `num_attention_heads`: %d, `num_key_value_heads`: %d, `head_dim`: %d, "
                    "`max_position_embeddings`: 128, `tie_word_embeddings`: %s, `attention_bias`: %s, `mlp_bias`: %s, "
                    "`eos_token_id`: [3, 5], `bos_token_id`: 1%s",
                    V, C, F, LAYERS, H, K, D, o->tied ? "true" : "false", flag, flag, o->extra ? o->extra : "");
    if (o->bits)
        n += sprintf(m.config + n,
                     ", `quantization_config`: {`quant_method`: `storyteller`, `bits`: %d, "
                     "`group_size`: %lld, `symmetric`: true}",
                     o->bits, (long long)o->group);
    strcpy(m.config + n, "}");
    quoted(m.config, m.config);
    quoted(m.header, m.header);
    return m;
}

// The file: length, header, numbers. The caller frees it.
static Damaged file_of(const Model *m) {
    Damaged f = {NULL, 8 + m->header_bytes + m->numbers};
    f.data = malloc(f.bytes);
    assert(f.data);
    uint64_t length = m->header_bytes;
    memcpy(f.data, &length, 8);
    memcpy(f.data + 8, m->header, m->header_bytes);
    for (size_t i = 0; i < m->numbers; i++) f.data[8 + m->header_bytes + i] = (char)(i * 7 & 63);  // no NaN
    return f;
}

// Opens a model from memory. What was opened is closed by close_memory.
static bool open_memory(Checkpoint *c, const char *file, size_t bytes, const char *config, size_t config_bytes,
                        Error *e) {
    Json json;
    *c = (Checkpoint){0};
    bool good = json_parse(&json, "config.json", config, config_bytes, e) &&
                config_read(&c->config, "config.json", json.nodes, e);
    json_free(&json);
    c->files = calloc(1, sizeof *c->files);
    assert(c->files);
    c->file_count = 1;
    c->files->file = (File){file, bytes};
    return good && safetensors_read(c->files, "model.safetensors", e) && checkpoint_merge(c, "folder", e) &&
           checkpoint_check(c, "folder", e);
}

static void close_memory(Checkpoint *c) {
    c->files->file = (File){0};  // not mapped
    checkpoint_close(c);
}

// Every number of every tensor can be read, and the sizes make sense.
static void use(const Checkpoint *c) {
    const Config *g = &c->config;
    volatile unsigned sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        const TensorView *t = c->tensors[i];
        for (size_t k = 0; k < t->bytes; k++) sum += ((const unsigned char *)t->data)[k];
        assert(checkpoint_find(c, t->name) == t && strlen(t->name) > 0);
        if (t->type == TYPE_F32 && t->bytes > 0) assert((uintptr_t)t->data % 4 == 0);
    }
    assert(g->layers > 0 && g->heads % g->kv_heads == 0 && g->head_dim % 2 == 0 && g->head_dim > 0 && g->context > 0);
    assert(g->rope_theta > 0 && isfinite(g->rope_theta) && g->rms_norm_eps > 0 && g->eos_count <= 8 &&
           g->bos < g->vocab_size);
    const TensorView *table = checkpoint_find(c, "model.embed_tokens.weight");
    assert(table && table->shape[0] == g->vocab_size);
    for (int i = 0; i < g->eos_count; i++) assert(g->eos[i] >= 0 && g->eos[i] < g->vocab_size);
}

// --- tests ---------------------------------------------------------------------------------------------------------

static const Options KINDS[] = {
    {.tied = true},
    {.tied = false, .bias = true},
    {.tied = true, .bits = 8, .group = 32},
    {.tied = false, .bits = 4, .group = 32},
    {.tied = true, .bits = 8, .group = 0},
    {.tied = true, .bits = 4, .group = 0, .bias = true},
};

static void test_kinds(void) {
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        Model m = new_model(&KINDS[k]);
        Damaged f = file_of(&m);
        Checkpoint c;
        Error e = {""};
        if (!open_memory(&c, f.data, f.bytes, m.config, strlen(m.config), &e)) fprintf(stderr, "%s\n", e.text), abort();
        use(&c);
        const Config *g = &c.config;
        assert(g->vocab_size == 12 && g->hidden_size == 64 && g->intermediate_size == 128 && g->layers == 2 &&
               g->heads == 4);
        assert(g->kv_heads == 2 && g->head_dim == 16 && g->context == 128 && g->rope_theta == 10000.0 &&
               g->rms_norm_eps == 1e-6);
        assert(g->tied == KINDS[k].tied && g->attention_bias == KINDS[k].bias && g->mlp_bias == KINDS[k].bias);
        assert(g->bos == 1 && g->eos_count == 2 && g->eos[0] == 3 && g->eos[1] == 5 && g->rope.kind == ROPE_NONE);
        assert(g->quant_bits == KINDS[k].bits && g->quant_group == KINDS[k].group);
        const TensorView *q = checkpoint_find(&c, "model.layers.1.self_attn.q_proj.weight");
        assert(q && q->dimensions == 2 && q->shape[0] == 64 && q->shape[1] == (KINDS[k].bits == 4 ? 32 : 64) &&
               q->shape[2] == 1);
        assert(!checkpoint_find(&c, "model.layers.2.self_attn.q_proj.weight") && !checkpoint_find(&c, ""));
        const TensorView *scale = checkpoint_find(&c, "model.layers.1.mlp.up_proj.scale");
        assert(!scale == !KINDS[k].bits);
        size_t place = scale ? (size_t)((const char *)scale->data - f.data) : 0;
        close_memory(&c);
        if (place) {
            const float broken[] = {NAN, INFINITY, -INFINITY};
            memcpy(f.data + place + 8, &broken[k % 3], sizeof(float));
            assert(!open_memory(&c, f.data, f.bytes, m.config, strlen(m.config), &e) && strstr(e.text, "not finite"));
            close_memory(&c);
        }
        free(f.data);
    }
}

// The same model with another text in place of one in its header or its config.json.
static const char *changed(Options o, const char *from, const char *to, Error *e) {
    Model m = new_model(&o);
    char *places[] = {m.header, m.config};
    char wanted[200];
    quoted(wanted, from);
    for (int k = 0; k < 2; k++) {
        char *at = strstr(places[k], wanted), rest[20000];
        if (!at) continue;
        strcpy(rest, at + strlen(wanted));
        strcpy(quoted(at, to), rest);
        if (k == 0) m.header_bytes = strlen(m.header);
        while (m.header_bytes % 8 != 0) m.header[m.header_bytes++] = ' ';
        Damaged f = file_of(&m);
        Checkpoint c;
        strcpy(e->text, "accepted");
        if (open_memory(&c, f.data, f.bytes, m.config, strlen(m.config), e)) use(&c);
        close_memory(&c);
        free(f.data);
        return e->text;
    }
    assert(!"nothing to change");
    return NULL;
}

static void test_faults(void) {
    static const struct {
        int kind;
        const char *from, *to, *says;
    } faults[] = {
        // the header
        {0, "[0,3072]", "[0,3073]", "bytes"},
        {0, "[0,3072]", "[4,3076]", "hole"},
        {0, "[0,3072]", "[-4,3068]", "outside"},
        {0, "[0,3072]", "[0,999999999]", "outside"},
        {0, "[0,3072]", "[0,18446744073709551615]", "outside"},
        {0, "[0,3072]", "[3072,0]", "outside"},
        {0, "[0,3072]", "[0]", "lacks"},
        {0, "[0,3072]", "[0.0,3072.0]", "outside"},
        {0, "[12,64]", "[4611686018427387904,64]", "cannot be"},
        {0, "[12,64]", "[9223372036854775807,9223372036854775807]", "cannot be"},
        {0, "[12,64]", "[-12,-64]", "cannot be"},
        {0, "[12,64]", "[64,12]", "asks for (12, 64)"},
        {0, "[12,64]", "[1,1,1,1,1,1,1,12,64]", "8 dimensions"},
        {0, "[12,64]", "[12,64,1]", "asks for (12, 64)"},
        {0, "[12,64]", "[768]", "asks for (12, 64)"},
        {0, "`F32`", "`F33`", "unknown"},
        {0, "`F32`", "`I32`", "of type I32"},
        {0, "`F32`", "`F16`", "bytes"},
        {0, "`F32`", "32", "lacks"},
        {0, "`shape`:[12,64]", "`shape`:null", "lacks"},
        {0, "model.norm.weight", "model.embed_tokens.weight", "twice"},
        {0, "model.norm.weight", "model.morn.weight", "lack model.norm.weight"},
        {0, "model.norm.weight", "a\\u0000b", "no proper name"},
        {0, "model.norm.weight", "", "no proper name"},
        {0, "{`model.embed", "{`more`:{`dtype`:`F32`,`shape`:[0],`data_offsets`:[0,0]},`model.embed", "no use"},
        {0, "{`model.embed", "{`more`:7,`model.embed", "lacks dtype"},
        {0, "{`model.embed", "{`__metadata__`:{`format`:`pt`},`model.embed", "accepted"},
        {0, "{`model.embed", "[{`model.embed", "damaged"},
        {0, "{`model.embed",
         "{`model.layers.0.rotary_emb.inv_freq`:{`dtype`:`F64`,`shape`:[0],`data_offsets`:[0,0]},`model.embed",
         "accepted"},
        // sizes
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 1000000000", "num_hidden_layers"},
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 10000000", "lack model.layers.2."},
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 3", "lack model.layers.2."},
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 1", "no use"},
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 0", "num_hidden_layers"},
        {0, "`num_hidden_layers`: 2", "`num_hidden_layers`: 2.0", "num_hidden_layers"},
        {0, "`num_hidden_layers`: 2, ", "", "does not give num_hidden_layers"},
        {0, "`vocab_size`: 12", "`vocab_size`: 13", "asks for (13, 64)"},
        {0, "`vocab_size`: 12", "`vocab_size`: `12`", "vocab_size"},
        {0, "`head_dim`: 16", "`head_dim`: 15", "head_dim"},
        {0, "`head_dim`: 16", "`head_dim`: null", "accepted"},
        {0, "`head_dim`: 16", "`head_dim`: 32", "asks for (128, 64)"},
        {0, "`num_key_value_heads`: 2", "`num_key_value_heads`: 3", "multiple"},
        {0, "`num_key_value_heads`: 2", "`num_key_value_heads`: 4", "asks for (64, 64)"},
        {0, "`tie_word_embeddings`: true", "`tie_word_embeddings`: false", "lack lm_head.weight"},
        {1, "`tie_word_embeddings`: false", "`tie_word_embeddings`: true", "accepted"},
        {0, "`tie_word_embeddings`: true", "`tie_word_embeddings`: 1", "neither true nor false"},
        {0, "`attention_bias`: false", "`attention_bias`: true", "lack model.layers.0.self_attn.q_proj.bias"},
        {1, "`attention_bias`: true", "`attention_bias`: false", "no use"},
        {0, "`eos_token_id`: [3, 5]", "`eos_token_id`: 12", "eos_token_id"},
        {0, "`eos_token_id`: [3, 5]", "`eos_token_id`: [1,2,3,4,5,6,7,8,9]", "8 are known"},
        {0, "`eos_token_id`: [3, 5]", "`eos_token_id`: []", "accepted"},
        {0, "`bos_token_id`: 1", "`bos_token_id`: null", "accepted"},
        {0, "`bos_token_id`: 1", "`bos_token_id`: -1", "bos_token_id"},
        // what would compute something else
        {0, "`llama`", "`gemma`", "model_type is 'gemma'"},
        {0, "`llama`", "`mistral`", "accepted"},
        {0, "`llama`", "7", "model_type"},
        {0, "`bos", "`hidden_act`: `gelu`, `bos", "'gelu'"},
        {0, "`bos", "`rope_theta`: 0, `bos", "rope_theta"},
        {0, "`bos", "`rope_theta`: `1`, `bos", "rope_theta"},
        {0, "`bos", "`partial_rotary_factor`: 0.5, `bos", "partial_rotary_factor"},
        {0, "`bos", "`rms_norm_eps`: -1e-5, `bos", "rms_norm_eps"},
        {0, "`bos", "`rope_scaling`: {`rope_type`: `yarn`, `factor`: 2}, `bos", "'yarn'"},
        {0, "`bos", "`rope_scaling`: {`type`: `linear`}, `bos", "factor"},
        {0, "`bos", "`rope_scaling`: {`type`: `linear`, `factor`: 2}, `bos", "accepted"},
        {0, "`bos", "`rope_scaling`: 3, `bos", "not an object"},
        {0, "`bos",
         "`rope_scaling`: {`rope_type`: `llama3`, `factor`: 8, `low_freq_factor`: 4, `high_freq_factor`: 1, "
         "`original_max_position_embeddings`: 64}, `bos",
         "high_freq_factor"},
        // quantized weights
        {2, "`bits`: 8", "`bits`: 5", "bits is 5"},
        {2, "`bits`: 8", "`bits`: 4", "accepted"},  // the types of the tensors say how many bits they have
        {2, "`symmetric`: true", "`symmetric`: false", "asymmetrically"},
        {2, "`group_size`: 32", "`group_size`: 64", "does not fit"},
        {2, "`group_size`: 32", "`group_size`: 31", "multiple of 32"},
        {4, "`group_size`: 0", "`group_size`: -1", "accepted"},
        {4, "`group_size`: 0", "`group_size`: null", "accepted"},
        {2, "`group_size`: 32", "`group_size`: 0", "accepted"},  // each matrix has groups of its own
        {2, "storyteller", "gptq", "quant_method"},
        {2, "`quantization_config`", "`quantization`", "no quantization_config"},
        {2, "q_proj.scale", "q_proj.scales", "q_proj.scale is missing"},
        {3, "`U8`,`shape`:[64,32]", "`I8`,`shape`:[64,32]", "asks for (64, 64)"},
    };
    Error e;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const char *got = changed(KINDS[faults[i].kind], faults[i].from, faults[i].to, &e);
        if (!strstr(got, faults[i].says)) fprintf(stderr, "%s -> %s: %s\n", faults[i].from, faults[i].to, got);
        assert(strstr(got, faults[i].says));
    }
}

static void test_rope(void) {
    Options o = {.tied = true,
                 .extra =
                     ", `rope_parameters`: {`rope_type`: `llama3`, `factor`: 8.0, `low_freq_factor`: 1.0, "
                     "`high_freq_factor`: 4.0, `original_max_position_embeddings`: 64, `rope_theta`: 500000.0}, "
                     "`sliding_window`: 100"};
    Model m = new_model(&o);
    Json json;
    Config g;
    Error e;
    assert(json_parse(&json, "x", m.config, strlen(m.config), &e) && config_read(&g, "x", json.nodes, &e));
    assert(g.rope.kind == ROPE_LLAMA3 && g.rope.factor == 8 && g.rope.low == 1 && g.rope.high == 4 &&
           g.rope.original == 64);
    assert(g.rope_theta == 500000.0 && g.context == 100);
    json_free(&json);
}

static void test_shorter_and_longer(void) {
    Model m = new_model(&KINDS[0]);
    Damaged f = file_of(&m);
    Checkpoint c;
    Error e;
    for (size_t bytes = 0; bytes < f.bytes; bytes += bytes < m.header_bytes + 64 ? 1 : 997) {
        char *exact = malloc(bytes + !bytes);
        memcpy(exact, f.data, bytes);
        assert(!open_memory(&c, exact, bytes, m.config, strlen(m.config), &e) &&
               strncmp(e.text, "model.safetensors", 17) == 0);
        close_memory(&c);
        free(exact);
    }
    m.numbers += 8;  // bytes that belong to no tensor
    Damaged longer = file_of(&m);
    assert(!open_memory(&c, longer.data, longer.bytes, m.config, strlen(m.config), &e) &&
           strstr(e.text, "8 bytes belong to no"));
    close_memory(&c);
    for (uint64_t length = UINT64_MAX; length > m.header_bytes; length = length / 2) {
        memcpy(f.data, &length, 8);
        assert(!open_memory(&c, f.data, f.bytes, m.config, strlen(m.config), &e));
        close_memory(&c);
    }
    m = new_model(&KINDS[0]);
    memmove(m.header + 1, m.header, m.header_bytes);  // numbers begin at an odd place
    m.header[0] = ' ';
    m.header_bytes++;
    Damaged odd = file_of(&m);
    assert(!open_memory(&c, odd.data, odd.bytes, m.config, strlen(m.config), &e) && strstr(e.text, "not aligned"));
    close_memory(&c);
    free(f.data), free(longer.data), free(odd.data);
}

// Damage to the header and to config.json: a fault in one line, or a model that can be used.
static int damage_once(uint64_t seed) {
    Rng rng = rng_seed(seed);
    const Options *o = &KINDS[rng_below(&rng, sizeof KINDS / sizeof *KINDS)];
    Model m = new_model(o);
    Damaged file = file_of(&m), config = {NULL, 0};
    if (rng_below(&rng, 3) == 0) {
        config = fuzz(m.config, strlen(m.config), &rng);
    } else {
        Damaged header = fuzz(file.data, 8 + m.header_bytes, &rng),
                whole = {malloc(header.bytes + m.numbers), header.bytes + m.numbers};
        memcpy(whole.data, header.data, header.bytes);
        memcpy(whole.data + header.bytes, file.data + 8 + m.header_bytes, m.numbers);
        uint64_t length = header.bytes - 8;
        if (header.bytes >= 8 && rng_below(&rng, 2)) memcpy(whole.data, &length, 8);  // as a careful enemy would
        free(header.data), free(file.data);
        file = whole;
    }
    Checkpoint c;
    Error e = {""};
    bool good = open_memory(&c, file.data, file.bytes, config.data ? config.data : m.config,
                            config.data ? config.bytes : strlen(m.config), &e);
    if (good) use(&c);
    assert(good || (strlen(e.text) > 10 && !strchr(e.text, '\n')));
    close_memory(&c);
    free(file.data), free(config.data);
    return good;
}

static void test_damage(void) {
    int good = 0;
    for (uint64_t seed = 0; seed < 6000; seed++) good += damage_once(seed);
    assert(good > 20 && good < 3000);
}

// --- folders -------------------------------------------------------------------------------------------------------

static char folder[] = "/tmp/test_checkpoint.XXXXXX", path[200];

static const char *in_folder(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t bytes) {
    FILE *file = fopen(in_folder(name), "wb");
    assert(file && fwrite(data, 1, bytes, file) == bytes);
    assert(fclose(file) == 0);
}

static void write_text(const char *name, const char *text) {
    static char copy[20000];
    write_file(name, copy, (size_t)(quoted(copy, text) - copy));
}

static bool opens(const char *says) {
    Checkpoint c;
    Error e = {""};
    bool good = checkpoint_open(&c, folder, &e);
    if (good) use(&c);
    if (!good && (!says || !strstr(e.text, says))) fprintf(stderr, "%s\n", e.text);
    assert(good || (says && strstr(e.text, says) && strstr(e.text, "test_checkpoint")));
    checkpoint_close(&c);
    return good;
}

// Writes the tensors of a model into two files of which the second has the layers.
static void write_shards(const Model *whole) {
    Model parts[2] = {{.header_bytes = 1, .header = "{"}, {.header_bytes = 1, .header = "{"}};
    char index[20000] = "{`metadata`: {}, `weight_map`: {", *at = index + strlen(index);
    Json json;
    Error e;
    assert(json_parse(&json, "x", whole->header, whole->header_bytes, &e));
    const JsonNode *name = json_first(json.nodes);
    for (uint32_t i = 0; i < json.nodes->count; i++, name = json_next(name + 1)) {
        const JsonNode *rows = json_first(json_get(name + 1, "shape"));
        int part = strstr(name->text, "layers") != NULL;
        add(&parts[part], name->text, "F32", 4, rows->integer,
            json_get(name + 1, "shape")->count > 1 ? json_next(rows)->integer : 0);
        at += sprintf(at, "%s`%s`: `part-%d.safetensors`", i ? ", " : "", name->text, part);
    }
    strcpy(at, "}}");
    json_free(&json);
    for (int part = 0; part < 2; part++) {
        strcpy(parts[part].header + parts[part].header_bytes++, "}");
        while (parts[part].header_bytes % 8 != 0) parts[part].header[parts[part].header_bytes++] = ' ';
        quoted(parts[part].header, parts[part].header);
        Damaged f = file_of(&parts[part]);
        write_file(part ? "part-1.safetensors" : "part-0.safetensors", f.data, f.bytes);
        free(f.data);
    }
    write_text("model.safetensors.index.json", index);
}

// The index of a folder in parts, damaged: a fault, or the same model.
static void damage_index(void) {
    static char text[20000];
    FILE *file = fopen(in_folder("model.safetensors.index.json"), "rb");
    assert(file);
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    for (uint64_t seed = 0; seed < 400; seed++) {
        Rng rng = rng_seed(seed);
        Damaged d = fuzz(text, bytes, &rng);
        write_file("model.safetensors.index.json", d.data, d.bytes);
        Checkpoint c;
        Error e = {""};
        if (checkpoint_open(&c, folder, &e))
            use(&c), assert(c.count == 20);
        else
            assert(strstr(e.text, "test_checkpoint") && !strchr(e.text, '\n'));
        checkpoint_close(&c);
        free(d.data);
    }
}

static void test_folders(void) {
    Checkpoint c;
    Error e;
    assert(mkdtemp(folder));
    assert(!opens("config.json cannot be read"));
    Model m = new_model(&KINDS[0]);
    Damaged f = file_of(&m);
    write_text("config.json", m.config);
    assert(!opens("model.safetensors cannot be read"));
    write_file("model.safetensors", f.data, f.bytes);
    assert(opens(NULL));
    write_text("generation_config.json", "{`eos_token_id`: 7}");
    assert(checkpoint_open(&c, folder, &e) && c.config.eos_count == 1 && c.config.eos[0] == 7);
    checkpoint_close(&c);
    write_text("generation_config.json", "{`eos_token_id`: 12}");
    assert(!opens("generation_config.json"));
    unlink(in_folder("generation_config.json"));
    write_text("config.json", "{}");
    assert(!opens("model_type"));
    write_text("config.json", "");
    assert(!opens("config.json is damaged"));
    write_text("config.json", m.config);
    write_text("model.safetensors", "");
    assert(!opens("model.safetensors is no safetensors file"));

    unlink(in_folder("model.safetensors"));
    write_shards(&m);
    assert(opens(NULL));
    damage_index();
    write_text("model.safetensors.index.json", "{`weight_map`: {`model.norm.weight`: `part-1.safetensors`}}");
    assert(!opens("is not in part-1.safetensors"));
    write_text("model.safetensors.index.json", "{`weight_map`: {`model.norm.weight`: `part-0.safetensors`}}");
    assert(!opens("lack model.layers.0"));
    static const char *const outside[] = {"../part-0.safetensors",  "/etc/passwd", "..", ".", "",
                                          "a/../part-0.safetensors"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        char text[200];
        snprintf(text, sizeof text, "{`weight_map`: {`model.norm.weight`: `%s`}}", outside[i]);
        write_text("model.safetensors.index.json", text);
        assert(!opens("outside the folder"));
    }
    write_text("model.safetensors.index.json", "{`weight_map`: {`a`: `part-0.safetensors\\u0000`}}");
    assert(!opens("no proper file name"));
    write_text("model.safetensors.index.json", "{`weight_map`: []}");
    assert(!opens("no weight_map"));
    write_text("model.safetensors.index.json", "{`weight_map`: {`a`: `part-7.safetensors`}}");
    assert(!opens("part-7.safetensors cannot be read"));
    write_file("part-1.safetensors", f.data, f.bytes);
    write_text("model.safetensors.index.json",
               "{`weight_map`: {`a`: `part-0.safetensors`, `b`: `part-1.safetensors`}}");
    assert(!opens("in two of its files"));

    static const char *const files[] = {"config.json", "part-0.safetensors", "part-1.safetensors",
                                        "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) assert(unlink(in_folder(files[i])) == 0);
    assert(rmdir(folder) == 0);
    assert(!checkpoint_open(&c, folder, &e) && strstr(e.text, "there is no model folder"));
    assert(!checkpoint_open(&c, "/etc/passwd", &e) && strstr(e.text, "there is no model folder"));
    char name[5000];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert(!checkpoint_open(&c, name, &e));
    free(f.data);
}

int main(int argc, char **argv) {
    if (argc > 1) return !damage_once(strtoull(argv[1], NULL, 10));  // one case again, by its seed
    test_kinds();
    test_faults();
    test_rope();
    test_shorter_and_longer();
    test_folders();
    test_damage();
    return 0;
}
