"""The analysis functions of an analyser over time, and the errors that come through them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError
from metroflux.time import Times
from metroflux.uncertainty import Shared
from observations.metrology.certificates import Standard
from observations.metrology.drift import drift
from observations.metrology.response import Fit
from observations.metrology.revision import certificate_parts
from observations.metrology.runs import Runs
from observations.metrology.water import WaterCorrection

Floats = npt.NDArray[np.float64]


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
    degree : of the analysis function, 1 or 2
    """

    species: str
    water: WaterCorrection
    flush_s: float
    event_gap_h: float
    run_sd: float
    drift_sd: float
    degree: int = 1

    def __post_init__(self) -> None:
        if self.degree not in (1, 2):
            raise ConfigError(f"calibration: response of degree {self.degree}; expected 1 or 2")
        if min(self.flush_s, self.run_sd, self.drift_sd) < 0 or self.event_gap_h <= 0:
            raise ConfigError(
                f"calibration: flush_s {self.flush_s:g}, run_sd {self.run_sd:g}, drift_sd {self.drift_sd:g}, "
                f"event_gap_h {self.event_gap_h:g}; expected none below 0 and a gap above 0"
            )


@dataclass(frozen=True)
class Seen:
    """Means of what an analyser reported.

    response, variance : mean and variance of the dry mole fractions in each, mol mol-1 and its square
    times : UTC, middle
    slopes : mean derivative to the water coefficients times their sd, shape (time, 2), mol mol-1
    """

    response: Floats
    variance: Floats
    times: Times
    slopes: Floats


@dataclass(frozen=True)
class Errors:
    """Errors of mole fractions from an analyser.

    shared : causes common to several
    drift_rest : sd of the fast part of the drift, mol mol-1
    jacobian : derivative to the certified values, shape (time, tank)
    """

    shared: list[Shared]
    drift_rest: Floats
    jacobian: Floats


@dataclass(frozen=True)
class Analysis:
    """Analysis functions over time: interpolated between events, held before the first and after the last.

    ends : begin and end of the log
    """

    fit: Fit
    events: Times
    ends: Times
    runs: Runs
    standards: tuple[Standard, ...]
    settings: Settings
    place: Place

    @property
    def analyser(self) -> str:
        """What tells errors of this analyser and gas from those of another."""
        return f"{self.place.analyser}:{self.settings.species}"

    def weights(self, times: Times) -> Floats:
        """Return the weight of each event at each time, shape (time, event)."""
        seconds = (self.events - self.events[0]) / np.timedelta64(1, "s")
        at = (times - self.events[0]) / np.timedelta64(1, "s")
        rows = np.eye(seconds.size)
        return np.stack([np.interp(at, seconds, row) for row in rows], axis=1)

    def value(self, seen: Seen) -> Floats:
        """Return the mole fractions."""
        now = self.weights(seen.times) @ self.fit.coefficients
        return np.sum(now * self.fit.powers(seen.response, seen.variance), axis=1)

    def gain(self, seen: Seen) -> Floats:
        """Return the derivative of the mole fraction to the response."""
        return np.sum(
            self.weights(seen.times) @ self.fit.coefficients * self.fit.rises(seen.response), axis=1
        )

    def by_coefficient(self, seen: Seen) -> Floats:
        """Return the derivative of the mole fraction to the coefficients, raveled, shape (time, any)."""
        powers = self.fit.powers(seen.response, seen.variance)
        return (self.weights(seen.times)[:, :, None] * powers[:, None, :]).reshape(len(powers), -1)

    def beyond(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Return which mole fractions lie outside those of the standards (ISO 6143: not to be used)."""
        certified = [s.value for s in self.standards]
        return (values < min(certified)) | (values > max(certified))

    def errors(self, seen: Seen) -> Errors:
        """Return the errors of the mole fractions beside their repeatability."""
        along = self.by_coefficient(seen)
        jacobian = along @ self.fit.by_value
        through_tanks = along @ self.fit.by_response @ self.runs.slopes
        water = self.gain(seen)[:, None] * seen.slopes + through_tanks
        parts = certificate_parts(self.standards, jacobian)
        parts += [
            Shared(f"water-{name}:{self.analyser}", "water correction", water[:, i],
                   self.settings.water.traceable_to)
            for i, name in enumerate(("a", "b"))
        ]  # fmt: skip
        nodes = np.concatenate([self.ends[:1], self.events, self.ends[1:]])
        drifts, rest = drift(seen.times, nodes, self.settings.drift_sd, self.analyser)
        parts += self._run_noise(along) + drifts
        return Errors([part for part in parts if part.column.any()], rest, jacobian)

    def _run_noise(self, along: Floats) -> list[Shared]:
        """Return the noise of the standard runs: the columns of a square root of its covariance."""
        left, singular, _ = np.linalg.svd(self.fit.by_response * self.runs.sd, full_matrices=False)
        name = f"calibration-run:{self.analyser}:{str(self.events[0])[:19]}"
        return [
            Shared(f"{name}:{i}", "calibration runs", column, "runs of the standards")
            for i, column in enumerate((along @ (left * singular)).T)
        ]
