"""The flux grid: regular in a map projection, metres, CF coordinates."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """A regular projected grid, dims (y, x), y and x ascending.

    crs : anything pyproj reads ("EPSG:32633", a PROJ string, WKT)
    west, south : outer edge of the first cell, m
    dx, dy : cell size, m
    nx, ny : number of cells
    """

    crs: str
    west: float
    south: float
    dx: float
    dy: float
    nx: int
    ny: int

    def __post_init__(self) -> None:
        if self.nx < 1 or self.ny < 1 or not self.dx > 0 or not self.dy > 0:
            raise DataError(
                f"grid: {self.nx} x {self.ny} cells of {self.dx} x {self.dy} m; expected all positive"
            )
        if not all(math.isfinite(v) for v in (self.west, self.south, self.dx, self.dy)):
            raise DataError(
                f"grid: corner ({self.west}, {self.south}), cells {self.dx} x {self.dy} m; expected finite"
            )
        try:
            crs = CRS.from_user_input(self.crs)
        except CRSError as fault:
            raise DataError(
                f"grid: crs '{self.crs}' is unknown; expected what pyproj reads ({fault})"
            ) from None
        if not crs.is_projected or any(axis.unit_conversion_factor != 1 for axis in crs.axis_info):
            raise DataError(
                f"grid: crs '{self.crs}' is not projected in metres; expected for example a UTM zone"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Cells as (ny, nx)."""
        return self.ny, self.nx

    @property
    def x_edges(self) -> Floats:
        """Cell edges eastward, m, shape (nx + 1,)."""
        return self.west + self.dx * np.arange(self.nx + 1, dtype=np.float64)

    @property
    def y_edges(self) -> Floats:
        """Cell edges northward, m, shape (ny + 1,)."""
        return self.south + self.dy * np.arange(self.ny + 1, dtype=np.float64)

    @property
    def x(self) -> Floats:
        """Cell centres eastward, m."""
        return self.west + self.dx * (np.arange(self.nx, dtype=np.float64) + 0.5)

    @property
    def y(self) -> Floats:
        """Cell centres northward, m."""
        return self.south + self.dy * (np.arange(self.ny, dtype=np.float64) + 0.5)

    def to_lonlat(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return longitude and latitude (degrees) of projected points (m)."""
        lon, lat = self._to_lonlat.transform(x, y)
        return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)

    def to_xy(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return projected x and y (m) of points in longitude and latitude (degrees)."""
        x, y = self._to_lonlat.transform(lon, lat, direction="INVERSE")
        return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)

    @cached_property
    def _to_lonlat(self) -> Transformer:
        crs = CRS.from_user_input(self.crs)
        assert crs.geodetic_crs is not None  # noqa: S101 - a projected CRS has one
        return Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)

    @cached_property
    def cell_area(self) -> Floats:
        """True area of each cell on the ellipsoid, m2, shape (ny, nx).

        The projection's areal scale, integrated over the cell by Simpson's rule in both directions.
        """
        xs = self.west + self.dx * 0.5 * np.arange(2 * self.nx + 1)
        ys = self.south + self.dy * 0.5 * np.arange(2 * self.ny + 1)
        lon, lat = self.to_lonlat(*np.meshgrid(xs, ys))
        per_scale = 1.0 / np.asarray(Proj(CRS.from_user_input(self.crs)).get_factors(lon, lat).areal_scale)
        strips = (per_scale[:, :-1:2] + 4.0 * per_scale[:, 1::2] + per_scale[:, 2::2]) / 6.0
        return self.dx * self.dy * (strips[:-1:2] + 4.0 * strips[1::2] + strips[2::2]) / 6.0

    def coords(self) -> xr.Dataset:
        """Return the CF coordinates of the grid: x, y, bounds, lat, lon, cell_area, spatial_ref."""
        lon, lat = self.to_lonlat(*np.meshgrid(self.x, self.y))
        crs = CRS.from_user_input(self.crs)
        x_bounds = np.stack([self.x_edges[:-1], self.x_edges[1:]], axis=1)
        y_bounds = np.stack([self.y_edges[:-1], self.y_edges[1:]], axis=1)
        mapped = {"grid_mapping": "spatial_ref"}
        return xr.Dataset(
            coords={
                "x": (
                    "x",
                    self.x,
                    {
                        "standard_name": "projection_x_coordinate",
                        "long_name": "easting",
                        "units": "m",
                        "axis": "X",
                        "bounds": "x_bounds",
                    },
                ),
                "y": (
                    "y",
                    self.y,
                    {
                        "standard_name": "projection_y_coordinate",
                        "long_name": "northing",
                        "units": "m",
                        "axis": "Y",
                        "bounds": "y_bounds",
                    },
                ),
                "x_bounds": (("x", "bounds"), x_bounds),
                "y_bounds": (("y", "bounds"), y_bounds),
                "lat": (
                    ("y", "x"),
                    lat,
                    {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
                ),
                "lon": (
                    ("y", "x"),
                    lon,
                    {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
                ),
                "cell_area": (
                    ("y", "x"),
                    self.cell_area,
                    {"standard_name": "cell_area", "long_name": "cell area", "units": "m2"} | mapped,
                ),
                "spatial_ref": ((), 0, crs.to_cf() | {"long_name": "map projection"}),
            }
        )

    @classmethod
    def from_dataset(cls, ds: xr.Dataset) -> "Grid":
        """Return the grid of a dataset that carries `coords()`.

        Raises
        ------
        DataError
            If x, y or spatial_ref are missing or the spacing is not regular.
        """
        missing = [name for name in ("x", "y", "spatial_ref") if name not in ds.variables]
        if missing:
            raise DataError(f"grid: no {', '.join(missing)} in the dataset; expected x, y and spatial_ref")
        steps = []
        for axis in ("x", "y"):
            step = np.diff(ds[axis].values)
            if step.size == 0 and f"{axis}_bounds" in ds.variables:
                step = np.diff(ds[f"{axis}_bounds"].values[0])
            if step.size == 0:
                raise DataError(
                    f"grid: {axis} has one value and no {axis}_bounds; expected bounds, to know the size"
                )
            if not step.min() > 0 or np.ptp(step) > 1e-6 * step.mean():
                raise DataError(
                    f"grid: {axis} is not evenly spaced and ascending (steps {step.min()} to {step.max()})"
                )
            steps.append(float(step.mean()))
        dx, dy = steps
        west, south = float(ds.x[0]) - dx / 2, float(ds.y[0]) - dy / 2
        return cls(ds.spatial_ref.attrs["crs_wkt"], west, south, dx, dy, ds.sizes["x"], ds.sizes["y"])
