"""The background from a field in longitude and latitude, such as a marine curtain or a global model."""

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from observations.background import MethodError, assemble
from observations.curtain_file import Extent, turned
from observations.ends import Ends, beyond_shares, ground_below, mean_of_ends, sample


def extent_of(met: xr.Dataset, grid: Grid, start: np.datetime64, end: np.datetime64) -> Extent:
    """Return the area of a met cube, a cell wider on each side, and what of a period it covers."""
    x, y = (np.pad(met[n].values, 1, mode="reflect", reflect_type="odd") for n in ("x", "y"))
    lon, lat = grid.to_lonlat(*np.meshgrid(x, y))
    lon = turned(lon, float(lon[0, 0]))
    start = max(start, met.time.values[0])
    return Extent(start, end, float(lon.min()), float(lon.max()), float(lat.min()), float(lat.max()))


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
