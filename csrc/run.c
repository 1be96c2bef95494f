// The engine as a program: a model folder and the beginning of a story in, the story out, as it is written.
//
//     csrc/build/run deployment/weights/storyteller "Once upon a time" --seed 1
//     echo "Once upon a time" | csrc/build/run deployment/weights/storyteller - --quantize int8
//     csrc/build/run deployment/weights/storyteller --stories 8 --seed 1
//
// The same folder, flags and seed tell the same story as inference/generate.py. The text goes to standard output and
// what there is to say about it to standard error. generate.h does the work; here are the command line and the loop.

#define _GNU_SOURCE  // for linear.h: large pages

#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "generate.h"
#include "stream.h"
#include "timing.h"

#define MODEL "deployment/weights/storyteller"
enum { MOST_SLOTS = 16, MOST_STOPS = 64, BLOCK = 128 };

typedef struct {
    const char *folder, *prompt, *seed_text, *quantize, *stop;
    const char *stops[MOST_STOPS];
    size_t stop_count;
    Sampling sampling;
    uint64_t seed, top_k, tokens, stories, threads, context;
    bool chat;
} Request;

// One text in the making.
typedef struct {
    int64_t slot, new_ids;
    uint64_t seed;
    Stream stream;
    Text text;     // what came and is not printed yet
    bool finished;
} Telling;

// --- the command line ----------------------------------------------------------------------------------------------

// Takes the folder and the prompt out of the arguments, wherever they stand, and collects every --stop.
static int take_positions(int argc, char **argv, const Flag *flags, size_t n, Request *a) {
    int kept = 1, position = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
            if (position == 2) fail("one folder and one prompt, please; '%s' is a third (quote the prompt)", argv[i]);
            if (position == 0 && strcmp(argv[i], "-") == 0) position = 1;  // no folder, but a prompt
            *(position++ == 0 ? &a->folder : &a->prompt) = argv[i];
            continue;
        }
        const char *value = strchr(argv[i], '=');
        size_t length = strcspn(argv[i], "=");
        bool switches = true;
        for (size_t f = 0; f < n; f++)
            if (strlen(flags[f].name) == length && memcmp(flags[f].name, argv[i], length) == 0)
                switches = flags[f].kind == FLAG_SWITCH;
        bool is_stop = length == strlen("--stop") && memcmp(argv[i], "--stop", length) == 0;
        argv[kept++] = argv[i];
        if (!switches && !value && i + 1 < argc) argv[kept++] = argv[++i];
        if (is_stop) {
            const char *text = value ? value + 1 : argv[i];
            if (!*text || a->stop_count == MOST_STOPS)
                fail("--stop: a text that is not empty, at most %d times", MOST_STOPS);
            a->stops[a->stop_count++] = text;
        }
    }
    return kept;
}

static uint64_t chosen_seed(const char *text) {
    uint64_t seed = (uint64_t)time(NULL);
    if (strcmp(text, "a new one") == 0) {
        FILE *file = fopen("/dev/urandom", "rb");
        if (file && fread(&seed, 4, 1, file) != 1) seed = (uint64_t)time(NULL);
        if (file) fclose(file);
        return seed & 0xFFFFFFFF;
    }
    set_flag(&(Flag){"--seed", "N", &seed, FLAG_WHOLE, 0, ""}, text);
    return seed;
}

static Request read_arguments(int argc, char **argv) {
    Request a = {.folder = MODEL, .prompt = NULL, .seed_text = "a new one", .quantize = "no", .stop = "none",
                   .sampling = {0.8, 0, 0.95, 0.0, 1.0}, .tokens = 250, .stories = 1, .threads = 1, .context = 4096};
    char usage[] = "csrc/build/run [FOLDER] [PROMPT]", *program = argv[0];
    Flag flags[] = {
        {"--temperature", "T", &a.sampling.temperature, FLAG_NUMBER, 0,
         "below 1 more predictable, above 1 wilder, 0 always the most probable"},
        {"--top-k", "K", &a.top_k, FLAG_WHOLE, 0, "keep the K most probable tokens; 0 keeps all"},
        {"--top-p", "P", &a.sampling.top_p, FLAG_NUMBER, 0, "keep the most probable tokens that sum to P"},
        {"--min-p", "M", &a.sampling.min_p, FLAG_NUMBER, 0, "keep tokens at least M times as probable as the first"},
        {"--repetition-penalty", "R", &a.sampling.repetition_penalty, FLAG_NUMBER, 0,
         "above 1 makes what was said less likely"},
        {"--tokens", "N", &a.tokens, FLAG_WHOLE, 1, "most tokens in a story, or in an answer"},
        {"--stop", "TEXT", &a.stop, FLAG_TEXT, 0, "end before TEXT; may be given again"},
        {"--seed", "N", &a.seed_text, FLAG_TEXT, 0, "the same seed, the same text"},
        {"--stories", "N", &a.stories, FLAG_WHOLE, 1, "how many to tell at once, with seeds counting up"},
        {"--chat", "", &a.chat, FLAG_SWITCH, 0,
         "answers the lines of standard input, with the tokens <|user|>, <|assistant|>, <|end|> between; a model must "
         "be trained for that, which the shipped one is not yet"},
        {"--threads", "N", &a.threads, FLAG_WHOLE, 1,
         "threads that compute together; a second one helps where memory is not the limit"},
        {"--quantize", "int8", &a.quantize, FLAG_TEXT, 0,
         "int8 or int4: rounds the weights while loading, in groups of 32"},
        {"--context", "N", &a.context, FLAG_WHOLE, 1, "tokens a text may have, at most what the model can"},
    };
    enum { COUNT = sizeof flags / sizeof *flags };
    argv[0] = usage;
    argc = take_positions(argc, argv, flags, COUNT, &a);
    parse_flags(argc, argv,
                "Continues a prompt with a trained model, as it is written. PROMPT - reads standard input.\n"
                "FOLDER is " MODEL " where none is given.", flags, COUNT);
    argv[0] = program;
    if (a.top_k > INT32_MAX || a.stories > 1000000 || a.threads > 1024 || a.context > INT32_MAX)
        fail("a number is too large: --top-k, --stories, --threads or --context");
    if (strcmp(a.quantize, "no") != 0 && strcmp(a.quantize, "int8") != 0 && strcmp(a.quantize, "int4") != 0)
        fail("--quantize: '%s' is not int8 or int4", a.quantize);
    a.sampling.top_k = (int64_t)a.top_k;
    const char *wrong = sampling_fault(&a.sampling);
    if (wrong) fail("--%s", wrong);
    a.seed = chosen_seed(a.seed_text);
    if (a.chat && a.stories > 1) fail("--chat tells one story at a time");
    return a;
}

// All of standard input, without the line ends behind it.
static char *read_input(void) {
    Text text = {0};
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;)
        if (!text_add(&text, part, n)) fail("not enough memory for the prompt");
    if (ferror(stdin)) fail("standard input cannot be read");
    while (text.count > 0 && text.at[text.count - 1] == '\n') text.count--;
    if (text.count > 0 && memchr(text.at, 0, text.count)) fail("the prompt has a byte 0, which is no text");
    if (!text_add(&text, "", 1)) fail("not enough memory for the prompt");
    return text.at;
}

// --- telling -------------------------------------------------------------------------------------------------------

// The ids of the mark, where `first`, and of a text; the caller frees ids.at.
static Ids ids_of(const Generator *g, const char *text, bool first) {
    Error e;
    Ids ids = {0};
    if (utf8_valid(text, strlen(text)) < strlen(text)) fail("the prompt is not UTF-8 text");
    if (!tokenizer_encode(&g->tokenizer, text, strlen(text), false, &ids, &e)) fail("%s", e.text);
    if (first && generator_mark(g) >= 0) {
        int32_t *at = realloc(ids.at, (ids.count + 1) * sizeof *at);
        if (!at) fail("not enough memory for the prompt");
        memmove(at + 1, at, ids.count * sizeof *at);
        at[0] = generator_mark(g);
        ids.at = at, ids.count++, ids.room = ids.count;
    }
    return ids;
}

// What a story makes of its next token; its text grows by what is safe to show.
static void accept_token(const Generator *g, const Request *a, Telling *s, int32_t token) {
    bool stopped = false, fine = true;
    size_t bytes;
    if (generator_is_end(g, token)) {
        s->finished = true;
        fine = stream_end(&s->stream, &s->text);
    } else {
        const char *piece = tokenizer_token(&g->tokenizer, token, &bytes);
        fine = stream_push(&s->stream, piece, bytes, &s->text, &stopped);
        bool full = g->slots[s->slot].count > g->cache.length;  // this token had no room any more
        s->finished = stopped || full || ++s->new_ids >= (int64_t)a->tokens;
        if (s->finished && !stopped) fine = fine && stream_end(&s->stream, &s->text);
    }
    if (!fine) fail("not enough memory for the text");
}

static void print_text(Text *text) {
    fwrite(text->at, 1, text->count, stdout);
    fflush(stdout);
    text->count = 0;
}

static void new_story(Generator *g, const Request *a, Telling *s, int64_t slot, uint64_t seed, const Ids *ids) {
    Error e;
    *s = (Telling){.slot = slot, .seed = seed, .stream = {.stops = a->stops, .stop_count = a->stop_count}};
    if (!generator_begin(g, slot, ids->at, (int64_t)ids->count, &a->sampling, seed, &e)) fail("%s", e.text);
}

// Tells all stories, as many at once as there are slots. Returns how many tokens were written. As in generate.py the
// last of those that run takes the place of one that ends, so that both print in the same order.
static int64_t tell_stories(Generator *g, const Request *a, const Ids *ids) {
    Telling running[MOST_SLOTS];
    int64_t slots[MOST_SLOTS], free_slots[MOST_SLOTS], n = 0, begun = 0, tokens = 0, free_count = g->cache.slots;
    int32_t next[MOST_SLOTS];
    bool shown = false;
    Error e;
    for (int64_t i = 0; i < free_count; i++) free_slots[i] = i;
    while (n > 0 || begun < (int64_t)a->stories) {
        for (; free_count > 0 && begun < (int64_t)a->stories; n++, begun++)
            new_story(g, a, &running[n], free_slots[--free_count], a->seed + (uint64_t)begun, ids);
        if (a->stories == 1 && !shown) shown = true, printf("%s", a->prompt), fflush(stdout);
        for (int64_t i = 0; i < n; i++) slots[i] = running[i].slot;
        if (!generator_step(g, slots, n, next, &e)) fail("%s", e.text);
        for (int64_t i = 0; i < n; i++) {
            Telling *s = &running[i];
            accept_token(g, a, s, next[i]);
            if (a->stories == 1) print_text(&s->text);
            else if (s->finished) {
                printf("--- seed %" PRIu64 "\n%s", s->seed, a->prompt);
                print_text(&s->text);
                printf("\n\n");
            }
        }
        for (int64_t i = n - 1; i >= 0; i--) {
            if (!running[i].finished) continue;
            tokens += running[i].new_ids;
            free_slots[free_count++] = running[i].slot;
            stream_free(&running[i].stream), free(running[i].text.at);
            running[i] = running[--n];
        }
    }
    if (a->stories == 1) printf("\n");
    return tokens;
}

// --- chat ----------------------------------------------------------------------------------------------------------

// Puts a message into slot 0, between its marks, and behind them the mark after which the answer comes.
static bool say(Generator *g, const Request *a, const char *message, bool first, Error *e) {
    int32_t marks[] = {tokenizer_special(&g->tokenizer, "<|user|>"), tokenizer_special(&g->tokenizer, "<|end|>"),
                       tokenizer_special(&g->tokenizer, "<|assistant|>"), generator_mark(g)};
    Ids ids = ids_of(g, message, false);
    int32_t *all = malloc((ids.count + 4) * sizeof *all);
    if (!all) fail("not enough memory for the message");
    int64_t n = 0;
    if (first && marks[3] >= 0) all[n++] = marks[3];
    all[n++] = marks[0];
    if (ids.count > 0) memcpy(all + n, ids.at, ids.count * sizeof *all);
    n += (int64_t)ids.count;
    all[n++] = marks[1], all[n++] = marks[2];
    bool fine = first ? generator_begin(g, 0, all, n, &a->sampling, a->seed, e) : generator_append(g, 0, all, n, e);
    free(all), free(ids.at);
    return fine;
}

static int64_t answer(Generator *g, const Request *a) {
    Telling s = {.stream = {.stops = a->stops, .stop_count = a->stop_count}};
    Error e;
    int32_t token = 0, end = tokenizer_special(&g->tokenizer, "<|end|>");
    while (!s.finished) {
        if (!generator_step(g, &(int64_t){0}, 1, &token, &e)) fail("%s", e.text);
        accept_token(g, a, &s, token);
        print_text(&s.text);
    }
    printf("\n");
    if (!generator_is_end(g, token) && g->slots[0].count <= g->cache.length) slot_push(g, &g->slots[0], end);
    stream_free(&s.stream), free(s.text.at);
    return s.new_ids;
}

// Answers one line after the other, until there are no more or the context is full.
static int64_t chat(Generator *g, const Request *a) {
    char *line = NULL;
    size_t room = 0;
    int64_t tokens = 0;
    bool first = true, asks = isatty(STDIN_FILENO);
    Error e;
    for (const char *message = a->prompt;; message = NULL) {
        if (!message) {
            if (asks) fprintf(stderr, "> ");
            ssize_t length = getline(&line, &room, stdin);
            if (length < 0) break;
            while (length > 0 && strchr("\r\n", line[length - 1])) line[--length] = '\0';
            if (length == 0) continue;
            message = line;
        }
        if (!say(g, a, message, first, &e)) {
            if (first) fail("%s", e.text);
            fprintf(stderr, "the context of %" PRId64 " tokens is full: the conversation ends here\n", g->cache.length);
            break;
        }
        tokens += answer(g, a);
        first = false;
    }
    free(line);
    return tokens;
}

// --- all together --------------------------------------------------------------------------------------------------

int main(int argc, char **argv) {
    Request a = read_arguments(argc, argv);
    char *input = NULL;
    if (!a.prompt && !a.chat) a.prompt = "Once upon a time";
    if (a.prompt && strcmp(a.prompt, "-") == 0) a.prompt = a.chat ? NULL : (input = read_input());
    GeneratorOptions options = {
        .slots = (int64_t)(a.stories < MOST_SLOTS ? a.stories : MOST_SLOTS), .length = (int64_t)a.context,
        .block = BLOCK, .threads = (int)a.threads,
        .weights = {.bits = strcmp(a.quantize, "int8") == 0 ? 8 : strcmp(a.quantize, "int4") == 0 ? 4 : 0, .group = 32,
                    .path = linear_best_path()},
    };
    Generator g;
    Error e;
    if (!generator_open(&g, a.folder, &options, &e)) fail("%s", e.text);
    if (a.chat && (tokenizer_special(&g.tokenizer, "<|user|>") < 0 || tokenizer_special(&g.tokenizer, "<|end|>") < 0
                   || tokenizer_special(&g.tokenizer, "<|assistant|>") < 0))
        fail("%s: --chat needs the tokens <|user|>, <|assistant|> and <|end|>, which this tokenizer has not", a.folder);
    double started = seconds_now();
    int64_t tokens;
    if (a.chat) {
        tokens = chat(&g, &a);
    } else {
        Ids ids = ids_of(&g, a.prompt, true);
        tokens = tell_stories(&g, &a, &ids);
        free(ids.at);
    }
    double seconds = seconds_now() - started;
    if (fflush(stdout) != 0 || ferror(stdout)) fail("the text cannot be written to standard output");
    fprintf(stderr, "%s, %.1f MB of weights, %" PRIu64 " thread%s, seed %" PRIu64 ": ", a.folder,
            (double)g.model.bytes / 1e6, a.threads, a.threads > 1 ? "s" : "", a.seed);
    fprintf(stderr, "%" PRId64 " tokens in %.2f s, %.0f tokens/s\n", tokens, seconds, (double)tokens / seconds);
    generator_close(&g);
    free(input);
    return 0;
}
