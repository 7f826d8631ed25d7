"""The stage that makes a background from a site's own record."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.units import mole_fraction_factor
from observations import background_site as site
from observations.background import MethodError
from observations.clock import to_utc
from observations.raw import numbers, read_raw, refuse_implausible
from pipelines import air
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of, read_source
from pipelines.scales import on_scale

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


def from_record(selected: xr.Dataset, record: xr.Dataset, chosen: air.RecordBackground) -> xr.Dataset:
    """Return the background that a section describes."""
    given = chosen.error
    sd = given.sd * mole_fraction_factor(given.unit)
    error = MethodError(sd, given.duration_h, given.step_h, given.traceable_to)
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
