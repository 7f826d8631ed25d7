"""Met files of any known kind to the met cube: the kind is found by content."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from pyproj import CRS

from metroflux.errors import ConfigError, DataError
from transport.met import DEFAULT_LEVELS, open_met
from transport.meteorology.arl import arl, open_arl
from transport.meteorology.cfmet import CFMet, CFReader
from transport.meteorology.cube import Target, read_met
from transport.meteorology.era5 import era5_model_levels, era5_pressure_levels
from transport.meteorology.reader import MetReader
from transport.meteorology.store import build_met
from transport.meteorology.wrf import WRFReader

Box = tuple[float, float, float, float]

MARGIN = 2.0
"""Degrees around the domain that are read of a longitude-latitude file: particles may leave and come back."""

_WIDEST = 40.0  # degrees: beyond it one plane map is a poor frame, and the file is rather the globe
_DEGREE = 111_195.0  # m, of latitude
_MODEL_LEVELS = {"hybrid", "model_level", "ml", "lnsp", "hyai", "hyam"}
_PRESSURE_LEVELS = {"plev", "pressure_level", "isobaricInhPa"}
_ERA5 = {
    "u",
    "v",
    "t",
    "q",
    "sp",
    "z",
    "blh",
    "lnsp",
    "10u",
    "u10",
    "2t",
    "t2m",
    "fsr",
    "ishf",
    "iews",
    "zust",
}


@dataclass(frozen=True)
class _Look:
    """What a cheap look at a file tells: its kind, the names in it, whether its axes are degrees."""

    path: Path
    kind: str
    names: frozenset[str] = frozenset()
    geographic: bool = False


def read_met_files(
    paths: Sequence[Path], domain: Box | None = None, roughness: float | None = None,
    folder: Path | None = None,
) -> xr.Dataset:  # fmt: skip
    """Return the met cube of WRF, ERA5 or ARL files, or of one cube stored as zarr.

    A projected file keeps its projection. A longitude-latitude file is interpolated to a stereographic map
    about the domain and `MARGIN` degrees around it, at the file's spacing.

    Parameters
    ----------
    domain : west, south, east, north, degrees
    roughness : m, used where the files have none
    folder : where the cube is built time by time, unless it is there already, and opened lazily; None: the
        whole cube is in memory

    Raises
    ------
    DataError
        If files are absent, of no kind that is known (all are named) or of several kinds; and as the reader
        of the kind.
    ConfigError
        If a file of half the globe is given without a domain.
    """
    absent = [str(path) for path in paths if not path.exists()]
    if absent or not paths:
        raise DataError(f"met: no such file: {', '.join(absent) or 'none was given'}; expected met files")
    if len(paths) == 1 and paths[0].is_dir():
        return open_met(paths[0])
    looks = [_look(path) for path in paths]
    unknown = [str(look.path) for look in looks if look.kind == "unknown"]
    if unknown:
        raise DataError(
            f"met: {', '.join(unknown)} is of no known kind; expected WRF output (netCDF with MAP_PROJ and "
            "Times), ERA5 (netCDF), ARL packed files or one met cube (a zarr store)"
        )
    kinds = sorted({look.kind for look in looks})
    if len(kinds) > 1:
        raise DataError(f"met: files of several kinds ({', '.join(kinds)}); expected one")
    area, target = None, None
    if looks[0].geographic:
        area, target = _map_of(looks[0], domain)
    reader = WRFReader(roughness=roughness) if kinds == ["wrf"] else _reader(looks, area, roughness)
    if folder is None:
        return read_met(reader, paths, DEFAULT_LEVELS, target)
    return open_met(build_met(reader, paths, folder, DEFAULT_LEVELS, target))


def _reader(looks: list[_Look], area: Box | None, roughness: float | None) -> MetReader:
    if looks[0].kind == "arl":
        return CFReader(arl(roughness=roughness, area=area))
    names = frozenset().union(*(look.names for look in looks))
    make = era5_model_levels if names & _MODEL_LEVELS else era5_pressure_levels
    mapping: CFMet = make(roughness=roughness, area=area, cut_margin=True)
    return CFReader(mapping)


def _look(path: Path) -> _Look:
    if path.is_dir():
        return _Look(path, "unknown")
    with path.open("rb") as stream:
        if stream.read(18)[14:18] == b"INDX":  # label of ARL's first record
            return _Look(path, "arl", geographic="spatial_ref" not in open_arl(path).variables)
    try:
        with xr.open_dataset(path, decode_times=False) as ds:
            names = frozenset(map(str, (*ds.variables, *ds.dims)))
            if "MAP_PROJ" in ds.attrs and "Times" in names:
                return _Look(path, "wrf", names)
    except (OSError, ValueError):  # no netCDF: of no known kind, which the caller reports
        return _Look(path, "unknown")
    levels = names & (_MODEL_LEVELS | _PRESSURE_LEVELS | {"level", "lev"})
    if names & _ERA5 and (levels or not {"u", "v"} <= names):
        return _Look(path, "era5", names, geographic=bool(names & {"latitude", "lat"}) and "x" not in names)
    return _Look(path, "unknown", names)


def _map_of(look: _Look, domain: Box | None) -> tuple[Box, Target]:
    """Return the part of a longitude-latitude file to read, and the map to put it on."""
    if look.kind == "arl":
        ds = open_arl(look.path)
    else:
        with xr.open_dataset(look.path, decode_times=False) as found:
            ds = found.drop_vars([n for n, v in found.data_vars.items() if v.ndim > 1]).load()
    lat, lon = (
        next(ds[n].values for n in names if n in ds) for names in (("latitude", "lat"), ("longitude", "lon"))
    )
    if domain is None:
        area = (float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
    else:
        west, south, east, north = domain
        area = (west - MARGIN, max(-90.0, south - MARGIN), east + MARGIN, min(90.0, north + MARGIN))
    if area[2] - area[0] > _WIDEST or area[3] - area[1] > _WIDEST:
        raise ConfigError(
            f"{look.path}: longitude-latitude met of {area[2] - area[0]:g} x {area[3] - area[1]:g} degrees; "
            f"expected a domain (--domain) of at most {_WIDEST - 2 * MARGIN:g}"
        )
    # whole degrees, so that a small change of the domain keeps the map
    middle = [round((low + high) / 2) for low, high in ((area[0], area[2]), (area[1], area[3]))]
    crs = CRS(f"+proj=stere +lat_0={middle[1]} +lon_0={middle[0]} +ellps=WGS84 +units=m")
    step = float(np.round(abs(np.diff(lat).mean()) * _DEGREE, -2))
    return area, Target(crs=crs, step=step)
