// Rung 4 of attention.c: tiles of attention by vector code, in the words of each_vector.h.
//
// Every tile is turned: a row for each key (or each of the D columns), a lane for each query. A tile's 64 queries
// then go through online softmax side by side, each in its own lane, and no sum ever runs across a vector.

// c (+)= a b for R rows and N vectors of columns. The R N vectors of sums stay in registers; each step loads N
// vectors of b and R single numbers of a, and makes R N products of them. R and N are plain numbers where this is
// called, so that the compiler unrolls the loops.
static inline TARGET __attribute__((always_inline)) void NAMED(tile_block)(
    const int R, const int N, int64_t depth, const float *a, int64_t a_row, int64_t a_step, const float *b,
    int64_t b_row, float *c, int64_t c_row, bool add) {
    VECTOR sum[BLOCK][WIDTH], line[WIDTH];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) sum[r][n] = add ? LOAD(c + r * c_row + n * LANES) : ALL(0.0f);
    for (int64_t k = 0; k < depth; k++) {
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) line[n] = LOAD(b + k * b_row + n * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            VECTOR one = ALL(a[r * a_row + k * a_step]);
#pragma GCC unroll 8
            for (int n = 0; n < N; n++) sum[r][n] = FMA(one, line[n], sum[r][n]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) STORE(c + r * c_row + n * LANES, sum[r][n]);
}

// c (rows, columns) = a (rows, depth) b (depth, columns), or += with add. Number (r, k) of a is at r a_row + k a_step,
// so a may be read turned; b and c are read along their rows. columns: a multiple of STRIP.
static TARGET void NAMED(tile_product)(int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t a_row,
                                int64_t a_step, const float *b, int64_t b_row, float *c, int64_t c_row, bool add) {
    for (int64_t x = 0, n; x < columns; x += n * LANES) {
        n = columns - x < WIDTH * LANES ? (columns - x) / LANES : WIDTH;
        for (int64_t y = 0, r; y < rows; y += r) {
            r = rows - y >= BLOCK ? BLOCK : rows - y >= 4 ? 4 : rows - y >= 2 ? 2 : 1;
#define CASE(R, N)                                                                                                  \
    case R * 8 + N:                                                                                                 \
        NAMED(tile_block)(R, N, depth, a + y * a_row, a_row, a_step, b + x, b_row, c + y * c_row + x, c_row, add);         \
        break;
#define CASES(N) CASE(BLOCK, N) CASE(4, N) CASE(2, N) CASE(1, N)
            switch (r * 8 + n) {
                CASES(1) CASES(2)
#if WIDTH == 4
                CASES(3) CASES(4)
#endif
            }
#undef CASES
#undef CASE
        }
    }
}

// Online softmax of one tile: scores p (keys, lanes) become exp(score - max), max being the largest score of each lane
// so far. total is the sum so far, o (D, lanes) the output so far: when max grows, both shrink by the same factor.
static TARGET void NAMED(tile_softmax)(int64_t keys, int64_t lanes, int64_t past, int64_t D, float *p, float *max,
                                float *total, float *o) {
    for (int64_t c = 0; c < lanes; c += LANES) {
        int64_t seen = keys_of_strip(keys, past, c);
        VECTOR last = ADD(ALL((float)(past + c)), LOAD(COUNT)), before = LOAD(max + c), now = before;
        for (int64_t j = at_least_0(past + c + 1); j < seen; j++)  // the keys that some lane must not see
            STORE(p + j * TILE + c, KEEP(last, ALL((float)j), LOAD(p + j * TILE + c), ALL(-INFINITY)));
        for (int64_t j = 0; j < seen; j++) now = MAX(now, LOAD(p + j * TILE + c));
        VECTOR factor = EXP(SUB(before, now)), sum = MUL(LOAD(total + c), factor);
        for (int64_t j = 0; j < seen; j++) {
            VECTOR e = EXP(SUB(LOAD(p + j * TILE + c), now));
            STORE(p + j * TILE + c, e);
            sum = ADD(sum, e);
        }
        STORE(max + c, now);
        STORE(total + c, sum);
        for (int64_t d = 0; d < D; d++) STORE(o + d * TILE + c, MUL(LOAD(o + d * TILE + c), factor));
    }
}

// The output of the queries i0 … i0 + 63, and the logarithm of their sums. work: floats_of_forward numbers.
static TARGET void NAMED(tile_forward)(const AttentionJob *head, int64_t i0, float *work) {
    int64_t D = head->D, rows = least_of(TILE, head->Tq - i0), lanes = whole_strips(rows);
    int64_t shift = i0 + head->Tk - head->Tq;  // the query of lane c sees the keys 0 … shift + c
    float *q = work, *o = q + D * TILE, *p = o + D * TILE, *max = p + TILE * TILE, *total = max + TILE;
    turn(head->q + i0 * D, rows, D, head->scale, q);
    for (int64_t n = 0; n < D * TILE; n++) o[n] = 0;
    for (int c = 0; c < TILE; c++) max[c] = -INFINITY, total[c] = 0;
    for (int64_t j0 = 0; j0 < shift + rows; j0 += TILE) {
        int64_t keys = least_of(TILE, shift + rows - j0), past = shift - j0, strip = strip_height(keys, past), first;
        const float *k = head->k + j0 * D, *v = head->v + j0 * D;
        for (int64_t r = 0, n; r < keys && (first = first_lane(r, past)) < lanes; r += n) {
            n = least_of(strip, keys - r);
            NAMED(tile_product)(n, lanes - first, D, k + r * D, D, 1, q + first, TILE, p + r * TILE + first, TILE, false);
        }
        NAMED(tile_softmax)(keys, lanes, past, D, p, max, total, o);
        for (int64_t r = 0, n; r < keys && (first = first_lane(r, past)) < lanes; r += n) {
            n = least_of(strip, keys - r);
            NAMED(tile_product)(D, lanes - first, n, v + r * D, 1, D, p + r * TILE + first, TILE, o + first, TILE, true);
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        head->lse[i0 + i] = max[i] + logf(total[i]);
        total[i] = 1 / total[i];
    }
    for (int64_t d = 0; d < D; d++)
        for (int64_t c = 0; c < lanes; c++) o[d * TILE + c] *= total[c];
    turn_back(o, rows, D, head->o + i0 * D);
}

// From scores p (keys, lanes) and gradients of the probabilities grad (keys, lanes): the probabilities, found again
// from the logarithm of their sum, and the gradients of the scores, times the scale.
static TARGET void NAMED(tile_grads)(int64_t keys, int64_t lanes, int64_t past, float scale, const float *lse,
                              const float *delta, float *p, float *grad) {
    for (int64_t c = 0; c < lanes; c += LANES) {
        int64_t seen = keys_of_strip(keys, past, c);
        VECTOR last = ADD(ALL((float)(past + c)), LOAD(COUNT)), log_sum = LOAD(lse + c), mean = LOAD(delta + c);
        for (int64_t j = 0; j < seen; j++) {
            VECTOR e = EXP(SUB(LOAD(p + j * TILE + c), log_sum));
            if (j > past + c) e = KEEP(last, ALL((float)j), e, ALL(0.0f));
            STORE(p + j * TILE + c, e);
            STORE(grad + j * TILE + c, MUL(MUL(e, ALL(scale)), SUB(LOAD(grad + j * TILE + c), mean)));
        }
    }
}

// What the queries of the tile at i0 and the keys of the tile at j0 add to the gradients of q, k and v.
static TARGET void NAMED(tile_backward)(const AttentionJob *head, const TurnedHead *turned, int64_t i0, int64_t j0) {
    int64_t D = head->D, rows = least_of(TILE, head->Tq - i0), lanes = whole_strips(rows);
    int64_t past = i0 + head->Tk - head->Tq - j0, keys = least_of(TILE, head->Tk - j0);
    int64_t strip = strip_height(keys, past), first;
    const float *q = head->q + i0 * D, *grad_o = head->grad_o + i0 * D;
    float *p = turned->p, *grad = turned->grad_p;
    for (int64_t r = 0, n; r < keys && (first = first_lane(r, past)) < lanes; r += n) {
        n = least_of(strip, keys - r);
        int64_t at = r * TILE + first, row = (j0 + r) * D;
        NAMED(tile_product)(n, lanes - first, D, head->k + row, D, 1, turned->q + i0 * D + first, TILE, p + at, TILE, false);
        NAMED(tile_product)(n, lanes - first, D, head->v + row, D, 1, turned->grad_o + i0 * D + first, TILE, grad + at, TILE,
                     false);
    }
    NAMED(tile_grads)(keys, lanes, past, head->scale, turned->lse + i0, turned->delta + i0, p, grad);
    for (int64_t r = 0, n; r < keys && (first = first_lane(r, past)) < rows; r += n) {
        n = least_of(strip, keys - r);
        int64_t at = r * TILE + first, row = (j0 + r) * D, m = rows - first;
        NAMED(tile_product)(n, D, m, p + at, TILE, 1, grad_o + first * D, D, head->grad_v + row, D, true);
        NAMED(tile_product)(n, D, m, grad + at, TILE, 1, q + first * D, D, head->grad_k + row, D, true);
        NAMED(tile_product)(m, D, n, grad + at, 1, TILE, head->k + row, D, head->grad_q + (i0 + first) * D, D, true);
    }
}

// Does n times 12 independent multiply-adds of vectors: nothing computes faster. Returns the operations done.
static TARGET double NAMED(tile_peak)(int64_t n, float *result) {
    VECTOR sum[12], x = ALL(result[0]), y = ALL(result[1]);
#pragma GCC unroll 12
    for (int r = 0; r < 12; r++) sum[r] = ALL((float)r);
    for (int64_t k = 0; k < n; k++)
#pragma GCC unroll 12
        for (int r = 0; r < 12; r++) sum[r] = FMA(sum[r], x, y);
#pragma GCC unroll 12
    for (int r = 1; r < 12; r++) sum[0] = ADD(sum[0], sum[r]);
    STORE(result, sum[0]);
    return 2.0 * 12 * LANES * (double)n;
}
