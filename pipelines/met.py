"""The met reader that a section of the configuration describes, and its cube as the result of a stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from pyproj import CRS

from metroflux.errors import ArchiveError
from pipelines.store import Codec
from pipelines.weather import ARLMet, CFMetSection, ERA5Met, GridFiles, MetFiles, WRFMet
from transport.met import DEFAULT_LEVELS, open_met
from transport.meteorology.arl import arl
from transport.meteorology.cfmet import CFMet, CFReader
from transport.meteorology.cube import Target
from transport.meteorology.era5 import era5_model_levels, era5_pressure_levels
from transport.meteorology.reader import MetReader
from transport.meteorology.store import build_met
from transport.meteorology.wrf import WRFReader


@dataclass(frozen=True)
class MetFromFiles:
    """A met cube to be made, as `transport.meteorology.store.build_met` takes it.

    Kept, it is a zarr store per day, written time by time. Read back, it is a dataset whose values are read
    when they are needed, where they are needed: a worker opens the same folder and reads its hours only.
    """

    reader: MetReader
    files: Sequence[Path]
    levels: tuple[float, ...]
    target: Target


def _build(value: Any, path: Path) -> None:
    path.mkdir()
    build_met(value.reader, value.files, path, value.levels, value.target)


def _open(path: Path) -> xr.Dataset:
    cubes = [part for part in path.iterdir() if part.is_dir()]
    if len(cubes) != 1:
        raise ArchiveError(f"{path}: {len(cubes)} met cubes; expected one")
    return open_met(cubes[0])


MET_CUBE = Codec(".cube", lambda value: isinstance(value, MetFromFiles), _build, _open)
"""How the met of a run is kept."""


def reader_of(met: WRFMet | ERA5Met | ARLMet | CFMetSection) -> MetReader:
    """Return the reader that a section describes."""
    match met:
        case WRFMet():
            return WRFReader(met.roughness)
        case ERA5Met(on="pressure"):
            return CFReader(era5_pressure_levels(met.roughness, met.crs, met.area, met.cut_margin))
        case ERA5Met():
            return CFReader(
                era5_model_levels(met.coefficients, met.roughness, met.crs, met.area, met.cut_margin)
            )
        case ARLMet():
            return CFReader(arl(met.roughness, met.fluxes, met.area))
        case CFMetSection():
            return CFReader(_mapping(met))


def _mapping(met: CFMetSection) -> CFMet:
    names = {key: (value,) if isinstance(value, str) else value for key, value in met.variables.items()}
    return CFMet(
        variables=names, time=(met.time,), level=(met.level,), y=(met.y,), x=(met.x,),
        pressure=met.pressure, coefficients=met.coefficients, wind=met.wind, fluxes=met.fluxes,
        accumulation=met.accumulation, crs=met.crs, area=met.area, cut_margin=met.cut_margin,
        roughness=met.roughness,
    )  # fmt: skip


def levels_of(met: MetFiles) -> tuple[float, ...]:
    """Return the heights of the met cube, m above ground."""
    return met.levels or DEFAULT_LEVELS


def target_of(met: MetFiles, crs: str) -> Target:
    """Return where the cube stands: in the projection of the flux grid."""
    step = met.step if isinstance(met, GridFiles) else None
    return Target(CRS.from_user_input(crs), step, met.vertical)
