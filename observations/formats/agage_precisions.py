"""AGAGE `.precisions.C` text: per day and gas, how far the measurements of the standard scatter.

GCWerks writes it beside the `.C` file of an instrument: day as yymmdd, then for each gas the standard
deviation of the standard's reported mole fraction, in the unit that the `.C` file has for the gas, and how
many measurements it rests on. It is the repeatability of one measurement of air on that day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError
from metroflux.time import Times
from observations import raw
from observations.dataset import Floats
from observations.formats.words import digit_pairs, full_year, parts_to_utc
from observations.head import Head

Days = npt.NDArray[np.datetime64]

FEWEST = 2
"""Measurements without which there is no standard deviation."""


@dataclass(frozen=True)
class Precisions:
    """Standard deviations of the standard, arrays of shape (day,).

    day : first to last, each once
    sd : by gas, in the unit of the `.C` file; NaN where there is none
    count : measurements behind it, by gas
    """

    path: Path
    day: Days
    sd: Mapping[str, Floats]
    count: Mapping[str, Floats]

    def at(self, species: str, times: Times) -> Floats:
        """Return the standard deviation on the day of each time, NaN on a day that is not in the file.

        Raises
        ------
        DataError
            If the gas is not in the file, or has no standard deviation on any of these days.
        """
        if species not in self.sd:
            raise DataError(f"{self.path}: no {species}; the file has: {', '.join(self.sd)}")
        wanted = times.astype("datetime64[D]")
        at = np.clip(np.searchsorted(self.day, wanted), 0, self.day.size - 1)
        found = np.where(self.day[at] == wanted, self.sd[species][at], np.nan)
        if not np.isfinite(found).any():
            period = f"{wanted.min()} to {wanted.max()}"
            raise DataError(f"{self.path}: no standard deviation of {species} on any day of {period}")
        return found


def is_precisions(head: Head) -> bool:
    """Tell whether a text that begins so is such a file."""
    return head.header_end().lstrip("# ").split()[:3] == ["Date", "s", "n"]


def read_precisions(path: Path) -> Precisions:
    """Return the standard deviations of a file.

    Fewer than FEWEST measurements give none, nor does 0: no instrument repeats exactly, so the last digit of
    the file hides it.

    Raises
    ------
    DataError
        If the file does not keep the format, a day is there twice, or a standard deviation is below 0.
    """
    lines = raw.read_lines(path)
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    gases = _gases(path, lines[:count])
    names = ["Date", *(f"{gas} {part}" for gas in gases for part in ("s", "n"))]
    table = raw.table_of(path, names, raw.split_words(path, lines[count:], count + 1), count + 1)
    day = _days(table)
    order = np.argsort(day)
    sd, number = {}, {}
    for gas in gases:
        number[gas] = raw.numbers(table, f"{gas} n")[order]
        raw.refuse_implausible(table, f"{gas} n", number[gas], (0, 2**31), "measurements")
        stated = raw.numbers(table, f"{gas} s")[order]
        if (stated < 0).any():
            raise DataError(f"{path}: '{gas} s' is {np.nanmin(stated):g}; expected none below 0")
        sd[gas] = np.where((number[gas] >= FEWEST) & (stated > 0), stated, np.nan)
    return Precisions(path, day[order], sd, number)


def _gases(path: Path, header: list[str]) -> list[str]:
    if not is_precisions(Head(lines=tuple(header))) or len(header) < 2:
        raise DataError(f"{path}: no header line '# Date s n ...'; expected an AGAGE precisions file")
    gases = [name.lower() for name in header[-2].lstrip("# ").split()]
    if header[-1].lstrip("# ").split() != ["Date", *["s", "n"] * len(gases)]:
        raise DataError(f"{path}: {len(gases)} gases, but not an 's' and an 'n' of each below them")
    if len(set(gases)) != len(gases):
        raise DataError(f"{path}: a gas is named more than once; expected each once")
    return gases


def _days(table: raw.RawTable) -> Days:
    year, month, day_of_month = digit_pairs(table, "Date")
    parts = (full_year(year), month, day_of_month)
    day = parts_to_utc(parts, f"{table.path}: 'Date'").astype("datetime64[D]")
    if np.unique(day).size != day.size:
        raise DataError(f"{table.path}: {day.size - np.unique(day).size} days are there twice")
    return day
