"""The background from a site's own record: the upwind tower, a rolling low quantile, a smooth curve.

Each is given with its errors. Those of the record's tanks keep their names, so that a tank behind tower and
background cancels in their difference; what the method does not know is one more error, forgotten over a
stated time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.time import Times
from metroflux.uncertainty import Random, Shared, components
from observations.background import MethodError, assemble
from observations.components import Group, exponential
from observations.dataset import GOOD

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Sector:
    """The tower that is upwind while the wind comes from `begin` clockwise to `end`, degrees."""

    site: str
    begin: float
    end: float

    def holds(self, direction: Floats) -> npt.NDArray[np.bool_]:
        """Return whether each direction lies in the sector; [330, 30] goes over north."""
        return (direction - self.begin) % 360.0 < (self.end - self.begin) % 360.0


def upwind_tower(
    observations: xr.Dataset,
    record: xr.Dataset,
    direction: Floats,
    sectors: Sequence[Sector],
    error: MethodError,
    most_hours: float = 3.0,
) -> xr.Dataset:
    """Return for each datum what the tower upwind measured at the time nearest to it.

    Parameters
    ----------
    record : observations of the background towers
    direction : from which the wind blows at each datum, degrees clockwise from north, shape (obs,)
    most_hours : longest time between a datum and the measurement taken for it, h

    Raises
    ------
    DataError
        If the wind of a datum is in no sector or two, the datum is of the tower itself, or the tower has no
        good measurement near its time.
    """
    chosen = _upwind(observations, direction, sectors)
    good = record.isel(obs=np.flatnonzero(record.flag.values == GOOD))
    rows = np.empty(chosen.size, dtype=np.intp)
    for site in np.unique(chosen):
        mine = np.flatnonzero(chosen == site)
        rows[mine], far = _measured(good, str(site), observations.time.values[mine], most_hours)
        if far.any():
            raise DataError(
                f"background: {far.sum()} data have no good measurement of {site} within {most_hours:g} h, "
                f"first '{observations.datum_id.values[mine[far]][0]}'"
            )
    weights = np.zeros((rows.size, good.sizes["obs"]))
    weights[np.arange(rows.size), rows] = 1.0
    return _background(observations, good, weights, [], error)


def rolling_quantile(
    observations: xr.Dataset, record: xr.Dataset, quantile: float, window_h: float, error: MethodError
) -> xr.Dataset:
    """Return a low quantile of the record within a window around each datum.

    Its sampling error is half the distance between the quantiles one binomial sd below and above; within a
    window it is common, so it is forgotten over the window.

    Raises
    ------
    ConfigError
        If the quantile is not within 0 to 1 or the window is not positive.
    DataError
        If a window has fewer than 12 good data.
    """
    if not 0 < quantile < 1 or window_h <= 0:
        raise ConfigError(
            f"background: quantile {quantile:g}, window {window_h:g} h; expected 0-1 and above 0"
        )
    good = record.isel(obs=np.flatnonzero(record.flag.values == GOOD))
    half = np.timedelta64(round(window_h * 1800), "s")
    times, where = np.unique(observations.time.values, return_inverse=True)
    weights = np.zeros((times.size, good.sizes["obs"]))
    sampling = np.empty(times.size)
    values = good.mole_fraction.values
    for i, time in enumerate(times):
        rows = np.flatnonzero(np.abs(good.time.values - time) <= half)
        if rows.size < 12:
            raise DataError(
                f"background: {rows.size} good data within {window_h / 2:g} h of {time}; expected 12"
            )
        order = rows[np.argsort(values[rows], kind="stable")]
        spread = np.sqrt(quantile * (1 - quantile) / rows.size)
        low, high = np.quantile(values[rows], np.clip([quantile - spread, quantile + spread], 0, 1))
        sampling[i] = (high - low) / 2
        place = quantile * (rows.size - 1)
        below, share = int(place), place - int(place)
        weights[i, order[below]] = 1 - share
        weights[i, order[min(below + 1, rows.size - 1)]] += share
    group = Group("background-quantile", "background", (), error.traceable_to)
    extra = exponential(observations, group, sampling[where], window_h * 3600.0, error.step_h * 3600.0)
    return _background(observations, good, weights[where], extra, error)


@dataclass(frozen=True)
class Curve:
    """A polynomial and harmonics of the year (Thoning et al. 1989, eq. 1).

    degree : of the polynomial in time
    harmonics : of the year; 0 for records shorter than two years
    """

    degree: int = 2
    harmonics: int = 4

    def design(self, times: Times, origin: np.datetime64) -> Floats:
        """Return the functions at each time, shape (time, function)."""
        years = (times - origin) / np.timedelta64(86400, "s") / 365.25
        powers = [years**n for n in range(self.degree + 1)]
        waves = [f(2 * np.pi * n * years) for n in range(1, self.harmonics + 1) for f in (np.sin, np.cos)]
        return np.stack([*powers, *waves], axis=1)


def smooth_curve(
    observations: xr.Dataset, record: xr.Dataset, curve: Curve, error: MethodError
) -> xr.Dataset:
    """Return the smooth curve through a record at the time of each datum.

    The errors of its coefficients come from the scatter about the curve, enlarged for the correlation of one
    residual with the next, (1 + r) / (1 - r); they are shared by all data, one column for each function.

    Raises
    ------
    DataError
        If the record does not determine the curve, or does not reach over all data.
    """
    good = record.isel(obs=np.argsort(record.time.values, kind="stable"))
    good = good.isel(obs=np.flatnonzero(good.flag.values == GOOD))
    times = good.time.values
    outside = (observations.time.values < times[0]) | (observations.time.values > times[-1])
    if outside.any():
        raise DataError(f"background: {outside.sum()} data are outside the record, {times[0]} to {times[-1]}")
    middle = times[0] + (times[-1] - times[0]) // 2
    X, at = curve.design(times, middle), curve.design(observations.time.values, middle)
    freedom = times.size - X.shape[1]
    scaled = X / np.linalg.norm(X, axis=0)
    if freedom < 1 or np.linalg.cond(scaled) > 1e6:
        raise DataError(
            f"background: {times.size} data from {times[0]} to {times[-1]} do not determine a polynomial of "
            f"degree {curve.degree} and {curve.harmonics} harmonics; expected fewer, or a longer record"
        )
    gain = np.linalg.pinv(X)
    residual = good.mole_fraction.values - X @ (gain @ good.mole_fraction.values)
    variance = float(residual @ residual) / freedom
    follow = float(residual[1:] @ residual[:-1] / (residual @ residual)) if variance > 0 else 0.0
    enlarged = variance * max(1.0, (1 + follow) / (1 - follow))
    columns = at @ np.linalg.svd(gain, full_matrices=False)[0] * np.linalg.svd(gain, compute_uv=False)
    fitted = [
        Shared(f"background-curve:{i}", "background", np.sqrt(enlarged) * column, error.traceable_to)
        for i, column in enumerate(columns.T)
        if enlarged > 0
    ]
    return _background(observations, good, at @ gain, fitted, error, scatter=False)


def _background(
    observations: xr.Dataset,
    record: xr.Dataset,
    weights: Floats,
    extra: Sequence[Shared],
    error: MethodError,
    scatter: bool = True,
) -> xr.Dataset:
    """Return weights @ record with its errors.

    scatter : whether the random errors of the record come in here; not where they are in the residuals
    """
    random, shared = components(record)
    moved = [Shared(s.name, s.cause, weights @ s.column, s.traceable_to) for s in shared]
    noise = np.sqrt(sum((weights**2 @ r.sd**2 for r in random), np.zeros(len(weights))))
    moved += error.shared(observations)
    parts = [Random("background record", noise)] if scatter and noise.any() else []
    used = [s for s in [*moved, *extra] if s.column.any()]
    return assemble(observations, weights @ record.mole_fraction.values, parts, used)


def _upwind(observations: xr.Dataset, direction: Floats, sectors: Sequence[Sector]) -> npt.NDArray[np.str_]:
    inside = np.stack([sector.holds(direction) for sector in sectors], axis=1)
    wrong = np.flatnonzero(inside.sum(axis=1) != 1)
    if wrong.size:
        raise DataError(
            f"background: the wind of {wrong.size} data is in no sector or in two, first "
            f"{direction[wrong[0]]:g} degrees at '{observations.datum_id.values[wrong[0]]}'"
        )
    chosen = np.array([sector.site for sector in sectors])[inside.argmax(axis=1)]
    own = np.flatnonzero(chosen == observations.site.values)
    if own.size:
        raise DataError(
            f"background: {own.size} data are of the upwind tower itself, first "
            f"'{observations.datum_id.values[own[0]]}'; expected a selection without them"
        )
    return chosen


def _measured(
    good: xr.Dataset, site: str, wanted: Times, most_hours: float
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the row of a site nearest to each time, and whether it is too far away."""
    own = np.flatnonzero(good.site.values == site)
    if not own.size:
        return np.zeros(wanted.size, dtype=np.intp), np.ones(wanted.size, dtype=bool)
    rows = own[nearest(good.time.values[own], wanted)]
    return rows, np.abs(good.time.values[rows] - wanted) / np.timedelta64(1, "h") > most_hours


def nearest(times: Times, wanted: Times) -> Ints:
    """Return the index of the time nearest to each wanted time."""
    order = np.argsort(times, kind="stable")
    after = np.clip(np.searchsorted(times[order], wanted), 1, max(times.size - 1, 1))
    before = after - 1
    after = np.minimum(after, times.size - 1)
    nearer = np.abs(times[order[after]] - wanted) < np.abs(wanted - times[order[before]])
    return order[np.where(nearer, after, before)]
