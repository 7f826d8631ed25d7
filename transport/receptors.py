"""Receptors of observations: where and when to release particles, and with what weight."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError
from metroflux.provenance import sha256_json
from transport.met import check_axes, check_coverage
from transport.placing import place_points

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
    weight = pressure weight x kernel; upright, or, with `azimuth` and `elevation` (of the sun), along the
    line of sight from the inlet. One with a `range` is a gate of a lidar: points along the line of sight from
    the inlet, over `gate_length`, or where its `gate_kernel` says. Any other is a tower: one point at its
    inlet, weight 1.

    Data of several species with the same place, time and weights get the same receptor, whose particles fly
    once (`footprints.compute_footprints`); each keeps its datum_id, and so its row of the Jacobian.

    Raises
    ------
    DataError
        Listing every datum without an inlet height or outside the met cube; naming one whose line of sight
        meets the ground.
    """
    schema.check(observations, "observations")
    check_axes(met)
    end = observations.time_bounds.values[:, 1].astype("datetime64[ns]")
    start = observations.time_bounds.values[:, 0].astype("datetime64[ns]")
    hours = _hours(end, met, settings)
    points = place_points(observations, met, end, settings.column_top)
    used = np.sum(points.weight != 0, axis=1)
    coordinates = {
        "x": points.x, "y": points.y, "height": points.height, "weight": points.weight,
        "duration": (end - start) / np.timedelta64(1, "s"),
        "hours": hours,
        "particles": np.maximum(settings.particles, settings.minimum * used).astype(np.int64),
    }  # fmt: skip
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
