"""The phases of a step of a block of particles: each a loop over its lanes, made of vector instructions.

A step of the vertical motion. The normalised velocity psi = w / sigma_w obeys a Langevin equation with the
density rho(z) N(psi) at rest. It is split: half the way with psi at hand, there the change of psi (half the
drift, memory and random part, half the drift), then the other half (Leimkuhler & Matthews 2013, "ABOBA").
Memory and random part leave N(psi) alone at any dt, so dt need not resolve the Lagrangian time scale T, only
how turbulence changes with height. dt(z) taken from where a step begins would pull particles to where dt is
short. Hence a change of time: in units of steps, dz = G(z) psi with the stride G = sigma_w dt, solved to
second order; the step then takes the time dt of its middle, which is also what it deposits. At rest the
density in steps is rho / dt, and so rho in seconds (Huang & Leimkuhler 1997 for such steps in mechanics).

A particle in flight occupies a lane. The numbers of all lanes lie in one array, row after row: number r of
lane l at r * LANES + l. In one array at known places the compiler can see that no row overlaps another.
All loops over lanes have the constant length LANES: the same instructions then serve every lane, and the
bits of a particle's flight do not depend on its lane. Lanes without a particle compute nonsense, unread.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from transport.kernels import field
from transport.kernels.elementary import exp, inlined
from transport.kernels.field import RHO, Fields, Place, U, V, W, gather, level_interval, profile_ratio
from transport.kernels.random import normals
from transport.kernels.state import ALIVE, EAST, NORTH, SOUTH, TOP, WEST, Rules, Target, Window
from transport.kernels.turbulence import horizontal, length_scale
from transport.kernels.vector import WIDTH

LANES = 128

Vertical = Callable[[float, float, float, float], tuple[float, float, float]]
"""sigma_w, its gradient and time scale at a height, for u*, 1/L and mixing height: a set of turbulence."""

# rows of `s`, float64: the state that stays with a particle ...
X, Y, Z, PSI, CHI_X, CHI_Y, AGE, SPREAD, FLOOR, WEIGHT, UNTIL, LEFT = (LANES * r for r in range(12))
MEANDER_X, MEANDER_Y = (LANES * r for r in range(12, 14))
STATE = 14
# ... and what a step computes
FX, FY, LATE, DT, BOTTOM, DEPTH, DENSITY, DENSITY_SLOPE, RISE, KICK, DX, DY, AMOUNT = (
    LANES * r for r in range(STATE, STATE + 13)
)
H, USTAR, INVERSE_L, Z0, SCALE = (LANES * r for r in range(STATE + 13, STATE + 18))
SIGMA, SIGMA_SLOPE, TIME, STRIDE_SLOPE = (LANES * r for r in range(STATE + 18, STATE + 22))
MIDDLE = LANES * (STATE + 22)
ROWS = STATE + 23

# rows of `q`, int64: likewise
WHO, SEED, NUMBER, DRAWN = (LANES * r for r in range(4))
KEYS = 4
COLUMN, ROW, LEVEL, CELL_I, CELL_J, STATUS = (LANES * r for r in range(KEYS, KEYS + 6))
WHOLE_ROWS = KEYS + 6

SHORTEST = 1.0  # s
LONGEST = 60.0  # s; keeps a step within a few hundred metres of the ground below it
_TWO_THIRDS = 2.0 / 3.0
QUANTUM = 1.5 * 2.0**52 * 2.0**-42
"""Added and subtracted, it rounds an amount of footprint to a multiple of 2^-42 m2 s mol-1 (2e-13).

Sums of such multiples are exact below 2048 m2 s mol-1, hence the same in any order of particles.
"""


@inlined
def time_step(
    sigma: tuple[float, float], length: tuple[float, float], age: float, left: float, rules: Rules
) -> tuple[float, float]:
    """Return the time step dt (s) where a particle is, and the vertical gradient of sigma_w dt.

    sigma, length : sigma_w (m s-1) and `length_scale` (m), each with its gradient
    age, left : s since release and until the end of the window
    """
    per_sigma, by_length = 1.0 / sigma[0], sigma[0] / length[0] * length[1]
    young, old = rules.early * length[0] * per_sigma, rules.late * length[0] * per_sigma
    dt = min(max(min(max(young, rules.growth * age), old), SHORTEST), min(LONGEST, left))
    slope = by_length if dt == young else sigma[1]
    return dt, dt * (by_length if dt == old else slope)


@inlined
def half_way(z: float, psi: float, stride: float, stride_slope: float) -> tuple[float, float]:
    """Return height and normalised velocity after half a step along `stride` = sigma_w dt (m) times psi.

    Third order for a stride that grows with height as near the ground, else second; the ground reflects.
    """
    change = 0.25 * stride_slope * psi
    z += 0.5 * stride * psi * (1.0 + change + _TWO_THIRDS * change * change)
    return abs(z), -psi if z < 0.0 else psi


@inlined
def memory_and_kick(dt: float, time: float) -> tuple[float, float]:
    """Return the share of a normalised velocity that lasts a step, and the factor of the normal number.

    The share (1 - x)/(1 + x), x = dt / 2T, makes the eddy diffusivity sigma^2 T for any dt;
    exp(-dt/T) would make it 8 % too large at dt = T. With the kick the variance is 1 for any dt.
    """
    x = 0.5 * dt / time
    per = 1.0 / (1.0 + x)
    return (1.0 - x) * per, 2.0 * math.sqrt(x) * per


@inlined
def spread_gain(sigma: float, time: float, age: float, dt: float) -> float:
    """Return the growth of sigma_z^2 (m2) during a step (Taylor 1921)."""
    return 2.0 * dt * sigma * sigma * time * (1.0 - exp(-(age + 0.5 * dt) / time))


@inlined
def layer_depth(spread: float, floor: float, mixing_height: float, half_layer: int) -> float:
    """Return the depth (m) of the layer whose residence time makes the footprint.

    Growing: clip(0.1 sigma_z, floor, 0.2 h). Half layer: 0.5 h (Lin et al. 2003).
    """
    growing = min(max(0.1 * math.sqrt(spread), floor), 0.2 * mixing_height)
    return 0.5 * mixing_height if half_layer else growing


@inlined
def locate(s: NDArray[np.float64], q: NDArray[np.int64], fields: Fields, window: Window) -> None:
    """Find the grid cell and the time of every lane."""
    ny, nx = fields.surface_0.shape[0], fields.surface_0.shape[1]
    origin_x, origin_y = fields.origin[0], fields.origin[1]
    per_x, per_y = 1.0 / fields.step[0], 1.0 / fields.step[1]
    rate = (window.late_out - window.late_in) / window.length
    for n in range(LANES):
        px, py = (s[X + n] - origin_x) * per_x, (s[Y + n] - origin_y) * per_y
        i, j = min(int(px), nx - 2), min(int(py), ny - 2)
        q[COLUMN + n], q[ROW + n] = i, j
        s[FX + n], s[FY + n] = px - i, py - j
        s[LATE + n] = window.late_in + rate * (s[UNTIL + n] - s[LEFT + n])


@inlined
def feel_ground(
    s: NDArray[np.float64], q: NDArray[np.int64], fields: Fields, live: int, ground: NDArray[np.float64]
) -> None:
    """Read the surface fields below every particle."""
    now, later = fields.surface_0.ravel(), fields.surface_1.ravel()
    stride = (fields.surface_0.shape[1] * WIDTH, WIDTH)
    for n in range(live):
        place = Place(q[COLUMN + n], q[ROW + n], s[FX + n], s[FY + n], s[LATE + n])
        gather(now, later, stride, place, 0, ground, n)
    for n in range(LANES):
        g = WIDTH * n
        s[H + n], s[USTAR + n] = ground[g + field.MIXING_HEIGHT], ground[g + field.USTAR]
        s[INVERSE_L + n], s[Z0 + n] = ground[g + field.INVERSE_OBUKHOV], ground[g + field.Z0]
        s[SCALE + n] = ground[g + field.MAP_SCALE]


@inlined
def feel_air(
    s: NDArray[np.float64], q: NDArray[np.int64], fields: Fields, live: int, air: NDArray[np.float64]
) -> None:
    """Read the levels below and above every particle."""
    now, later = fields.cube_0.ravel(), fields.cube_1.ravel()
    levels, below, per_metre = fields.levels, fields.below, fields.per_metre
    stride = (fields.cube_0.shape[1] * fields.cube_0.shape[2], fields.cube_0.shape[2])
    for n in range(live):
        k = level_interval(levels, below, per_metre, s[Z + n])
        q[LEVEL + n] = k
        s[BOTTOM + n] = levels[k]
        s[DEPTH + n] = levels[k + 1] - levels[k]
    for n in range(live):
        place = Place(q[COLUMN + n], q[ROW + n], s[FX + n], s[FY + n], s[LATE + n])
        gather(now, later, stride, place, 4 * q[LEVEL + n], air, n)


@inlined
def first_half(s: NDArray[np.float64], rules: Rules, vertical: Vertical) -> None:
    """Go half a step with the turbulent velocity at hand, to its middle; there its time is known."""
    for n in range(LANES):
        ustar, inverse_l, h, age, left = s[USTAR + n], s[INVERSE_L + n], s[H + n], s[AGE + n], s[LEFT + n]
        z = s[Z + n]
        sigma, slope, _ = vertical(z, ustar, inverse_l, h)
        dt, stride_slope = time_step((sigma, slope), length_scale(z, inverse_l, h), age, left, rules)
        z, psi = half_way(z, s[PSI + n], dt * sigma, stride_slope)
        sigma, slope, time = vertical(z, ustar, inverse_l, h)
        dt, stride_slope = time_step((sigma, slope), length_scale(z, inverse_l, h), age, left, rules)
        s[Z + n], s[PSI + n], s[DT + n] = z, psi, dt
        s[SIGMA + n], s[SIGMA_SLOPE + n], s[TIME + n], s[STRIDE_SLOPE + n] = sigma, slope, time, stride_slope


@inlined
def disperse(s: NDArray[np.float64]) -> None:
    """Let every lane drift in the plane; the draws in DX, DY become its displacement, m on the ground."""
    for n in range(LANES):
        dt = s[DT + n]
        sigma, time = horizontal(s[Z + n], s[USTAR + n], s[INVERSE_L + n], s[H + n])
        memory, kick = memory_and_kick(dt, time)
        s[CHI_X + n] = s[CHI_X + n] * memory + kick * s[DX + n]
        s[CHI_Y + n] = s[CHI_Y + n] * memory + kick * s[DY + n]
        s[DX + n] = dt * sigma * s[CHI_X + n]
        s[DY + n] = dt * sigma * s[CHI_Y + n]


@inlined
def draw(s: NDArray[np.float64], q: NDArray[np.int64]) -> None:
    """Draw three normal numbers for every lane into KICK, DX, DY."""
    for n in range(LANES):
        q[DRAWN + n] += 1
        first, second, third = normals(q[SEED + n], q[NUMBER + n], q[DRAWN + n])
        s[KICK + n], s[DX + n], s[DY + n] = first, second, third


@inlined
def carry(
    s: NDArray[np.float64],
    air: NDArray[np.float64],
    lowest: float,
    sign: float,
) -> None:
    """Add the mean wind to the displacement; find the density where the particle is."""
    per_lowest = 1.0 / lowest
    for n in range(LANES):
        g, z, dt = WIDTH * n, s[Z + n], s[DT + n]
        up = (z - s[BOTTOM + n]) / s[DEPTH + n]
        a = max(up, 0.0)
        u = air[g + U] + a * (air[g + U + 4] - air[g + U])
        v = air[g + V] + a * (air[g + V + 4] - air[g + V])
        w = air[g + W] + a * (air[g + W + 4] - air[g + W])
        ratio = profile_ratio(min(z, lowest), lowest, s[Z0 + n], s[INVERSE_L + n])
        w *= min(z * per_lowest, 1.0)
        map_metres = s[SCALE + n]
        s[DX + n] = map_metres * (s[DX + n] + sign * dt * u * ratio)
        s[DY + n] = map_metres * (s[DY + n] + sign * dt * v * ratio)
        difference = air[g + RHO + 4] - air[g + RHO]
        rho = air[g + RHO] + up * difference
        s[DENSITY_SLOPE + n] = difference / (s[DEPTH + n] * rho)
        s[DENSITY + n] = rho
        s[RISE + n] = sign * dt * w


@inlined
def second_half(s: NDArray[np.float64], rules: Rules) -> None:
    """Change the turbulent velocity, add the footprint, go the second half of the step."""
    for n in range(LANES):
        z, dt, age, sigma, time = s[Z + n], s[DT + n], s[AGE + n], s[SIGMA + n], s[TIME + n]
        memory, kick = memory_and_kick(dt, time)
        drift = (1.0 - memory) * time * (s[SIGMA_SLOPE + n] + sigma * s[DENSITY_SLOPE + n])
        psi = s[PSI + n] * memory + drift + kick * s[KICK + n]
        spread = s[SPREAD + n] + spread_gain(sigma, time, age, dt)
        depth = layer_depth(spread, s[FLOOR + n], s[H + n], rules.half_layer)
        amount = s[WEIGHT + n] * dt / (depth * s[DENSITY + n]) if z < depth else 0.0
        s[AMOUNT + n] = (amount + QUANTUM) - QUANTUM
        z, psi = half_way(z + s[RISE + n], psi, dt * sigma, s[STRIDE_SLOPE + n])
        s[Z + n], s[PSI + n] = z, psi
        s[SPREAD + n] = spread
        s[AGE + n] = age + dt
        s[LEFT + n] -= dt


@inlined
def advance(s: NDArray[np.float64], q: NDArray[np.int64], fields: Fields, target: Target) -> None:
    """Move every lane in the plane; find the cell of its footprint and the edge it has crossed."""
    ny, nx = fields.surface_0.shape[0], fields.surface_0.shape[1]
    origin_x, origin_y = fields.origin[0], fields.origin[1]
    per_x, per_y = 1.0 / fields.step[0], 1.0 / fields.step[1]
    top = fields.levels[-1]
    corner_x, corner_y, cell_x, cell_y = target.origin[0], target.origin[1], target.step[0], target.step[1]
    for n in range(LANES):
        x, y, dx, dy = s[X + n], s[Y + n], s[DX + n], s[DY + n]
        q[CELL_I + n] = int(np.floor((x + 0.5 * dx - corner_x) / cell_x))
        q[CELL_J + n] = int(np.floor((y + 0.5 * dy - corner_y) / cell_y))
        x, y = x + dx, y + dy
        s[X + n], s[Y + n] = x, y
        px, py = (x - origin_x) * per_x, (y - origin_y) * per_y
        status = TOP if s[Z + n] > top else ALIVE
        status = NORTH if py > ny - 1 else status
        status = SOUTH if py < 0.0 else status
        status = EAST if px > nx - 1 else status
        q[STATUS + n] = WEST if px < 0.0 else status
