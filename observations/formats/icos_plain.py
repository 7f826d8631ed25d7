"""Older ICOS ATC exports: words in columns under one line of names, without a header that says more.

A name such as `tta.co2.1minute.222m.min.dat` gives interval and inlet. Unit and flags are those of ICOS ATC
(Hazan et al. 2016, doi:10.5194/amt-9-4719-2016); as in its later files the stamp is the interval's start.
"""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.clock import interval
from observations.formats.icos import GOOD_FLAGS
from observations.formats.series import NOTHING, Series, Supplement, finish
from observations.formats.words import parts_to_utc
from observations.head import Head
from observations.raw import RawTable

UNITS = {"co2": "ppm", "ch4": "ppb", "co": "ppb", "n2o": "ppb"}
"""Unit of each gas: ICOS ATC gives CO2 in umol mol-1 and the others in nmol mol-1."""

_TIME = ("Year", "Month", "Day", "Hour", "Minute")
_FIRST = ("Site", *_TIME, "Date")
_LAST = ("Stdev", "NbPoints", "Flag")
_FREE_TEXT = ("AutoDescriptiveFlag", "ManualDescriptiveFlag")
"""Last columns: any number of words, usually none."""
_MISSING = ("-999.99", "-9.99")
_SECONDS = {"1minute": 60.0, "hourly": 3600.0}


def is_icos_plain(head: Head) -> bool:
    """Tell whether a text that begins so is such an export."""
    names = tuple(head.line(0).split())
    return names[:7] == _FIRST and names[8:11] == _LAST


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (_names(path, raw.read_lines(path))[7].lower(),)


def read_icos_plain(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an older ICOS export, every row with its flag.

    Flags U, O and R are good, N, K and H are not. The file does not say its scale, which in ICOS differs from
    instrument to instrument: rows get the flag `unknown_scale` unless one is given or accepted. Nor does it
    say its place. Interval and inlet are those given, or of the file's name. The random part "variability" is
    Stdev, the spread within the interval.

    Raises
    ------
    DataError
        If the file does not keep the format, its gas has no known unit, or its interval cannot be told.
    """
    table = _table(path)
    species = list(table.columns)[7].lower()
    if species not in UNITS:
        raise DataError(f"{path}: the unit of {species} is not known; expected one of: {', '.join(UNITS)}")
    seconds, inlet = _by_name(path, given)
    parts = tuple(raw.texts(table, name) for name in _TIME)
    start, end = interval(parts_to_utc(parts, f"{path}: 'Year' to 'Minute'"), "start", seconds)
    counts = raw.numbers(table, "NbPoints", _MISSING)
    raw.refuse_implausible(table, "NbPoints", counts, (0, 2**31), "points")
    n = start.size
    series = Series(
        species=species,
        unit=UNITS[species],
        scale=np.full(n, "unknown"),
        start=start,
        end=end,
        site=raw.texts(table, "Site"),
        inlet=np.full(n, inlet),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        values=raw.numbers(table, list(table.columns)[7], _MISSING),
        rejected=~np.isin(raw.texts(table, "Flag"), GOOD_FLAGS),
        n_samples=np.where(np.isnan(counts), 0, counts).astype(np.int64),
        sd=raw.numbers(table, "Stdev", _MISSING),
    )
    return finish(path, series, given)


def _names(path: Path, lines: list[str]) -> list[str]:
    head = Head(lines=tuple(lines[:1]))
    if not is_icos_plain(head):
        begins = head.line(0)[:60]
        raise DataError(f"{path}: first line is '{begins}'; expected 'Site Year ... Date', a gas, 'Stdev'")
    names = [name for name in head.line(0).split() if name not in _FREE_TEXT]
    if len(set(names)) != len(names):
        raise DataError(f"{path}: a column is named more than once; expected each once")
    return names


def _table(path: Path) -> RawTable:
    lines = raw.read_lines(path)
    names = _names(path, lines)
    rows = (" ".join(line.split()[: len(names)]) for line in lines[1:])
    return raw.table_of(path, names, raw.split_words(path, rows, 2), 2)


def _by_name(path: Path, given: Supplement) -> tuple[float, float]:
    """Return length of the interval, s, and inlet, m."""
    match = re.match(r"[^.]+\.[^.]+\.([^.]+)\.(\d{1,4})m\.", path.name)
    seconds = given.averaging_s or (_SECONDS.get(match[1]) if match else None)
    if seconds is None:
        raise DataError(
            f"{path}: neither the file nor its name, such as 'tta.co2.1minute.222m.min.dat', says how long "
            f"its averages are; give averaging_s"
        )
    return seconds, float(match[2]) if match else float("nan")
