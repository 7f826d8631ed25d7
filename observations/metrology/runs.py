"""Which part of a log is which gas: runs of tanks and of air, and events of calibration."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError, DataError
from metroflux.time import Times
from observations.metrology.picarro import Wet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LONGEST_GAP_S = 60.0
"""A pause longer than this ends a run."""


@dataclass(frozen=True)
class Ports:
    """What is connected to each position of the valve.

    standards : port -> tank whose certificate calibrates the analyser
    target : port -> tank that is measured as if it were air, and never used in the fit
    air : port -> inlet height, m above ground
    travelling : port -> tank of a comparison, measured as if it were air, never used in the fit
    """

    standards: Mapping[int, str]
    target: Mapping[int, str]
    air: Mapping[int, float]
    travelling: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports = [*self.standards, *self.target, *self.air, *self.travelling]
        twice = sorted({str(port) for port in ports if ports.count(port) > 1})
        if twice:
            raise ConfigError(f"port {', '.join(twice)} is named for two gases; expected one")
        if len(set(self.standards.values())) < 2:
            raise ConfigError(
                f"{len(set(self.standards.values()))} standard tanks; expected two or more for a line"
            )
        roles = {"standard": self.standards, "target": self.target, "travelling": self.travelling}
        for (one, first), (other, second) in combinations(roles.items(), 2):
            both = sorted(set(first.values()) & set(second.values()))
            if both:
                raise ConfigError(f"tank {', '.join(both)} is {one} and {other}; expected one role")


@dataclass(frozen=True)
class Runs:
    """Means over runs of tanks.

    tank : id
    time : UTC, middle of the part used
    response : dry mole fraction that the analyser reports, mol mol-1
    sd : standard uncertainty of the mean, mol mol-1
    scatter : sd of single measurements, mol mol-1
    count : measurements used
    slopes : derivatives of the response to the water coefficients times their sd, shape (run, 2), mol mol-1
    """

    tank: npt.NDArray[np.str_]
    time: Times
    response: Floats
    sd: Floats
    scatter: Floats
    count: Ints
    slopes: Floats


def settled(wet: Wet, flush_s: float) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Return which measurements count, and the number of the run that each belongs to.

    A run is a stretch of one port without a pause; its first `flush_s` seconds are still the gas before.
    """
    pause = np.diff(wet.time) / np.timedelta64(1, "s") > LONGEST_GAP_S
    new = np.concatenate([[True], (np.diff(wet.port) != 0) | pause])
    number = np.cumsum(new) - 1
    began = wet.time[np.flatnonzero(new)][number]
    flushed = (wet.time - began) / np.timedelta64(1, "s") >= flush_s
    return flushed & wet.ready & (wet.port >= 0), number


def average_runs(
    wet: Wet, dry: Floats, slopes: Floats, tanks: Mapping[int, str], flush_s: float, run_sd: float
) -> Runs:
    """Return the mean response to each run of the tanks.

    Parameters
    ----------
    run_sd : standard uncertainty from run to run that the scatter within a run does not show, mol mol-1

    Raises
    ------
    DataError
        If no tank has a run of three measurements or more.
    """
    use, number = settled(wet, flush_s)
    use &= np.isin(wet.port, list(tanks))
    found = []
    for run in np.unique(number[use]):
        rows = np.flatnonzero(use & (number == run))
        if rows.size < 3:
            continue
        scatter = float(np.std(dry[rows], ddof=1))
        middle = wet.time[rows[0]] + (wet.time[rows[-1]] - wet.time[rows[0]]) // 2
        sd = np.hypot(scatter / np.sqrt(rows.size), run_sd)
        mean = float(dry[rows].mean())
        found.append(
            (tanks[int(wet.port[rows[0]])], middle, mean, sd, scatter, rows.size, slopes[rows].mean(axis=0))
        )
    if not found:
        raise DataError(f"log: no run of {', '.join(sorted(tanks.values()))} is longer than the flush time")
    tank, time, response, error, within, count, slope = zip(*found, strict=True)
    columns = (tank, time, response, error, within, count, slope)
    return Runs(*(np.array(column) for column in columns))


def events_of(runs: Runs, gap_h: float, least: int) -> Ints:
    """Return the number of the calibration event of each run: a pause of `gap_h` hours begins the next.

    Parameters
    ----------
    least : tanks that an event needs

    Raises
    ------
    DataError
        If an event has fewer tanks.
    """
    order = np.argsort(runs.time, kind="stable")
    pause = np.diff(runs.time[order]) / np.timedelta64(1, "h") > gap_h
    event = np.empty(order.size, dtype=np.int64)
    event[order] = np.concatenate([[0], np.cumsum(pause)])
    for number in np.unique(event):
        tanks = np.unique(runs.tank[event == number]).tolist()
        if len(tanks) < least:
            when = runs.time[event == number].min()
            raise DataError(
                f"calibration at {when}: only tank {', '.join(tanks)}; expected {least} or more per event, "
                "one more than the degree of the response"
            )
    return event
