"""Satellite soundings in netCDF with kernels: OCO-2/3 lite, GOSAT of the ESA Climate Change Initiative.

OCO lists levels from space down (Data User's Guide B11), GOSAT from the surface up (Parker et al. 2020,
doi:10.5194/essd-12-3383-2020): the pressures of the file tell.
"""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations.formats import netcdf
from observations.formats.kernels import attach_kernel, profile
from observations.formats.series import (
    NOT_STATED,
    NOTHING,
    Bools,
    Series,
    Supplement,
    choose_gas,
    choose_scale,
    finish,
)

_GASES = ("co2", "ch4")


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file that have a kernel."""
    ds = netcdf.load(path, ("time",), "a satellite file")
    return tuple(
        gas for gas in _GASES if {f"x{gas}", f"x{gas}_averaging_kernel"} <= set(map(str, ds.variables))
    )


def read_satellite(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the soundings of one gas with kernel and pressure weight.

    Soundings whose quality flag is not 0 are rejected; a file without one holds good soundings only. Where a
    file has CO2 on X2007 and X2019 the newest is read, unless another is given. The random part "retrieval"
    is the file's uncertainty, which is noise only.

    Raises
    ------
    DataError
        If the file does not keep the format, or has no such scale.
    """
    ds = netcdf.load(path, ("time",), "a satellite file")
    species = choose_gas(path, gases(path), given)
    name, scale = _version(path, ds, species, given)
    weight = _either(path, ds, "pressure_weight", "pressure_weights")
    needed = (f"x{species}_uncertainty", "pressure_levels")
    netcdf.require(path, ds, needed, "a satellite file")
    stamps = netcdf.times(path, ds, "time")
    n = stamps.size
    series = Series(
        species=species,
        unit=netcdf.unit(path, ds, name),
        scale=np.full(n, scale),
        start=stamps,
        end=stamps,
        site=np.full(n, _platform(ds)),
        inlet=np.full(n, np.nan),
        latitude=netcdf.numbers(path, ds, _either(path, ds, "latitude", "lat")),
        longitude=netcdf.numbers(path, ds, _either(path, ds, "longitude", "lon")),
        values=netcdf.numbers(path, ds, name),
        rejected=_rejected(path, ds, species, n),
        n_samples=np.ones(n, dtype=np.int64),
        sd=netcdf.numbers(path, ds, f"x{species}_uncertainty"),
        sd_name="retrieval",
        kind="sounding",
    )
    found = finish(path, series, given)
    kernel = profile(path, ds, f"x{species}_averaging_kernel")
    return attach_kernel(path, found, kernel, profile(path, ds, weight), profile(path, ds, "pressure_levels"))


def _version(path: Path, ds: xr.Dataset, species: str, given: Supplement) -> tuple[str, str]:
    """Return variable and scale: OCO files name the scale in words, GOSAT files have none."""
    scales = {}
    for name in (f"x{species}_x2019", f"x{species}"):
        if name in ds.variables:
            words = f"{name} {ds[name].attrs.get('long_name', '')}"
            match = re.search(r"x(2007|2019)\b", words, re.IGNORECASE)
            scales[f"WMO {species.upper()} X{match[1]}" if match else NOT_STATED] = name
    return choose_scale(path, species, scales, given)


def _either(path: Path, ds: xr.Dataset, *names: str) -> str:
    found = [name for name in names if name in ds.variables]
    if not found:
        raise DataError(f"{path}: no variable {' or '.join(names)}; expected a satellite file")
    return found[0]


def _platform(ds: xr.Dataset) -> str:
    said = netcdf.attribute(ds, "Platform") or netcdf.attribute(ds, "platform")
    source = re.search(
        r"GOSAT-?2?|OCO-?[23]", f"{said} {ds.attrs.get('source', '')} {ds.attrs.get('title', '')}"
    )
    return source[0] if source else said or "satellite"


def _rejected(path: Path, ds: xr.Dataset, species: str, n: int) -> Bools:
    name = f"x{species}_quality_flag"
    if name not in ds.variables:
        return np.zeros(n, dtype=bool)
    return netcdf.numbers(path, ds, name) != 0
