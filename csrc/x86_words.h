// What AVX2 and AVX-512 spell alike, for each_vector.h: INTRINSIC(add_ps) is _mm256_add_ps or _mm512_add_ps.

#define LOAD(p) INTRINSIC(loadu_ps)(p)
#define STORE(p, x) INTRINSIC(storeu_ps)(p, x)
#define ALL(x) INTRINSIC(set1_ps)(x)
#define ADD(a, b) INTRINSIC(add_ps)(a, b)
#define SUB(a, b) INTRINSIC(sub_ps)(a, b)
#define MUL(a, b) INTRINSIC(mul_ps)(a, b)
#define DIV(a, b) INTRINSIC(div_ps)(a, b)
#define FMA(a, b, c) INTRINSIC(fmadd_ps)(a, b, c)
#define MAX(a, b) INTRINSIC(max_ps)(a, b)
#define SQRT(x) INTRINSIC(sqrt_ps)(x)
