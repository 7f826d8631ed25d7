"""What a netCDF flux file says of its cells and intervals; what it leaves open is an error, not a guess."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import Times, month_edges, seconds
from priors.cells import EVEN, Floats, LonLatCells, derive_bounds

_ROLES = {
    "lat": ({"latitude"}, {"degrees_north", "degree_north", "degrees_N"}, {"lat", "latitude"}),
    "lon": ({"longitude"}, {"degrees_east", "degree_east", "degrees_E"}, {"lon", "longitude", "long"}),
    "y": ({"projection_y_coordinate"}, set(), {"y", "northing"}),
    "x": ({"projection_x_coordinate"}, set(), {"x", "easting"}),
    "time": ({"time"}, set(), {"time", "month"}),
}  # fmt: skip
"""Role of a dimension: its CF standard name, its units, and the names it has in files that say neither."""


@dataclass(frozen=True)
class Axes:
    """Dimensions of a variable: rows and columns, and the time or None."""

    y: str
    x: str
    time: str | None
    projected: bool


@contextmanager
def open_flux_file(path: Path) -> Iterator[xr.Dataset]:
    """Open a netCDF file decoded as CF.

    Raises
    ------
    DataError
        If it is absent or is not CF netCDF.
    """
    try:
        ds = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a netCDF file of fluxes") from None
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as CF netCDF ({fault})") from None
    with ds:
        yield ds


def read_variables(path: Path, names: list[str]) -> xr.Dataset:
    """Return variables of a file, loaded, with coordinates, bounds and grid mapping.

    Raises
    ------
    DataError
        If the file cannot be read or lacks variables; lists those that exist.
    """
    with open_flux_file(path) as ds:
        missing = [name for name in names if name not in ds.variables]
        if missing:
            have = ", ".join(sorted(map(str, ds.data_vars)))
            raise DataError(f"{path}: no variable {', '.join(missing)}; the file has: {have}")
        dims = {str(dim) for name in names for dim in ds[name].dims}
        linked = [ds[dim].attrs.get("bounds") for dim in sorted(dims) if dim in ds.variables]
        linked += [ds[name].attrs.get("grid_mapping") for name in names]
        return ds[list(dict.fromkeys([*names, *(name for name in linked if name in ds.variables)]))].load()


def find_axes(variable: xr.DataArray) -> Axes:
    """Return which dimension of a variable is which.

    Raises
    ------
    DataError
        If rows and columns are not found, or another dimension has more than one entry.
    """
    roles: dict[str, str] = {}
    for dim in (str(d) for d in variable.dims if d in variable.coords):
        for role, (standard, units, plain) in _ROLES.items():
            attrs = variable[dim].attrs
            named = {attrs.get("standard_name")} & standard or {attrs.get("units")} & units
            if named or (not attrs.get("standard_name") and dim.lower() in plain):
                roles[role] = dim
    extra = [d for d in map(str, variable.dims) if d not in roles.values() and variable.sizes[d] > 1]
    pair = next((p for p in (("lat", "lon"), ("y", "x")) if set(p) <= set(roles)), None)
    if pair is None or extra:
        raise DataError(
            f"has dimensions {dict(variable.sizes)}; expected latitude and longitude or projected y and x, "
            "with their coordinates, time, and no other longer than 1"
        )
    return Axes(roles[pair[0]], roles[pair[1]], roles.get("time"), projected=pair == ("y", "x"))


def in_order(variable: xr.DataArray, axes: Axes) -> xr.DataArray:
    """Return the variable as (time, y, x) or (y, x), projected axes ascending, other dimensions dropped."""
    order = [d for d in (axes.time, axes.y, axes.x) if d is not None]
    flat = variable.squeeze([d for d in variable.dims if d not in order], drop=True).transpose(*order)
    return flat.sortby([axes.y, axes.x]) if axes.projected else flat


def cells(ds: xr.Dataset, variable: xr.DataArray, axes: Axes) -> LonLatCells | Grid:
    """Return the cells of a variable that went through `in_order`."""
    y, x = (_bounds(ds, variable[dim]) for dim in (axes.y, axes.x))
    if axes.projected:
        _refuse_other_than_metres(variable, axes)
        return _projected_grid(_crs(ds, variable), y, x)
    return LonLatCells(x, _at_most_a_pole(y, variable[axes.y].values))


def _refuse_other_than_metres(variable: xr.DataArray, axes: Axes) -> None:
    for dim in (axes.y, axes.x):
        unit = variable[dim].attrs.get("units", "m")
        if unit not in ("m", "metre", "meter", "metres", "meters"):
            raise DataError(f"{dim}: units '{unit}', expected m")


def _bounds(ds: xr.Dataset, axis: xr.DataArray) -> Floats:
    name = axis.attrs.get("bounds")
    if name is None:
        return derive_bounds(axis.values.astype(np.float64), str(axis.name))
    if name not in ds.variables:
        raise DataError(f"{axis.name}: its bounds '{name}' are not in the file")
    return ds[name].sel({axis.dims[0]: axis}).values.astype(np.float64)


def _at_most_a_pole(bounds: Floats, centres: npt.NDArray[np.floating]) -> Floats:
    """Cut what leaves the globe in rows centred on a pole (grids of models have them) or by rounding."""
    polar = np.abs(np.abs(centres) - 90) < EVEN
    beyond = np.abs(bounds).max(axis=1) - 90
    rounding = beyond < EVEN * np.abs(np.diff(bounds, axis=1))[:, 0]
    return np.where((polar | rounding)[:, None], np.clip(bounds, -90, 90), bounds)


def _crs(ds: xr.Dataset, variable: xr.DataArray) -> str:
    name = variable.attrs.get("grid_mapping")
    if name is None or name not in ds.variables:
        raise DataError(f"is on projected axes, but its grid_mapping ({name!r}) is not in the file")
    attrs = ds[name].attrs
    try:
        return str(attrs["crs_wkt"]) if "crs_wkt" in attrs else CRS.from_cf(attrs).to_wkt()
    except (CRSError, KeyError) as fault:
        raise DataError(f"grid mapping '{name}' is not understood ({fault})") from None


def _projected_grid(crs: str, y_bounds: Floats, x_bounds: Floats) -> Grid:
    if np.isnan(y_bounds).any() or np.isnan(x_bounds).any():
        raise DataError("cell bounds hold NaN; expected an even projected grid")
    steps, starts = [], []
    for name, bounds in (("x", x_bounds), ("y", y_bounds)):
        lower, upper = np.sort(bounds, axis=1).T
        step = float(upper[-1] - lower[0]) / len(bounds)
        if (
            max(
                np.abs(upper - lower - step).max(),
                np.abs(lower - lower[0] - step * np.arange(len(lower))).max(),
            )
            > EVEN * step
        ):
            raise DataError(
                f"{name}: cells are not of one size and side by side; expected an even projected grid"
            )
        steps.append(step)
        starts.append(float(lower[0]))
    return Grid(crs, starts[0], starts[1], steps[0], steps[1], len(x_bounds), len(y_bounds))


def time_edges(ds: xr.Dataset, axis: xr.DataArray) -> Times:
    """Return the edges (n + 1,) of a file's time axis.

    Without bounds a label is the start of its interval, and only whole months, whole years and even steps
    have a known end.

    Raises
    ------
    DataError
        If the times are no calendar times, have gaps, or have no known end.
    """
    bounds = axis.attrs.get("bounds")
    for name in (str(axis.name), bounds):
        if name in ds.variables and ds[name].dtype.kind != "M":
            raise DataError(f"{name}: type {ds[name].dtype}, expected times of the standard calendar")
    if bounds in ds.variables:
        pairs = ds[bounds].values.astype("datetime64[ns]")
        if (pairs[1:, 0] != pairs[:-1, 1]).any() or (pairs[:, 1] <= pairs[:, 0]).any():
            raise DataError(f"{bounds}: intervals are not consecutive; expected neither gap nor overlap")
        return np.append(pairs[:, 0], pairs[-1, 1])
    return _edges_of_labels(axis.values.astype("datetime64[ns]"), str(axis.name))


def _edges_of_labels(labels: Times, name: str) -> Times:
    if labels.size > 1:
        for unit in ("Y", "M"):
            whole = labels.astype(f"datetime64[{unit}]")
            if (whole == labels).all() and (np.diff(whole) == np.timedelta64(1, unit)).all():
                return (
                    month_edges(labels)
                    if unit == "M"
                    else np.append(labels, (whole[-1] + 1).astype(labels.dtype))
                )
        steps = np.diff(labels)
        if (steps == steps[0]).all() and steps[0] > np.timedelta64(0, "ns"):
            return np.append(labels, labels[-1] + steps[0])
    raise DataError(
        f"{name}: {labels.size} values without bounds, of unknown length; "
        "expected bounds, whole months or even steps"
    )


def time_weights(source: Times, target: Times) -> Floats:
    """Return the share of each source interval in the mean over each target interval, shape (target, source).

    Raises
    ------
    DataError
        If the source does not cover the target.
    """
    if source[0] > target[0] or source[-1] < target[-1]:
        raise DataError(f"times {source[0]} to {source[-1]} do not cover {target[0]} to {target[-1]}")
    start = np.maximum(target[:-1, None], source[:-1])
    end = np.minimum(target[1:, None], source[1:])
    overlap = np.maximum((end - start).astype("timedelta64[ns]").astype(np.float64) * 1e-9, 0.0)
    return overlap / seconds(target)[:, None]
