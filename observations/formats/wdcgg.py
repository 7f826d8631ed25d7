"""Text files of the World Data Centre for Greenhouse Gases, in the layout since 2018."""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from observations import raw
from observations.clock import to_utc
from observations.dataset import Floats, Texts
from observations.formats.series import NOTHING, Series, Supplement, finish
from observations.formats.words import parts_to_utc
from observations.raw import RawTable

_TIME = ("year", "month", "day", "hour", "minute", "second")
_NEEDED = ("site_gaw_id", *_TIME, "value", "value_unc", "nvalue", "latitude", "longitude", "intake_height",
           "QCflag", "scale")  # fmt: skip
_KEYS = ("header_lines", "dataset_parameter", "dataset_time_zone", "dataset_selection_tag",
         "dataset_end_date", "value:units")  # fmt: skip
_STEP = {"event": np.timedelta64(0, "h"), "hourly": np.timedelta64(1, "h"), "daily": np.timedelta64(1, "D")}
_INVALID = "3"
"""QCflag of data unfit for use; 1 is background, 2 valid beside it."""


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (_entries(path, raw.read_lines(path)).get("dataset_parameter", "").lower(),)


def read_wdcgg(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of a WDCGG file, every row with its flag.

    A row with QCflag 3 is rejected. Times are the start of the interval; its length follows from the header's
    selection tag, an event is instantaneous. Each row has its scale. The random part "measurement" is
    value_unc.

    Raises
    ------
    DataError
        If header or rows do not keep the format, or used rows are on two scales.

    Warns
    -----
    TruncatedFileWarning
        If the rows end before the header's end date.
    """
    lines = raw.read_lines(path)
    entries = _entries(path, lines)
    _check(path, entries)
    count = int(entries["header_lines"])
    names = lines[count - 1].lstrip("#").split()
    absent = [name for name in _NEEDED if name not in names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; the file has: {', '.join(names)}")
    table = raw.table_of(path, names, raw.split_words(path, lines[count:], count + 1), count + 1)
    start, end = _interval(table, entries["dataset_selection_tag"])
    _warn_truncated(path, entries["dataset_end_date"], start)
    n_samples = _numbers(table, entries, "nvalue")
    raw.refuse_implausible(table, "nvalue", n_samples, (0, 2**31), "samples")
    series = Series(
        species=entries["dataset_parameter"].lower(),
        unit=entries["value:units"],
        scale=_scales(entries, raw.texts(table, "scale")),
        start=start,
        end=end,
        site=raw.texts(table, "site_gaw_id"),
        inlet=_numbers(table, entries, "intake_height"),
        latitude=_numbers(table, entries, "latitude"),
        longitude=_numbers(table, entries, "longitude"),
        values=_numbers(table, entries, "value"),
        rejected=raw.texts(table, "QCflag") == _INVALID,
        n_samples=np.where(np.isnan(n_samples), 0, n_samples).astype(np.int64),
        sd=_numbers(table, entries, "value_unc"),
        sd_name="measurement",
        kind="flask" if entries["dataset_selection_tag"] == "event" else "inlet",
    )
    return finish(path, series, given)


def _entries(path: Path, lines: list[str]) -> dict[str, str]:
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    pairs = (re.match(r"#\s*([\w:/]+) : ?(.*)", line) for line in lines[:count])
    entries: dict[str, str] = {}
    for match in filter(None, pairs):
        entries.setdefault(match[1], match[2].strip())
    if entries.get("header_lines", "") != str(count):
        said = entries.get("header_lines", "")
        raise DataError(f"{path}: {count} header lines, but 'header_lines' says '{said}'; expected WDCGG")
    return entries


def _check(path: Path, entries: dict[str, str]) -> None:
    faults = [f"no '{key}'" for key in _KEYS if not entries.get(key)]
    zone, tag = entries.get("dataset_time_zone", "UTC"), entries.get("dataset_selection_tag", "event")
    if zone != "UTC":
        faults.append(f"'dataset_time_zone' is '{zone}', expected UTC")
    if tag not in (*_STEP, "monthly"):
        faults.append(f"'dataset_selection_tag' is '{tag}', expected {', '.join(_STEP)} or monthly")
    if faults:
        raise DataError(f"{path}: header: " + "; ".join(faults))


def _numbers(table: RawTable, entries: dict[str, str], name: str) -> Floats:
    fill = entries.get(f"{name}:_FillValue", "-999.999").split(" or ")
    return raw.numbers(table, name, fill)


def _interval(table: RawTable, tag: str) -> tuple[Times, Times]:
    parts = tuple(raw.texts(table, name) for name in _TIME)
    if tag in ("daily", "monthly"):
        # the time of day is a fill value where it means nothing
        parts = (*parts[:3], *(np.where(np.char.startswith(part, "-9"), "0", part) for part in parts[3:]))
    start = parts_to_utc(parts, f"{table.path}: 'year' to 'second'")
    if tag == "monthly":
        month = start.astype("datetime64[M]")
        return month.astype("datetime64[ns]"), (month + 1).astype("datetime64[ns]")
    return start, start + _STEP[tag]


def _scales(entries: dict[str, str], codes: Texts) -> Texts:
    names = {
        entries[key]: entries.get(key.replace("_code", "_name"), "unknown")
        for key in entries
        if re.fullmatch(r"scale_\d+_code", key)
    }
    return np.array([names.get(code, "unknown") or "unknown" for code in codes.tolist()])


def _warn_truncated(path: Path, said: str, start: Times) -> None:
    last = to_utc(np.array([said]), "UTC", None, f"{path}: 'dataset_end_date'")[0]
    if start.max() < last:
        raw.warn_truncated(f"{path}: truncated: rows end at {start.max()}, the header says {said}")
