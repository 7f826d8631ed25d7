"""The stages that make a background: from a site's own record, from the field of files."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import Times
from metroflux.units import mole_fraction_factor
from observations import background_site as site
from observations.background import MethodError
from observations.clock import to_utc
from observations.curtain import extent_of, from_curtain
from observations.curtain_file import CurtainMapping, read_curtain
from observations.ends import ends_of
from observations.levels import Vertical
from observations.raw import numbers, read_raw, refuse_implausible
from pipelines import air
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of, read_source
from pipelines.model import particles_of
from pipelines.scales import background_on_scale, on_scale
from pipelines.watch import log

LONGEST_H = 1.0
"""A wind further away in time than this is none, h."""


def record_background(job: Job) -> Outputs:
    """Give each datum the background that a site's own record says."""
    config = config_of(job)
    chosen = config.background
    assert isinstance(chosen, air.RecordBackground)  # noqa: S101 - the plan pairs stage and section
    record = read_source(chosen.record, config.run.species)
    if config.observations.scale is not None:
        record = on_scale(record, config.observations.scale)
    return {"background": from_record(job.dataset("selected"), record, chosen)}


def read_field(job: Job) -> Outputs:
    """Read the field of a curtain where and when particles may come in."""
    config = config_of(job)
    chosen = _curtain_of(config)
    bounds, hours = job.dataset("selected").time_bounds.values, particles_of(config).hours
    start = bounds.min() - np.timedelta64(round(hours * 3600), "s")
    extent = extent_of(job.dataset("met"), Grid.from_dataset(job.dataset("grid")), start, bounds.max())
    return {
        "background_field": read_curtain(chosen.files, curtain_mapping(chosen, config.run.species), extent)
    }


def curtain_background(job: Job) -> Outputs:
    """Give each datum the mole fraction of a field where its particles came in."""
    config = config_of(job)
    chosen = _curtain_of(config)
    selected, field = job.dataset("selected"), job.dataset("background_field")
    grid, terrain = Grid.from_dataset(job.dataset("grid")), job.dataset("met").terrain
    ends = ends_of(selected, job.dataset("footprints"))
    background = from_curtain(selected, ends, grid, terrain, field, method_error(chosen.error))
    share = background.attrs["end_points_beyond_field"]
    job.tell(f"{share:.1%} of end points lie beyond the field and take the value at its edge")
    log("background", **{str(name): float(value) for name, value in background.attrs.items()})
    return {"background": background_on_scale(background, selected, chosen.scale, config.observations.scale)}


def _curtain_of(config: Config) -> air.CurtainBackground:
    assert isinstance(config.background, air.CurtainBackground)  # noqa: S101 - the plan pairs stage and section
    return config.background


def curtain_mapping(chosen: air.CurtainBackground, species: str) -> CurtainMapping:
    """Return how a field is read."""
    plain = chosen.model_dump(exclude={"kind", "files", "levels", "scale", "error", "parameters"})
    levels = chosen.levels
    vertical = None if levels is None else Vertical(levels.variable, levels.of, levels.unit)
    return CurtainMapping(species=species, vertical=vertical, **plain)


def method_error(given: air.MethodError) -> MethodError:
    """Return the error of a method in mol mol-1."""
    sd = given.sd * mole_fraction_factor(given.unit)
    return MethodError(sd, given.duration_h, given.step_h, given.traceable_to)


def from_record(selected: xr.Dataset, record: xr.Dataset, chosen: air.RecordBackground) -> xr.Dataset:
    """Return the background that a section describes."""
    error = method_error(chosen.error)
    match chosen:
        case air.UpwindBackground():
            direction = wind_at(chosen.wind, selected.time.values)
            sectors = [site.Sector(s.site, s.begin, s.end) for s in chosen.sectors]
            return site.upwind_tower(selected, record, direction, sectors, error, chosen.most_hours)
        case air.QuantileBackground():
            return site.rolling_quantile(selected, record, chosen.quantile, chosen.window_h, error)
        case air.CurveBackground():
            return site.smooth_curve(selected, record, site.Curve(chosen.degree, chosen.harmonics), error)


def wind_at(path: Path, times: Times) -> np.ndarray:
    """Return the wind direction nearest to each time, degrees.

    Raises
    ------
    DataError
        If the file lacks a column, a direction is not within 0 to 360, or a time has none within LONGEST_H.
    """
    table = read_raw(path, ("time", "direction"))
    stamps = to_utc(table.columns["time"], "UTC", None, f"{path}: 'time'")
    direction = numbers(table, "direction")
    refuse_implausible(table, "direction", direction, (0.0, 360.0), "degrees")
    known = np.flatnonzero(~np.isnan(direction))
    if not known.size:
        raise DataError(f"{path}: 'direction' has no number; expected degrees")
    known = known[np.argsort(stamps[known], kind="stable")]
    rows = known[site.nearest(stamps[known], times)]
    away = np.abs(stamps[rows] - times) / np.timedelta64(1, "h")
    if away.max() > LONGEST_H:
        raise DataError(
            f"{path}: no wind within {LONGEST_H:g} h of {times[away.argmax()]}, a time of the observations"
        )
    return direction[rows]
