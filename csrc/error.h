// An error as a value: one line of text for a person.
//
// What can fail in a library returns bool and takes an Error *. Where something is wrong it says so with
//
//     return fault(e, "%s: the header ends after %zu bytes; copy the file again", path, bytes);
//
// which writes the line and is false. The caller hands it on, or prints it and stops: a library never ends the
// process, and never prints. A line names the file, says what is wrong with it, and what to do.

#ifndef ERROR_H
#define ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char text[512];
} Error;

// Writes one line to e (which may be NULL) and returns false. Names and texts from files end up in it, so
// control characters become "?", and a line that is too long ends in "..." behind a whole character.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3), unused))
#endif
static bool fault(Error *e, const char *format, ...) {
    if (!e) return false;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(e->text, sizeof e->text, format, arguments);
    va_end(arguments);
    if (length < 0) strcpy(e->text, "an error whose text cannot be written");
    if (length >= (int)sizeof e->text) {
        size_t end = sizeof e->text - 4;
        while (end > 0 && ((unsigned char)e->text[end] & 0xC0) == 0x80) end--;  // not inside a character
        strcpy(e->text + end, "...");
    }
    for (unsigned char *c = (unsigned char *)e->text; *c; c++)
        if (*c < 32 || *c == 127) *c = '?';
    return false;
}

#endif
