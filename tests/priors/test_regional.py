"""Priors per region and month."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from priors.regional import RegionalMapping, read_regional
from priors.regions import regional_regions

MAPPING = RegionalMapping("co2", "net", "prior", "prior_sd", "area", area_units="m2", time="month")


def table() -> xr.Dataset:
    """Return three regions and two months, rates in Tg CO2 yr-1."""
    months = np.array(["2011-01-01", "2011-02-01"], dtype="datetime64[ns]")
    rate = np.array([[1.0, 2.0], [-3.0, 4.0], [5.0, 6.0]])
    units = {"units": "Tg CO2 yr-1"}
    return xr.Dataset(
        {
            "prior": (("region", "month"), rate, units),
            "prior_sd": (("region", "month"), np.abs(rate) / 2, units),
            "area": ("region", np.array([1e9, 2e9, 5e9])),
        },
        coords={"region": np.array(["north", "south", "sea"]), "month": months},
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[xr.Dataset], Path]:
    """Write a dataset to a file."""

    def writer(ds: xr.Dataset) -> Path:
        ds.to_netcdf(tmp_path / "regions.nc")
        return tmp_path / "regions.nc"

    return writer


def test_flux_times_area_is_what_the_file_says(write: Callable[[xr.Dataset], Path]) -> None:
    prior = schema.check(read_regional(write(table()), MAPPING), "prior")
    tg_per_year = prior.flux * prior.cell_area * 0.0440095 * 365.25 * 86400 / 1e9
    np.testing.assert_allclose(tg_per_year[0], table().prior.values.T, rtol=1e-12)
    np.testing.assert_allclose(prior.flux_sd, np.abs(prior.flux) / 2, rtol=1e-12)
    assert prior.flux_time_bounds.values[1, 1] == np.datetime64("2011-03-01")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda ds: ds.assign(area=-ds.area), "'area' has 3 values that are not positive"),
        (
            lambda ds: ds.assign(prior=ds.prior.where(ds.region != "sea")),
            "'prior' has 2 NaN or fill.*region 'sea', 2011",
        ),
        (lambda ds: ds.assign(prior=ds.prior + 1e36), "'prior' has 6 NaN or fill values"),
        (
            lambda ds: ds.assign(prior_sd=(-ds.prior_sd).assign_attrs(ds.prior.attrs)),
            "'prior_sd' is negative 6 times",
        ),
        (
            lambda ds: ds.assign(prior=ds.prior.assign_attrs(units="PgC yr-1")),
            "'prior': unit 'PgC yr-1' is of carbon",
        ),
        (
            lambda ds: ds.assign(prior=ds.prior.assign_attrs(units="ppm")),
            "'prior': unit 'ppm' is not a mass rate",
        ),
        (lambda ds: ds.drop_vars("prior"), "no variable prior; the file has: area, prior_sd"),
        (lambda ds: ds.assign(area=ds.prior), "'area' has dims"),
        (lambda ds: ds.assign_coords(region=["a", "a", "b"]), "region given twice: a"),
    ],
)
def test_faults_are_named(
    write: Callable[[xr.Dataset], Path], change: Callable[[xr.Dataset], xr.Dataset], fault: str
) -> None:
    with pytest.raises(DataError, match=rf"(?s)regions\.nc.*{fault}"):
        read_regional(write(change(table())), MAPPING)


def test_the_unit_of_the_area_is_not_guessed(write: Callable[[xr.Dataset], Path]) -> None:
    with pytest.raises(DataError, match="'area' has units None, expected m2 or km2"):
        read_regional(write(table()), replace(MAPPING, area_units=None))


def test_regions_of_a_regional_prior_are_all_each_and_groups(write: Callable[[xr.Dataset], Path]) -> None:
    prior = read_regional(write(table()), MAPPING)
    regions = schema.check(regional_regions(prior, {"land": ["north", "south"]}), "regions")
    assert list(regions.region.values) == ["domain", "north", "south", "sea", "land"]
    np.testing.assert_array_equal(regions.weight, [[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    with pytest.raises(DataError, match="'sea' is in use already; group 'land' names west"):
        regional_regions(prior, {"sea": ["north"], "land": ["west"]})


@pytest.mark.realdata
def test_the_new_zealand_prior_is_read() -> None:
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set")
    path = Path(os.environ["METROFLUX_DATA"]) / "new_zealand_co2" / "towers_2011_2012.nc"
    mapping = replace(MAPPING, area="region_area")
    prior = read_regional(path, mapping)
    assert dict(prior.sizes) == {"sector": 1, "flux_time": 24, "region": 25, "bounds": 2}
    with xr.open_dataset(path) as ds:
        total = float((prior.flux * prior.cell_area).sum()) * 0.0440095 * 365.25 * 86400 / 1e9
        assert total == pytest.approx(float(ds.prior.sum()), rel=1e-12)
    regional_regions(prior, {"New Zealand": [str(name) for name in prior.region.values[:15]]})
