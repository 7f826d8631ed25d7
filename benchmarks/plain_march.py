"""The march as one plain loop over particles and steps: slow, obvious, the measure of the kernel.

It takes the same arguments as `transport.kernels.march.march`, draws the same random numbers and shares
the formulae of turbulence; what it does in its own way is everything else. Both differ by rounding only,
until a particle's path has doubled that difference often enough to be another path.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from transport.kernels.block import half_way, layer_depth, memory_and_kick, spread_gain, time_step
from transport.kernels.field import INVERSE_OBUKHOV as INVERSE_L
from transport.kernels.field import MAP_SCALE, MIXING_HEIGHT, RHO, USTAR, Z0, Fields, U, V, W, profile
from transport.kernels.random import normals
from transport.kernels.state import ALIVE, EAST, NORTH, SOUTH, TOP, WEST, Particles, Rules, Target, Window
from transport.kernels.turbulence import horizontal, length_scale, vertical


@njit(nogil=True, error_model="numpy")
def at(field: NDArray[np.float32], px: float, py: float, n: int) -> float:
    """Return number n of the grid points around px, py (in grid steps), bilinear."""
    i, j = min(int(px), field.shape[1] - 2), min(int(py), field.shape[0] - 2)
    fx, fy = px - i, py - j
    low = field[j, i, n] * (1.0 - fx) + field[j, i + 1, n] * fx
    high = field[j + 1, i, n] * (1.0 - fx) + field[j + 1, i + 1, n] * fx
    return low * (1.0 - fy) + high * fy


@njit(nogil=True, error_model="numpy")
def between(fields: tuple[Any, Any], px: float, py: float, late: float, n: int) -> float:
    """Return number n between the earlier and the later field, linear in time."""
    return (1.0 - late) * at(fields[0], px, py, n) + late * at(fields[1], px, py, n)


@njit(nogil=True, error_model="numpy")
def between_levels(
    cube: tuple[Any, Any], px: float, py: float, late: float, k: int, up: float, n: int
) -> float:
    """Return variable n of the cube between the levels k and k + 1."""
    low, high = between(cube, px, py, late, 4 * k + n), between(cube, px, py, late, 4 * k + 4 + n)
    return (1.0 - up) * low + up * high


@njit(nogil=True, error_model="numpy")
def edge(px: float, py: float, z: float, shape: tuple[int, ...], top: float) -> int:
    """Return ALIVE or the edge of the met domain beyond which a particle lies."""
    if px < 0.0:
        return WEST
    if px > shape[1] - 1:
        return EAST
    if py < 0.0:
        return SOUTH
    if py > shape[0] - 1:
        return NORTH
    return TOP if z > top else ALIVE


@njit(nogil=True, error_model="numpy")
def march(p: Particles, fields: Fields, window: Window, target: Target, rules: Rules) -> int:
    """Move all living particles to the end of the window; return the number of steps made."""
    surface, cube, levels = (
        (fields.surface_0, fields.surface_1),
        (fields.cube_0, fields.cube_1),
        fields.levels,
    )
    steps = 0
    for n in range(p.x.size):
        if p.status[n] != ALIVE or not p.start[n] < p.until[n]:
            continue
        left = p.until[n] - p.start[n]
        while left > 0.0 and p.status[n] == ALIVE:
            px = (p.x[n] - fields.origin[0]) / fields.step[0]
            py = (p.y[n] - fields.origin[1]) / fields.step[1]
            late = window.late_in + (window.late_out - window.late_in) * (p.until[n] - left) / window.length
            h = between(surface, px, py, late, MIXING_HEIGHT)
            ustar = between(surface, px, py, late, USTAR)
            inverse_l = between(surface, px, py, late, INVERSE_L)
            z0 = between(surface, px, py, late, Z0)
            scale = between(surface, px, py, late, MAP_SCALE)

            sigma, slope, _ = vertical(p.z[n], ustar, inverse_l, h)
            length = length_scale(p.z[n], inverse_l, h)
            dt, stride_slope = time_step((sigma, slope), length, p.age[n], left, rules)
            z, psi = half_way(p.z[n], p.psi[n], dt * sigma, stride_slope)
            sigma, slope, time = vertical(z, ustar, inverse_l, h)
            dt, stride_slope = time_step((sigma, slope), length_scale(z, inverse_l, h), p.age[n], left, rules)

            k = 0
            while k < levels.size - 2 and z >= levels[k + 1]:
                k += 1
            up = (z - levels[k]) / (levels[k + 1] - levels[k])
            level = max(up, 0.0)
            wind_x = between_levels(cube, px, py, late, k, level, U)
            wind_y = between_levels(cube, px, py, late, k, level, V)
            rise = between_levels(cube, px, py, late, k, level, W)
            below, above = (
                between(cube, px, py, late, 4 * k + RHO),
                between(cube, px, py, late, 4 * k + 4 + RHO),
            )
            rho, rho_slope = below + up * (above - below), (above - below) / (levels[k + 1] - levels[k])
            if z < levels[0]:
                ratio = profile(z, levels[0], z0, inverse_l)
                wind_x, wind_y, rise = wind_x * ratio, wind_y * ratio, rise * z / levels[0]

            p.drawn[n] += 1
            first, second, third = normals(p.seed[n], p.number[n], p.drawn[n])
            memory, kick = memory_and_kick(dt, time)
            drift = (1.0 - memory) * time * (slope + sigma * rho_slope / rho)
            psi = psi * memory + drift + kick * first
            sigma_h, time_h = horizontal(z, ustar, inverse_l, h)
            memory_h, kick_h = memory_and_kick(dt, time_h)
            p.chi_x[n] = p.chi_x[n] * memory_h + kick_h * second
            p.chi_y[n] = p.chi_y[n] * memory_h + kick_h * third
            dx = scale * dt * (window.sign * wind_x + sigma_h * p.chi_x[n])
            dy = scale * dt * (window.sign * wind_y + sigma_h * p.chi_y[n])

            p.spread[n] += spread_gain(sigma, time, p.age[n], dt)
            depth = layer_depth(p.spread[n], p.floor[n], h, rules.half_layer)
            if z < depth:
                amount, receptor = p.weight[n] * dt / (depth * rho), p.receptor[n]
                i = math.floor((p.x[n] + 0.5 * dx - target.origin[0]) / target.step[0])
                j = math.floor((p.y[n] + 0.5 * dy - target.origin[1]) / target.step[1])
                if 0 <= i < target.foot.shape[3] and 0 <= j < target.foot.shape[2]:
                    target.foot[receptor, target.lag[receptor], j, i] += amount
                    p.deposited[n] += amount
                else:
                    target.off_grid[receptor] += amount

            p.z[n], p.psi[n] = half_way(z + window.sign * dt * rise, psi, dt * sigma, stride_slope)
            p.x[n], p.y[n], p.age[n], left = p.x[n] + dx, p.y[n] + dy, p.age[n] + dt, left - dt
            px = (p.x[n] - fields.origin[0]) / fields.step[0]
            py = (p.y[n] - fields.origin[1]) / fields.step[1]
            p.status[n] = edge(px, py, p.z[n], fields.surface_0.shape, levels[-1])
            steps += 1
    return steps
