"""Time: UTC, intervals labelled at their start, bounds always."""

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux.errors import DataError

Times = npt.NDArray[np.datetime64]


# pandas also takes 07/12/2022 (as July), "now", and any number (as ns since 1970): none of them is meant
_ISO_DATE = re.compile(r"\s*\d{4}-\d{2}(-\d{2}([T ].*)?)?\s*")


def parse(value: object, what: str) -> np.datetime64:
    """Return one UTC instant from text or a datetime; `what` names it in the error.

    >>> str(parse("2022-12-07 03:44", "start"))
    '2022-12-07T03:44:00.000000000'
    """
    if value is None or value is pd.NaT or value == "":
        raise DataError(f"{what}: no time given; expected ISO 8601, UTC")
    try:
        if isinstance(value, str) and not _ISO_DATE.fullmatch(value):
            raise ValueError("not written year-month-day")
        if isinstance(value, (int, float, np.number)):
            raise TypeError("a number without a unit")
        stamp = pd.Timestamp(value).as_unit("ns")  # type: ignore[arg-type]
    except (ValueError, TypeError) as fault:
        raise DataError(f"{what}: '{value}' is not a time; expected ISO 8601, UTC ({fault})") from None
    if pd.isna(stamp):
        raise DataError(f"{what}: no time given; expected ISO 8601, UTC")
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return stamp.to_datetime64()


def intervals(start: np.datetime64, end: np.datetime64, step: np.timedelta64) -> Times:
    """Return the edges of the intervals of length `step` from `start` to `end`, shape (n + 1,).

    Raises
    ------
    DataError
        If the period is empty, the step is not positive, or the period is not a whole number of steps.
    """
    if not end > start:
        raise DataError(f"period from {start} to {end} is empty; expected the end after the start")
    span, width = end - start, step.astype("timedelta64[ns]")
    if not width > np.timedelta64(0, "ns"):
        raise DataError(f"time step of {step}; expected a positive one")
    if span % width != np.timedelta64(0, "ns"):
        raise DataError(f"period from {start} to {end} is not a whole number of steps of {step}")
    return (start + np.arange(span // width + 1) * width).astype("datetime64[ns]")


def bounds(edges: Times) -> Times:
    """Return CF bounds (n, 2) of consecutive interval edges (n + 1,)."""
    return np.stack([edges[:-1], edges[1:]], axis=1)


def month_edges(starts: Times) -> Times:
    """Return the edges of consecutive months from their starts, the end of the last month included."""
    months = starts.astype("datetime64[M]")
    return np.append(months, months[-1] + np.timedelta64(1, "M")).astype("datetime64[ns]")


def seconds(edges: Times) -> npt.NDArray[np.float64]:
    """Return the length of each interval, s."""
    return np.diff(edges).astype("timedelta64[ns]").astype(np.float64) * 1e-9


def time_encoding(ds: xr.Dataset) -> dict[str, dict[str, str]]:
    """Return how times are written: exact, and the same for a coordinate and its bounds, as CF asks."""
    exact = {"units": "nanoseconds since 1970-01-01", "dtype": "int64", "calendar": "proleptic_gregorian"}
    return {str(name): exact for name, v in ds.variables.items() if v.dtype.kind == "M"}
