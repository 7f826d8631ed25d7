"""Small readings that several formats share: units, places, labels and times in a file's own words."""

import re
from pathlib import Path

import numpy as np

from metroflux.errors import DataError
from metroflux.time import Times
from observations import raw
from observations.clock import Label, to_utc
from observations.dataset import Texts
from observations.raw import RawTable


def plain_unit(text: str) -> str:
    """Return a unit without dots, superscripts and Greek letters.

    >>> plain_unit("nmol.mol-¹"), plain_unit("µmol mol⁻¹"), plain_unit("µmol/mol")
    ('nmol mol-1', 'umol mol-1', 'umol/mol')
    """
    plain = text.replace(".", " ").replace("⁻", "-").replace("¹", "1")
    return plain.replace("µ", "u").replace("μ", "u").strip()


def label_of(text: str) -> Label | None:
    """Return which part of its interval a stamp marks, by a sentence that says so.

    >>> label_of("Time-averaged values are reported at the beginning of the averaging interval.")
    'start'
    >>> label_of("POSIX time.") is None
    True
    """
    match = re.search(r"\b(beginning|start|middle|centre|center|mid-?point|end) of (?:the )?"
                      r"(?:averaging|sampling) (?:interval|period)", text, re.IGNORECASE)  # fmt: skip
    if match is None:
        return None
    word = match[1].lower()
    if word == "end":
        return "end"
    return "start" if word in ("beginning", "start") else "middle"


def parts_to_utc(parts: tuple[Texts, ...], where: str) -> Times:
    """Return UTC times of columns year, month, day, hour, minute and perhaps second, as text."""
    names = ("%Y", "%m", "%d", "%H", "%M", "%S")[: len(parts)]
    filled = [np.char.zfill(part, 4 if name == "%Y" else 2) for part, name in zip(parts, names, strict=True)]
    stamps = np.array([" ".join(row) for row in zip(*filled, strict=True)])
    return to_utc(stamps, "UTC", " ".join(names), where)


def digit_pairs(table: RawTable, name: str) -> tuple[Texts, Texts, Texts]:
    """Return the three pairs of digits of a column such as yymmdd or hhmmss.

    Raises
    ------
    DataError
        If a field is not six digits.
    """
    text = raw.texts(table, name)
    bad = np.flatnonzero([re.fullmatch(r"[0-9]{6}", value) is None for value in text])
    if bad.size:
        first = f"{table.row(int(bad[0]))}: '{text[bad[0]]}'"
        raise DataError(f"{table.path}: '{name}' is not six digits in {bad.size} rows, first {first}")
    first_pair, second, third = (np.array([value[i : i + 2] for value in text]) for i in (0, 2, 4))
    return first_pair, second, third


def full_year(pair: Texts) -> Texts:
    """Return the year of its last two digits in an export of GCWerks, which began in 1994.

    >>> full_year(np.array(["94", "18"])).tolist()
    ['1994', '2018']
    """
    return np.char.add(np.where(pair >= "90", "19", "20"), pair)


def header_number(path: Path, key: str, text: str | None) -> float:
    """Return the first number of a header entry, such as 24.2 of '24.2 m agl'."""
    match = re.match(r"\s*(-?\d+(?:\.\d+)?)(?![\d.])", text or "")
    if match is None:
        raise DataError(f"{path}: '{key}' is '{text or ''}'; expected a number")
    return float(match[1])
