"""The mole fraction that air brings into the domain: a constant, a series, or a field in the projection."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import Random, Shared, attach, components
from observations.components import Group, exponential, group
from observations.dataset import GOOD
from observations.ends import beyond_shares, ends_of, mean_of_ends, rows_of, sample

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


@dataclass(frozen=True)
class MethodError:
    """What a background of this kind does not know of the air that comes in.

    sd : standard uncertainty, mol mol-1
    duration_h : time in which the error is forgotten (to 1/e), h
    step_h : time over which it is constant, h
    traceable_to : study behind the numbers
    """

    sd: float
    duration_h: float
    step_h: float = 1.0
    traceable_to: str = "not stated"

    def shared(self, observations: xr.Dataset) -> list[Shared]:
        """Return the error of all data together, as columns."""
        if self.sd == 0:
            return []
        settings = Group("background-method", "background", (), self.traceable_to)
        return exponential(observations, settings, self.sd, self.duration_h * 3600.0, self.step_h * 3600.0)


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
    `end_points_beyond_field`. A time outside the field is an error. Along an axis with one value, time
    included, the field does not vary. Particles count by `end_weight` (receptor, particle) if the footprints
    have it, else equally. For columns the mean covers the layers that were followed; what lies above them is
    left to an offset solved in the inversion.

    The random part adds the Monte-Carlo standard error of the mean (cause "background-sampling").

    Raises
    ------
    DataError
        If an observation has no receptor or fewer than two particles with an end, or the field does not
        cover the end times.
    """
    schema.check(field, "background_field", "background")
    ends = ends_of(observations, footprints)
    sampled = sample(ends, field, {"height": ends.height, "y": ends.y, "x": ends.x})
    mean, sampling = mean_of_ends(ends, sampled)
    none = np.zeros(mean.size)
    ds = _background(observations, mean, none, none, error)
    return attach(ds, [sampling], []).assign_attrs(beyond_shares(ends, sampled))


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
    return assemble(observations, values, [Random("background", random)] if random.any() else [], shared)


def assemble(
    observations: xr.Dataset, values: Floats, random: Sequence[Random], shared: Sequence[Shared]
) -> xr.Dataset:
    """Return the checked background of these values, mol mol-1, shape (obs,), with its error components."""
    ds = xr.Dataset(
        {"background": ("obs", values, {"units": "mol mol-1", "long_name": "background mole fraction"})},
        coords={"datum_id": observations.datum_id.variable},
    )
    return schema.check(attach(ds, random, shared), "background", "background")


def _matches(observations: xr.Dataset, series: xr.Dataset, what: str) -> Ints:
    rows = rows_of(observations.datum_id.values, series.datum_id.values, what)
    bad = series.flag.values[rows] != GOOD
    if bad.any():
        first = series.datum_id.values[rows][bad][0]
        raise DataError(f"{what}: {bad.sum()} values for observations are flagged, first '{first}'")
    return rows


def _random_total(series: xr.Dataset) -> Floats:
    return np.sqrt((series.random_sd.values**2).sum(axis=1))
