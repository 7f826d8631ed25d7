"""ERA5 netCDF: the names of its fields in the files of the Climate Data Store, MARS and CDO."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from transport.meteorology.cfmet import CFMet

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "u": ("u",), "v": ("v",), "t": ("t",), "q": ("q",), "omega": ("w",),
    "surface_pressure": ("sp",), "log_surface_pressure": ("lnsp",), "terrain": ("z", "z_surface", "orog"),
    "u10": ("u10", "10u"), "v10": ("v10", "10v"), "t2": ("t2m", "2t"), "dewpoint_2m": ("d2m", "2d"),
    "ustar": ("zust",), "mixing_height": ("blh",), "z0": ("fsr",),
    "stress_x": ("iews", "metss", "avg_iews", "ewss"), "stress_y": ("inss", "mntss", "avg_inss", "nsss"),
    "sensible_heat_flux": ("ishf", "msshf", "avg_ishf", "sshf"),
    "latent_heat_flux": ("ie", "mslhf", "avg_slhtf", "slhf"),
})  # fmt: skip

_HOUR = 3600.0
"""s: ERA5 sums fluxes over the hour before the stated time (Hersbach et al. 2020)."""


def era5_pressure_levels(
    roughness: float | None = None,
    crs: str | None = None,
    area: tuple[float, float, float, float] | None = None,
    cut_margin: bool = False,
) -> CFMet:
    """Return the mapping of ERA5 on pressure levels with its surface fields, in one file or several.

    Needs u, v, w, t, q on levels; sp, z (surface) and fsr or a roughness; 10u, 10v, 2t, 2d, blh, zust or iews
    and inss, ishf, ie are used if there. Heights are from the hypsometric equation above sp, because z on
    levels and z of the surface share a name. Instantaneous fluxes are taken before means and sums.
    Parameters as of `CFMet`.
    """
    return CFMet(
        variables=_NAMES, time=("time", "valid_time"),
        level=("level", "pressure_level", "plev", "isobaricInhPa"),
        pressure="level", fluxes="down", accumulation=_HOUR,
        roughness=roughness, crs=crs, area=area, cut_margin=cut_margin,
    )  # fmt: skip


def era5_model_levels(
    coefficients: Path | None = None,
    roughness: float | None = None,
    crs: str | None = None,
    area: tuple[float, float, float, float] | None = None,
    cut_margin: bool = False,
) -> CFMet:
    """Return the mapping of ERA5 on model levels: p = a + b ps at half levels, levels counted from the top.

    a and b are the file's hyai, hybi (or hyam, hybm) or the CSV file `coefficients` (header a,b; 138 rows for
    L137). ps is sp or exp(lnsp). Everything else as `era5_pressure_levels`.
    """
    return CFMet(
        variables={**_NAMES, "hybrid_a": ("hyai", "a_half", "hyam"), "hybrid_b": ("hybi", "b_half", "hybm")},
        time=("time", "valid_time"), level=("level", "hybrid", "lev", "model_level", "ml"),
        pressure="hybrid", coefficients=coefficients, fluxes="down", accumulation=_HOUR,
        roughness=roughness, crs=crs, area=area, cut_margin=cut_margin,
    )  # fmt: skip
