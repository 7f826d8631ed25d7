"""The end points of particles, a field read there, and its mean with the error of a finite sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.uncertainty import Random

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ends:
    """Where and when the particles of each datum ended, each of shape (obs, particle).

    time : UTC; the datum's own in an empty slot
    x, y, height : m, height above ground; 0 in an empty slot
    weight : how often a point counts, 0 in an empty slot
    datum_id : shape (obs,)
    """

    time: Times
    x: Floats
    y: Floats
    height: Floats
    weight: Floats
    datum_id: npt.NDArray[np.str_]

    @property
    def used(self) -> Truths:
        """Whether there is a point."""
        return self.weight != 0


@dataclass(frozen=True)
class Sampled:
    """A field at end points, shape (obs, particle), and by axis whether a point lay beyond its edge."""

    values: Floats
    beyond: Mapping[str, Truths]


def ends_of(observations: xr.Dataset, footprints: xr.Dataset) -> Ends:
    """Return the end points of each observation's particles.

    Particles count by `end_weight` (receptor, particle) if the footprints have it, else equally.

    Raises
    ------
    DataError
        If an observation has no receptor or fewer than two particles with an end.
    """
    schema.check(footprints, "footprints", "background")
    rows = rows_of(observations.datum_id.values, footprints.datum_id.values, "footprints")
    ended = footprints.isel(receptor=rows)
    weight = _end_weight(footprints)[rows]
    x, y, height, hours = (
        np.where(weight != 0, ended[f"end_{name}"].values, 0.0).astype(np.float64)
        for name in ("x", "y", "height", "hours")
    )
    age = np.round(hours * 3.6e12).astype("timedelta64[ns]")
    return Ends(ended.time.values[:, None] - age, x, y, height, weight, ended.datum_id.values)


def sample(ends: Ends, field: xr.Dataset, places: Mapping[str, Floats]) -> Sampled:
    """Return a field at end points, interpolated linearly in time and along each other axis.

    A point beyond the field's edge takes the value at that edge. Along an axis with one value, time
    included, the field does not vary: nothing lies beyond it.

    Parameters
    ----------
    field : `mole_fraction`, whose first axis is time
    places : place of each point along the other axes, by name, in the order of the field's axes

    Raises
    ------
    DataError
        If a point is outside the field's times, or an axis is not ascending.
    """
    origin = field.time.values[0]
    axis, moments = ((t - origin) / np.timedelta64(1, "s") for t in (field.time.values, ends.time))
    low, share, early_or_late = _corners(axis, moments)
    outside = ends.used & early_or_late
    if outside.any():
        first = ends.datum_id[outside.any(axis=1)][0]
        raise DataError(
            f"background field: {outside.sum()} end points are outside its times, {origin} to "
            f"{field.time.values[-1]}, first of '{first}'"
        )
    corners, beyond = [(low, share)], {}
    for name, points in places.items():
        low, share, clamped = _corners(field[name].values, points)
        corners.append((low, share))
        beyond[name] = clamped & ends.used
    return Sampled(_interpolate(field.mole_fraction.values, corners), beyond)


def ground_below(ends: Ends, terrain: xr.DataArray) -> Floats:
    """Return the altitude of the ground below each point, m, bilinear in `terrain` (y, x)."""
    corners = [_corners(terrain[name].values, getattr(ends, name))[:2] for name in ("y", "x")]
    return _interpolate(terrain.values.astype(np.float64), corners)


def mean_of_ends(ends: Ends, sampled: Sampled) -> tuple[Floats, Random]:
    """Return the weighted mean over each datum's end points, and its Monte-Carlo standard error."""
    weight, values = ends.weight, sampled.values
    total, count = weight.sum(axis=1), ends.used.sum(axis=1)
    mean = (weight * values).sum(axis=1) / total
    spread = (weight**2 * (values - mean[:, None]) ** 2).sum(axis=1) / total**2
    return mean, Random("background-sampling", np.sqrt(spread * count / (count - 1)))


def beyond_shares(ends: Ends, sampled: Sampled) -> dict[str, float]:
    """Return the share of end points beyond the field, in all and along each axis, as attributes."""
    where = {f"end_points_beyond_{name}": points for name, points in sampled.beyond.items()}
    where["end_points_beyond_field"] = np.logical_or.reduce(list(sampled.beyond.values()))
    return {name: float(points.sum() / ends.used.sum()) for name, points in where.items()}


def rows_of(wanted: npt.NDArray[np.str_], present: npt.NDArray[np.str_], what: str) -> Ints:
    """Return the row of each wanted datum among those present.

    Raises
    ------
    DataError
        If one is absent; `what` names where.
    """
    where = {name: row for row, name in enumerate(present.tolist())}
    absent = [name for name in wanted.tolist() if name not in where]
    if absent:
        raise DataError(
            f"{what}: {len(absent)} of {wanted.size} observations are not in it, first '{absent[0]}'"
        )
    return np.array([where[name] for name in wanted.tolist()], dtype=np.intp)


def _end_weight(footprints: xr.Dataset) -> Floats:
    """Return the weight of each end point, 0 where a particle slot is empty."""
    ended = np.isfinite(footprints.end_x.values)
    if "end_weight" in footprints.variables:
        weight = np.where(ended, np.nan_to_num(footprints.end_weight.values.astype(np.float64)), 0.0)
    else:
        weight = ended.astype(np.float64)
    few = (weight != 0).sum(axis=1) < 2
    if few.any():
        first = footprints.datum_id.values[few][0]
        raise DataError(f"footprints: {few.sum()} receptors have fewer than two end points, first '{first}'")
    return weight


def _corners(axis: Floats, points: Floats) -> tuple[Ints, Floats, Truths]:
    """Return the lower neighbour of each point, the share of the upper one, and whether it was beyond."""
    if np.any(np.diff(axis) <= 0):
        raise DataError(f"background field: an axis is not ascending ({axis[0]:g} to {axis[-1]:g})")
    if axis.size == 1:
        return np.zeros(points.shape, dtype=np.intp), np.zeros(points.shape), np.zeros(points.shape, bool)
    inside = np.clip(points, axis[0], axis[-1])
    low = np.clip(np.searchsorted(axis, inside, side="right") - 1, 0, axis.size - 2)
    return low, (inside - axis[low]) / (axis[low + 1] - axis[low]), inside != points


def _interpolate(values: Floats, corners: list[tuple[Ints, Floats]]) -> Floats:
    """Return the multilinear interpolation: the sum over the corners around each point."""
    total = np.zeros(corners[0][0].shape)
    for corner in np.ndindex(*(min(2, size) for size in values.shape)):
        index = tuple(low + step for step, (low, _) in zip(corner, corners, strict=True))
        weight = np.ones(total.shape)
        for step, (_, share) in zip(corner, corners, strict=True):
            weight = weight * (share if step else 1.0 - share)
        total += weight * values[index]
    return total
