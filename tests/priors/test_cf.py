"""CF flux files: units, carbon mass, orders, times, and each fault named."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from metroflux import schema, time
from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.build import Inventory, join
from priors.cf import CFMapping, read_cf
from priors.errors import with_sd

GRID = Grid("EPSG:32632", 620_000.0, 5_260_000.0, 5_000.0, 5_000.0, 6, 5)
YEAR = time.intervals(np.datetime64("2015-01-01"), np.datetime64("2016-01-01"), np.timedelta64(365, "D"))
DAYS = time.intervals(np.datetime64("2015-01-30"), np.datetime64("2015-02-03"), np.timedelta64(1, "D"))
MAPPING = CFMapping("co2", {"all": "flux"})
MASS = {"standard_name": "surface_upward_mass_flux_of_carbon_dioxide", "units": "kg m-2 s-1"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a flux file of 0.1 degree cells; `change` edits the dataset first."""

    def writer(
        change: Callable[[xr.Dataset], xr.Dataset] = lambda ds: ds, times: list[str] | None = None
    ) -> Path:
        lon, lat = np.arange(9.05, 13.0, 0.1), np.arange(46.05, 49.0, 0.1)
        shape = (lat.size, lon.size)
        ds = xr.Dataset(
            {"flux": (("lat", "lon"), np.random.default_rng(6).random(shape) * 1e-6, dict(MASS))},
            coords={
                "lat": ("lat", lat, {"units": "degrees_north"}),
                "lon": ("lon", lon, {"units": "degrees_east"}),
            },
        )
        if times is not None:
            stamps = np.array(times, dtype="datetime64[ns]")
            scale = xr.DataArray(np.arange(1.0, len(times) + 1), {"time": stamps}, ["time"])
            ds = ds.assign(flux=(ds.flux * scale).transpose("time", ...).assign_attrs(MASS))
        path = tmp_path / "flux.nc"
        change(ds).to_netcdf(path)
        return path

    return writer


def test_the_prior_keeps_the_contract_once_it_has_an_sd(write: Callable[..., Path]) -> None:
    mapping = replace(MAPPING, inventory=Inventory("test", "1", "10.1/1"))
    prior = read_cf(write(), mapping, GRID, YEAR)
    with pytest.raises(DataError, match="'flux_sd' is missing"):
        schema.check(prior, "prior")
    schema.check(with_sd(prior, 0.5), "prior")
    assert prior.attrs == {
        "species": "co2",
        "inventory": "test",
        "inventory_version": "1",
        "inventory_doi": "10.1/1",
    }
    assert 0.9 < float(prior.outside_share[0]) < 1


def test_carbon_mass_must_be_said_and_counts_44_over_12(write: Callable[..., Path]) -> None:
    plain = read_cf(write(), MAPPING, GRID, YEAR)
    path = write(lambda ds: ds.assign(flux=ds.flux.assign_attrs(units="kg C m-2 s-1")))
    with pytest.raises(DataError, match=r"flux\.nc.*'flux'.*'kg C m-2 s-1' is of carbon mass"):
        read_cf(path, MAPPING, GRID, YEAR)
    carbon = read_cf(path, replace(MAPPING, carbon_mass=True), GRID, YEAR)
    np.testing.assert_allclose(carbon.flux / plain.flux, 44.0095 / 12.011, rtol=1e-12)


def test_north_first_and_time_last_change_nothing(write: Callable[..., Path]) -> None:
    plain = read_cf(write(), MAPPING, GRID, YEAR)
    turned = write(lambda ds: ds.isel(lat=slice(None, None, -1)).transpose("lon", "lat"))
    np.testing.assert_allclose(read_cf(turned, MAPPING, GRID, YEAR).flux, plain.flux, rtol=1e-12)


def test_uptake_counted_downward_is_turned(write: Callable[..., Path]) -> None:
    plain = read_cf(write(), MAPPING, GRID, YEAR)
    np.testing.assert_array_equal(
        read_cf(write(), replace(MAPPING, downward=("all",)), GRID, YEAR).flux, -plain.flux
    )


def test_months_are_averaged_over_each_interval(write: Callable[..., Path]) -> None:
    path = write(times=["2015-01-01", "2015-02-01", "2015-03-01"])
    first = read_cf(write(), MAPPING, GRID, YEAR).flux.values[:, 0]
    path = write(times=["2015-01-01", "2015-02-01", "2015-03-01"])
    days = read_cf(path, MAPPING, GRID, DAYS).flux.values
    np.testing.assert_allclose(days, first[:, None] * np.array([1, 1, 2, 2.0])[:, None, None], rtol=1e-12)
    span = np.array(["2015-01-01", "2015-04-01"], dtype="datetime64[ns]")
    whole = read_cf(path, MAPPING, GRID, span).flux.values
    np.testing.assert_allclose(whole[:, 0], first * (31 * 1 + 28 * 2 + 31 * 3) / 90, rtol=1e-12)
    mean = read_cf(path, replace(MAPPING, broadcast_time=True), GRID, YEAR).flux.values
    np.testing.assert_allclose(mean, whole, rtol=1e-12)


def test_times_that_do_not_cover_the_run_are_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"do not cover 2015-01-01.* to 2016-01-01"):
        read_cf(write(times=["2015-01-01", "2015-02-01"]), MAPPING, GRID, YEAR)
    with pytest.raises(DataError, match="1 values without bounds, of unknown length"):
        read_cf(write(times=["2015-01-01"]), MAPPING, GRID, YEAR)


def test_bounds_of_the_file_are_used(write: Callable[..., Path]) -> None:
    """Cells of unequal width are read where the file gives their bounds, and refused where it does not."""

    def uneven(ds: xr.Dataset) -> xr.Dataset:
        edges = np.array([9.0, 10.0, 10.3, 11.5, 13.0])
        bounds = np.stack([edges[:-1], edges[1:]], axis=1)
        centre = ("lon", bounds.mean(axis=1), {"units": "degrees_east", "bounds": "lon_bnds"})
        flux = np.ones((ds.sizes["lat"], 4))
        return xr.Dataset(
            {"flux": (("lat", "lon"), flux, dict(MASS)), "lon_bnds": (("lon", "nv"), bounds)},
            coords={"lat": ds.lat, "lon": centre},
        )

    flux = read_cf(write(uneven), MAPPING, GRID, YEAR).flux.values
    np.testing.assert_allclose(flux, 1 / 0.0440095, rtol=1e-7)
    with pytest.raises(DataError, match="lon: no bounds and centres unevenly spaced"):
        read_cf(
            write(
                lambda ds: uneven(ds).drop_vars("lon_bnds").assign_coords(lon=ds.lon.values[[0, 9, 13, 20]])
            ),
            MAPPING,
            GRID,
            YEAR,
        )


def test_a_projected_file_is_read_on_its_own_grid(write: Callable[..., Path]) -> None:
    field = np.random.default_rng(7).random(GRID.shape)

    def projected(_: xr.Dataset) -> xr.Dataset:
        flux = (("y", "x"), field, {"units": "umol m-2 s-1", "grid_mapping": "spatial_ref"})
        return (
            GRID.coords()
            .assign(flux=flux)
            .isel(y=slice(None, None, -1))
            .reset_coords(["lat", "lon", "cell_area"], drop=True)
        )

    path = write(projected)
    prior = read_cf(path, MAPPING, None, YEAR)
    assert Grid.from_dataset(prior).shape == GRID.shape
    np.testing.assert_allclose(prior.flux.values[0, 0], field * 1e-6, rtol=1e-12)
    with pytest.raises(DataError, match="grid_mapping"):
        read_cf(write(lambda ds: projected(ds).drop_vars("spatial_ref")), MAPPING, None, YEAR)


def nan_at(ds: xr.Dataset) -> xr.Dataset:
    ds.flux[15, 17] = np.nan  # 47.55 N, 10.75 E: under the grid
    ds.flux[0, 0] = np.nan  # far outside: of no consequence
    return ds


def test_nan_under_the_grid_is_named_by_file_variable_and_cell(write: Callable[..., Path]) -> None:
    with pytest.raises(
        DataError, match=r"flux\.nc: variable 'flux': NaN in 1 of \d+ cells .*lat=47.5.*lon=10.7"
    ):
        read_cf(write(nan_at), MAPPING, GRID, YEAR)
    known = read_cf(write(nan_at), replace(MAPPING, missing_is_zero=True), GRID, YEAR)
    assert np.isfinite(known.flux).all()


def test_an_undeclared_fill_value_is_named(write: Callable[..., Path]) -> None:
    path = write(lambda ds: ds.assign(flux=ds.flux.where(ds.lat < 48.9, 9.96921e36).assign_attrs(MASS)))
    with pytest.raises(
        DataError, match=r"flux\.nc: variable 'flux': 40 values beyond 1e\+30 such as 9.96921e\+36"
    ):
        read_cf(path, MAPPING, GRID, YEAR)


@pytest.mark.parametrize(
    ("attrs", "mapping", "fault"),
    [
        ({"units": "ppm"}, MAPPING, "unit 'ppm' is not a surface flux"),
        ({"units": "kg m-2"}, MAPPING, "unit 'kg m-2' is not a surface flux"),
        ({"units": None}, MAPPING, "has no units"),
        ({}, replace(MAPPING, species="ch4"), "is of co2"),
        ({}, replace(MAPPING, species="n2o"), "species 'n2o' is unknown"),
        (
            {},
            replace(MAPPING, variables={"all": "flx", "more": "x"}),
            "no variable flx, x; the file has: flux",
        ),
        ({}, replace(MAPPING, variables={}), "no variables mapped"),
        ({}, replace(MAPPING, downward=("gpp",)), "downward names unknown sectors gpp"),
        ({"units": "kg CO2 m-2 s-1"}, replace(MAPPING, carbon_mass=True), "of co2 mass, but carbon_mass"),
    ],
)
def test_wrong_descriptions_are_refused(
    write: Callable[..., Path], attrs: dict[str, str | None], mapping: CFMapping, fault: str
) -> None:
    def change(ds: xr.Dataset) -> xr.Dataset:
        merged = {k: v for k, v in (MASS | attrs).items() if v is not None}
        ds.flux.attrs = merged
        return ds

    with pytest.raises(DataError, match=fault) as raised:
        read_cf(write(change), mapping, GRID, YEAR)
    assert "flux.nc" in str(raised.value)


def test_a_source_that_ends_within_the_grid_must_be_allowed(write: Callable[..., Path]) -> None:
    path = write(lambda ds: ds.sel(lon=slice(10.8, None)))
    with pytest.raises(DataError, match="does not cover 20 of 30 grid cells"):
        read_cf(path, MAPPING, GRID, YEAR)
    read_cf(path, replace(MAPPING, outside_is_zero=True), GRID, YEAR)


def test_axes_without_coordinates_or_not_in_metres_are_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="with their coordinates"):
        read_cf(write(lambda ds: ds.drop_vars("lat")), MAPPING, GRID, YEAR)

    def kilometres(_: xr.Dataset) -> xr.Dataset:
        ds = GRID.coords().drop_vars(["x_bounds", "y_bounds"])
        ds = ds.assign(
            flux=(("y", "x"), np.ones(GRID.shape), {"units": "mol m-2 s-1", "grid_mapping": "spatial_ref"})
        )
        for axis in ("x", "y"):
            ds[axis].attrs = {"units": "km", "standard_name": f"projection_{axis}_coordinate"}
        return ds

    with pytest.raises(DataError, match="y: units 'km', expected m"):
        read_cf(write(kilometres), MAPPING, GRID, YEAR)


def test_other_dimensions_and_missing_files_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected latitude and longitude"):
        read_cf(write(lambda ds: ds.expand_dims(level=3)), MAPPING, GRID, YEAR)
    with pytest.raises(DataError, match=r"none\.nc: no such file"):
        read_cf(tmp_path / "none.nc", MAPPING, GRID, YEAR)
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(DataError, match=r"text\.nc: cannot be read as CF netCDF"):
        read_cf(tmp_path / "text.nc", MAPPING, GRID, YEAR)


def test_sectors_of_several_inventories_join(write: Callable[..., Path]) -> None:
    one = read_cf(write(), MAPPING, GRID, YEAR)
    two = read_cf(write(), replace(MAPPING, variables={"more": "flux"}, inventory=Inventory("B")), GRID, YEAR)
    both = join([one, two])
    assert list(both.sector.values) == ["all", "more"]
    assert both.attrs["inventory"] == "not stated + B"
    schema.check(with_sd(both, 1.0), "prior")
    with pytest.raises(DataError, match="sector 'all' is given 2 times"):
        join([one, one])
    with pytest.raises(DataError, match=r"differ in flux_time_bounds; .*only some priors have flux_sd"):
        join([one, with_sd(read_cf(write(), replace(MAPPING, variables={"b": "flux"}), GRID, DAYS), 1.0)])


def real(name: str) -> Path:
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set")
    return Path(os.environ["METROFLUX_DATA"]) / "priors" / name


BRITAIN = Grid("EPSG:32630", 400_000.0, 5_600_000.0, 20_000.0, 20_000.0, 20, 25)
Y2012 = np.array(["2012-01-01", "2013-01-01"], dtype="datetime64[ns]")


@pytest.mark.realdata
def test_uk_methane_needs_its_missing_sea_allowed_and_conserves_the_rest() -> None:
    path = real("other/ch4-ukghg-waste_EUROPE_2012.nc")
    mapping = CFMapping("ch4", {"waste": "flux"}, broadcast_time=True, missing_is_zero=True)
    prior = read_cf(path, mapping, BRITAIN, Y2012)
    total = float((prior.flux.isel(flux_time=0) * prior.cell_area).sum()) * 0.0160425 * 365 * 86400 / 1e6
    assert 400 < total < 1200  # kt yr-1; the national inventory has about 0.9 Mt from waste in 2012
    assert float(prior.outside_share[0]) < 0.35


@pytest.mark.realdata
def test_european_gpp_is_read_with_time_last() -> None:
    mapping = CFMapping("co2", {"gpp": "flux"}, broadcast_time=True)
    prior = read_cf(real("other/co2-gpp-cardamom_EUROPE_2012.nc"), mapping, BRITAIN, Y2012)
    assert float(prior.flux.max()) <= 0
    assert -1e-5 < float(prior.flux.mean()) < -1e-7


@pytest.mark.realdata
def test_decimated_edgar_files_are_refused_because_their_cells_are_unknown(tmp_path: Path) -> None:
    """Every 53rd row and 51st column were kept: the last column of a turned copy breaks the spacing."""
    turned = real("other/ch4-anthro_globaledgar_v6-0_2015.nc")
    with pytest.raises(DataError, match="lon: no bounds and centres unevenly spaced"):
        read_cf(turned, CFMapping("ch4", {"all": "flux"}, broadcast_time=True), BRITAIN, Y2012)
    path = real("edgar/v6.0_CO2_excl_short-cycle_org_C_2015_TOTALS.5.3x5.1.nc")
    mapping = CFMapping("co2", {"all": "emi_co2"})
    with pytest.raises(DataError, match=r"latitude: edges reach 92\.59.*the cells span 365\.04"):
        read_cf(path, mapping, BRITAIN, Y2012)
    cut = tmp_path / "cut.nc"
    with xr.open_dataset(path) as ds:
        ds.isel(lat=slice(1, -1), lon=slice(0, -1)).to_netcdf(cut)
    germany = Grid("EPSG:32632", 300_000.0, 5_300_000.0, 20_000.0, 20_000.0, 20, 25)
    prior = read_cf(cut, mapping, germany, Y2012)
    assert prior.flux.values.min() >= 0
    assert prior.flux.values.max() > 0
