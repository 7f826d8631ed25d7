"""Automatic quality control: rules that flag data which are still good, and never delete one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError
from metroflux.time import Times
from observations.dataset import FLUSH, GOOD, OUT_OF_RANGE, SPIKE, WARM_UP, Floats, with_flag
from observations.spikes import SpikeFilter, spikes

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Rules:
    """What is flagged; None: the rule is off.

    limits : least and greatest mole fraction of air at these sites, mol mol-1
    warm_up : (gap, length), s: after a gap of an instrument longer than `gap`, data of the first `length`
    flush : s: after a change of inlet at a site, data that begin within so long, because the line still
        holds the air of the inlet before
    spikes : filter against values that leave their neighbours
    """

    limits: tuple[float, float] | None = None
    warm_up: tuple[float, float] | None = None
    flush: float | None = None
    spikes: SpikeFilter | None = None


def control(observations: xr.Dataset, rules: Rules) -> xr.Dataset:
    """Return the observations with the data flagged that break a rule.

    The rules act in the order range, warm-up, flush, spikes, each on what is still good: a spike is judged by
    good neighbours only.

    Raises
    ------
    ConfigError
        If limits are not ascending or a time is negative.
    """
    schema.check(observations, "observations", "quality control")
    out = observations
    if rules.limits is not None:
        low, high = rules.limits
        if not low < high:
            raise ConfigError(f"quality: limits {low:g} to {high:g} mol mol-1; expected ascending ones")
        values = out.mole_fraction.values
        out = with_flag(out, (values < low) | (values > high), OUT_OF_RANGE, f"outside {low:g} to {high:g}")
    if rules.warm_up is not None:
        out = with_flag(out, _warming(out, *rules.warm_up), WARM_UP, "")
    if rules.flush is not None:
        out = with_flag(out, _flushing(out, rules.flush), FLUSH, "")
    if rules.spikes is not None:
        for rows in series_of(out):
            good = rows[out.flag.values[rows] == GOOD]
            found = np.zeros(out.sizes["obs"], dtype=bool)
            found[good] = spikes(out.time.values[good], out.mole_fraction.values[good], rules.spikes)
            out = with_flag(out, found, SPIKE, "")
    return out


def outside(
    observations: xr.Dataset, values: Floats, limits: tuple[float, float], flag: int, what: str
) -> xr.Dataset:
    """Return the observations with data flagged whose `values`, shape (obs,), leave the limits or are NaN.

    For a quantity beside the mole fraction, such as the pressure of the analyser's cavity.
    """
    low, high = limits
    return with_flag(observations, ~((values >= low) & (values <= high)), flag, what)


def series_of(observations: xr.Dataset) -> list[Ints]:
    """Return the rows of each site, species and inlet, in the order of time."""
    inlet = np.nan_to_num(observations.inlet.values, nan=-1e9)
    keys = np.array(
        [f"{s}|{g}|{h:.6g}" for s, g, h in
         zip(observations.site.values, observations.species.values, inlet, strict=True)]
    )  # fmt: skip
    return [rows[np.argsort(observations.time.values[rows], kind="stable")] for rows in _groups(keys)]


def _groups(keys: npt.NDArray[np.str_]) -> list[Ints]:
    _, number = np.unique(keys, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _stations(observations: xr.Dataset) -> list[Ints]:
    """Return the rows of each site and species, all inlets together, in the order of time."""
    keys = np.char.add(np.char.add(observations.site.values, "|"), observations.species.values)
    return [rows[np.argsort(observations.time.values[rows], kind="stable")] for rows in _groups(keys)]


def _warming(observations: xr.Dataset, gap: float, length: float) -> Bools:
    if gap <= 0 or length <= 0:
        raise ConfigError(f"quality: warm-up after {gap:g} s for {length:g} s; expected positive times")
    start, end = observations.time_bounds.values.T
    out = np.zeros(start.size, dtype=bool)
    for rows in _stations(observations):
        since = (start[rows][1:] - np.maximum.accumulate(end[rows])[:-1]) / np.timedelta64(1, "s")
        out[rows] = _beginnings(start[rows], np.flatnonzero(since > gap) + 1, length)
    return out


def _flushing(observations: xr.Dataset, length: float) -> Bools:
    if length <= 0:
        raise ConfigError(f"quality: flush of {length:g} s; expected a positive time")
    start = observations.time_bounds.values[:, 0]
    out = np.zeros(start.size, dtype=bool)
    for rows in _stations(observations):
        inlet = observations.inlet.values[rows]
        out[rows] = _beginnings(start[rows], np.flatnonzero(inlet[1:] != inlet[:-1]) + 1, length)
    return out


def _beginnings(start: Times, begins: Ints, length: float) -> Bools:
    """Return the rows that start within `length` s of the last of the rows `begins` before them.

    Rows before the first of `begins` are not among them: they may continue an earlier file.
    """
    last = np.searchsorted(begins, np.arange(start.size), side="right") - 1
    within = np.zeros(start.size, dtype=bool)
    later = last >= 0
    since = start[later] - start[begins[last[later]]]
    within[later] = since < np.timedelta64(round(length * 1e9), "ns")
    return within
