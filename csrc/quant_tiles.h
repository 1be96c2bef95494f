// The innermost loops of quant.h with vector instructions: AVX2, and AVX-512 with VNNI. Included by quant.h.

#if defined(__x86_64__)

// --- AVX2: eight rows at a time, up to 4 tokens --------------------------------------------------------------------

LINEAR_INLINE LINEAR_AVX2 __m256i four_bytes_256(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return _mm256_set1_epi32(four);
}

// dots[r] = start + the sum of u q_x over a block, for eight rows. vpmaddubsw adds two products of bytes in 16 bits,
// and stops at 32,767. Two of 15 * 127 and even eight times two (30,480) fit; of 255 * 127 not even two would. So int8
// takes its sign back, and gives it to the activation: |w| times x with the sign of w.
LINEAR_INLINE LINEAR_AVX2 __m256i quant_dots_avx2(const int bits, const uint8_t *block, const QuantBlock *x) {
    const __m256i ones = _mm256_set1_epi16(1);
    if (bits == 8) {
        __m256i dots = _mm256_setzero_si256(), flip = _mm256_set1_epi8(-128);
        for (int s = 0; s < 8; s++) {
            __m256i q = _mm256_xor_si256(_mm256_load_si256((const __m256i *)(block + s * 64)), flip);
            __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(four_bytes_256(x->q + 4 * s), q));
            dots = _mm256_add_epi32(dots, _mm256_madd_epi16(pairs, ones));
        }
        return dots;
    }
    __m256i pairs = _mm256_setzero_si256(), low = _mm256_set1_epi8(15);
    for (int s = 0; s < 4; s++) {
        __m256i u = _mm256_load_si256((const __m256i *)(block + s * 64));
        __m256i second = _mm256_and_si256(_mm256_srli_epi16(u, 4), low);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(_mm256_and_si256(u, low), four_bytes_256(x->q + 4 * s)));
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(second, four_bytes_256(x->q + 16 + 4 * s)));
    }
    return _mm256_add_epi32(_mm256_madd_epi16(pairs, ones), _mm256_set1_epi32(x->start));
}

LINEAR_INLINE LINEAR_AVX2 void quant_tile_avx2(const Linear *w, const int bits, const int T, const bool single,
                                               int64_t p, const QuantBlock *x, float *sums) {
    int64_t blocks = w->columns / QUANT_BLOCK, in_group = single ? 1 : w->group / QUANT_BLOCK;
    for (int half = 0; half < QUANT_ROWS; half += 8) {
        const uint8_t *block = quant_place(w, p * QUANT_ROWS + half, 0, 0);
        int64_t place = quant_scale_place(w, p * QUANT_ROWS + half, 0);
        __m256 sum[4];
        for (int t = 0; t < T; t++) sum[t] = _mm256_setzero_ps();
        for (int64_t b = 0; b < blocks; place += QUANT_ROWS) {
            __m256 part[4];
            for (int t = 0; t < T; t++) part[t] = _mm256_setzero_ps();
            for (int64_t end = b + in_group; b < end; b++, block += bits * 64) {
                for (int t = 0; t < T; t++) {
                    const QuantBlock *token = x + t * blocks + b;
                    __m256 dots = _mm256_cvtepi32_ps(quant_dots_avx2(bits, block, token));
                    __m256 scaled = _mm256_mul_ps(dots, _mm256_set1_ps(token->scale));
                    part[t] = single ? scaled : _mm256_add_ps(part[t], scaled);
                }
            }
            __m256 scale = w->scale_type == TYPE_F16
                               ? _mm256_cvtph_ps(_mm_load_si128((const __m128i *)((const uint16_t *)w->scales + place)))
                               : _mm256_load_ps((const float *)w->scales + place);
            for (int t = 0; t < T; t++) sum[t] = _mm256_add_ps(sum[t], _mm256_mul_ps(part[t], scale));
        }
        for (int t = 0; t < T; t++) _mm256_storeu_ps(sums + t * QUANT_ROWS + half, sum[t]);
    }
}

// single: every block of activations has scales of its own among the weights, as with groups of 32.
LINEAR_INLINE LINEAR_AVX2 void quant_tokens_avx2(const Linear *w, const int bits, const bool single, int64_t p,
                                              const QuantBlock *x, int T, float *sums) {
#define CALL(n) quant_tile_avx2(w, bits, n, single, p, x, sums)
    BY_TOKENS(T, TOKENS_4, CALL)
#undef CALL
}

static inline LINEAR_AVX2 void quant_avx2(const Linear *w, int64_t p, const QuantBlock *x, int T, float *sums) {
    bool single = w->group == QUANT_BLOCK;
    if (w->kind == LINEAR_I8 && single) quant_tokens_avx2(w, 8, true, p, x, T, sums);
    else if (w->kind == LINEAR_I8) quant_tokens_avx2(w, 8, false, p, x, T, sums);
    else if (single) quant_tokens_avx2(w, 4, true, p, x, T, sums);
    else quant_tokens_avx2(w, 4, false, p, x, T, sums);
}

// --- AVX-512 with VNNI: sixteen rows, up to 8 tokens ---------------------------------------------------------------

LINEAR_INLINE LINEAR_AVX512 __m512i four_bytes_512(const int8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
}

// vpdpbusd: to each of 16 whole numbers it adds four products of bytes, without stopping anywhere.
LINEAR_INLINE LINEAR_AVX512 void quant_tile_avx512(const Linear *w, const int bits, const int T, const bool single,
                                                   int64_t p, const QuantBlock *x, float *sums) {
    int64_t blocks = w->columns / QUANT_BLOCK, in_group = single ? 1 : w->group / QUANT_BLOCK;
    const uint8_t *block = quant_place(w, p * QUANT_ROWS, 0, 0);
    int64_t place = quant_scale_place(w, p * QUANT_ROWS, 0);
    const __m512i low = _mm512_set1_epi8(15);
    __m512 sum[8], part[8];
    __m512i u[8];
    for (int t = 0; t < T; t++) sum[t] = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; place += QUANT_ROWS) {
        for (int t = 0; t < T; t++) part[t] = _mm512_setzero_ps();
        for (int64_t end = b + in_group; b < end; b++, block += bits * 64) {
            for (int s = 0; s < bits; s++) {
                if (T > 1 || bits == 4) _mm_prefetch((const char *)block + s * 64 + LINEAR_AHEAD, _MM_HINT_T0);
                __m512i bytes = _mm512_load_si512(block + s * 64);
                u[s] = bits == 8 ? bytes : _mm512_and_si512(bytes, low);
                if (bits == 4) u[s + 4] = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
            }
            for (int t = 0; t < T; t++) {
                const QuantBlock *token = x + t * blocks + b;
                __m512i dots[2] = {_mm512_set1_epi32(token->start), _mm512_setzero_si512()};
                for (int s = 0; s < 8; s++) {  // several tokens: two sums, so that one need not wait for the other
                    int i = T > 1 ? s % 2 : 0;
                    dots[i] = _mm512_dpbusd_epi32(dots[i], u[s], four_bytes_512(token->q + 4 * s));
                }
                if (T > 1) dots[0] = _mm512_add_epi32(dots[0], dots[1]);
                __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[0]), _mm512_set1_ps(token->scale));
                part[t] = single ? scaled : _mm512_add_ps(part[t], scaled);
            }
        }
        __m512 scale = w->scale_type == TYPE_F16
                           ? _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)((const uint16_t *)w->scales + place)))
                           : _mm512_load_ps((const float *)w->scales + place);
        for (int t = 0; t < T; t++) sum[t] = _mm512_add_ps(sum[t], _mm512_mul_ps(part[t], scale));
    }
    for (int t = 0; t < T; t++) _mm512_storeu_ps(sums + t * QUANT_ROWS, sum[t]);
}

// single: every block of activations has scales of its own among the weights, as with groups of 32.
LINEAR_INLINE LINEAR_AVX512 void quant_tokens_avx512(const Linear *w, const int bits, const bool single, int64_t p,
                                              const QuantBlock *x, int T, float *sums) {
#define CALL(n) quant_tile_avx512(w, bits, n, single, p, x, sums)
    BY_TOKENS(T, TOKENS_8, CALL)
#undef CALL
}

static inline LINEAR_AVX512 void quant_avx512(const Linear *w, int64_t p, const QuantBlock *x, int T, float *sums) {
    bool single = w->group == QUANT_BLOCK;
    if (w->kind == LINEAR_I8 && single) quant_tokens_avx512(w, 8, true, p, x, T, sums);
    else if (w->kind == LINEAR_I8) quant_tokens_avx512(w, 8, false, p, x, T, sums);
    else if (single) quant_tokens_avx512(w, 4, true, p, x, T, sums);
    else quant_tokens_avx512(w, 4, false, p, x, T, sums);
}
#endif
