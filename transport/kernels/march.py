"""Move particles through one window of time and deposit their time near the ground."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from transport.kernels import block as b
from transport.kernels import hanna
from transport.kernels.block import LANES
from transport.kernels.elementary import inlined
from transport.kernels.field import Fields
from transport.kernels.mesoscale import STREAM, meander
from transport.kernels.random import normals
from transport.kernels.state import ALIVE, Particles, Rules, Target, Window
from transport.kernels.turbulence import vertical
from transport.kernels.vector import WIDTH

March = Callable[[Particles, Fields, Window, Target, Rules], int]
Draws = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


@inlined
def board(p: Particles, n: int, s: NDArray[np.float64], q: NDArray[np.int64], lane: int) -> None:
    """Put particle n into a lane."""
    s[b.X + lane], s[b.Y + lane], s[b.Z + lane], s[b.PSI + lane] = p.x[n], p.y[n], p.z[n], p.psi[n]
    s[b.CHI_X + lane], s[b.CHI_Y + lane], s[b.AGE + lane] = p.chi_x[n], p.chi_y[n], p.age[n]
    s[b.SPREAD + lane], s[b.FLOOR + lane], s[b.WEIGHT + lane] = p.spread[n], p.floor[n], p.weight[n]
    s[b.UNTIL + lane], s[b.LEFT + lane] = p.until[n], p.until[n] - p.start[n]
    s[b.MEANDER_X + lane], s[b.MEANDER_Y + lane] = p.meander_x[n], p.meander_y[n]
    q[b.WHO + lane], q[b.SEED + lane], q[b.NUMBER + lane] = n, p.seed[n], p.number[n]
    q[b.DRAWN + lane] = p.drawn[n]


@inlined
def alight(p: Particles, s: NDArray[np.float64], q: NDArray[np.int64], lane: int) -> None:
    """Write a lane back to its particle."""
    n = q[b.WHO + lane]
    p.x[n], p.y[n], p.z[n], p.psi[n] = s[b.X + lane], s[b.Y + lane], s[b.Z + lane], s[b.PSI + lane]
    p.chi_x[n], p.chi_y[n], p.age[n] = s[b.CHI_X + lane], s[b.CHI_Y + lane], s[b.AGE + lane]
    p.meander_x[n], p.meander_y[n] = s[b.MEANDER_X + lane], s[b.MEANDER_Y + lane]
    p.spread[n], p.drawn[n], p.status[n] = s[b.SPREAD + lane], q[b.DRAWN + lane], q[b.STATUS + lane]


@inlined
def close_gap(s: NDArray[np.float64], q: NDArray[np.int64], last: int, lane: int) -> None:
    """Move the particle of the last lane into an empty one."""
    for r in range(b.STATE):
        s[LANES * r + lane] = s[LANES * r + last]
    for r in range(b.KEYS):
        q[LANES * r + lane] = q[LANES * r + last]
    q[b.STATUS + lane], q[b.CELL_I + lane] = q[b.STATUS + last], q[b.CELL_I + last]
    q[b.CELL_J + lane], s[b.AMOUNT + lane] = q[b.CELL_J + last], s[b.AMOUNT + last]


@inlined
def deposit(p: Particles, target: Target, s: NDArray[np.float64], q: NDArray[np.int64], live: int) -> None:
    """Add each particle's footprint of this step to the cell below it or beside the grid."""
    for lane in range(live):
        amount = s[b.AMOUNT + lane]
        if amount == 0.0:
            continue
        n, i, j = q[b.WHO + lane], q[b.CELL_I + lane], q[b.CELL_J + lane]
        receptor = p.receptor[n]
        if 0 <= i < target.foot.shape[3] and 0 <= j < target.foot.shape[2]:
            target.foot[receptor, target.lag[receptor], j, i] += amount
            p.deposited[n] += amount
        else:
            target.off_grid[receptor] += amount


@inlined
def next_waiting(p: Particles, n: int) -> int:
    """Return the first particle from n on that has to move in this window."""
    while n < p.x.size and not (p.status[n] == ALIVE and p.start[n] < p.until[n]):
        n += 1
    return n


def _march(sources: int, by_hanna: int) -> March:
    """Compile `march` with one set of turbulence.

    Numba keys its disk cache by `sources`, as it does not watch the files called from. What `by_hanna` leaves
    out is not compiled.
    """

    @njit(cache=True, nogil=True, error_model="numpy")
    def march(particles: Particles, fields: Fields, window: Window, target: Target, rules: Rules) -> int:
        """Move all living particles to the end of the window; return the number of steps made.

        The normalised velocity psi = w / sigma_w follows Thomson 1987 in the form of Wilson et al. 1983,
        with the density term of Stohl & Thomson 1999; how it is stepped stands in `block`. Backward in
        time the mean wind is reversed, the turbulence is not (Flesch et al. 1995). A lane takes the next
        particle when its own has ended, so that particles with short steps do not hold up the others.
        """
        _ = sources
        p = particles
        s, q = np.ones(b.ROWS * LANES), np.zeros(b.WHOLE_ROWS * LANES, np.int64)
        ground, air = np.ones(WIDTH * LANES), np.ones(WIDTH * LANES)
        steps = live = 0
        waiting = next_waiting(p, 0)
        while live < LANES and waiting < p.x.size:
            board(p, waiting, s, q, live)
            live += 1
            waiting = next_waiting(p, waiting + 1)
        while live > 0:
            b.locate(s, q, fields, window)
            b.feel_ground(s, q, fields, live, ground)
            if by_hanna:
                b.first_half(s, rules, hanna.vertical)
            else:
                b.first_half(s, rules, vertical)
            b.feel_air(s, q, fields, live, air)
            b.draw(s, q)
            if by_hanna:
                hanna.disperse(s, air)
            else:
                b.disperse(s)
            if rules.mesoscale > 0.0:
                meander(s, q, fields, live, (rules.mesoscale, 0.5 * window.interval), air)
            b.carry(s, air, fields.levels[0], window.sign)
            b.second_half(s, rules)
            b.advance(s, q, fields, target)
            deposit(p, target, s, q, live)
            steps += live
            lane = 0
            while lane < live:
                if s[b.LEFT + lane] > 0.0 and q[b.STATUS + lane] == ALIVE:
                    lane += 1
                    continue
                alight(p, s, q, lane)
                if waiting < p.x.size:
                    board(p, waiting, s, q, lane)
                    waiting = next_waiting(p, waiting + 1)
                    lane += 1
                else:
                    live -= 1
                    close_gap(s, q, live, lane)
        return steps

    return march


def _draws(sources: int) -> Draws:
    """Compile `first_draws`; see `_march`."""

    @njit(cache=True, nogil=True, error_model="numpy")
    def first_draws(seed: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return five normal numbers for each particle's release, shape (particle, 5)."""
        _ = sources
        out = np.empty((seed.size, 5))
        for n in range(seed.size):
            out[n, 0], out[n, 1], out[n, 2] = normals(seed[n], number[n], 0)
            out[n, 3], out[n, 4], _ = normals(seed[n], number[n], 0, STREAM)
        return out

    return first_draws


def _sources_digest() -> int:
    """Return a number that changes with the source of any kernel."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")


march = _march(_sources_digest(), 0)
march_by_hanna = _march(_sources_digest(), 1)
first_draws = _draws(_sources_digest())
