"""ICOS Cities text files of low- and mid-cost sensors, such as Munich's ACROPOLIS network, levels 1 and 2.

Layout by the headers of published files and the program that writes them (tum-esm/ACROPOLIS-data-processing
62598145): ';' between fields, UTC in spite of the header's `TIME ZONE`, stamps in the middle of the interval.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.clock import interval, to_utc
from observations.formats.icos import GOOD_FLAGS
from observations.formats.icos_header import Header, read_header, require, zone_fault
from observations.formats.series import NOTHING, Series, Supplement, finish
from observations.formats.words import header_number, label_of, plain_unit
from observations.raw import RawTable

_SECONDS = {"hourly": 3600.0, "1 minute": 60.0}
_KEYS = ("STATION CODE", "PARAMETER", "MEASUREMENT UNIT", "LATITUDE", "LONGITUDE", "SAMPLING HEIGHTS",
         "TIME INTERVAL", "TIME ZONE", "MEASUREMENT SCALE")  # fmt: skip


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (read_header(path, raw.read_lines(path)).entries.get("PARAMETER", "").lower(),)


def read_cities(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an ICOS Cities file, every row with its flag.

    Flags O, U and R are good; K (manual), H (Hampel filter) and C (operator) are rejected. The random part
    "variability" is the file's Stdev within the hour; one-minute files have none.

    Raises
    ------
    DataError
        If header or rows do not keep the format.

    Warns
    -----
    TruncatedFileWarning
        If the file has fewer lines than its header says.
    """
    lines = raw.read_lines(path)
    header = read_header(path, lines)
    require(path, header, _KEYS)
    species = header.entries["PARAMETER"].lower()
    faults = [f"no column {name}" for name in ("Datetime", species, "Flag") if name not in header.names]
    step = header.entries["TIME INTERVAL"].lower()
    if zone_fault(header):
        faults.append(zone_fault(header))
    if step not in _SECONDS:
        faults.append(f"'TIME INTERVAL' is '{step}', expected {' or '.join(_SECONDS)}")
    if label_of(header.remarks) is None:
        faults.append("the remarks do not say which part of the averaging interval is stamped")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    rows = raw.split_lines(path, lines[header.lines :], ";", header.lines + 1)
    table = raw.table_of(path, header.names, rows, header.lines + 1)
    return finish(path, _series(table, header, species), given)


def _series(table: RawTable, header: Header, species: str) -> Series:
    path, entries = table.path, header.entries
    stamps = to_utc(raw.texts(table, "Datetime"), "UTC", None, f"{path}: 'Datetime'")
    label = label_of(header.remarks)
    start, end = interval(stamps, label or "start", _SECONDS[entries["TIME INTERVAL"].lower()])
    n = stamps.size
    counts = raw.numbers(table, "NbPoints") if "NbPoints" in table.columns else np.full(n, np.nan)
    if "NbPoints" in table.columns:
        raw.refuse_implausible(table, "NbPoints", counts, (0, 2**31), "points")
    return Series(
        species=species,
        unit=plain_unit(entries["MEASUREMENT UNIT"]),
        scale=np.full(n, entries["MEASUREMENT SCALE"] or "unknown"),
        start=start,
        end=end,
        site=np.full(n, entries["STATION CODE"]),
        inlet=np.full(n, header_number(path, "SAMPLING HEIGHTS", entries["SAMPLING HEIGHTS"])),
        latitude=np.full(n, header_number(path, "LATITUDE", entries["LATITUDE"])),
        longitude=np.full(n, header_number(path, "LONGITUDE", entries["LONGITUDE"])),
        values=raw.numbers(table, species),
        rejected=~np.isin(raw.texts(table, "Flag"), GOOD_FLAGS),
        n_samples=np.where(np.isnan(counts), 0, counts).astype(np.int64),
        sd=raw.numbers(table, "Stdev") if "Stdev" in table.columns else None,
    )
