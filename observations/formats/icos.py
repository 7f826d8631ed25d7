"""ICOS ATC level-2 and near-real-time text files (Hazan et al. 2016, doi:10.5194/amt-9-4719-2016)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.clock import interval
from observations.dataset import PLAUSIBLE, Texts
from observations.formats.icos_header import Header, read_header, require, zone_fault
from observations.formats.series import NOTHING, Series, Supplement, finish
from observations.formats.words import parts_to_utc, plain_unit
from observations.raw import RawTable

GOOD_FLAGS = ("U", "O", "R")
"""The provider's flags of correct data (U before, O after manual control); N, K and H mark incorrect data."""

_MISSING = ("-999.99", "-9.99")
_MINUTES = {"hourly": 60.0, "half-hourly": 30.0}
_NEEDED = ("Site", "SamplingHeight", "Year", "Month", "Day", "Hour", "Minute", "Stdev", "NbPoints", "Flag",
           "InstrumentId")  # fmt: skip
_KEYS = ("PARAMETER", "MEASUREMENT UNIT", "LATITUDE", "LONGITUDE", "TIME INTERVAL", "TIME ZONE",
         "MEASUREMENT SCALE")  # fmt: skip


@dataclass(frozen=True)
class _Facts:
    """What the header says of the data.

    scales : calibration scale of each instrument; the key "" holds for all
    """

    species: str
    unit: str
    latitude: float
    longitude: float
    seconds: float
    scales: dict[str, str]


def gases(path: Path) -> tuple[str, ...]:
    """Return the gas of a file."""
    return (read_header(path, raw.read_lines(path)).entries.get("PARAMETER", "").lower(),)


def read_icos(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of an ICOS ATC text file, every row with its flag.

    Rows of an instrument whose scale is unknown get the flag `unknown_scale` unless accepted. The random
    part "variability" is the file's Stdev: the spread of the minutes within the hour, in place of the error
    of a model that does not resolve them; it is not divided by the number of points.

    Raises
    ------
    DataError
        If header or rows do not keep the format, or used rows are on two scales.

    Warns
    -----
    TruncatedFileWarning
        If the file has fewer lines than its header says.
    """
    lines = raw.read_lines(path)
    header = read_header(path, lines)
    facts = _facts(path, header)
    absent = [name for name in _NEEDED if name not in header.names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; the file has: {', '.join(header.names)}")
    first = header.lines + 1
    rows = raw.split_lines(path, lines[header.lines :], ";", first)
    table = raw.table_of(path, header.names, rows, first)
    if facts.species not in table.columns:
        raise DataError(f"{path}: no column {facts.species}; the file has: {', '.join(table.columns)}")
    return finish(path, _series(table, facts), given)


def _facts(path: Path, header: Header) -> _Facts:
    require(path, header, _KEYS)
    entries = header.entries
    species, step = entries["PARAMETER"].lower(), entries["TIME INTERVAL"].lower()
    faults = [zone_fault(header)] if zone_fault(header) else []
    if step not in _MINUTES:
        faults.append(f"'TIME INTERVAL' is '{step}', expected {' or '.join(_MINUTES)}")
    if species not in PLAUSIBLE:
        faults.append(f"'PARAMETER' is '{species}', expected {' or '.join(PLAUSIBLE)}")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    return _Facts(
        species=species,
        unit=plain_unit(entries["MEASUREMENT UNIT"]),
        latitude=_degrees(path, "LATITUDE", entries["LATITUDE"]),
        longitude=_degrees(path, "LONGITUDE", entries["LONGITUDE"]),
        seconds=60.0 * _MINUTES[step],
        scales=_scales(path, entries["MEASUREMENT SCALE"], species),
    )


def _degrees(path: Path, key: str, text: str) -> float:
    """Return degrees north or east of '51.9975 N' or '-2.5399 E'; '2.5399 W' is -2.5399."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*°?\s*([NSEW])", text)
    if match is None or (match[2] in "SW" and float(match[1]) < 0):
        raise DataError(f"{path}: '{key}' is '{text}'; expected for example '51.9975 N' or '-2.5399 E'")
    return -float(match[1]) if match[2] in "SW" else float(match[1])


def _scales(path: Path, text: str, species: str) -> dict[str, str]:
    """Return the scale of each instrument id from '530: Unknown; 115: WMO X2004A' or of all from one name."""
    scales = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        instrument, colon, name = part.rpartition(":")
        if colon and not instrument.strip().isdigit():
            raise DataError(f"{path}: 'MEASUREMENT SCALE' is '{text}'; expected 'instrument: scale; ...'")
        # "WMO X2004A" leaves the gas to be understood; a scale in metroflux names it
        full = re.sub(r"^WMO (?=X\d)", f"WMO {species.upper()} ", name.strip())
        scales[instrument.strip()] = full
    return scales


def _series(table: RawTable, facts: _Facts) -> Series:
    counts = raw.numbers(table, "NbPoints", _MISSING)
    raw.refuse_implausible(table, "NbPoints", counts, (0, 2**31), "points")
    parts = tuple(raw.texts(table, name) for name in ("Year", "Month", "Day", "Hour", "Minute"))
    start, end = interval(parts_to_utc(parts, f"{table.path}: 'Year' to 'Minute'"), "start", facts.seconds)
    site = raw.texts(table, "Site")
    inlet = raw.numbers(table, "SamplingHeight")
    raw.refuse_fill(table, "SamplingHeight", inlet)
    return Series(
        species=facts.species,
        unit=facts.unit,
        scale=_scale_of_rows(facts, raw.texts(table, "InstrumentId")),
        start=start,
        end=end,
        site=site,
        inlet=inlet,
        latitude=np.full(site.shape, facts.latitude),
        longitude=np.full(site.shape, facts.longitude),
        values=raw.numbers(table, facts.species, _MISSING),
        rejected=~np.isin(raw.texts(table, "Flag"), GOOD_FLAGS),
        n_samples=np.where(np.isnan(counts), 0, counts).astype(np.int64),
        sd=raw.numbers(table, "Stdev", _MISSING),
        instrument=raw.texts(table, "InstrumentId"),
    )


def _scale_of_rows(facts: _Facts, instruments: Texts) -> Texts:
    named = [facts.scales.get(name, facts.scales.get("", "unknown")) for name in instruments.tolist()]
    return np.array(["unknown" if name.lower() in ("", "unknown") else name for name in named])
