"""Cells of a source in longitude and latitude, and the equal-area plane in which cells are overlapped."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS

from metroflux.errors import DataError
from metroflux.grid import Grid

Floats = npt.NDArray[np.float64]

EVEN = 1e-3
"""Largest deviation of cell centres from even spacing, share of a step; float32 and printed decimals pass."""

SEGMENTS = 8
"""Straight pieces per cell side; a 20 km side then leaves its true course by less than a metre."""


@dataclass(frozen=True)
class LonLatCells:
    """Cells between meridians and parallels, in the order of the file (north first and 0-360 are welcome).

    lon_bounds : degrees east, shape (nlon, 2)
    lat_bounds : degrees north, shape (nlat, 2)
    """

    lon_bounds: Floats
    lat_bounds: Floats

    def __post_init__(self) -> None:
        faults = [
            f"{name}: {fault}"
            for name, bounds in (("longitude", self.lon_bounds), ("latitude", self.lat_bounds))
            for fault in _bound_faults(bounds)
        ]
        if np.abs(self.lat_bounds).max() > 90:
            faults.append(f"latitude: edges reach {np.abs(self.lat_bounds).max():g}, expected -90 to 90")
        span = float(self.lon_bounds.max() - self.lon_bounds.min())
        if span > 360 * (1 + 1e-6):
            faults.append(
                f"longitude: the cells span {span:g} degrees, so they overlap; expected at most 360"
            )
        if faults:
            raise DataError("source cells: " + "; ".join(faults))

    @property
    def shape(self) -> tuple[int, int]:
        """Cells as (nlat, nlon)."""
        return len(self.lat_bounds), len(self.lon_bounds)


def _bound_faults(bounds: Floats) -> list[str]:
    if bounds.ndim != 2 or bounds.shape[1] != 2 or not np.isfinite(bounds).all():
        return [f"bounds of shape {bounds.shape}, expected finite numbers of shape (n, 2)"]
    lower, upper = np.sort(bounds, axis=1).T
    if (upper <= lower).any():
        return [f"{int((upper <= lower).sum())} cells without width"]
    order = np.argsort(lower)
    overlap = upper[order][:-1] - lower[order][1:]
    if overlap.size and overlap.max() > EVEN * float((upper - lower).min()):
        return [f"cells overlap by up to {overlap.max():g}"]
    return []


def derive_bounds(centres: Floats, what: str) -> Floats:
    """Return the bounds (n, 2) of evenly spaced cell centres.

    Raises
    ------
    DataError
        If there is one centre only or the spacing is uneven by more than `EVEN`: edges are not guessed.
    """
    if centres.size < 2:
        raise DataError(f"{what}: one value and no bounds; expected bounds, the cell size is not guessed")
    step = float(centres[-1] - centres[0]) / (centres.size - 1)
    off = np.abs(centres - (centres[0] + step * np.arange(centres.size))).max()
    if step == 0 or off > EVEN * abs(step):
        steps = np.diff(centres)
        raise DataError(
            f"{what}: no bounds and centres unevenly spaced (steps {steps.min():g} to {steps.max():g}); "
            "expected bounds, edges are not guessed"
        )
    edges = centres[0] + step * (np.arange(centres.size + 1) - 0.5)
    return np.stack([edges[:-1], edges[1:]], axis=1)


@dataclass(frozen=True)
class EqualAreaPlane:
    """Lambert's cylindrical equal-area coordinates of an ellipsoid: areas in this plane are true areas.

    x = a dlon, y = a q / 2 with q of Snyder (1987, eq. 3-12). Meridians and parallels are straight, so a cell
    in longitude and latitude is exactly a rectangle.

    a, b : semi-axes, m
    meridian : longitude in the middle, degrees
    """

    a: float
    b: float
    meridian: float

    @classmethod
    def around(cls, grid: Grid) -> "EqualAreaPlane":
        """Return the plane of the grid's ellipsoid about the grid's middle."""
        ellipsoid = CRS.from_user_input(grid.crs).ellipsoid
        assert ellipsoid is not None  # noqa: S101 - a projected CRS has one
        lon, _ = grid.to_lonlat(grid.x_edges.mean(), grid.y_edges.mean())
        return cls(ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre, float(lon))

    def x(self, lon: Floats) -> Floats:
        """Eastward coordinate, m; longitudes are taken as they come, without wrapping."""
        return self.a * np.radians(lon - self.meridian)

    def y(self, lat: Floats) -> Floats:
        """Northward coordinate, m."""
        s = np.sin(np.radians(lat))
        e = np.sqrt(1 - (self.b / self.a) ** 2)
        if e == 0:
            return self.a * s
        return self.a * (1 - e**2) / 2 * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)

    def wrap(self, lon: Floats) -> Floats:
        """Return longitudes within 180 degrees of the meridian."""
        return lon - 360 * np.round((lon - self.meridian) / 360)

    def rectangles(self, cells: LonLatCells) -> tuple[Floats, Floats]:
        """Return the sides of cells as x (nlon, 2) and y (nlat, 2), ascending, m."""
        lon = np.sort(cells.lon_bounds, axis=1)
        centre = lon.mean(axis=1)
        lon = lon + (self.wrap(centre) - centre)[:, None]
        return self.x(lon), self.y(np.sort(cells.lat_bounds, axis=1))


@dataclass(frozen=True)
class Lattice:
    """Cells between projected lines, drawn in the equal-area plane with `SEGMENTS` pieces a side.

    Neighbours share their vertices to the bit, so the cells tile without gap or overlap.

    grid : gives the projection
    x_edges, y_edges : lines, m, ascending
    """

    grid: Grid
    x_edges: Floats
    y_edges: Floats

    @classmethod
    def of(cls, grid: Grid) -> "Lattice":
        """Return the cells of the grid itself."""
        return cls(grid, grid.x_edges, grid.y_edges)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells as (ny, nx)."""
        return len(self.y_edges) - 1, len(self.x_edges) - 1

    def rings(self, plane: EqualAreaPlane) -> Floats:
        """Return each cell's outline, m, shape (cell, vertex, 2), anticlockwise and open.

        Raises
        ------
        DataError
            If the cells surround a pole, where the plane is torn.
        """
        n, (ny, nx) = SEGMENTS, self.shape
        up, still = np.arange(n), np.zeros(n, dtype=int)
        side_x = np.concatenate([up, still + n, n - up, still])
        side_y = np.concatenate([still, up, still + n, n - up])
        j, i = np.divmod(np.arange(ny * nx), nx)
        x = _refine(self.x_edges)[i[:, None] * n + side_x]
        y = _refine(self.y_edges)[j[:, None] * n + side_y]
        lon, lat = self.grid.to_lonlat(x, y)
        lon = plane.wrap(lon)
        if np.ptp(lon) > 180:
            raise DataError(f"grid: spans {np.ptp(lon):.0f} degrees of longitude; expected no pole inside")
        return np.stack([plane.x(lon), plane.y(lat)], axis=-1)

    def areas(self, plane: EqualAreaPlane) -> Floats:
        """Return each cell's true area, m2, shape (ny, nx)."""
        ring = self.rings(plane)
        ring = ring - ring[:, :1]
        after = np.roll(ring, -1, axis=1)
        twice = np.sum(ring[..., 0] * after[..., 1] - ring[..., 1] * after[..., 0], axis=1)
        return 0.5 * np.abs(twice).reshape(self.shape)

    def polygons(self, plane: EqualAreaPlane) -> npt.NDArray[np.object_]:
        """Return each cell as a polygon of the plane, shape (cell,)."""
        return shapely.polygons(self.rings(plane))


def _refine(edges: Floats) -> Floats:
    n = SEGMENTS
    inner = edges[:-1, None] + np.diff(edges)[:, None] * (np.arange(n) / n)
    return np.append(inner.ravel(), edges[-1])


def source_area(source: LonLatCells | Grid, plane: EqualAreaPlane) -> Floats:
    """Return the true area of each source cell, m2, shape of the source."""
    if isinstance(source, Grid):
        return source.cell_area
    x, y = plane.rectangles(source)
    return np.diff(y, axis=1) * np.diff(x, axis=1).T
