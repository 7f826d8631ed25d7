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


# The lookups take bare arrays: handing over a whole Fields costs more than the interpolation.


@njit(cache=True, nogil=True, error_model="numpy")
def surface_at(
    surface_0: NDArray[np.float32], surface_1: NDArray[np.float32], place: Place
) -> tuple[float, float, float, float, float]:
    """Return mixing height, u*, 1/L, z0 and map scale at a place."""
    h, ustar, inverse_obukhov, z0, scale = _surface_now(surface_0, place)
    h_1, ustar_1, inverse_obukhov_1, z0_1, _ = _surface_now(surface_1, place)
    late = place.late
    return (
        h + late * (h_1 - h),
        ustar + late * (ustar_1 - ustar),
        inverse_obukhov + late * (inverse_obukhov_1 - inverse_obukhov),
        z0 + late * (z0_1 - z0),
        scale,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _surface_now(surface: NDArray[np.float32], place: Place) -> tuple[float, float, float, float, float]:
    h = ustar = inverse_obukhov = z0 = scale = 0.0
    for dj in range(2):
        for di in range(2):
            j, i = place.j + dj, place.i + di
            weight = (place.fy if dj else 1.0 - place.fy) * (place.fx if di else 1.0 - place.fx)
            h += weight * surface[j, i, MIXING_HEIGHT]
            ustar += weight * surface[j, i, USTAR]
            inverse_obukhov += weight * surface[j, i, INVERSE_OBUKHOV]
            z0 += weight * surface[j, i, Z0]
            scale += weight * surface[j, i, MAP_SCALE]
    return h, ustar, inverse_obukhov, z0, scale


@njit(cache=True, nogil=True, error_model="numpy")
def cube_at(
    cube_0: NDArray[np.float32], cube_1: NDArray[np.float32], place: Place, k: int, up: float
) -> tuple[float, float, float, float, float]:
    """Return u, v, w (m s-1) and the density (kg m-3) at the levels k and k + 1.

    up : place between the levels; below 0 (under the lowest level) it counts as 0
    """
    u, v, w, below, above = _cube_now(cube_0, place, k, max(up, 0.0))
    u_1, v_1, w_1, below_1, above_1 = _cube_now(cube_1, place, k, max(up, 0.0))
    late = place.late
    return (
        u + late * (u_1 - u),
        v + late * (v_1 - v),
        w + late * (w_1 - w),
        below + late * (below_1 - below),
        above + late * (above_1 - above),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _cube_now(
    cube: NDArray[np.float32], place: Place, k: int, up: float
) -> tuple[float, float, float, float, float]:
    u = v = w = below = above = 0.0
    for dj in range(2):
        for di in range(2):
            j, i = place.j + dj, place.i + di
            weight = (place.fy if dj else 1.0 - place.fy) * (place.fx if di else 1.0 - place.fx)
            u += weight * (cube[j, i, k, U] * (1.0 - up) + cube[j, i, k + 1, U] * up)
            v += weight * (cube[j, i, k, V] * (1.0 - up) + cube[j, i, k + 1, V] * up)
            w += weight * (cube[j, i, k, W] * (1.0 - up) + cube[j, i, k + 1, W] * up)
            below += weight * cube[j, i, k, RHO]
            above += weight * cube[j, i, k + 1, RHO]
    return u, v, w, below, above


@njit(cache=True, nogil=True, error_model="numpy")
def level_interval(levels: NDArray[np.float64], z: float, k: int) -> int:
    """Return the interval of `levels` that holds z, searched from a guess k; the lowest holds all below."""
    while k > 0 and z < levels[k]:
        k -= 1
    while k < levels.size - 2 and z >= levels[k + 1]:
        k += 1
    return k


@njit(cache=True, nogil=True, error_model="numpy")
def profile(z: float, z_known: float, z0: float, inverse_obukhov: float) -> float:
    """Return the wind speed at z over the wind speed at z_known in the surface layer; 0 at and below z0.

    Logarithmic with the stability functions of Paulson 1970 (unstable) and Kaimal & Finnigan 1994 (stable).
    """
    if z <= z0:
        return 0.0
    ground = stability(z0 * inverse_obukhov)
    here = math.log(z / z0) - stability(z * inverse_obukhov) + ground
    return here / (math.log(z_known / z0) - stability(z_known * inverse_obukhov) + ground)


@njit(cache=True, nogil=True, error_model="numpy")
def stability(s: float) -> float:
    """Return the integrated stability correction psi_m of momentum at s = z/L."""
    if s >= 0.0:
        return -5.0 * s
    x = math.sqrt(math.sqrt(1.0 - 16.0 * s))
    return (
        2.0 * math.log(0.5 * (1.0 + x)) + math.log(0.5 * (1.0 + x * x)) - 2.0 * math.atan(x) + 0.5 * math.pi
    )
