"""The mixing height of a lidar as judge of other data: it flags them or widens their error, and says so."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import Random
from observations.dataset import SUSPECT, with_flag
from observations.flux_lidar.rays import Floats

LONGEST_GAP = np.timedelta64(1, "h")
"""A mixing height farther away in time says nothing of a datum."""


def height_at(profiles: xr.Dataset, site: str, time: npt.NDArray[np.datetime64]) -> tuple[Floats, Floats]:
    """Return mixing height and sd of the nearest profile within an hour, m; NaN where the lidar cannot say.

    Raises
    ------
    DataError
        If the lidar is not among the profiles.
    """
    schema.check(profiles, "profiles", "mixing height")
    if site not in profiles.site.values:
        raise DataError(f"no lidar '{site}'; expected one of {', '.join(profiles.site.values.tolist())}")
    one = profiles.sel(site=site).sortby("time")
    after = np.clip(np.searchsorted(one.time.values, time), 0, one.sizes["time"] - 1)
    before = np.maximum(after - 1, 0)
    away = [np.abs(one.time.values[k] - time) for k in (before, after)]
    nearest = np.where(away[0] <= away[1], before, after)
    close = np.minimum(*away) <= LONGEST_GAP
    return tuple(
        np.where(close, one[n].values[nearest], np.nan) for n in ("mixing_height", "mixing_height_sd")
    )  # type: ignore[return-value]


def leave_out(
    observations: xr.Dataset,
    profiles: xr.Dataset,
    lidar: str,
    factor: float,
    unknown: Literal["keep", "flag"],
) -> xr.Dataset:
    """Return the observations flagged suspect where the mixing height is below `factor` inlets.

    Parameters
    ----------
    unknown : what becomes of data of which the lidar cannot say: kept, or flagged too
    """
    height, _ = height_at(profiles, lidar, observations.time.values)
    low = height < factor * observations.inlet.values
    low |= np.isnan(height) & (unknown == "flag")
    said = f"mixing height of lidar {lidar} below {factor:g} inlets"
    return with_flag(observations, low, SUSPECT, said + (" or not known" if unknown == "flag" else ""))


def inflation(enhancement: Floats, model: Floats, lidar: Floats, lidar_sd: Floats, unknown: float) -> Random:
    """Return the transport error of a wrong mixing height as a random part.

    In a mixed layer the enhancement goes as 1 / height, so a model height off by a share is an enhancement
    off by that share; the lidar's own sd counts with it.

    Parameters
    ----------
    enhancement : over the background as the model has it, mol mol-1, shape (obs,)
    model, lidar, lidar_sd : mixing heights and the lidar's sd, m; lidar NaN where it cannot say
    unknown : share taken where the lidar cannot say

    Raises
    ------
    DataError
        If a model height is not positive or `unknown` is not finite and at least 0.
    """
    if not (model > 0).all() or not 0 <= unknown < np.inf:
        raise DataError(
            f"model height of {model.min():g} m, unknown = {unknown:g}; expected above 0, 0 or more"
        )
    share = np.hypot((model - lidar) / lidar, lidar_sd / lidar)
    return Random("mixing-height", np.abs(enhancement) * np.where(np.isnan(share), unknown, share))
