"""Release particles at receptors and march them through the met cube, window by window."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.constants import M_AIR
from metroflux.errors import DataError
from transport.kernels.field import Fields, level_bins
from transport.kernels.march import first_draws, march, march_by_hanna
from transport.kernels.state import ALIVE, Particles, Rules, Target, Window
from transport.kernels.vector import WIDTH
from transport.met import check_hour, hours_to_ns, map_scale

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR = 3_600_000_000_000
"""Nanoseconds in an hour: times are whole nanoseconds since 1970, so that no rounding depends on a batch."""

_FLOOR = (2.5, 10.0)  # m, limits of a quarter of the receptor's height as the thinnest footprint layer


@dataclass(frozen=True)
class Flight:
    """Particles with the times between which each moves.

    particles : state, changed in place by `fly`
    released, stop : ns since 1970, shape (particle,); stop lies before released for a backward flight
    point : index of the receptor's point it started from, shape (particle,)
    origin : ns since 1970 of the end of lag 0, shape (receptor,)
    """

    particles: Particles
    released: Ints
    stop: Ints
    point: Ints
    origin: Ints


def shares(particles: int, points: int) -> Ints:
    """Return how many particles each of `points` gets: as even as can be, the first ones one more.

    >>> shares(7, 3)
    array([3, 2, 2])
    """
    base, extra = divmod(particles, points)
    return base + (np.arange(points, dtype=np.int64) < extra)


def release(receptors: xr.Dataset) -> Flight:
    """Return the particles of all receptors at rest at their points, for a flight back in time.

    Over the averaging interval [time - duration, time] they start at even spacing, each point on its own.

    Raises
    ------
    DataError
        If a point has fewer than two particles: no spread, hence no Monte-Carlo uncertainty.
    """
    time = _ns(receptors.time.values)
    stop = time - _ns(hours_to_ns(receptors.hours.values))
    parts = [_release_one(receptors, r, int(time[r])) for r in range(receptors.sizes["receptor"])]
    merged = _Released(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    particles = make_particles(
        merged.place, merged.weight, merged.receptor, receptors.seed.values[merged.receptor], merged.number
    )
    origin = -(-time // HOUR) * HOUR
    return Flight(particles, merged.released, stop[merged.receptor], merged.point, origin)


class _Released(NamedTuple):
    """Particles at release: place (particle, 3) in m, the rest (particle,)."""

    place: Floats
    weight: Floats
    receptor: Ints
    number: Ints
    point: Ints
    released: Ints


def make_particles(place: Floats, weight: Floats, receptor: Ints, seed: Ints, number: Ints) -> Particles:
    """Return particles with turbulent velocities drawn at equilibrium; arrays of shape (particle,).

    place : x, y and height above ground, m, shape (particle, 3)
    weight : share of the receptor's footprint times molar mass of air, kg mol-1
    seed, number : key and particle counter of the random numbers
    """
    n = number.size
    draws = first_draws(seed, number)
    zeros = [np.zeros(n) for _ in range(5)]
    return Particles(
        x=place[:, 0].copy(), y=place[:, 1].copy(), z=place[:, 2].copy(),
        psi=draws[:, 0].copy(), chi_x=draws[:, 1].copy(), chi_y=draws[:, 2].copy(),
        meander_x=draws[:, 3].copy(), meander_y=draws[:, 4].copy(),
        age=zeros[0], spread=zeros[1],
        status=np.full(n, ALIVE, dtype=np.int64), receptor=receptor, seed=seed, number=number,
        drawn=np.zeros(n, dtype=np.int64),
        floor=np.clip(place[:, 2] / 4.0, *_FLOOR), weight=weight, deposited=zeros[2],
        start=zeros[3], until=zeros[4],
    )  # fmt: skip


def fly(
    flight: Flight, met: "MetTimes", target: Target, rules: Rules, sign: int = -1,
    gather: Callable[[Ints], None] | None = None,
) -> int:  # fmt: skip
    """March the particles from release to stop, backward (-1) or forward (+1); return the steps made.

    gather : called with the lag of each receptor when the particles have left a clock hour, to take this
        hour's footprint out of the target; the target then needs one lag only

    Raises
    ------
    DataError
        If a met time on the way cannot be used, or the target lacks a receptor or a lag on the way.
    """
    p, steps, hour = flight.particles, 0, None
    move = march_by_hanna if rules.by_hanna else march
    for early, late in _windows(flight, met.time, sign):
        if gather is not None and hour is not None and early // HOUR != hour:
            gather(flight.origin // HOUR - hour - 1)
        hour = early // HOUR
        enter = late if sign < 0 else early
        length = (late - early) * 1e-9
        p.start[:] = np.clip(sign * (flight.released - enter) * 1e-9, 0.0, length)
        p.until[:] = np.clip(sign * (flight.stop - enter) * 1e-9, 0.0, length)
        moving = p.receptor[(p.status == ALIVE) & (p.start < p.until)]
        if not moving.size:
            continue
        i = int(np.searchsorted(met.time, early, side="right")) - 1
        weights = [(t - met.time[i]) / (met.time[i + 1] - met.time[i]) for t in (early, late)]
        late_in, late_out = weights if sign > 0 else weights[::-1]
        target.lag[:] = 0 if gather is not None else (flight.origin - late) // HOUR
        _check_target(target, moving)
        interval = float(met.time[i + 1] - met.time[i]) * 1e-9
        window = Window(float(sign), length, float(late_in), float(late_out), interval)
        steps += move(p, met.fields(i), window, target, rules)
    if gather is not None and hour is not None:
        gather(flight.origin // HOUR - hour - 1)
    return steps


def _check_target(target: Target, receptor: Ints) -> None:
    """Refuse particles whose footprint the target has no room for: the kernel writes without looking."""
    receptors, lags = target.foot.shape[:2]
    if receptor.min() < 0 or receptor.max() >= receptors:
        raise DataError(f"footprint: receptor {receptor.max()} of particles; expected 0 to {receptors - 1}")
    lag = target.lag[receptor]
    if lag.min() < 0 or lag.max() >= lags:
        raise DataError(f"footprint: lags {lag.min()} to {lag.max()} on the way; expected 0 to {lags - 1}")


def _windows(flight: Flight, met_time: Ints, sign: int) -> Iterator[tuple[int, int]]:
    """Yield stretches (early, late) in ns between met times and full hours, in the order of flight."""
    first = int(min(flight.released.min(), flight.stop.min()))
    last = int(max(flight.released.max(), flight.stop.max()))
    hours = np.arange(first // HOUR, last // HOUR + 2) * HOUR
    edges = np.unique(np.concatenate([hours, met_time]))
    edges = edges[(edges >= met_time[0]) & (edges <= met_time[-1])]
    pairs = [(int(a), int(b)) for a, b in pairwise(edges) if b > first and a < last]
    yield from pairs if sign > 0 else reversed(pairs)


class MetTimes:
    """The times of a met cube as the kernels want them; each is read once and the last two are kept."""

    def __init__(self, met: xr.Dataset) -> None:
        self._met = met
        self._kept: dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]] = {}
        self._scale = map_scale(met).astype(np.float32)
        self.time = _ns(met.time.values)
        self.levels = met.level.values.astype(np.float64)
        self._below, self._per_metre = level_bins(self.levels)
        x, y = met.x.values, met.y.values
        self.origin = np.array([x[0], y[0]], dtype=np.float64)
        self.step = np.array([(x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)])

    def fields(self, i: int) -> Fields:
        """Return the fields at met times i and i + 1."""
        self._kept = {t: self._kept[t] if t in self._kept else self._read(t) for t in (i, i + 1)}
        (cube_0, surface_0), (cube_1, surface_1) = self._kept[i], self._kept[i + 1]
        return Fields(
            cube_0, cube_1, surface_0, surface_1,
            self.levels, self._below, self._per_metre, self.origin, self.step,
        )  # fmt: skip

    def _read(self, i: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        # read in this thread: a batch may itself be a task of the scheduler that would do the reading
        now = check_hour(self._met.isel(time=i).compute(scheduler="synchronous"))
        dry = now.rho * (1.0 - now.q)  # mole fractions are of dry air
        cube = np.stack([a.transpose("y", "x", "level").values for a in (now.u, now.v, now.w, dry)], axis=-1)
        names = ("mixing_height", "ustar", "inverse_obukhov", "z0")
        surface = np.zeros((*self._scale.shape, WIDTH), np.float32)
        for n, values in enumerate([*(now[name].values for name in names), self._scale]):
            surface[..., n] = values
        return np.ascontiguousarray(cube, np.float32).reshape(*cube.shape[:2], -1), surface


def _release_one(receptors: xr.Dataset, r: int, time: int) -> _Released:
    one = receptors.isel(receptor=r)
    used, count = _split(one.weight.values, int(one.particles))
    total = int(count.sum())
    if used.size and count.min() < 2:
        raise DataError(
            f"receptor {one.datum_id.item()}: {total} particles for {used.size} points; expected >= 2 each"
        )
    point = np.repeat(used, count).astype(np.int64)
    order = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    before = (order + 0.5) / np.repeat(count, count) * float(one.duration)
    return _Released(
        place=np.stack([one[name].values[point] for name in ("x", "y", "height")], axis=1),
        weight=one.weight.values[point] * M_AIR / np.repeat(count, count),
        receptor=np.full(total, r, dtype=np.int64),
        number=np.arange(total, dtype=np.int64),
        point=point,
        released=time - np.round(before * 1e9).astype(np.int64),
    )


def _split(weight: Floats, particles: int) -> tuple[Ints, Ints]:
    """Return the points of a receptor that have a weight, and how many particles each gets."""
    used = np.flatnonzero(weight != 0)
    return used, shares(particles, used.size) if used.size else np.zeros(0, np.int64)


def end_weights(receptors: xr.Dataset, width: int) -> Floats:
    """Return how much each end point counts: its share of the weight of its point, shape (receptor, width).

    A tower's particles count alike; a column's or a gate's as the kernel counts the layer they came from.
    """
    out = np.full((receptors.sizes["receptor"], width), np.nan)
    for r, (weight, particles) in enumerate(
        zip(receptors.weight.values, receptors.particles.values, strict=True)
    ):
        used, count = _split(weight, int(particles))
        out[r, : count.sum()] = np.repeat(weight[used] / count, count)
    return out


def _ns(values: npt.NDArray[np.datetime64] | npt.NDArray[np.timedelta64]) -> Ints:
    kind = "datetime64[ns]" if values.dtype.kind == "M" else "timedelta64[ns]"
    return values.astype(kind).astype(np.int64)
