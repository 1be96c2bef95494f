// A file as a row of bytes in memory, without reading it: the system brings each page when it is first looked at.
//
// Several programs that map the same file share its pages. What maps a file must live with one danger: if somebody
// shortens the file meanwhile, the pages behind its new end are gone, and looking at them ends the process.
// The includer defines _POSIX_C_SOURCE (200809L) before its first include.

#ifndef FILE_H
#define FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

typedef struct {
    const char *data;  // never NULL once it is open
    size_t bytes;
} File;

static inline void file_close(File *f) {
    if (f->bytes > 0) munmap((void *)(uintptr_t)f->data, f->bytes);
    *f = (File){0};
}

static inline bool file_open(File *f, const char *path, Error *e) {
    struct stat about;
    *f = (File){0};
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe must not make us wait
    if (descriptor < 0) return fault(e, "%s cannot be read: %s", path, strerror(errno));
    bool good = fstat(descriptor, &about) == 0;
    if (!good) {
        fault(e, "%s cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(about.st_mode)) {
        good = fault(e, "%s is not a file", path);
    } else if ((uint64_t)about.st_size > SIZE_MAX / 2) {
        good = fault(e, "%s is too large for this machine", path);
    } else if (about.st_size == 0) {
        f->data = "";
    } else {
        void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
        good = data != MAP_FAILED || fault(e, "%s cannot be mapped: %s", path, strerror(errno));
        if (good) *f = (File){data, (size_t)about.st_size};
    }
    close(descriptor);
    return good;
}

#endif
