"""The share of each cell of a projected grid that lies in each cell between meridians and parallels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import EqualAreaPlane, LonLatCells

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_PIECES = 2  # straight pieces of a side: that of a 12 km cell leaves its true course by less than a metre
_CORNERS = 4 * _PIECES
_ROOM = _CORNERS + 8  # vertices of an outline that four lines have cut


@dataclass(frozen=True)
class Shares:
    """How a footprint on a grid is shared out by area; made once, applied to any number of footprints.

    start : int64[grid cell + 1], place of each grid cell's shares
    cell : int64[share], flat index of the cell; share : float64[share], of the grid cell's area
    shape : of the cells, (lat, lon)
    """

    start: Ints
    cell: Ints
    share: Floats
    shape: tuple[int, int]

    @classmethod
    def between(cls, grid: Grid, cells: LonLatCells) -> "Shares":
        """Return the shares of all cells of the grid, in the equal-area plane, where areas are true.

        `priors.regrid.conservative_weights` makes the same numbers for any two sets of cells, slowly.

        Raises
        ------
        DataError
            If the grid surrounds a pole, where the plane is torn.
        """
        plane = EqualAreaPlane.around(grid)
        corner_x, corner_y = _corners(grid, plane)
        x, y = plane.rectangles(cells)
        columns, rows = np.argsort(x[:, 0], kind="stable"), np.argsort(y[:, 0], kind="stable")
        room = _candidates(corner_x, corner_y, x[columns], y[rows])
        start = np.zeros(grid.ny * grid.nx + 1, dtype=np.int64)
        cell, share = np.empty(room, dtype=np.int64), np.empty(room)
        count = _overlap(corner_x, corner_y, x[columns], y[rows], start, cell, share)
        row, column = np.divmod(cell[:count], len(x))
        return cls(start, rows[row] * len(x) + columns[column], share[:count].copy(), cells.shape)

    def __call__(self, foot: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.float32], Floats]:
        """Return footprints (layer, y, x) shared out to (layer, lat, lon), and what falls beside (layer,)."""
        out = np.empty((len(foot), self.shape[0] * self.shape[1]), dtype=np.float32)
        beside = np.empty(len(foot))
        _share_out(foot.reshape(len(foot), -1), self.start, self.cell, self.share, out, beside)
        return out.reshape(-1, *self.shape), beside


def _corners(grid: Grid, plane: EqualAreaPlane) -> tuple[Floats, Floats]:
    """Return the plane's coordinates of the ends of all pieces of sides, (pieces ny + 1, pieces nx + 1)."""
    edges = (_refined(grid.x_edges), _refined(grid.y_edges))
    lon, lat = grid.to_lonlat(*np.meshgrid(*edges))
    lon = plane.wrap(lon)
    if np.ptp(lon) > 180:
        raise DataError(f"grid: spans {np.ptp(lon):.0f} degrees of longitude; expected no pole inside")
    return plane.x(lon), plane.y(lat)


def _refined(edges: Floats) -> Floats:
    places = np.arange(_PIECES * (edges.size - 1) + 1) / _PIECES
    return np.interp(places, np.arange(edges.size), edges)


@njit(cache=True, nogil=True)
def _candidates(corner_x: Floats, corner_y: Floats, x: Floats, y: Floats) -> int:
    """Return how many cells the boxes around all grid cells touch together."""
    total = 0
    for j in range(0, corner_x.shape[0] - 1, _PIECES):
        for i in range(0, corner_x.shape[1] - 1, _PIECES):
            a, b = _touched(corner_x[j : j + _PIECES + 1, i : i + _PIECES + 1], x)
            c, d = _touched(corner_y[j : j + _PIECES + 1, i : i + _PIECES + 1], y)
            total += (b - a) * (d - c)
    return total


@njit(cache=True, nogil=True)
def _touched(corners: Floats, bounds: Floats) -> tuple[int, int]:
    """Return first and last + 1 of the ascending bounds (n, 2) that overlap the corners' range."""
    low, high = corners.min(), corners.max()
    return np.searchsorted(bounds[:, 1], low, side="right"), np.searchsorted(bounds[:, 0], high)


@njit(cache=True, nogil=True)
def _overlap(
    corner_x: Floats, corner_y: Floats, x: Floats, y: Floats, start: Ints, cell: Ints, share: Floats
) -> int:
    """Fill start, cell and share, cells numbered in ascending order; return how many shares there are."""
    space = np.empty((4, _ROOM, 2))
    outline, strip, part, work = space[0], space[1], space[2], space[3]
    k, g = 0, 0
    for j in range(0, corner_x.shape[0] - 1, _PIECES):
        for i in range(0, corner_x.shape[1] - 1, _PIECES):
            for n in range(_PIECES):  # anticlockwise from the south-west
                _put(outline, n, corner_x, corner_y, j, i + n)
                _put(outline, _PIECES + n, corner_x, corner_y, j + n, i + _PIECES)
                _put(outline, 2 * _PIECES + n, corner_x, corner_y, j + _PIECES, i + _PIECES - n)
                _put(outline, 3 * _PIECES + n, corner_x, corner_y, j + _PIECES - n, i)
            whole = _area(outline, _CORNERS)
            a, b = _touched(corner_x[j : j + _PIECES + 1, i : i + _PIECES + 1], x)
            c, d = _touched(corner_y[j : j + _PIECES + 1, i : i + _PIECES + 1], y)
            for column in range(a, b):
                many = _between(outline, _CORNERS, 0, x[column], work, strip)
                for row in range(c, d):
                    area = _area(part, _between(strip, many, 1, y[row], work, part))
                    if area > 0.0:
                        cell[k], share[k] = row * len(x) + column, area / whole
                        k += 1
            g += 1
            start[g] = k
    return k


@njit(cache=True, nogil=True)
def _put(outline: Floats, n: int, corner_x: Floats, corner_y: Floats, j: int, i: int) -> None:
    outline[n, 0], outline[n, 1] = corner_x[j, i], corner_y[j, i]


@njit(cache=True, nogil=True)
def _between(outline: Floats, count: int, axis: int, bounds: Floats, work: Floats, out: Floats) -> int:
    """Write the part of an outline between two lines across an axis into out; return its vertices."""
    return _cut(work, _cut(outline, count, axis, bounds[0], 1.0, work), axis, bounds[1], -1.0, out)


@njit(cache=True, nogil=True)
def _cut(outline: Floats, count: int, axis: int, line: float, side: float, out: Floats) -> int:
    """Write the part of an outline beyond a line (side 1: above it) into out (Sutherland & Hodgman 1974)."""
    many = 0
    for n in range(count):
        last = n - 1 if n > 0 else count - 1
        here, before = side * (outline[n, axis] - line), side * (outline[last, axis] - line)
        if (here > 0.0) != (before > 0.0):
            t = before / (before - here)
            other = 1 - axis
            out[many, axis] = line
            out[many, other] = outline[last, other] + t * (outline[n, other] - outline[last, other])
            many += 1
        if here > 0.0:
            out[many, 0], out[many, 1] = outline[n, 0], outline[n, 1]
            many += 1
    return many


@njit(cache=True, nogil=True)
def _area(outline: Floats, count: int) -> float:
    """Return the area of an outline, m2."""
    twice = 0.0
    for n in range(
        1, count - 1
    ):  # from the first vertex: coordinates of 1e7 m would cost the small differences
        ax, ay = outline[n, 0] - outline[0, 0], outline[n, 1] - outline[0, 1]
        bx, by = outline[n + 1, 0] - outline[0, 0], outline[n + 1, 1] - outline[0, 1]
        twice += ax * by - ay * bx
    return 0.5 * abs(twice)


@njit(cache=True, nogil=True)
def _share_out(
    foot: npt.NDArray[np.floating[Any]], start: Ints, cell: Ints, share: Floats, out: Any, beside: Floats
) -> None:
    """Write each layer, shared out, into out, and what has no cell into beside."""
    sums = np.empty(out.shape[1])
    for n in range(foot.shape[0]):
        sums[:] = 0.0
        lost = 0.0
        for g in range(foot.shape[1]):
            value = float(foot[n, g])
            if value != 0.0:
                left = value
                for k in range(start[g], start[g + 1]):
                    amount = value * share[k]
                    sums[cell[k]] += amount
                    left -= amount
                lost += left
        beside[n] = lost
        for c in range(out.shape[1]):
            out[n, c] = sums[c]
