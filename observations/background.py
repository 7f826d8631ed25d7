"""The mole fraction that air brings into the domain: a constant, a series, or an edge field."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import Random, Shared, attach, components
from observations.components import Group, group
from observations.dataset import GOOD

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class BackgroundError:
    """Standard uncertainties of a background, mol mol-1; a part that is 0 is left out.

    random : independent from datum to datum
    shared : common to the data of one group
    by : what the data of one group have in common: some of site, species, inlet, day, month; empty: all data
    traceable_to : id of the model or station behind the background
    """

    random: float = 0.0
    shared: float = 0.0
    by: tuple[str, ...] = ()
    traceable_to: str = "not stated"


def constant(observations: xr.Dataset, value: float, error: BackgroundError) -> xr.Dataset:
    """Return the same background, mol mol-1, for every observation."""
    n = observations.sizes["obs"]
    zero = np.zeros(n)
    return _background(observations, np.full(n, value), zero, zero, error)


def from_series(
    observations: xr.Dataset,
    series: xr.Dataset,
    error: BackgroundError,
    enhancements: Sequence[xr.Dataset] = (),
) -> xr.Dataset:
    """Return the background of a series that gives one value for each observation.

    `series` and `enhancements` are observations datasets, as read_table gives when its mapping names the
    columns of the background instead of those of the observation; they are matched by datum_id.

    Parameters
    ----------
    series : its random parts (the sd of a smooth baseline persists) are taken as shared within each group,
        together with `error.shared`
    enhancements : parts added to the background that are not solved for, such as a modelled fossil share;
        their random parts are taken as independent

    Raises
    ------
    DataError
        If an observation has no match, or its match is flagged.
    """
    rows = _matches(observations, series, "background series")
    values = series.mole_fraction.values[rows].copy()
    shared = _random_total(series)[rows]
    variance = np.zeros(values.size)
    for number, part in enumerate(enhancements):
        rows = _matches(observations, part, f"background enhancement {number}")
        values += part.mole_fraction.values[rows]
        variance += _random_total(part)[rows] ** 2
    for used in (series, *enhancements):
        names = ", ".join(s.name for s in components(used)[1])
        if names:
            raise DataError(f"background series has shared errors ({names}); expected random parts only")
    return _background(observations, values, np.sqrt(variance), shared, error)


def from_edge_field(
    observations: xr.Dataset, footprints: xr.Dataset, field: xr.Dataset, error: BackgroundError
) -> xr.Dataset:
    """Return the mean of a field over the end points of each observation's particles.

    The field is interpolated linearly in time, height, y and x. An end point beyond the field's own edge,
    sideways or vertically, takes the value at that edge; the share of such points is the attribute
    `end_points_beyond_field`. A time outside the field is an error, unless the field has a single time,
    which then holds throughout. Particles count by `end_weight` (receptor, particle) if the footprints have
    it, else equally. For columns the mean covers the layers that were followed; what lies above them is left
    to an offset solved in the inversion.

    The random part adds the Monte-Carlo standard error of the mean (cause "background-sampling").

    Raises
    ------
    DataError
        If an observation has no receptor or fewer than two particles with an end, or the field does not
        cover the end times.
    """
    schema.check(footprints, "footprints", "background")
    schema.check(field, "background_field", "background")
    rows = _rows(observations.datum_id.values, footprints.datum_id.values, "footprints")
    weight = _end_weight(footprints)[rows]
    ended = footprints.isel(receptor=rows)
    values, beyond = _sample(ended, field, weight > 0)
    total = weight.sum(axis=1)
    mean = (weight * values).sum(axis=1) / total
    spread = (weight**2 * (values - mean[:, None]) ** 2).sum(axis=1) / total**2
    count = (weight > 0).sum(axis=1)
    sampling = np.sqrt(spread * count / (count - 1))
    ds = _background(observations, mean, np.zeros(mean.size), np.zeros(mean.size), error)
    return attach(ds, [Random("background-sampling", sampling)], []).assign_attrs(
        end_points_beyond_field=float((beyond & (weight > 0)).sum() / (weight > 0).sum())
    )


def _background(
    observations: xr.Dataset, values: Floats, random_sd: Floats, shared_sd: Floats, error: BackgroundError
) -> xr.Dataset:
    """Return the checked dataset; the given sd are per datum, those of `error` are added in quadrature."""
    random = np.hypot(random_sd, error.random)
    column = np.hypot(shared_sd, error.shared)
    shared: list[Shared] = []
    if column.any():
        settings = Group("background", "background", error.by, error.traceable_to)
        shared = group(observations, settings, column)
    ds = xr.Dataset(
        {"background": ("obs", values, {"units": "mol mol-1", "long_name": "background mole fraction"})},
        coords={"datum_id": observations.datum_id.variable},
    )
    parts = [Random("background", random)] if random.any() else []
    return schema.check(attach(ds, parts, shared), "background")


def _rows(wanted: npt.NDArray[np.str_], present: npt.NDArray[np.str_], what: str) -> Ints:
    """Return the row of each wanted datum among those present."""
    where = {name: row for row, name in enumerate(present.tolist())}
    absent = [name for name in wanted.tolist() if name not in where]
    if absent:
        raise DataError(
            f"{what}: {len(absent)} of {wanted.size} observations are not in it, first '{absent[0]}'"
        )
    return np.array([where[name] for name in wanted.tolist()], dtype=np.intp)


def _matches(observations: xr.Dataset, series: xr.Dataset, what: str) -> Ints:
    rows = _rows(observations.datum_id.values, series.datum_id.values, what)
    bad = series.flag.values[rows] != GOOD
    if bad.any():
        first = series.datum_id.values[rows][bad][0]
        raise DataError(f"{what}: {bad.sum()} values for observations are flagged, first '{first}'")
    return rows


def _random_total(series: xr.Dataset) -> Floats:
    return np.sqrt((series.random_sd.values**2).sum(axis=1))


def _end_weight(footprints: xr.Dataset) -> Floats:
    """Return the weight of each end point, 0 where a particle slot is empty."""
    ended = np.isfinite(footprints.end_x.values)
    if "end_weight" in footprints.variables:
        weight = np.where(ended, footprints.end_weight.values.astype(np.float64), 0.0)
    else:
        weight = ended.astype(np.float64)
    few = (weight > 0).sum(axis=1) < 2
    if few.any():
        first = footprints.datum_id.values[few][0]
        raise DataError(f"footprints: {few.sum()} receptors have fewer than two end points, first '{first}'")
    return weight


def _sample(
    ended: xr.Dataset, field: xr.Dataset, used: npt.NDArray[np.bool_]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the field at each end point, and whether the point lay beyond the field's edge in space."""
    origin = field.time.values[0]
    ages = np.where(used, ended.end_hours.values, 0.0).astype(np.float64)
    seconds = (ended.time.values - origin) / np.timedelta64(1, "s")
    moments = seconds[:, None] - 3600.0 * ages
    axis = (field.time.values - origin) / np.timedelta64(1, "s")
    outside = used & ((moments < axis[0]) | (moments > axis[-1]))
    if axis.size > 1 and outside.any():
        first = ended.datum_id.values[outside.any(axis=1)][0]
        raise DataError(
            f"background field: {outside.sum()} end points are outside its times, {origin} to "
            f"{field.time.values[-1]}, first of '{first}'"
        )
    corners, beyond = [_corners(axis, moments)[:2]], np.zeros(used.shape, dtype=bool)
    for name in ("height", "y", "x"):
        points = np.where(used, ended[f"end_{name}"].values, 0.0).astype(np.float64)
        low, share, clamped = _corners(field[name].values, points)
        corners.append((low, share))
        beyond |= clamped
    return _interpolate(field.mole_fraction.values, corners), beyond & used


def _corners(axis: Floats, points: Floats) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
    """Return the lower neighbour of each point, the share of the upper one, and whether it was beyond."""
    if np.any(np.diff(axis) <= 0):
        raise DataError(f"background field: an axis is not ascending ({axis[0]:g} to {axis[-1]:g})")
    inside = np.clip(points, axis[0], axis[-1])
    if axis.size == 1:
        return np.zeros(points.shape, dtype=np.intp), np.zeros(points.shape), inside != points
    low = np.clip(np.searchsorted(axis, inside, side="right") - 1, 0, axis.size - 2)
    return low, (inside - axis[low]) / (axis[low + 1] - axis[low]), inside != points


def _interpolate(values: Floats, corners: list[tuple[Ints, Floats]]) -> Floats:
    """Return the multilinear interpolation: the sum over the 16 corners around each point."""
    total = np.zeros(corners[0][0].shape)
    for corner in np.ndindex(*(min(2, size) for size in values.shape)):
        index = tuple(low + step for step, (low, _) in zip(corner, corners, strict=True))
        weight = np.ones(total.shape)
        for step, (_, share) in zip(corner, corners, strict=True):
            weight = weight * (share if step else 1.0 - share)
        total += weight * values[index]
    return total
