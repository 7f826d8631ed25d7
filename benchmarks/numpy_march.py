"""The march as numpy would have it: all particles make a step together, every formula written out anew.

It takes the same arguments as `transport.kernels.march.march` and shares none of its code but the constants:
formulae, interpolation and random numbers are another person's reading of the same sources. It knows the
turbulence by similarity and no mesoscale fluctuations.
"""

import numpy as np
from numpy.typing import NDArray

from transport.kernels import turbulence as t
from transport.kernels.block import LONGEST, SHORTEST
from transport.kernels.field import INVERSE_OBUKHOV, MAP_SCALE, MIXING_HEIGHT, RHO, USTAR, Z0, Fields, U, V, W
from transport.kernels.state import ALIVE, EAST, NORTH, SOUTH, TOP, WEST, Particles, Rules, Target, Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def march(p: Particles, fields: Fields, window: Window, target: Target, rules: Rules) -> int:
    """Move all living particles to the end of the window; return the number of steps made."""
    n = np.flatnonzero((p.status == ALIVE) & (p.start < p.until))
    left, steps = p.until - p.start, 0
    while n.size:
        _step(p, n, left, fields, window, target, rules)
        steps += n.size
        n = n[(left[n] > 0.0) & (p.status[n] == ALIVE)]
    return steps


def _step(
    p: Particles, n: Ints, left: Floats, fields: Fields, window: Window, target: Target, rules: Rules
) -> None:
    place = _place(p.x[n], p.y[n], fields)
    late = window.late_in + (window.late_out - window.late_in) * (p.until[n] - left[n]) / window.length
    ground = _between(fields.surface_0, fields.surface_1, place, late, np.arange(5)).T
    h, ustar, per_l, z0 = (ground[k] for k in (MIXING_HEIGHT, USTAR, INVERSE_OBUKHOV, Z0))
    layer, age = (ustar, per_l, h), p.age[n]

    sigma, slope, _ = vertical(p.z[n], *layer)
    dt, stride_slope = _time_step(p.z[n], sigma, slope, (per_l, h), (age, left[n]), rules)
    z, psi = _half_way(p.z[n], p.psi[n], dt * sigma, stride_slope)
    sigma, slope, time = vertical(z, *layer)
    dt, stride_slope = _time_step(z, sigma, slope, (per_l, h), (age, left[n]), rules)

    (wind_x, wind_y, rise), rho, rho_slope = _air(z, fields, place, late, (z0, per_l))
    p.drawn[n] += 1
    first, second, third = normals(p.seed[n], p.number[n], p.drawn[n])
    memory, kick = _memory(dt, time)
    psi = psi * memory + (1.0 - memory) * time * (slope + sigma * rho_slope / rho) + kick * first
    sigma_h, time_h = horizontal(z, *layer)
    memory, kick = _memory(dt, time_h)
    p.chi_x[n] = p.chi_x[n] * memory + kick * second
    p.chi_y[n] = p.chi_y[n] * memory + kick * third
    on_map = ground[MAP_SCALE] * dt
    dx = on_map * (window.sign * wind_x + sigma_h * p.chi_x[n])
    dy = on_map * (window.sign * wind_y + sigma_h * p.chi_y[n])

    p.spread[n] += 2.0 * dt * sigma**2 * time * (1.0 - np.exp(-(age + 0.5 * dt) / time))
    depth = np.minimum(np.maximum(0.1 * np.sqrt(p.spread[n]), p.floor[n]), 0.2 * h)
    depth = 0.5 * h if rules.half_layer else depth
    amount = np.where(z < depth, p.weight[n] * dt / (depth * rho), 0.0)
    _deposit(p, n, (p.x[n] + 0.5 * dx, p.y[n] + 0.5 * dy), amount, target)

    p.z[n], p.psi[n] = _half_way(z + window.sign * dt * rise, psi, dt * sigma, stride_slope)
    p.x[n], p.y[n], p.age[n] = p.x[n] + dx, p.y[n] + dy, age + dt
    left[n] -= dt
    p.status[n] = _status(p.x[n], p.y[n], p.z[n], fields)


def _place(x: Floats, y: Floats, fields: Fields) -> tuple[Ints, Ints, Floats]:
    """Return row and column of the cell's first corner and the weights of its four corners, (4, particle)."""
    px, py = (x - fields.origin[0]) / fields.step[0], (y - fields.origin[1]) / fields.step[1]
    j = np.minimum(py.astype(np.int64), fields.surface_0.shape[0] - 2)
    i = np.minimum(px.astype(np.int64), fields.surface_0.shape[1] - 2)
    fx, fy = px - i, py - j
    return j, i, np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])


def _between(
    now: NDArray[np.float32], later: NDArray[np.float32],
    place: tuple[Ints, Ints, Floats], late: Floats, which: Ints,
) -> Floats:  # fmt: skip
    """Return the numbers `which` of each particle's place and time, (particle, number)."""
    j, i, weight = place
    which = np.broadcast_to(which, (j.size, which.shape[-1]))
    total = np.zeros(which.shape)
    for k, (dj, di) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        at = (j + dj)[:, None], (i + di)[:, None], which
        total += weight[k][:, None] * ((1.0 - late)[:, None] * now[at] + late[:, None] * later[at])
    return total


def _air(
    z: Floats, fields: Fields, place: tuple[Ints, Ints, Floats], late: Floats, rough: tuple[Floats, Floats]
) -> tuple[list[Floats], Floats, Floats]:
    """Return wind along x, y and z (m s-1), density (kg m-3) and its gradient at height z."""
    levels = fields.levels
    k = np.clip(np.searchsorted(levels, z, side="right") - 1, 0, levels.size - 2)
    both = _between(fields.cube_0, fields.cube_1, place, late, 4 * k[:, None] + np.arange(8)).T
    up = (z - levels[k]) / (levels[k + 1] - levels[k])
    wind = [both[v] + np.maximum(up, 0.0) * (both[v + 4] - both[v]) for v in (U, V, W)]
    z0, per_l = rough
    low = np.minimum(z, levels[0])
    ratio = _log_profile(np.maximum(low, z0), z0, per_l) / _log_profile(np.full_like(z, levels[0]), z0, per_l)
    wind = [wind[0] * ratio, wind[1] * ratio, wind[2] * low / levels[0]]
    slope = (both[RHO + 4] - both[RHO]) / (levels[k + 1] - levels[k])
    return wind, both[RHO] + (z - levels[k]) * slope, slope


def _log_profile(z: Floats, z0: Floats, per_l: Floats) -> Floats:
    return np.log(z / z0) - _psi_m(z * per_l) + _psi_m(z0 * per_l)


def _psi_m(s: Floats) -> Floats:
    """Return the stability correction of wind (Paulson 1970; Kaimal & Finnigan 1994)."""
    x = (1.0 - 16.0 * np.minimum(s, 0.0)) ** 0.25
    unstable = np.log((0.5 * (1.0 + x)) ** 2 * 0.5 * (1.0 + x * x)) - 2.0 * np.arctan(x) + 0.5 * np.pi
    return np.where(s < 0.0, unstable, -5.0 * s)


def vertical(z: Floats, ustar: Floats, per_l: Floats, h: Floats) -> tuple[Floats, Floats, Floats]:
    """Return sigma_w (m s-1), its gradient and time scale; see `transport.kernels.turbulence.vertical`."""
    height = np.maximum(z, t.LOWEST)
    s = height * per_l
    root = np.cbrt(1.0 - 3.0 * np.minimum(s, 0.0))
    surface = 1.25 * ustar * root
    surface_slope = np.where(z > t.LOWEST, -1.25 * ustar * np.minimum(per_l, 0.0) / root**2, 0.0)
    phi = (1.0 + 0.5 * np.cbrt(np.minimum(s, 0.0) ** 2)) ** 1.5 + 5.0 * np.maximum(s, 0.0)
    fall = 1.0 - 0.8 * np.minimum(z / h, 1.0)
    sigma, slope = surface * fall, surface_slope * fall - np.where(z < h, 0.8 / h, 0.0) * surface
    dissipation = ustar**3 * phi / (t.VON_KARMAN * height)
    time = 1.0 / (t.C0 * dissipation / (2.0 * surface**2) + sigma / (0.3 * h))
    a, da = _aloft(z / h)
    slope = (1.0 - a) * slope + da / h * (t.FREE_SIGMA_W - sigma)
    return sigma + a * (t.FREE_SIGMA_W - sigma), slope, time + a * (t.FREE_TIME - time)


def horizontal(z: Floats, ustar: Floats, per_l: Floats, h: Floats) -> tuple[Floats, Floats]:
    """Return sigma_u (m s-1) and its time scale (s); see `transport.kernels.turbulence.horizontal`."""
    unstable = per_l < 0.0
    sigma = ustar * np.cbrt(12.0 - 0.5 * h * np.minimum(per_l, 0.0))
    sigma = np.where(unstable, sigma, sigma * (1.0 - 0.8 * np.minimum(z / h, 1.0)))
    short = np.where(unstable, 1.0, np.sqrt(np.minimum(np.maximum(z, t.LOWEST) / h, 1.0)))
    time = 0.15 * h / sigma * short
    a, _ = _aloft(z / h)
    return sigma + a * (t.FREE_SIGMA_H - sigma), time + a * (t.FREE_TIME - time)


def _aloft(zeta: Floats) -> tuple[Floats, Floats]:
    """Return how far zeta = z/h is from 0.85 to 1.15, smoothly 0 to 1, and the derivative."""
    a = np.clip((zeta - 0.85) / 0.3, 0.0, 1.0)
    return a**2 * (3.0 - 2.0 * a), 6.0 * a * (1.0 - a) / 0.3


def _time_step(
    z: Floats, sigma: Floats, slope: Floats,
    layer: tuple[Floats, Floats], life: tuple[Floats, Floats], rules: Rules,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the time step (s) and the gradient of sigma_w dt; see `transport.kernels.block.time_step`."""
    (per_l, h), (age, left) = layer, life
    near, cap = 0.25 * np.hypot(z, t.LOWEST), 1.0 / (5.0 * np.maximum(per_l, 0.0) + 20.0 / h)
    length = near * cap / (near + cap)
    near_slope = 0.25**2 * z / near
    a, da = _aloft(z / h)
    stride_aloft = t.FREE_SIGMA_W * t.FREE_TIME
    free = stride_aloft * h / (h + 5.0 * stride_aloft)
    length_slope = (1.0 - a) * near_slope * (cap / (near + cap)) ** 2 + da / h * (free - length)
    length = length + a * (free - length)
    young, old = rules.early * length / sigma, rules.late * length / sigma
    wanted = np.minimum(np.maximum(young, rules.growth * age), old)
    dt = np.minimum(np.maximum(wanted, SHORTEST), np.minimum(LONGEST, left))
    by_length = (dt == young) | (dt == old)
    return dt, dt * np.where(by_length, sigma / length * length_slope, slope)


def _half_way(z: Floats, psi: Floats, stride: Floats, stride_slope: Floats) -> tuple[Floats, Floats]:
    bend = 0.25 * stride_slope * psi
    z = z + 0.5 * stride * psi * (1.0 + bend + 2.0 / 3.0 * bend**2)
    return np.abs(z), np.where(z < 0.0, -psi, psi)


def _memory(dt: Floats, time: Floats) -> tuple[Floats, Floats]:
    x = 0.5 * dt / time
    return (1.0 - x) / (1.0 + x), 2.0 * np.sqrt(x) / (1.0 + x)


def _deposit(p: Particles, n: Ints, at: tuple[Floats, Floats], amount: Floats, target: Target) -> None:
    i, j = (np.floor((at[k] - target.origin[k]) / target.step[k]).astype(np.int64) for k in (0, 1))
    ny, nx = target.foot.shape[2:]
    on, receptor = (i >= 0) & (i < nx) & (j >= 0) & (j < ny), p.receptor[n]
    np.add.at(target.foot, (receptor[on], target.lag[receptor[on]], j[on], i[on]), amount[on])
    np.add.at(target.off_grid, receptor[~on], amount[~on])
    p.deposited[n[on]] += amount[on]


def _status(x: Floats, y: Floats, z: Floats, fields: Fields) -> Ints:
    px, py = (x - fields.origin[0]) / fields.step[0], (y - fields.origin[1]) / fields.step[1]
    ny, nx = fields.surface_0.shape[:2]
    crossed = [px < 0.0, px > nx - 1, py < 0.0, py > ny - 1, z > fields.levels[-1]]
    return np.select(crossed, [WEST, EAST, SOUTH, NORTH, TOP], ALIVE).astype(np.int64)


def normals(seed: Ints, number: Ints, drawn: Ints) -> tuple[Floats, Floats, Floats]:
    """Return three normal numbers of each step: Philox4x32-10 (Salmon et al. 2011), Box & Muller (1958)."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    key = seed.astype(np.uint64)
    k0, k1 = key & low, key >> half
    zero = np.zeros_like(key)
    c = [drawn.astype(np.uint64), number.astype(np.uint64), zero, zero]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> half) ^ c[1] ^ k0, p1 & low, (p0 >> half) ^ c[3] ^ k1, p0 & low]
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    a, b, e, d = (word.astype(np.float64) for word in c)
    radius, other = (np.sqrt(-2.0 * np.log((word + 0.5) / 2.0**32)) for word in (a, e))
    angle, last = 2.0 * np.pi * (b + 0.5) / 2.0**32, 2.0 * np.pi * d / 2.0**32
    return radius * np.cos(angle), radius * np.sin(angle), other * np.cos(last)
