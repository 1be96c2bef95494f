// A place where threads wait for one another: none goes on before all have come.
//
// OpenMP has one (`#pragma omp barrier`), whose threads wait by looking again and again, for some thousandths of a
// second. That is the quickest while each thread has a core. Where another program takes one of the cores, it is the
// slowest there is: the thread that looks keeps a core busy, and the one it is looking for stands in line for the other.
// A pass of a model waits a hundred times, and a token that took 15 ms takes half a second. So a thread looks for some
// hundred-thousandths of a second, and then lies down to sleep (a futex, Linux's own means), which frees its core for
// the other one.
//
//     Gate gate = {0};
//     … each of n threads, again and again: gate_wait(&gate, n);
//
// Paper: Drepper, "Futexes Are Tricky" (2011).

#ifndef GATE_H
#define GATE_H

#include <limits.h>
#include <stdatomic.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <sched.h>
#endif

enum { GATE_LOOKS = 2000 };  // before it sleeps: 30 millionths of a second or so

typedef struct {
    _Alignas(64) _Atomic int come;    // threads that wait
    _Alignas(64) _Atomic int opened;  // how often the gate has opened
    _Atomic int asleep;
} Gate;

static inline void gate_sleep(Gate *g, int opened) {
#if defined(__linux__)
    atomic_fetch_add(&g->asleep, 1);
    // The kernel compares once more: a gate that opened in between lets nobody fall asleep.
    while (atomic_load(&g->opened) == opened) syscall(SYS_futex, &g->opened, FUTEX_WAIT_PRIVATE, opened, NULL, NULL, 0);
    atomic_fetch_sub(&g->asleep, 1);
#else
    while (atomic_load(&g->opened) == opened) sched_yield();
#endif
}

// Returns when n threads have called it. What they wrote before is there for all of them afterwards.
static inline void gate_wait(Gate *g, int n) {
    int opened = atomic_load(&g->opened);
    if (atomic_fetch_add(&g->come, 1) == n - 1) {  // the last one opens
        atomic_store(&g->come, 0);
        atomic_fetch_add(&g->opened, 1);
#if defined(__linux__)
        if (atomic_load(&g->asleep)) syscall(SYS_futex, &g->opened, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#endif
        return;
    }
    for (int i = 0; i < GATE_LOOKS; i++) {
        if (atomic_load_explicit(&g->opened, memory_order_acquire) != opened) return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    gate_sleep(g, opened);
}

#endif
