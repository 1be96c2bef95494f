// The command line of gpt.c: what a run is asked to do.

#ifndef GPT_FLAGS_H
#define GPT_FLAGS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "cli.h"

typedef struct {
    const char *data, *out, *tokenizer, *init;
    uint64_t steps, batch_size, context, layers, heads, width, seed, threads, rung, print_every, save_every, tokens;
    double learning_rate, temperature;
    bool resume;
} GptFlags;

// Whether the flag stands on the command line.
static inline bool given(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], flag, strlen(flag)) == 0 && strchr("=", argv[i][strlen(flag)])) return true;
    return false;
}

// A mistake, or --help, ends the program.
static inline GptFlags read_gpt_flags(int argc, char **argv) {
    GptFlags a = {.data = "datasets/stories", .out = "out/gpt", .tokenizer = "tokenization/tokenizer.json",
                   .init = "none", .steps = 200, .batch_size = 512, .context = 128, .layers = 4, .heads = 4,
                   .width = 128, .threads = 1, .print_every = 10, .save_every = 100, .tokens = 100,
                   .learning_rate = 1e-3, .temperature = 0.6};
#if defined(_OPENMP)
    a.threads = (uint64_t)omp_get_max_threads();
#endif
    Flag flags[] = {
        {"--data", "FOLDER", &a.data, FLAG_TEXT, 0, "folder with train.txt and valid.txt"},
        {"--out", "FOLDER", &a.out, FLAG_TEXT, 0, "where the model and the state of the training are written"},
        {"--tokenizer", "FILE", &a.tokenizer, FLAG_TEXT, 0, "a tokenizer.json; --init has its own"},
        {"--init", "FOLDER", &a.init, FLAG_TEXT, 0, "a GPT-2 whose sizes and weights to begin with"},
        {"--resume", "", &a.resume, FLAG_SWITCH, 0, "go on from what was saved last in --out, exactly"},
        {"--steps", "N", &a.steps, FLAG_WHOLE, 1, "training steps"},
        {"--batch-size", "N", &a.batch_size, FLAG_WHOLE, 1, "tokens in a step, cut into windows of --context"},
        {"--context", "T", &a.context, FLAG_WHOLE, 1, "tokens that the model sees at once"},
        {"--layers", "L", &a.layers, FLAG_WHOLE, 1, "blocks"},
        {"--heads", "H", &a.heads, FLAG_WHOLE, 1, "heads in a block"},
        {"--width", "C", &a.width, FLAG_WHOLE, 1, "numbers a token"},
        {"--learning-rate", "X", &a.learning_rate, FLAG_NUMBER, 0, "its peak"},
        {"--seed", "N", &a.seed, FLAG_WHOLE, 0, "decides first weights, batches and story"},
        {"--temperature", "X", &a.temperature, FLAG_NUMBER, 0, "of the story; 0 takes the likeliest token"},
        {"--tokens", "N", &a.tokens, FLAG_WHOLE, 0, "most tokens of the story"},
        {"--threads", "N", &a.threads, FLAG_WHOLE, 1, "that compute together; the default is the number of cores"},
        {"--rung", "N", &a.rung, FLAG_WHOLE, 0, "of the ladder in gpt.h: 1 is the formula, 0 the fastest"},
        {"--print-every", "N", &a.print_every, FLAG_WHOLE, 1, "steps between lines"},
        {"--save-every", "N", &a.save_every, FLAG_WHOLE, 1, "steps between savings"},
    };
    parse_flags(argc, argv, "Trains a GPT on stories, scores it and lets it tell one.", flags,
                sizeof flags / sizeof *flags);
    const uint64_t most = 1 << 24;
    if (a.steps > INT32_MAX || a.batch_size > most || a.context > most || a.layers > 1024 || a.heads > 65536 ||
        a.width > 65536 || a.threads > 1024 || a.rung > 100 || a.temperature > 10)
        fail("a number is too large: --steps, --batch-size, --context, --layers, --heads, --width, --threads, --rung "
             "or --temperature");
    return a;
}

#endif
