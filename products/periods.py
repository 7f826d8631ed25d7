"""Named periods: over what span of time a total is the mean rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
_HOUR = 3.6e12  # ns
_CALENDAR = {"day": "D", "month": "MS"}


@dataclass(frozen=True)
class Period:
    """A named span of time, UTC, end excluded."""

    name: str
    start: np.datetime64
    end: np.datetime64


def named_periods(bounds: Times, kinds: Sequence[str] = ("run", "day", "month")) -> tuple[Period, ...]:
    """Return the whole run, and every calendar day and month (UTC) that lies wholly inside it.

    Parameters
    ----------
    bounds : flux_time_bounds, shape (n_flux_time, 2)
    kinds : any of "run", "day", "month", "step"; "step" is every flux time by itself
    """
    periods: list[Period] = []
    for kind in kinds:
        if kind == "run":
            periods.append(Period("run", bounds[0, 0], bounds[-1, 1]))
        elif kind == "step":
            periods += [Period(f"{pd.Timestamp(a):%Y-%m-%dT%H:%M}", a, b) for a, b in bounds]
        elif kind in _CALENDAR:
            periods += _calendar(bounds, kind)
        else:
            raise DataError(f"period kind '{kind}' is unknown; expected run, day, month or step")
    return tuple(periods)


def time_weights(periods: Sequence[Period], bounds: Times) -> Floats:
    """Return the share of each period that lies in each flux interval, shape (period, flux_time).

    Rows sum to 1, so that a weighted sum of rates is the mean rate over the period.

    Raises
    ------
    DataError
        If a period is empty or not covered by the flux intervals.
    """
    starts = np.array([p.start for p in periods], dtype="datetime64[ns]").astype(np.int64)
    ends = np.array([p.end for p in periods], dtype="datetime64[ns]").astype(np.int64)
    left, right = bounds.astype("datetime64[ns]").astype(np.int64).T
    overlap = np.minimum(ends[:, None], right) - np.maximum(starts[:, None], left)
    overlap = np.maximum(overlap, 0)
    faults = [
        f"'{p.name}' ({p.start} to {p.end}) has {covered / _HOUR:g} h inside the run, "
        f"expected {length / _HOUR:g} h"
        for p, covered, length in zip(periods, overlap.sum(axis=1), ends - starts, strict=True)
        if length <= 0 or covered != length
    ]
    if faults:
        raise DataError("period not covered by the fluxes: " + "; ".join(faults))
    return overlap / (ends - starts)[:, None]


def _calendar(bounds: Times, kind: str) -> list[Period]:
    first, last = pd.Timestamp(bounds[0, 0]), pd.Timestamp(bounds[-1, 1])
    edges = pd.date_range(first.normalize().replace(day=1), last, freq=_CALENDAR[kind])
    edges = edges[(edges >= first) & (edges <= last)]
    label = "%Y-%m-%d" if kind == "day" else "%Y-%m"
    values = edges.to_numpy().astype("datetime64[ns]")
    return [
        Period(stamp.strftime(label), a, b)
        for stamp, a, b in zip(edges[:-1], values[:-1], values[1:], strict=True)
    ]
