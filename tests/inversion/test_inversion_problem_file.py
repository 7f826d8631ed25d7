"""A problem in a file of anyone's making: solved as it is, or refused with what is wrong with it."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from inversion.problem_file import read_problem, write_problem
from inversion.solver import solve
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import time_encoding
from transport.interchange.lonlat import Axes, Known, Releases, footprints_lonlat, to_grid
from transport.interchange.read import read_footprints
from transport.interchange.stilt import write_stilt
from transport.jacobian import build_jacobian

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


def test_a_jacobian_of_footprint_files_is_the_matrix_of_a_problem(tmp_path):
    """The way of docs/problem.md: footprints of another model, put on the grid and summed, and solved."""
    grid, start = Grid("EPSG:32631", 350e3, 5_750e3, 50e3, 50e3, 6, 5), np.datetime64("2024-06-01", "ns")
    foot = np.random.default_rng(7).random((2, 3, 10, 14)) ** 4
    axes = Axes(0.8 + 0.3 * np.arange(14), 51.9 + 0.2 * np.arange(10), np.array([[0, 1], [1, 2], [2, 3.0]]))
    times, place = (
        start + np.array([6, 9]) * np.timedelta64(1, "h"),
        [np.full(2, v) for v in (52.5, 1.5, 30.0)],
    )
    made = Releases(times, np.full(2, 3600.0), *place, "made")
    write_stilt(footprints_lonlat(foot, axes, made, Known(), "test"), tmp_path)
    files = [read_footprints(path) for path in sorted(tmp_path.glob("*.nc"))]
    edges = start + np.arange(0, 13, 3) * np.timedelta64(1, "h")
    parts = [build_jacobian(to_grid(file, grid), edges) for file in files]
    rows = [np.diff(part.row_start.values) for part in parts]
    one = parts[0][["flux_time_bounds", "cell_area", "x", "y", "spatial_ref"]].reset_coords("cell_area")
    state = ("sector", "flux_time", "cell")
    sd = np.full((1, 4, 30), 1e-6)
    units = {"units": "mol m-2 s-1"}
    own = one.assign(
        datum_id=("obs", np.array([str(part.datum_id.values[0]) for part in parts])),
        site=("obs", np.array(["A", "A"])), time=("obs", times),
        mole_fraction=("obs", np.array([4.1e-4, 4.2e-4]), {"units": "mol mol-1"}),
        sensitivity=("nonzero", np.concatenate([p.sensitivity.values for p in parts]),
                     {"units": "m2 s mol-1"}),
        column=("nonzero", np.concatenate([p.column.values for p in parts])),
        row=("nonzero", np.repeat([0, 1], np.concatenate(rows))),
        random=("random", np.array(["transport"])),
        random_variance=(("obs", "random"), np.full((2, 1), 1e-12), {"units": "mol2 mol-2"}),
        sector=("sector", np.array(["all"])), flux=(state, 0 * sd, units), flux_sd=(state, sd, units),
        length=("sector", np.array([1e5]), {"units": "m"}),
        duration=("sector", np.array([1e4]), {"units": "s"}),
    ).assign_attrs(layout="metroflux problem 1", species="co2")  # fmt: skip
    own.to_netcdf(tmp_path / "own", encoding=time_encoding(own))
    problem, _ = read_problem(tmp_path / "own")
    want = [part.sensitivity.values.sum() for part in parts]
    np.testing.assert_allclose(np.asarray(problem.H.sum(axis=1)).ravel(), want, rtol=1e-12)
    assert np.all(solve(problem).flux_sd <= 1e-6)
