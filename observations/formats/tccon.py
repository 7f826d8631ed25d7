"""TCCON public netCDF files, GGG2020 (Laughner et al. 2024, doi:10.5194/essd-16-2197-2024).

CO2 is there twice: `xco2` on X2007, and `xco2_x2019`, computed with a variable O2 mole fraction.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations.formats import netcdf
from observations.formats.kernels import attach_kernel, profile
from observations.formats.series import NOTHING, Series, Supplement, choose_gas, choose_scale, finish

_GASES = ("co2", "ch4", "co", "n2o")
_NEEDED = ("time", "lat", "long", "ak_pressure", "prior_h2o", "integration_operator")


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file that have a kernel."""
    ds = netcdf.load(path, _NEEDED, "a TCCON file")
    return tuple(gas for gas in _GASES if f"x{gas}" in ds.variables and f"ak_x{gas}" in ds.variables)


def read_tccon(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the soundings of one gas with kernel and pressure weight.

    Where the file has several scales the newest is read, unless another is given. The weight is the file's
    integration operator, which acts on wet mole fractions, times 1 minus the prior's water: then it acts on
    dry ones. The file holds no rejected data. The random part "retrieval" is the file's error.

    Raises
    ------
    DataError
        If the file does not keep the format, or has no such scale.
    """
    ds = netcdf.load(path, _NEEDED, "a TCCON file")
    species = choose_gas(path, gases(path), given)
    suffix, scale = _version(path, ds, species, given)
    name, error = f"x{species}{suffix}", f"x{species}_error{suffix}"
    operator = f"integration_operator{suffix}"
    netcdf.require(path, ds, (name, error, operator, f"ak_x{species}"), "a TCCON file")
    stamps = netcdf.times(path, ds, "time")
    n = stamps.size
    series = Series(
        species=species,
        unit=netcdf.unit(path, ds, name),
        scale=np.full(n, scale),
        start=stamps,
        end=stamps,
        site=np.full(n, netcdf.attribute(ds, "long_name") or "TCCON"),
        inlet=np.full(n, np.nan),
        latitude=netcdf.numbers(path, ds, "lat"),
        longitude=netcdf.numbers(path, ds, "long"),
        values=netcdf.numbers(path, ds, name),
        rejected=np.zeros(n, dtype=bool),
        n_samples=np.ones(n, dtype=np.int64),
        sd=netcdf.numbers(path, ds, error),
        sd_name="retrieval",
        kind="sounding",
    )
    found = finish(path, series, given)
    kernel = profile(path, ds, f"ak_x{species}")
    water, wet = profile(path, ds, "prior_h2o"), profile(path, ds, operator)
    if water.shape != wet.shape:
        raise DataError(f"{path}: '{operator}' has shape {wet.shape}, 'prior_h2o' {water.shape}")
    pressure = np.broadcast_to(netcdf.numbers(path, ds, "ak_pressure"), kernel.shape)
    return attach_kernel(path, found, kernel, wet * (1.0 - water), pressure)


def _version(path: Path, ds: xr.Dataset, species: str, given: Supplement) -> tuple[str, str]:
    """Return suffix of the variables and scale, of those that the file has."""
    scales = {}
    for suffix in ("_x2019", ""):
        if f"x{species}{suffix}" in ds.variables:
            said = str(ds[f"x{species}{suffix}"].attrs.get("wmo_or_analogous_scale", "unknown"))
            scales["unknown" if said == "Not used" else said] = suffix
    return choose_scale(path, species, scales, given)
