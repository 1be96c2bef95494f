# copied from: bigram/rng.py
"""The random numbers of the course: PCG32, twenty lines that C can repeat exactly.

A generator that we write out ourselves gives the same numbers in Python and in C, on every
machine and in every version of a library: the same seed tells the same story everywhere.
PCG32 keeps 64 bits of state, steps them with a linear congruential generator, and mixes the
state into 32 bits of output. The seed goes through splitmix64 first, so that seeds 1 and 2
start far apart.

Papers: Melissa O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
Algorithms for Random Number Generation" (2014); splitmix64 from Steele, Lea and Flood,
"Fast Splittable Pseudorandom Number Generators" (2014).
"""

import math

MASK64 = (1 << 64) - 1
MASK32 = (1 << 32) - 1


def splitmix64(state):
    """One step of splitmix64: (state) -> (new state, 64 well-mixed bits). Used only for seeding."""
    state = (state + 0x9E3779B97F4A7C15) & MASK64
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return state, z ^ (z >> 31)


class PCG32:
    """A seeded stream of random numbers; `state` and `inc` are all it remembers."""

    def __init__(self, seed=0):
        mixed, initial = splitmix64(seed & MASK64)
        _, sequence = splitmix64(mixed)
        self.state = 0
        self.inc = ((sequence << 1) | 1) & MASK64  # the increment must be odd
        self.next_u32()
        self.state = (self.state + initial) & MASK64
        self.next_u32()

    def next_u32(self):
        """The next 32 random bits as an integer in [0, 2**32)."""
        old = self.state
        self.state = (old * 6364136223846793005 + self.inc) & MASK64
        xorshifted = (((old >> 18) ^ old) >> 27) & MASK32
        rotate = old >> 59
        return ((xorshifted >> rotate) | (xorshifted << (-rotate & 31))) & MASK32

    def uniform(self):
        """A float in [0, 1) with 24 random bits: exact in float32 as well as in float64."""
        return (self.next_u32() >> 8) / 16777216.0

    def below(self, n):
        """An integer in [0, n), each equally likely. Draws again where the remainder would be unfair."""
        threshold = (1 << 32) % n
        while True:
            bits = self.next_u32()
            if bits >= threshold:
                return bits % n

    def normal(self):
        """A draw from the normal distribution, mean 0 and variance 1 (Box and Muller, 1958)."""
        u1 = 1.0 - self.uniform()  # in (0, 1], so that the logarithm is finite
        u2 = self.uniform()
        return math.sqrt(-2.0 * math.log(u1)) * math.cos(2.0 * math.pi * u2)

    def choice(self, probabilities):
        """An index drawn from a list of probabilities, by walking up the cumulative sum."""
        total = 0.0
        for p in probabilities:  # sum() rounds otherwise in newer Pythons, and C could not repeat it
            total += p
        u, total = self.uniform() * total, 0.0
        for index, p in enumerate(probabilities):
            total += p
            if u < total:
                return index
        return max(i for i, p in enumerate(probabilities) if p > 0)  # rounding left u at the very end
