"""Receptors: heights of column layers, even shares, identity by content."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError, DataError
from transport.particles import end_weights, release, shares
from transport.placing import layer_heights
from transport.receptors import ReceptorSettings, make_receptors

SETTINGS = ReceptorSettings(particles=100, hours=1.0, seed=5)


def make_observations(inlet, kernel=None, share=None, minutes=60):
    n = len(inlet)
    end = np.full(n, np.datetime64("2024-06-01T03:00", "ns"))
    text = np.array([f"d{i}" for i in range(n)])
    empty = np.empty(0, "<U1")
    ds = xr.Dataset({
        "mole_fraction": ("obs", np.full(n, 4e-4), {"units": "mol mol-1"}),
        "flag": ("obs", np.zeros(n, int)), "n_samples": ("obs", np.ones(n, int)),
        "random_sd": (("obs", "random"), np.full((n, 1), 1e-7), {"units": "mol mol-1"}),
        "shared_column": (("obs", "shared"), np.zeros((n, 0)), {"units": "mol mol-1"}),
    }).assign_coords(
        datum_id=("obs", text), time=("obs", end - np.timedelta64(minutes, "m")),
        time_bounds=(("obs", "bounds"), np.stack([end - np.timedelta64(minutes, "m"), end], axis=1)),
        site=("obs", text), species=("obs", np.full(n, "co2")), inlet=("obs", inlet, {"units": "m"}),
        latitude=("obs", np.full(n, 50.1), {"units": "degrees_north"}),
        longitude=("obs", np.full(n, 10.2), {"units": "degrees_east"}),
        random=("random", ["noise"]), shared=("shared", empty),
        shared_cause=("shared", empty), shared_traceable_to=("shared", empty),
    )  # fmt: skip
    if kernel is not None:
        ds["averaging_kernel"] = (("obs", "layer"), np.array(kernel), {"units": "1"})
        ds["pressure_weight"] = (("obs", "layer"), np.array(share), {"units": "1"})
    return ds


def test_a_tower_has_one_point_at_its_inlet(make_met):
    receptors = make_receptors(make_observations([10.0, 100.0]), make_met(), SETTINGS)
    assert receptors.height.values.tolist() == [[10.0], [100.0]]
    assert receptors.weight.values.tolist() == [[1.0], [1.0]]
    assert receptors.duration.values.tolist() == [3600.0, 3600.0]
    assert receptors.time.values[0] == np.datetime64("2024-06-01T03:00")
    assert float(receptors.y[0, 0]) == pytest.approx(11_125, abs=20)  # 0.1 degrees north of the origin
    assert list(receptors.datum_id.values) == ["d0", "d1"]


def test_layer_heights_invert_an_exponential_atmosphere():
    height = np.linspace(0.0, 10_000.0, 101)
    pressure = 1e5 * np.exp(-height / 8000.0)
    share = np.array([0.2, 0.3, 0.5])
    got = layer_heights(share, pressure, height)
    assert got[:2] == pytest.approx(-8000.0 * np.log([0.9, 0.65]), rel=1e-3)
    assert got[2] == np.inf  # mid pressure 0.25 lies above the profile


def test_a_column_has_a_point_per_layer_weighted_by_kernel_and_pressure(make_met):
    share, kernel = [0.2, 0.2, 0.2, 0.4], [0.8, 1.0, 1.1, 1.2]
    nan = [np.nan] * 4
    observations = make_observations([np.nan, 10.0], [kernel, nan], [share, nan], minutes=0)
    receptors = make_receptors(observations, make_met(), SETTINGS)
    column = receptors.isel(receptor=0)
    assert column.weight.values == pytest.approx([0.16, 0.2, 0.22, 0.0])  # the last lies above the met
    assert column.height.values[:3] == pytest.approx(-8500 * np.log([0.9, 0.7, 0.5]), rel=0.02)
    assert np.isnan(column.height.values[3])
    low = make_receptors(observations, make_met(), ReceptorSettings(100, 1.0, 5, column_top=2000.0))
    assert np.count_nonzero(low.weight.values[0]) == 1
    assert receptors.weight.values[1].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_particles_are_shared_evenly_with_a_minimum_for_each_point(make_met):
    assert shares(10, 3).tolist() == [4, 3, 3]
    share, kernel = [[0.2] * 5], [[1.0] * 5]
    observations = make_observations([np.nan], kernel, share)
    receptors = make_receptors(observations, make_met(), ReceptorSettings(30, 1.0, 5, minimum=20))
    points = np.count_nonzero(receptors.weight.values[0])
    assert int(receptors.particles[0]) == 20 * points
    flight = release(receptors)
    assert np.bincount(flight.point, minlength=5)[:points].tolist() == [20] * points
    weight = np.bincount(flight.point, flight.particles.weight)
    assert weight == pytest.approx(0.2 * 0.0289647, rel=1e-12)


def test_releases_spread_over_the_averaging_interval(make_met):
    flight = release(make_receptors(make_observations([10.0]), make_met(), SETTINGS))
    end = np.datetime64("2024-06-01T03:00", "ns").astype(np.int64)
    before = (end - flight.released) * 1e-9
    assert before.min() == pytest.approx(18.0)
    assert before.max() == pytest.approx(3600 - 18.0)
    assert np.diff(np.sort(before)) == pytest.approx(np.full(99, 36.0))


def test_identity_and_seed_follow_from_content(make_met):
    met = make_met()
    first, again = (make_receptors(make_observations([10.0, 20.0]), met, SETTINGS) for _ in range(2))
    assert first.identical(again)
    other = make_receptors(make_observations([10.0, 20.0]), met, ReceptorSettings(100, 1.0, 6))
    assert list(first.receptor.values) == list(other.receptor.values)
    assert not set(first.seed.values) & set(other.seed.values)
    assert len(set(first.seed.values)) == 2
    same = make_receptors(make_observations([10.0, 10.0]), met, SETTINGS)
    assert same.receptor.values[0] == same.receptor.values[1]


def test_flights_stop_at_the_start_of_the_met_only_when_asked(make_met):
    long = ReceptorSettings(100, 12.0, 5, stop_at_met_start=True)
    assert float(make_receptors(make_observations([10.0]), make_met(), long).hours[0]) == 3.0
    with pytest.raises(DataError, match="d0 needs 2024-05-31T15:00 to 2024-06-01T03:00, the met covers"):
        make_receptors(make_observations([10.0]), make_met(), ReceptorSettings(100, 12.0, 5))


def test_faulty_observations_and_settings_are_refused(make_met):
    with pytest.raises(DataError, match=r"'inlet' is missing or negative.* d1"):
        make_receptors(make_observations([10.0, np.nan]), make_met(), SETTINGS)
    with pytest.raises(DataError, match=r"'pressure_weight' does not sum to 1.* d0"):
        make_receptors(make_observations([np.nan], [[1.0, 1.0]], [[0.2, 0.2]]), make_met(), SETTINGS)
    alone = make_observations([np.nan], [[1.0]], [[1.0]]).drop_vars("pressure_weight")
    with pytest.raises(DataError, match="averaging_kernel alone"):
        make_receptors(alone, make_met(), SETTINGS)
    for wrong in ((10, 1.0), (100, 0.0)):
        with pytest.raises(ConfigError):
            ReceptorSettings(wrong[0], wrong[1], 5)


def test_end_points_count_as_the_weight_of_the_point_they_came_from():
    weight = np.array([[0.3, 0.0, 0.8, -0.1], [1.0, 0.0, 0.0, 0.0]])
    receptors = xr.Dataset(
        {"weight": (("receptor", "point"), weight), "particles": ("receptor", np.array([10, 7]))}
    )
    found = end_weights(receptors, 12)
    parts = [4, 3, 3]  # ten particles over three points, the first ones one more
    expected = np.repeat(np.array([0.3, 0.8, -0.1]) / parts, parts)
    np.testing.assert_allclose(found[0, :10], expected, rtol=1e-15)
    np.testing.assert_allclose(found[1, :7], np.full(7, 1 / 7), rtol=1e-15)
    assert np.isnan(found[0, 10:]).all()
    assert np.isnan(found[1, 7:]).all()
    np.testing.assert_allclose(np.nansum(found, axis=1), weight.sum(axis=1), rtol=1e-14)
