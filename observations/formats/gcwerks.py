"""GCWerks exports of cavity ring-down analysers: minute or hourly means per inlet, three header lines.

The stamp is the middle of the interval: programs of the AGAGE and DECC networks subtract half of it (OpenGHG,
`parse_crds` and `parse_gcwerks`). The file says neither site nor unit nor scale. The units are those in which
GCWerks exports the three gases in these networks.
"""

import re
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.formats.series import (
    NOT_STATED,
    NOTHING,
    Series,
    Supplement,
    choose_gas,
    finish,
    steady_interval,
)
from observations.formats.words import digit_pairs, full_year, parts_to_utc
from observations.raw import RawTable

UNITS = {"co2": "ppm", "ch4": "ppb", "co": "ppb", "n2o": "ppb"}


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file, in order."""
    return tuple(dict.fromkeys(name.split(" ")[0] for name in _table(path).columns if name.endswith(" C")))


def read_gcwerks(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of one gas of a GCWerks file.

    Rows of another type than 'air' are rejected. Site and inlet are those given, or of a name such as
    `bsd.picarro.1minute.108m.min.dat`. The interval is the commonest step of the rows unless given. The
    random part "variability" is the file's stdev within the interval.

    Raises
    ------
    DataError
        If the file does not keep the format, or its gas, site or interval cannot be told.
    """
    table = _table(path)
    species = choose_gas(path, gases(path), given)
    if species not in UNITS:
        raise DataError(f"{path}: the unit of {species} is not known; expected one of: {', '.join(UNITS)}")
    year, *day = digit_pairs(table, "date")
    parts = (full_year(year), *day, *digit_pairs(table, "time"))
    stamps = parts_to_utc(parts, f"{path}: 'date' and 'time'")
    start, end = steady_interval(path, stamps, "middle", given)
    site, inlet = _place(path, given)
    counts = raw.numbers(table, f"{species} N")
    raw.refuse_implausible(table, f"{species} N", counts, (0, 2**31), "samples")
    n = stamps.size
    series = Series(
        species=species,
        unit=UNITS[species],
        scale=np.full(n, NOT_STATED),
        start=start,
        end=end,
        site=np.full(n, site),
        inlet=np.full(n, inlet),
        latitude=np.full(n, np.nan),
        longitude=np.full(n, np.nan),
        values=raw.numbers(table, f"{species} C"),
        rejected=raw.texts(table, "type") != "air",
        n_samples=np.where(np.isnan(counts), 0, counts).astype(np.int64),
        sd=raw.numbers(table, f"{species} stdev"),
    )
    return finish(path, series, given)


def _table(path: Path) -> RawTable:
    lines = raw.read_lines(path)
    heads = [line.split() for line in lines[1:3]]
    plain = len(heads) == 2 and heads[0][:4] == ["-"] * 4 and heads[1][:4] == ["date", "time", "type", "port"]
    if not plain or len(heads[0]) != len(heads[1]):
        raise DataError(f"{path}: no header lines 'date time type port'; expected a GCWerks file")
    names = [part if gas == "-" else f"{gas} {part}" for gas, part in zip(*heads, strict=True)]
    fields = {name.rpartition(" ")[2] for name in names[4:]}
    gas_names = {name.rpartition(" ")[0] for name in names[4:]}
    wanted = [f"{gas} {part}" for gas in gas_names for part in ("C", "stdev", "N")]
    if not gas_names or sorted(wanted) != sorted(names[4:]):
        raise DataError(f"{path}: columns {', '.join(sorted(fields))}; expected C, stdev and N of each gas")
    return raw.table_of(path, names, raw.split_words(path, lines[3:], 4), 4)


def _place(path: Path, given: Supplement) -> tuple[str, float]:
    match = re.match(r"([A-Za-z0-9]+)\.[^.]+\.[^.]+\.(\d{1,4})m\.", path.name)
    inlet = float(match[2]) if match else float("nan")
    if len(given.sites) == 1:
        return next(iter(given.sites)), inlet
    if match is None:
        raise DataError(f"{path}: neither the file nor its name says the site; give one")
    return match[1].upper(), inlet
