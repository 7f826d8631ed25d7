"""ARL packed files (HYSPLIT's format), read with the optional package arlmet (extra `arl`)."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError, DataError
from transport.meteorology.cfmet import CFMet

_UNITS: Mapping[str, str] = MappingProxyType({
    "UWND": "m s-1", "VWND": "m s-1", "TEMP": "K", "SPHU": "kg kg-1", "WWND": "hPa s-1", "DZDT": "m s-1",
    "PRSS": "hPa", "SHGT": "m", "U10M": "m s-1", "V10M": "m s-1", "T02M": "K", "DP2M": "K",
    "PBLH": "m", "HPBL": "m", "USTR": "m s-1", "UMOF": "N m-2", "VMOF": "N m-2",
    "SHTF": "W m-2", "LHTF": "W m-2", "RGHS": "m",
})  # fmt: skip
"""Units of the format, which the files do not state (HYSPLIT user's guide, meteorological data format)."""


def arl(
    roughness: float | None = None,
    fluxes: Literal["up", "down"] = "up",
    area: tuple[float, float, float, float] | None = None,
) -> CFMet:
    """Return the mapping of ARL packed files on pressure, sigma, hybrid, terrain or WRF levels.

    Needs UWND, VWND, TEMP, SPHU or RELH, PRSS, SHGT and RGHS or a roughness; U10M, V10M, T02M, PBLH or HPBL,
    USTR or UMOF and VMOF, SHTF, LHTF are used if there. Winds are along the grid. Heights are from the
    hypsometric equation above PRSS. Parameters as of `CFMet`.
    """
    return CFMet(
        variables={
            "u": ("UWND",), "v": ("VWND",), "t": ("TEMP",), "q": ("SPHU",), "p": ("pressure_field",),
            "omega": ("WWND",), "w": ("DZDT",), "surface_pressure": ("PRSS",), "terrain": ("SHGT",),
            "u10": ("U10M",), "v10": ("V10M",), "t2": ("T02M",), "dewpoint_2m": ("DP2M",),
            "mixing_height": ("PBLH", "HPBL"), "ustar": ("USTR",),
            "stress_x": ("UMOF",), "stress_y": ("VMOF",),
            "sensible_heat_flux": ("SHTF",), "latent_heat_flux": ("LHTF",), "z0": ("RGHS",),
        },
        format="arl", pressure="field", wind="grid", fluxes=fluxes, roughness=roughness, area=area,
    )  # fmt: skip


def open_arl(path: Path) -> xr.Dataset:
    """Open an ARL file with the units of the format and a CF grid mapping.

    Raises
    ------
    ConfigError
        If arlmet is not installed.
    DataError
        If the file cannot be read.
    """
    try:
        state = path.stat()
        return _opened(path, (state.st_mtime_ns, state.st_size)).copy()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as an ARL file ({fault})") from None


@lru_cache(maxsize=2)
def _opened(path: Path, _version: tuple[int, int]) -> xr.Dataset:
    """Return an open file; the next time of the same, unchanged file does not read its index again."""
    ds: xr.Dataset = _arlmet().open_dataset(path)
    if "TEMP" not in ds or "level" not in ds.TEMP.dims:
        raise DataError(f"{path}: no variable TEMP on levels; expected an ARL met file")
    for name, units in _UNITS.items():
        if name in ds:
            ds[name].attrs["units"] = units
    grid = ds.arl.grid
    if not grid.is_latlon:
        ds["spatial_ref"] = ((), 0, grid.crs.to_cf())
        ds["TEMP"].attrs["grid_mapping"] = "spatial_ref"
    return ds


def derived(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Return one time of an ARL file with pressure on all levels and specific humidity."""
    try:
        pressure = _arlmet().pressure(ds)
    except (ValueError, NotImplementedError) as fault:
        raise DataError(f"{path}: no pressure of its levels ({fault})") from None
    dims = ds.TEMP.dims
    # PRES is not read here: all of it may not be needed
    whole = pressure if set(pressure.dims) == set(dims) else pressure.broadcast_like(ds.TEMP)
    whole = whole.transpose(*dims)
    ds["pressure_field"] = whole.variable
    ds["pressure_field"].attrs["units"] = "hPa"
    if "SPHU" not in ds and "RELH" in ds:
        ds["SPHU"] = (dims, _specific(ds, whole), {"units": "kg kg-1"})
    return ds


def _specific(ds: xr.Dataset, pressure: xr.DataArray) -> np.ndarray:
    """Return the specific humidity of relative humidity, %, over water (Bolton 1980, eq. 10)."""
    celsius = ds.TEMP.values.astype(np.float64) - 273.15
    vapour = ds.RELH.values / 100.0 * 6.112 * np.exp(17.67 * celsius / (celsius + 243.5))
    return np.asarray(0.622 * vapour / (pressure.values - 0.378 * vapour))


def _arlmet() -> Any:
    try:
        import arlmet
    except ImportError:
        raise ConfigError("met: ARL files need the package arlmet; install metroflux[arl]") from None
    return arlmet
