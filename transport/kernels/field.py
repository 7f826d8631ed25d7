"""Meteorology at a particle: bilinear in the plane, linear in height and time, similarity below the cube."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transport.kernels.elementary import arctan_unit, inlined, kernel, log
from transport.kernels.vector import WIDTH, blend

U, V, W, RHO = 0, 1, 2, 3
"""Places of a level in `cube`: wind, velocity through heights above ground (m s-1), dry air (kg m-3)."""

MIXING_HEIGHT, USTAR, INVERSE_OBUKHOV, Z0, MAP_SCALE = 0, 1, 2, 3, 4
"""Places in `surface`: m, m s-1, m-1, m, and map metres per metre on the ground."""


class Fields(NamedTuple):
    """Two met times around a window; one grid point's variables share a cache line.

    cube_0, cube_1 : float32[y, x, 4 level], at the earlier and the later met time
    surface_0, surface_1 : float32[y, x, 8], the same
    levels : float64[level], m above ground, ascending
    below : int64[bin], for each bin of height the index of the level at or below its lower edge (at least 0)
    per_metre : bins per metre; a bin holds at most one level
    origin, step : float64[2], first grid point and spacing, (x, y), m
    """

    cube_0: NDArray[np.float32]
    cube_1: NDArray[np.float32]
    surface_0: NDArray[np.float32]
    surface_1: NDArray[np.float32]
    levels: NDArray[np.float64]
    below: NDArray[np.int64]
    per_metre: float
    origin: NDArray[np.float64]
    step: NDArray[np.float64]


class Place(NamedTuple):
    """Where a particle is among the grid points: between (i, j) and (i + 1, j + 1), and in time.

    fx, fy : place within the cell, 0 to 1
    late : weight of the later met time, 0 to 1
    """

    i: int
    j: int
    fx: float
    fy: float
    late: float


def level_bins(levels: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Return `below` and `per_metre` of Fields; bins are half as high as the thinnest layer."""
    per_metre = 2.0 / float(np.diff(levels).min())
    edges = np.arange(math.ceil(levels[-1] * per_metre) + 2) / per_metre
    below = np.searchsorted(levels, edges, side="right") - 1
    return np.clip(below, 0, levels.size - 2).astype(np.int64), per_metre


@inlined
def level_interval(levels: NDArray[np.float64], below: NDArray[np.int64], per_metre: float, z: float) -> int:
    """Return the interval of `levels` that holds z; the lowest holds all below, the highest all above."""
    k = below[min(int(z * per_metre), below.size - 1)]
    return min(k + (z >= levels[k + 1]), levels.size - 2)


@inlined
def gather(
    now: NDArray[np.float32],
    later: NDArray[np.float32],
    stride: tuple[int, int],
    place: Place,
    first: int,
    out: NDArray[np.float64],
    lane: int,
) -> None:
    """Write eight numbers of the fields at a place into out[8 lane : 8 lane + 8].

    now, later : flat float32; stride : numbers from one grid point to the next along y and x
    first : the first of the eight among those of a grid point
    """
    fx, fy = place.fx, place.fy
    early, late = 1.0 - place.late, place.late
    a, b, c, d = (1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx
    weight = (early * a, early * b, early * c, early * d, late * a, late * b, late * c, late * d)
    here = place.j * stride[0] + place.i * stride[1] + first
    corner = (here, here + stride[1], here + stride[0], here + stride[0] + stride[1])
    blend(now, later, corner, weight, out, WIDTH * lane)


@inlined
def profile_ratio(z: float, z_known: float, z0: float, inverse_obukhov: float) -> float:
    """Return the wind speed at z over the wind speed at z_known in the surface layer; 0 at and below z0.

    Logarithmic with the stability functions of Paulson 1970 (unstable) and Kaimal & Finnigan 1994 (stable).
    """
    here = _profile(max(z, z0), z0, inverse_obukhov)
    return here / _profile(z_known, z0, inverse_obukhov)


@inlined
def _profile(z: float, z0: float, inverse_obukhov: float) -> float:
    """Return ln(z/z0) - psi_m(z/L) + psi_m(z0/L), the logarithms and the arc tangents each taken together."""
    x = math.sqrt(math.sqrt(1.0 + 16.0 * max(-z * inverse_obukhov, 0.0)))
    x_0 = math.sqrt(math.sqrt(1.0 + 16.0 * max(-z0 * inverse_obukhov, 0.0)))
    growth = (1.0 + x) * (1.0 + x) * (1.0 + x * x)
    growth_0 = (1.0 + x_0) * (1.0 + x_0) * (1.0 + x_0 * x_0)
    turned = arctan_unit((x - x_0) / (1.0 + x * x_0))  # atan x - atan x_0, as x >= x_0 >= 1
    stable = 5.0 * (z - z0) * max(inverse_obukhov, 0.0)
    return log(z * growth_0 / (z0 * growth)) + 2.0 * turned + stable


@kernel
def profile(z: float, z_known: float, z0: float, inverse_obukhov: float) -> float:
    """Return the wind speed at z over the wind speed at z_known; see `profile_ratio`."""
    return profile_ratio(z, z_known, z0, inverse_obukhov)


@kernel
def stability(s: float) -> float:
    """Return the integrated stability correction psi_m of momentum at s = z/L."""
    if s >= 0.0:
        return -5.0 * s
    x = math.sqrt(math.sqrt(1.0 - 16.0 * s))
    return (
        2.0 * math.log(0.5 * (1.0 + x)) + math.log(0.5 * (1.0 + x * x)) - 2.0 * math.atan(x) + 0.5 * math.pi
    )
