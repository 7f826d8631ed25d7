"""Columns of a weather model to fixed heights above ground, one column after another."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from metroflux.constants import CP_DRY, GRAVITY, R_DRY

Floats = npt.NDArray[np.float64]

U, V, W, T, Q, P, RHO = range(7)
"""Places of a field in `volumes` and `out`; RHO in `out` alone."""

KAPPA = R_DRY / CP_DRY
VIRTUAL = 0.608
"""R_vapour/R_dry - 1: virtual temperature is t (1 + VIRTUAL q)."""


@njit(cache=True, nogil=True, error_model="numpy")
def psi(s: float) -> float:
    """Return the stability correction of wind at s = z/L; `boundary.psi_momentum` of one number."""
    if s >= 0.0:
        return -5.0 * s
    x = math.sqrt(math.sqrt(1.0 - 16.0 * s))
    return (
        2.0 * math.log(0.5 * (1.0 + x)) + math.log(0.5 * (1.0 + x * x)) - 2.0 * math.atan(x) + 0.5 * math.pi
    )


@njit(cache=True, nogil=True, error_model="numpy")
def columns(
    volumes: tuple[Floats, ...],
    height: Floats, z0: Floats, inverse_obukhov: Floats, heights: Floats, out: Floats,
) -> None:  # fmt: skip
    """Write the fields at `heights` into out; how is said in `modelstate.at_heights`.

    volumes : u, v, w, t, q, p, each (level, column), from the ground up
    height : of the model's levels, m above ground, (level, column); z0, inverse_obukhov : m, m-1, (column,)
    heights : m above ground, ascending; out : (7, heights, column), in the order of `U` to `RHO`
    """
    u, v, w, t, q, p = volumes
    count = height.shape[0]
    logarithm = np.empty(count)
    for n in range(height.shape[1]):
        first, second, s = height[0, n], height[1, n], inverse_obukhov[n]
        for k in range(count):
            logarithm[k] = math.log(p[k, n])
        start = math.log(first) - psi(first * s)
        rise = math.log(second) - psi(second * s) - start
        k = 0
        for m in range(heights.size):
            z = heights[m]
            while k < count - 2 and z >= height[k + 1, n]:
                k += 1
            up = max((z - height[k, n]) / (height[k + 1, n] - height[k, n]), 0.0)
            low = 1.0 - up
            upward, warm = low * w[k, n] + up * w[k + 1, n], low * t[k, n] + up * t[k + 1, n]
            humid = low * q[k, n] + up * q[k + 1, n]
            pressure = math.exp(low * logarithm[k] + up * logarithm[k + 1])
            if k == 0 and z >= first:  # wind in the shape of the surface-layer profile through both levels
                up = (math.log(z) - psi(z * s) - start) / rise
                low = 1.0 - up
            east, north = low * u[k, n] + up * u[k + 1, n], low * v[k, n] + up * v[k + 1, n]
            if z < first:
                ratio = wind_ratio(z, first, z0[n], s)
                east, north, upward = east * ratio, north * ratio, upward * (z / first)
                grown = math.exp(GRAVITY * (first - z) / (R_DRY * warm * (1.0 + VIRTUAL * humid)))
                pressure, warm = pressure * grown, warm * grown**KAPPA
            out[U, m, n], out[V, m, n], out[W, m, n] = east, north, upward
            out[T, m, n], out[Q, m, n], out[P, m, n] = warm, humid, pressure
            out[RHO, m, n] = pressure / (R_DRY * warm * (1.0 + VIRTUAL * humid))


@njit(cache=True, nogil=True, error_model="numpy")
def wind_ratio(z: float, known: float, z0: float, inverse_obukhov: float) -> float:
    """Return the wind at z over that at the height `known` in the surface layer; 0 at and below z0."""
    above, ground = max(z, z0), psi(z0 * inverse_obukhov)
    here = math.log(above / z0) - psi(above * inverse_obukhov) + ground
    return here / (math.log(known / z0) - psi(known * inverse_obukhov) + ground)
