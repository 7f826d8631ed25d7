"""Correlation forms and the file convention against covariances written out."""

import time

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.time import time_encoding
from metroflux.uncertainty import ErrorModel, Random, Shared, attach, components
from observations.components import Group, along_range, exponential
from observations.metrology.err_corr import from_err_corr, to_err_corr


def noise(ds):
    return [Random("noise", np.full(ds.sizes["obs"], 0.1e-6))]


def test_an_error_that_is_forgotten_in_time_has_the_exponential_covariance(make_observations):
    ds = make_observations(hours=30)
    sd = np.linspace(0.1e-6, 0.3e-6, 60)
    parts = exponential(ds, Group("drift", "drift", ("site",)), sd, 6 * 3600.0, 3600.0)
    model = ErrorModel.from_datasets(attach(ds, noise(ds), parts))
    hours = (ds.time.values - ds.time.values[0]) / np.timedelta64(1, "h")
    same = ds.site.values[:, None] == ds.site.values
    expected = np.outer(sd, sd) * np.exp(-np.abs(hours[:, None] - hours) / 6) * same
    np.testing.assert_allclose(model.dense() - np.eye(60) * 1e-14, expected, atol=1e-22)


def test_a_longer_step_takes_fewer_columns(make_observations):
    ds = make_observations(hours=48)
    parts = exponential(ds, Group("drift", "drift"), 1e-7, 86400.0 * 7, 86400.0)
    assert len(parts) == 2
    U = np.stack([p.column for p in parts], axis=1)
    days = ds.time.values.astype("datetime64[D]")
    first, second = (days == day for day in np.unique(days))
    np.testing.assert_allclose((U @ U.T)[np.ix_(first, first)], 1e-14, rtol=1e-12)
    np.testing.assert_allclose((U @ U.T)[np.ix_(first, second)], 1e-14 * np.exp(-1 / 7), rtol=1e-12)


def test_gates_of_one_profile_are_correlated_along_range(make_observations):
    ds = make_observations(hours=2)
    ds = ds.assign_coords(inlet=("obs", np.array([100.0, 175.0, 250.0, 400.0]), ds.inlet.attrs))
    ds = ds.assign_coords(time=("obs", np.repeat(ds.time.values[:1], 4), ds.time.attrs))
    parts = along_range(ds, Group("retrieval", "lidar", ("hour",)), 1e-6, 100.0)
    U = np.stack([p.column for p in parts], axis=1)
    height = ds.inlet.values
    np.testing.assert_allclose(U @ U.T, 1e-12 * np.exp(-np.abs(height[:, None] - height) / 100), rtol=1e-12)


@pytest.mark.parametrize(("duration", "step"), [(0.0, 1.0), (1.0, 0.0), (1e9, 1.0)])
def test_errors_that_cannot_be_written_as_columns_are_refused(make_observations, duration, step):
    ds = make_observations(sites=("A",), hours=3100)
    with pytest.raises(ConfigError, match=r"'drift'"):
        exponential(ds, Group("drift", "drift"), 1e-7, duration, step)


@pytest.fixture
def observed(make_observations, rng):
    ds = make_observations()
    random = [Random("repeatability", rng.uniform(1, 2, 48)), Random("representation", rng.uniform(1, 2, 48))]
    shared = [
        Shared("scale:A -> B", "scale conversion", rng.normal(size=48), "Hall et al. 2021"),
        Shared("tank/1", "calibration", rng.normal(size=48), "certificate 17"),
    ]
    return attach(ds, random, shared)


@pytest.mark.parametrize("kept", [(2, 2), (1, 0), (0, 1)])
def test_the_file_convention_survives_netcdf(tmp_path, observed, kept):
    random, shared = (parts[:n] for parts, n in zip(components(observed), kept, strict=True))
    before = attach(observed.drop_dims(["random", "shared"]), random, shared)
    kept = to_err_corr(before)
    kept.to_netcdf(tmp_path / "unc.nc", encoding=time_encoding(kept))
    with xr.open_dataset(tmp_path / "unc.nc") as ds:
        after = from_err_corr(ds.load())
    xr.testing.assert_identical(after[["random_sd", "shared_column"]], before[["random_sd", "shared_column"]])
    assert "unc_comps" not in after.mole_fraction.attrs


def test_attributes_are_those_of_obsarray(observed):
    ds = to_err_corr(observed)
    assert ds.mole_fraction.attrs["unc_comps"] == ["u_random_0", "u_random_1", "u_shared_0", "u_shared_1"]
    wanted = {
        "err_corr_1_dim",
        "err_corr_1_form",
        "err_corr_1_params",
        "err_corr_1_units",
        "pdf_shape",
        "units",
    }
    assert wanted <= set(ds.u_shared_0.attrs)
    assert (ds.u_random_0.attrs["err_corr_1_form"], ds.u_shared_0.attrs["err_corr_1_form"]) == (
        "random",
        "systematic",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"err_corr_1_form": "triangle_relative"}, "correlation 'triangle_relative' along obs"),
        ({"err_corr_1_dim": "time"}, "along time; expected"),
        ({"units": "ppm"}, "units ppm; expected mol mol-1"),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(observed, change, message):
    ds = to_err_corr(observed)
    ds.u_shared_1.attrs |= change
    with pytest.raises(DataError, match=message):
        from_err_corr(ds)
    with pytest.raises(DataError, match="no variable u_shared_1"):
        from_err_corr(ds.drop_vars("u_shared_1"))


def test_a_year_of_four_sites_is_solved_in_two_seconds(rng):
    """n = 35,040, rank 4, 50 vectors; CPU time, because others may use the machine."""
    model = ErrorModel({"noise": rng.uniform(1, 2, 35_040)}, rng.normal(size=(35_040, 4)), ("c",) * 4)
    rhs = rng.normal(size=(35_040, 50))
    start = time.process_time()
    model.solve(rhs)
    assert time.process_time() - start < 2.0
