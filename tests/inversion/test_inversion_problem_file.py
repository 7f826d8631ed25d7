"""A problem in a file of anyone's making: solved as it is, or refused with what is wrong with it."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from inversion.problem_file import read_problem, write_problem
from inversion.solver import solve
from metroflux.errors import DataError

HOUR = 3600.0


@pytest.mark.parametrize("kind", ["grid", "regions"])
def test_a_problem_read_back_has_the_same_solution(inputs_of, tmp_path, kind):
    inputs = inputs_of(5, kind)
    inputs.durations["transport"] = 6 * HOUR
    if kind == "grid":
        mask = np.repeat([1, 2], 10)
        inputs.errors["traffic"] = replace(inputs.errors["traffic"], mask=mask, hour_duration=2 * HOUR)
    problem = inputs.assemble()
    write_problem(tmp_path / "p.nc", problem, xr.Dataset())
    back, _ = read_problem(tmp_path / "p.nc")
    ours, theirs = solve(problem), solve(back)
    np.testing.assert_array_equal(theirs.flux, ours.flux)
    np.testing.assert_array_equal(theirs.flux_sd, ours.flux_sd)
    xr.testing.assert_identical(theirs.posterior(), ours.posterior())


@pytest.fixture
def plain(inputs_of, tmp_path):
    """Return a file with no more than it must have, and the path of what is made of it."""
    inputs = inputs_of(5)
    inputs.parameters = []
    write_problem(tmp_path / "full.nc", inputs.assemble(), xr.Dataset())
    ds = xr.load_dataset(tmp_path / "full.nc")
    return ds, tmp_path / "own.nc"


def test_triplets_in_any_order_are_the_same_matrix(plain, tmp_path):
    ds, path = plain
    rows = np.repeat(np.arange(ds.sizes["obs"]), np.diff(ds.row_start.values))
    order = np.random.default_rng(0).permutation(rows.size)
    ds.assign(row=("nonzero", rows)).isel(nonzero=order).drop_vars("row_start").to_netcdf(path)
    ours, theirs = read_problem(path)[0], read_problem(tmp_path / "full.nc")[0]
    assert abs(ours.H - theirs.H).sum() == 0


def test_what_may_be_left_out_counts_as_none(plain):
    ds, path = plain
    left = ["background", "form", "length_y", "per_axis", "hour_duration"]
    left += ["shared_cause", "shared_column", "shared_traceable_to"]
    ds.drop_vars(left).to_netcdf(path)
    problem, _ = read_problem(path)
    assert problem.errors.columns.shape == (ds.sizes["obs"], 0)
    assert not problem.background.any()
    assert np.isfinite(solve(problem).flux_sd).all()


def _with(ds, name, at, value):
    out = ds.copy(deep=True)
    out[name].values[at] = value
    return out


WRONG = {
    "'sensitivity' has 1 NaN of .*, first at nonzero=3": lambda ds: _with(ds, "sensitivity", 3, np.nan),
    "'random_variance' is -1e-14 at obs=2, random=1, expected 0 or more": lambda ds: _with(
        ds, "random_variance", (2, 1), -1e-14
    ),
    r"'random_variance' of obs=4 \('d004'\) sums to 0, expected a positive": lambda ds: _with(
        ds, "random_variance", 4, 0.0
    ),
    "obs=0 and obs=5 .* have the same datum_id": lambda ds: ds.assign(
        datum_id=("obs", np.where(np.arange(24) == 5, "d000", ds.datum_id.values))
    ),
    "obs=0 and obs=23 .* have the same site, time": lambda ds: ds.isel(
        obs=np.append(np.arange(23), 0)
    ).assign(datum_id=ds.datum_id),
    "'flux_sd' of sector 'heating' is 0 everywhere": lambda ds: _with(ds, "flux_sd", 1, 0.0),
    "'flux_sd' of sector 'heating' is -1 somewhere": lambda ds: _with(ds, "flux_sd", (1, 0, 0), -1.0),
    "'mole_fraction' has units 'ppm', expected 'mol mol-1'": lambda ds: ds.assign(
        mole_fraction=ds.mole_fraction.assign_attrs(units="ppm")
    ),
    r"'flux' has dims \('flux_time', 'sector', 'cell'\), expected": lambda ds: ds.assign(
        flux=ds.flux.transpose("flux_time", "sector", "cell")
    ),
    "'column' runs from .* to 160, expected within 0 to 159": lambda ds: _with(ds, "column", 3, 160),
    "expected 25 ascending edges from 0 to": lambda ds: _with(ds, "row_start", 0, 1),
    "attribute layout is 'mine', expected 'metroflux problem 1'": lambda ds: ds.assign_attrs(layout="mine"),
    "attribute species is missing": lambda ds: ds.assign_attrs(species=""),
    "expected either 'row_start'": lambda ds: ds.drop_vars("row_start"),
    "no shared_column, expected them with shared_cause": lambda ds: ds.drop_vars("shared_column"),
    "sector 'traffic': length is -1.0, expected 0 or more": lambda ds: _with(ds, "length", 0, -1.0),
    "'site' is missing": lambda ds: ds.drop_vars("site"),
    "'flux_time_bounds' overlap": lambda ds: _with(
        ds, "flux_time_bounds", (1, 0), ds.flux_time_bounds.values[0, 0]
    ),
}


@pytest.mark.parametrize("said", WRONG)
def test_wrong_files_are_refused_by_file_variable_value_and_expectation(plain, said):
    ds, path = plain
    WRONG[said](ds).to_netcdf(path)
    with pytest.raises(DataError, match=said) as error:
        read_problem(path)
    assert str(error.value).startswith(str(path))


def test_what_is_no_netcdf_is_refused(tmp_path):
    (tmp_path / "p.nc").write_text("nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_problem(tmp_path / "p.nc")
