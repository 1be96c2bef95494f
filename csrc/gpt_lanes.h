// The row functions of gpt.h's rungs 3 and 4 in vector code, in the words of each_vector.h: norm, gelu, softmax, loss,
// AdamW.
//
// Where a row's length is no multiple of LANES, its last vector is loaded and stored by n: EACH does both.

// for each vector of n numbers: at, where it begins, and have, how many numbers it holds
#define EACH(n) for (int64_t at = 0, have; have = (n) - at < LANES ? (n) - at : LANES, at < (n); at += LANES)
#define GET(p) (have == LANES ? LOAD((p) + at) : LOADN((p) + at, have))
#define PUT(p, x)                                   \
    do {                                            \
        VECTOR put = (x);                           \
        if (have == LANES) STORE((p) + at, put);    \
        else STOREN((p) + at, put, have);           \
    } while (0)

static inline TARGET float NAMED(add_lanes)(VECTOR x) {
    float lanes[LANES], sum = 0;
    STORE(lanes, x);
    for (int i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

// --- layer norm ----------------------------------------------------------------------------------------------------

static inline TARGET void NAMED(norm_row)(int64_t C, float eps, const float *x, const float *w, const float *b,
                                          float *y, float *stats) {
    VECTOR sum = ALL(0.0f), squares = ALL(0.0f);
    EACH(C) sum = ADD(sum, GET(x));
    float mean = NAMED(add_lanes)(sum) / (float)C;
    int64_t whole = C / LANES * LANES;
    for (int64_t c = 0; c < whole; c += LANES) {
        VECTOR z = SUB(LOAD(x + c), ALL(mean));
        squares = FMA(z, z, squares);
    }
    float variance = NAMED(add_lanes)(squares);
    for (int64_t c = whole; c < C; c++) variance += (x[c] - mean) * (x[c] - mean);
    float scale = 1 / sqrtf(variance / (float)C + eps);
    EACH(C) PUT(y, FMA(MUL(SUB(GET(x), ALL(mean)), ALL(scale)), GET(w), GET(b)));
    stats[0] = mean, stats[1] = scale;
}

static inline TARGET void NAMED(norm_backward_row)(int64_t C, const float *x, const float *stats, const float *w,
                                            const float *dy, float *dx) {
    VECTOR mean = ALL(stats[0]), scale = ALL(stats[1]), sum = ALL(0.0f), sum_z = ALL(0.0f);
    EACH(C) {
        VECTOR dz = MUL(GET(dy), GET(w));  // 0 behind the end
        sum = ADD(sum, dz);
        sum_z = FMA(dz, MUL(SUB(GET(x), mean), scale), sum_z);
    }
    VECTOR mean_dz = ALL(NAMED(add_lanes)(sum) / (float)C), mean_dz_z = ALL(NAMED(add_lanes)(sum_z) / (float)C);
    EACH(C) {
        VECTOR z = MUL(SUB(GET(x), mean), scale), dz = SUB(MUL(GET(dy), GET(w)), mean_dz);
        PUT(dx, FMA(SUB(dz, MUL(z, mean_dz_z)), scale, GET(dx)));
    }
}

// dw += the sum of dy z over the rows, db += that of dy, for n of the C columns.
static inline TARGET void NAMED(norm_weights)(int64_t M, int64_t C, int64_t n, const float *x, const float *stats,
                                       const float *dy, float *dw, float *db) {
    EACH(n) {
        VECTOR sum = ALL(0.0f), sum_z = ALL(0.0f);
        for (int64_t i = 0; i < M; i++) {
            VECTOR d = GET(dy + i * C);
            sum = ADD(sum, d);
            sum_z = FMA(d, MUL(SUB(GET(x + i * C), ALL(stats[2 * i])), ALL(stats[2 * i + 1])), sum_z);
        }
        PUT(dw, ADD(GET(dw), sum_z));
        PUT(db, ADD(GET(db), sum));
    }
}

// db += the sum of dy's M rows, for n of the N columns.
static inline TARGET void NAMED(add_rows)(int64_t M, int64_t N, int64_t n, const float *dy, float *db) {
    EACH(n) {
        VECTOR sum = ALL(0.0f);
        for (int64_t i = 0; i < M; i++) sum = ADD(sum, GET(dy + i * N));
        PUT(db, ADD(GET(db), sum));
    }
}

// --- what follows a product ----------------------------------------------------------------------------------------

// x (1 + tanh u) / 2 = x / (1 + e^-2u)
static inline TARGET VECTOR NAMED(gelu)(VECTOR x) {
    VECTOR bend = FMA(ALL(0.044715f), MUL(x, x), ALL(1.0f)), e = EXP(MUL(MUL(ALL(-2 * 0.797884561f), x), bend));
    return DIV(x, ADD(ALL(1.0f), e));
}

// With s = 1 / (1 + e^-2u):  s + x s (1 - s) 2 u'
static inline TARGET VECTOR NAMED(slope)(VECTOR x) {
    VECTOR square = MUL(x, x), one = ALL(1.0f);
    VECTOR e = EXP(MUL(MUL(ALL(-2 * 0.797884561f), x), FMA(ALL(0.044715f), square, one)));
    VECTOR s = DIV(one, ADD(one, e)), bend = FMA(ALL(6 * 0.044715f * 0.797884561f), square, ALL(2 * 0.797884561f));
    return MUL(s, FMA(MUL(x, SUB(one, s)), bend, one));
}

// A row of the result, n numbers.
static inline TARGET void NAMED(finish)(const Finish *f, int64_t n, float *c) {
    if (f->bias && f->from) EACH(n) PUT(c, ADD(ADD(GET(c), GET(f->bias)), GET(f->from)));
    else if (f->bias && f->act)
        EACH(n) {
            VECTOR x = ADD(GET(c), GET(f->bias));
            PUT(c, x);
            PUT(f->act, NAMED(gelu)(x));
        }
    else if (f->bias) EACH(n) PUT(c, ADD(GET(c), GET(f->bias)));
    else if (f->up) EACH(n) PUT(c, MUL(GET(c), NAMED(slope)(GET(f->up))));
}

// --- softmax -------------------------------------------------------------------------------------------------------

// s (n,): scores become probabilities. Returns the logarithm of the sum of e^(scale s).
static inline TARGET float NAMED(softmax_row)(int64_t n, float scale, float *s) {
    VECTOR top = ALL(-INFINITY), sum = ALL(0.0f);
    int64_t whole = n / LANES * LANES;
    float max = -INFINITY, total, lanes[LANES];
    for (int64_t j = 0; j < whole; j += LANES) top = MAX(LOAD(s + j), top);
    STORE(lanes, top);
    for (int i = 0; i < LANES; i++) max = lanes[i] > max ? lanes[i] : max;
    for (int64_t j = whole; j < n; j++) max = s[j] > max ? s[j] : max;
    for (int64_t j = 0; j < whole; j += LANES) {
        VECTOR e = EXP(MUL(SUB(LOAD(s + j), ALL(max)), ALL(scale)));
        STORE(s + j, e);
        sum = ADD(sum, e);
    }
    total = NAMED(add_lanes)(sum);
    if (whole < n) {
        float rest[LANES] = {0};
        STORE(rest, EXP(MUL(SUB(LOADN(s + whole, n - whole), ALL(max)), ALL(scale))));
        for (int64_t j = whole; j < n; j++) total += s[j] = rest[j - whole];
    }
    EACH(n) PUT(s, MUL(GET(s), ALL(1 / total)));
    return max * scale + logf(total);
}

// s and dp (n,): scores and the gradients of the probabilities become probabilities and the gradients of the scores.
static inline TARGET void NAMED(softmax_backward_row)(int64_t n, float scale, float lse, float mean, float *s,
                                                      float *dp) {
    EACH(n) {
        VECTOR p = EXP(SUB(MUL(GET(s), ALL(scale)), ALL(lse)));
        PUT(s, p);
        PUT(dp, MUL(MUL(p, ALL(scale)), SUB(GET(dp), ALL(mean))));
    }
}

static inline TARGET float NAMED(dot)(int64_t n, const float *x, const float *y) {
    VECTOR sum = ALL(0.0f);
    EACH(n) sum = FMA(GET(x), GET(y), sum);
    return NAMED(add_lanes)(sum);
}

// --- the output layer ----------------------------------------------------------------------------------------------

// Takes n logits of a row into its largest so far and its sum of e^(x - largest), LANES of each: lanes are joined when
// the row is complete. Four vectors at a time, so that few sums have to be multiplied because the largest grew.
static inline TARGET void NAMED(take_logits)(int64_t n, const float *x, float *most, float *sums) {
    VECTOR before = LOAD(most), sum = LOAD(sums);
    for (int64_t j = 0; j < n; j += 4 * LANES) {
        float rest[4 * LANES];
        const float *four = x + j;
        for (int64_t i = 0; n - j < 4 * LANES && i < 4 * LANES; i++) {
            rest[i] = j + i < n ? x[j + i] : -INFINITY;
            four = rest;
        }
        VECTOR now = MAX(MAX(LOAD(four), LOAD(four + LANES)), MAX(LOAD(four + 2 * LANES), LOAD(four + 3 * LANES)));
        now = MAX(now, before);
        VECTOR low = ADD(EXP(SUB(LOAD(four), now)), EXP(SUB(LOAD(four + LANES), now)));
        VECTOR high = ADD(EXP(SUB(LOAD(four + 2 * LANES), now)), EXP(SUB(LOAD(four + 3 * LANES), now)));
        sum = FMA(sum, EXP(SUB(before, now)), ADD(low, high));
        before = now;
    }
    STORE(most, before);
    STORE(sums, sum);
}

// p = e^(x - lse) scale for n logits of a row.
static inline TARGET void NAMED(probabilities)(int64_t n, float lse, float scale, const float *x, float *p) {
    EACH(n) PUT(p, MUL(EXP(SUB(GET(x), ALL(lse))), ALL(scale)));
}

// --- the step ------------------------------------------------------------------------------------------------------

static inline TARGET void NAMED(adamw)(int64_t n, AdamwStep s, float *p, const float *g, float *m, float *v) {
    VECTOR part1 = ALL(1 - s.beta1), part2 = ALL(1 - s.beta2), keep2 = ALL(s.beta2), eps = ALL(s.eps);
    VECTOR keep = ALL(s.keep), rate = ALL(s.rate), correct = ALL(s.correct);
    EACH(n) {
        VECTOR grad = GET(g), first = GET(m), second = MUL(GET(v), keep2);
        first = FMA(SUB(grad, first), part1, first);
        second = FMA(MUL(grad, grad), part2, second);
        PUT(m, first);
        PUT(v, second);
        VECTOR step = DIV(MUL(rate, first), FMA(SQRT(second), correct, eps));
        PUT(p, SUB(MUL(GET(p), keep), step));
    }
}

static const GptPath NAMED(PATH_OF) = {
    NAMED(norm_row), NAMED(norm_backward_row), NAMED(norm_weights), NAMED(add_rows), NAMED(finish), NAMED(softmax_row),
    NAMED(softmax_backward_row), NAMED(dot), NAMED(take_logits), NAMED(probabilities), NAMED(adamw),
};

#undef EACH
#undef GET
#undef PUT
