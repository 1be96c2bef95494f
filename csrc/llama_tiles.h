// The vector code of llama.h: RMSNorm, SwiGLU, and attention of a few queries over the cache, in the words of
// each_vector.h.
//
// A row's sums are taken in an order that depends on the row's length only: it makes no difference to a row which
// others are computed beside it.

// The sum and the maximum of a vector's lanes, in a fixed order.
static inline TARGET float NAMED(sum_lanes)(VECTOR x) {
    float lanes[LANES], sum = 0.0f;
    STORE(lanes, x);
    for (int i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

static inline TARGET float NAMED(max_lanes)(VECTOR x) {
    float lanes[LANES], max = -INFINITY;
    STORE(lanes, x);
    for (int i = 0; i < LANES; i++) max = lanes[i] > max ? lanes[i] : max;
    return max;
}

// y = x / sqrt(mean(x^2) + eps) * weight, for n numbers.
static TARGET void NAMED(norm)(const float *x, const float *weight, int64_t n, float eps, float *y) {
    VECTOR sums[2] = {ALL(0.0f), ALL(0.0f)};
    float sum = 0.0f;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (int s = 0; s < 2; s++) {
            VECTOR part = LOAD(x + i + s * LANES);
            sums[s] = FMA(part, part, sums[s]);
        }
    for (; i < n; i++) sum += x[i] * x[i];
    sum += NAMED(sum_lanes)(ADD(sums[0], sums[1]));
    float scale = 1.0f / sqrtf(sum / (float)n + eps);
    for (i = 0; i + LANES <= n; i += LANES) STORE(y + i, MUL(MUL(LOAD(x + i), ALL(scale)), LOAD(weight + i)));
    for (; i < n; i++) y[i] = x[i] * scale * weight[i];
}

// gate = gate / (1 + e^-gate) * up, for n numbers.
static TARGET void NAMED(swiglu)(float *gate, const float *up, int64_t n) {
    float edge[2][LANES] = {{0}};
    for (int64_t i = 0; i < n; i += LANES) {
        bool whole = i + LANES <= n;
        if (!whole) memcpy(edge[0], gate + i, (size_t)(n - i) * 4), memcpy(edge[1], up + i, (size_t)(n - i) * 4);
        VECTOR g = LOAD(whole ? gate + i : edge[0]), u = LOAD(whole ? up + i : edge[1]);
        VECTOR below = ADD(ALL(1.0f), EXP(SUB(ALL(0.0f), g)));
        STORE(whole ? gate + i : edge[0], MUL(DIV(g, below), u));
        if (!whole) memcpy(gate + i, edge[0], (size_t)(n - i) * 4);
    }
}

// The sum of n numbers, n a multiple of 128, by as many loads at once as memory can answer: how fast it can be read.
static TARGET float NAMED(read)(const float *x, int64_t n) {
    VECTOR sums[8];
    float sum = 0.0f;
    for (int s = 0; s < 8; s++) sums[s] = ALL(0.0f);
    for (int64_t i = 0; i < n; i += 8 * LANES)
#pragma GCC unroll 8
        for (int s = 0; s < 8; s++) {
            __builtin_prefetch(x + i + s * LANES + 1024);
            sums[s] = ADD(sums[s], LOAD(x + i + s * LANES));
        }
    for (int s = 0; s < 8; s++) sum += NAMED(sum_lanes)(sums[s]);
    return sum;
}

// --- attention -----------------------------------------------------------------------------------------------------

enum { NAMED(STRIP) = KEYS / LANES };  // vectors in a block of 16 keys, or in 16 columns of the values

// Scores of R queries and N blocks of keys, from block b on: s[r][block] = q[r] . k, a lane for each key.
static inline TARGET __attribute__((always_inline)) void NAMED(score_blocks)(const int R, const int N,
                                                                             const Attend *a, int64_t b) {
    enum { W = NAMED(STRIP) };
    VECTOR sum[4 * W];  // (R, N, W) of them are used
    const float *k = a->k + b * KEYS * a->D;
#pragma GCC unroll 16
    for (int i = 0; i < R * N * W; i++) sum[i] = ALL(0.0f);
    for (int64_t d = 0; d < a->D; d++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
#pragma GCC unroll 4
            for (int w = 0; w < W; w++) {
                VECTOR line = LOAD(k + n * KEYS * a->D + d * KEYS + w * LANES);
#pragma GCC unroll 4
                for (int r = 0; r < R; r++)
                    sum[(r * N + n) * W + w] = FMA(ALL(a->q[r][d]), line, sum[(r * N + n) * W + w]);
            }
#pragma GCC unroll 16
    for (int i = 0; i < R * N * W; i++) STORE(a->p[i / (N * W)] + b * KEYS + i % (N * W) * LANES, sum[i]);
}

// Adds up the values of the keys, each as often as p says: N strips of 16 columns from column c on, for R queries.
static inline TARGET __attribute__((always_inline)) void NAMED(value_strips)(const int R, const int N,
                                                                             const Attend *a, int64_t c) {
    enum { W = NAMED(STRIP) };
    VECTOR sum[4 * W];
    const float *v = a->v + c;
#pragma GCC unroll 16
    for (int i = 0; i < R * N * W; i++) sum[i] = ALL(0.0f);
    for (int64_t j = 0; j < a->longest; j++, v += a->V)
#pragma GCC unroll 16
        for (int n = 0; n < N * W; n++) {
            VECTOR line = LOAD(v + n * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) sum[r * N * W + n] = FMA(ALL(a->p[r][j]), line, sum[r * N * W + n]);
        }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 16
        for (int n = 0; n < N * W; n++)
            STORE(a->y[r] + c + n * LANES, MUL(sum[r * N * W + n], ALL(a->factor[r])));
}

// p = e^(p - max) for the first `seen` of n numbers, 0 for the others; n is whole blocks. Returns 1 / sum(p).
static TARGET float NAMED(softmax)(float *p, int64_t seen, int64_t n) {
    for (int64_t j = seen; j < n; j++) p[j] = -INFINITY;
    VECTOR max = ALL(-INFINITY), sum = ALL(0.0f);
    for (int64_t j = 0; j < n; j += LANES) max = MAX(max, LOAD(p + j));
    max = ALL(NAMED(max_lanes)(max));
    for (int64_t j = 0; j < n; j += LANES) {
        VECTOR e = EXP(SUB(LOAD(p + j), max));
        STORE(p + j, e);
        sum = ADD(sum, e);
    }
    return 1.0f / NAMED(sum_lanes)(sum);
}

// R and N are plain numbers here, so that the compiler unrolls the loops and keeps the sums in registers.
#define CASES(function, position)                                               \
    switch (a->rows * 8 + n) {                                                  \
        case 8 + 1: NAMED(function)(1, 1, a, position); break;                  \
        case 8 + 2: NAMED(function)(1, 2, a, position); break;                  \
        case 8 + 4: NAMED(function)(1, 4, a, position); break;                  \
        case 16 + 1: NAMED(function)(2, 1, a, position); break;                 \
        case 16 + 2: NAMED(function)(2, 2, a, position); break;                 \
        case 32 + 1: NAMED(function)(4, 1, a, position); break;                 \
    }

// y = softmax(q k) v for 1, 2 or 4 queries.
static TARGET void NAMED(attend)(Attend *a) {
    int64_t blocks = (a->longest + KEYS - 1) / KEYS, strips = a->V / KEYS, most = 4 / a->rows, n;
    for (int64_t b = 0; b < blocks; b += n) {
        n = blocks - b >= most ? most : blocks - b >= 2 && most >= 2 ? 2 : 1;
        CASES(score_blocks, b)
    }
    for (int r = 0; r < a->rows; r++) a->factor[r] = NAMED(softmax)(a->p[r], a->seen[r], blocks * KEYS);
    for (int64_t s = 0; s < strips; s += n) {
        n = strips - s >= most ? most : strips - s >= 2 && most >= 2 ? 2 : 1;
        CASES(value_strips, s * KEYS)
    }
}

#undef CASES
