"""A background field from files: any netCDF in longitude and latitude, given a mapping of its names."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.units import FILL_LIMIT, mole_fraction_factor
from observations.clock import to_utc
from observations.dataset import plausible
from observations.levels import Vertical, at_levels, on_one_axis

Floats = npt.NDArray[np.float64]
DIMS = ("time", "level", "lat", "lon")
_PART_OF_MEAN = {"start": 0.5, "middle": 0.0, "end": -0.5}


@dataclass(frozen=True)
class CurtainMapping:
    """How a field is read. None for an axis: the field does not vary along it.

    species, unit : of the variable; unit None: as the file says
    latitude, longitude, time : names of the axes; a marine curtain has no longitude
    vertical : its levels; None: one value for all heights
    averaging_h : length of the mean that a time stands for, h; 0 for instants
    label : the part of that mean that is stamped
    """

    species: str
    variable: str
    latitude: str | None = "lat"
    longitude: str | None = "lon"
    time: str | None = "time"
    vertical: Vertical | None = None
    unit: str | None = None
    averaging_h: float = 0.0
    label: Literal["start", "middle", "end"] = "middle"

    @property
    def axes(self) -> dict[str, str]:
        """Names of the horizontal axes and the time in the file, by ours."""
        named = {"time": self.time, "lat": self.latitude, "lon": self.longitude}
        return {ours: name for ours, name in named.items() if name is not None}


@dataclass(frozen=True)
class Extent:
    """What of a field is needed: UTC, degrees; west may be any turn of the globe, east not less."""

    start: np.datetime64
    end: np.datetime64
    west: float
    east: float
    south: float
    north: float


def read_curtain(paths: Sequence[Path], mapping: CurtainMapping, extent: Extent) -> xr.Dataset:
    """Return the part of a field that is needed, as `background_lonlat`.

    Times are taken as instants, or as the middle of the means that they stand for; the first and the last
    mean hold to their own ends. Longitudes are turned to lie around the extent.

    Raises
    ------
    DataError
        Naming file, variable and value: an axis or a unit that is not what was mapped, times or an area
        not covered, missing values, a mole fraction that air cannot have.
    """
    where = f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"
    stamps = []
    for path in paths:
        with _opened(path, mapping) as file:
            stamps.append(_times(file, mapping, extent, path))
    held = _needed_times(np.concatenate(stamps), mapping, extent, where)
    parts = []
    for path, times in zip(paths, stamps, strict=True):
        wanted = np.flatnonzero(np.isin(times, held))
        if wanted.size:
            with _opened(path, mapping) as file:
                part = file.isel(time=wanted) if "time" in file.dims else file
                parts.append(_part(part, times[wanted], mapping, extent, path))
    field = _with_levels(_joined(parts, where), mapping, f"{where}: '{mapping.variable}'")
    return schema.check(_held_to_the_ends(field, mapping, extent), "background_lonlat", where)


@contextmanager
def _opened(path: Path, mapping: CurtainMapping) -> Iterator[xr.Dataset]:
    """Open a file as `mole_fraction` and `levels`, values unread, dims and axes by our names."""
    try:
        ds = xr.open_dataset(path, decode_timedelta=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None
    with ds:
        named = (mapping.variable, *mapping.axes.values())
        if mapping.vertical is not None:
            named = (*named, mapping.vertical.variable)
        absent = [name for name in named if name not in ds.variables]
        if absent:
            have = ", ".join(sorted(map(str, ds.variables)))
            raise DataError(f"{path}: no variable {', '.join(absent)}; the file has: {have}")
        yield _by_our_names(ds, mapping, path)


def _by_our_names(ds: xr.Dataset, mapping: CurtainMapping, path: Path) -> xr.Dataset:
    parts = {"mole_fraction": ds[mapping.variable].variable}
    if mapping.vertical is not None:
        parts["levels"] = ds[mapping.vertical.variable].variable
    dims = {}
    for ours, name in mapping.axes.items():
        if ds[name].ndim != 1 or ds[name].dims[0] not in parts["mole_fraction"].dims:
            raise DataError(
                f"{path}: '{name}' has dims {ds[name].dims}; expected one of those of '{mapping.variable}', "
                f"{parts['mole_fraction'].dims}"
            )
        dims[ds[name].dims[0]] = ours
    dims |= _level_dims(parts, dims, f"{path}: '{mapping.variable}'")
    file = xr.Dataset(parts)
    file = file.squeeze([d for d in file.dims if d not in dims], drop=True).rename(dims)
    return file.assign_coords({ours: (ours, ds[name].values) for ours, name in mapping.axes.items()})


def _level_dims(
    parts: Mapping[str, xr.Variable], axes: Mapping[Hashable, str], where: str
) -> dict[Hashable, str]:
    """Return the dimension of the levels, and that of their boundaries if it is another, by our names."""
    loose = {n: [d for d, size in v.sizes.items() if d not in axes and size > 1] for n, v in parts.items()}
    for name, found in loose.items():
        if len(found) != len(parts) - 1:
            wanted = ", ".join(map(str, axes))
            raise DataError(
                f"{where}: {name.replace('_', ' ')} over {parts[name].dims}; expected no dimensions but "
                f"{wanted}{' and one of levels' if len(parts) > 1 else '; its levels are not mapped'}"
            )
    boundary = dict.fromkeys(loose.get("levels", []), "boundary")
    return boundary | dict.fromkeys(loose["mole_fraction"], "level")


def _times(file: xr.Dataset, mapping: CurtainMapping, extent: Extent, path: Path) -> Times:
    """Return the middle of each mean; of a field without times the start of what is needed."""
    if mapping.time is None:
        return np.array([extent.start], dtype="datetime64[ns]")
    stamps = to_utc(file.time.values, "UTC", None, f"{path}: '{mapping.time}'")
    return stamps + _hours(_PART_OF_MEAN[mapping.label] * mapping.averaging_h)


def _hours(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * 3.6e12), "ns")


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]"))


def _needed_times(times: Times, mapping: CurtainMapping, extent: Extent, where: str) -> Times:
    """Return the times that surround what is needed."""
    times = np.sort(times)
    if np.any(times[1:] == times[:-1]):
        raise DataError(f"{where}: the time {times[1:][times[1:] == times[:-1]][0]} is there twice")
    half = _hours(mapping.averaging_h / 2)
    first, last = times[0] - half, times[-1] + half
    if mapping.time is not None and (extent.start < first or extent.end > last):
        raise DataError(
            f"{where}: '{mapping.variable}' covers {_minute(first)} to {_minute(last)}; expected "
            f"{_minute(extent.start)} to {_minute(extent.end)}, when particles may come in"
        )
    low = max(int(np.searchsorted(times, extent.start, side="right")) - 1, 0)
    return times[low : int(np.searchsorted(times, extent.end)) + 1]


def _part(file: xr.Dataset, times: Times, mapping: CurtainMapping, extent: Extent, path: Path) -> xr.Dataset:
    """Return the needed area of a file's chosen times, in mol mol-1 and our order of dims."""
    where = f"{path}: '{mapping.variable}'"
    bounds = {"lat": (extent.south, extent.north), "lon": (extent.west, extent.east)}
    for name in [n for n in bounds if n in file.coords]:
        axis = file[name].values.astype(np.float64)
        if name == "lon":  # within half a circle of the middle of what is needed
            axis = turned(axis, (extent.west + extent.east) / 2)
        axis, order = np.unique(axis.round(9), return_index=True)
        chosen = _around(axis, *bounds[name], f"{where}: '{name}'")
        file = file.isel({name: order[chosen]}).assign_coords({name: axis[chosen]})
    file = file.load()
    absent = [d for d in DIMS if d not in file.mole_fraction.dims]
    found = file.mole_fraction.expand_dims(absent).assign_coords(
        {d: np.zeros(1) for d in absent if d in bounds} | {"time": times}
    )
    part = xr.Dataset(
        {"mole_fraction": found.copy(data=_mole_fraction(found, mapping, where)).transpose(*DIMS)}
    )
    return part.assign(levels=file.levels.variable) if "levels" in file.variables else part


def _joined(parts: Sequence[xr.Dataset], where: str) -> xr.Dataset:
    """Return the parts as one, in order of time; levels that do not change stay as they are."""
    try:
        values = xr.concat([part.mole_fraction for part in parts], "time", join="exact")
        field = xr.Dataset({"mole_fraction": values})
        if "levels" in parts[0].variables:
            levels = [part.levels for part in parts]
            if "time" in levels[0].dims:
                field["levels"] = xr.concat(levels, "time", join="exact")
            elif all(one.equals(levels[0]) for one in levels):
                field["levels"] = levels[0]
            else:
                raise ValueError("their levels differ")
    except ValueError as fault:
        raise DataError(f"{where}: the files do not have the same axes ({fault})") from None
    return field.sortby("time")


def _with_levels(field: xr.Dataset, mapping: CurtainMapping, where: str) -> xr.Dataset:
    """Return the field with its levels in m and its coordinates described."""
    values, level, above = field.mole_fraction.values, np.zeros(1), "ground"
    if mapping.vertical is not None:
        above = mapping.vertical.above
        try:
            values, level = on_one_axis(
                values, mapping.vertical.metres(at_levels(field.levels, field.mole_fraction))
            )
        except DataError as fault:
            raise DataError(f"{where}: {fault}") from None
    attrs = {"units": "mol mol-1", "long_name": "mole fraction of the air that comes in"}
    return xr.Dataset(
        {"mole_fraction": (DIMS, values, attrs)},
        coords={
            "time": field.time.values,
            "level": ("level", level, {"units": "m", "long_name": f"height above {above}", "above": above}),
            "lat": ("lat", field.lat.values, {"units": "degrees_north"}),
            "lon": ("lon", field.lon.values, {"units": "degrees_east"}),
        },
    )


def turned(lon: Floats, middle: float) -> Floats:
    """Return longitudes turned to within half a circle of one of them, degrees."""
    return (lon - middle + 180.0) % 360.0 - 180.0 + middle


def _around(axis: Floats, low: float, high: float, where: str) -> slice:
    """Return the part of an ascending axis that surrounds a range."""
    if not np.isfinite(axis).all():
        raise DataError(f"{where} has missing values; expected degrees")
    if axis.size > 1 and (axis[-1] < low or axis[0] > high):
        raise DataError(
            f"{where} is {axis[0]:g} to {axis[-1]:g}; expected some of {low:g} to {high:g}, where "
            "particles may come in"
        )
    first = min(max(int(np.searchsorted(axis, low, side="right")) - 1, 0), max(axis.size - 2, 0))
    return slice(first, max(int(np.searchsorted(axis, high)) + 1, first + 2))


def _mole_fraction(found: xr.DataArray, mapping: CurtainMapping, where: str) -> Floats:
    """Return values in mol mol-1."""
    unit = mapping.unit or str(found.attrs.get("units", ""))
    try:
        factor = mole_fraction_factor(unit)
    except DataError as fault:
        raise DataError(f"{where}: {fault}") from None
    values = found.values.astype(np.float64)
    missing = ~(np.abs(values) < FILL_LIMIT)
    if missing.any():
        raise DataError(f"{where}: {missing.sum()} of {values.size} needed values are missing; expected none")
    low, high = plausible(mapping.species)
    wrong = (values * factor < low) | (values * factor > high)
    if wrong.any():
        raise DataError(
            f"{where}: {wrong.sum()} of {values.size} needed values are not within {low / factor:g} to "
            f"{high / factor:g} {unit}, what air can have of {mapping.species}; the first is "
            f"{values[wrong][0]:g}: is it another unit?"
        )
    return values * factor


def _held_to_the_ends(field: xr.Dataset, mapping: CurtainMapping, extent: Extent) -> xr.Dataset:
    """Return the field with its first and last mean repeated to the ends of what is needed."""
    times = field.time.values
    parts = [field]
    if mapping.time is not None and extent.start < times[0]:
        parts = [field.isel(time=[0]).assign_coords(time=[extent.start]), *parts]
    if mapping.time is not None and extent.end > times[-1]:
        parts = [*parts, field.isel(time=[-1]).assign_coords(time=[extent.end])]
    return xr.concat(parts, "time", join="exact")
