// Rungs 4 and 5 of attention.c: how tiles are turned, attention_tiles.h for each kind of vector, and the loops over
// tiles, by one thread or several.

#ifndef ATTENTION_VECTOR_H
#define ATTENTION_VECTOR_H

// One head's queries and gradients of outputs, each tile of them turned: (D, TILE), and the rows' numbers, with
// zeros behind the last query; and the room for the scores of one tile.
typedef struct {
    float *q, *grad_o, *lse, *delta, *p, *grad_p;
} TurnedHead;

// In a tile, lane c sees the keys 0 … past + c. Keys are taken `strip_height` at a time: all at once where every lane
// sees them, else by STRIP, so that the lanes before the first one that sees any need not be computed.
static inline int64_t strip_height(int64_t keys, int64_t past) { return past >= keys - 1 ? keys : STRIP; }
static inline int64_t first_lane(int64_t key, int64_t past) { return at_least_0(key - past) / STRIP * STRIP; }

// How many keys of the tile were computed for lane c.
static inline int64_t keys_of_strip(int64_t keys, int64_t past, int64_t c) {
    return least_of(keys, whole_strips(at_least_0(past + c / STRIP * STRIP + STRIP)));
}

// to[c to_row + r] = from[r from_row + c] scale, for 4 rows and 4 columns.
static inline void turn_4(const float *from, int64_t from_row, float scale, float *to, int64_t to_row) {
#if defined(__x86_64__)
    __m128 row[4], factor = _mm_set1_ps(scale);
    for (int r = 0; r < 4; r++) row[r] = _mm_mul_ps(_mm_loadu_ps(from + r * from_row), factor);
    _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
    for (int c = 0; c < 4; c++) _mm_storeu_ps(to + c * to_row, row[c]);
#else
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++) to[c * to_row + r] = from[r * from_row + c] * scale;
#endif
}

// rows (at most TILE) of D numbers become D rows of TILE: lane i holds row i times scale, or 0 where there is none.
static void turn(const float *from, int64_t rows, int64_t D, float scale, float *to) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4)
        for (int64_t d = 0; d < D; d += 4) turn_4(from + i * D + d, D, scale, to + d * TILE + i, TILE);
    for (; i < TILE; i++)
        for (int64_t d = 0; d < D; d++) to[d * TILE + i] = i < rows ? from[i * D + d] * scale : 0;
}

static void turn_back(const float *from, int64_t rows, int64_t D, float *to) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4)
        for (int64_t d = 0; d < D; d += 4) turn_4(from + d * TILE + i, TILE, 1, to + i * D + d, D);
    for (; i < rows; i++)
        for (int64_t d = 0; d < D; d++) to[i * D + d] = from[d * TILE + i];
}

// --- the kinds of vectors ----------------------------------------------------------------------------------------

static const float COUNT[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define BLOCK 6  // rows of a block of sums
#define VECTOR_CODE "attention_tiles.h"
#include "each_vector.h"

// --- the loops over tiles ----------------------------------------------------------------------------------------

typedef void ForwardTile(const AttentionJob *head, int64_t i0, float *work);
typedef void BackwardTile(const AttentionJob *head, const TurnedHead *turned, int64_t i0, int64_t j0);

#if defined(__x86_64__)
static ForwardTile *const FORWARD[] = {tile_forward_plain, tile_forward_avx2, tile_forward_avx512};
static BackwardTile *const BACKWARD[] = {tile_backward_plain, tile_backward_avx2, tile_backward_avx512};
#else
static ForwardTile *const FORWARD[] = {tile_forward_plain};
static BackwardTile *const BACKWARD[] = {tile_backward_plain};
#endif

// How many paths this machine can run: PLAIN is always one, and the last is the fastest.
int attention_paths(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f")) return AVX512 + 1;
    if (avx2) return AVX2 + 1;
#endif
    return PLAIN + 1;
}

// The limit of speed: the operations of n rounds of multiply-adds and nothing else, to be divided by the time.
double attention_peak(int path, int64_t n) {
    float result[16] = {0.999f, 0.001f};
#if defined(__x86_64__)
    if (path == AVX512) return tile_peak_avx512(n, result);
    if (path == AVX2) return tile_peak_avx2(n, result);
#endif
    (void)path;
    return tile_peak_plain(n, result);
}

static int this_thread(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

// Working memory of a thread: a tile of queries, of outputs and of scores, and the running max and sum.
static int64_t floats_of_forward(const AttentionJob *job) { return 2 * TILE * job->D + TILE * TILE + 2 * TILE; }

static void forward_by_threads(const AttentionJob *job, int path, int threads, float *work) {
    int64_t tiles = whole_tiles(job->Tq) / TILE;
    (void)threads;  // without OpenMP nobody asks
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t t = 0; t < job->B * job->H * tiles; t++) {
        AttentionJob head = head_of(job, t / tiles / job->H, t / tiles % job->H);
        int64_t tile = tiles - 1 - t % tiles;  // those with the most keys first
        FORWARD[path](&head, tile * TILE, work + this_thread() * floats_of_forward(job));
    }
}

static void turn_head(const AttentionJob *head, TurnedHead *turned) {
    for (int64_t i0 = 0; i0 < head->Tq; i0 += TILE) {
        int64_t rows = least_of(TILE, head->Tq - i0);
        turn(head->q + i0 * head->D, rows, head->D, head->scale, turned->q + i0 * head->D);
        turn(head->grad_o + i0 * head->D, rows, head->D, 1, turned->grad_o + i0 * head->D);
    }
    row_means(head, turned->delta);
    memcpy(turned->lse, head->lse, (size_t)head->Tq * sizeof(float));
    for (int64_t i = head->Tq; i < whole_tiles(head->Tq); i++) turned->lse[i] = turned->delta[i] = 0;
}

static void set_0(float *to, int64_t n) { memset(to, 0, (size_t)n * sizeof(float)); }

// The query heads of one key head, one after the other, so that their shares of grad_k and grad_v add up; of its key
// tiles each `splits`-th from `split` on. Several splits add to grad_q at once: those after the first, to a share.
static void backward_of_group(const AttentionJob *job, int path, int64_t group, int64_t split, int64_t splits,
                              float *shares, float *work) {
    int64_t b = group / job->K, heads = job->H / job->K, first = group % job->K * heads, D = job->D;
    int64_t rows = whole_tiles(job->Tq), all = job->B * job->H * job->Tq * D;
    TurnedHead turned = {.q = work, .grad_o = work + rows * D, .lse = work + 2 * rows * D};
    turned.delta = turned.lse + rows, turned.p = turned.delta + rows, turned.grad_p = turned.p + TILE * TILE;
    for (int64_t h = first; h < first + heads; h++) {
        AttentionJob head = head_of(job, b, h);
        if (split) head.grad_q = shares + (split - 1) * all + (head.grad_q - job->grad_q);
        turn_head(&head, &turned);
        set_0(head.grad_q, head.Tq * D);
        for (int64_t j0 = split * TILE; j0 < head.Tk; j0 += splits * TILE) {
            if (h == first) {
                set_0(head.grad_k + j0 * D, least_of(TILE, head.Tk - j0) * D);
                set_0(head.grad_v + j0 * D, least_of(TILE, head.Tk - j0) * D);
            }
            for (int64_t i0 = first_query_tile(&head, j0); i0 < head.Tq; i0 += TILE)
                BACKWARD[path](&head, &turned, i0, j0);
        }
    }
}

// With fewer groups than threads, the key tiles of a group are split.
static int64_t splits_of(const AttentionJob *job, int threads) {
    int64_t groups = job->B * job->K;
    return (threads + groups - 1) / groups;
}

// A thread's turned head, and the shares of grad_q.
static int64_t floats_of_group(const AttentionJob *job) {
    return 2 * whole_tiles(job->Tq) * (job->D + 1) + 2 * TILE * TILE;
}

static int64_t floats_of_backward(const AttentionJob *job, int threads) {
    int64_t all = job->B * job->H * job->Tq * job->D;
    return threads * floats_of_group(job) + (splits_of(job, threads) - 1) * all;
}

static void backward_by_threads(const AttentionJob *job, int path, int threads, float *work) {
    int64_t splits = splits_of(job, threads), all = job->B * job->H * job->Tq * job->D;
    int64_t floats = floats_of_group(job);
    float *shares = work + threads * floats;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t t = 0; t < job->B * job->K * splits; t++)
        backward_of_group(job, path, t / splits, t % splits, splits, shares, work + this_thread() * floats);
    for (int64_t split = 1; split < splits; split++)
#pragma omp parallel for num_threads(threads)
        for (int64_t n = 0; n < all; n++) job->grad_q[n] += shares[(split - 1) * all + n];
}

#endif
