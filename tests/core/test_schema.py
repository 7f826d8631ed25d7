"""The contract between stages: what keeps it passes, and all faults are told at once."""

import numpy as np
import pytest
import xarray as xr

from metroflux.datasets import SCHEMAS, SPACE, Variable
from metroflux.errors import DataError, SchemaError
from metroflux.schema import check

SIZES = {"y": 3, "x": 4, "region": 5, "bounds": 2, "random": 0, "shared": 0, "nonzero": 0, "parameter": 0}


def make(schema: str, space: tuple[str, ...] = ("y", "x")) -> xr.Dataset:
    """Return the smallest dataset that keeps the contract, every optional variable included."""
    return xr.Dataset({name: _fill(want, space) for name, want in SCHEMAS[schema].items()})


def _fill(want: Variable, space: tuple[str, ...]) -> xr.Variable:
    dims = [d for dim in want.dims for d in (space if dim == SPACE else (dim,))]
    shape = [SIZES.get(dim, 2) for dim in dims]
    dtype = {"f": f"float{want.bits}", "i": "int64", "U": "<U4", "M": "datetime64[ns]", "b": "bool"}[
        want.kind
    ]
    return xr.Variable(dims, np.zeros(shape, dtype=dtype), {"units": want.units} if want.units else {})


def faults(ds: xr.Dataset, schema: str) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        check(ds, schema)
    return str(caught.value).removeprefix(f"{schema}: ").split("; ")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_smallest_dataset_of_each_schema_passes_unchanged(schema):
    ds = make(schema)
    assert check(ds, schema) is ds


@pytest.mark.parametrize("schema", ["prior", "jacobian", "posterior"])
def test_space_may_be_regions_instead_of_a_grid(schema):
    check(make(schema, ("region",)), schema)


def test_space_may_not_be_half_a_grid():
    assert "'cell_area' has dims ('y',), expected ('y', 'x')" in faults(
        make("prior").assign(cell_area=("y", np.ones(3), {"units": "m2"})), "prior"
    )


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_variable_that_is_not_optional_must_be_there(schema):
    wanted = [name for name, want in SCHEMAS[schema].items() if not want.optional]
    assert faults(xr.Dataset(), schema) == [f"'{name}' is missing" for name in wanted]


def test_optional_variables_may_be_absent_but_not_wrong():
    ds = make("observations")
    check(ds.drop_vars(["averaging_kernel", "pressure_weight"]), "observations")
    wrong = ds.assign(averaging_kernel=ds.averaging_kernel.astype("float32"))
    assert faults(wrong, "observations") == ["'averaging_kernel' has type float32, expected float64"]


def test_all_faults_are_told_at_once():
    ds = make("prior")
    ds = ds.drop_vars("sector").assign_coords(sector=[1, 2])
    flux, times = ds.flux.variable.copy(), ds.flux_time_bounds.variable.copy()
    flux[0, 1, 2, 3], flux[1, 1, 0, 0] = np.nan, 1e36
    flux.attrs["units"] = "ppm"
    times[1, 0] = np.datetime64("NaT", "ns")
    ds = ds.drop_vars("flux_time").assign(
        flux=flux,
        flux_sd=ds.flux_sd.variable.transpose("flux_time", "sector", "y", "x"),
        cell_area=ds.cell_area.variable.astype("float32"),
        flux_time_bounds=times,
    )
    assert sorted(faults(ds, "prior")) == sorted([
        "'flux_time' is missing",
        "'flux_time_bounds' has 1 undefined times",
        "'sector' has type int64, expected kind 'U'",
        "'cell_area' has type float32, expected float64",
        "'flux' has units 'ppm', expected 'mol m-2 s-1'",
        "'flux' has 1 NaN of 48, first at sector=0, flux_time=1, y=2, x=3",
        "'flux' has 1 values beyond 1e+30 (an undeclared fill value?), "
        "first at sector=1, flux_time=1, y=0, x=0",
        "'flux_sd' has dims ('flux_time', 'sector', 'y', 'x'), expected ('sector', 'flux_time', 'y', 'x')",
    ])  # fmt: skip


@pytest.mark.parametrize("value", [np.inf, -np.inf, 9.96921e36, -1e36])
def test_infinity_and_fill_values_are_refused_even_where_nan_may_be(value):
    ds = make("observations")
    ds = ds.assign(mole_fraction=ds.mole_fraction.copy(data=[np.nan, value]))
    assert "'mole_fraction' has 1 values beyond 1e+30" in faults(ds, "observations")[0]


def test_nan_passes_only_where_it_has_a_meaning():
    ds = make("observations")
    check(ds.assign(mole_fraction=ds.mole_fraction.copy(data=[np.nan, 4e-4])), "observations")
    wrong = ds.assign(latitude=ds.latitude.copy(data=[np.nan, 50.0]))
    assert faults(wrong, "observations") == ["'latitude' has 1 NaN of 2, first at obs=0"]


def test_missing_units_are_a_fault():
    ds = make("background")
    del ds["background"].attrs["units"]
    assert faults(ds, "background") == ["'background' has units None, expected 'mol mol-1'"]


def test_scalars_are_checked_too():
    ds = make("diagnostics")
    ds = ds.assign(chi2=ds.chi2.copy(data=np.nan))
    assert faults(ds, "diagnostics") == ["'chi2' has 1 NaN of 1, first at the scalar"]


def test_times_not_in_nanoseconds_are_refused():
    ds = make("receptors")
    ds = ds.assign(time=ds.time.astype("datetime64[us]"))
    assert faults(ds, "receptors") == ["'time' has type datetime64[us], expected datetime64[ns]"]


def test_an_empty_dataset_is_refused():
    assert faults(make("background").isel(obs=slice(0)), "background") == ["dimension 'obs' is empty"]


def test_text_read_back_from_a_file_still_passes(tmp_path):
    make("background").to_netcdf(tmp_path / "background.nc")
    with xr.open_dataset(tmp_path / "background.nc") as ds:
        check(ds, "background")


def test_the_error_names_the_place_and_is_a_data_error():
    with pytest.raises(DataError, match=r"^prior\.nc: prior: 'flux_time' is missing; ") as caught:
        check(xr.Dataset(), "prior", where="prior.nc")
    assert caught.value.exit_code == 3
