"""From an analyser's log and certificates to calibrated hourly observations with all their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import Random
from observations.dataset import GOOD, SUSPECT, Columns, build, tower_ids
from observations.metrology.analysis import Analysis, Place, Seen, Settings
from observations.metrology.certificates import Standard, covariance, valid_for
from observations.metrology.hours import Hours, average_hours
from observations.metrology.picarro import Wet
from observations.metrology.response import Fit, Readings, fit
from observations.metrology.revision import with_certificates
from observations.metrology.runs import Ports, Runs, average_runs, events_of
from observations.metrology.tanks import check_targets
from observations.metrology.travelling import Transfer, transfers

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibrated:
    """Observations, the fit behind them, the runs of the standards, the checks, and the comparisons."""

    observations: xr.Dataset
    fit: Fit
    runs: Runs
    checks: pd.DataFrame
    transfers: tuple[Transfer, ...]


def calibrate(
    wet: Wet, ports: Ports, standards: Sequence[Standard], settings: Settings, place: Place
) -> Calibrated:
    """Return the calibrated hourly dry mole fractions of a log, with errors and checks.

    Raises
    ------
    DataError
        If a tank has no certificate that is valid for the log's period and gas, scales differ, or runs or
        air are missing.
    """
    own = [s for s in standards if s.species == settings.species]
    known = _used(ports, own, wet)
    dry = settings.water.dry(wet.wet, wet.water)
    slopes = np.stack(settings.water.columns(wet.wet, wet.water), axis=1)

    def runs_of(tanks: Mapping[int, str]) -> Runs:
        return average_runs(wet, dry, slopes, tanks, settings.flush_s, settings.run_sd)

    runs = runs_of(ports.standards)
    used = [known[tank] for tank in dict.fromkeys(ports.standards.values())]
    analysis = _analyse(runs, used, settings, place, (wet.time[0], wet.time[-1]))
    observations = _observations(analysis, average_hours(wet, dry, slopes, ports, settings.flush_s))
    checks = check_targets(analysis, runs_of(ports.target) if ports.target else None, known)
    travelled = transfers(analysis, runs_of(ports.travelling), own) if ports.travelling else ()
    return Calibrated(observations, analysis.fit, runs, checks, travelled)


def _used(ports: Ports, standards: Sequence[Standard], wet: Wet) -> dict[str, Standard]:
    """Return the valid certificate of each tank."""
    ids = dict.fromkeys([*ports.standards.values(), *ports.target.values(), *ports.travelling.values()])
    chosen = valid_for(standards, list(ids), wet.time[0], wet.time[-1])
    scales = sorted({s.scale for s in chosen})
    if len(scales) > 1:
        raise DataError(f"certificates are on the scales {', '.join(scales)}; expected one")
    return {s.tank: s for s in chosen}


def _analyse(
    runs: Runs,
    standards: list[Standard],
    settings: Settings,
    place: Place,
    ends: tuple[np.datetime64, np.datetime64],
) -> Analysis:
    index = {s.tank: i for i, s in enumerate(standards)}
    measured = [s for s in standards if s.tank in runs.tank]
    if len(measured) < len(standards):
        lost = ", ".join(s.tank for s in standards if s not in measured)
        raise DataError(f"tank {lost} has no run in the log; expected one or more, or no port for it")
    tank = np.array([index[name] for name in runs.tank])
    event = events_of(runs, settings.event_gap_h, settings.degree + 1)
    values = np.array([s.value for s in standards])
    readings = Readings(tank, event, runs.response, runs.sd)
    fitted = fit(values, covariance(standards), readings, settings.degree)
    seconds = (runs.time - runs.time[0]) / np.timedelta64(1, "s")
    middle = [float(seconds[event == e].mean()) for e in range(int(event.max()) + 1)]
    times = runs.time[0] + np.round(np.array(middle) * 1e9).astype("timedelta64[ns]")
    return Analysis(fitted, times, np.array(ends), runs, tuple(standards), settings, place)


def _observations(analysis: Analysis, hours: Hours) -> xr.Dataset:
    n, place, settings = hours.start.size, analysis.place, analysis.settings
    seen = Seen(hours.response, hours.variance, hours.middle, hours.slopes)
    values, errors = analysis.value(seen), analysis.errors(seen)
    freedom = analysis.runs.count - 1
    scatter = float(np.sqrt(np.sum(freedom * analysis.runs.scatter**2) / freedom.sum()))
    random = [Random("repeatability", analysis.gain(seen) * scatter / np.sqrt(hours.count))]
    random += [Random("drift, fast part", errors.drift_rest)] if errors.drift_rest.any() else []
    site, species = np.full(n, place.site), np.full(n, settings.species)
    columns = Columns(
        start=hours.start,
        end=hours.start + np.timedelta64(1, "h"),
        site=site,
        species=species,
        inlet=hours.inlet,
        latitude=np.full(n, place.latitude),
        longitude=np.full(n, place.longitude),
        mole_fraction=values,
        flag=np.where(analysis.beyond(values), SUSPECT, GOOD),
        n_samples=hours.count,
    )
    ids = tower_ids(site, species, hours.inlet, hours.start)
    where = f"calibration of {place.analyser}"
    ds = build(columns, ids, random, errors.shared, analysis.standards[0].scale, where)
    return with_certificates(ds, analysis.standards, errors.jacobian, (place.site, place.analyser))
