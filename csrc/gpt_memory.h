// The memory of gpt.h: sizes checked, one block for parameters and what belongs to them, one for activations.

#ifndef GPT_MEMORY_H
#define GPT_MEMORY_H

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { GPT_PAGE = 2 << 20, GPT_LINE = 16 };  // bytes of a large page, numbers of a line of the cache

static inline int64_t in_lines(int64_t n) { return (n + GPT_LINE - 1) / GPT_LINE * GPT_LINE; }

// From one layer's activations to the next, at whole lines.
static inline int64_t gpt_step(const Gpt *g) { return in_lines(g->B * g->T * g->config.width); }

// Zeros, in large pages where the system has them: a processor finds an address page by page.
static inline float *gpt_pages(int64_t numbers) {
    size_t bytes = ((size_t)numbers * sizeof(float) + GPT_PAGE - 1) / GPT_PAGE * GPT_PAGE;
    float *memory = aligned_alloc(GPT_PAGE, bytes);
    if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: without it all works
#endif
    memset(memory, 0, bytes);
    return memory;
}

static inline void gpt_free(Gpt *g) {
    free(g->tensors), free(g->memory), free(g->activations), free(g->inputs);
    *g = (Gpt){0};
}

static inline bool gpt_check(GptConfig c, int64_t B, int64_t T, int rung, int threads, Error *e) {
    const int64_t most = 1 << 30;
    bool sizes = c.vocab > 0 && c.context > 0 && c.width > 0 && c.layers > 0 && c.heads > 0 && c.vocab < most;
    if (!sizes || c.context >= most || c.width >= most || c.layers >= most)
        return fault(e, "vocabulary, context, width, layers and heads must be whole numbers from 1 on");
    if (c.width % c.heads) return fault(e, "a width of %lld cannot be shared by %lld heads; choose a multiple",
                                        (long long)c.width, (long long)c.heads);
    if (!(c.eps >= 0 && c.eps < 1)) return fault(e, "the norms' eps must be from 0 to 1");
    if (B < 1 || T < 1 || B >= most) return fault(e, "a batch must have at least one sequence of one token");
    if (T > c.context) return fault(e, "%lld tokens are more than the context of %lld", (long long)T,
                                    (long long)c.context);
    if (rung < 0 || rung > GPT_RUNGS) return fault(e, "there is no rung %d; they are 1 to %d", rung, GPT_RUNGS);
    if (threads < 1 || threads > 1024) return fault(e, "%d threads: choose 1 to 1024", threads);
    return true;
}

static inline void gpt_add_tensor(Gpt *g, const char *name, int64_t rows, int64_t columns) {
    GptTensor *t = &g->tensors[g->tensor_count++];
    snprintf(t->name, sizeof t->name, "transformer.%s", name);
    t->dimensions = columns ? 2 : 1, t->shape[0] = rows, t->shape[1] = columns ? columns : 1, t->decay = columns > 0;
    if (g->data) t->data = g->data + g->numbers, t->grad = g->grad + g->numbers;
    g->parameters += rows * t->shape[1], g->numbers += in_lines(rows * t->shape[1]);
}

// Names and shapes in the order of transformer/gpt2.py; where g->data is NULL, only to count.
static inline void gpt_list_tensors(Gpt *g) {
    static const struct { const char *name; int in, out; } parts[PER_BLOCK] = {
        {"ln_1.weight", 1, 0}, {"ln_1.bias", 1, 0}, {"attn.c_attn.weight", 1, 3}, {"attn.c_attn.bias", 3, 0},
        {"attn.c_proj.weight", 1, 1}, {"attn.c_proj.bias", 1, 0}, {"ln_2.weight", 1, 0}, {"ln_2.bias", 1, 0},
        {"mlp.c_fc.weight", 1, 4}, {"mlp.c_fc.bias", 4, 0}, {"mlp.c_proj.weight", 4, 1}, {"mlp.c_proj.bias", 1, 0},
    };
    int64_t C = g->config.width;
    g->tensor_count = g->parameters = g->numbers = 0;
    gpt_add_tensor(g, "wte.weight", g->config.vocab, C);
    gpt_add_tensor(g, "wpe.weight", g->config.context, C);
    for (int64_t l = 0; l < g->config.layers; l++)
        for (int i = 0; i < PER_BLOCK; i++) {
            char name[48];
            snprintf(name, sizeof name, "h.%lld.%s", (long long)l, parts[i].name);
            gpt_add_tensor(g, name, parts[i].in * C, parts[i].out * C);
        }
    gpt_add_tensor(g, "ln_f.weight", C, 0);
    gpt_add_tensor(g, "ln_f.bias", C, 0);
}

static inline int64_t gpt_work(const Gpt *g);  // gpt_rungs.h: how many numbers a rung needs besides
static inline int64_t gpt_logits_room(const Gpt *g);

// Shares the block of activations out; without a block (NULL) it only counts. Returns how many numbers it has.
static inline int64_t gpt_share_out(Gpt *g, float *block) {
    int64_t M = g->B * g->T, C = g->config.width, L = g->config.layers, step = gpt_step(g), total = 0;
    struct { float **part; int64_t numbers; } parts[] = {
        {&g->x, (2 * L + 1) * step}, {&g->h, (2 * L + 1) * step}, {&g->stats, (2 * L + 1) * M * 2},
        {&g->qkv, L * 3 * step}, {&g->a, L * step}, {&g->lse, L * M * g->config.heads}, {&g->up, L * 4 * step},
        {&g->act, L * 4 * step}, {&g->logits, gpt_logits_room(g)}, {&g->dx, M * C}, {&g->dh, M * C},
        {&g->wide, M * 4 * C}, {&g->work, gpt_work(g)},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; total += in_lines(parts[i++].numbers))
        if (block) *parts[i].part = block + total;
    return total;
}

// Room for a model and batches up to (B, T), all of it zeros. rung 0: the fastest. Where it returns false, e has a
// line, and there is nothing to free.
static inline bool gpt_new(Gpt *g, GptConfig config, int64_t B, int64_t T, int rung, int threads, Error *e) {
    *g = (Gpt){0};
    if (!gpt_check(config, B, T, rung, threads, e)) return false;
    double C = (double)config.width, L = (double)config.layers, V = (double)config.vocab, M = (double)B * (double)T;
    double all = 4 * (C * (V + (double)config.context) + 12 * L * C * C) + M * (2 * V + (17 * L + 20) * C);
    if (!(all < 1e12)) return fault(e, "a model and a batch of %.1e numbers are too large", all);
    g->config = config, g->B = B, g->T = T, g->threads = threads, g->rung = rung ? rung : GPT_RUNGS;
    g->path = gpt_paths() - 1, g->grad_scale = 1;
    g->tensors = calloc((size_t)(FIRST_BLOCK + PER_BLOCK * config.layers + 2), sizeof *g->tensors);
    g->inputs = calloc((size_t)(2 * B * T), sizeof *g->inputs);
    if (g->tensors) gpt_list_tensors(g);
    int64_t activations = gpt_share_out(g, NULL);
    double megabytes = ((double)activations + 4 * (double)g->numbers) * 4e-6;
    if (g->tensors) g->memory = gpt_pages(4 * g->numbers);
    if (g->memory) g->activations = gpt_pages(activations);
    if (!g->tensors || !g->inputs || !g->memory || !g->activations) {
        gpt_free(g);
        return fault(e, "there is not enough memory: the model and a batch need %.0f MB", megabytes);
    }
    g->data = g->memory, g->grad = g->data + g->numbers, g->m = g->grad + g->numbers, g->v = g->m + g->numbers;
    g->targets = g->inputs + B * T;
    gpt_list_tensors(g);
    gpt_share_out(g, g->activations);
    return true;
}

// Matrices from a normal of deviation 0.02, those that add to the stream of 0.02 / sqrt(2 L); norms 1, biases 0.
static inline void gpt_initialize(Gpt *g, Rng *rng) {
    for (int64_t i = 0; i < g->tensor_count; i++) {
        GptTensor *t = &g->tensors[i];
        bool adds = strstr(t->name, "c_proj.weight"), norm = t->dimensions == 1 && strstr(t->name, ".weight");
        double deviation = adds ? 0.02 / sqrt(2 * (double)g->config.layers) : t->dimensions == 2 ? 0.02 : 0;
        for (int64_t n = 0; n < t->shape[0] * t->shape[1]; n++)
            t->data[n] = norm ? 1 : deviation > 0 ? (float)(deviation * rng_normal(rng)) : 0;
    }
}

#endif
