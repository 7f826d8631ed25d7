"""Which kind of lidar file a file is, by its content, and reading any of them."""

import warnings
from pathlib import Path

from observations.dataset import TruncatedFileWarning
from observations.flux_lidar import halo, netcdf
from observations.flux_lidar.rays import Rays
from observations.head import read_head

ABOUT = {
    "halo": "HALO Photonics StreamLine rays (.hpl)",
    "halo-background": "HALO Photonics StreamLine background",
    "arm": "ARM Doppler lidar netCDF",
    "windcube": "WindCube netCDF with CF/Radial sweeps",
    "dial": "DIAL profiles of metroflux",
}
"""Every kind of lidar file, with what it is."""


def kind_of(path: Path) -> str | None:
    """Return the kind of a lidar file, a key of ABOUT, or None for any other file.

    Raises
    ------
    DataError
        If it is absent, empty, or binary but not netCDF.
    """
    head = read_head(path)
    if halo.is_halo(head.lines):
        return "halo"
    if path.name.startswith("Background_") and head.line(0)[:1].isdigit():
        return "halo-background"
    if head.names >= netcdf.ARM:
        return "arm"
    if head.names >= netcdf.WINDCUBE:
        return "windcube"
    return "dial" if {"cross_section_sd", "neighbour_correlation"} <= head.names else None


def read_rays(path: Path, kind: str) -> tuple[Rays, ...]:
    """Return the rays of a Doppler lidar file, one for each sweep; what is cut short is in its remarks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        if kind == "windcube":
            return netcdf.read_windcube(path)
        return (halo.read_halo(path) if kind == "halo" else netcdf.read_arm(path),)
