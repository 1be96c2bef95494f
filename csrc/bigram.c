// A language model that counts pairs of bytes: bigram/bigram.py in C, the same numbers and the same stories.
//
// A story of the bytes b1 … bn is the sequence END, b1, …, bn, END. Counting how often symbol b follows
// symbol a is the whole training. Here it appears as a ladder: count_1 reads like the formula, the later
// ones give the same table faster, and --bench times them beside the speed at which this machine reads
// memory at all.
//
//     make -C csrc bigram
//     csrc/build/bigram --seed 7      what python bigram/bigram.py --seed 7 tells
//     csrc/build/bigram --bench       half a minute
//     csrc/build/bigram --help

#define _POSIX_C_SOURCE 200809L  // stories.h asks whether a path is a folder, which is POSIX and not C

#include "cli.h"
#include "rng.h"
#include "stories.h"
#include "timing.h"

#define V 257  // symbols: 256 bytes and END
#define END 256

// counts[a * V + b]: how often b came right after a. 1: the definition, one symbol after the other.
static void count_1(const Stories *stories, uint64_t *counts) {
    for (size_t s = 0; s < stories->count; s++) {
        const Story story = stories->items[s];
        size_t a = END;
        for (size_t i = 0; i < story.length; i++) {
            size_t b = story.bytes[i];
            counts[a * V + b]++;
            a = b;
        }
        counts[a * V + END]++;
    }
}

// END stands only at a story's two ends, so the faster rungs count it there and look at pairs of bytes
// within. Two bytes in memory are a number of 16 bits as they lie, and that number is the pair's place in a
// table of 256 x 256 counters: no multiplication, and with 32 bits a counter half the size. Small matters:
// each counter that is touched moves a line of 64 bytes into the processor's first cache, which has room for
// some 500 lines.
#define PAIRS 65536
// Counts the n - 1 pairs of n bytes.
typedef void (*CountPairs)(const Byte *bytes, size_t n, uint32_t *tables);

// 2: a pair is one number.
static void pairs_2(const Byte *bytes, size_t n, uint32_t *tables) {
    for (size_t i = 0; i + 1 < n; i++) {
        uint16_t pair;
        memcpy(&pair, bytes + i, sizeof pair);  // how C reads a number from any place; it is one instruction
        tables[pair]++;
    }
}

// 3: seven pairs are one number of 64 bits. Memory is asked for text once instead of seven times; what
// remains is to load, increment and store one counter a byte, and a core stores one counter a cycle at most.
static void pairs_3(const Byte *bytes, size_t n, uint32_t *tables) {
    const Byte *last = bytes + n - 1;
    for (; last - bytes >= 7; bytes += 7) {
        uint64_t eight;
        memcpy(&eight, bytes, sizeof eight);
        for (int pair = 0; pair < 7; pair++) tables[eight >> 8 * pair & 0xFFFF]++;
    }
    pairs_2(bytes, (size_t)(last - bytes) + 1, tables);
}

// 4: two tables in turn. Where the same pair comes again at once ("aaaa"), a load must wait for the store
// just before it, and with two tables only every second one does. But text seldom repeats itself so, and two
// tables take twice the cache. Kept because the answer depends on the text and on the processor: --bench
// asks them.
static void pairs_4(const Byte *bytes, size_t n, uint32_t *tables) {
    const Byte *last = bytes + n - 1;
    for (; last - bytes >= 7; bytes += 7) {
        uint64_t eight;
        memcpy(&eight, bytes, sizeof eight);
        for (int pair = 0; pair < 7; pair++) tables[(pair % 2) * PAIRS + (eight >> 8 * pair & 0xFFFF)]++;
    }
    pairs_2(bytes, (size_t)(last - bytes) + 1, tables);
}

// Empties both tables into the counts.
static void pour(uint32_t *tables, uint64_t *counts) {
    for (size_t a = 0; a < 256; a++)
        for (size_t b = 0; b < 256; b++) {
            uint16_t pair;
            memcpy(&pair, (Byte[]){(Byte)a, (Byte)b}, sizeof pair);
            counts[a * V + b] += (uint64_t)tables[pair] + tables[PAIRS + pair];
        }
    memset(tables, 0, 2 * PAIRS * sizeof *tables);
}

// Counts with one of the rungs. tables: 2 * PAIRS zeros, and zeros again afterwards. most: after how many
// bytes the 32-bit counters are emptied, at least 1, so that none overflows (MOST_BYTES; tests use less).
#define MOST_BYTES ((size_t)1 << 31)
static void count_with(CountPairs pairs, const Stories *stories, uint64_t *counts, uint32_t *tables,
                       size_t most) {
    size_t room = most;
    for (size_t s = 0; s < stories->count; s++) {
        const Byte *bytes = stories->items[s].bytes, *last = bytes + stories->items[s].length - 1;
        counts[END * V + *bytes]++;
        counts[*last * V + END]++;
        while (bytes < last) {
            size_t step = (size_t)(last - bytes) < room ? (size_t)(last - bytes) : room;
            pairs(bytes, step + 1, tables);
            bytes += step;
            room -= step;
            if (room == 0) {
                pour(tables, counts);
                room = most;
            }
        }
    }
    pour(tables, counts);
}

// The row of probabilities after symbol a: as if each pair had been seen alpha times more. p: V numbers,
// which sum to 1; with alpha 0 a row that was never seen stays at 0.
static void smooth_row(const uint64_t *counts, size_t a, double alpha, double *p) {
    uint64_t seen = 0;
    for (size_t b = 0; b < V; b++) seen += counts[a * V + b];
    double total = (double)seen + V * alpha;
    for (size_t b = 0; b < V; b++) p[b] = total > 0 ? ((double)counts[a * V + b] + alpha) / total : 0.0;
}

// The sum of -log2 p over a text whose pairs are `seen`, by a model that has counted `counts`: its surprise
// in bits.
static double table_bits(const uint64_t *counts, const uint64_t *seen, double alpha) {
    double bits = 0.0, p[V];
    for (size_t a = 0; a < V; a++) {
        smooth_row(counts, a, alpha, p);
        for (size_t b = 0; b < V; b++)
            if (seen[a * V + b]) bits -= (double)seen[a * V + b] * log2(p[b]);
    }
    return bits;
}

// Draws the symbol after `symbol`.
static size_t next_symbol(const uint64_t *counts, double alpha, Rng *rng, size_t symbol) {
    double p[V];
    smooth_row(counts, symbol, alpha, p);
    return rng_choice(rng, p, V);
}

// Prints a story, symbol by symbol, up to END or `length` bytes.
static void sample_story(const uint64_t *counts, double alpha, Rng *rng, uint64_t length) {
    size_t symbol = END;
    for (uint64_t n = 0; n < length; n++) {
        symbol = next_symbol(counts, alpha, rng, symbol);
        if (symbol == END) {
            printf("\n%s\n", END_LINE);
            return;
        }
        putchar((int)symbol);
    }
    printf("\n(cut off at %s bytes)\n", commas(length).text);
}

// Adds up all bytes as numbers of eight: the least that anybody who looks at the text must do.
static uint64_t add_up(const Stories *stories) {
    uint64_t sum = 0;
    for (size_t s = 0; s < stories->count; s++) {
        const Story story = stories->items[s];
        size_t i = 0;
        for (uint64_t eight; i + sizeof eight <= story.length; i += sizeof eight) {
            memcpy(&eight, story.bytes + i, sizeof eight);
            sum += eight;
        }
        for (; i < story.length; i++) sum += story.bytes[i];
    }
    return sum;
}

static const struct {
    const char *name;
    CountPairs pairs;  // NULL: count_1
} LADDER[] = {{"1 by the formula", NULL},
              {"2 a pair is a number", pairs_2},
              {"3 eight bytes at once", pairs_3},
              {"4 and two tables", pairs_4}};
#define RUNGS (sizeof LADDER / sizeof *LADDER)

// One rung, from zeros.
static void count_rung(size_t rung, const Stories *stories, uint64_t *counts, uint32_t *tables) {
    memset(counts, 0, V * V * sizeof *counts);
    if (LADDER[rung].pairs)
        count_with(LADDER[rung].pairs, stories, counts, tables, MOST_BYTES);
    else
        count_1(stories, counts);
}

// A text of at least `bytes` bytes: the stories over and over, or one letter where there are none. False: no
// memory.
static bool repeat(const Stories *stories, size_t bytes, Stories *out) {
    *out = (Stories){0};
    size_t size = bytes + (stories ? stories->bytes : 0), at = 0;
    if (!(out->text = malloc(size))) return false;
    if (!stories) {
        memset(out->text, 'a', size);
        return add_story(out, (Story){out->text, size});
    }
    while (at < bytes)
        for (size_t s = 0; s < stories->count; s++) {
            Story story = {out->text + at, stories->items[s].length};
            memcpy(out->text + at, stories->items[s].bytes, story.length);
            if (!add_story(out, story)) return false;
            at += story.length;
        }
    return true;
}

// Prints how many gigabytes (10^9 bytes) a second each rung counts: medians of ROUNDS rounds, taken in turn.
#define ROUNDS 7
static bool bench(const Stories *train, uint64_t *counts, uint64_t *expected, uint32_t *tables) {
    Stories longer, letter;
    bool memory = repeat(train, (size_t)128 << 20, &longer);
    memory = repeat(NULL, (size_t)16 << 20, &letter) && memory;
    const Stories *texts[] = {train, &longer, &letter};
    double times[RUNGS + 1][3][ROUNDS];
    volatile uint64_t sum;  // so that the compiler cannot leave the reading out
    for (int round = -1; memory && round < ROUNDS; round++)  // the first one only warms up
        for (size_t t = 0; t < 3; t++)
            for (size_t rung = 0; rung <= RUNGS; rung++) {
                double start = cpu_seconds();
                if (rung < RUNGS)
                    count_rung(rung, texts[t], counts, tables);
                else
                    sum = add_up(texts[t]);
                if (round >= 0) times[rung][t][round] = cpu_seconds() - start;
                if (rung == 0) memcpy(expected, counts, V * V * sizeof *counts);
                if (memcmp(expected, counts, V * V * sizeof *counts) != 0)
                    fail("rung %s has another table than rung 1", LADDER[rung].name);
            }
    if (memory) {
        (void)sum;
        printf("gigabytes a second, one thread, medians of %d:\n%-24s%13s%13s%13s\n", ROUNDS, "", "train.txt",
               "repeated", "one letter");
        printf("%-24s%10.0f MB%10.0f MB%10.0f MB\n", "", (double)train->bytes * 1e-6,
               (double)longer.bytes * 1e-6, (double)letter.bytes * 1e-6);
        for (size_t rung = 0; rung <= RUNGS; rung++) {
            printf("%-24s", rung < RUNGS ? LADDER[rung].name : "only reading the memory");
            for (size_t t = 0; t < 3; t++)
                printf("%13.2f", (double)texts[t]->bytes * 1e-9 / median(times[rung][t], ROUNDS));
            printf("\n");
        }
    }
    free_stories(&longer);
    free_stories(&letter);
    return memory;
}

typedef struct {
    const char *data;  // what the flags of the same names say
    double alpha;
    uint64_t seed, stories, length;
    bool bench;
} Arguments;

// What the program prints, given its tables. False: not enough memory for the bench.
static bool report(Arguments arguments, const Stories *train, const Stories *valid, uint64_t *counts,
                   uint64_t *seen, uint32_t *tables) {
    count_rung(2, valid, counts, tables);  // memory is slow when it is first touched; that is not to be timed
    double times[3] = {cpu_seconds()};
    count_rung(0, train, seen, tables);
    times[1] = cpu_seconds();
    count_rung(2, train, counts, tables);
    times[2] = cpu_seconds();
    if (memcmp(seen, counts, V * V * sizeof *counts) != 0) fail("the two ways of counting differ");
    size_t different = 0;
    for (size_t i = 0; i < V * V; i++) different += counts[i] > 0;
    printf("counted %s pairs, %s different ones of %s possible\n", commas(train->bytes + train->count).text,
           commas(different).text, commas(V * V).text);
    printf("  by the formula in %.4f s, eight bytes at once in %.4f s: the same table\n", times[1] - times[0],
           times[2] - times[1]);
    if (arguments.bench && !bench(train, counts, seen, tables)) return false;

    count_rung(2, train, counts, tables);
    double bits = table_bits(counts, counts, arguments.alpha);
    printf("train %.6f bits per byte\n", bits / (double)train->bytes);
    count_rung(2, valid, seen, tables);
    bits = table_bits(counts, seen, arguments.alpha);
    printf("valid %.6f bits per byte\nstories:\n", bits / (double)valid->bytes);

    Rng rng = rng_seed(arguments.seed);
    for (uint64_t i = 0; i < arguments.stories; i++)
        sample_story(counts, arguments.alpha, &rng, arguments.length);
    return true;
}

int main(int argc, char **argv) {
    Arguments arguments = {"datasets/stories", 0.01, 0, 3, 300, false};
    Flag flags[] = {
        {"--data", "FOLDER", &arguments.data, FLAG_TEXT, 0, "folder with train.txt and valid.txt"},
        {"--alpha", "X", &arguments.alpha, FLAG_NUMBER, 0, "added to each count"},
        {"--seed", "N", &arguments.seed, FLAG_WHOLE, 0, "of the stories told"},
        {"--stories", "N", &arguments.stories, FLAG_WHOLE, 1, "how many to tell"},
        {"--length", "N", &arguments.length, FLAG_WHOLE, 1, "bytes at which a story is cut off"},
        {"--bench", "", &arguments.bench, FLAG_SWITCH, 0, "times the ways of counting, and a plain read"},
    };
    parse_flags(argc, argv, "Counts pairs of bytes, says how good that is, and tells stories.", flags,
                sizeof flags / sizeof *flags);
    Stories train, valid;
    char error[ERROR_SIZE];
    if (!load_split(arguments.data, "train", &train, error)) fail("%s", error);
    if (!load_split(arguments.data, "valid", &valid, error)) fail("%s", error);
    printf("read %s: %s stories, %s bytes to train on; %s stories, %s bytes to test\n", arguments.data,
           commas(train.count).text, commas(train.bytes).text, commas(valid.count).text,
           commas(valid.bytes).text);

    uint64_t *counts = malloc(V * V * sizeof *counts), *seen = malloc(V * V * sizeof *seen);
    uint32_t *tables = calloc(2 * PAIRS, sizeof *tables);
    bool done = counts && seen && tables && report(arguments, &train, &valid, counts, seen, tables);
    free(counts);
    free(seen);
    free(tables);
    free_stories(&train);
    free_stories(&valid);
    if (!done) fail("not enough memory");
    if (fflush(stdout) != 0 || ferror(stdout)) fail("the output cannot be written: %s", strerror(errno));
    return 0;
}
