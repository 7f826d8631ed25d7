"""Calibrated observations as files, and back."""

from pathlib import Path

import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.time import time_encoding


def write_observations(ds: xr.Dataset, path: Path) -> None:
    """Write observations as netCDF, exact to the bit."""
    plain = ds.drop_encoding()
    plain.to_netcdf(path, engine="netcdf4", encoding=time_encoding(plain))


def read_observations(path: Path) -> xr.Dataset:
    """Return observations that metroflux wrote.

    Raises
    ------
    DataError
        If the file cannot be read or does not keep the schema of observations.
    """
    try:
        with xr.open_dataset(path, engine="netcdf4") as ds:
            loaded = ds.load()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault})") from None
    return schema.check(loaded, "observations", str(path))
