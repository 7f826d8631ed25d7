"""Time stamps of files to UTC, averaging intervals, and local hours."""

import re
from datetime import timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from metroflux.errors import ConfigError, DataError
from metroflux.time import Times

Label = Literal["start", "middle", "end"]

_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")


def zone_info(zone: str) -> tzinfo:
    """Return the time zone of "UTC", an offset such as "+08:00", or a name such as "Asia/Shanghai".

    Raises
    ------
    ConfigError
        If the zone is none of these.

    >>> zone_info("+08:00").utcoffset(None)
    datetime.timedelta(seconds=28800)
    """
    offset = _OFFSET.fullmatch(zone)
    try:
        if offset:
            sign = -1 if offset[1] == "-" else 1
            return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])))
        return ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise ConfigError(
            f"time zone '{zone}' is unknown; expected 'UTC', '+08:00' or a name such as 'Asia/Shanghai'"
        ) from None


def to_utc(stamps: npt.NDArray[np.generic], zone: str, time_format: str | None, where: str) -> Times:
    """Return UTC times of text or datetime stamps; `where` names file and field in the error.

    Parameters
    ----------
    zone : time zone of stamps that carry none
    time_format : strptime format of text stamps; None: ISO 8601

    Raises
    ------
    DataError
        If a stamp cannot be read, lies in the hour that a clock change skips or repeats, or carries an
        offset of its own while a zone other than UTC is declared.
    """
    if stamps.dtype.kind not in "MU":
        raise DataError(f"{where}: times have type {stamps.dtype}; expected text or CF times with units")
    try:
        index = pd.DatetimeIndex(
            pd.to_datetime(stamps.tolist(), format=time_format or "ISO8601", errors="coerce")
            if stamps.dtype.kind == "U"
            else pd.DatetimeIndex(stamps)
        )
    except (ValueError, TypeError, OverflowError) as fault:
        raise DataError(f"{where}: times cannot be read ({fault})") from None
    bad = np.flatnonzero(index.isna() | (index.year < 1900) | (index.year > 2200))
    if bad.size:
        expected = f"format '{time_format}'" if time_format else "ISO 8601"
        first = f"first row {bad[0]}: '{stamps[bad[0]]}'"
        raise DataError(
            f"{where}: {bad.size} times cannot be read, {first}; expected {expected}, 1900 to 2200"
        )
    if index.tz is not None and zone != "UTC":
        raise DataError(
            f"{where}: stamps carry their own offset, but the zone '{zone}' is declared; drop one"
        )
    try:
        aware = index if index.tz is not None else index.tz_localize(zone_info(zone))
    except ValueError as fault:
        raise DataError(f"{where}: not a time in zone '{zone}' ({fault}); declare a fixed offset") from None
    return aware.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]")


def interval(stamps: Times, label: Label, averaging_s: float) -> tuple[Times, Times]:
    """Return start and end of intervals of `averaging_s` seconds stamped at `label`.

    >>> start, end = interval(np.array(["2020-01-01T12:30"], "datetime64[ns]"), "middle", 3600.0)
    >>> str(start[0])[:16], str(end[0])[:16]
    ('2020-01-01T12:00', '2020-01-01T13:00')
    """
    if label not in ("start", "middle", "end"):
        raise ConfigError(f"label '{label}' is unknown; expected start, middle or end")
    length = np.timedelta64(round(averaging_s * 1e9), "ns")
    before = {"start": 0 * length, "middle": length // 2, "end": length}[label]
    start = stamps - before
    return start, start + length


def local_hours(times: Times, zone: str) -> npt.NDArray[np.float64]:
    """Return the local clock time of UTC times as hours of the day, 0 to 24."""
    local = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone_info(zone))
    return np.asarray(local.hour + local.minute / 60 + local.second / 3600, dtype=np.float64)
