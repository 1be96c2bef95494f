// The innermost loops of linear.h for float weights: a panel of 32 rows of W times the tokens of a tile.
//
//     sums[t][r] = sum over k of W[r][k] x[t][k],    weights[k * 32 + r], x[k * T + t]
//
// The sums stay in registers while k runs. Weights of 16 bits are widened as they are loaded; their products are those
// of the floats they stand for.

// The number at a place of an array of floats of any kind.
LINEAR_INLINE float float_at(const LinearKind kind, const void *numbers, int64_t place) {
    if (kind == LINEAR_F16) return float_of_f16(((const uint16_t *)numbers)[place]);
    if (kind == LINEAR_BF16) return float_of_bf16(((const uint16_t *)numbers)[place]);
    return ((const float *)numbers)[place];
}

// Where panel p of the weights begins.
static inline const char *float_panel(const Linear *w, int64_t p) {
    return (const char *)w->weights + p * FLOAT_ROWS * w->columns * (w->kind == LINEAR_F32 ? 4 : 2);
}

// A tile's number of tokens is a constant where it is computed: then the compiler unrolls the loops, and the sums stay
// in registers. call(n) is made for the n that T is. (With sanitizers, which take long, one function for all n.)
#define TOKENS_4(call) case 1: call(1); break; case 2: call(2); break; case 3: call(3); break; case 4: call(4); break;
#define TOKENS_6(call) TOKENS_4(call) case 5: call(5); break; case 6: call(6); break;
#define TOKENS_8(call) TOKENS_6(call) case 7: call(7); break; case 8: call(8); break;
#define TOKENS_12(call) \
    TOKENS_8(call) case 9: call(9); break; case 10: call(10); break; case 11: call(11); break; case 12: call(12); break;
#if defined(__SANITIZE_ADDRESS__)
#define BY_TOKENS(T, cases, call) call(T);
#else
#define BY_TOKENS(T, cases, call) switch (T) { cases(call) }
#endif

// --- plain C: up to 4 tokens, eight rows at a time -----------------------------------------------------------------

LINEAR_INLINE void float_tile_plain(const Linear *w, const LinearKind kind, int64_t p, const float *x, int T,
                                    float *sums) {
    const char *panel = float_panel(w, p);
    for (int part = 0; part < FLOAT_ROWS; part += 8) {
        float sum[4][8] = {{0}}, wide[8];
        for (int64_t k = 0; k < w->columns; k++) {
            for (int r = 0; r < 8; r++) wide[r] = float_at(kind, panel, k * FLOAT_ROWS + part + r);
            for (int t = 0; t < T; t++)
                for (int r = 0; r < 8; r++) sum[t][r] += x[k * T + t] * wide[r];
        }
        for (int t = 0; t < T; t++) memcpy(sums + t * FLOAT_ROWS + part, sum[t], sizeof sum[t]);
    }
}

static inline void float_plain(const Linear *w, int64_t p, const float *x, int T, float *sums) {
    if (w->kind == LINEAR_F32) float_tile_plain(w, LINEAR_F32, p, x, T, sums);
    else if (w->kind == LINEAR_F16) float_tile_plain(w, LINEAR_F16, p, x, T, sums);
    else float_tile_plain(w, LINEAR_BF16, p, x, T, sums);
}

#if defined(__x86_64__)
#define LINEAR_AVX2 __attribute__((target("avx2,fma,f16c")))
#define LINEAR_AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni,avx2,fma,f16c")))

// Weights that come so many bytes later are asked for now, where several tokens keep the processor busy. It asks by
// itself when it reads on and on, which suffices for one token: asking twice made int8 a fifth slower (int4 faster).
enum { LINEAR_AHEAD = 4096 };

// --- AVX2: up to 6 tokens; all 32 rows at once for three of them at most, else 16 and then 16 ----------------------

LINEAR_INLINE LINEAR_AVX2 __m256 float_load_8(const LinearKind kind, const char *numbers, int64_t place) {
    if (kind == LINEAR_F32) return _mm256_load_ps((const float *)numbers + place);
    __m128i half = _mm_load_si128((const __m128i *)((const uint16_t *)numbers + place));
    if (kind == LINEAR_F16) return _mm256_cvtph_ps(half);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

LINEAR_INLINE LINEAR_AVX2 void float_tile_avx2(const Linear *w, const LinearKind kind, int64_t p, const float *x,
                                               const int T, float *sums) {
    const char *panel = float_panel(w, p);
    const int vectors = T <= 3 ? 4 : 2;
    for (int part = 0; part < FLOAT_ROWS; part += 8 * vectors) {
        __m256 sum[6][4], wide[4];
        for (int t = 0; t < T; t++)
            for (int v = 0; v < vectors; v++) sum[t][v] = _mm256_setzero_ps();
        for (int64_t k = 0; k < w->columns; k++) {
            for (int v = 0; v < vectors; v++) wide[v] = float_load_8(kind, panel, k * FLOAT_ROWS + part + 8 * v);
            for (int t = 0; t < T; t++) {
                __m256 number = _mm256_broadcast_ss(x + k * T + t);
                for (int v = 0; v < vectors; v++) sum[t][v] = _mm256_fmadd_ps(wide[v], number, sum[t][v]);
            }
        }
        for (int t = 0; t < T; t++)
            for (int v = 0; v < vectors; v++) _mm256_storeu_ps(sums + t * FLOAT_ROWS + part + 8 * v, sum[t][v]);
    }
}

LINEAR_INLINE LINEAR_AVX2 void float_tokens_avx2(const Linear *w, const LinearKind kind, int64_t p, const float *x,
                                                 int T, float *sums) {
#define CALL(n) float_tile_avx2(w, kind, p, x, n, sums)
    BY_TOKENS(T, TOKENS_6, CALL)
#undef CALL
}

static inline LINEAR_AVX2 void float_avx2(const Linear *w, int64_t p, const float *x, int T, float *sums) {
    if (w->kind == LINEAR_F32) float_tokens_avx2(w, LINEAR_F32, p, x, T, sums);
    else if (w->kind == LINEAR_F16) float_tokens_avx2(w, LINEAR_F16, p, x, T, sums);
    else float_tokens_avx2(w, LINEAR_BF16, p, x, T, sums);
}

// --- AVX-512: up to 12 tokens, two registers of sixteen rows each --------------------------------------------------

LINEAR_INLINE LINEAR_AVX512 __m512 float_load_16(const LinearKind kind, const char *numbers, int64_t place) {
    if (kind == LINEAR_F32) return _mm512_load_ps((const float *)numbers + place);
    __m256i half = _mm256_load_si256((const __m256i *)((const uint16_t *)numbers + place));
    if (kind == LINEAR_F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

LINEAR_INLINE LINEAR_AVX512 void float_tile_avx512(const Linear *w, const LinearKind kind, int64_t p, const float *x,
                                                   const int T, float *sums) {
    const char *panel = float_panel(w, p);
    const int size = kind == LINEAR_F32 ? 4 : 2;
    __m512 sum[MOST_TOKENS][2], wide[2];
    for (int t = 0; t < T; t++) sum[t][0] = sum[t][1] = _mm512_setzero_ps();
    for (int64_t k = 0; k < w->columns; k++) {
        if (T > 4)
            for (int line = 0; line < FLOAT_ROWS * size; line += 64)
                _mm_prefetch(panel + k * FLOAT_ROWS * size + line + LINEAR_AHEAD, _MM_HINT_T0);
        wide[0] = float_load_16(kind, panel, k * FLOAT_ROWS);
        wide[1] = float_load_16(kind, panel, k * FLOAT_ROWS + 16);
        for (int t = 0; t < T; t++) {
            __m512 number = _mm512_set1_ps(x[k * T + t]);
            sum[t][0] = _mm512_fmadd_ps(wide[0], number, sum[t][0]);
            sum[t][1] = _mm512_fmadd_ps(wide[1], number, sum[t][1]);
        }
    }
    for (int t = 0; t < T; t++) {
        _mm512_storeu_ps(sums + t * FLOAT_ROWS, sum[t][0]);
        _mm512_storeu_ps(sums + t * FLOAT_ROWS + 16, sum[t][1]);
    }
}

LINEAR_INLINE LINEAR_AVX512 void float_tokens_avx512(const Linear *w, const LinearKind kind, int64_t p, const float *x,
                                                     int T, float *sums) {
#define CALL(n) float_tile_avx512(w, kind, p, x, n, sums)
    BY_TOKENS(T, TOKENS_12, CALL)
#undef CALL
}

static inline LINEAR_AVX512 void float_avx512(const Linear *w, int64_t p, const float *x, int T, float *sums) {
    if (w->kind == LINEAR_F32) float_tokens_avx512(w, LINEAR_F32, p, x, T, sums);
    else if (w->kind == LINEAR_F16) float_tokens_avx512(w, LINEAR_F16, p, x, T, sums);
    else float_tokens_avx512(w, LINEAR_BF16, p, x, T, sums);
}
#endif

// --- by the path that w names --------------------------------------------------------------------------------------

static inline void float_tile(const Linear *w, int64_t p, const float *x, int T, float *sums) {
#if defined(__x86_64__)
    if (w->path == PATH_AVX512) float_avx512(w, p, x, T, sums);
    else if (w->path == PATH_AVX2) float_avx2(w, p, x, T, sums);
    else
#endif
        float_plain(w, p, x, T, sums);
}
