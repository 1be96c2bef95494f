// A file that is either whole or not there: written beside its place, flushed to the disk, renamed.
//
//     AtomicFile file;
//     bool good = atomic_begin(&file, "out/gpt/config.json", e) && atomic_write(&file, text, bytes, e);
//     good = atomic_end(&file, good, e);     // false: whatever stood there before still stands there
//
// A rename is one act for the file system, if both names are in one folder. A program that is killed in the middle
// leaves the old file, and beside it a part of the new one whose name begins with a point. The same in Python:
// transformer/atomic.py. The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef ATOMIC_FILE_H
#define ATOMIC_FILE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

typedef struct {
    FILE *file;
    char *path, *beside;
} AtomicFile;

// Makes a folder and those above it, where they are missing.
static inline bool make_folders(const char *folder, Error *e) {
    struct stat about;
    char *path = malloc(strlen(folder) + 1);
    if (!path) return fault(e, "not enough memory for a name");
    strcpy(path, folder);
    for (char *at = path + 1; *path && *at; at++)
        if (*at == '/') {
            *at = '\0';
            mkdir(path, 0777);  // a fault shows when the last one is made
            *at = '/';
        }
    bool good = mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &about) == 0 && S_ISDIR(about.st_mode));
    if (!good) fault(e, "the folder %s cannot be made: %s", folder, strerror(errno));
    free(path);
    return good;
}

// Closes the file. Where all has been good so far it is put in its place, else its part is removed.
static inline bool atomic_end(AtomicFile *a, bool good, Error *e) {
    const char *path = a->path;
    if (a->file) {
        bool flushed = good && fflush(a->file) == 0 && fsync(fileno(a->file)) == 0;
        bool closed = fclose(a->file) == 0;
        if (good && !(flushed && closed && rename(a->beside, path) == 0))
            good = fault(e, "%s cannot be written: %s", path, strerror(errno));
        if (!good) unlink(a->beside);
    }
    free(a->path), free(a->beside);
    *a = (AtomicFile){0};
    return good;
}

// Opens a file beside `path`, to which the bytes go. After a fault, too, atomic_end must follow.
static inline bool atomic_begin(AtomicFile *a, const char *path, Error *e) {
    size_t length = strlen(path), room = length + 40;
    *a = (AtomicFile){NULL, malloc(length + 1), malloc(room)};
    if (!a->path || !a->beside) return fault(e, "not enough memory to write %s", path);
    memcpy(a->path, path, length + 1);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(a->beside, room, "%.*s.%s.%ld.tmp", (int)(name - path), path, name, (long)getpid());
    a->file = fopen(a->beside, "wb");
    return a->file || fault(e, "%s cannot be written: %s", path, strerror(errno));
}

static inline bool atomic_write(AtomicFile *a, const void *bytes, size_t count, Error *e) {
    return count == 0 || fwrite(bytes, 1, count, a->file) == count ||
           fault(e, "%s cannot be written: %s", a->path, strerror(errno));
}

// A whole file at once.
static inline bool write_atomic(const char *path, const void *bytes, size_t count, Error *e) {
    AtomicFile file;
    bool good = atomic_begin(&file, path, e) && atomic_write(&file, bytes, count, e);
    return atomic_end(&file, good, e);
}

#endif
