"""ICOS ATC level-2 and near-real-time text files (Hazan et al. 2016, doi:10.5194/amt-9-4719-2016)."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import Random
from metroflux.units import mole_fraction_factor
from observations import raw
from observations.clock import interval, to_utc
from observations.dataset import (
    GOOD,
    MISSING,
    PLAUSIBLE,
    REJECTED_BY_PROVIDER,
    UNCERTAINTY_MISSING,
    UNKNOWN_SCALE,
    Columns,
    Floats,
    Ints,
    Texts,
    TruncatedFileWarning,
    build,
    tower_ids,
)
from observations.raw import RawTable

GOOD_FLAGS = ("U", "O", "R")
"""The provider's flags of correct data (U before, O after manual control); N, K and H mark incorrect data."""

_MISSING = ("-999.99", "-9.99")
_MINUTES = {"hourly": 60.0, "half-hourly": 30.0}
_NEEDED = ("Site", "SamplingHeight", "Year", "Month", "Day", "Hour", "Minute", "Stdev", "NbPoints", "Flag",
           "InstrumentId")  # fmt: skip


@dataclass(frozen=True)
class _Header:
    """What the header says of the data.

    scales : calibration scale of each instrument; the key "" holds for all
    """

    species: str
    unit: str
    factor: float
    latitude: float
    longitude: float
    seconds: float
    scales: dict[str, str]


def read_icos(path: Path, accept_unknown_scale: bool = False) -> xr.Dataset:
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
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    entries = _entries(path, lines[:count])
    header = _header(path, entries)
    _warn_truncated(path, entries, len(lines))
    table = _table(path, lines, count)
    if header.species not in table.columns:
        raise DataError(f"{path}: no column {header.species}; the file has: {', '.join(table.columns)}")
    return _build(table, header, accept_unknown_scale)


def _entries(path: Path, lines: list[str]) -> dict[str, str]:
    """Return the `# KEY: value` lines of the header."""
    if len(lines) < 2:
        raise DataError(f"{path}: no header of '#' lines; expected an ICOS ATC file")
    pairs = (re.match(r"#\s*([A-Z][A-Z /]+):\s*(.*)", line) for line in lines)
    entries = {match[1].strip(): match[2].strip() for match in pairs if match}
    said = entries.get("HEADER LINES", "")
    if said != str(len(lines)):
        raise DataError(f"{path}: {len(lines)} header lines, but 'HEADER LINES' says '{said}'")
    return entries


def _header(path: Path, entries: dict[str, str]) -> _Header:
    keys = ("PARAMETER", "MEASUREMENT UNIT", "LATITUDE", "LONGITUDE", "TIME INTERVAL", "TIME ZONE",
            "MEASUREMENT SCALE", "TOTAL LINES")  # fmt: skip
    faults = [f"no '{key}'" for key in keys if key not in entries]
    if faults:
        raise DataError(f"{path}: header has {', '.join(faults)}; expected an ICOS ATC file")
    species, step = entries["PARAMETER"].lower(), entries["TIME INTERVAL"].lower()
    if re.sub(r"\s", "", entries["TIME ZONE"]) not in ("UTC", "UTC+0", "UTC+00:00"):
        faults.append(f"'TIME ZONE' is '{entries['TIME ZONE']}', expected UTC")
    if step not in _MINUTES:
        faults.append(f"'TIME INTERVAL' is '{step}', expected {' or '.join(_MINUTES)}")
    if species not in PLAUSIBLE:
        faults.append(f"'PARAMETER' is '{species}', expected {' or '.join(PLAUSIBLE)}")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    unit = plain_unit(entries["MEASUREMENT UNIT"])
    return _Header(
        species=species,
        unit=unit,
        factor=mole_fraction_factor(unit),
        latitude=_degrees(path, "LATITUDE", entries["LATITUDE"]),
        longitude=_degrees(path, "LONGITUDE", entries["LONGITUDE"]),
        seconds=60.0 * _MINUTES[step],
        scales=_scales(path, entries["MEASUREMENT SCALE"], species),
    )


def plain_unit(text: str) -> str:
    """Return a unit without dots and superscripts.

    >>> plain_unit("nmol.mol-¹"), plain_unit("µmol mol⁻¹")
    ('nmol mol-1', 'µmol mol-1')
    """
    return text.replace(".", " ").replace("⁻", "-").replace("¹", "1").strip()


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


def _warn_truncated(path: Path, entries: dict[str, str], found: int) -> None:
    said = entries["TOTAL LINES"]
    if not said.isdigit():
        raise DataError(f"{path}: 'TOTAL LINES' is '{said}'; expected a number")
    if int(said) > found:
        text = f"{path}: truncated: {found} lines of the {said} that its header says"
        warnings.warn(text, TruncatedFileWarning, stacklevel=3)
    elif int(said) < found:
        raise DataError(f"{path}: {found} lines, but 'TOTAL LINES' says {said}")


def _table(path: Path, lines: list[str], header_lines: int) -> RawTable:
    names = lines[header_lines - 1].lstrip("#").strip().split(";")
    absent = [name for name in _NEEDED if name not in names]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; the file has: {', '.join(names)}")
    rows = raw.split_lines(path, lines[header_lines:], ";", header_lines + 1)
    if not rows:
        raise DataError(f"{path}: a header without data rows")
    if len(rows[0]) != len(names):
        raise DataError(f"{path}: line {header_lines + 1} has {len(rows[0])} fields, expected {len(names)}")
    columns = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    return RawTable(path, columns, {}, header_lines + 1)


def _build(table: RawTable, header: _Header, accept_unknown_scale: bool) -> xr.Dataset:
    values = raw.numbers(table, header.species, _MISSING)
    sd = raw.numbers(table, "Stdev", _MISSING)
    flag, scale = _flags(table, header, values, sd, accept_unknown_scale)
    good = flag == GOOD
    low, high = PLAUSIBLE[header.species]
    limits = low / header.factor, high / header.factor
    raw.refuse_fill(table, header.species, values)
    raw.refuse_implausible(table, header.species, np.where(good, values, np.nan), limits, header.unit)
    raw.refuse_implausible(table, "Stdev", np.where(good, sd, np.nan), (0.0, limits[1]), header.unit)
    counts = raw.numbers(table, "NbPoints", _MISSING)
    raw.refuse_implausible(table, "NbPoints", counts, (0, 2**31), "points")
    start, end = interval(_times(table), "start", header.seconds)
    site = raw.texts(table, "Site")
    inlet = raw.numbers(table, "SamplingHeight")
    raw.refuse_fill(table, "SamplingHeight", inlet)
    species = np.full(site.shape, header.species)
    columns = Columns(
        start=start,
        end=end,
        site=site,
        species=species,
        inlet=inlet,
        latitude=np.full(site.shape, header.latitude),
        longitude=np.full(site.shape, header.longitude),
        mole_fraction=values * header.factor,
        flag=flag,
        n_samples=np.where(np.isnan(counts), 0, counts).astype(np.int64),
    )
    random = [Random("variability", np.where(good, sd, 0.0) * header.factor)]
    return build(columns, tower_ids(site, species, inlet, start), random, [], scale, str(table.path))


def _flags(
    table: RawTable, header: _Header, values: Floats, sd: Floats, accept_unknown_scale: bool
) -> tuple[Ints, str]:
    """Return the flags and the scale of the rows to be used."""
    scales = _scale_of_rows(header, raw.texts(table, "InstrumentId"))
    flag = np.where(np.isin(raw.texts(table, "Flag"), GOOD_FLAGS), GOOD, REJECTED_BY_PROVIDER)
    # a rejected row stays rejected whether or not a number is left in it
    flag = np.where((flag == GOOD) & np.isnan(values), MISSING, flag)
    flag = np.where((flag == GOOD) & np.isnan(sd), UNCERTAINTY_MISSING, flag)
    if not accept_unknown_scale:
        flag = np.where((flag == GOOD) & (scales == "unknown"), UNKNOWN_SCALE, flag)
    used = sorted(set(scales[flag == GOOD].tolist()))
    known = [scale for scale in used if scale != "unknown"]
    if len(known) > 1:
        raise DataError(f"{table.path}: used rows are on the scales {', '.join(known)}; expected one")
    return flag.astype(np.int64), " and ".join(used) or "unknown"


def _scale_of_rows(header: _Header, instruments: Texts) -> Texts:
    named = [header.scales.get(name, header.scales.get("", "unknown")) for name in instruments.tolist()]
    return np.array(["unknown" if name.lower() in ("", "unknown") else name for name in named])


def _times(table: RawTable) -> np.ndarray:
    parts = [np.char.zfill(raw.texts(table, name), 2) for name in ("Year", "Month", "Day", "Hour", "Minute")]
    stamps = np.array(["{}-{}-{}T{}:{}".format(*row) for row in zip(*parts, strict=True)])
    return to_utc(stamps, "UTC", "%Y-%m-%dT%H:%M", f"{table.path}: 'Year' to 'Minute'")
