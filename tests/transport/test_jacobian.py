"""Jacobian: sums kept, adjoint, what lies before the flux intervals; region responses."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.constants import MOLAR_MASS, SECONDS_PER_YEAR
from metroflux.errors import DataError
from transport.footprints import FootprintSettings, compute_footprints
from transport.jacobian import SurfaceOperator, build_jacobian
from transport.response import ResponseMapping, read_response

HOURS = np.datetime64("2024-06-01T00:00", "ns") + np.arange(5) * np.timedelta64(1, "h")
UNIT = "umol mol-1 (Tg CO2 yr-1)-1"


@pytest.fixture
def footprints(make_met, make_points, wide_grid):
    parts = [make_points((10.0, 50.0), end=end, particles=60) for end in (4.0, 3.5)]
    receptors = xr.concat(parts, "receptor").assign_coords(
        receptor=("receptor", list("abcd")), datum_id=("receptor", list("ABCD"))
    )
    return compute_footprints(make_met(), receptors, wide_grid, FootprintSettings())


@pytest.mark.parametrize("every", [1, 2, 4])
def test_rows_keep_each_sum_and_each_interval(footprints, every):
    edges = HOURS[::every]
    jacobian = build_jacobian(footprints, edges)
    dense = SurfaceOperator.of(jacobian).matrix.toarray().reshape(4, edges.size - 1, 40, 40)
    foot = footprints.foot.values.astype(float)
    assert dense.sum(axis=(1, 2, 3)) == pytest.approx(foot.sum(axis=(1, 2, 3)), rel=1e-12)
    for n in range(4):  # the obvious twin: every clock hour to its interval
        twin = np.zeros_like(dense[n])
        for k in range(foot.shape[1]):
            start = 3 - k  # 03:30 rounds up to 04:00
            twin[start // every] += foot[n, k]
        np.testing.assert_allclose(dense[n], twin, rtol=1e-12)
    assert not jacobian.dropped_share.values.any()


def test_operator_and_its_adjoint_pass_the_dot_test(footprints):
    operator = SurfaceOperator.of(build_jacobian(footprints, HOURS))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 4, 40, 40)), rng.standard_normal(4)
    left, right = operator.forward(x) @ y, np.sum(x * operator.adjoint(y)[None])
    assert left == pytest.approx(right, rel=1e-12)


def test_a_uniform_flux_gives_the_summed_footprint(footprints):
    jacobian = build_jacobian(footprints, HOURS)
    flux = np.full((1, 4, 40, 40), 2.0e-6)
    expected = 2.0e-6 * footprints.foot.sum(("lag", "y", "x"), dtype=np.float64).values
    assert SurfaceOperator.of(jacobian).forward(flux) == pytest.approx(expected, rel=1e-12)


def test_footprints_before_the_flux_intervals_are_refused_by_name_or_recorded(footprints):
    with pytest.raises(DataError, match=r"A from 2024-06-01T02:00.*; B from .*; C from 2024-06-01T01:00"):
        build_jacobian(footprints, HOURS[3:])
    jacobian = build_jacobian(footprints, HOURS[3:], drop_early=True)
    kept = SurfaceOperator.of(jacobian).forward(np.ones((1, 40, 40)))
    whole = footprints.foot.sum(("lag", "y", "x"), dtype=np.float64).values
    assert jacobian.dropped_share.values == pytest.approx(1 - kept / whole, rel=1e-9)
    assert (jacobian.dropped_share > 0).all()


def test_flux_intervals_must_be_ascending_full_hours(footprints):
    with pytest.raises(DataError, match="not a full hour"):
        build_jacobian(footprints, HOURS + np.timedelta64(30, "m"))
    with pytest.raises(DataError, match="ascending"):
        build_jacobian(footprints, HOURS[::-1])


@pytest.fixture
def response_file(tmp_path):
    rng = np.random.default_rng(3)
    ds = xr.Dataset({
        "response": (("obs", "region", "month"), rng.random((3, 2, 2)), {"units": UNIT}),
        "region_area": ("region", [1e10, 3e10]),
        "site": ("obs", ["AAA", "AAA", "BBB"]),
    }).assign_coords(
        region=("region", ["north", "south"]),
        month=("month", np.array(["2011-01-01", "2011-02-01"], "datetime64[ns]")),
        time=("obs", np.array(["2011-01-01T01", "2011-01-02T01", "2011-02-01T01"], "datetime64[ns]")),
    )  # fmt: skip
    ds.to_netcdf(tmp_path / "response.nc")
    return tmp_path / "response.nc"


def test_a_response_times_an_emission_equals_the_jacobian_times_its_flux(response_file):
    jacobian = read_response(response_file, ResponseMapping("response", "co2", {"AAA": 10.0, "BBB": 42.5}))
    assert list(jacobian.datum_id.values) == [
        "AAA:co2:10:2011-01-01T01:00:00", "AAA:co2:10:2011-01-02T01:00:00",
        "BBB:co2:42.5:2011-02-01T01:00:00",
    ]  # fmt: skip
    emission = np.array([[3.0, -1.0], [0.5, 2.0]])  # Tg yr-1, (region, month)
    with xr.open_dataset(response_file) as ds:
        expected = 1e-6 * np.einsum("orm,rm->o", ds.response.values, emission)
    moles = emission * 1e9 / SECONDS_PER_YEAR / MOLAR_MASS["co2"] / np.array([[1e10], [3e10]])
    assert SurfaceOperator.of(jacobian).forward(moles.T) == pytest.approx(expected, rel=1e-12)
    assert jacobian.flux_time_bounds.values[1, 1] == np.datetime64("2011-03-01")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.drop_vars("region_area"), "no variable region_area"),
        (lambda ds: ds.assign(response=ds.response.assign_attrs(units="ppm")), "has units 'ppm', expected"),
        (
            lambda ds: ds.assign(response=ds.response.assign_attrs(units="umol mol-1 (Tg C yr-1)-1")),
            r"units 'umol mol-1 \(Tg C yr-1\)-1'",
        ),
        (
            lambda ds: ds.assign(
                response=ds.response.where(ds.response < 0.5).assign_attrs(ds.response.attrs)
            ),
            "values not finite",
        ),
        (
            lambda ds: ds.assign_coords(month=ds.month + np.timedelta64(1, "D")),
            "not starts of consecutive months",
        ),
        (lambda ds: ds.assign(response=ds.response.isel(month=0)), "has shape"),
    ],
)
def test_a_faulty_response_file_is_refused_by_name(response_file, change, message):
    with xr.open_dataset(response_file) as ds:
        new = change(ds.load())
    new.to_netcdf(response_file)
    with pytest.raises(DataError, match=message) as fault:
        read_response(response_file, ResponseMapping("response", "co2", 10.0))
    assert "response.nc" in str(fault.value)


def test_absent_files_and_inlets_are_named(response_file, tmp_path):
    with pytest.raises(DataError, match=r"none\.nc"):
        read_response(tmp_path / "none.nc", ResponseMapping("response", "co2"))
    with pytest.raises(DataError, match="no inlet stated for site BBB"):
        read_response(response_file, ResponseMapping("response", "co2", {"AAA": 1.0}))
    unknown = read_response(response_file, ResponseMapping("response", "co2"))
    assert str(unknown.datum_id.values[0]) == "AAA:co2:nan:2011-01-01T01:00:00"


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["response_prior", "response_flat"])
def test_new_zealand_responses_reproduce_their_own_prior_enhancements(name):
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set: no real files")
    path = Path(os.environ["METROFLUX_DATA"]) / "new_zealand_co2" / "towers_2011_2012.nc"
    jacobian = schema.check(read_response(path, ResponseMapping(name, "co2", 10.0)), "jacobian")
    with xr.open_dataset(path) as ds:
        expected = 1e-6 * np.einsum("orm,rm->o", ds[name].values.astype(float), ds.prior.values)
        area, prior = ds.region_area.values, ds.prior.values
    flux = prior * 1e9 / SECONDS_PER_YEAR / MOLAR_MASS["co2"] / area[:, None]
    got = SurfaceOperator.of(jacobian).forward(flux.T)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-15)
    assert np.unique(jacobian.datum_id).size == 1302
