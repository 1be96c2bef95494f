// The random numbers of the course: PCG32, number for number those of bigram/rng.py.
//
// A generator that we write out ourselves gives the same numbers in Python and in C, on every machine
// and with every library. It keeps 64 bits of state, steps them with a linear congruential generator, and
// mixes them into 32 bits of output. Unsigned arithmetic in C wraps around by definition, so what Python does
// with `& MASK64` happens here by itself. The seed goes through splitmix64 first, so that seeds 1 and 2 start
// far apart.
//
//     Rng rng = rng_seed(7);
//     double u = rng_uniform(&rng);
//
// Papers: Melissa O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
// Random Number Generation" (2014); splitmix64 from Steele, Lea and Flood, "Fast Splittable Pseudorandom
// Number Generators" (2014).

#ifndef RNG_H
#define RNG_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// A seeded stream of random numbers; this is all it remembers.
typedef struct {
    uint64_t state, inc;
} Rng;

// One step of splitmix64: moves *state on and returns 64 well-mixed bits. Used only for seeding.
static inline uint64_t splitmix64(uint64_t *state) {
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

// The next 32 random bits.
static inline uint32_t rng_next_u32(Rng *rng) {
    uint64_t old = rng->state;
    rng->state = old * 6364136223846793005u + rng->inc;
    uint32_t xorshifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t rotate = (uint32_t)(old >> 59);
    return (xorshifted >> rotate) | (xorshifted << (-rotate & 31));
}

// A stream of its own for each seed.
static inline Rng rng_seed(uint64_t seed) {
    uint64_t initial = splitmix64(&seed), sequence = splitmix64(&seed);
    Rng rng = {0, (sequence << 1) | 1};  // the increment must be odd
    rng_next_u32(&rng);
    rng.state += initial;
    rng_next_u32(&rng);
    return rng;
}

// A number in [0, 1) with 24 random bits: exact in float as well as in double.
static inline double rng_uniform(Rng *rng) {
    return (rng_next_u32(rng) >> 8) / 16777216.0;
}

// An integer in [0, n), each equally likely; n is at least 1. Draws again where the remainder would be
// unfair.
static inline uint32_t rng_below(Rng *rng, uint32_t n) {
    uint32_t threshold = -n % n;  // -n is 2^32 - n here, which has the same remainder as 2^32
    for (;;) {
        uint32_t bits = rng_next_u32(rng);
        if (bits >= threshold) return bits % n;
    }
}

// A draw from the normal distribution, mean 0 and variance 1 (Box and Muller, 1958).
static inline double rng_normal(Rng *rng) {
    double u1 = 1.0 - rng_uniform(rng);  // in (0, 1], so that the logarithm is finite
    double u2 = rng_uniform(rng);
    return sqrt(-2.0 * log(u1)) * cos(2.0 * 3.141592653589793 * u2);
}

// An index drawn from n probabilities, of which one at least is above 0, by walking up the cumulative sum.
static inline size_t rng_choice(Rng *rng, const double *probabilities, size_t n) {
    double total = 0.0;
    for (size_t i = 0; i < n; i++) total += probabilities[i];
    double u = rng_uniform(rng) * total;
    size_t last = 0;
    total = 0.0;
    for (size_t i = 0; i < n; i++) {
        total += probabilities[i];
        if (u < total) return i;
        if (probabilities[i] > 0) last = i;
    }
    return last;  // rounding left u at the very end
}

#endif
