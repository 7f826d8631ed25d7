"""One screen about a file: rows of a name and what is said of it, whole at any width and through a pipe."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLE = {"fact": "", "note": "yellow", "fault": "red"}


@dataclass(frozen=True)
class Row:
    """One row; `kind` is fact, note (what a user must know or give) or fault."""

    name: str
    text: str
    kind: str = "fact"


def show(console: Console, path: Path, about: str, rows: Iterable[Row]) -> None:
    """Print the name of a file, what it is, and the rows; long texts go over several lines."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in (Row("format", about), *rows):
        grid.add_row(Text(row.name, style="bold"), Text(row.text, style=_STYLE[row.kind]))
    console.print(Text(path.name, style="bold"), overflow="fold")
    console.print(grid)


def period(start: np.datetime64, end: np.datetime64, digits: int = 16) -> str:
    """Return a period as people read it; 16 digits end at the minute, 19 at the second."""
    first, last = (str(time)[:digits].replace("T", " ") for time in (start, end))
    return f"{first} to {last}"


def span(low: float, high: float, unit: str, digits: int = 5) -> str:
    """Return a range of numbers, or the one number where they are the same.

    >>> span(1.0, 2.5, "ppm"), span(2.0, 2.0, "m")
    ('1 to 2.5 ppm', '2 m')
    """
    words = dict.fromkeys(f"{value:.{digits}g}" for value in (low, high))
    return f"{' to '.join(words)} {unit}"


def place(south: float, north: float, west: float, east: float) -> str:
    """Return where something is, in degrees; a range where it moves by more than 0.01 degrees.

    >>> place(40.05, 40.05, -105.004, -105.004)
    '40.05 N 105.004 W'
    >>> place(-9.5, 4.0, 10.0, 12.0)
    '9.5 S to 4 N, 10 to 12 E'
    """
    if np.isnan([south, north, west, east]).any():
        return "not known"
    if max(north - south, east - west) <= 0.01:
        return f"{_degrees(south, south, 'SN')} {_degrees(west, west, 'WE')}"
    return f"{_degrees(south, north, 'SN')}, {_degrees(west, east, 'WE')}"


def _degrees(low: float, high: float, sides: str) -> str:
    ends = [(f"{abs(value):.6g}", sides[int(value >= 0)]) for value in (low, high)]
    if ends[0] == ends[1]:
        return " ".join(ends[0])
    first = ends[0][:1] if ends[0][1] == ends[1][1] else ends[0]
    return f"{' '.join(first)} to {' '.join(ends[1])}"
