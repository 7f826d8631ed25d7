"""Wind profiles from a scan (VAD or DBS): weighted least squares with the standard uncertainty of the fit.

Velocity along a ray: v_r = u sin(az) cos(el) + v cos(az) cos(el) + w sin(el) (Browning and Wexler 1968).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from observations.flux_lidar.mixing import MixingHeight
from observations.flux_lidar.rays import Floats, Rays, require_whole_scan

_UNKNOWNS = 3
_TURNING_SIGNAL = 0.25


@dataclass(frozen=True)
class FitSettings:
    """How a wind is fitted.

    sd_from : "residuals": the spread about the fit, turbulence included, Student t with rays - 3 degrees of
        freedom; "instrument": `velocity_sd` alone, the only way where three beams leave no residual
    velocity_sd : of one ray, m s-1, at high signal; None with "residuals": all rays weigh alike
    least_signal : signal-to-noise ratio that a gate needs (0.01 = -20 dB)
    blind : distance up to which a pulse blinds the detector, m
    widest_gap : between neighbouring azimuths of the rays used, degrees
    """

    sd_from: Literal["residuals", "instrument"] = "residuals"
    velocity_sd: float | None = None
    least_signal: float = 0.01
    blind: float = 90.0
    widest_gap: float = 130.0

    def __post_init__(self) -> None:
        if self.sd_from == "instrument" and self.velocity_sd is None:
            raise ConfigError("wind fit: sd_from 'instrument' needs velocity_sd, m s-1")


@dataclass(frozen=True)
class WindFit:
    """The wind of one scan over height.

    height : above the lidar, m, shape (gate,)
    wind : u, v, w, m s-1, shape (gate, 3); NaN where the lidar cannot say
    covariance : of u, v, w, m2 s-2, shape (gate, 3, 3)
    degrees_of_freedom : of the spread; infinite with the sd of the instrument, shape (gate,)
    """

    time: np.datetime64
    height: Floats
    wind: Floats
    covariance: Floats
    degrees_of_freedom: Floats

    @property
    def wind_sd(self) -> Floats:
        """Standard uncertainty of a horizontal component, m s-1: root mean of the variances of u and v."""
        return np.asarray(np.sqrt(0.5 * (self.covariance[:, 0, 0] + self.covariance[:, 1, 1])))


def fit_wind(rays: Rays, settings: FitSettings, where: str) -> WindFit:
    """Return the wind profile of one scan.

    Gates of different elevations are paired where their heights differ by less than half a gate.

    Raises
    ------
    DataError
        If rays that the file announces are missing.
    """
    require_whole_scan(rays, where)
    height, velocity, signal = _on_heights(rays, settings.blind)
    az, el = np.radians(rays.azimuth), np.radians(rays.elevation)
    design = np.stack([np.sin(az) * np.cos(el), np.cos(az) * np.cos(el), np.sin(el)], axis=1)
    gates = height.size
    wind, cov = np.full((gates, 3), np.nan), np.full((gates, 3, 3), np.nan)
    freedom = np.full(gates, np.nan)
    for gate in range(gates):
        use = np.isfinite(velocity[:, gate]) & (signal[:, gate] >= settings.least_signal)
        if _gap(rays, use) > settings.widest_gap or not _enough(int(use.sum()), settings):
            continue
        sd = _ray_sd(signal[use, gate], settings)
        wind[gate], cov[gate], freedom[gate] = fit(design[use], velocity[use, gate], sd, settings.sd_from)
    middle = rays.time.min() + (rays.time.max() - rays.time.min()) // 2
    return WindFit(middle, height, wind, cov, freedom)


def _enough(count: int, settings: FitSettings) -> bool:
    return count > _UNKNOWNS or (count == _UNKNOWNS and settings.sd_from == "instrument")


def _ray_sd(signal: Floats, settings: FitSettings) -> Floats:
    """Return the sd of each ray's velocity, m s-1: velocity_sd (1 + 0.25 / SNR).

    That is the form of Rye and Hardesty (1993) from few photons to saturation, with its turning point at
    2 pi times spectral width over bandwidth: 0.25 for 1.5 m s-1 in the 38.8 m s-1 of a StreamLine.
    """
    if settings.velocity_sd is None:
        return np.ones(signal.size)
    return settings.velocity_sd * (1.0 + _TURNING_SIGNAL / signal)


def fit(
    design: Floats, velocity: Floats, sd: Floats, sd_from: Literal["residuals", "instrument"]
) -> tuple[Floats, Floats, float]:
    """Return u, v, w, their covariance and its degrees of freedom, from rays of given relative or true sd.

    >>> wind, covariance, freedom = fit(np.eye(3), np.array([1.0, 2.0, 0.0]), np.ones(3), "instrument")
    >>> wind, freedom
    (array([1., 2., 0.]), inf)
    """
    scaled, target = design / sd[:, None], velocity / sd
    normal: Floats = np.linalg.inv(scaled.T @ scaled).astype(np.float64)
    wind = normal @ (scaled.T @ target)
    if sd_from == "instrument":
        return wind, normal, np.inf
    freedom = velocity.size - _UNKNOWNS
    spread = float(np.sum((target - scaled @ wind) ** 2)) / freedom
    return wind, spread * normal, float(freedom)


def _gap(rays: Rays, use: npt.NDArray[np.bool_]) -> float:
    """Return the widest gap between neighbouring azimuths of the slanted rays used, degrees."""
    around = np.sort(rays.azimuth[use & ~rays.vertical()])
    if around.size < 2:
        return 360.0
    return float(np.max(np.diff(np.append(around, around[0] + 360.0))))


def _on_heights(rays: Rays, blind: float) -> tuple[Floats, Floats, Floats]:
    """Return heights of the first slanted ray, and each ray's velocity and signal there."""
    slanted = np.flatnonzero(~rays.vertical())
    if not slanted.size:
        raise DataError(f"{rays.instrument}: all rays point up; expected a VAD or DBS scan")
    all_heights = rays.height
    seen = rays.distance[slanted[0]] > blind
    height = all_heights[slanted[0]][seen]
    velocity = np.full((rays.time.size, height.size), np.nan)
    signal = np.full(velocity.shape, np.nan)
    half = 0.5 * float(np.median(np.diff(height))) if height.size > 1 else 0.0
    for ray in range(rays.time.size):
        order = np.arange(all_heights.shape[1])
        nearest = np.rint(np.interp(height, all_heights[ray], order)).astype(np.intp)
        near = np.abs(all_heights[ray][nearest] - height) <= half * (1.0 + 1e-9)  # rounding of equal heights
        velocity[ray, near] = rays.velocity[ray, nearest[near]]
        signal[ray, near] = rays.signal[ray, nearest[near]]
    return height, velocity, signal


def to_profiles(
    fits: Sequence[WindFit], mixing: Sequence[MixingHeight], site: str, place: tuple[float, float, float]
) -> xr.Dataset:
    """Return the profiles of a site (schema "profiles"), one time for each scan.

    Parameters
    ----------
    mixing : of the time of each scan
    place : longitude, latitude (degrees) and height of the lidar above the ground, m

    Raises
    ------
    DataError
        If the scans are none or have different gates.
    """
    same = fits and all(np.array_equal(fits[0].height, one.height) for one in fits)
    if not same or len(mixing) != len(fits):
        raise DataError(
            f"{site}: {len(fits)} scans, {len(mixing)} mixing heights; expected as many, one set of gates"
        )
    wind = np.stack([one.wind for one in fits])[None]
    sd = np.stack([one.wind_sd for one in fits])[None]
    mixed = np.array([[m.height for m in mixing], [m.sd for m in mixing]])[:, None]
    cube, flat, speed = ("site", "time", "height"), ("site", "time"), {"units": "m s-1"}
    ds = xr.Dataset(
        {
            "u": (cube, wind[..., 0], speed),
            "v": (cube, wind[..., 1], speed),
            "wind_sd": (cube, sd, speed),
            "mixing_height": (flat, mixed[0] + place[2], {"units": "m"}),
            "mixing_height_sd": (flat, mixed[1], {"units": "m"}),
        },
        coords={
            "site": np.array([site]),
            "time": np.array([one.time for one in fits]),
            "height": ("height", fits[0].height + place[2], {"units": "m"}),
            "latitude": ("site", np.array([place[1]]), {"units": "degrees_north"}),
            "longitude": ("site", np.array([place[0]]), {"units": "degrees_east"}),
        },
    )
    return schema.check(ds, "profiles", f"Doppler lidar {site}")
