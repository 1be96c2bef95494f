// A GPT that learns to tell stories: transformer/gpt2.py's model, trained and asked without Python.
//
// gpt.h computes: forward, backward, AdamW. Here is what is around it: stories become a stream of tokens (how, is the
// next chapter's subject), windows of it are drawn, the learning rate rises and falls, gradients are clipped, and at
// the end the model is scored in bits per byte, tells a story, and lies in a folder that `transformers` opens.
// The same weights and batches in torch give the same losses: transformer/in_c.py runs both.
//
//     make -C csrc transformer
//     csrc/build/gpt --data datasets/stories --steps 200     half a minute on two cores
//     csrc/build/gpt --help
//
// As a library (csrc/build/gpt.so) it offers the model alone: the functions model_… below.
// Left out on purpose: a cache of keys and values (each new token runs the whole text through the model once more, as
// in transformer/sample.py), and gradients collected over several batches before a step.

#define _GNU_SOURCE  // for large pages; it has all of POSIX

#include <signal.h>

#include "cli.h"
#include "corpus.h"
#include "gpt.h"
#include "gpt2_folder.h"
#include "gpt_flags.h"
#include "rng.h"
#include "sampling.h"
#include "timing.h"
#include "training_state.h"

// --- the model, for the program below and for Python ---------------------------------------------------------------

// The first weights that the program below begins with, too.
void model_initialize(Gpt *g, uint64_t seed) {
    Rng rng = rng_seed(seed);
    gpt_initialize(g, &rng);
}

// A model for batches up to (B, T); NULL, with a line in `error` (512 bytes), where there is none.
Gpt *model_new(int64_t vocab, int64_t context, int64_t width, int64_t layers, int64_t heads, int64_t B, int64_t T,
               int rung, int threads, char *error) {
    Error e = {{0}};
    Gpt *g = calloc(1, sizeof *g);
    GptConfig config = {.vocab = vocab, .context = context, .width = width, .layers = layers, .heads = heads,
                        .eps = 1e-5f};
    bool good = g ? gpt_new(g, config, B, T, rung, threads, &e) : fault(&e, "not enough memory");
    memcpy(error, e.text, sizeof e.text);
    if (good) return g;
    free(g);
    return NULL;
}

void model_free(Gpt *g) {
    if (g) gpt_free(g);
    free(g);
}

// How many rungs the ladder has.
int model_rungs(void) { return GPT_RUNGS; }

// The name of tensor i, its shape (of one dimension: the second number is 0), its numbers and their gradients; NULL:
// there are no more.
const char *model_tensor(const Gpt *g, int64_t i, int64_t shape[2], float **data, float **grad) {
    if (i < 0 || i >= g->tensor_count) return NULL;
    const GptTensor *t = &g->tensors[i];
    shape[0] = t->shape[0], shape[1] = t->dimensions == 2 ? t->shape[1] : 0;
    *data = t->data, *grad = t->grad;
    return t->name;
}

double model_forward(Gpt *g, int64_t B, int64_t T, const int32_t *inputs, const int32_t *targets) {
    return gpt_forward(g, B, T, inputs, targets);
}

const float *model_logits(const Gpt *g) { return gpt_logits(g); }

// The gradients of the last forward, in place of those that were there.
void model_backward(Gpt *g) {
    gpt_zero_grad(g);
    gpt_backward(g);
}

double model_clip(Gpt *g, double most) { return gpt_clip(g, most); }

void model_adamw(Gpt *g, int64_t step, float lr, float beta1, float beta2, float eps, float weight_decay) {
    gpt_adamw(g, step, lr, beta1, beta2, eps, weight_decay);
}

// --- a run ---------------------------------------------------------------------------------------------------------

#define BETA1 0.9f
#define BETA2 0.95f
#define EPS 1e-8f
#define WEIGHT_DECAY 0.1f  // of matrices and tables
#define CLIP 1.0           // the largest norm of all gradients
#define PROMPT "Once upon a time"

typedef struct {
    GptFlags a;
    bool init;         // there is an --init, with
    GptConfig stored;  // these sizes
    Tokenizer tokenizer;
    int32_t end;  // the id of <|endoftext|>
    Corpus train, valid;
    Gpt g;
    int64_t B, T;  // windows in a batch, tokens in a window
    int32_t *inputs, *targets;
    Progress progress;
    Setting settings[10];
    char tokenizer_path[FOLDER_PATH], state_path[FOLDER_PATH];
} Run;

static volatile sig_atomic_t asked_to_stop = 0;  // what a signal may write to is global

static void ask_to_stop(int number) {
    (void)number;
    asked_to_stop = 1;
}

// The learning rate of a step, from 0: a linear rise over the first tenth of all steps (50 at most), the peak, and a
// linear fall to 0 over the last 60%.
static double learning_rate_at(int64_t step, int64_t steps, double peak) {
    double warmup = steps / 10 < 50 ? (double)(steps / 10) : 50.0, decay = floor(0.6 * (double)steps + 0.5);
    double rise = (double)(step + 1) / (warmup < 1 ? 1 : warmup);
    double fall = (double)(steps - step) / (decay < 1 ? 1 : decay);
    return peak * fmin(1.0, fmin(rise, fall));
}

// One step on the next batch. Returns the loss in nats; *norm: that of the gradients, before it is clipped.
static double train_step(Run *r, double *norm) {
    const int64_t step = r->progress.step;
    const double lr = learning_rate_at(step, (int64_t)r->a.steps, r->a.learning_rate);
    draw_batch(&r->train, &r->progress.rng, r->B, r->T, r->inputs, r->targets);
    double loss = gpt_forward(&r->g, r->B, r->T, r->inputs, r->targets);
    gpt_zero_grad(&r->g);
    gpt_backward(&r->g);
    *norm = gpt_clip(&r->g, CLIP);
    gpt_adamw(&r->g, step + 1, (float)lr, BETA1, BETA2, EPS, WEIGHT_DECAY);
    return loss;
}

static void save(const Run *r) {
    Error e;
    const size_t settings = sizeof r->settings / sizeof *r->settings;
    if (!state_write(&r->g, &r->progress, r->settings, settings, r->state_path, &e) ||
        !gpt2_write_folder(&r->g, r->a.out, r->tokenizer_path, r->end, &e))
        fail("%s", e.text);
}

// Steps until all are done, or a signal asks to stop; saves then, and every so often.
static void train(Run *r) {
    const GptFlags *a = &r->a;
    double since = seconds_now();
    int64_t counted = 0;
    while (r->progress.step < (int64_t)a->steps && !asked_to_stop) {
        double norm, lr = learning_rate_at(r->progress.step, (int64_t)a->steps, a->learning_rate);
        double loss = train_step(r, &norm);
        if (!isfinite(loss) || !isfinite(norm))
            fail("the loss at step %" PRId64 " is %g, its gradient's norm %g; try a smaller --learning-rate than %g; "
                 "what was saved last is as it was", r->progress.step + 1, loss, norm, a->learning_rate);
        uint64_t done = (uint64_t)++r->progress.step;
        counted += r->B * r->T;
        if (done == 1 || done % a->print_every == 0 || done == a->steps) {
            double now = seconds_now();
            printf("step %6" PRIu64 "   loss %.6f   norm %6.3f   lr %.2e   %9s tokens/s\n", done, loss, norm, lr,
                   commas((uint64_t)((double)counted / (now - since))).text);
            fflush(stdout);
            counted = 0, since = now;
        }
        if (done % a->save_every == 0 && done < a->steps) {
            double begin = seconds_now();
            save(r);
            since += seconds_now() - begin;  // writing is not training
        }
    }
    save(r);
}

// The course's number: the sum of -log2 p of every token and end mark, divided by the bytes of the stories.
static double bits_per_byte(Run *r, const Corpus *corpus) {
    size_t count;
    double nats = 0.0;
    Piece *pieces = corpus_pieces(corpus, r->T, &count);
    if (!pieces) fail("not enough memory to score the stories");
    for (size_t done = 0; done < count;) {
        const int64_t T = pieces[done].tokens;  // the longest of these rows
        int64_t rows = 0, counted = 0;
        memset(r->inputs, 0, (size_t)(r->B * T) * sizeof *r->inputs);
        memset(r->targets, -1, (size_t)(r->B * T) * sizeof *r->targets);
        for (; rows < r->B && done < count; rows++, done++) {
            const Piece *p = &pieces[done];
            const size_t scored = (size_t)(p->tokens - p->first);
            memcpy(r->inputs + rows * T, p->at, (size_t)p->tokens * sizeof *p->at);
            memcpy(r->targets + rows * T + p->first, p->at + p->first + 1, scored * sizeof *p->at);
            counted += (int64_t)scored;
        }
        nats += gpt_forward(&r->g, rows, T, r->inputs, r->targets) * (double)counted;
    }
    free(pieces);
    return nats / log(2.0) / (double)corpus->bytes;
}

// Prints the prompt and how it goes on, to the story's end or `tokens` further; the window slides where it is full.
static void tell(Run *r, uint64_t tokens) {
    const Sampling sampling = {r->a.temperature, 0, 0.95, 0.0, 1.0};  // top-p as in transformer/sample.py
    const int64_t V = r->g.config.vocab;
    Error e;
    Sampler sampler;
    Ids ids = {0};
    Text text = {0};
    Rng rng = rng_seed(r->a.seed);
    if (!sampler_open(&sampler, V) || !ids_add(&ids, r->end) || !text_add(&text, PROMPT, strlen(PROMPT)))
        fail("not enough memory for a story");
    if (!tokenizer_encode(&r->tokenizer, PROMPT, strlen(PROMPT), false, &ids, &e)) fail("%s", e.text);
    for (uint64_t n = 0; n < tokens; n++) {
        int64_t length = (int64_t)ids.count < r->T ? (int64_t)ids.count : r->T;
        gpt_forward(&r->g, 1, length, ids.at + ids.count - (size_t)length, NULL);
        int32_t token = sample_token(&sampler, gpt_logits(&r->g) + (length - 1) * V, &sampling, &rng, NULL, 0);
        if (token == r->end || token < 0) break;
        size_t bytes;
        const char *piece = tokenizer_token(&r->tokenizer, token, &bytes);
        if (!ids_add(&ids, token) || (piece && !text_add(&text, piece, bytes))) fail("not enough memory for a story");
    }
    size_t bytes;
    char *mended = utf8_mend(text.at, text.count, &bytes);  // a character may have come out half
    if (!mended) fail("not enough memory for a story");
    fwrite(mended, 1, bytes, stdout);
    printf("\n");
    free(mended), free(text.at), free(ids.at);
    sampler_close(&sampler);
}

// --- what the flags ask for ----------------------------------------------------------------------------------------

// The model's sizes: those of --init's folder, with which the flags that were given must agree, or the flags'.
static GptConfig choose_sizes(Run *r, int argc, char **argv) {
    GptFlags *a = &r->a;
    const GptConfig c = r->stored;
    const int32_t words = r->tokenizer.vocab_size;
    if (!r->init) {
        if (a->width % a->heads != 0)
            fail("--width %" PRIu64 " is not a multiple of --heads %" PRIu64, a->width, a->heads);
        return (GptConfig){.vocab = words, .context = (int64_t)a->context, .width = (int64_t)a->width,
                           .layers = (int64_t)a->layers, .heads = (int64_t)a->heads, .eps = 1e-5f};
    }
    const struct {
        const char *flag;
        uint64_t *value;
        int64_t stored;
    } sizes[] = {{"--layers", &a->layers, c.layers}, {"--heads", &a->heads, c.heads}, {"--width", &a->width, c.width}};
    for (int i = 0; i < 3; i++) {
        if (given(argc, argv, sizes[i].flag) && *sizes[i].value != (uint64_t)sizes[i].stored)
            fail("--init %s has %s %" PRId64 "; leave the flag out", a->init, sizes[i].flag, sizes[i].stored);
        *sizes[i].value = (uint64_t)sizes[i].stored;
    }
    if (!given(argc, argv, "--context") && a->context > (uint64_t)c.context) a->context = (uint64_t)c.context;
    if (a->context > (uint64_t)c.context)
        fail("--context %" PRIu64 ": the model of --init %s sees %" PRId64 " tokens at most", a->context, a->init,
             c.context);
    if (words > c.vocab)
        fail("--init %s: its tokenizer.json has %d tokens, the model knows %" PRId64, a->init, words, c.vocab);
    return c;
}

static void read_stories_of(Run *r) {
    Error e;
    const GptFlags *a = &r->a;
    if (r->init && !gpt2_read_config(&r->stored, a->init, &e)) fail("%s", e.text);
    int length = snprintf(r->tokenizer_path, sizeof r->tokenizer_path, "%s%s", r->init ? a->init : a->tokenizer,
                          r->init ? "/tokenizer.json" : "");
    if (length < 0 || length >= (int)sizeof r->tokenizer_path) fail("the name of the tokenizer is too long");
    if (!tokenizer_load(&r->tokenizer, r->tokenizer_path, &e)) fail("%s", e.text);
    r->end = tokenizer_special(&r->tokenizer, END_LINE);
    if (r->end < 0) fail("%s has no token %s", r->tokenizer_path, END_LINE);
    if (!corpus_load(&r->train, a->data, "train", &r->tokenizer, r->end, &e) ||
        !corpus_load(&r->valid, a->data, "valid", &r->tokenizer, r->end, &e))
        fail("%s", e.text);
    printf("read %s: %s stories to train on (%s tokens), ", a->data, commas(r->train.stories).text,
           commas(r->train.stream.count).text);
    printf("%s to test (%s tokens)\n", commas(r->valid.stories).text, commas(r->valid.stream.count).text);
}

// What a run that goes on must have in common with the one before.
static void note_settings(Run *r) {
    const GptFlags *a = &r->a;
    const struct {
        const char *name;
        uint64_t value;
    } whole[] = {{"--steps", a->steps}, {"--batch-size", a->batch_size}, {"--context", a->context},
                 {"--layers", a->layers}, {"--heads", a->heads}, {"--width", a->width}, {"--seed", a->seed},
                 {"vocabulary", (uint64_t)r->g.config.vocab}, {"--data (checksum)", corpus_fingerprint(&r->train)}};
    size_t count = sizeof whole / sizeof *whole;
    for (size_t i = 0; i < count; i++) {
        snprintf(r->settings[i].name, sizeof r->settings[i].name, "%s", whole[i].name);
        snprintf(r->settings[i].value, sizeof r->settings[i].value, "%" PRIu64, whole[i].value);
    }
    snprintf(r->settings[count].name, sizeof r->settings[count].name, "--learning-rate");
    snprintf(r->settings[count].value, sizeof r->settings[count].value, "%.17g", a->learning_rate);
}

// The model with its first weights, or those of --init, or all that --resume finds.
static void build(Run *r, int argc, char **argv) {
    Error e;
    GptFlags *a = &r->a;
    GptConfig config = choose_sizes(r, argc, argv);
    r->T = (int64_t)a->context, r->B = (int64_t)(a->batch_size / a->context);
    if (r->B < 1)
        fail("--batch-size %" PRIu64 " is less than one window of --context %" PRIu64, a->batch_size, a->context);
    if ((int64_t)r->train.stream.count <= r->T)
        fail("%s/train.txt has %zu tokens, a window %" PRId64 "; take more stories or a smaller --context", a->data,
             r->train.stream.count, r->T + 1);
    if (!make_folders(a->out, &e) || !folder_path(r->state_path, a->out, "training.safetensors", &e) ||
        !gpt_new(&r->g, config, r->B, r->T, (int)a->rung, (int)a->threads, &e))
        fail("%s", e.text);
    r->inputs = malloc((size_t)(r->B * r->T) * sizeof *r->inputs);
    r->targets = malloc((size_t)(r->B * r->T) * sizeof *r->targets);
    if (!r->inputs || !r->targets) fail("not enough memory for a batch");
    double megabytes = (double)r->g.parameters * 4e-6;
    printf("built %s parameters, %.1f MB, with gradients and moments %.1f MB: ",
           commas((uint64_t)r->g.parameters).text, megabytes, 4 * megabytes);
    printf("%" PRId64 " layers, width %" PRId64 ", %" PRId64 " heads, context %" PRId64 "\n", config.layers,
           config.width, config.heads, config.context);
    printf("%" PRIu64 " steps of %" PRId64 " x %" PRId64 " tokens, %.2f passes over the stories; rung %d, "
           "threads: %d\n", a->steps, r->B, r->T,
           (double)a->steps * (double)(r->B * r->T) / (double)r->train.stream.count, r->g.rung, r->g.threads);
    if (!r->init) model_initialize(&r->g, a->seed);
    else if (!gpt2_read_weights(&r->g, a->init, &e)) fail("%s", e.text);
    r->progress = (Progress){0, rng_seed(a->seed + 1)};  // weights and batches have streams of their own
    note_settings(r);
    struct stat about;
    if (a->resume && stat(r->state_path, &about) == 0) {
        const size_t settings = sizeof r->settings / sizeof *r->settings;
        if (!state_read(&r->g, &r->progress, r->settings, settings, r->state_path, &e)) fail("%s", e.text);
        printf("going on after step %" PRId64 "\n", r->progress.step);
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    Run *r = calloc(1, sizeof *r);
    if (!r) fail("not enough memory");
    r->a = read_gpt_flags(argc, argv);
    r->init = strcmp(r->a.init, "none") != 0;
    read_stories_of(r);
    build(r, argc, argv);
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    double begin = seconds_now();
    train(r);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL);  // all is saved: from here on they end the program
    if (r->progress.step < (int64_t)r->a.steps) {
        printf("stopped after step %" PRId64 ", saved; go on with the same command and --resume\n", r->progress.step);
    } else {
        printf("trained in %.1f s; a story:\n\n", seconds_now() - begin);
        tell(r, r->a.tokens);
        printf("\n%.4f bits per byte on %s/valid.txt\n", bits_per_byte(r, &r->valid), r->a.data);
        printf("the model is in %s\n", r->a.out);
    }
    gpt_free(&r->g);
    corpus_free(&r->train), corpus_free(&r->valid);
    tokenizer_free(&r->tokenizer);
    free(r->inputs), free(r->targets), free(r);
    if (fflush(stdout) != 0 || ferror(stdout)) fail("the output cannot be written: %s", strerror(errno));
    return 0;
}
