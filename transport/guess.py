"""Which reader a file needs and where its cube may stand, for use without a configuration."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pyproj import CRS

from metroflux.errors import DataError
from transport.arl import arl
from transport.cffile import open_cf
from transport.cfmet import CFReader
from transport.cube import MetReader, Target
from transport.era5 import era5_model_levels, era5_pressure_levels
from transport.wrf import WRFReader

_NETCDF = (b"CDF", b"\x89HDF")
_METRES_PER_DEGREE = 111_195.0  # of latitude, on a sphere of 6371 km


def guess_reader(
    paths: Sequence[Path],
    roughness: float | None = None,
    area: tuple[float, float, float, float] | None = None,
) -> MetReader:
    """Return the reader for files of one kind: WRF and ERA5 netCDF by what they hold, else ARL.

    roughness : m, where files have none; area : west, south, east, north, degrees, of files in degrees

    Raises
    ------
    DataError
        If a file is netCDF, but neither WRF nor ERA5: it needs a mapping (`cfmet.CFMet`).
    """
    kinds = {path: _kind(Path(path)) for path in paths}
    found = sorted(set(kinds.values()) - {"surface"})
    if len(found) != 1:
        listed = "; ".join(f"{path} is {kind}" for path, kind in kinds.items())
        raise DataError(f"met files of one kind are expected: {listed or 'no files'}")
    if found[0] == "wrf":
        return WRFReader(roughness)
    if found[0] == "arl":
        return CFReader(arl(roughness, area=area))
    if found[0] == "model levels":
        return CFReader(era5_model_levels(roughness=roughness, area=area))
    return CFReader(era5_pressure_levels(roughness=roughness, area=area))


def _kind(path: Path) -> str:
    """Return "wrf", "pressure levels", "model levels", "surface" (of either) or "arl"."""
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected a met file") from None
    if not start.startswith(_NETCDF):
        return "arl"
    with open_cf(path) as ds:
        if "MAP_PROJ" in ds.attrs:
            return "wrf"
        if "u" not in ds.variables:
            known = {"sp", "lnsp", "t2m", "2t", "u10", "10u", "blh"} & set(map(str, ds.variables))
            if known:
                return "surface"
            raise DataError(f"{path}: neither WRF nor ERA5; expected a configuration with reader 'cf'")
        levels = set(map(str, ds["u"].dims))
    if levels & {"hybrid", "lev", "model_level", "ml"}:
        return "model levels"
    return "pressure levels"


def local_target(reader: MetReader, paths: Sequence[Path]) -> Target:
    """Return where the cube of files may stand: a projected file's own grid, else a map about its middle.

    The map is an oblique stereographic one, which is conformal anywhere on the globe, with points as far
    apart as the file's parallels.
    """
    frame = reader.catalogue([Path(path) for path in paths])[0][0]
    if not frame.geographic:
        return Target()
    middle = float(np.mean(frame.y)), float(np.mean(frame.x))
    crs = CRS(f"+proj=stere +lat_0={middle[0]:.4f} +lon_0={middle[1]:.4f} +R=6371229 +units=m")
    return Target(crs, float(round(_METRES_PER_DEGREE * (frame.y[1] - frame.y[0]))))
