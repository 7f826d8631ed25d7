"""The met reader that a section of the configuration describes."""

from pyproj import CRS

from pipelines.weather import ARLMet, CFMetSection, ERA5Met, GridFiles, MetFiles, WRFMet
from transport.met import DEFAULT_LEVELS
from transport.meteorology.arl import arl
from transport.meteorology.cfmet import CFMet, CFReader
from transport.meteorology.cube import MetReader, Target
from transport.meteorology.era5 import era5_model_levels, era5_pressure_levels
from transport.meteorology.wrf import WRFReader


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
