"""Footprints in the layouts of PARIS (NAME, FLEXPART; point, column) and OpenGHG (integrated, time-resolved).

Both label an averaging period at its start and give m2 s mol-1. An integrated file does not say how far back
it reaches: that is asked for. H_back counts hours before the end of the period's first hour (OpenGHG reads
the flux of the hour labelled time - H_back); its last slice is all that is older (analyse/_fp_x_flux.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux.errors import DataError
from transport.interchange.lonlat import (
    Axes,
    Floats,
    Known,
    Releases,
    Times,
    footprints_lonlat,
    full_hour_offset,
    unit_factor,
)

_NAMES = {"lat": "latitude", "lon": "longitude", "fp": "srr"}
_SIDES = ("w", "e", "s", "n")


@dataclass(frozen=True)
class ParisFile:
    """An open file with PARIS names."""

    ds: xr.Dataset
    path: Path

    def where(self, name: str) -> str:
        """Return the file and a variable's name for an error."""
        return f"{self.path}: '{name}'"


def read_paris(path: Path, hours: float) -> xr.Dataset:
    """Return the time-integrated footprints of a PARIS or OpenGHG file as `footprints_lonlat`, one lag.

    Parameters
    ----------
    hours : how far back particles were followed; the file does not say (NAME and FLEXPART: often 720)

    Raises
    ------
    DataError
        Naming file and field: unknown units, an absent variable, a time label that is not the start.
    """
    file = open_file(path)
    if not hours > 0:
        raise DataError(f"{path}: hours = {hours}; expected how far back particles were followed, > 0")
    releases = releases_of(file)
    foot = _array(file, "srr")[:, None]
    keep = _kept(foot)
    offset = full_hour_offset(releases.time, str(path))
    axes = Axes(file.ds.longitude.values, file.ds.latitude.values, np.array([[offset, hours + offset]]))
    return _finish(file, foot, axes, releases, keep)


def read_time_resolved(path: Path, hours: float) -> xr.Dataset:
    """Return the time-resolved footprints (`fp_HiTRes`) of an OpenGHG file as `footprints_lonlat`.

    Slices of H_back are as wide as the step between them. The last one is the remainder, back to `hours`;
    it may be slightly negative where it was made as a difference. Times without a time-resolved footprint are
    left out and named in the attribute `left_out`.

    Raises
    ------
    DataError
        As `read_paris`; if there is no fp_HiTRes; if `hours` is not beyond the resolved ones.
    """
    file = open_file(path)
    if "fp_HiTRes" not in file.ds.variables:
        raise DataError(f"{path}: no variable fp_HiTRes; expected a time-resolved OpenGHG file")
    back = file.ds.H_back.values.astype(np.float64)
    if back.size < 2 or back[0] != 0 or not (np.diff(back) == back[1]).all() or not back[1] > 0:
        raise DataError(f"{file.where('H_back')} is {back.tolist()}; expected 0 and an even step")
    if not hours > back[-1]:
        raise DataError(f"{path}: hours = {hours:g}; expected beyond the resolved {back[-1]:g} h")
    releases = releases_of(file)
    keep = _kept(foot := _array(file, "fp_HiTRes"))
    offset = full_hour_offset(releases.time, str(path))
    edges = np.append(back, hours) + offset
    axes = Axes(file.ds.longitude.values, file.ds.latitude.values, np.stack([edges[:-1], edges[1:]], axis=1))
    return _finish(file, foot, axes, releases, keep)


def open_file(path: Path) -> ParisFile:
    """Return a file, loaded; raises DataError if it is none of footprints."""
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            ds = ds.load()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    ds = ds.rename({old: new for old, new in _NAMES.items() if old in ds.variables})
    needed = ("srr", "time", "latitude", "longitude", "release_lat", "release_lon")
    absent = [name for name in needed if name not in ds.variables]
    if absent:
        raise DataError(
            f"{path}: no variable {', '.join(absent)}; expected a PARIS or OpenGHG footprint file"
        )
    return ParisFile(ds, path)


def _array(file: ParisFile, name: str) -> npt.NDArray[np.float32]:
    """Return a footprint variable in m2 s mol-1, dims (time, [H_back,] latitude, longitude)."""
    found = file.ds[name]
    # OpenGHG gives fp_HiTRes no units of its own: they are those of fp
    factor = unit_factor(found.attrs.get("units", file.ds.srr.attrs.get("units")), file.where(name))
    dims = [d for d in ("time", "H_back", "latitude", "longitude") if d in found.dims]
    return (found.transpose(*dims).values * factor).astype(np.float32)


def releases_of(file: ParisFile) -> Releases:
    """Return when and where the air was sampled; raises DataError if times are not labelled at the start."""
    time = file.ds.time
    if str(time.attrs.get("label", "")).strip() != "left":
        raise DataError(
            f"{file.where('time')} has label {time.attrs.get('label')!r}; expected 'left', the period's start"
        )
    words = str(time.attrs.get("period", "")).split()
    if len(words) != 2 or words[1] not in ("hour", "hours"):
        raise DataError(f"{file.where('time')} has period {time.attrs.get('period')!r}; expected 'n hours'")
    seconds = 3600.0 * float(words[0])
    start: Times = time.values.astype("datetime64[ns]")
    count = start.size
    height = np.full(count, np.nan)
    if "release_height" in file.ds.variables:
        height = file.ds.release_height.values.astype(np.float64)
    return Releases(
        time=start + np.timedelta64(round(seconds * 1e9), "ns"),
        duration=np.full(count, seconds),
        latitude=file.ds.release_lat.values.astype(np.float64),
        longitude=file.ds.release_lon.values.astype(np.float64),
        height=height,
        name=str(file.ds.attrs.get("site", file.path.name.split("_")[0])),
    )


def _kept(foot: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(foot).all(axis=(1, 2, 3)))


def _finish(
    file: ParisFile,
    foot: npt.NDArray[np.float32],
    axes: Axes,
    releases: Releases,
    keep: npt.NDArray[np.bool_],
) -> xr.Dataset:
    """Return the dataset of the times that are complete; the others are named."""
    if not keep.any():
        raise DataError(f"{file.path}: no time with a footprint; all have missing values")
    attrs = {n: file.ds.attrs[n] for n in ("model", "met_model", "domain") if n in file.ds.attrs}
    attrs["left_out"] = ", ".join(np.datetime_as_string(t, unit="m") for t in releases.time[~keep])
    chosen = Releases(
        releases.time[keep], releases.duration[keep], releases.latitude[keep],
        releases.longitude[keep], releases.height[keep], releases.name,
    )  # fmt: skip
    known = Known(_outside(file)[keep], attrs)
    return footprints_lonlat(foot[keep], axes, chosen, known, str(file.path))


def _outside(file: ParisFile) -> Floats:
    """Return the share of particles that left by each side; by the top the files do not say."""
    shares = []
    for side in _SIDES:
        name = f"particle_locations_{side}"
        if name not in file.ds.variables:
            shares.append(np.full(file.ds.sizes["time"], np.nan))
            continue
        found = file.ds[name]
        rest = [d for d in found.dims if d != "time"]
        shares.append(found.sum(rest, dtype=np.float64).transpose("time").values)
    return np.stack([*shares, np.full(file.ds.sizes["time"], np.nan)], axis=1)
