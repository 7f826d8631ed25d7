"""Fluxes that cannot be negative as a dataset: bounded by zero, or lognormal."""

from typing import Literal

import numpy as np
import xarray as xr

from inversion.bounded import bounded, bounded_spread
from inversion.lognormal import lognormal
from inversion.solution import Solution
from metroflux.parallel import Mapper, serial

Positive = Literal["bounded", "lognormal"]

DRAWS = 200
"""Draws behind the sd of bounded fluxes: 5 % of it is chance."""
SEED = 1


def positive_fluxes(solution: Solution, kind: Positive, mapper: Mapper = serial) -> xr.Dataset:
    """Return positive fluxes and their sd, dims of the posterior, mol m-2 s-1.

    bounded : `flux` is the mode of the posterior within flux >= 0; `flux_mean` and `flux_sd` are over draws,
        each moved to its own bounded mode (`bounded.bounded_spread`); `at_bound` tells where the bound acts
    lognormal : `flux` is the median; `flux_mean` and `flux_sd` follow from the sd of the logarithm

    Raises
    ------
    DataError
        As `bounded` and `lognormal`.
    """
    shape = solution.flux.shape
    if kind == "bounded":
        whole = np.ones((1, shape[2])), np.ones((1, shape[1]))
        spread = bounded_spread(solution, whole, DRAWS, np.random.default_rng(SEED))
        mode = bounded(solution)
        at_zero = np.where(
            mode.active, 0.0, mode.flux
        )  # the bound itself, without the rounding of the solution
        found = {"flux": at_zero, "flux_mean": spread.flux_mean, "flux_sd": spread.flux_sd}
        said = f"mode within flux >= 0; mean and sd over {DRAWS} draws (randomise then optimise)"
    else:
        curve = lognormal(solution.problem, mapper)
        found = {"flux": curve.median, "flux_mean": curve.mean, "flux_sd": curve.sd}
        said = "median, mean and sd of lognormal fluxes, linearised at the median"
    like = solution.posterior()["flux"].drop_attrs().assign_attrs(units="mol m-2 s-1")
    fluxes = {name: like.copy(data=values.reshape(like.shape)) for name, values in found.items()}
    ds = xr.Dataset(fluxes, attrs={"comment": said})
    if kind == "bounded":
        at_bound = mode.active.reshape(like.shape).astype(np.int8)
        ds["at_bound"] = (like.dims, at_bound, {"long_name": "1 where the bound acts"})
    return ds
