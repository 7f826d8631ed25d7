"""ICOS data as netCDF in the layout of OpenGHG: one gas, its variability, number of points and ICOS flag."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.units import MOLE_FRACTION
from observations.clock import interval
from observations.dataset import Texts
from observations.formats import netcdf
from observations.formats.icos import GOOD_FLAGS
from observations.formats.series import NOTHING, Series, Supplement, finish, steady_interval
from observations.formats.words import header_number, label_of, plain_unit
from observations.head import Head

_ATTRIBUTES = ("species", "site", "inlet", "station_latitude", "station_longitude", "calibration_scale")
_UNSAID = ("", "unknown", "NOT_SET", "NA")


def is_icos_netcdf(head: Head) -> bool:
    """Tell whether a netCDF with these variables is such a file."""
    gases = {name.removesuffix("_variability") for name in head.names if name.endswith("_variability")}
    return "flag" in head.names and any({gas, f"{gas}_number_of_observations"} <= head.names for gas in gases)


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (netcdf.attribute(netcdf.load(path, ("time",), "ICOS netCDF"), "species").lower(),)


def read_icos_netcdf(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an ICOS netCDF file, every row with its flag.

    Flags U, O and R are good, N, K and H are not. The unit is that of the variable or, where that is
    "unknown", the global attribute. The interval is given, or the file's sampling_period or, where that is
    not set, the commonest step of the rows. Rows of unknown scale are flagged unless one is given or
    accepted. The random part "variability" is the spread within the interval.

    Raises
    ------
    DataError
        If the file does not keep the format, is of another network, or says two units.
    """
    ds = netcdf.load(path, ("time", "flag"), "ICOS netCDF")
    _check(path, ds)
    species = netcdf.attribute(ds, "species").lower()
    spread, counted = f"{species}_variability", f"{species}_number_of_observations"
    netcdf.require(path, ds, (species, spread, counted), "ICOS netCDF")
    stamps = netcdf.times(path, ds, "time")
    label = label_of(str(ds["time"].attrs.get("comment", "")))
    if label is None:
        raise DataError(f"{path}: 'time' does not say which part of the sampling period it stamps")
    seconds = given.averaging_s or _period(path, ds)
    start, end = interval(stamps, label, seconds) if seconds else steady_interval(path, stamps, label, given)
    counts = netcdf.numbers(path, ds, counted)
    n = stamps.size
    series = Series(
        species=species,
        unit=_unit(path, ds, (species, spread)),
        scale=_filled(n, netcdf.attribute(ds, "calibration_scale")),
        start=start,
        end=end,
        site=np.full(n, netcdf.attribute(ds, "site").upper()),
        inlet=np.full(n, header_number(path, "inlet", netcdf.attribute(ds, "inlet"))),
        latitude=np.full(n, netcdf.attribute_number(path, ds, "station_latitude")),
        longitude=np.full(n, netcdf.attribute_number(path, ds, "station_longitude")),
        values=netcdf.numbers(path, ds, species),
        rejected=~np.isin(netcdf.texts(path, ds, "flag"), GOOD_FLAGS),
        n_samples=np.where(counts > 0, counts, 0).astype(np.int64),
        sd=netcdf.numbers(path, ds, spread),
    )
    return finish(path, series, given)


def _check(path: Path, ds: xr.Dataset) -> None:
    faults = [f"no attribute '{name}'" for name in _ATTRIBUTES if not netcdf.attribute(ds, name)]
    network = netcdf.attribute(ds, "network")
    if network != "ICOS":
        faults.append(f"attribute 'network' is '{network}', expected ICOS, whose flags are known")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))


def _unit(path: Path, ds: xr.Dataset, names: tuple[str, ...]) -> str:
    """Return the one unit that the variables and the file say."""
    said = [str(ds[name].attrs.get("units", "")).strip() for name in names]
    units = [plain_unit(unit) for unit in (*said, netcdf.attribute(ds, "units")) if unit not in _UNSAID]
    if len({MOLE_FRACTION.get(unit) for unit in units}) != 1:
        listed = ", ".join(f"'{unit}'" for unit in units) or "none"
        raise DataError(f"{path}: units of {', '.join(names)} and the file: {listed}; expected one")
    return units[0]


def _period(path: Path, ds: xr.Dataset) -> float | None:
    said, unit = netcdf.attribute(ds, "sampling_period"), netcdf.attribute(ds, "sampling_period_unit")
    if said in _UNSAID:
        return None
    seconds = netcdf.attribute_number(path, ds, "sampling_period")
    if unit not in ("", "s") or not 0 < seconds <= 86400:
        raise DataError(f"{path}: 'sampling_period' is '{said} {unit}'; expected 0 to 86400 s")
    return seconds


def _filled(n: int, scale: str) -> Texts:
    return np.full(n, "unknown" if scale in _UNSAID else scale)
