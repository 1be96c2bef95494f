// What every program in csrc shares on the command line: flags, one line for a mistake, numbers with commas.
//
//     const char *data = "datasets/stories";
//     uint64_t steps = 100;
//     Flag flags[] = {{"--data", "FOLDER", &data, FLAG_TEXT, 0, "folder with train.txt and valid.txt"},
//                     {"--steps", "N", &steps, FLAG_WHOLE, 1, "how many steps"}};
//     parse_flags(argc, argv, "Trains a model.", flags, 2);
//
// Nothing here is about language models; read it last. Only programs use it: it ends the process.

#ifndef CLI_H
#define CLI_H

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FLAG_SWITCH, FLAG_TEXT, FLAG_WHOLE, FLAG_NUMBER } FlagKind;

typedef struct {
    const char *name;   // "--steps"
    const char *shown;  // "N" in the help, "" for a switch
    void *value;        // bool, const char *, uint64_t or double, by kind; holds the default
    FlagKind kind;
    uint64_t least;  // of a whole number; other numbers are at least 0
    const char *help;
} Flag;

// A mistake that the user can mend: one line, exit status 2. Goes to where printf would go.
#define fail(...) \
    (fflush(stdout), fputs("error: ", stderr), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(2))

static inline void print_help(const char *program, const char *summary, const Flag *flags, size_t n) {
    printf("usage: %s [flags]\n\n%s\n\n", program, summary);
    for (size_t i = 0; i < n; i++) {
        int width = printf("  %s %s", flags[i].name, flags[i].shown);
        printf("%*s%s", width < 20 ? 20 - width : 1, "", flags[i].help);
        switch (flags[i].kind) {
            case FLAG_SWITCH: break;
            case FLAG_TEXT: printf(" (default %s)", *(const char **)flags[i].value); break;
            case FLAG_WHOLE: printf(" (default %" PRIu64 ")", *(uint64_t *)flags[i].value); break;
            case FLAG_NUMBER: printf(" (default %g)", *(double *)flags[i].value); break;
        }
        printf("\n");
    }
    printf("  %-18s%s\n", "-h, --help", "this text");
}

static inline void set_flag(const Flag *flag, const char *text) {
    char *end = NULL;
    errno = 0;
    if (flag->kind == FLAG_TEXT) {
        *(const char **)flag->value = text;
    } else if (flag->kind == FLAG_WHOLE) {
        unsigned long long whole = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)text[0]) || *end || errno || whole < flag->least)
            fail("%s: '%s' is not a whole number of at least %" PRIu64 "%s", flag->name, text, flag->least,
                 errno ? " that fits 64 bits" : "");
        *(uint64_t *)flag->value = whole;
    } else {
        double number = strtod(text, &end);
        if (end == text || *end || !(number >= 0) || isinf(number))
            fail("%s: '%s' is not a number of at least 0", flag->name, text);
        *(double *)flag->value = number;
    }
}

// Reads `--name value`, `--name=value` and switches into the flags' values; a mistake or --help ends the
// program.
static inline void parse_flags(int argc, char **argv, const char *summary, const Flag *flags, size_t n) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            print_help(argv[0], summary, flags, n);
            exit(0);
        }
        size_t length = strcspn(argv[i], "="), f = 0;
        while (f < n && (strlen(flags[f].name) != length || memcmp(flags[f].name, argv[i], length) != 0)) f++;
        bool attached = argv[i][length] == '=';
        if (f == n || (attached && flags[f].kind == FLAG_SWITCH))
            fail("unknown flag %s; --help lists what there is", argv[i]);
        if (flags[f].kind == FLAG_SWITCH) {
            *(bool *)flags[f].value = true;
        } else if (attached) {
            set_flag(&flags[f], argv[i] + length + 1);
        } else {
            if (i + 1 == argc) fail("%s needs a value", argv[i]);
            set_flag(&flags[f], argv[++i]);
        }
    }
}

// A whole number as people read it, 4934415 as "4,934,415": printf("%s", commas(n).text).
typedef struct {
    char text[27];
} Commas;

static inline Commas commas(uint64_t n) {
    char digits[21];
    Commas result;
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) result.text[at++] = ',';
        result.text[at++] = digits[i];
    }
    result.text[at] = '\0';
    return result;
}

#endif
