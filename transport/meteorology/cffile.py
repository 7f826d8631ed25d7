"""CF files as they come: opening, times, axes, projection, the part that is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Times = npt.NDArray[np.datetime64]

_DEGREES = ("degrees_east", "degrees_north", "degree_east", "degree_north", "degrees", "degree")
_EVEN = 1e-3  # of the spacing: coordinates may be float32


def open_cf(path: Path) -> xr.Dataset:
    """Open a netCDF file, times decoded, or raise."""
    try:
        return xr.open_dataset(path, decode_timedelta=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None


def first_of(ds: xr.Dataset, names: Sequence[str]) -> str | None:
    """Return the first of the names that the dataset has as a variable or dimension."""
    return next((n for n in names if n in ds.variables or n in ds.dims), None)


def times(ds: xr.Dataset, names: Sequence[str], path: Path) -> Times | None:
    """Return the times of a file, or None if it has no time dimension."""
    name = first_of(ds, names)
    if name is None:
        return None
    values = np.atleast_1d(ds[name].values)
    if values.dtype.kind != "M":
        raise DataError(
            f"{path}: '{name}' is of type {values.dtype}; expected CF time in the standard calendar"
        )
    return values.astype("datetime64[ns]")


def axis(ds: xr.Dataset, names: Sequence[str], path: Path) -> xr.DataArray:
    """Return a horizontal axis, evenly spaced either way, in m or degrees.

    Raises
    ------
    DataError
        If it is absent, not one-dimensional, uneven or in another unit.
    """
    name = first_of(ds, names)
    if name is None or name not in ds.variables or ds[name].ndim != 1 or ds[name].size < 2:
        raise DataError(f"{path}: no axis {' or '.join(names)}; expected a one-dimensional coordinate")
    found = ds[name].astype(np.float64)
    units = str(ds[name].attrs.get("units", ""))
    if units not in (*_DEGREES, "m", "km"):
        raise DataError(f"{path}: '{name}' has units '{units}'; expected m, km or degrees")
    step = np.diff(found.values)
    if not np.all(np.abs(step - step.mean()) < _EVEN * abs(step.mean())):
        raise DataError(f"{path}: '{name}' is not evenly spaced ({step.min():g} to {step.max():g} {units})")
    factor = 1000.0 if units == "km" else 1.0
    return (found * factor).assign_attrs(units="m" if units == "km" else units)


def crs_of_file(ds: xr.Dataset, stated: str | None, x: xr.DataArray, path: Path) -> CRS:
    """Return the projection: stated, or from the file's grid mapping; a sphere for axes in degrees.

    Raises
    ------
    DataError
        If axes are in metres and neither tells the projection.
    """
    if stated is not None:
        return CRS.from_user_input(stated)
    if x.attrs["units"] in _DEGREES:
        return CRS("+proj=longlat +R=6371229")  # ECMWF's sphere; NCEP's too
    for name in dict.fromkeys(str(v.attrs.get("grid_mapping", "")) for v in ds.variables.values()):
        if name not in ds.variables:
            continue
        attributes = ds[name].attrs
        try:
            return CRS(attributes["proj_params"]) if "proj_params" in attributes else CRS.from_cf(attributes)
        except (CRSError, KeyError) as fault:
            raise DataError(
                f"{path}: grid mapping '{name}' cannot be read ({fault}); state the crs"
            ) from None
    raise DataError(f"{path}: no grid mapping; state the projection (crs)")


@dataclass(frozen=True)
class Region:
    """The part of a file that is read.

    x, y : ascending, m or degrees; rows, columns : index in the file of each y and x
    """

    x: Floats
    y: Floats
    rows: Indices
    columns: Indices

    @classmethod
    def whole(cls, x: xr.DataArray, y: xr.DataArray) -> "Region":
        """Return the region of all points."""
        rows, columns = np.argsort(y.values), np.argsort(x.values)
        return cls(x.values[columns], y.values[rows], rows, columns)

    def without_margin(self, values: Floats) -> "Region":
        """Return the region less outer rows and columns until no value (y, x) is missing.

        The side with the largest share of missing values goes first.

        Raises
        ------
        DataError
            If fewer than two rows or columns are left.
        """
        bad = ~np.isfinite(values)
        south, top, west, east = 0, bad.shape[0], 0, bad.shape[1]
        while bad[south:top, west:east].any():
            left = bad[south:top, west:east]
            shares = [left[0].mean(), left[-1].mean(), left[:, 0].mean(), left[:, -1].mean()]
            if max(shares) == 0.0 or min(left.shape) <= 2:
                raise DataError("missing values inside the file, not only along its edges")
            side = int(np.argmax(shares))
            south, top = south + (side == 0), top - (side == 1)
            west, east = west + (side == 2), east - (side == 3)
        rows, columns = slice(south, top), slice(west, east)
        return Region(self.x[columns], self.y[rows], self.rows[rows], self.columns[columns])


def window(
    x: xr.DataArray,
    y: xr.DataArray,
    area: tuple[float, float, float, float] | None,
    path: Path,
) -> Region:
    """Return the part of a longitude-latitude file within (west, south, east, north), all if None.

    Longitudes are taken modulo 360, so that an area may cross the file's first meridian.
    """
    if area is None:
        return Region.whole(x, y)
    west, south, east, north = area
    turned = west + (x.values - west) % 360.0
    columns = np.argsort(turned)
    columns = columns[turned[columns] <= west + (east - west) % 360.0]
    rows = np.argsort(y.values)
    rows = rows[(y.values[rows] >= south) & (y.values[rows] <= north)]
    if rows.size < 2 or columns.size < 2:
        raise DataError(
            f"{path}: area {area} holds {columns.size} x {rows.size} points; expected at least 2 x 2"
        )
    region = Region(turned[columns], y.values[rows], rows, columns)
    step = np.diff(region.x)
    if not np.all(np.abs(step - step.min()) < 0.01 * step.min()):
        raise DataError(f"{path}: area {area} reaches beyond the file's longitudes; expected a part of it")
    return region
