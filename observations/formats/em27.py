"""EM27/SUN columns: the combined `invparms` CSV of PROFFAST 2, and that of the pipeline around PROFFAST 1.

PROFFAST (Frey et al. 2021, doi:10.5194/amt-14-1047-2021) gives dry-air columns in ppm, without uncertainty or
kernel; COCCON publishes the kernels apart. So these soundings can be looked at and compared, not inverted.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from observations import raw
from observations.clock import to_utc
from observations.formats.series import NOT_STATED, NOTHING, Series, Supplement, choose_gas, finish
from observations.raw import RawTable

_GASES = ("co2", "ch4", "co")
_UNIX_EPOCH = 2440587.5
"""Julian date of 1970-01-01T00:00."""


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file."""
    names = raw.header_names(path)
    return tuple(gas for gas in _GASES if f"X{gas.upper()}" in names)


def read_em27(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the soundings of one gas, in the order of time.

    Times are the column UTC or, in PROFFAST 1, JulianDate to the second; 0 means that a gas was not
    retrieved. The site is the one given, else "EM27".

    Raises
    ------
    DataError
        If the file does not keep the format.
    """
    species = choose_gas(path, gases(path), given)
    clock = "UTC" if "UTC" in raw.header_names(path) else "JulianDate"
    table = raw.read_raw(path, [clock, "latdeg", "londeg", f"X{species.upper()}"])
    stamps = _stamps(table, clock)
    order = np.argsort(stamps, kind="stable")
    n = stamps.size
    site = next(iter(given.sites)) if len(given.sites) == 1 else "EM27"
    series = Series(
        species=species,
        unit="ppm",
        scale=np.full(n, NOT_STATED),
        start=stamps[order],
        end=stamps[order],
        site=np.full(n, site),
        inlet=np.full(n, np.nan),
        latitude=raw.numbers(table, "latdeg")[order],
        longitude=raw.numbers(table, "londeg")[order],
        values=raw.numbers(table, f"X{species.upper()}", ("0.0",))[order],
        rejected=np.zeros(n, dtype=bool),
        n_samples=np.ones(n, dtype=np.int64),
        kind="sounding",
    )
    return finish(path, series, given)


def _stamps(table: RawTable, clock: str) -> Times:
    where = f"{table.path}: '{clock}'"
    if clock == "UTC":
        return to_utc(raw.texts(table, clock), "UTC", None, where)
    days = raw.numbers(table, clock) - _UNIX_EPOCH
    if not ((days > 0) & (days < 100_000)).all():
        raise DataError(f"{where} is not a Julian date after 1970 in every row")
    return np.datetime64(0, "ns") + np.round(days * 86400.0).astype("timedelta64[s]")
