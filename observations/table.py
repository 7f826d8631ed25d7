"""Tower observations from any CSV or netCDF table, by a mapping of its columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import Random
from observations import raw
from observations.clock import Label, interval, to_utc
from observations.dataset import (
    GOOD,
    MISSING,
    PLAUSIBLE,
    REJECTED_BY_PROVIDER,
    UNCERTAINTY_MISSING,
    Columns,
    Floats,
    Ints,
    Texts,
    build,
    tower_ids,
)
from observations.raw import RawTable


@dataclass(frozen=True)
class Site:
    """Where a site is.

    latitude, longitude : degrees north and east
    inlet : height above ground, m; NaN where unknown
    """

    latitude: float
    longitude: float
    inlet: float = float("nan")


@dataclass(frozen=True)
class TableMapping:
    """How a table says what an observation needs; a name is a column of the file.

    species : "co2" or "ch4"; another gas needs `plausible`
    unit : unit of mole_fraction, sd and plausible, as in metroflux.units
    sites : each site of the file and its place
    time, mole_fraction : columns
    site : column with the site's name; None: all rows belong to the one entry of `sites`
    latitude, longitude, inlet : columns that override the place of the site
    sd : name of each random error part -> column with its standard uncertainty
    n_samples : column with the number of samples in the average
    flag, good_flags : column with the provider's flag and the values that are good; all others are rejected
    zone : time zone of the stamps: "UTC", "+08:00", "Asia/Shanghai"
    time_format : strptime format of the stamps; None: ISO 8601
    label, averaging_s : part of the averaging interval that is stamped, and its length, s
    missing : spellings of a missing value, beyond an empty field and NaN
    plausible : least and greatest possible value in `unit`; None: the range of the species
    scale : calibration scale of the mole fractions
    separator : field separator of a text file
    """

    species: str
    unit: str
    sites: Mapping[str, Site]
    time: str = "time"
    mole_fraction: str = "mole_fraction"
    site: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    inlet: str | None = None
    sd: Mapping[str, str] = field(default_factory=dict)
    n_samples: str | None = None
    flag: str | None = None
    good_flags: tuple[str, ...] = ()
    zone: str = "UTC"
    time_format: str | None = None
    label: Label = "start"
    averaging_s: float = 3600.0
    missing: tuple[str, ...] = ()
    plausible: tuple[float, float] | None = None
    scale: str = "not stated"
    separator: str = ","

    def columns(self) -> list[str]:
        """Return the names of all columns that the mapping uses, each once."""
        optional = (self.site, self.latitude, self.longitude, self.inlet, self.n_samples, self.flag)
        named = [self.time, self.mole_fraction, *self.sd.values(), *(name for name in optional if name)]
        return list(dict.fromkeys(named))


def read_table(path: Path, mapping: TableMapping) -> xr.Dataset:
    """Return the observations of a CSV or netCDF table.

    A rejected row may hold any number; a row to be used must hold a plausible one.

    Raises
    ------
    DataError
        If the file cannot be read or a field is wrong: the message names file, field, row and value.
    ConfigError
        If the mapping contradicts itself.
    """
    table = raw.read_raw(path, mapping.columns(), mapping.separator)
    factor = raw.agreed_factor(table, mapping.mole_fraction, mapping.unit)
    values = raw.numbers(table, mapping.mole_fraction, mapping.missing)
    raw.refuse_fill(table, mapping.mole_fraction, values)
    flag = np.where(np.isnan(values), MISSING, _provider_flag(table, mapping))
    limits = _limits(mapping, factor)
    raw.refuse_implausible(
        table, mapping.mole_fraction, np.where(flag == GOOD, values, np.nan), limits, mapping.unit
    )
    random, flag = _random_parts(table, mapping, flag)
    stamps = to_utc(
        table.columns[mapping.time], mapping.zone, mapping.time_format, f"{path}: '{mapping.time}'"
    )
    start, end = interval(stamps, mapping.label, mapping.averaging_s)
    site = _sites(table, mapping)
    species = np.full(site.shape, mapping.species)
    inlet = _place(table, mapping, site, "inlet")
    columns = Columns(
        start=start,
        end=end,
        site=site,
        species=species,
        inlet=inlet,
        latitude=_place(table, mapping, site, "latitude"),
        longitude=_place(table, mapping, site, "longitude"),
        mole_fraction=values * factor,
        flag=flag,
        n_samples=_samples(table, mapping),
    )
    return build(columns, tower_ids(site, species, inlet, start), random, [], mapping.scale, str(path))


def _limits(mapping: TableMapping, factor: float) -> tuple[float, float]:
    if mapping.plausible is not None:
        return mapping.plausible
    if mapping.species not in PLAUSIBLE:
        known = ", ".join(PLAUSIBLE)
        raise ConfigError(
            f"species '{mapping.species}': no plausible range known (only {known}); give `plausible`"
        )
    low, high = PLAUSIBLE[mapping.species]
    return low / factor, high / factor


def _provider_flag(table: RawTable, mapping: TableMapping) -> Ints:
    n = len(table.columns[mapping.time])
    if mapping.flag is None:
        return np.zeros(n, dtype=np.int64)
    if not mapping.good_flags:
        raise ConfigError(
            f"flag column '{mapping.flag}' is given without good_flags; expected the good values"
        )
    good = np.isin(raw.texts(table, mapping.flag), mapping.good_flags)
    return np.where(good, GOOD, REJECTED_BY_PROVIDER).astype(np.int64)


def _random_parts(table: RawTable, mapping: TableMapping, flag: Ints) -> tuple[list[Random], Ints]:
    """Return the random error parts, 0 where not usable, and the flags with missing uncertainties marked."""
    parts = []
    for name, column in mapping.sd.items():
        factor = raw.agreed_factor(table, column, mapping.unit)
        sd = raw.numbers(table, column, mapping.missing)
        good = np.where(flag == GOOD, sd, np.nan)
        raw.refuse_implausible(table, column, good, (0.0, _limits(mapping, factor)[1]), mapping.unit)
        flag = np.where((flag == GOOD) & np.isnan(sd), UNCERTAINTY_MISSING, flag)
        parts.append(Random(name, np.where(np.isnan(good), 0.0, good) * factor))
    return parts, flag


def _sites(table: RawTable, mapping: TableMapping) -> Texts:
    if mapping.site is not None:
        site = raw.texts(table, mapping.site)
        unknown = sorted(set(site.tolist()) - set(mapping.sites))
        if unknown:
            listed = ", ".join(mapping.sites)
            raise DataError(
                f"{table.path}: sites {', '.join(unknown)} have no place; the mapping lists: {listed}"
            )
        return site
    if len(mapping.sites) != 1:
        listed = ", ".join(mapping.sites) or "none"
        raise ConfigError(
            f"{table.path}: no site column, so the mapping must list one site; it lists: {listed}"
        )
    return np.full(len(table.columns[mapping.time]), next(iter(mapping.sites)))


def _place(table: RawTable, mapping: TableMapping, site: Texts, what: str) -> Floats:
    """Return latitude, longitude or inlet of each row, from its column or from the site."""
    column = {"latitude": mapping.latitude, "longitude": mapping.longitude, "inlet": mapping.inlet}[what]
    if column is not None:
        values = raw.numbers(table, column, mapping.missing)
        raw.refuse_fill(table, column, values)
        return values
    places = {name: float(getattr(place, what)) for name, place in mapping.sites.items()}
    return np.array([places[name] for name in site.tolist()], dtype=np.float64)


def _samples(table: RawTable, mapping: TableMapping) -> Ints:
    if mapping.n_samples is None:
        return np.zeros(len(table.columns[mapping.time]), dtype=np.int64)
    counts = raw.numbers(table, mapping.n_samples, mapping.missing)
    raw.refuse_implausible(table, mapping.n_samples, counts, (0, 2**31), "samples")
    return np.where(np.isnan(counts), 0, counts).astype(np.int64)
