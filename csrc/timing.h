// Clocks and a median.

#ifndef TIMING_H
#define TIMING_H

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

// Seconds that this process's threads have computed, together: what other programs take does not count.
static inline double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

#if defined(_POSIX_C_SOURCE) || defined(_GNU_SOURCE)  // an includer who needs it defines one of them
// Seconds on the wall's clock, from some beginning.
static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
#endif

static inline int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The middle one of n times, n odd: one disturbed run does not move it. Sorts them.
static inline double median(double *times, size_t n) {
    qsort(times, n, sizeof *times, by_size);
    return times[n / 2];
}

#endif
