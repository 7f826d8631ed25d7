"""Totals per region, sector and period, with their covariance and the budget of their uncertainty."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion.mixture import Posterior
from inversion.totals import TotalsResult
from metroflux import schema
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial
from metroflux.units import molar_mass
from products.periods import Period, time_weights

Floats = npt.NDArray[np.float64]

COVERAGE = 1.959964
"""Half width of the 95 % interval of a normal distribution, in standard uncertainties."""

INFORMATION_THRESHOLD = 0.1
"""Below this share of the prior variance removed by the data, a total says nothing new."""

VERDICTS = ("higher", "lower", "no difference found", "no information")

_RATE = {"units": "kg s-1"}
_SQUARE = {"units": "kg2 s-2"}


def make_totals(
    solution: Posterior, regions: xr.Dataset, periods: Sequence[Period], mapper: Mapper = serial
) -> xr.Dataset:
    """Return the mean emission rate of each region, sector and period: schema "totals".

    The last sector, "total", is the sum of all. `change_sd` is the standard uncertainty of posterior
    minus prior: its variance is B - A, because the posterior contains its prior.

    Raises
    ------
    DataError
        If the budget does not sum to the posterior variance, or a period is not covered.
    """
    schema.check(regions, "regions")
    coords = solution.problem.coords
    area = coords["cell_area"].values.ravel()
    share = regions["weight"].values.reshape(regions.sizes["region"], -1)
    if share.shape[1] != area.size:
        raise DataError(f"regions: weights for {share.shape[1]} cells, expected {area.size}")
    species = str(coords.attrs["species"])
    time = time_weights(periods, coords["flux_time_bounds"].values)
    found = solution.totals(share * area * molar_mass(species), time, mapper)
    _check_budget(found)
    totals = _dataset(found, regions, periods).assign_attrs(species=species, coverage_factor=1)
    totals["area"] = ("region", share @ area, {"units": "m2", "long_name": "area of the region"})
    totals = totals.assign(_attribution(found))
    return schema.check(totals, "totals")


def information(totals: xr.Dataset) -> xr.DataArray:
    """Return the share of the prior variance that the data removed, 0 to 1; 0 where there was none."""
    before = totals["prior_sd"] ** 2
    return xr.where(before > 0, 1 - totals["posterior_sd"] ** 2 / before.where(before > 0, 1.0), 0.0)


def verdict(totals: xr.Dataset) -> xr.DataArray:
    """Return what may be said of the change from the prior, one of `VERDICTS`.

    "higher" and "lower": the change exceeds its 95 % interval under the prior (variance B - A).
    "no information": the data removed less than `INFORMATION_THRESHOLD` of the prior variance.
    """
    change = totals["posterior"] - totals["prior"]
    clear = np.abs(change) > COVERAGE * totals["change_sd"]
    said = xr.where(clear, xr.where(change > 0, VERDICTS[0], VERDICTS[1]), VERDICTS[2])
    return xr.where(information(totals) < INFORMATION_THRESHOLD, VERDICTS[3], said)


def _dataset(found: TotalsResult, regions: xr.Dataset, periods: Sequence[Period]) -> xr.Dataset:
    dims = ("region", "sector", "period")
    moments = {
        "prior": (found.prior, "prior emission"),
        "prior_sd": (np.sqrt(found.prior_variance), "standard uncertainty of the prior emission"),
        "posterior": (found.posterior, "posterior emission"),
        "posterior_sd": (np.sqrt(found.posterior_variance), "standard uncertainty of the posterior emission"),
        "change_sd": (np.sqrt(found.change_variance), "standard uncertainty of posterior minus prior"),
    }
    budget = {"long_name": "part of each cause in the posterior variance"} | _SQUARE
    covariance = {"long_name": "posterior covariance between regions"} | _SQUARE
    names = np.array([p.name for p in periods], dtype=str)
    bounds = np.array([[p.start, p.end] for p in periods], dtype="datetime64[ns]")
    return xr.Dataset(
        {name: (dims, values, _RATE | {"long_name": text}) for name, (values, text) in moments.items()}
        | {
            "budget": ((*dims, "cause"), found.budget, budget),
            "posterior_covariance": (
                ("period", "sector", "region", "region_2"),
                found.posterior_covariance,
                covariance,
            ),
        },
        coords={
            "region": ("region", regions["region"].values.astype(str), {"long_name": "region"}),
            "sector": ("sector", np.array(found.sectors), {"long_name": "emission sector"}),
            "period": ("period", names, {"long_name": "averaging period"}),
            "period_bounds": (("period", "bounds"), bounds, {"long_name": "start and end of the period"}),
            "cause": ("cause", np.array(found.causes, dtype=str), {"long_name": "cause of uncertainty"}),
        },
    )


def _attribution(found: TotalsResult) -> xr.Dataset:
    """Return how the sectors' totals vary together, and the share of variance that rests on each material."""
    between = {"long_name": "posterior covariance between sectors"} | _SQUARE
    resting = {"units": "1", "long_name": "share of the posterior variance that rests on the material"}
    ds = xr.Dataset(
        {"sector_covariance": (("region", "period", "part", "part_2"), found.sector_covariance, between)},
        coords={"part": ("part", np.array(found.sectors[:-1]), {"long_name": "emission sector"})},
    )
    if not found.materials:
        return ds
    names = np.array(found.materials, dtype=str)
    ds["traceability"] = (("region", "sector", "period", "material"), found.traceability, resting)
    text = "certificate, tank or model that shared errors are traced to"
    return ds.assign_coords(material=("material", names, {"long_name": text}))


def _check_budget(found: TotalsResult) -> None:
    total, variance = found.budget.sum(axis=-1), found.posterior_variance
    worst = float(np.max(np.abs(total - variance) - 1e-6 * np.abs(variance)))
    if worst > 0:
        raise DataError(
            f"totals: the budget differs from the posterior variance by {worst:g} kg2 s-2; "
            "expected parts that sum to it"
        )
