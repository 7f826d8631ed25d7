"""STILT's netCDF footprints: foot(time, lat, lon) in ppm (umol-1 m2 s), which is m2 s mol-1.

Two kinds of file: hourly, one receptor, `time` = start of the hour in which the flux acts (STILT-R
r/src/write_footprint.r; PYSTILT footprint/io.py), and time-integrated, `time` = the receptor's, one or more
receptors (ICOS stiltweb, attribute `backtime`).
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from transport.interchange.lonlat import (
    Axes,
    Known,
    Releases,
    footprints_lonlat,
    full_hour,
    full_hour_offset,
    lag_bounds_of,
    unit_factor,
)

_NAME = re.compile(r"(\d{8})(\d{4})_(-?[\d.]+)_(-?[\d.]+)_(-?[\d.]+)(?:_\w+)?_foot\.nc$")
"""STILT's file name: time, longitude, latitude, height of the receptor."""

_UNITS = "ppm (umol-1 m2 s)"
_HOUR = 3_600_000_000_000  # ns
_MINE = "receptor_"


def read_stilt(
    path: Path, receptor: Mapping[str, Any] | None = None, hours: float | None = None
) -> xr.Dataset:
    """Return the footprints of a STILT file as `footprints_lonlat`.

    Parameters
    ----------
    receptor : time (ISO 8601, UTC), latitude, longitude, height where neither attributes nor file name say;
        of an hourly file the time is needed, all else may be unknown
    hours : how far back a time-integrated file without `backtime` reaches

    Raises
    ------
    DataError
        Naming file and field: unknown layout or units, hours that are not whole hours before the receptor.
    """
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            ds = ds.load()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    absent = [name for name in ("foot", "time", "lat", "lon") if name not in ds.variables]
    if absent:
        hint = " (a projected STILT grid is not read)" if "x" in ds.dims else ""
        raise DataError(
            f"{path}: no variable {', '.join(absent)}; expected STILT's foot(time, lat, lon){hint}"
        )
    place = _receptor(ds, path, receptor)
    ds = ds.assign_coords(time=ds.time.astype("datetime64[ns]"))
    factor = unit_factor(ds.foot.attrs.get("units"), f"{path}: 'foot'")
    foot = ds.foot.transpose("time", "lat", "lon").values * factor
    if place is None or "backtime" in ds.attrs or _is_integrated(ds, place):
        return _integrated(ds, foot, path, place, _hours_back(ds, path, hours))
    return _hourly(ds, foot, path, place)


def _is_integrated(ds: xr.Dataset, place: Mapping[str, Any]) -> bool:
    return ds.sizes["time"] == 1 and ds.time.values[0] == place["time"]


def _receptor(ds: xr.Dataset, path: Path, given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return time, latitude, longitude and height of the receptor: as given, as attributes, as file name."""
    if given is not None:
        found = dict(given)
    elif f"{_MINE}time" in ds.attrs:
        found = {name: ds.attrs.get(_MINE + name) for name in ("time", "latitude", "longitude", "height")}
    elif "stilt_receptor" in ds.foot.attrs:
        found = _pystilt(str(ds.foot.attrs["stilt_receptor"]), path)
    elif match := _NAME.search(path.name):
        day, minute, lon, lat, height = match.groups()
        time = f"{day[:4]}-{day[4:6]}-{day[6:]}T{minute[:2]}:{minute[2:]}"
        found = {"time": time, "latitude": lat, "longitude": lon, "height": height}
    else:
        return None
    numbers = {n: float(found.get(n, np.nan)) for n in ("latitude", "longitude", "height")}
    return numbers | {"time": np.datetime64(str(found["time"]), "ns")}


def _pystilt(text: str, path: Path) -> dict[str, Any]:
    """Return the receptor of PYSTILT's attribute; of a column or a set of points only the time."""
    try:
        stated = json.loads(text)
        found = {"time": stated["time"]}
    except (ValueError, KeyError, TypeError) as fault:
        raise DataError(f"{path}: attribute 'stilt_receptor' of 'foot' cannot be read ({fault})") from None
    if stated.get("kind") == "point":
        found |= {name: stated[name] for name in ("latitude", "longitude")}
        if stated.get("altitude_ref") == "agl":
            found["height"] = stated["altitude"]
    return found


def _hours_back(ds: xr.Dataset, path: Path, hours: float | None) -> float:
    words = str(ds.attrs.get("backtime", "")).split()
    if len(words) == 2 and words[1] == "hours":
        return float(words[0])
    if hours is None:
        raise DataError(
            f"{path}: neither an hourly file of a known receptor nor an attribute 'backtime'; "
            "expected `receptor` (of an hourly file) or `hours` (of a time-integrated one)"
        )
    return hours


def _integrated(
    ds: xr.Dataset, foot: npt.NDArray[Any], path: Path, place: Mapping[str, Any] | None, hours: float
) -> xr.Dataset:
    count = ds.sizes["time"]
    places = {
        n: np.full(count, np.nan if place is None else place[n]) for n in ("latitude", "longitude", "height")
    }
    releases = Releases(ds.time.values, np.zeros(count), name=_title(path), **places)
    offset = full_hour_offset(releases.time, str(path))
    axes = Axes(ds.lon.values, ds.lat.values, np.array([[offset, hours + offset]]))
    return footprints_lonlat(foot[:, None], axes, releases, Known(), str(path))


def _hourly(ds: xr.Dataset, foot: npt.NDArray[Any], path: Path, place: Mapping[str, Any]) -> xr.Dataset:
    """Return one receptor; hours without particles, which STILT leaves out, become zero."""
    time = np.array([place["time"]])
    # hours of the receptor's own (STILT) or of the clock (ours): whole hours apart, counted in ns
    start = (full_hour(time) - ds.time.values).astype(np.int64)
    lag, rest = start // _HOUR - 1, start % _HOUR
    if np.ptp(rest) > 0 or lag.min() < 0 or np.unique(lag).size < lag.size:
        raise DataError(
            f"{path}: 'time' is {ds.time.values[0]} to {ds.time.values[-1]}; expected starts of hours before "
            f"the receptor's time {place['time']}"
        )
    full = np.zeros((1, int(lag.max()) + 1, *foot.shape[1:]), dtype=foot.dtype)
    full[0, lag] = foot
    newer = np.arange(full.shape[1]) + float(rest[0]) / _HOUR
    axes = Axes(ds.lon.values, ds.lat.values, np.stack([newer, newer + 1], axis=1))
    at = {n: np.array([place[n]]) for n in ("latitude", "longitude", "height")}
    releases = Releases(
        time, np.array([float(ds.attrs.get(f"{_MINE}duration", 0.0))]), name=_title(path), **at
    )
    return footprints_lonlat(full, axes, releases, Known(), str(path))


def _title(path: Path) -> str:
    return path.stem.removesuffix("_foot")


def write_stilt(footprints: xr.Dataset, folder: Path) -> list[Path]:
    """Write each footprint as a STILT file; return the files, named <datum_id>_foot.nc.

    Hours are those of the clock, `time` their start, ascending as in STILT. Release point, averaging time
    and what went beside the grid are attributes (`receptor_...`), with which `read_stilt` reads them back.

    Parameters
    ----------
    footprints : dataset `footprints_lonlat`, hourly

    Raises
    ------
    DataError
        If a lag is not one hour: the layout has no place for it; or a file exists already.
    """
    schema.check(footprints, "footprints_lonlat")
    bounds = lag_bounds_of(footprints)
    if not np.allclose(np.diff(bounds, axis=1), 1.0):
        raise DataError("stilt: lags are not hourly; expected lag_bounds one hour apart")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{_file_safe(str(d))}_foot.nc" for d in footprints.datum_id.values]
    there = [str(path) for path in files if path.exists()]
    if there or len(set(files)) < len(files):
        raise DataError(f"stilt: {', '.join(there) or 'names of files repeat'}; expected new files")
    for n, path in enumerate(files):
        one = _stilt_dataset(footprints.isel(receptor=n), bounds)
        part = path.with_suffix(".part")
        one.to_netcdf(part, encoding={"foot": {"zlib": True, "complevel": 1, "_FillValue": np.float32(-1)}})
        part.replace(path)
    return files


def _file_safe(name: str) -> str:
    return re.sub(r"[^\w.+-]", "_", name)


def _stilt_dataset(one: xr.Dataset, bounds: npt.NDArray[np.float64]) -> xr.Dataset:
    time = one.time.values
    starts = full_hour(np.array([time])) - np.round(bounds[:, 1] * _HOUR).astype("timedelta64[ns]")
    order = np.argsort(starts)
    foot = {"units": _UNITS, "standard_name": "footprint", "long_name": "stilt surface influence footprint"}
    east = {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude at cell center"}
    north = {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude at cell center"}
    ds = xr.Dataset(
        {"foot": (("time", "lat", "lon"), one.foot.values[order], foot)},
        coords={
            "time": ("time", starts[order], {"standard_name": "time", "long_name": "start of the hour, utc"}),
            "lat": ("lat", one.lat.values, north),
            "lon": ("lon", one.lon.values, east),
        },
        attrs={
            "crs": "+proj=longlat",
            "crs_format": "PROJ.4",
            "title": "STILT Footprint",
            "source": "metroflux",
            f"{_MINE}time": np.datetime_as_string(time, unit="ns"),
            f"{_MINE}latitude": float(one.release_latitude),
            f"{_MINE}longitude": float(one.release_longitude),
            f"{_MINE}height": float(one.release_height),
            f"{_MINE}duration": float(one.duration),
            "datum_id": str(one.datum_id.values),
        },
    )
    ds.time.encoding = {
        "units": "seconds since 1970-01-01 00:00:00",
        "calendar": "standard",
        "dtype": "int64",
    }
    return ds
