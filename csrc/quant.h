// int8 and int4 weights times int8 activations, for linear.h: how the numbers lie, how they are rounded, plain C.
//
// A token's activations are cut into blocks of 32. A block has one scale, peak / 127 for its largest number in size,
// and 32 whole numbers from -127 to 127: q = x (127 / peak), rounded to the nearest, to the even one of two. All in
// float32; a peak below 1e-30 counts as 0. (In NumPy: peak = abs(x).max(); q = rint(x * (float32(127) / peak)).)
//
// A group of weights in a row, one block or several, has one scale, too. So
//
//     y[t][r] = sum over groups of  scale_w[r][group] * (sum over the group's blocks of  scale_x[t][block] * dot)
//     dot     = sum over the 32 columns of  q_w[r][column] * q_x[t][column]          whole numbers: exact
//
// Only the sums over blocks and over groups round. They are taken in order, each product and each sum rounded by
// itself, on all paths: plain C, AVX2 and AVX-512 give the same bits.
//
// A panel is 16 rows. In it lie the blocks of 32 columns one after the other, in a block eight steps of four columns,
// in a step the rows: the 64 bytes of one load. Weights have no sign in memory, u = q + 128 or q + 8, as vpdpbusd
// multiplies bytes without a sign by bytes with one; the sum of u q_x is too large by 128 or 8 times the sum of q_x,
// so it starts at minus that.
//
//     int8   step s, row r, c: column 4 s + c
//     int4   step s of four, row r, c: column 4 s + c in the low half of the byte, column 16 + 4 s + c in the high one
//
// Included by linear.h.

enum { QUANT_BLOCK = 32 };

// A block of activations.
typedef struct {
    float scale;
    int32_t start;           // -128 or -8 times the sum of q
    int8_t q[QUANT_BLOCK];
} QuantBlock;

static inline int quant_zero(const Linear *w) { return w->kind == LINEAR_I8 ? 128 : 8; }

// Bytes of a block of columns of a panel.
static inline int64_t quant_block_bytes(const Linear *w) { return w->kind == LINEAR_I8 ? 512 : 256; }

// --- activations ---------------------------------------------------------------------------------------------------

// Plain C that compilers turn into vector code: the largest size by comparing bits, as whole numbers (a NaN is larger
// than all); rounding by adding 1.5 * 2^23, near which floats are whole numbers.
LINEAR_INLINE void quantize_block(const float *x, int32_t zero, QuantBlock *to) {
    const float rounder = 12582912.0f;
    int32_t most = 0, sum = 0;
    for (int i = 0; i < QUANT_BLOCK; i++) {
        int32_t size = (int32_t)(bits_of_float(x[i]) & 0x7FFFFFFF);
        most = size > most ? size : most;
    }
    float peak = float_of_bits((uint32_t)most);
    bool finite = most < 0x7F800000, none = !finite || peak < 1e-30f;
    float inverse = none ? 0.0f : 127.0f / peak;
    for (int i = 0; i < QUANT_BLOCK; i++) {
        int8_t q = (int8_t)(bits_of_float(x[i] * inverse + rounder) - bits_of_float(rounder));
        to->q[i] = q;
        sum += q;
    }
    to->scale = !finite ? NAN : none ? 0.0f : peak / 127.0f;  // not finite: the whole sum becomes NaN
    to->start = -zero * sum;
}

LINEAR_INLINE void quantize_blocks(const float *x, int64_t blocks, int32_t zero, QuantBlock *to) {
    for (int64_t b = 0; b < blocks; b++) quantize_block(x + b * QUANT_BLOCK, zero, to + b);
}

static inline void quantize_blocks_plain(const float *x, int64_t blocks, int32_t zero, QuantBlock *to) {
    quantize_blocks(x, blocks, zero, to);
}

#if defined(__x86_64__)
static inline LINEAR_AVX2 void quantize_blocks_avx2(const float *x, int64_t blocks, int32_t zero, QuantBlock *to) {
    quantize_blocks(x, blocks, zero, to);
}

static inline LINEAR_AVX512 void quantize_blocks_avx512(const float *x, int64_t blocks, int32_t zero, QuantBlock *to) {
    quantize_blocks(x, blocks, zero, to);
}
#endif

// n tokens of w's columns.
static inline void quantize_tokens(const Linear *w, const float *x, int64_t n, QuantBlock *to) {
    int64_t blocks = n * (w->columns / QUANT_BLOCK);
#if defined(__x86_64__)
    if (w->path == PATH_AVX512) quantize_blocks_avx512(x, blocks, quant_zero(w), to);
    else if (w->path == PATH_AVX2) quantize_blocks_avx2(x, blocks, quant_zero(w), to);
    else
#endif
        quantize_blocks_plain(x, blocks, quant_zero(w), to);
}

// --- weights -------------------------------------------------------------------------------------------------------

// Where the scale of a row's group lies, counted in scales.
static inline int64_t quant_scale_place(const Linear *w, int64_t row, int64_t group) {
    return (row / QUANT_ROWS * (w->columns / w->group) + group) * QUANT_ROWS + row % QUANT_ROWS;
}

static inline float quant_scale(const Linear *w, int64_t place) {
    return w->scale_type == TYPE_F16 ? float_of_f16(((const uint16_t *)w->scales)[place])
                                     : ((const float *)w->scales)[place];
}

// Where the four bytes of step s of a row's block lie.
static inline uint8_t *quant_place(const Linear *w, int64_t row, int64_t block, int s) {
    int64_t in_panels = row / QUANT_ROWS * (w->columns / QUANT_BLOCK) + block;
    return (uint8_t *)w->weights + in_panels * quant_block_bytes(w) + (s * QUANT_ROWS + row % QUANT_ROWS) * 4;
}

// A row as a file stores it (I8: q; U8: two numbers q + 8 a byte, the columns 16 apart) into the panels of w.
static inline void pack_stored(Linear *w, int64_t row, const void *stored, const void *scales) {
    int64_t groups = w->columns / w->group, size = w->scale_type == TYPE_F16 ? 2 : 4;
    int steps = linear_bits(w);
    uint8_t flip = w->kind == LINEAR_I8 ? 0x80 : 0;  // q + 128 modulo 256
    const uint8_t *from = (const uint8_t *)stored + row * (w->columns * steps / 8);
    for (int64_t b = 0; b < w->columns / QUANT_BLOCK; b++)
        for (int s = 0; s < steps; s++) {
            uint8_t *to = quant_place(w, row, b, s);
            for (int c = 0; c < 4; c++) to[c] = *from++ ^ flip;
        }
    for (int64_t g = 0; g < groups; g++)
        memcpy((char *)w->scales + quant_scale_place(w, row, g) * size,
               (const char *)scales + (row * groups + g) * size, (size_t)size);
}

// The number u of a row and column.
static inline int quant_stored(const Linear *w, int64_t row, int64_t column) {
    int64_t block = column / QUANT_BLOCK, i = column % QUANT_BLOCK;
    if (w->kind == LINEAR_I8) return quant_place(w, row, block, (int)i / 4)[i % 4];
    return quant_place(w, row, block, (int)i % 16 / 4)[i % 4] >> (i < 16 ? 0 : 4) & 15;
}

// A row of weights as floats.
static inline void quant_row(const Linear *w, int64_t row, float *values) {
    for (int64_t k = 0; k < w->columns; k++)
        values[k] = (float)(quant_stored(w, row, k) - quant_zero(w))
                    * quant_scale(w, quant_scale_place(w, row, k / w->group));
}

// Rounds 32 numbers into the panels of w.
static inline void quantize_place(Linear *w, int64_t row, int64_t block, const float *values, float inverse) {
    const int zero = quant_zero(w), low = w->kind == LINEAR_I8 ? -127 : -8, high = w->kind == LINEAR_I8 ? 127 : 7;
    const float rounder = 12582912.0f;
    uint8_t u[QUANT_BLOCK];
    for (int i = 0; i < QUANT_BLOCK; i++) {
        int32_t q = (int32_t)(bits_of_float(values[i] * inverse + rounder) - bits_of_float(rounder));
        u[i] = (uint8_t)(zero + (q > high ? high : q < low ? low : q));
    }
    for (int s = 0; s < linear_bits(w); s++) {
        uint8_t *to = quant_place(w, row, block, s);
        for (int c = 0; c < 4; c++)
            to[c] = w->kind == LINEAR_I8 ? u[4 * s + c] : (uint8_t)(u[4 * s + c] | u[16 + 4 * s + c] << 4);
    }
}

// Rounds a row into the panels of w. int8: the number that is largest in size becomes 127 or -127. int4: it becomes
// -8, of which there is no opposite; the scale has the sign that makes it so. A group with a NaN becomes NaN.
static inline void quantize_row(Linear *w, int64_t row, const float *values) {
    for (int64_t first = 0; first < w->columns; first += w->group) {
        float peak = 0.0f;
        bool finite = true;
        for (int64_t k = first; k < first + w->group; k++) {
            if (fabsf(values[k]) > fabsf(peak)) peak = values[k];
            finite = finite && fabsf(values[k]) < INFINITY;
        }
        uint16_t stored = f16_of_float(!finite ? NAN : w->kind == LINEAR_I8 ? fabsf(peak) / 127.0f : peak / -8.0f);
        float scale = float_of_f16(stored), inverse = finite && scale != 0.0f ? 1.0f / scale : 0.0f;
        ((uint16_t *)w->scales)[quant_scale_place(w, row, first / w->group)] = stored;
        for (int64_t k = first; k < first + w->group; k += QUANT_BLOCK)
            quantize_place(w, row, k / QUANT_BLOCK, values + k, inverse);
    }
}

// --- a panel times the tokens of a tile, in plain C ----------------------------------------------------------------

// dots[r] = start + the sum of u q_x over a block's 32 columns, for the 16 rows.
static inline void quant_dots_plain(const Linear *w, const uint8_t *block, const QuantBlock *x, int32_t *dots) {
    for (int r = 0; r < QUANT_ROWS; r++) dots[r] = x->start;
    for (int s = 0; s < linear_bits(w); s++, block += 4 * QUANT_ROWS) {  // int8 has 8 steps, int4 has 4
        const int8_t *q = x->q + 4 * s;
        if (w->kind == LINEAR_I8)
            for (int r = 0; r < QUANT_ROWS; r++) {
                const uint8_t *u = block + 4 * r;
                dots[r] += u[0] * q[0] + u[1] * q[1] + u[2] * q[2] + u[3] * q[3];
            }
        else
            for (int r = 0; r < QUANT_ROWS; r++)
                for (int c = 0; c < 4; c++)
                    dots[r] += (block[4 * r + c] & 15) * q[c] + (block[4 * r + c] >> 4) * q[16 + c];
    }
}

// x: blocks of T tokens, one token's after the other's. sums: T times 16 rows.
static inline void quant_plain(const Linear *w, int64_t p, const QuantBlock *x, int T, float *sums) {
    int64_t blocks = w->columns / QUANT_BLOCK, in_group = w->group / QUANT_BLOCK;
    const uint8_t *panel = quant_place(w, p * QUANT_ROWS, 0, 0);
    for (int i = 0; i < T * QUANT_ROWS; i++) sums[i] = 0.0f;
    for (int t = 0; t < T; t++, x += blocks, sums += QUANT_ROWS)
        for (int64_t g = 0; g < blocks / in_group; g++) {
            float parts[QUANT_ROWS] = {0};
            for (int64_t b = g * in_group; b < (g + 1) * in_group; b++) {
                int32_t dots[QUANT_ROWS];
                quant_dots_plain(w, panel + b * quant_block_bytes(w), x + b, dots);
                for (int r = 0; r < QUANT_ROWS; r++) parts[r] += (float)dots[r] * x[b].scale;
            }
            for (int r = 0; r < QUANT_ROWS; r++)
                sums[r] += parts[r] * quant_scale(w, quant_scale_place(w, p * QUANT_ROWS + r, g));
        }
}

#include "quant_tiles.h"

// By the path that w names.
static inline void quant_tile(const Linear *w, int64_t p, const QuantBlock *x, int T, float *sums) {
#if defined(__x86_64__)
    if (w->path == PATH_AVX512) quant_avx512(w, p, x, T, sums);
    else if (w->path == PATH_AVX2) quant_avx2(w, p, x, T, sums);
    else
#endif
        quant_plain(w, p, x, T, sums);
}
