// The fast product of matrices for matmul.c: tiles in registers (rungs 4 to 6), packing, blocks, threads (rung 7).
//
// C is cut into tiles, each held in registers while k runs. For that A and B are packed into panels, copies in the
// order in which a tile reads them. A panel of A is as wide as a tile is high, here 12; a panel of B 32:
//
//     A[0][0] A[1][0] … A[11][0]    A[0][1] A[1][1] … A[11][1]    A[0][2] …     twelve rows of A, k by k
//     B[0][0] B[0][1] … B[0][31]    B[1][0] B[1][1] … B[1][31]    B[2][0] …     32 columns of B, k by k
//
// Paper: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_thread_num(void) { return 0; }
#endif

#ifndef MATMUL_SIZES  // the tests choose smaller ones
enum {
    SLICE = 512,      // of k at a time: a panel of B (64 KiB) streams from L2, past one of A (24 KiB) in L1
    BLOCK = 240,      // rows of A at a time: BLOCK x SLICE numbers (480 KiB) stay in L2
    STRIPE = 4096,    // columns of B at a time: their panels (8 MiB at most) stay in L3
    FEW = 8,          // B is not packed for fewer tiles than this one above the other,
    SMALL = 3 << 16,  // nor where it has no more numbers than this and stays in L2 as it is
    ALONE = 1 << 20,  // multiply-adds that one thread does sooner than it would get help
};
#endif

// --- packing -------------------------------------------------------------------------------------------------------

// Copies x (K, n) k by k, to panel[k * width + j], and fills the rows up with zeros. A goes in transposed.
static void pack(Matrix x, int width, float *panel) {
    int n = (int)x.columns, j = 0;
    if (x.column_stride == 1) {
        for (int64_t k = 0; k < x.rows; k++) memcpy(panel + k * width, at(x, k, 0), sizeof(float) * (size_t)n);
        j = n;
    }
#if defined(__x86_64__)
    if (x.row_stride == 1)  // four columns lie in four rows: turn squares of 4 x 4 (every x86-64 has SSE)
        for (; j + 4 <= n; j += 4) {
            int64_t k = 0;
            for (; k + 4 <= x.rows; k += 4) {
                __m128 r0 = _mm_loadu_ps(at(x, k, j)), r1 = _mm_loadu_ps(at(x, k, j + 1));
                __m128 r2 = _mm_loadu_ps(at(x, k, j + 2)), r3 = _mm_loadu_ps(at(x, k, j + 3));
                _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
                float *to = panel + k * width + j;
                _mm_storeu_ps(to, r0), _mm_storeu_ps(to + width, r1);
                _mm_storeu_ps(to + 2 * width, r2), _mm_storeu_ps(to + 3 * width, r3);
            }
            for (; k < x.rows; k++)
                for (int i = j; i < j + 4; i++) panel[k * width + i] = *at(x, k, i);
        }
#endif
    for (; j < width; j++)
        for (int64_t k = 0; k < x.rows; k++) panel[k * width + j] = j < n ? *at(x, k, j) : 0.0f;
}

// --- blocks and threads --------------------------------------------------------------------------------------------

// n cut into pieces of about the same size, each at most `most` and a multiple of `unit`; their number is one of
// `threads`. Returns the size.
static int64_t piece(int64_t n, int64_t most, int64_t unit, int64_t threads) {
    int64_t pieces = (n + most - 1) / most;
    pieces = (pieces + threads - 1) / threads * threads;
    return ((n + pieces - 1) / pieces + unit - 1) / unit * unit;
}

typedef struct {
    const Kernel *kernel;
    Matrix a, b, c;
    bool accumulate, direct;              // direct: whole panels of B are not packed, but read where they lie
    int64_t slice, stripe, block, group;  // k and columns packed at a time, rows and columns of a block of C
    float *panels, *space;                // memory for B, and for A: block * slice numbers each thread
} Plan;

// c (m, n) = or += a (m, K) b (K, n), the tiles of a block one after the other. Packs a to `space`; b was packed.
static void multiply_block(const Plan *p, Matrix a, Matrix b, float *panels, Matrix c, float *space, bool add) {
    int64_t K = a.columns, height = p->kernel->rows, width = p->kernel->columns;
    for (int64_t i = 0; i < a.rows; i += height)
        pack(transposed(part(a, i, 0, smaller(height, a.rows - i), K)), (int)height, space + i * K);
    for (int64_t j = 0; j < b.columns; j += width) {
        int64_t columns = smaller(width, b.columns - j);
        Rows b_rows = {panels + (p->direct ? 0 : j * K), width};
        if (p->direct && columns == width) b_rows = (Rows){at(b, 0, j), b.row_stride};
        for (int64_t i = 0; i < a.rows; i += height) {
            int rows = (int)smaller(height, a.rows - i), halves = 2 * columns > width ? 2 : 1;
            Rows a_rows = {space + i * K, height};
            if (columns == width && c.column_stride == 1) {
                p->kernel->tile(rows, 2, K, a_rows, b_rows, (Rows){at(c, i, j), c.row_stride}, add);
                continue;
            }
            float edge[12 * 32];  // a part of a tile: more of it than there is of C goes here
            p->kernel->tile(rows, halves, K, a_rows, b_rows, (Rows){edge, width}, false);
            for (int y = 0; y < rows; y++)
                for (int x = 0; x < columns; x++)
                    *at(c, i + y, j + x) = edge[y * width + x] + (add ? *at(c, i + y, j + x) : 0.0f);
        }
    }
}

// What each of the threads does: they share the packing of B, wait for one another, and share the blocks of C.
static void follow_plan(const Plan *p) {
    int64_t M = p->a.rows, K = p->a.columns, N = p->b.columns, width = p->kernel->columns;
    float *space = p->space + omp_get_thread_num() * p->block * p->slice;
    for (int64_t J = 0; J < N; J += p->stripe)
        for (int64_t k = 0; k < K; k += p->slice) {
            int64_t deep = smaller(p->slice, K - k), wide = smaller(p->stripe, N - J);
            Matrix b = part(p->b, k, J, deep, wide);
#pragma omp for
            for (int64_t j = p->direct ? wide / width * width : 0; j < wide; j += width)
                pack(part(b, 0, j, deep, smaller(width, wide - j)), (int)width, p->panels + (p->direct ? 0 : j * deep));
#pragma omp for collapse(2) schedule(dynamic)
            for (int64_t i = 0; i < M; i += p->block)
                for (int64_t j = 0; j < wide; j += p->group) {
                    int64_t m = smaller(p->block, M - i), n = smaller(p->group, wide - j);
                    multiply_block(p, part(p->a, i, k, m, deep), part(b, 0, j, deep, n),
                                   p->panels + (p->direct ? 0 : j * deep), part(p->c, i, J + j, m, n), space,
                                   p->accumulate || k > 0);
                }
        }
}

// One to three rows of A, whose numbers have no gaps.
static void multiply_rows(const Kernel *kernel, int threads, bool accumulate, Matrix a, Matrix b, Matrix c) {
    int64_t wide = piece(c.columns, 512, 16, threads);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t j = 0; j < c.columns; j += wide)
        for (int64_t i = 0; i < c.rows; i++) {
            int64_t columns = smaller(wide, c.columns - j);
            if (!accumulate) set_zero(part(c, i, j, 1, columns));
            kernel->add_row(part(a, i, 0, 1, a.columns), part(b, 0, j, b.rows, columns), part(c, i, j, 1, columns));
        }
}

// C = or += A B. False where there is not enough memory.
static bool multiply_fast(const Kernel *kernel, int threads, bool accumulate, Matrix a, Matrix b, Matrix c) {
    if ((b.columns <= 2 && a.rows > 2) || (c.column_stride != 1 && c.row_stride == 1)) {  // C^T = B^T A^T
        Matrix b_before = b;
        b = transposed(a), a = transposed(b_before), c = transposed(c);
    }
    int64_t M = a.rows, K = a.columns, N = b.columns, height = kernel->rows, width = kernel->columns;
    threads = (int)smaller(threads, 1 + M * N * K / ALONE);
    if (M <= 3 && a.column_stride == 1) {
        multiply_rows(kernel, threads, accumulate, a, b, c);
        return true;
    }
    bool by_rows = M >= 4 * height * threads;  // else the threads share the columns
    Plan p = {kernel, a, b, c, .accumulate = accumulate, .slice = piece(K, SLICE, 1, 1)};
    p.direct = b.column_stride == 1 && (M <= FEW * height || K * N <= SMALL);
    p.block = piece(M, BLOCK, height, by_rows ? threads : 1);
    p.stripe = piece(N, STRIPE, width, 1);
    p.group = by_rows ? p.stripe : piece(p.stripe, p.stripe, width, threads);
    int64_t in_panels = (p.direct ? width : p.stripe) * p.slice, numbers = in_panels + threads * p.block * p.slice;
    p.panels = aligned_alloc(64, (size_t)((numbers + 15) / 16 * 64));
    if (!p.panels) return false;
    p.space = p.panels + in_panels;
    if (threads <= 1) {
        follow_plan(&p);
    } else {
#pragma omp parallel num_threads(threads)
        follow_plan(&p);
    }
    free(p.panels);
    return true;
}
