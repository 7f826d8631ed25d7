"""Reading any kind of Doppler lidar file; `observations.kinds` tells them apart."""

import warnings
from pathlib import Path

from observations.dataset import TruncatedFileWarning
from observations.flux_lidar import halo, netcdf
from observations.flux_lidar.rays import Rays


def read_rays(path: Path, kind: str) -> tuple[Rays, ...]:
    """Return the rays of a Doppler lidar file, one for each sweep; what is cut short is in its remarks.

    Parameters
    ----------
    kind : "halo", "arm" or "windcube"
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        if kind == "windcube":
            return netcdf.read_windcube(path)
        return (halo.read_halo(path) if kind == "halo" else netcdf.read_arm(path),)
