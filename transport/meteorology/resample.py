"""Fields of a longitude-latitude grid at the points of a projected one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from metroflux.errors import DataError
from transport.met import to_lonlat, to_xy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


def north(crs: CRS, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return the unit vector (x, y) of true north in the map at each place."""
    step = 1e-4  # degrees, about 10 m: far above rounding, far below a map's curvature
    x, y = to_xy(crs, lon, lat - step)
    x_2, y_2 = to_xy(crs, lon, lat + step)
    length = np.hypot(x_2 - x, y_2 - y)
    return (x_2 - x) / length, (y_2 - y) / length


def to_grid(u: Floats, v: Floats, up: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return wind along a conformal map's x and y of eastward and northward wind; `up` from `north`."""
    north_x, north_y = up
    return u * north_y + v * north_x, v * north_y - u * north_x


@dataclass(frozen=True)
class Resampler:
    """Bilinear interpolation, at constant height above ground, from degrees to a map.

    x, y : points of the cube, m
    i, j : index of the point to the south-west, (y, x); fx, fy : place between it and the next, 0 to 1
    up : true north in the map, for the winds
    """

    x: Floats
    y: Floats
    i: Ints
    j: Ints
    fx: Floats
    fy: Floats
    up: tuple[Floats, Floats]

    @classmethod
    def inside(cls, lon: Floats, lat: Floats, crs: CRS, step: float, where: str) -> "Resampler":
        """Return the resampler to the largest map rectangle between the outermost meridians and parallels.

        Its corner is a whole number of steps, so that two files of one region give the same points.
        """
        west, east = (to_xy(crs, np.full(lat.size, edge), lat)[0] for edge in (lon[0], lon[-1]))
        south, top = (to_xy(crs, lon, np.full(lon.size, edge))[1] for edge in (lat[0], lat[-1]))
        low_x, high_x = np.ceil(west.max() / step), np.floor(east.min() / step)
        low_y, high_y = np.ceil(south.max() / step), np.floor(top.min() / step)
        if not (high_x > low_x and high_y > low_y):
            raise DataError(
                f"{where}: no rectangle of the map fits between its meridians and parallels with points "
                f"{step:g} m apart; expected a region, not the globe (crop it) and a smaller step"
            )
        x, y = step * np.arange(low_x, high_x + 1), step * np.arange(low_y, high_y + 1)
        place_lon, place_lat = to_lonlat(crs, *np.meshgrid(x, y))
        place_lon = lon[0] + (place_lon - lon[0]) % 360.0
        i, fx = _between(lon, place_lon)
        j, fy = _between(lat, place_lat)
        if max(fx.max(), fy.max()) > 1.0 or min(fx.min(), fy.min()) < 0.0:
            raise DataError(f"{where}: points of the map lie outside the file; expected a smaller region")
        return cls(x, y, i, j, fx, fy, north(crs, place_lon, place_lat))

    def plane(self, values: Floats) -> Floats:
        """Return values (..., lat, lon) at the points of the map (..., y, x)."""
        low = (1.0 - self.fx) * values[..., self.j, self.i] + self.fx * values[..., self.j, self.i + 1]
        high = (1.0 - self.fx) * values[..., self.j + 1, self.i] + self.fx * values[
            ..., self.j + 1, self.i + 1
        ]
        return (1.0 - self.fy) * low + self.fy * high

    def fields(self, fields: dict[str, Floats]) -> dict[str, Floats]:
        """Return all fields of the met cube on the map, eastward and northward wind turned to its axes."""
        there = {name: self.plane(values) for name, values in fields.items()}
        there["u"], there["v"] = to_grid(there["u"], there["v"], self.up)
        return there


def _between(axis: Floats, values: Floats) -> tuple[Ints, Floats]:
    """Return the index of the point before each value and the share of the way to the next."""
    index = np.clip(np.searchsorted(axis, values, side="right") - 1, 0, axis.size - 2)
    return index, (values - axis[index]) / (axis[index + 1] - axis[index])
