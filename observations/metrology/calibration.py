"""From an analyser's log and certificates to calibrated hourly observations with all their errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.time import Times
from metroflux.uncertainty import Random, Shared
from observations.dataset import Columns, build, tower_ids
from observations.metrology.certificates import Standard, covariance, refuse_invalid
from observations.metrology.hours import Hours, average_hours
from observations.metrology.picarro import Wet
from observations.metrology.response import Fit, fit
from observations.metrology.revision import certificate_parts, with_certificates
from observations.metrology.runs import Ports, Runs, average_runs, events_of
from observations.metrology.water import WaterCorrection

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GOALS = {"co2": 0.1e-6, "ch4": 2e-9, "n2o": 0.1e-9, "co": 2e-9, "sf6": 0.02e-12}
"""Network compatibility goals of WMO/GAW, mol mol-1 (GAW report 255, 2020; CO2: northern hemisphere)."""


@dataclass(frozen=True)
class Place:
    """Where the analyser stands: site, degrees north and east, and its serial number."""

    site: str
    latitude: float
    longitude: float
    analyser: str


@dataclass(frozen=True)
class Settings:
    """How a log is calibrated.

    species : gas
    water : correction to dry air
    flush_s : beginning of a run that is not used, s
    event_gap_h : a pause between runs of standards that separates two calibrations, h
    run_sd : standard uncertainty from run to run beyond the scatter within it, mol mol-1
    drift_sd : growth of the analyser's random walk, mol mol-1 per square root of a day
    """

    species: str
    water: WaterCorrection
    flush_s: float
    event_gap_h: float
    run_sd: float
    drift_sd: float

    def __post_init__(self) -> None:
        if min(self.flush_s, self.run_sd, self.drift_sd) < 0 or self.event_gap_h <= 0:
            raise ConfigError(
                f"calibration: flush_s {self.flush_s:g}, run_sd {self.run_sd:g}, drift_sd {self.drift_sd:g}, "
                f"event_gap_h {self.event_gap_h:g}; expected none below 0 and a gap above 0"
            )


@dataclass(frozen=True)
class Calibrated:
    """Observations, the fit behind them, the runs of the standards, and the table of checks."""

    observations: xr.Dataset
    fit: Fit
    runs: Runs
    checks: pd.DataFrame


@dataclass(frozen=True)
class Analysis:
    """Analysis functions over time: lines between the events, held before the first and after the last."""

    fit: Fit
    events: Times
    runs: Runs
    standards: tuple[Standard, ...]
    settings: Settings

    def weights(self, times: Times) -> Floats:
        """Return the weight of each event at each time, shape (time, event)."""
        seconds = (self.events - self.events[0]) / np.timedelta64(1, "s")
        at = (times - self.events[0]) / np.timedelta64(1, "s")
        rows = np.eye(seconds.size)
        return np.stack([np.interp(at, seconds, row) for row in rows], axis=1)

    def value(self, response: Floats, times: Times) -> Floats:
        """Return the mole fraction of a response."""
        a = self.weights(times) @ self.fit.coefficients
        return a[:, 0] + a[:, 1] * (response - self.fit.origin)

    def by_coefficient(self, response: Floats, times: Times) -> Floats:
        """Return the derivative of the mole fraction to the coefficients, shape (time, 2 event)."""
        weights = self.weights(times)
        pair = np.stack([np.ones(response.size), response - self.fit.origin], axis=1)
        return (weights[:, :, None] * pair[:, None, :]).reshape(response.size, -1)

    def shared(self, response: Floats, times: Times, slopes: Floats) -> tuple[list[Shared], Floats]:
        """Return the shared errors of mole fractions, and their derivative to the certified values.

        Parameters
        ----------
        slopes : derivatives of the responses to the water coefficients times their sd, shape (time, 2)
        """
        along = self.by_coefficient(response, times)
        jacobian = along @ self.fit.by_value
        gain = (self.weights(times) @ self.fit.coefficients)[:, 1]
        parts = certificate_parts(self.standards, jacobian)
        through_tanks = along @ self.fit.by_response @ self.runs.slopes
        water = gain[:, None] * slopes + through_tanks
        analyser = self.settings.water.traceable_to
        parts += [
            Shared(f"water-{name}", "water correction", water[:, i], analyser)
            for i, name in enumerate(("a", "b"))
        ]
        parts += self._run_noise(along) + self._drift(times)
        return [part for part in parts if part.column.any()], jacobian

    def _run_noise(self, along: Floats) -> list[Shared]:
        """Return the noise of the standard runs: the columns of a square root of its covariance."""
        spread = self.fit.by_response * self.runs.sd
        # rows of `spread` have units of their own: scale them before the factor, and back after it
        size = np.sqrt((spread**2).sum(axis=1))
        left, singular, _ = np.linalg.svd(spread / size[:, None], full_matrices=False)
        columns = along @ (size[:, None] * left * singular)
        return [
            Shared(f"calibration-run:{i}", "calibration runs", column, "runs of the standards")
            for i, column in enumerate(columns.T)
        ]

    def _drift(self, times: Times) -> list[Shared]:
        """Return the drift between calibrations: a random walk tied to the events at both ends.

        Within one interval the error is taken as common, with the sd of the Brownian bridge at each datum.
        """
        q, names = self.settings.drift_sd, np.searchsorted(self.events, times)
        day = np.timedelta64(86400, "s")
        since = np.abs((times - self.events[np.maximum(names - 1, 0)]) / day)
        until = np.abs((times - self.events[np.minimum(names, self.events.size - 1)]) / day)
        tied = (names > 0) & (names < self.events.size)
        variance = np.where(
            tied, since * until / np.where(tied, since + until, 1.0), np.minimum(since, until)
        )
        sd = q * np.sqrt(variance)
        return [
            Shared(f"drift:{number}", "drift", np.where(names == number, sd, 0.0), "runs of the standards")
            for number in np.unique(names)
        ]


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
    certified = {s.tank: s for s in standards if s.species == settings.species}
    used = _used(ports, certified, wet)
    dry = settings.water.dry(wet.wet, wet.water)
    slopes = np.stack(settings.water.columns(wet.wet, wet.water), axis=1)
    flush, spread = settings.flush_s, settings.run_sd
    runs = average_runs(wet, dry, slopes, ports.standards, flush, spread)
    analysis = _analyse(runs, used, settings)
    hours = average_hours(wet, dry, slopes, ports, flush)
    observations = _observations(analysis, hours, settings, place)
    targets = average_runs(wet, dry, slopes, ports.target, flush, spread) if ports.target else None
    checks = check_targets(analysis, targets, certified)
    return Calibrated(observations, analysis.fit, runs, checks)


def _used(ports: Ports, certified: dict[str, Standard], wet: Wet) -> list[Standard]:
    tanks = [*dict.fromkeys(ports.standards.values()), *ports.target.values()]
    absent = [tank for tank in tanks if tank not in certified]
    if absent:
        raise DataError(f"tank {', '.join(absent)} has no certificate; certified: {', '.join(certified)}")
    chosen = [certified[tank] for tank in tanks]
    scales = sorted({s.scale for s in chosen})
    if len(scales) > 1:
        raise DataError(f"certificates are on the scales {', '.join(scales)}; expected one")
    refuse_invalid(chosen, wet.time[0], wet.time[-1])
    return [certified[tank] for tank in dict.fromkeys(ports.standards.values())]


def _analyse(runs: Runs, standards: list[Standard], settings: Settings) -> Analysis:
    index = {s.tank: i for i, s in enumerate(standards)}
    measured = [s for s in standards if s.tank in runs.tank]
    if len(measured) < len(standards):
        lost = ", ".join(s.tank for s in standards if s not in measured)
        raise DataError(f"tank {lost} has no run in the log; expected one or more, or no port for it")
    tank = np.array([index[name] for name in runs.tank])
    event = events_of(runs, settings.event_gap_h)
    values = np.array([s.value for s in standards])
    fitted = fit(values, covariance(standards), tank, event, runs.response, runs.sd)
    seconds = (runs.time - runs.time[0]) / np.timedelta64(1, "s")
    middle = [float(seconds[event == e].mean()) for e in range(int(event.max()) + 1)]
    times = runs.time[0] + np.round(np.array(middle) * 1e9).astype("timedelta64[ns]")
    return Analysis(fitted, times, runs, tuple(standards), settings)


def _observations(analysis: Analysis, hours: Hours, settings: Settings, place: Place) -> xr.Dataset:
    n = hours.start.size
    values = analysis.value(hours.response, hours.middle)
    shared, jacobian = analysis.shared(hours.response, hours.middle, hours.slopes)
    freedom = analysis.runs.count - 1
    scatter = float(np.sqrt(np.sum(freedom * analysis.runs.scatter**2) / freedom.sum()))
    gain = (analysis.weights(hours.middle) @ analysis.fit.coefficients)[:, 1]
    noise = Random("repeatability", gain * scatter / np.sqrt(hours.count))
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
        flag=np.zeros(n, dtype=np.int64),
        n_samples=hours.count,
    )
    ids = tower_ids(site, species, hours.inlet, hours.start)
    where = f"calibration of {place.analyser}"
    ds = build(columns, ids, [noise], shared, analysis.standards[0].scale, where)
    return with_certificates(ds, analysis.standards, jacobian, (place.site, place.analyser))


def check_targets(analysis: Analysis, targets: Runs | None, certified: dict[str, Standard]) -> pd.DataFrame:
    """Return the bias of each target run against its certificate, its uncertainty, and the WMO goal.

    The uncertainty has in it what target and standards share, such as a parent: there it cancels.
    """
    names = ["time", "tank", "count", "value", "certified", "bias", "bias_sd", "e_n", "goal", "within"]
    if targets is None:
        return pd.DataFrame(columns=names)
    shared, _ = analysis.shared(targets.response, targets.time, targets.slopes)
    values = analysis.value(targets.response, targets.time)
    columns = {part.name: part.column for part in shared}
    rows = []
    goal = GOALS.get(analysis.settings.species, np.nan)
    for i, tank in enumerate(targets.tank.tolist()):
        own = certified[tank]
        terms = {name: column[i] for name, column in columns.items()}
        for part in certificate_parts((own,), np.ones((1, 1))):
            terms[part.name] = terms.get(part.name, 0.0) - part.column[0]
        sd = float(np.sqrt(sum(term**2 for term in terms.values()) + targets.sd[i] ** 2))
        bias = float(values[i] - own.value)
        rows.append(
            (targets.time[i], tank, int(targets.count[i]), values[i], own.value, bias, sd, bias / (2 * sd),
             goal, abs(bias) <= goal)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=names)
