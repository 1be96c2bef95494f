// Tests of engine.c: logits against the formulas in double, on every path; blocks, slots, threads and company that
// change no bit; the sampler against one that sorts everything; text in pieces; what is refused.

#define _GNU_SOURCE  // for linear.h: large pages

#include "engine.c"

#include <unistd.h>

#include "stream.h"

#undef NDEBUG  // the assertions are the test
#include <assert.h>

// --- a small random model, as a folder and as numbers --------------------------------------------------------------

typedef struct {
    int64_t V, C, F, layers, H, K, D, context;
    bool tied, biases;
    int rope;  // ROPE_NONE, ROPE_LINEAR or ROPE_LLAMA3
} Shape;

typedef struct {
    char name[96];
    int64_t rows, columns;  // columns 0: a vector
    float *numbers;
} Tensor;

typedef struct {
    Shape s;
    Tensor tensors[64];
    int count;
    char folder[64];
} Small;

static void add_tensor(Small *m, Rng *rng, const char *name, int64_t rows, int64_t columns, double mean, double size) {
    Tensor *t = &m->tensors[m->count++];
    assert(m->count <= 64);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rows = rows, t->columns = columns;
    int64_t n = rows * (columns ? columns : 1);
    t->numbers = malloc((size_t)n * sizeof(float));
    assert(t->numbers);
    for (int64_t i = 0; i < n; i++) t->numbers[i] = (float)(mean + size * rng_normal(rng));
}

static const float *numbers_of(const Small *m, const char *format, int64_t layer) {
    char name[96];
    snprintf(name, sizeof name, format, (int)layer);
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->tensors[i].name, name) == 0) return m->tensors[i].numbers;
    return NULL;
}

static FILE *open_in(const Small *m, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", m->folder, name);
    FILE *file = fopen(path, "wb");
    assert(file);
    return file;
}

static void write_config(const Small *m) {
    const Shape *s = &m->s;
    FILE *file = open_in(m, "config.json");
    fprintf(file, "{\"model_type\": \"llama\", \"vocab_size\": %d, \"hidden_size\": %d, \"intermediate_size\": %d, ",
            (int)s->V, (int)s->C, (int)s->F);
    fprintf(file, "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"num_key_value_heads\": %d, ",
            (int)s->layers, (int)s->H, (int)s->K);
    fprintf(file, "\"head_dim\": %d, \"max_position_embeddings\": %d, \"rope_theta\": 100.0, ", (int)s->D,
            (int)s->context);
    fprintf(file, "\"tie_word_embeddings\": %s, \"attention_bias\": %s, \"mlp_bias\": %s, \"rms_norm_eps\": 1e-5",
            s->tied ? "true" : "false", s->biases ? "true" : "false", s->biases ? "true" : "false");
    if (s->rope == ROPE_LINEAR) fprintf(file, ", \"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 2.0}");
    if (s->rope == ROPE_LLAMA3)
        fprintf(file, ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 4.0, \"low_freq_factor\": 1.0, "
                      "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 32}");
    fprintf(file, "}\n");
    fclose(file);
}

static void write_weights(const Small *m) {
    char header[16384];
    int at = sprintf(header, "{");
    size_t offset = 0;
    for (int i = 0; i < m->count; i++) {
        const Tensor *t = &m->tensors[i];
        size_t bytes = (size_t)(t->rows * (t->columns ? t->columns : 1)) * 4;
        at += sprintf(header + at, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%d", i ? "," : "", t->name, (int)t->rows);
        if (t->columns) at += sprintf(header + at, ",%d", (int)t->columns);
        at += sprintf(header + at, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes);
        offset += bytes;
    }
    at += sprintf(header + at, "}");
    while (at % 8) header[at++] = ' ';
    uint64_t length = (uint64_t)at;
    FILE *file = open_in(m, "model.safetensors");
    fwrite(&length, 8, 1, file);
    fwrite(header, 1, (size_t)at, file);
    for (int i = 0; i < m->count; i++) {
        const Tensor *t = &m->tensors[i];
        fwrite(t->numbers, 4, (size_t)(t->rows * (t->columns ? t->columns : 1)), file);
    }
    fclose(file);
}

// A tokenizer of the 256 bytes and two special tokens.
static void write_tokenizer(const Small *m) {
    FILE *file = open_in(m, "tokenizer.json");
    fprintf(file, "{\"version\": \"1.0\", \"normalizer\": null, \"added_tokens\": [");
    const char *specials[] = {"<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"};
    for (int i = 0; i < 4; i++)
        fprintf(file, "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"single_word\": false, "
                      "\"lstrip\": false, \"rstrip\": false, \"normalized\": false}",
                i ? ", " : "", 256 + i, specials[i]);
    fprintf(file, "], \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}, "
                  "\"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", "
                  "\"merges\": [], \"vocab\": {");
    for (int byte = 0, other = 0; byte < 256; byte++) {
        bool shown = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
        char letter[8] = {0};
        utf8_write((uint32_t)(shown ? byte : 256 + other++), letter);
        bool escaped = byte == '"' || byte == '\\';
        fprintf(file, "%s\"%s%s\": %d", byte ? ", " : "", escaped ? "\\" : "", letter, byte);
    }
    fprintf(file, "}}}\n");
    fclose(file);
}

static Small *new_small(Shape s, uint64_t seed) {
    static const char *matrices[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                     "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"};
    Small *m = calloc(1, sizeof *m);
    assert(m);
    m->s = s;
    Rng rng = rng_seed(seed);
    int64_t rows[] = {s.H * s.D, s.K * s.D, s.K * s.D, s.C, s.F, s.F, s.C};
    int64_t columns[] = {s.C, s.C, s.C, s.H * s.D, s.C, s.C, s.F};
    add_tensor(m, &rng, "model.embed_tokens.weight", s.V, s.C, 0, 1);
    if (!s.tied) add_tensor(m, &rng, "lm_head.weight", s.V, s.C, 0, 1);
    add_tensor(m, &rng, "model.norm.weight", s.C, 0, 1, 0.2);
    for (int64_t layer = 0; layer < s.layers; layer++) {
        char name[96];
        for (int i = 0; i < 7; i++) {
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)layer, matrices[i]);
            add_tensor(m, &rng, name, rows[i], columns[i], 0, 1.5 / sqrt((double)columns[i]));
            snprintf(name, sizeof name, "model.layers.%d.%s.bias", (int)layer, matrices[i]);
            if (s.biases) add_tensor(m, &rng, name, rows[i], 0, 0, 0.3);
        }
        snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", (int)layer);
        add_tensor(m, &rng, name, s.C, 0, 1, 0.2);
        snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", (int)layer);
        add_tensor(m, &rng, name, s.C, 0, 1, 0.2);
    }
    strcpy(m->folder, "/tmp/test_engine_XXXXXX");
    assert(mkdtemp(m->folder));
    write_config(m), write_weights(m), write_tokenizer(m);
    return m;
}

static void free_small(Small *m) {
    static const char *names[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", m->folder, names[i]);
        remove(path);
    }
    rmdir(m->folder);
    for (int i = 0; i < m->count; i++) free(m->tensors[i].numbers);
    free(m);
}

// --- the forward pass by the formulas, in double -------------------------------------------------------------------

static void times(const Small *m, const char *name, int64_t layer, const double *x, int64_t rows, int64_t columns,
                  double *y) {
    char weight[96], bias[96];
    snprintf(weight, sizeof weight, "model.layers.%%d.%s.weight", name);
    snprintf(bias, sizeof bias, "model.layers.%%d.%s.bias", name);
    const float *w = numbers_of(m, weight, layer), *b = numbers_of(m, bias, layer);
    for (int64_t r = 0; r < rows; r++) {
        y[r] = b ? (double)b[r] : 0;
        for (int64_t c = 0; c < columns; c++) y[r] += (double)w[r * columns + c] * x[c];
    }
}

static void norm_double(const double *x, const float *weight, int64_t n, double *y) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    for (int64_t i = 0; i < n; i++) y[i] = x[i] / sqrt(sum / (double)n + 1e-5) * (double)weight[i];
}

static void rotate_double(const Shape *s, double *x, int64_t position) {
    for (int64_t i = 0; i < s->D / 2; i++) {
        double f = pow(100, -2.0 * (double)i / (double)s->D), wave = 6.283185307179586 / f;
        double mix = (32 / wave - 1) / 3;
        if (s->rope == ROPE_LINEAR) f /= 2;
        if (s->rope == ROPE_LLAMA3) f = wave > 32 ? f / 4 : wave < 8 ? f : (1 - mix) * f / 4 + mix * f;
        double a = x[i], b = x[i + s->D / 2], angle = (double)position * f;
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + s->D / 2] = b * cos(angle) + a * sin(angle);
    }
}

// One layer for all T tokens, x (T, C); every array is on the heap and large enough.
static void layer_double(const Small *m, int64_t layer, int64_t T, double *x, double *room) {
    const Shape *s = &m->s;
    int64_t Q = s->H * s->D, KV = s->K * s->D;
    double *h = room, *q = h + s->C, *k = q + Q, *v = k + T * KV, *y = v + T * KV, *p = y + Q, *gate = p + T;
    double *up = gate + s->F;
    for (int64_t t = 0; t < T; t++) {  // all earlier tokens' keys and values are there already
        norm_double(x + t * s->C, numbers_of(m, "model.layers.%d.input_layernorm.weight", layer), s->C, h);
        times(m, "self_attn.q_proj", layer, h, Q, s->C, q);
        times(m, "self_attn.k_proj", layer, h, KV, s->C, k + t * KV);
        times(m, "self_attn.v_proj", layer, h, KV, s->C, v + t * KV);
        for (int64_t g = 0; g < s->K; g++) rotate_double(s, k + t * KV + g * s->D, t);
        for (int64_t head = 0; head < s->H; head++) {
            int64_t g = head / (s->H / s->K);
            double total = 0;
            rotate_double(s, q + head * s->D, t);
            for (int64_t j = 0; j <= t; j++) {
                double score = 0;
                for (int64_t d = 0; d < s->D; d++) score += q[head * s->D + d] * k[j * KV + g * s->D + d];
                total += p[j] = exp(score / sqrt((double)s->D));
            }
            for (int64_t d = 0; d < s->D; d++) {
                y[head * s->D + d] = 0;
                for (int64_t j = 0; j <= t; j++) y[head * s->D + d] += p[j] / total * v[j * KV + g * s->D + d];
            }
        }
        times(m, "self_attn.o_proj", layer, y, s->C, Q, h);
        for (int64_t i = 0; i < s->C; i++) x[t * s->C + i] += h[i];
        norm_double(x + t * s->C, numbers_of(m, "model.layers.%d.post_attention_layernorm.weight", layer), s->C, h);
        times(m, "mlp.gate_proj", layer, h, s->F, s->C, gate);
        times(m, "mlp.up_proj", layer, h, s->F, s->C, up);
        for (int64_t i = 0; i < s->F; i++) gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
        times(m, "mlp.down_proj", layer, gate, s->C, s->F, h);
        for (int64_t i = 0; i < s->C; i++) x[t * s->C + i] += h[i];
    }
}

static double *logits_double(const Small *m, const int32_t *ids, int64_t T) {
    const Shape *s = &m->s;
    int64_t most = 2 * T * s->K * s->D + 2 * s->H * s->D + s->C + T + 2 * s->F;
    double *x = malloc((size_t)(T * s->C) * 8), *room = malloc((size_t)most * 8), *y = malloc((size_t)(T * s->V) * 8);
    assert(x && room && y);
    const float *table = numbers_of(m, "model.embed_tokens.weight", 0);
    const float *head = s->tied ? table : numbers_of(m, "lm_head.weight", 0);
    for (int64_t i = 0; i < T * s->C; i++) x[i] = (double)table[ids[i / s->C] * s->C + i % s->C];
    for (int64_t layer = 0; layer < s->layers; layer++) layer_double(m, layer, T, x, room);
    for (int64_t t = 0; t < T; t++) {
        norm_double(x + t * s->C, numbers_of(m, "model.norm.weight", 0), s->C, room);
        for (int64_t v = 0; v < s->V; v++) {
            y[t * s->V + v] = 0;
            for (int64_t c = 0; c < s->C; c++) y[t * s->V + v] += (double)head[v * s->C + c] * room[c];
        }
    }
    free(x), free(room);
    return y;
}

// --- logits --------------------------------------------------------------------------------------------------------

static char error_text[512];

static Generator *opened(const Small *m, int64_t slots, int64_t block, int64_t threads, int64_t path, int64_t bits) {
    EngineOptions o = {.slots = slots, .block = block, .threads = threads, .bits = bits, .group = 32, .path = path};
    Generator *g = engine_open(m->folder, &o, error_text);
    if (!g) fprintf(stderr, "%s\n", error_text);
    assert(g);
    return g;
}

static void random_ids(Rng *rng, int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)rng_below(rng, 256);
}

enum { T = 45 };

static void test_logits(Shape s, uint64_t seed) {
    Small *m = new_small(s, seed);
    Rng rng = rng_seed(seed);
    int32_t ids[T];
    float *logits = malloc((size_t)(T * s.V) * 4), *again = malloc((size_t)(T * s.V) * 4);
    random_ids(&rng, ids, T);
    double *right = logits_double(m, ids, T);
    for (int path = 0; path < PATHS; path++) {
        if (!(engine_paths() >> path & 1)) continue;
        for (int way = 0; way < 4; way++) {  // all at once, by sevens, one after another, with threads
            Generator *g = opened(m, 2, way == 1 ? 7 : way == 2 ? 2 : 64, way == 3 ? 3 : 1, path, 0);
            float *to = way ? again : logits;
            for (int64_t t = 0, n; t < T; t += n) {
                n = way == 2 ? 1 : T;
                assert(engine_logits(g, 1, ids + t, n, t == 0, false, to + t * s.V, error_text));
            }
            if (way) assert(memcmp(logits, again, (size_t)(T * s.V) * 4) == 0);  // not a bit differs
            engine_close(g);
        }
        for (int64_t i = 0; i < T * s.V; i++) assert(fabs((double)logits[i] - right[i]) <= 2e-4);
    }
    free(logits), free(again), free(right);
    free_small(m);
}

// Steps of several slots that begin at different times, against each sequence alone.
static void test_company(const Small *m, int64_t threads, int64_t bits) {
    enum { SLOTS = 5, STEPS = 24 };
    Sampling sampling = {0.9, 0, 0.95, 0, 1.1};
    int32_t alone[SLOTS][STEPS], prompt[SLOTS][40], tokens[SLOTS];
    int64_t length[SLOTS] = {3, 40, 1, 17, 16}, slots[SLOTS];
    Rng rng = rng_seed(5);
    Generator *one = opened(m, 1, 128, 1, -1, bits), *all = opened(m, SLOTS, 16, threads, -1, bits);
    for (int i = 0; i < SLOTS; i++) {
        random_ids(&rng, prompt[i], length[i]);
        assert(engine_begin(one, 0, prompt[i], length[i], &sampling, (uint64_t)i, error_text));
        for (int t = 0; t < STEPS; t++) assert(engine_step(one, &(int64_t){0}, 1, &alone[i][t], error_text));
    }
    for (int round = 0; round < 2; round++) {  // in the second, slots hold what others left
        int done[SLOTS] = {0};
        for (int step = 0; step < STEPS + SLOTS; step++) {
            int64_t n = 0;
            for (int i = 0; i < SLOTS; i++) {
                int64_t slot = (i + round) % SLOTS;
                if (step == i)
                    assert(engine_begin(all, slot, prompt[i], length[i], &sampling, (uint64_t)i, error_text));
                if (step >= i && done[i] < STEPS) slots[n++] = slot;
            }
            if (n == 0) continue;
            assert(engine_step(all, slots, n, tokens, error_text));
            for (int64_t k = 0; k < n; k++) {
                int i = (int)((slots[k] - round + SLOTS) % SLOTS);
                assert(tokens[k] == alone[i][done[i]++]);
            }
        }
    }
    engine_close(one), engine_close(all);
}

static void test_refusals(const Small *m) {
    Generator *g = opened(m, 2, 8, 1, -1, 0);
    Sampling fine = {1, 0, 1, 0, 1}, wrong = {1, 0, 0, 0, 1};
    int32_t ids[200] = {1, 2, 3}, tokens[2];
    assert(engine_begin(g, 0, ids, 3, &fine, 1, error_text));
    assert(!engine_begin(g, 2, ids, 3, &fine, 1, error_text) && strstr(error_text, "no slot 2"));
    assert(!engine_begin(g, 1, ids, 3, &wrong, 1, error_text) && strstr(error_text, "top-p"));
    assert(!engine_begin(g, 1, ids, 0, &fine, 1, error_text) && strstr(error_text, "no tokens"));
    assert(!engine_begin(g, 1, ids, m->s.context + 1, &fine, 1, error_text) && strstr(error_text, "shorten"));
    assert(!engine_begin(g, 1, &(int32_t){-1}, 1, &fine, 1, error_text) && strstr(error_text, "not in 0 to"));
    assert(!engine_step(g, (int64_t[]){0, 0}, 2, tokens, error_text) && strstr(error_text, "twice"));
    assert(!engine_step(g, (int64_t[]){0, 1}, 2, tokens, error_text) && strstr(error_text, "slot 1"));
    assert(!engine_step(g, (int64_t[]){0, 7}, 2, tokens, error_text) && strstr(error_text, "no slot 7"));
    assert(engine_begin(g, 1, ids, m->s.context, &fine, 1, error_text));  // a full context gives one more token
    assert(engine_step(g, (int64_t[]){0, 1}, 2, tokens, error_text));
    assert(!engine_step(g, (int64_t[]){1}, 1, tokens, error_text) && strstr(error_text, "full"));
    EngineOptions o = {.slots = 0, .block = 8, .threads = 1, .path = -1};
    assert(!engine_open(m->folder, &o, error_text) && strstr(error_text, "slots"));
    o.slots = 1, o.path = 7;
    assert(!engine_open(m->folder, &o, error_text) && strstr(error_text, "no path"));
    o.path = -1;
    assert(!engine_open("/tmp/no such folder", &o, error_text) && strlen(error_text) > 10);
    engine_close(g), engine_close(NULL);
}

// --- the sampler ---------------------------------------------------------------------------------------------------

typedef struct {
    float logit;
    int32_t id;
} Plain;

static int by_logit(const void *a, const void *b) {
    const Plain *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit) - (x->logit > y->logit) : (x->id > y->id) - (x->id < y->id);
}

// The same choice by sorting everything, with the exponential of libm.
static int32_t sample_plain(const float *logits, int64_t V, const Sampling *s, Rng *rng, const int32_t *history,
                            int64_t length) {
    Plain *list = malloc((size_t)V * sizeof *list);
    double *p = malloc((size_t)V * sizeof *p), sum = 0, total = 0, up_to = 0;
    assert(list && p);
    for (int32_t i = 0; i < V; i++) list[i] = (Plain){logits[i], i};
    for (int64_t i = 0; i < length && s->repetition_penalty != 1; i++) {
        float x = logits[history[i]], penalty = (float)s->repetition_penalty;
        list[history[i]].logit = x > 0 ? x / penalty : x * penalty;
    }
    qsort(list, (size_t)V, sizeof *list, by_logit);
    int64_t n = s->top_k && s->top_k < V ? s->top_k : V;
    for (int64_t i = 0; i < V; i++) p[i] = exp((double)(list[i].logit - list[0].logit) / s->temperature);
    for (int64_t i = 0; i < n; i++) total += p[i];
    if (s->top_p < 1) {
        int64_t enough = 0;
        while (enough < n && (sum += p[enough]) < s->top_p * total) enough++;
        n = enough + 1 < n ? enough + 1 : n;
    }
    while (s->min_p > 0 && n > 1 && p[n - 1] < s->min_p) n--;
    sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i];
    double drawn = rng_uniform(rng) * sum;
    int64_t index = 0;
    while (index < n - 1 && (up_to += p[index]) <= drawn) index++;
    int32_t id = s->temperature == 0 ? list[0].id : list[index].id;
    free(list), free(p);
    return id;
}

static void test_sampling(Rng *rng) {
    const double temperatures[] = {0.01, 0.3, 0.8, 1, 3, 10}, sizes[] = {0, 0.01, 1, 5, 40};
    enum { MOST = 3000 };
    float *logits = malloc(MOST * sizeof *logits);
    for (int trial = 0; trial < 600; trial++) {
        int64_t V = 1 + rng_below(rng, trial % 4 ? 300 : MOST), length = trial % 3 ? rng_below(rng, 20) : 0;
        double size = sizes[rng_below(rng, 5)], coarse = trial % 5 ? 0 : 2;  // coarse: many equal logits
        int32_t history[20], tokens[20];
        for (int64_t i = 0; i < V; i++) {
            logits[i] = (float)(size * rng_normal(rng));
            if (coarse > 0) logits[i] = (float)(round((double)logits[i] * coarse) / coarse);
            if (trial % 7 == 0 && i > 0 && rng_below(rng, 3) == 0) logits[i] = -INFINITY;
        }
        for (int i = 0; i < 20; i++) history[i] = (int32_t)rng_below(rng, (uint32_t)V);
        Sampling s = {temperatures[rng_below(rng, 6)], rng_below(rng, 2) ? rng_below(rng, 60) : 0,
                      rng_below(rng, 2) ? 0.01 + 0.99 * rng_uniform(rng) : 1,
                      rng_below(rng, 2) ? rng_uniform(rng) * rng_uniform(rng) : 0,
                      trial % 2 ? 0.5 + 2 * rng_uniform(rng) : 1};
        Rng one = rng_seed((uint64_t)trial);
        assert(engine_sample(logits, V, &s, (uint64_t)trial, history, length, 20, tokens));
        for (int i = 0; i < 20; i++) assert(tokens[i] == sample_plain(logits, V, &s, &one, history, length));
    }
    Sampling s = {0, 0, 1, 0, 1};
    int32_t token;
    for (int64_t V = 1; V < 200; V++) {  // the highest, the first of equals, and what is not finite, at every place
        for (int64_t i = 0; i < V; i++) logits[i] = -1;
        int64_t at = rng_below(rng, (uint32_t)V), second = rng_below(rng, (uint32_t)V);
        logits[at] = logits[second] = 1;
        assert(engine_sample(logits, V, &s, 0, NULL, 0, 1, &token) && token == (at < second ? at : second));
        logits[at] = V % 2 ? NAN : INFINITY;
        assert(!engine_sample(logits, V, &s, 0, NULL, 0, 1, &token));
    }
    free(logits);
}

// --- text in pieces ------------------------------------------------------------------------------------------------

// Bytes cut into random tokens give the text that utf8_mend makes of them all, up to the first stop string.
static void test_stream(Rng *rng) {
    const char *stops[] = {"abb", "ba", "\xC3\xA9" "b", "bbbb"};
    for (int trial = 0; trial < 3000; trial++) {
        char bytes[60];
        size_t n = rng_below(rng, 60), at = 0;
        static const char some[] = "aab\xC3\xA9\xF0\x9F\x90\x89\xE2\x82\xAC\xFF\x80";
        for (size_t i = 0; i < n; i++) bytes[i] = some[rng_below(rng, sizeof some - 1)];
        Stream s = {.stops = stops, .stop_count = (size_t)(trial % 5)};
        Text out = {0}, whole = {0};
        bool stopped = false;
        while (at < n && !stopped) {
            size_t piece = 1 + rng_below(rng, 4);
            piece = piece < n - at ? piece : n - at;
            assert(stream_push(&s, bytes + at, piece, &out, &stopped));
            at += piece;
        }
        if (!stopped) assert(stream_end(&s, &out));
        size_t length;
        char *mended = utf8_mend(bytes, n, &length);
        assert(mended);
        Stream all = {.stops = stops, .stop_count = s.stop_count, .held = {mended, length, length}};
        bool cut = stream_cut(&all);
        assert(cut == stopped);  // a stop string that is complete is noticed, however it came
        assert(text_add(&whole, all.held.at, all.held.count));
        assert(out.count == whole.count && (out.count == 0 || memcmp(out.at, whole.at, out.count) == 0));
        free(out.at), free(whole.at), stream_free(&s), stream_free(&all);
    }
}

int main(void) {
    Rng rng = rng_seed(7);
    test_stream(&rng);
    test_sampling(&rng);
    Shape plain = {260, 64, 96, 2, 4, 4, 16, 128, true, false, ROPE_NONE};
    Shape grouped = {263, 40, 56, 2, 6, 2, 12, 128, false, true, ROPE_LLAMA3};
    Shape narrow = {260, 24, 33, 1, 3, 1, 40, 64, true, false, ROPE_LINEAR};
    test_logits(plain, 1), test_logits(grouped, 2), test_logits(narrow, 3);
    Shape wide = {260, 64, 96, 2, 4, 2, 32, 128, true, false, ROPE_NONE};
    Small *m = new_small(wide, 4);
    test_company(m, 1, 0), test_company(m, 3, 0), test_company(m, 1, 8), test_company(m, 2, 4);
    test_refusals(m);
    free_small(m);
    return 0;
}
