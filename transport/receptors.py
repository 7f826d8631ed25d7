"""Receptors of observations: where and when to release particles, and with what weight."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.provenance import sha256_json
from transport.met import check_axes, check_coverage, crs_of, to_xy

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReceptorSettings:
    """How receptors are made of observations.

    particles : per receptor, split evenly over its points
    hours : how far back particles are followed
    seed : of all random numbers; each receptor has its own from this and its content
    minimum : least particles per point; a column of many layers gets more than `particles` if need be
    column_top : m above ground, layers of a column above it get no particles; None: the top of the met
    stop_at_met_start : follow particles only to the start of the met where `hours` reaches before it
    """

    particles: int
    hours: float
    seed: int
    minimum: int = 20
    column_top: float | None = None
    stop_at_met_start: bool = False

    def __post_init__(self) -> None:
        if self.minimum < 2 or self.particles < self.minimum:
            raise ConfigError(
                f"receptors: particles = {self.particles}, minimum = {self.minimum}; "
                "expected particles >= minimum >= 2"
            )
        if not self.hours > 0 or (self.column_top is not None and not self.column_top > 0):
            raise ConfigError(
                f"receptors: hours = {self.hours}, column_top = {self.column_top}; expected > 0"
            )


def make_receptors(observations: xr.Dataset, met: xr.Dataset, settings: ReceptorSettings) -> xr.Dataset:
    """Return one receptor per observation, in the same order.

    A datum with an averaging kernel is a column: one point per layer at the height of its mid pressure,
    weight = pressure weight x kernel. Any other is a tower: one point at its inlet, weight 1.

    Raises
    ------
    DataError
        Listing every datum without an inlet height or outside the met cube.
    """
    schema.check(observations, "observations")
    check_axes(met)
    x, y = to_xy(crs_of(met), observations.longitude.values, observations.latitude.values)
    end = observations.time_bounds.values[:, 1].astype("datetime64[ns]")
    start = observations.time_bounds.values[:, 0].astype("datetime64[ns]")
    hours = _hours(end, met, settings)
    heights, weights = _points(observations, met, x, y, end, settings)
    pad = np.isnan(heights)
    used = np.sum(weights != 0, axis=1)
    coordinates = {
        "x": np.where(pad, np.nan, x[:, None]),
        "y": np.where(pad, np.nan, y[:, None]),
        "height": heights,
        "weight": weights,
        "duration": (end - start) / np.timedelta64(1, "s"),
        "hours": hours,
        "particles": np.maximum(settings.particles, settings.minimum * used).astype(np.int64),
    }
    receptors = _dataset(observations, end, coordinates, settings.seed)
    check_coverage(met, receptors)
    return schema.check(receptors, "receptors")


def _hours(end: npt.NDArray[np.datetime64], met: xr.Dataset, settings: ReceptorSettings) -> Floats:
    """Return how far back each receptor is followed, h."""
    hours = np.full(end.size, float(settings.hours))
    if not settings.stop_at_met_start:
        return hours
    available = (end - met.time.values[0]) / np.timedelta64(1, "h")
    # a receptor before the met keeps its hours, so that the check of coverage names it
    return np.where(available > 0, np.minimum(hours, available), hours)


def _points(
    observations: xr.Dataset, met: xr.Dataset, x: Floats, y: Floats,
    end: npt.NDArray[np.datetime64], settings: ReceptorSettings,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return heights (m, NaN where there is no point) and weights (0 there), shape (obs, point)."""
    inlet = observations.inlet.values
    column = _columns(observations)
    lost = observations.datum_id.values[~column & ~(inlet >= 0)]
    if lost.size:
        raise DataError(f"'inlet' is missing or negative; expected m above ground for: {', '.join(lost)}")
    width = observations.sizes["layer"] if column.any() else 1
    heights, weights = np.full((inlet.size, width), np.nan), np.zeros((inlet.size, width))
    heights[~column, 0], weights[~column, 0] = inlet[~column], 1.0
    if not column.any():
        return heights, weights
    top = float(met.level[-1]) if settings.column_top is None else settings.column_top
    hour = met.indexes["time"].get_indexer(pd.Index(end), method="nearest")
    for i in np.unique(hour[column]):
        p = met.p.isel(time=i).load()  # of a stored cube, one time is read, once
        for n in np.flatnonzero(column & (hour == i)):
            share = observations.pressure_weight.values[n]
            height = layer_heights(share, *_pressure(p, float(x[n]), float(y[n])))
            weight = share * observations.averaging_kernel.values[n]
            keep = (height <= top) & np.isfinite(weight) & (weight != 0)
            heights[n, keep], weights[n, keep] = height[keep], weight[keep]
    return heights, weights


def _columns(observations: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Tell which data are columns: those with any finite averaging kernel."""
    names = {"averaging_kernel", "pressure_weight"} & set(map(str, observations.variables))
    if not names:
        return np.zeros(observations.sizes["obs"], dtype=bool)
    if len(names) == 1:
        raise DataError(
            f"observations have {names.pop()} alone; expected averaging_kernel and pressure_weight"
        )
    column = np.isfinite(observations.averaging_kernel.values).any(axis=1)
    share = np.nansum(observations.pressure_weight.values, axis=1)
    wrong = observations.datum_id.values[column & ~(np.abs(share - 1.0) < 0.01)]
    if wrong.size:
        raise DataError(f"'pressure_weight' does not sum to 1 within 0.01 for: {', '.join(wrong)}")
    return column


def layer_heights(share: Floats, pressure: Floats, height: Floats) -> Floats:
    """Return the height (m above ground) of each layer's mid pressure; inf above the profile.

    share : pressure thickness of each layer over the surface pressure, layer 0 at the surface; NaN: no layer
    pressure : Pa, the first at the surface, falling; height : m, of each pressure
    """
    thickness = np.nan_to_num(share)
    middle = pressure[0] * (1.0 - np.cumsum(thickness) + 0.5 * thickness)
    inside = middle >= pressure[-1]
    logarithm = np.log(np.where(inside, middle, pressure[-1]))
    found = np.interp(-logarithm, -np.log(pressure), height)
    return np.where(inside & np.isfinite(share), found, np.inf)


def _pressure(p: xr.DataArray, x: float, y: float) -> tuple[Floats, Floats]:
    """Return the pressure profile (Pa) from the ground up at the nearest met point, and its heights."""
    profile = p.sel(y=y, x=x, method="nearest").values.astype(np.float64)
    height = p.level.values.astype(np.float64)
    # hydrostatic to the ground: ln p is straight over the lowest metres
    slope = (np.log(profile[1]) - np.log(profile[0])) / (height[1] - height[0])
    surface = np.exp(np.log(profile[0]) - slope * height[0])
    return np.append(surface, profile), np.append(0.0, height)


def _dataset(
    observations: xr.Dataset,
    end: npt.NDArray[np.datetime64],
    values: dict[str, npt.NDArray[np.generic]],
    seed: int,
) -> xr.Dataset:
    """Return the receptors dataset with content hashes and the seeds made of them."""
    hashes = [
        sha256_json({"time": str(end[r]), **{name: v[r].tolist() for name, v in values.items()}})
        for r in range(end.size)
    ]
    seeds = [int(sha256_json([seed, h])[:15], 16) for h in hashes]
    units = {"x": "m", "y": "m", "height": "m", "weight": "1", "duration": "s", "hours": "h"}
    point = ("receptor", "point")
    data = {
        name: (point if v.ndim == 2 else "receptor", v, {"units": units[name]} if name in units else {})
        for name, v in values.items()
    }
    return xr.Dataset(data | {"seed": ("receptor", np.array(seeds, dtype=np.int64))}).assign_coords(
        receptor=("receptor", np.array([h[:16] for h in hashes])),
        datum_id=("receptor", observations.datum_id.values.astype(str)),
        time=("receptor", end),
    )
