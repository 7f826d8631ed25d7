"""ObsPack netCDF files, old and new (Masarie et al. 2014, doi:10.5194/essd-6-375-2014)."""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from observations.clock import interval
from observations.dataset import Floats, Texts
from observations.formats import netcdf
from observations.formats.series import NOTHING, Bools, Series, Supplement, finish
from observations.formats.words import label_of

_NEEDED = ("time", "value", "latitude", "longitude", "intake_height", "qcflag")
_SD = (("value_unc", "measurement"), ("value_std_dev", "variability"))
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (netcdf.attribute(netcdf.load(path, _NEEDED, "ObsPack"), "dataset_parameter").lower(),)


def read_obspack(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an ObsPack file, every row with its flag.

    The unit is the file's own: the same archive has ppb and mol mol-1. Only the first column of NOAA's
    three-column flag rejects; 'P' in the third means preliminary and is used. Another provider's flag is
    taken the same way, since ObsPack leaves its meaning to the provider. Intervals are, in this order: from
    start_time to as far beyond midpoint_time; the dataset's frequency; instantaneous for flasks.

    Raises
    ------
    DataError
        If the file does not keep the format or does not say how long an interval is.
    """
    ds = netcdf.load(path, _NEEDED, "an ObsPack file")
    species = netcdf.attribute(ds, "dataset_parameter").lower()
    if not species:
        raise DataError(f"{path}: no attribute 'dataset_parameter'; expected an ObsPack file")
    start, end = _interval(path, ds, given)
    n = start.size
    sd, sd_name = _sd(path, ds)
    counts = netcdf.numbers(path, ds, "nvalue") if "nvalue" in ds.variables else np.zeros(n)
    series = Series(
        species=species,
        unit=netcdf.unit(path, ds, "value"),
        scale=np.full(n, netcdf.attribute(ds, "dataset_calibration_scale") or "unknown"),
        start=start,
        end=end,
        site=np.full(n, netcdf.attribute(ds, "site_code") or "unknown"),
        inlet=netcdf.numbers(path, ds, "intake_height"),
        latitude=netcdf.numbers(path, ds, "latitude"),
        longitude=netcdf.numbers(path, ds, "longitude"),
        values=netcdf.numbers(path, ds, "value"),
        rejected=rejected(netcdf.texts(path, ds, "qcflag")),
        n_samples=np.where(counts > 0, counts, 0).astype(np.int64),
        sd=sd,
        sd_name=sd_name,
        instrument=netcdf.texts(path, ds, "instrument") if "instrument" in ds.variables else None,
        kind="flask" if _is_flask(ds) else "inlet",
    )
    return finish(path, series, given)


def rejected(flags: Texts) -> Bools:
    """Return which flags reject: those whose first column is set.

    >>> rejected(np.array(["...", "..P", ".C.", "N..", "*..", ""])).tolist()
    [False, False, False, True, True, False]
    """
    return (flags != "") & (flags != "NA") & ~np.char.startswith(flags, ".")


def _is_flask(ds: xr.Dataset) -> bool:
    return "flask" in netcdf.attribute(ds, "dataset_project")


def _interval(path: Path, ds: xr.Dataset, given: Supplement) -> tuple[Times, Times]:
    if "start_time" in ds.variables and "midpoint_time" in ds.variables:
        start = netcdf.times(path, ds, "start_time")
        return start, start + 2 * (netcdf.times(path, ds, "midpoint_time") - start)
    stamps = netcdf.times(path, ds, "time")
    seconds = given.averaging_s
    if seconds is None:
        seconds = _frequency(ds)
    if seconds is None and _is_flask(ds):
        return stamps, stamps
    if seconds is None:
        raise DataError(f"{path}: the file does not say how long its averages are; give averaging_s")
    label = label_of(str(ds["time"].attrs.get("comment", "")))
    if label is None:
        raise DataError(f"{path}: 'time' does not say which part of the averaging interval it stamps")
    return interval(stamps, label, seconds)


def _frequency(ds: xr.Dataset) -> float | None:
    number = netcdf.attribute(ds, "dataset_data_frequency")
    unit = netcdf.attribute(ds, "dataset_data_frequency_unit").rstrip("s")
    if re.fullmatch(r"\d{1,4}", number) is None or unit not in _SECONDS:
        return None
    return float(number) * _SECONDS[unit]


def _sd(path: Path, ds: xr.Dataset) -> tuple[Floats | None, str]:
    for name, part in _SD:
        if name in ds.variables:
            if ds[name].attrs.get("units", ds["value"].attrs["units"]) != ds["value"].attrs["units"]:
                raise DataError(f"{path}: '{name}' is in '{ds[name].attrs['units']}', 'value' is not")
            return netcdf.numbers(path, ds, name), part
    return None, "measurement"
