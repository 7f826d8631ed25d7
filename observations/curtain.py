"""The background from a field in longitude and latitude, such as a marine curtain or a global model."""

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from observations.background import MethodError, assemble
from observations.curtain_file import Extent, turned
from observations.ends import Ends, beyond_shares, ground_below, mean_of_ends, sample

Floats = npt.NDArray[np.float64]


def extent_of(ends: Ends, grid: Grid) -> Extent:
    """Return the times and the area that hold all end points; `grid` has the projection of their x and y."""
    used = ends.used
    lon, lat = grid.to_lonlat(ends.x[used], ends.y[used])
    east = turned(lon, float(lon[0]))
    times = ends.time[used]
    return Extent(times.min(), times.max(), east.min(), east.max(), lat.min(), lat.max())


def from_curtain(
    observations: xr.Dataset, ends: Ends, grid: Grid, terrain: xr.DataArray, field: xr.Dataset,
    error: MethodError,
) -> xr.Dataset:  # fmt: skip
    """Return the mean of a field over the end points of each observation's particles.

    The field is read at each end point, linearly in time, level, latitude and longitude. Levels above sea
    level are met at the point's height plus that of the ground below it in `terrain`.

    Parameters
    ----------
    grid : its projection is that of the end points and of `terrain`
    terrain : altitude of the ground of the met, m, (y, x)
    field : dataset `background_lonlat`

    Raises
    ------
    DataError
        If the field does not cover the end times, or does not say what its levels are above.
    """
    schema.check(field, "background_lonlat", "background")
    level = ends.height
    match field.level.attrs.get("above"):
        case "sea level":
            level = level + ground_below(ends, terrain)
        case "ground":
            pass
        case other:
            raise DataError(
                f"background field: levels are above {other!r}; expected the attribute 'above' of 'level' "
                "to be 'ground' or 'sea level'"
            )
    lon, lat = (np.where(ends.used, degrees, 0.0) for degrees in grid.to_lonlat(ends.x, ends.y))
    lon = turned(lon, float(field.lon.values.mean()))
    sampled = sample(ends, field, {"level": level, "lat": lat, "lon": lon})
    mean, sampling = mean_of_ends(ends, sampled)
    ds = assemble(observations, mean, [sampling], error.shared(observations))
    return ds.assign_attrs(beyond_shares(ends, sampled))
