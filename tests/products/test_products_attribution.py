"""What the report says of the materials a total rests on and of sectors that the data cannot tell apart."""

import numpy as np
import pytest
import xarray as xr

from products.attribution import confused, materials
from products.periods import named_periods
from products.totals import make_totals


@pytest.fixture(scope="module")
def totals(city):
    return make_totals(city.solution, city.regions, named_periods(city.prior.flux_time_bounds.values))


def two_sectors(correlation):
    covariance = np.array([[4.0, 6.0 * correlation], [6.0 * correlation, 9.0]])[None]
    return xr.Dataset(
        {"sector_covariance": (("region", "part", "part_2"), covariance)}, coords={"part": ["cars", "heat"]}
    )


def test_covariances_between_sectors_sum_to_the_variance_of_the_total(totals):
    total = totals.sector_covariance.sum(["part", "part_2"])
    np.testing.assert_allclose(total, totals.posterior_sd.sel(sector="total") ** 2, rtol=1e-9)


def test_materials_hold_no_more_than_the_shared_parts_of_the_budget(totals):
    run = totals.sel(period="run")
    share = run.budget.isel(region=0, sector=-1) / run.posterior_sd.isel(region=0, sector=-1) ** 2
    resting = float(run.traceability.isel(region=0, sector=-1).sum())
    assert 0 < resting <= 1 - float(share.sel(cause="prior"))
    assert totals.material.size > 0
    assert sorted(line["name"] for line in materials(run)) == sorted(totals.material.values)


@pytest.mark.parametrize(("correlation", "said"), [(-0.95, ["−0.95"]), (-0.45, []), (0.9, [])])
def test_only_sectors_with_strongly_negative_correlation_are_named(correlation, said):
    assert [pair["correlation"] for pair in confused(two_sectors(correlation))] == said


def test_a_sector_without_variance_is_confused_with_nothing():
    run = two_sectors(-0.9)
    run["sector_covariance"][0, 0, :] = 0.0
    run["sector_covariance"][0, :, 0] = 0.0
    assert confused(run) == []
