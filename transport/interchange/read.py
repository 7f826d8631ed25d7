"""Footprints of any known model: the layout is found by content, not by the file's name."""

from pathlib import Path

import xarray as xr

from metroflux.errors import DataError
from transport.interchange.paris import read_paris, read_time_resolved
from transport.interchange.stilt import read_stilt


def read_footprints(path: Path, hours: float | None = None) -> xr.Dataset:
    """Return the footprints of a STILT, PARIS (NAME, FLEXPART) or OpenGHG file as `footprints_lonlat`.

    A file with time-resolved footprints gives those; `read_paris` gives its integrated ones.

    Parameters
    ----------
    hours : how far back particles were followed; needed where the file does not say

    Raises
    ------
    DataError
        If the layout is none of these, or `hours` is needed.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a footprint file")
    try:
        with xr.open_dataset(path, decode_times=False) as ds:
            names = set(map(str, ds.variables))
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    if "foot" in names:
        return read_stilt(path, hours=hours)
    if not names & {"srr", "fp"}:
        raise DataError(
            f"{path}: none of foot (STILT), srr (PARIS), fp (OpenGHG) is in it; expected a footprint file"
        )
    if hours is None:
        raise DataError(
            f"{path}: the file does not say how far back particles were followed; expected `hours`"
        )
    return (read_time_resolved if "fp_HiTRes" in names else read_paris)(path, hours)
