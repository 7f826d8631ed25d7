"""netCDF files opened whole and checked, with typed errors for what a damaged file can do."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from metroflux.units import MOLE_FRACTION
from observations.clock import to_utc
from observations.dataset import Floats, Texts


def load(path: Path, needed: tuple[str, ...], what: str) -> xr.Dataset:
    """Return a file with its fill values masked and its times decoded.

    Raises
    ------
    DataError
        If it cannot be read or lacks a variable; `what` names the format.
    """
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            loaded = ds.load()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, OverflowError) as fault:
        raise DataError(f"{path}: cannot be read as netCDF ({fault}); expected {what}") from None
    require(path, loaded, needed, what)
    return loaded


def require(path: Path, ds: xr.Dataset, needed: tuple[str, ...], what: str) -> None:
    """Stop if any variable is absent."""
    absent = [name for name in needed if name not in ds.variables]
    if absent:
        raise DataError(f"{path}: no variable {', '.join(absent)}; expected {what}")


def numbers(path: Path, ds: xr.Dataset, name: str) -> Floats:
    """Return a variable over the first dimension as numbers, NaN where missing."""
    variable = ds[name]
    if variable.ndim != 1 or variable.dtype.kind not in "fiu":
        raise DataError(f"{path}: '{name}' has dims {variable.dims}, type {variable.dtype}; expected numbers")
    return variable.values.astype(np.float64)


def texts(path: Path, ds: xr.Dataset, name: str) -> Texts:
    """Return a variable of text over the first dimension."""
    variable = ds[name]
    if variable.ndim != 1 or variable.dtype.kind not in "SOUT":
        raise DataError(f"{path}: '{name}' has dims {variable.dims}, type {variable.dtype}; expected text")
    plain = (v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in variable.values)
    return np.array([text.strip() for text in plain])


def times(path: Path, ds: xr.Dataset, name: str) -> Times:
    """Return a variable of CF times, UTC."""
    if ds[name].ndim != 1:
        raise DataError(f"{path}: '{name}' has dims {ds[name].dims}; expected one")
    return to_utc(ds[name].values, "UTC", None, f"{path}: '{name}'")


def unit(path: Path, ds: xr.Dataset, name: str) -> str:
    """Return the unit of a mole fraction.

    Raises
    ------
    DataError
        If the variable states none, or one that is not a mole fraction.
    """
    said = str(ds[name].attrs.get("units", "")).strip()
    if said not in MOLE_FRACTION:
        raise DataError(f"{path}: '{name}' has the unit '{said}'; expected a mole fraction")
    return said


def attribute(ds: xr.Dataset, name: str) -> str:
    """Return a global attribute as text, empty if there is none."""
    return str(ds.attrs.get(name, "")).strip()


def attribute_number(path: Path, ds: xr.Dataset, name: str) -> float:
    """Return a global attribute as a number, NaN if there is none."""
    text = attribute(ds, name)
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise DataError(f"{path}: attribute '{name}' is '{text}'; expected a number") from None
