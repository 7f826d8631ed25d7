"""The stages that make a background of what is given, of a site's own record, or of a world's field."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.units import mole_fraction_factor
from observations import background
from observations import background_site as site
from observations.background import MethodError
from observations.clock import to_utc
from observations.raw import numbers, read_raw, refuse_implausible
from observations.table import read_table
from pipelines import air
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of, read_source, table_mapping
from pipelines.scales import on_scale

LONGEST_H = 1.0
"""A wind further away in time than this is none, h."""


def constant_background(job: Job) -> Outputs:
    """Give every datum the same background."""
    chosen = config_of(job).background
    assert isinstance(chosen, air.ConstantBackground)  # noqa: S101 - the plan pairs stage and section
    value = chosen.value * mole_fraction_factor(chosen.error.unit)
    return {"background": background.constant(job.dataset("selected"), value, _error(chosen.error))}


def series_background(job: Job) -> Outputs:
    """Give each datum the background that a table holds for it."""
    config = config_of(job)
    chosen = config.background
    assert isinstance(chosen, air.SeriesBackground)  # noqa: S101 - the plan pairs stage and section
    series, *parts = (
        read_table(table.file, table_mapping(table, config.run.species))
        for table in (chosen.series, *chosen.enhancements)
    )
    return {
        "background": background.from_series(job.dataset("selected"), series, _error(chosen.error), parts)
    }


def edge_background(job: Job) -> Outputs:
    """Give each datum the mole fraction of the air where its particles came in."""
    chosen = config_of(job).background
    assert isinstance(chosen, air.EdgeBackground)  # noqa: S101 - the plan pairs stage and section
    error = _error(chosen.error)
    field = job.dataset("background_field")
    return {
        "background": background.from_edge_field(
            job.dataset("selected"), job.dataset("footprints"), field, error
        )
    }


def _error(chosen: air.BackgroundError) -> background.BackgroundError:
    factor = mole_fraction_factor(chosen.unit)
    return background.BackgroundError(
        chosen.random * factor, chosen.shared * factor, chosen.by, chosen.traceable_to
    )


def record_background(job: Job) -> Outputs:
    """Give each datum the background that a site's own record says."""
    config = config_of(job)
    chosen = config.background
    assert isinstance(chosen, air.RecordBackground)  # noqa: S101 - the plan pairs stage and section
    record = read_source(chosen.record, config.run.species)
    if config.observations.scale is not None:
        record = on_scale(record, config.observations.scale)
    return {"background": from_record(job.dataset("selected"), record, chosen)}


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
