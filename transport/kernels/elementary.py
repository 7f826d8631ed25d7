"""Elementary functions as plain arithmetic, so that a loop over particles becomes vector instructions.

No branch, no table, no library call; a relative error below 1e-12 unless said. The polynomials are Chebyshev
fits over the reduced argument.
"""

import numpy as np
from numba import njit

# No infinities, no NaN, no sign of zero; but each operation rounds as written. Fusing or regrouping would be
# a seventh faster, and would let the bits of a flight depend on the processor and on the compiler's mood.
_FREE = {"nnan", "ninf", "nsz"}

# Nothing compiled here is kept on disk: a kept function would not notice a change in what it calls.
# `march` is kept, by the digest of all sources.
kernel = njit(nogil=True, error_model="numpy", fastmath=_FREE)
"""Compile a function that Python or other kernels call."""

inlined = njit(nogil=True, error_model="numpy", fastmath=_FREE, forceinline=True)
"""Compile a function into its callers: a loop becomes vector instructions only if it calls nothing."""

_ROUND = 1.5 * 2.0**52
"""Added and subtracted, it rounds to a whole number; that number stands in the sum's lowest bits."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.693147180369123816490  # the leading bits of ln 2: exact when multiplied by a whole number
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_FOUR_THIRDS_BIAS = np.int64(0x553EF0A3D70A3C00)  # of the exponent, evening out the guess's error
_ONE_BITS = np.int64(0x3FF0000000000000)
_EXPONENT = np.int64(52)


@inlined
def exp(x: float) -> float:
    """Return e^x; below -700 as at -700, for 0 <= e^x < 1e-304 makes no difference to any user."""
    x = max(x, -700.0)
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = 2.488435208170678e-05 + r * 2.7640277707686696e-06
    p = 0.0001984116941687942 + r * p
    p = 0.001388880203147718 + r * p
    p = 0.008333333387722219 + r * p
    p = 0.04166666703820156 + r * p
    p = 0.1666666666653918 + r * p
    p = 0.4999999999944534 + r * p
    p = 1.0 + r * (1.0 + r * p)
    power = (np.float64(shifted).view(np.int64) << _EXPONENT) + _ONE_BITS
    return p * np.int64(power).view(np.float64)


@inlined
def log(x: float) -> float:
    """Return the natural logarithm of a positive number; absolute error below 1e-13 from 1e-12 to 1e6."""
    bits = np.float64(x).view(np.int64)
    n = (bits - _SQRT_HALF_BITS) >> _EXPONENT
    m = np.int64(bits - (n << _EXPONENT)).view(np.float64)  # between sqrt(1/2) and sqrt(2)
    f = (m - 1.0) / (m + 1.0)
    q = f * f
    p = 0.22173816973713886 + q * 0.19614537471082588
    p = 0.2857217623358338 + q * p
    p = 0.3999999479700192 + q * p
    p = 0.6666666667988667 + q * p
    return n * _LN2_HIGH + (n * _LN2_LOW + f * (2.0 + q * p))


@inlined
def inverse_cbrt(x: float) -> float:
    """Return x^(-1/3) of x > 0; below 1e-60 as at 1e-60.

    A guess from the exponent (3.5 % off at most), then twice the series of (1 - e)^(-1/3) for what is left.
    """
    x = max(x, 1e-60)
    third = _FOUR_THIRDS_BIAS - np.int64(np.float64(np.float64(x).view(np.int64)) * (1.0 / 3.0))
    y = np.int64(third).view(np.float64)
    for _ in range(2):
        e = 1.0 - x * y * y * y
        y += y * e * (1.0 / 3.0 + e * (2.0 / 9.0 + e * (14.0 / 81.0 + e * (35.0 / 243.0))))
    return y


@inlined
def cbrt(x: float) -> float:
    """Return the cube root of x >= 0."""
    y = inverse_cbrt(x)
    return x * y * y


@inlined
def cos_sin_turns(turns: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in turns, 0 to 1; absolute error below 3e-13."""
    shifted = 4.0 * turns + _ROUND
    quarter = np.float64(shifted).view(np.int64)
    r = turns - 0.25 * (shifted - _ROUND)
    q = r * r
    s = 42.05559131367388 - q * 14.916293253016342
    s = -76.70583433155086 + q * s
    s = 81.6052491828208 + q * s
    s = -41.341702240274515 + q * s
    s = r * (6.283185307179562 + q * s)
    c = 60.23818345813334 - q * 26.05811921618851
    c = -85.45676493587894 + q * c
    c = 64.9393938313428 + q * c
    c = -19.73920880192252 + q * c
    c = 1.0 + q * c
    odd = quarter & np.int64(1) != 0
    x, y = (s, c) if odd else (c, s)
    return (
        -x if (quarter + np.int64(1)) & np.int64(2) != 0 else x,
        -y if quarter & np.int64(2) != 0 else y,
    )


@inlined
def arctan_unit(x: float) -> float:
    """Return the arc tangent of x between 0 and 1; relative error below 6e-9."""
    q = x * x
    p = 0.010680719422607378 - q * 0.001743701138583699
    p = -0.030717508860122564 + q * p
    p = 0.05746355780337353 + q * p
    p = -0.08372063945355053 + q * p
    p = 0.10940198964195579 + q * p
    p = -0.14261573680097986 + q * p
    p = 0.19998230640357093 + q * p
    p = -0.3333328229551098 + q * p
    return x * (1.0 + q * p)
