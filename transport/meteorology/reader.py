"""What a met reader gives: where a file's columns stand, its times, one time on the model's own levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from transport.met import scale_at, to_lonlat
from transport.meteorology.columns import RawState

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

NO_WIND_UPWARD = "the files have no vertical velocity"
"""Method of w in a state whose files have none: by continuity only."""

METRES_PER_DEGREE = np.pi * 6371000.0 / 180.0
"""Of latitude, on a sphere."""


@dataclass(frozen=True)
class Frame:
    """Where a file's columns stand.

    crs : projected, or geographic for a longitude-latitude grid
    x, y : m, or degrees; ascending
    terrain : m above sea level, (y, x)
    source : the file it was read from
    rows, columns : index in the file of each y and x, where it is not the whole file in this order
    """

    crs: CRS
    x: Floats
    y: Floats
    terrain: Floats
    source: str
    rows: Indices | None = None
    columns: Indices | None = None

    @property
    def geographic(self) -> bool:
        """Whether x and y are degrees."""
        return bool(self.crs.is_geographic)

    def lonlat(self) -> tuple[Floats, Floats]:
        """Return longitude and latitude of all points, degrees, (y, x)."""
        x, y = np.meshgrid(self.x, self.y)
        return (x, y) if self.geographic else to_lonlat(self.crs, x, y)

    def slopes(self, field: Floats) -> tuple[Floats, Floats]:
        """Return the gradient of a field (..., y, x) along x and y per metre on the ground."""
        along_y, along_x = np.gradient(field, self.y, self.x, axis=(-2, -1))
        scale_x, scale_y = self.scales()
        return along_x * scale_x, along_y * scale_y

    def rise(self) -> tuple[Floats, Floats]:
        """Return the terrain's slope on the ground between neighbours, (y, x - 1) and (y - 1, x)."""
        scale_x, scale_y = self.scales()
        along_x = np.diff(self.terrain, axis=1) / np.diff(self.x)
        along_y = np.diff(self.terrain, axis=0) / np.diff(self.y)[:, None]
        mean_x, mean_y = 0.5 * (scale_x[:, 1:] + scale_x[:, :-1]), 0.5 * (scale_y[1:] + scale_y[:-1])
        return along_x * mean_x, along_y * mean_y

    def scales(self) -> tuple[Floats, Floats]:
        """Return metres or degrees of x and of y per metre on the ground, (y, x)."""
        if self.geographic:
            _, lat = self.lonlat()
            degrees = np.full_like(lat, 1.0 / METRES_PER_DEGREE)
            return np.divide(degrees, np.cos(np.radians(lat))), degrees
        scale = scale_at(self.crs, self.x, self.y)
        return scale, scale


@dataclass(frozen=True)
class Hour:
    """One met time and the files that hold it.

    parts : file and index of the time in it; -1 where a file has no time dimension
    """

    time: np.datetime64
    parts: tuple[tuple[Path, int], ...]

    def __str__(self) -> str:
        names = ", ".join(dict.fromkeys(str(path) for path, _ in self.parts))
        return f"{names} at {str(self.time)[:16]}"


@dataclass(frozen=True)
class Wanted:
    """What of a met time is used: a reader may leave the rest unread.

    top : m above ground, highest level of the cube
    upward : whether the file's own vertical velocity is used; if not, a reader may give zeros
    """

    top: float
    upward: bool


class MetReader(Protocol):
    """One met format. Hashable settings in a frozen dataclass; no state between calls."""

    def catalogue(self, paths: Sequence[Path]) -> tuple[list[Frame], list[Hour]]:
        """Return the frame of every file and all times, in any order; a cheap look at each file."""
        ...

    def state(self, frame: Frame, hour: Hour, wanted: Wanted) -> RawState:
        """Return one time on the model's own levels, winds along x and y of the frame."""
        ...

    def describe(self) -> dict[str, object]:
        """Return all settings as JSON can hold them: part of the key of a stored cube."""
        ...
