import json

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import SchemaError
from metroflux.provenance import Stamp
from products.export import write_netcdf
from products.periods import named_periods
from products.totals import make_totals

STAMP = Stamp("run-1", "0" * 64, {"prior": "1" * 64}, "Test institute")


def stamped(ds, name):
    return STAMP.apply(ds, name, f"Test {name}")


def test_a_posterior_is_read_back_to_the_bit(city, tmp_path):
    write_netcdf(stamped(city.posterior, "posterior"), tmp_path / "p.nc")
    with xr.open_dataset(tmp_path / "p.nc") as back:
        for name in ("flux", "flux_sd", "prior_flux", "flux_time", "flux_time_bounds"):
            np.testing.assert_array_equal(back[name].values, city.posterior[name].values)
        assert back.flux.attrs["grid_mapping"] == "spatial_ref" or "grid_mapping" in back.flux.encoding


def test_no_fill_value_is_declared_where_nothing_may_be_missing(city, tmp_path):
    import netCDF4

    write_netcdf(stamped(city.posterior, "posterior"), tmp_path / "p.nc")
    with netCDF4.Dataset(tmp_path / "p.nc") as raw:
        assert [n for n, v in raw.variables.items() if "_FillValue" in v.ncattrs()] == []
        assert raw["flux"].filters()["zlib"]


def test_totals_and_diagnostics_are_written_too(city, tmp_path):
    totals = make_totals(city.solution, city.regions, named_periods(city.prior.flux_time_bounds.values))
    write_netcdf(stamped(totals, "totals"), tmp_path / "t.nc")
    write_netcdf(stamped(city.diagnostics, "diagnostics"), tmp_path / "d.nc")
    with xr.open_dataset(tmp_path / "t.nc") as back:
        np.testing.assert_array_equal(back.posterior_covariance.values, totals.posterior_covariance.values)


def test_unstamped_is_refused_and_nothing_is_left(city, tmp_path):
    with pytest.raises(SchemaError, match=r"not stamped.*run_id"):
        write_netcdf(city.posterior, tmp_path / "p.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bad", "message"), [(np.nan, "NaN"), (1e36, "beyond"), (np.inf, "beyond|not finite")]
)
def test_values_that_are_not_finite_are_refused(city, tmp_path, bad, message):
    ds = city.posterior.copy(deep=True)
    ds["flux"][0, 0, 0, 0] = bad
    with pytest.raises(SchemaError, match=message):
        write_netcdf(stamped(ds, "posterior"), tmp_path / "p.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_variable_the_schema_does_not_know_may_not_hide_nan(city, tmp_path):
    ds = city.posterior.assign(extra=("flux_time", np.full(city.posterior.sizes["flux_time"], np.nan)))
    with pytest.raises(SchemaError, match="'extra'"):
        write_netcdf(stamped(ds, "posterior"), tmp_path / "p.nc")


def test_an_interrupted_write_leaves_the_old_file(city, tmp_path, monkeypatch):
    path = tmp_path / "p.nc"
    path.write_text("yesterday")

    def full_disk(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_netcdf(stamped(city.posterior, "posterior"), path)
    assert path.read_text() == "yesterday"
    assert [p.name for p in tmp_path.iterdir()] == ["p.nc"]


@pytest.mark.parametrize("standard", ["cf:1.8", "acdd:1.3"])
@pytest.mark.parametrize("world", ["city", "country"])
@pytest.mark.filterwarnings("ignore")
def test_the_compliance_checker_finds_no_error_of_high_priority(request, tmp_path, world, standard):
    from compliance_checker.runner import CheckSuite, ComplianceChecker

    path, posterior = tmp_path / "p.nc", request.getfixturevalue(world).posterior
    write_netcdf(stamped(posterior, "posterior"), path)
    CheckSuite.load_all_available_checkers()
    report = tmp_path / "report.json"
    ComplianceChecker.run_checker(
        str(path), [standard], 0, "normal", output_filename=str(report), output_format="json"
    )
    found = json.loads(report.read_text())[standard]
    faults = [m for r in found["high_priorities"] for m in r["msgs"]]
    # ACDD wants a standard_name for every variable; CF has none for these, and none may be invented
    # numbers of the parameters differ in their units, which stand in a variable of their own
    numbers = [v for v in posterior.variables.values() if v.dtype.kind == "f"]
    mixed = [v for v in numbers if v.dims in (("parameter",), ("hyperparameter",))]
    expected = [] if standard == "cf:1.8" else ["units"] * len(mixed)
    assert [m for m in faults if m != "standard_name"] == expected
