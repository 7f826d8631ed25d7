"""The files of a Doppler lidar together: wind and mixing height over time, each with its sd or a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError, DataError
from observations.flux_lidar.mixing import (
    MixingHeight,
    cannot_say,
    from_aerosol,
    from_variance,
    vertical_variance,
)
from observations.flux_lidar.rays import Floats, Rays
from observations.flux_lidar.wind import FitSettings, WindFit, fit_wind, to_profiles

BLOCKS = 6
"""Parts of a window whose mean backscatter is one profile for the wavelet."""


@dataclass(frozen=True)
class DaySettings:
    """How the files of a lidar become profiles.

    wind : of the fit
    method : of the mixing height: "variance" of the vertical wind, or the edge of the "aerosol"
    window_h : vertical rays within half of it on either side of a wind scan tell the mixing height, h; where
        no file is a wind scan, each window of the period is one profile
    """

    wind: FitSettings
    method: Literal["variance", "aerosol"] = "variance"
    window_h: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.window_h <= 24:
            raise ConfigError(f"lidar profiles: window_h {self.window_h:g}; expected above 0, at most 24")


@dataclass(frozen=True)
class Day:
    """What became of the files of a lidar.

    profiles : schema "profiles"
    mixing : the mixing height of each time, or why there is none
    left_out : why scans gave no wind, by file
    """

    profiles: xr.Dataset
    mixing: tuple[MixingHeight, ...]
    left_out: Mapping[str, str]


def profiles_of(
    files: Mapping[str, Sequence[Rays]], settings: DaySettings, site: str, place: tuple[float, float, float]
) -> Day:
    """Return wind and mixing height of all scans of one lidar.

    Parameters
    ----------
    files : rays of each sweep, by the file's name
    place : longitude, latitude (degrees) and height of the lidar above the ground, m

    Raises
    ------
    DataError
        If no file gives anything, or wind scans have different gates.
    """
    sweeps = [(name, rays) for name, found in files.items() for rays in found]
    upright = [rays for _, rays in sweeps if rays.vertical().all()]
    fits, left_out = _fits([(n, r) for n, r in sweeps if not r.vertical().all()], settings.wind)
    if not fits:
        fits = _without_wind(upright, settings)
    if not fits:
        raise DataError(f"{site}: no wind and no vertical rays in {len(files)} files: {dict(left_out)}")
    mixing = tuple(_mixing(upright, one.time, settings) for one in fits)
    return Day(to_profiles(fits, mixing, site, place), mixing, left_out)


def _fits(sweeps: Sequence[tuple[str, Rays]], settings: FitSettings) -> tuple[list[WindFit], dict[str, str]]:
    """Return the wind of each scan in time, and why others gave none."""
    found, left_out = [], {}
    for name, rays in sweeps:
        try:
            one = fit_wind(rays, settings, name)
        except DataError as fault:
            left_out[name] = str(fault)
            continue
        if np.isfinite(one.wind).any():
            found.append(one)
        else:
            left_out[name] = f"{name}: no gate with enough signal all around"
    return sorted(found, key=lambda one: one.time), left_out


def _without_wind(upright: Sequence[Rays], settings: DaySettings) -> list[WindFit]:
    """Return profiles without wind in the middle of each window that has vertical rays."""
    if not upright:
        return []
    window = np.timedelta64(round(settings.window_h * 3600), "s")
    time = np.sort(np.concatenate([rays.time for rays in upright]))
    day = time[0].astype("datetime64[D]").astype("datetime64[ns]")
    middles = day + (np.unique((time - day) // window) * window) + window // 2
    height = upright[0].height[0]
    nothing, none = np.full((height.size, 3), np.nan), np.full((height.size, 3, 3), np.nan)
    return [WindFit(at, height, nothing, none, nothing[:, 0]) for at in middles]


def _mixing(upright: Sequence[Rays], time: np.datetime64, settings: DaySettings) -> MixingHeight:
    """Return the mixing height from the vertical rays about a time."""
    half = np.timedelta64(round(settings.window_h * 1800), "s")
    near = [rays for rays in upright if (np.abs(rays.time - time) <= half).any()]
    if not near:
        return cannot_say(f"no vertical rays within {settings.window_h / 2:g} h")
    height = near[0].height[0]
    if any(rays.distance.shape[1] != height.size or not np.allclose(rays.height[0], height) for rays in near):
        return cannot_say("vertical rays of different gates")
    use = [np.abs(rays.time - time) <= half for rays in near]
    order = np.argsort(np.concatenate([rays.time[k] for rays, k in zip(near, use, strict=True)]))

    def stacked(name: str) -> Floats:
        return np.concatenate([getattr(r, name)[k] for r, k in zip(near, use, strict=True)])[order]

    clear = near[0].distance[0] > settings.wind.blind
    if settings.method == "aerosol":
        return _by_aerosol(height[clear], stacked("backscatter")[:, clear])
    velocity = np.where(stacked("signal") >= settings.wind.least_signal, stacked("velocity"), np.nan)
    return _by_variance(height[clear], velocity[:, clear])


def _by_variance(height: Floats, velocity: Floats) -> MixingHeight:
    """Return the mixing height by the gates that every ray of the window saw."""
    whole = np.isfinite(velocity).all(axis=0)
    variance, sd = np.full(height.size, np.nan), np.full(height.size, np.nan)
    if len(velocity) < 30 or not whole.any():
        return cannot_say(f"{len(velocity)} vertical rays with {int(whole.sum())} whole gates; needs 30 rays")
    variance[whole], sd[whole] = vertical_variance(velocity[:, whole])
    return from_variance(height, variance, sd)


def _by_aerosol(height: Floats, backscatter: Floats) -> MixingHeight:
    if len(backscatter) < BLOCKS:
        return cannot_say(f"{len(backscatter)} vertical rays; needs {BLOCKS}")
    return from_aerosol(height, np.stack([part.mean(axis=0) for part in np.array_split(backscatter, BLOCKS)]))
