"""NOAA flask event text files, one line per analysis (Global Monitoring Laboratory)."""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.formats.series import NOT_STATED, NOTHING, Series, Supplement, choose_gas, finish
from observations.formats.words import parts_to_utc
from observations.raw import RawTable

UNITS = {"co2": "ppm", "ch4": "ppb", "co": "ppb", "h2": "ppb", "n2o": "ppb", "sf6": "ppt"}
"""Unit of each gas: not in the file, but in NOAA's README of each gas (micro-, nano-, picomol mol-1)."""

_TIME = tuple(f"sample_{part}" for part in ("year", "month", "day", "hour", "minute", "seconds"))
_NEEDED = ("sample_site_code", *_TIME, "parameter_formula", "analysis_value", "analysis_uncertainty",
           "analysis_flag", "analysis_instrument", "sample_latitude", "sample_longitude",
           "sample_intake_height")  # fmt: skip
_MISSING = ("-999.99", "-999.999")


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file, in order of appearance."""
    return tuple(dict.fromkeys(raw.texts(_table(path), "parameter_formula").tolist()))


def read_noaa_event(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the flask samples of a NOAA event file, every analysis with its flag.

    Only the first column of the flag rejects; the second says that a sample is not background, the third
    informs. Several analyses of one flask or pair are several data. A sample is taken as instantaneous. The
    file states no scale. The random part "measurement" is its analysis_uncertainty.

    Raises
    ------
    DataError
        If header or rows do not keep the format, or the gas has no known unit.
    """
    table = _table(path)
    species = choose_gas(path, gases(path), given)
    if species not in UNITS:
        raise DataError(f"{path}: the unit of {species} is not known; expected one of: {', '.join(UNITS)}")
    rows = raw.texts(table, "parameter_formula") == species
    parts = tuple(raw.texts(table, name)[rows] for name in _TIME)
    stamps = parts_to_utc(parts, f"{path}: 'sample_year' to 'sample_seconds'")
    flags = raw.texts(table, "analysis_flag")[rows]

    def column(name: str) -> np.ndarray:
        return raw.numbers(table, name, _MISSING)[rows]

    series = Series(
        species=species,
        unit=UNITS[species],
        scale=np.full(stamps.shape, NOT_STATED),
        start=stamps,
        end=stamps,
        site=raw.texts(table, "sample_site_code")[rows],
        inlet=column("sample_intake_height"),
        latitude=column("sample_latitude"),
        longitude=column("sample_longitude"),
        values=column("analysis_value"),
        rejected=~np.char.startswith(flags, "."),
        n_samples=np.ones(stamps.shape, dtype=np.int64),
        sd=column("analysis_uncertainty"),
        sd_name="measurement",
        instrument=raw.texts(table, "analysis_instrument")[rows],
        kind="flask",
    )
    return finish(path, series, given)


def _table(path: Path) -> RawTable:
    lines = raw.read_lines(path)
    said = re.match(r"# number_of_header_lines: (\d{1,6})\s*$", lines[0] if lines else "")
    if said is None:
        raise DataError(f"{path}: no '# number_of_header_lines:'; expected a NOAA event file")
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if int(said[1]) != count:
        raise DataError(f"{path}: {count} header lines, but 'number_of_header_lines' says {said[1]}")
    fields = re.match(r"# data_fields: (.*)", lines[count - 1])
    names = fields[1].split() if fields else []
    absent = [name for name in _NEEDED if name not in names]
    if absent:
        raise DataError(f"{path}: 'data_fields' has no {', '.join(absent)}; expected a NOAA event file")
    return raw.table_of(path, names, raw.split_words(path, lines[count:], count + 1), count + 1)
