"""Node files of the BEACO2N networks (Shusterman et al. 2016, doi:10.5194/acp-16-13449-2016): hourly CSV."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations import raw
from observations.clock import to_utc
from observations.formats.series import (
    NOT_STATED,
    NOTHING,
    Series,
    Supplement,
    choose_gas,
    finish,
    steady_interval,
)
from observations.raw import RawTable

_GASES = ("co2", "co")
_MISSING = ("-999",)


def gases(path: Path) -> tuple[str, ...]:
    """Return the gases of a file."""
    header = raw.header_names(path)
    return tuple(gas for gas in _GASES if f"{gas}_ppm" in header)


def read_beaco2n(path: Path, given: Supplement = NOTHING) -> xr.Dataset:
    """Return the observations of one gas of a node; the site is the node's number.

    Times are the column `datetime`, which must agree with `epoch`; `local_timestamp` is Californian time even
    where the node stands in Glasgow. They are taken as the start of the interval: the file does not say.
    No row is rejected: the quality column tells the level of processing. No scale, place or uncertainty.

    Raises
    ------
    DataError
        If the file does not keep the format, or `datetime` contradicts `epoch`.
    """
    species = choose_gas(path, gases(path), given)
    table = raw.read_raw(path, ["datetime", "epoch", "node_id", f"{species}_ppm"])
    stamps = to_utc(raw.texts(table, "datetime"), "UTC", None, f"{path}: 'datetime'")
    _check_epoch(table, stamps)
    start, end = steady_interval(path, stamps, "start", given)
    n = stamps.size
    nowhere = np.full(n, np.nan)
    series = Series(
        species=species,
        unit="ppm",
        scale=np.full(n, NOT_STATED),
        start=start,
        end=end,
        site=raw.texts(table, "node_id"),
        inlet=nowhere,
        latitude=nowhere,
        longitude=nowhere,
        values=raw.numbers(table, f"{species}_ppm", _MISSING),
        rejected=np.zeros(n, dtype=bool),
        n_samples=np.zeros(n, dtype=np.int64),
    )
    return finish(path, series, given)


def _check_epoch(table: RawTable, stamps: np.ndarray) -> None:
    seconds = (stamps - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    epoch = raw.numbers(table, "epoch", _MISSING)
    bad = np.flatnonzero(np.abs(seconds - epoch) > 1.0)
    if bad.size:
        first = f"{table.row(int(bad[0]))}: {stamps[bad[0]]} and {epoch[bad[0]]:.0f}"
        raise DataError(f"{table.path}: 'datetime' is not 'epoch' in {bad.size} rows, first {first}")
