"""Month, weekday and hour profiles in local time: the mean flux of a period becomes one of each interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from metroflux.time import Times
from priors.build import check_flux
from priors.cells import Floats

_STEP = np.timedelta64(15, "m")  # every time zone in use is offset by whole quarters of an hour
_LENGTHS = {"month": 12, "weekday": 7, "hour": 24}


@dataclass(frozen=True)
class Profile:
    """Relative activity in local time; only ratios within each list count.

    time_zone : IANA name, such as "Europe/Berlin"; daylight saving is followed
    month : January to December
    weekday : Monday to Sunday
    hour : the hour that starts at 0 to the one that starts at 23
    """

    time_zone: str
    month: tuple[float, ...] = (1.0,) * 12
    weekday: tuple[float, ...] = (1.0,) * 7
    hour: tuple[float, ...] = (1.0,) * 24

    def __post_init__(self) -> None:
        faults = []
        for name, length in _LENGTHS.items():
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.shape != (length,) or not (values >= 0).all() or not values.any():
                found = f"{values.size} values, least {values.min(initial=np.inf):g}"
                faults.append(f"{name}: {found}; expected {length}, none negative, not all zero")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            faults.append(
                f"time_zone: '{self.time_zone}' is unknown, expected a name such as 'Europe/Berlin'"
            )
        if faults:
            raise DataError("profile: " + "; ".join(faults))


def apply_profiles(
    prior: xr.Dataset, profiles: Mapping[str, Profile], base: tuple[np.datetime64, np.datetime64]
) -> xr.Dataset:
    """Return the prior with the flux of each profiled sector spread over time.

    The prior's flux is taken as the mean over the base period, usually a calendar year; the mean of the
    result over that period is the same number, whatever the calendar does. Other sectors stay constant.

    Parameters
    ----------
    profiles : sector -> profile
    base : start and end of the period that the flux is a mean of, UTC

    Raises
    ------
    DataError
        If a sector is unknown or varies in time already, the base does not hold the flux intervals, there is
        a flux_sd already (it follows the flux), or an edge is not on a quarter of an hour.
    """
    check_flux(prior, "prior")
    sectors = [str(sector) for sector in prior["sector"].values]
    bounds = prior["flux_time_bounds"].values
    faults = _faults(prior, profiles, base)
    if faults:
        raise DataError("profiles: " + "; ".join(faults))
    factor = np.ones((len(sectors), len(bounds)))
    for sector, profile in profiles.items():
        factor[sectors.index(sector)] = _factors(profile, bounds, base)
    flux = prior["flux"]
    scaled = flux.values * factor.reshape(factor.shape + (1,) * (flux.ndim - 2))
    return check_flux(prior.assign(flux=(flux.dims, scaled, flux.attrs)), "profiles")


def _faults(
    prior: xr.Dataset, profiles: Mapping[str, Profile], base: tuple[np.datetime64, np.datetime64]
) -> list[str]:
    sectors = [str(sector) for sector in prior["sector"].values]
    bounds = prior["flux_time_bounds"].values
    unknown = sorted(set(profiles) - set(sectors))
    faults = [f"unknown sectors {', '.join(unknown)} (the prior has {', '.join(sectors)})"] if unknown else []
    if "flux_sd" in prior.variables:
        faults.append("the prior has a flux_sd already; expected with_sd after the profiles")
    if bounds.min() < base[0] or bounds.max() > base[1]:
        faults.append(
            f"base {base[0]} to {base[1]} does not hold the flux intervals {bounds.min()} to {bounds.max()}"
        )
    if any(((edges - base[0]) % _STEP != np.timedelta64(0)).any() for edges in (bounds, np.array(base))):
        faults.append("an edge is not a whole number of quarters of an hour from the start of the base")
    for sector in set(profiles) & set(sectors):
        flux = prior["flux"].sel(sector=sector).values
        if (flux != flux[:1]).any():
            faults.append(f"sector '{sector}' varies in time already; expected a constant flux")
    return faults


def _factors(profile: Profile, bounds: Times, base: tuple[np.datetime64, np.datetime64]) -> Floats:
    """Return the mean of the profile in each interval over its mean in the base period."""
    start = base[0].astype("datetime64[ns]")
    steps = np.arange(start, base[1].astype("datetime64[ns]"), _STEP)
    local = pd.DatetimeIndex(steps, tz="UTC").tz_convert(profile.time_zone)
    activity = (
        np.asarray(profile.month)[local.month - 1]
        * np.asarray(profile.weekday)[local.day_of_week]
        * np.asarray(profile.hour)[local.hour]
    )
    if not activity.any():
        raise DataError("profiles: no activity at all in the base period")
    at = ((bounds - start) // _STEP).astype(int)
    return np.array([activity[first:last].mean() for first, last in at]) / activity.mean()
