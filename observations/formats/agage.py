"""AGAGE data: GCWerks `.C` text of a whole instrument, and netCDF files of one gas (Prinn et al. 2018).

The letters of a text flag, by its position: the first, other than '-', marks a value that is not to be used;
the second 'H' integrates the peak's height in place of its area; the third is 'P' for pollution and 'B' for
baseline, both valid (OpenGHG, `parse_gcwerks`; AGAGE readme of the archive, CDIAC).
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from observations import raw
from observations.clock import interval
from observations.dataset import Floats
from observations.formats import netcdf
from observations.formats.agage_precisions import read_precisions
from observations.formats.series import NOT_STATED, NOTHING, Series, Supplement, choose_gas, finish
from observations.formats.words import label_of, parts_to_utc

_FIXED = ("Year", "yyyy", "mm", "dd", "hh", "mi", "ryyy", "rm", "rd", "rh", "ri", "Inlet", "Standard")
_SAMPLING_S = {"medusa": 1200.0, "gcms": 1200.0, "md": 75.0}
"""Length of a sample, s: Medusa and GC-MS trap air for 20 min (Miller et al. 2008), a GC-MD fills a loop."""
_NEEDED = ("time", "mf", "mf_repeatability", "inlet_height", "sampling_period")


def text_gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a text file, in order."""
    return tuple(_columns(path, raw.read_lines(path)))


def read_agage_text(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of one gas of a `.C` file, pollution included.

    The stamp is the middle of the sample. The file has no place and no uncertainty; the random part
    "repeatability" is, on the day of each stamp, that of the precisions file if one is given.

    Raises
    ------
    DataError
        If the file does not keep the format, or its gas or sample length cannot be told.
    """
    lines = raw.read_lines(path)
    columns = _columns(path, lines)
    species = choose_gas(path, tuple(columns), given)
    at = columns[species]
    station, _, instrument = lines[1].strip().rpartition("-")
    rows = raw.split_words(path, lines[5:], 6)
    names = [f"{name} {i}" if i >= len(_FIXED) else name for i, name in enumerate(lines[4].split())]
    table = raw.table_of(path, names, rows, 6)
    parts = tuple(raw.texts(table, name) for name in _FIXED[1:6])
    stamps = parts_to_utc(parts, f"{path}: 'yyyy' to 'mi'")
    start, end = interval(stamps, "middle", _seconds(path, instrument, given))
    n = start.size
    series = Series(
        species=species,
        unit=lines[3].split()[at],
        scale=np.full(n, _scale(lines[2].split()[at])),
        start=start,
        end=end,
        site=np.full(n, station or instrument),
        inlet=np.full(n, np.nan),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        values=raw.numbers(table, names[at]),
        rejected=~np.char.startswith(raw.texts(table, names[at + 1]), "-"),
        n_samples=np.ones(n, dtype=np.int64),
        sd=_sd(given, species, stamps),
        sd_name="repeatability",
    )
    return finish(path, series, given)


def _seconds(path: Path, instrument: str, given: Supplement) -> float:
    seconds = given.averaging_s or _SAMPLING_S.get(instrument)
    if seconds is None:
        raise DataError(f"{path}: how long '{instrument}' samples is not known; give averaging_s")
    return seconds


def _sd(given: Supplement, species: str, stamps: Times) -> Floats | None:
    beside = given.uncertainty_file
    return None if beside is None else read_precisions(beside).at(species, stamps)


def _columns(path: Path, lines: list[str]) -> dict[str, int]:
    """Return the column of each gas."""
    heads = [line.split() for line in lines[2:5]]
    named = len(heads) == 3 and heads[0][:1] == ["Scale:"] and heads[1][:1] == ["Unit:"]
    if not named or tuple(heads[2][: len(_FIXED)]) != _FIXED:
        raise DataError(f"{path}: no lines 'Scale:', 'Unit:', 'Year'; expected an AGAGE .C file")
    if len({len(head) for head in heads}) != 1:
        sizes = ", ".join(str(len(head)) for head in heads)
        raise DataError(f"{path}: scales, units and names are {sizes} words; expected as many of each")
    gases, flags = heads[2][len(_FIXED) :: 2], heads[2][len(_FIXED) + 1 :: 2]
    if len(gases) != len(flags) or set(flags) != {"Flag"} or len(set(gases)) != len(gases):
        raise DataError(f"{path}: columns are not a gas and its Flag, each gas once")
    return {gas.lower(): len(_FIXED) + 2 * i for i, gas in enumerate(gases)}


def _scale(word: str) -> str:
    return NOT_STATED if word in ("--", "Not") else word


def netcdf_gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a netCDF file."""
    return (netcdf.attribute(netcdf.load(path, _NEEDED, "an AGAGE file"), "species").lower(),)


def read_agage_netcdf(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an AGAGE netCDF file; it holds no rejected data, so it has no flags.

    The random part "repeatability" is the file's mf_repeatability.

    Raises
    ------
    DataError
        If the file does not keep the format, or does not say which part of the sample it stamps.
    """
    ds = netcdf.load(path, _NEEDED, "an AGAGE file")
    stamps = netcdf.times(path, ds, "time")
    label = label_of(str(ds["time"].attrs.get("comment", "")))
    if label is None:
        raise DataError(f"{path}: 'time' does not say which part of the sampling period it stamps")
    period = netcdf.numbers(path, ds, "sampling_period")
    if not (period > 0).all() or (period > 86400).any():
        raise DataError(f"{path}: 'sampling_period' is not within 0 to 86400 s in every row")
    length = np.round(period * 1e9).astype("timedelta64[ns]")
    start = stamps - {"start": 0 * length, "middle": length // 2, "end": length}[label]
    n = stamps.size
    series = Series(
        species=netcdf.attribute(ds, "species").lower(),
        unit=netcdf.unit(path, ds, "mf"),
        scale=np.full(n, netcdf.attribute(ds, "calibration_scale") or "unknown"),
        start=start,
        end=start + length,
        site=np.full(n, netcdf.attribute(ds, "site_code") or "unknown"),
        inlet=netcdf.numbers(path, ds, "inlet_height"),
        latitude=np.full(n, netcdf.attribute_number(path, ds, "inlet_latitude")),
        longitude=np.full(n, netcdf.attribute_number(path, ds, "inlet_longitude")),
        values=netcdf.numbers(path, ds, "mf"),
        rejected=np.zeros(n, dtype=bool),
        n_samples=np.ones(n, dtype=np.int64),
        sd=netcdf.numbers(path, ds, "mf_repeatability"),
        sd_name="repeatability",
    )
    return finish(path, series, given)
