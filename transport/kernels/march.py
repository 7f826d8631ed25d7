"""Move particles through one window of time and deposit their time near the ground."""

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from transport.kernels.field import Fields, Place, cube_at, level_interval, profile, surface_at
from transport.kernels.random import normals
from transport.kernels.turbulence import horizontal, vertical

ALIVE, WEST, EAST, SOUTH, NORTH, TOP = 0, 1, 2, 3, 4, 5
"""Status of a particle: in the met domain, or the edge over which it was lost."""

EDGES = ("west", "east", "south", "north", "top")


class Particles(NamedTuple):
    """The state of particles; all arrays have shape (particle,) and change in place.

    x, y, z : position, m; z above ground
    psi, chi_x, chi_y : vertical and horizontal turbulent velocity over its sigma
    age : s since release; spread : sigma_z^2 by Taylor 1921, m2
    status : see ALIVE
    receptor : index in the batch; seed, number, drawn : key and counter of the random numbers
    floor : thinnest footprint layer, m; weight : share of the receptor's footprint times molar mass, kg mol-1
    deposited : footprint given to the flux grid so far, m2 s mol-1
    start, until : s after the window's entry when it starts and stops moving in this window
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    psi: NDArray[np.float64]
    chi_x: NDArray[np.float64]
    chi_y: NDArray[np.float64]
    age: NDArray[np.float64]
    spread: NDArray[np.float64]
    status: NDArray[np.int64]
    receptor: NDArray[np.int64]
    seed: NDArray[np.int64]
    number: NDArray[np.int64]
    drawn: NDArray[np.int64]
    floor: NDArray[np.float64]
    weight: NDArray[np.float64]
    deposited: NDArray[np.float64]
    start: NDArray[np.float64]
    until: NDArray[np.float64]


class Window(NamedTuple):
    """One stretch of time within one met interval and one clock hour.

    sign : +1 forward, -1 backward in time
    length : s
    late_in, late_out : weight of the later met time where particles enter and leave the window, 0 to 1
    """

    sign: float
    length: float
    late_in: float
    late_out: float


class Target(NamedTuple):
    """Where footprints are added.

    foot : float64[receptor, lag, y, x], m2 s mol-1, updated in place
    off_grid : float64[receptor], the part that falls beside the flux grid, m2 s mol-1
    lag : int64[receptor], lag of this window
    origin, step : float64[2], outer corner and cell size of the flux grid, (x, y), m
    """

    foot: NDArray[np.float64]
    off_grid: NDArray[np.float64]
    lag: NDArray[np.int64]
    origin: NDArray[np.float64]
    step: NDArray[np.float64]


class Rules(NamedTuple):
    """Time step and footprint layer.

    early, late : time step over Lagrangian time scale before and after `change`
    change : s since release
    half_layer : 0 for the growing layer, 1 for half the mixing height (as STILT)
    """

    early: float
    late: float
    change: float
    half_layer: int


March = Callable[[Particles, Fields, Window, Target, Rules], int]

_SHORTEST = 1.0  # s; a floor of 3 s and more fails the well-mixed test in stable layers
_LONGEST = 60.0  # s; keeps a step within a few hundred metres of the ground below it
_GRADIENT = 0.05  # largest change of sigma_w along a step, relative to the particle's displacement


@njit(cache=True, nogil=True, error_model="numpy")
def time_step(sigma_slope: float, time: float, age: float, rules: Rules) -> float:
    """Return the time step (s) from the turbulence where the particle is."""
    step = (rules.early if age < rules.change else rules.late) * time
    slope = abs(sigma_slope)
    if slope * step > _GRADIENT:
        step = _GRADIENT / slope
    return min(max(step, _SHORTEST), _LONGEST)


@njit(cache=True, nogil=True, error_model="numpy")
def layer_depth(spread: float, floor: float, mixing_height: float, half_layer: int) -> float:
    """Return the depth (m) of the layer whose residence time makes the footprint.

    Growing: clip(0.2 sigma_z, floor, 0.2 h). Half layer: 0.5 h (Lin et al. 2003).
    """
    if half_layer:
        return 0.5 * mixing_height
    return min(max(0.2 * math.sqrt(spread), floor), 0.2 * mixing_height)


@njit(cache=True, nogil=True, error_model="numpy")
def deposit(target: Target, receptor: int, x: float, y: float, amount: float) -> float:
    """Add an amount of footprint (m2 s mol-1) to the cell at x, y or beside the grid; return the former."""
    lag = target.lag[receptor]
    i = math.floor((x - target.origin[0]) / target.step[0])
    j = math.floor((y - target.origin[1]) / target.step[1])
    if 0 <= i < target.foot.shape[3] and 0 <= j < target.foot.shape[2]:
        target.foot[receptor, lag, j, i] += amount
        return amount
    target.off_grid[receptor] += amount
    return 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def edge_crossed(px: float, py: float, z: float, nx: int, ny: int, top: float) -> int:
    """Return ALIVE or the edge of the met domain beyond which a particle lies; px, py in grid steps."""
    if px < 0.0:
        return WEST
    if px > nx - 1:
        return EAST
    if py < 0.0:
        return SOUTH
    if py > ny - 1:
        return NORTH
    return TOP if z > top else ALIVE


def _march(sources: int) -> March:
    """Compile `march`; numba keys its disk cache by `sources`, as it does not watch the files called from."""

    @njit(cache=True, nogil=True, error_model="numpy")
    def march(particles: Particles, fields: Fields, window: Window, target: Target, rules: Rules) -> int:
        """Move all living particles to the end of the window; return the number of steps made.

        Midpoint step in the normalised velocity psi = w / sigma_w: Thomson 1987 in the form of
        Wilson et al. 1983, density term of Stohl & Thomson 1999. Backward in time the mean wind is
        reversed, the turbulence is not (Flesch et al. 1995).
        """
        _ = sources
        p, steps, levels = particles, 0, fields.levels
        ny, nx = fields.surface_0.shape[:2]
        origin_x, origin_y = fields.origin[0], fields.origin[1]
        step_x, step_y = fields.step[0], fields.step[1]
        for n in range(p.x.size):
            if p.status[n] != ALIVE or not p.start[n] < p.until[n]:
                continue
            x, y, z, psi = p.x[n], p.y[n], p.z[n], p.psi[n]
            chi_x, chi_y, age, spread = p.chi_x[n], p.chi_y[n], p.age[n], p.spread[n]
            clock, until, status, drawn, k = p.start[n], p.until[n], ALIVE, p.drawn[n], 0
            px, py = (x - origin_x) / step_x, (y - origin_y) / step_y
            while status == ALIVE and clock < until:
                i, j = min(int(px), nx - 2), min(int(py), ny - 2)
                late = window.late_in + (window.late_out - window.late_in) * clock / window.length
                place = Place(i, j, px - i, py - j, late)
                surface = surface_at(fields.surface_0, fields.surface_1, place)
                h, ustar, inverse_obukhov, z0, scale = surface

                sigma, slope, time = vertical(z, ustar, inverse_obukhov, h)
                dt = time_step(slope, time, age, rules)
                last = clock + dt >= until
                if last:
                    dt = until - clock
                z += 0.5 * dt * psi * sigma
                if z < 0.0:
                    z, psi = -z, -psi

                k = level_interval(levels, z, k)
                up = (z - levels[k]) / (levels[k + 1] - levels[k])
                u, v, w, below, above = cube_at(fields.cube_0, fields.cube_1, place, k, up)
                rho = below + up * (above - below)
                rho_slope = (above - below) / (levels[k + 1] - levels[k])
                if z < levels[0]:
                    ratio = profile(z, levels[0], z0, inverse_obukhov)
                    u, v, w = u * ratio, v * ratio, w * z / levels[0]
                drawn += 1
                first, second, third = normals(p.seed[n], p.number[n], drawn)
                sigma, slope, time = vertical(z, ustar, inverse_obukhov, h)
                memory = math.exp(-dt / time)
                drift = (1.0 - memory) * time * (slope + sigma * rho_slope / rho)
                psi = psi * memory + drift + math.sqrt(1.0 - memory * memory) * first
                sigma_h, time_h = horizontal(z, ustar, inverse_obukhov, h)
                memory_h = math.exp(-dt / time_h)
                kick = math.sqrt(1.0 - memory_h * memory_h)
                chi_x = chi_x * memory_h + kick * second
                chi_y = chi_y * memory_h + kick * third
                dx = scale * dt * (window.sign * u + sigma_h * chi_x)
                dy = scale * dt * (window.sign * v + sigma_h * chi_y)

                spread += 2.0 * dt * sigma * sigma * time * (1.0 - math.exp(-age / time))
                depth = layer_depth(spread, p.floor[n], h, rules.half_layer)
                if z < depth:
                    amount = p.weight[n] * dt / (depth * rho)
                    p.deposited[n] += deposit(target, p.receptor[n], x + 0.5 * dx, y + 0.5 * dy, amount)

                z += 0.5 * dt * psi * sigma + window.sign * dt * w
                if z < 0.0:
                    z, psi = -z, -psi
                x, y, age = x + dx, y + dy, age + dt
                clock = until if last else clock + dt
                steps += 1
                px, py = (x - origin_x) / step_x, (y - origin_y) / step_y
                status = edge_crossed(px, py, z, nx, ny, levels[-1])
            p.x[n], p.y[n], p.z[n], p.psi[n] = x, y, z, psi
            p.chi_x[n], p.chi_y[n], p.age[n], p.spread[n] = chi_x, chi_y, age, spread
            p.status[n], p.drawn[n] = status, drawn
        return steps

    return march


def _sources_digest() -> int:
    """Return a number that changes with the source of any kernel."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


march = _march(_sources_digest())
