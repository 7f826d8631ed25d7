"""Counter-based random numbers: a draw depends on its key and counter only, never on what ran before."""

import math

import numpy as np

from transport.kernels.elementary import cos_sin_turns, inlined, log

Word = np.uint64

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)
_ROUNDS = 10
_UNIT = 2.0**-32


@inlined
def philox(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> tuple[Word, Word, Word, Word]:
    """Return four random 32-bit words (in uint64) of a counter and a key.

    Philox4x32-10, Salmon et al. 2011 (SC11, "Parallel random numbers: as easy as 1, 2, 3"). All arguments
    are uint64 holding 32 bits.
    """
    for _ in range(_ROUNDS):
        # the masks change no value; they tell the compiler that 32-bit multiplications will do
        p0 = _MULTIPLIER_0 * (c0 & _LOW)
        p1 = _MULTIPLIER_1 * (c2 & _LOW)
        c0 = (p1 >> _WORD) ^ c1 ^ k0
        c1 = p1 & _LOW
        c2 = (p0 >> _WORD) ^ c3 ^ k1
        c3 = p0 & _LOW
        k0 = (k0 + _WEYL_0) & _LOW
        k1 = (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@inlined
def normals(seed: int, particle: int, step: int, stream: int = 0) -> tuple[float, float, float]:
    """Return three standard normal numbers of a particle's step (Box & Muller 1958).

    seed : int64, key of the receptor
    particle, step, stream : int64, counter, all below 2^32; streams are independent of one another
    """
    key = np.uint64(seed)
    zero = np.uint64(0)
    a, b, c, d = philox(
        np.uint64(step), np.uint64(particle), np.uint64(stream), zero, key & _LOW, key >> _WORD
    )
    # the half keeps the logarithm's argument above zero
    radius = math.sqrt(-2.0 * log((float(a) + 0.5) * _UNIT))
    other = math.sqrt(-2.0 * log((float(c) + 0.5) * _UNIT))
    first, second = cos_sin_turns((float(b) + 0.5) * _UNIT)
    third, _ = cos_sin_turns(float(d) * _UNIT)
    return radius * first, radius * second, other * third
