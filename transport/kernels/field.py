"""Meteorology at a particle: bilinear in the plane, linear in height and time, similarity below the cube."""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

U, V, W, RHO = 0, 1, 2, 3
"""Last axis of `cube`: wind (m s-1), vertical velocity above ground (m s-1), dry-air density (kg m-3)."""

MIXING_HEIGHT, USTAR, INVERSE_OBUKHOV, Z0, MAP_SCALE = 0, 1, 2, 3, 4
"""Last axis of `surface`: m, m s-1, m-1, m, and map metres per metre on the ground."""


class Fields(NamedTuple):
    """Two met times around a window; one grid point's variables share a cache line.

    cube_0, cube_1 : float32[y, x, level, 4], at the earlier and the later met time
    surface_0, surface_1 : float32[y, x, 5], the same
    levels : float64[level], m above ground, ascending
    origin, step : float64[2], first grid point and spacing, (x, y), m
    """

    cube_0: NDArray[np.float32]
    cube_1: NDArray[np.float32]
    surface_0: NDArray[np.float32]
    surface_1: NDArray[np.float32]
    levels: NDArray[np.float64]
    origin: NDArray[np.float64]
    step: NDArray[np.float64]


@njit(cache=True, nogil=True)
def surface_at(
    fields: Fields, i: int, j: int, fx: float, fy: float, late: float
) -> tuple[float, float, float, float, float]:
    """Return mixing height, u*, 1/L, z0 and map scale at a place between grid points (i, j), (i+1, j+1).

    fx, fy : place within the cell, 0 to 1; late : weight of the later met time, 0 to 1
    """
    h = ustar = inverse_obukhov = z0 = scale = 0.0
    for c in range(4):
        jj, ii = j + (c >> 1), i + (c & 1)
        plane = (fy if c >> 1 else 1.0 - fy) * (fx if c & 1 else 1.0 - fx)
        for t in range(2):
            point = fields.surface_1[jj, ii] if t else fields.surface_0[jj, ii]
            weight = plane * (late if t else 1.0 - late)
            h += weight * point[0]
            ustar += weight * point[1]
            inverse_obukhov += weight * point[2]
            z0 += weight * point[3]
            scale += weight * point[4]
    return h, ustar, inverse_obukhov, z0, scale


@njit(cache=True, nogil=True)
def cube_at(
    fields: Fields, i: int, j: int, fx: float, fy: float, late: float, k: int, z: float
) -> tuple[float, float, float, float, float]:
    """Return u, v, w (m s-1), density (kg m-3) and its vertical gradient (kg m-4) in level interval k.

    Below the lowest level u and v are those of the level (see `profile`), w falls linearly to zero at the
    ground, and density keeps its gradient.
    """
    low, high = fields.levels[k], fields.levels[k + 1]
    f = (z - low) / (high - low)
    up = max(f, 0.0)
    u = v = w = below = above = 0.0
    for c in range(4):
        jj, ii = j + (c >> 1), i + (c & 1)
        plane = (fy if c >> 1 else 1.0 - fy) * (fx if c & 1 else 1.0 - fx)
        for t in range(2):
            column = fields.cube_1[jj, ii] if t else fields.cube_0[jj, ii]
            weight = plane * (late if t else 1.0 - late)
            u += weight * ((1.0 - up) * column[k, 0] + up * column[k + 1, 0])
            v += weight * ((1.0 - up) * column[k, 1] + up * column[k + 1, 1])
            w += weight * ((1.0 - up) * column[k, 2] + up * column[k + 1, 2])
            below += weight * column[k, 3]
            above += weight * column[k + 1, 3]
    if z < fields.levels[0]:
        w *= z / fields.levels[0]
    return u, v, w, below + f * (above - below), (above - below) / (high - low)


@njit(cache=True, nogil=True)
def level_interval(levels: NDArray[np.float64], z: float, k: int) -> int:
    """Return the interval of `levels` that holds z, searched from a guess k; the lowest holds all below."""
    while k > 0 and z < levels[k]:
        k -= 1
    while k < levels.size - 2 and z >= levels[k + 1]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def profile(z: float, z_known: float, z0: float, inverse_obukhov: float) -> float:
    """Return the wind speed at z over the wind speed at z_known in the surface layer; 0 at and below z0.

    Logarithmic with the stability functions of Paulson 1970 (unstable) and Kaimal & Finnigan 1994 (stable).
    """
    if z <= z0:
        return 0.0
    ground = stability(z0 * inverse_obukhov)
    here = math.log(z / z0) - stability(z * inverse_obukhov) + ground
    return here / (math.log(z_known / z0) - stability(z_known * inverse_obukhov) + ground)


@njit(cache=True, nogil=True)
def stability(s: float) -> float:
    """Return the integrated stability correction psi_m of momentum at s = z/L."""
    if s >= 0.0:
        return -5.0 * s
    x = math.sqrt(math.sqrt(1.0 - 16.0 * s))
    return (
        2.0 * math.log(0.5 * (1.0 + x)) + math.log(0.5 * (1.0 + x * x)) - 2.0 * math.atan(x) + 0.5 * math.pi
    )
