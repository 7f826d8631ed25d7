"""What a Doppler lidar measured: rays and their gates, whatever the maker of the file."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError
from metroflux.time import Times

Floats = npt.NDArray[np.float64]

LIGHT = 299_792_458.0
"""Speed of light, m s-1, exact (SI)."""


@dataclass(frozen=True)
class Rays:
    """The rays of one file.

    instrument : maker and number
    scan : as the file names it, for example "VAD"
    time : UTC, shape (ray,)
    azimuth, elevation : degrees clockwise from north and above the horizon, shape (ray,)
    distance : to the middle of each gate, m, shape (ray, gate)
    velocity : along the ray, positive away from the lidar, m s-1; NaN where missing, shape (ray, gate)
    signal : signal-to-noise ratio of the carrier, 1, shape (ray, gate)
    backscatter : attenuated, m-1 sr-1, shape (ray, gate)
    width : of the spectrum, m s-1; NaN where not stated, shape (ray, gate)
    gate_length : m
    planned : rays that make one scan, by the file; 0 = not stated
    place : longitude, latitude (degrees), altitude (m); NaN where not stated
    remarks : what a user must know
    """

    instrument: str
    scan: str
    time: Times
    azimuth: Floats
    elevation: Floats
    distance: Floats
    velocity: Floats
    signal: Floats
    backscatter: Floats
    width: Floats
    gate_length: float
    planned: int = 0
    place: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (self.time.size, self.distance.shape[-1])
        two = ("distance", "velocity", "signal", "backscatter", "width")
        wrong = [name for name in two if getattr(self, name).shape != shape]
        wrong += [n for n in ("azimuth", "elevation") if getattr(self, n).shape != shape[:1]]
        wrong += [n for n in ("azimuth", "elevation") if not np.isfinite(getattr(self, n)).all()]
        if np.isnat(self.time).any():
            wrong.append("time")
        if wrong or 0 in shape:
            raise DataError(f"{self.instrument}: {shape[0]} rays of {shape[1]} gates; wrong: {wrong}")

    @property
    def height(self) -> Floats:
        """Height of each gate above the lidar, m, shape (ray, gate)."""
        return np.asarray(self.distance * np.sin(np.radians(self.elevation))[:, None])

    def vertical(self) -> "npt.NDArray[np.bool_]":
        """Return which rays point up, within 1 degree."""
        return np.abs(self.elevation - 90.0) < 1.0


def require_whole_scan(rays: Rays, where: str) -> None:
    """Stop if a scan lacks rays that its file announces.

    Raises
    ------
    DataError
        If there are fewer rays than planned, or an incomplete last scan.
    """
    if rays.planned > 1 and rays.time.size % rays.planned:
        raise DataError(
            f"{where}: {rays.time.size} rays, the file announces {rays.planned} for each {rays.scan}; "
            "expected whole scans: a wind fitted to the rest would look as good as any"
        )
