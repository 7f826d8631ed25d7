import csv
import io

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from metroflux.units import molar_mass
from products.periods import Period, named_periods, time_weights
from products.table import COLUMNS, csv_text, write_csv
from products.totals import COVERAGE, information, make_totals, verdict


@pytest.fixture(scope="module")
def totals(city):
    return make_totals(city.solution, city.regions, named_periods(city.prior.flux_time_bounds.values))


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_domain_total_is_the_area_sum_of_the_flux(city, totals):
    flux = city.posterior.flux.mean("flux_time")
    expected = (flux * city.posterior.cell_area).sum(("y", "x")) * molar_mass("co2")
    run = totals.posterior.sel(region="domain", period="run")
    np.testing.assert_allclose(run.values[:-1], expected.values, rtol=1e-12)
    np.testing.assert_allclose(run.sel(sector="total"), expected.sum(), rtol=1e-12)


def test_districts_that_tile_the_domain_sum_to_it(totals):
    for name in ("prior", "posterior"):
        np.testing.assert_allclose(totals[name][1:].sum("region"), totals[name][0], rtol=1e-10)


def test_the_variance_of_the_domain_is_the_sum_over_the_covariance_of_districts(totals):
    inner = totals.posterior_covariance.values[:, :, 1:, 1:].sum(axis=(2, 3))
    np.testing.assert_allclose(inner.T, totals.posterior_sd.values[0] ** 2, rtol=1e-8)


def test_the_budget_sums_to_the_posterior_variance(totals):
    np.testing.assert_allclose(totals.budget.sum("cause"), totals.posterior_sd**2, rtol=1e-8)


def test_the_variance_of_the_change_is_prior_minus_posterior_variance(totals):
    np.testing.assert_allclose(totals.change_sd**2, totals.prior_sd**2 - totals.posterior_sd**2, rtol=1e-6)


def test_days_average_to_the_run(totals):
    days = totals.posterior.sel(period=["2024-01-10", "2024-01-11"]).mean("period")
    np.testing.assert_allclose(days, totals.posterior.sel(period="run"), rtol=1e-12)


def test_a_period_that_cuts_flux_intervals_takes_their_share():
    bounds = np.array(
        [["2024-01-01T00", "2024-01-01T06"], ["2024-01-01T06", "2024-01-01T12"]], "datetime64[ns]"
    )
    cut = Period("cut", np.datetime64("2024-01-01T03"), np.datetime64("2024-01-01T12"))
    np.testing.assert_allclose(time_weights([cut], bounds), [[1 / 3, 2 / 3]])


def test_a_period_outside_the_run_is_refused_by_name():
    bounds = np.array([["2024-01-01T00", "2024-01-01T06"]], "datetime64[ns]")
    late = Period("late", np.datetime64("2024-01-01T03"), np.datetime64("2024-01-01T09"))
    empty = Period("empty", np.datetime64("2024-01-01T03"), np.datetime64("2024-01-01T03"))
    with pytest.raises(DataError, match=r"'late'.*3 h inside.*expected 6 h.*'empty'"):
        time_weights([late, empty], bounds)


def test_only_whole_days_and_months_are_named():
    edges = np.arange("2024-01-30T12", "2024-03-02T00", 6, dtype="datetime64[h]").astype("datetime64[ns]")
    bounds = np.stack([edges[:-1], edges[1:]], axis=1)
    names = [p.name for p in named_periods(bounds)]
    assert names[0] == "run"
    assert names[1] == "2024-01-31"
    assert names[-1] == "2024-02"
    assert "2024-01-30" not in names


def _one(prior, prior_sd, posterior, posterior_sd):
    dims = ("region", "sector", "period")
    v = {"prior": prior, "prior_sd": prior_sd, "posterior": posterior, "posterior_sd": posterior_sd,
         "change_sd": np.sqrt(prior_sd**2 - posterior_sd**2)}  # fmt: skip
    return xr.Dataset({k: (dims, np.array([[[float(x)]]])) for k, x in v.items()})


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        ((100, 20, 150, 5), "higher"),
        ((100, 20, 50, 5), "lower"),
        ((100, 20, 110, 5), "no difference found"),
        ((100, 20, 101, 19.5), "no information"),
        ((0, 0, 0, 0), "no information"),
    ],
)
def test_the_verdict_follows_the_uncertainty_of_the_change(moments, said):
    assert str(verdict(_one(*moments)).values.item()) == said


def test_information_is_the_share_of_variance_removed():
    assert information(_one(1, 2.0, 1, 1.0)).item() == pytest.approx(0.75)


def test_the_csv_has_the_agreed_columns_and_tonnes_per_day(totals):
    table = rows(csv_text(totals))
    assert tuple(table[0]) == COLUMNS
    assert COLUMNS[:8] == (
        "region",
        "sector",
        "period",
        "prior",
        "prior_sd",
        "posterior",
        "posterior_sd",
        "unit",
    )
    first = next(r for r in table if (r["region"], r["sector"], r["period"]) == ("domain", "total", "run"))
    assert first["unit"] == "t CO2 d-1"
    kilograms = float(totals.posterior.sel(region="domain", sector="total", period="run"))
    assert float(first["posterior"]) == pytest.approx(kilograms * 86.4, rel=1e-9)
    half = COVERAGE * float(first["posterior_sd"])
    assert float(first["high_95"]) == pytest.approx(float(first["posterior"]) + half, rel=1e-8)
    assert len(table) == totals.posterior.size


def test_two_years_are_shown_in_tonnes_per_year(country):
    totals = make_totals(
        country.solution, country.regions, named_periods(country.prior.flux_time_bounds.values)
    )
    assert rows(csv_text(totals))[0]["unit"] == "t CO2 yr-1"
    assert totals.sizes["region"] == 10


def test_names_that_start_a_formula_are_defused_and_still_there(bad_city, tmp_path):
    totals = make_totals(
        bad_city.solution, bad_city.regions, named_periods(bad_city.prior.flux_time_bounds.values, ("run",))
    )
    write_csv(totals, tmp_path / "totals.csv")
    text = (tmp_path / "totals.csv").read_text("utf-8")
    assert "'=cmd()" in text
    for row in csv.reader(io.StringIO(text)):
        assert not any(cell.startswith(("=", "+", "@")) for cell in row)
        assert all(not cell.startswith("-") or float(cell) < 0 for cell in row)


def test_regions_of_another_grid_are_refused(city):
    with pytest.raises(DataError, match="weights for 60 cells, expected 120"):
        make_totals(
            city.solution, city.regions.isel(x=slice(0, 6)), named_periods(city.prior.flux_time_bounds.values)
        )
