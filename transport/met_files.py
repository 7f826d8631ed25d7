"""Met files of any known kind to the met cube: the kind is found by content."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from metroflux.errors import DataError
from transport.met import open_met
from transport.wrf import read_wrf


def read_met_files(paths: Sequence[Path]) -> xr.Dataset:
    """Return the met cube of WRF output files, or of one cube stored as zarr.

    Raises
    ------
    DataError
        If a file is absent, or is no kind of met that is known: all such files are named.
    """
    absent = [str(path) for path in paths if not path.exists()]
    if absent or not paths:
        raise DataError(f"met: no such file: {', '.join(absent) or 'none was given'}; expected met files")
    if len(paths) == 1 and paths[0].is_dir():
        return open_met(paths[0])
    unknown = [str(path) for path in paths if not _is_wrf(path)]
    if unknown:
        raise DataError(
            f"met: {', '.join(unknown)} is of no known kind; expected WRF output files (netCDF with MAP_PROJ "
            "and Times) or one met cube (a zarr store)"
        )
    return read_wrf(paths)


def _is_wrf(path: Path) -> bool:
    if path.is_dir():
        return False
    try:
        with xr.open_dataset(path, decode_times=False) as ds:
            return "MAP_PROJ" in ds.attrs and "Times" in ds.variables
    except (OSError, ValueError):  # no netCDF: of no known kind, which the caller reports
        return False
