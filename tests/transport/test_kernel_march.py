"""The block kernel flies every particle as the plain loop does, whatever flies beside it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import transport.particles
from metroflux.errors import DataError
from transport.footprints import FootprintSettings
from transport.kernels.field import level_bins, level_interval
from transport.kernels.state import ALIVE, Target
from transport.particles import MetTimes, fly, release


def benchmark(name):
    """Return the march of a file in benchmarks/, which is no package of the installation."""
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.march


@pytest.fixture(scope="module")
def plain_march():
    return benchmark("plain_march")


def uneven(met):
    """Return the met with everything varying in place and time."""
    rng = np.random.default_rng(2)
    for name, size in (("u", 1.0), ("v", 1.0), ("w", 0.02), ("rho", 0.01), ("mixing_height", 200.0),
                       ("ustar", 0.05), ("inverse_obukhov", 0.02), ("z0", 0.05)):  # fmt: skip
        met[name] = met[name] + (size * rng.uniform(-1, 1, met[name].shape)).astype(np.float32)
    return met


def flown(met, receptors, estimator="growing", cells=40):
    """Return particles and footprint after the receptors' flights."""
    flight, n = release(receptors), receptors.sizes["receptor"]
    cell = 400e3 / cells
    target = Target(
        np.zeros((n, 5, cells, cells)),
        np.zeros(n),
        np.zeros(n, np.int64),
        np.full(2, -200e3),
        np.full(2, cell),
    )
    steps = fly(flight, MetTimes(met), target, FootprintSettings(estimator=estimator).rules())
    return steps, flight.particles, target


@pytest.mark.parametrize("estimator", ["growing", "half"])
def test_kernel_and_plain_loop_differ_by_rounding_only(
    make_met, make_points, plain_march, monkeypatch, estimator
):
    met = uneven(make_met(2, wind=(8.0, -3.0), half_width=60e3))
    receptors = make_points((3.0, 40.0, 900.0), hours=1.5, end=1.75, particles=90, duration=900.0)
    steps, ours, foot = flown(met, receptors, estimator)
    monkeypatch.setattr(transport.particles, "march", plain_march)
    plain_steps, plain, plain_foot = flown(met, receptors, estimator)
    assert steps == plain_steps > 10_000
    np.testing.assert_array_equal(ours.status, plain.status)
    for name in ("x", "y", "z", "psi", "chi_x", "spread", "age"):
        # elementary functions agree to 1e-13; rounding grows along hundreds of steps
        np.testing.assert_allclose(
            getattr(ours, name), getattr(plain, name), rtol=1e-6, atol=1e-6, err_msg=name
        )
    assert foot.foot.sum() > 0
    np.testing.assert_allclose(foot.foot, plain_foot.foot, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("estimator", ["growing", "half"])
@pytest.mark.parametrize("height", [3.0, 40.0, 900.0])
def test_kernel_makes_the_steps_of_the_vectorised_march(
    make_met, make_points, monkeypatch, estimator, height
):
    met = uneven(make_met(1, wind=(8.0, -3.0), half_width=60e3))
    receptors = make_points((height,), hours=0.4, end=0.75, particles=60, duration=300.0)
    steps, ours, foot = flown(met, receptors, estimator)
    monkeypatch.setattr(transport.particles, "march", benchmark("numpy_march"))
    other_steps, other, other_foot = flown(met, receptors, estimator)
    assert steps == other_steps > 1000
    for name in ("x", "y", "z", "psi", "chi_x", "spread", "age", "deposited"):
        # rounding grows along a path; with formulae written another way it starts larger
        np.testing.assert_allclose(
            getattr(ours, name), getattr(other, name), rtol=1e-6, atol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(foot.foot, other_foot.foot, rtol=1e-5, atol=1e-9)


def test_particles_that_leave_are_the_same_with_the_plain_loop(
    make_met, make_points, plain_march, monkeypatch
):
    met = uneven(make_met(2, wind=(30.0, 5.0), half_width=40e3, mixing_height=2500.0))
    receptors = make_points((3000.0,), hours=2.0, end=2.0, particles=200)
    _, ours, _ = flown(met, receptors)
    monkeypatch.setattr(transport.particles, "march", plain_march)
    _, plain, _ = flown(met, receptors)
    assert (ours.status != ALIVE).sum() > 50
    np.testing.assert_array_equal(ours.status, plain.status)
    np.testing.assert_allclose(ours.x, plain.x, rtol=1e-6)


def test_a_flight_has_the_same_bits_alone_and_among_many(make_met, make_points):
    met = uneven(make_met())
    many = make_points((10.0, 50.0, 300.0, 5.0, 80.0), hours=3.0, particles=300, duration=1800.0)
    _, together, foot = flown(met, many)
    for r in (1, 4):
        _, alone, foot_alone = flown(met, many.isel(receptor=[r]))
        for name in ("x", "z", "psi", "deposited", "age", "drawn"):
            assert getattr(together, name)[together.receptor == r].tobytes() == getattr(alone, name).tobytes()
        assert foot.foot[r].tobytes() == foot_alone.foot[0].tobytes()


def test_footprint_on_and_beside_the_grid_is_the_residence_exactly(make_met, make_points):
    _, p, target = flown(make_met(), make_points((10.0, 30.0), hours=4.0, particles=500), cells=4)
    for r in range(2):
        # amounts are multiples of one quantum: their sums carry no rounding at all
        assert target.foot[r].sum() == p.deposited[p.receptor == r].sum() > 0


def test_levels_are_found_by_their_bins():
    levels = np.array([3.0, 10.0, 11.0, 200.0, 201.5, 5000.0])
    below, per_metre = level_bins(levels)
    heights = np.concatenate(
        [levels, np.nextafter(levels, 0), np.random.default_rng(0).uniform(0, 6000, 2000)]
    )
    expected = np.clip(np.searchsorted(levels, heights, side="right") - 1, 0, levels.size - 2)
    assert [level_interval(levels, below, per_metre, z) for z in heights] == expected.tolist()


def test_a_target_without_room_is_refused(make_met, make_points):
    receptors = make_points((10.0, 20.0), hours=3.0, particles=2)
    flight, met = release(receptors), MetTimes(make_met())
    for n, lags, message in ((1, 5, "receptor 1 of particles"), (2, 2, "lags 2 to 2 on the way")):
        target = Target(
            np.zeros((n, lags, 2, 2)), np.zeros(n), np.zeros(2, np.int64), np.zeros(2), np.ones(2)
        )
        with pytest.raises(DataError, match=message):
            fly(flight, met, target, FootprintSettings().rules())
