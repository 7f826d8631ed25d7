"""The turbulence of Hanna (1982): formulae, gradients, lower bounds, directions, and its switch."""

import math

import numpy as np
import pytest

from metroflux.errors import ConfigError
from transport.footprints import FootprintSettings, compute_footprints
from transport.kernels.hanna import horizontal, vertical
from transport.kernels.state import Rules, Target
from transport.particles import Flight, MetTimes, fly, make_particles

CASES = {
    "convective": (0.3, -1 / 30, 1500.0),
    "neutral": (0.4, 1e-4, 1000.0),
    "stable": (0.15, 1 / 30, 150.0),
}


def written_out(z, ustar, length, h):
    """Return sigma_u, T_u, sigma_v, T_v, sigma_w, T_w below 0.85 h, with branches as in print."""
    f, zeta = 1e-4, z / h
    if h / abs(length) < 1:
        u, w = (
            2.0 * ustar * math.exp(-3 * f * z / ustar) + 0.01,
            1.3 * ustar * math.exp(-2 * f * z / ustar) + 0.01,
        )
        time = 0.5 * z / w / (1 + 15 * f * z / ustar)
        return u, max(time, 10), w, max(time, 10), w, max(time, 30)
    if length < 0:
        convective = ustar * (-h / (0.4 * length)) ** (1 / 3)
        u = ustar * (12 + 0.5 * h / abs(length)) ** (1 / 3) + 0.01
        w = (
            math.sqrt(
                1.2 * convective**2 * (1 - 0.9 * zeta) * zeta ** (2 / 3) + (1.8 - 1.4 * zeta) * ustar**2
            )
            + 0.01
        )
        if z < abs(length):
            time = 0.1 * z / (w * (0.55 - 0.38 * z / abs(length)))
        elif zeta < 0.1:
            time = 0.59 * z / w
        else:
            time = 0.15 * h / w * (1 - math.exp(-5 * zeta))
        return u, max(0.15 * h / u, 10), u, max(0.15 * h / u, 10), w, max(time, 30)
    u, w = 2.0 * ustar * (1 - zeta) + 0.01, 1.3 * ustar * (1 - zeta) + 0.01
    return (u, max(0.15 * h / u * zeta**0.5, 10), w, max(0.07 * h / w * zeta**0.5, 10),
            w, max(0.1 * h / w * zeta**0.8, 30))  # fmt: skip


def test_formulae_are_those_of_the_papers_in_every_regime():
    rng = np.random.default_rng(0)
    regimes = set()
    for _ in range(2000):
        ustar, h = rng.uniform(0.05, 0.8), rng.uniform(60.0, 2500.0)
        length = rng.choice([-1, 1]) * np.exp(rng.uniform(1.0, 9.0))
        z = rng.uniform(1.0, 0.85 * h)
        regimes.add((abs(length) > h, length > 0, z < abs(length), z < 0.1 * h))
        sigma, _, time = vertical(z, ustar, 1 / length, h)
        got = (*horizontal(z, ustar, 1 / length, h), sigma, time)
        assert got == pytest.approx(written_out(z, ustar, length, h), rel=1e-9)
    assert len(regimes) >= 10


@pytest.mark.parametrize("case", CASES)
def test_hanna_sigma_gradient_is_the_derivative_of_sigma(case):
    heights = np.geomspace(1.5, 2.0 * CASES[case][2], 200)
    for z in heights[np.abs(heights - CASES[case][2]) > 1.0]:  # a corner at h
        step = 1e-4 * z
        slope = (vertical(z + step, *CASES[case])[0] - vertical(z - step, *CASES[case])[0]) / (2 * step)
        assert vertical(z, *CASES[case])[1] == pytest.approx(slope, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_hanna_far_above_the_mixing_height_is_the_same_free_air(case):
    h = CASES[case][2]
    assert vertical(1.2 * h, *CASES[case]) == (0.1, 0.0, 100.0)
    assert horizontal(1.2 * h, *CASES[case]) == pytest.approx((0.5**0.5, 100.0) * 2)


def test_hanna_spreads_further_along_the_wind_than_across(make_met):
    ustar, z, h, n, seconds = 0.4, 300.0, 1000.0, 40_000, 4
    met = MetTimes(make_met(1, wind=(3.0, 4.0), ustar=ustar, mixing_height=h))
    zero, end = np.zeros(n, np.int64), int(met.time[-1])
    p = make_particles(np.tile([0.0, 0.0, z], (n, 1)), np.ones(n), zero, zero + 5, np.arange(n))
    target = Target(np.zeros((1, 1, 1, 1)), np.zeros(1), np.zeros(1, np.int64), np.zeros(2), np.ones(2))
    fly(Flight(p, zero + end, zero + end - seconds * 10**9, zero, np.array([end])), met, target,
        Rules(0.1, 1.0, 0.1, 0, 1))  # fmt: skip
    along, across = (0.6 * p.x + 0.8 * p.y) + 5.0 * seconds, -0.8 * p.x + 0.6 * p.y
    sigma_u, time_u, sigma_v, time_v = horizontal(z, ustar, 0.0, h)
    for values, sigma, time in ((along, sigma_u, time_u), (across, sigma_v, time_v)):
        assert abs(values.mean()) < 4 * sigma * seconds / np.sqrt(n)
        # Taylor 1921; heights change by a few metres on the way, which is below a percent of sigma
        taylor = 2 * (sigma * time) ** 2 * (seconds / time - 1 + np.exp(-seconds / time))
        assert values.var() == pytest.approx(taylor, rel=4 * np.sqrt(2 / n) + 0.01)


def test_the_setting_switches_the_turbulence_and_nothing_else(make_met, make_points, wide_grid):
    met, receptors = make_met(), make_points((10.0, 60.0), particles=100)
    first, again = (
        compute_footprints(met, receptors, wide_grid, FootprintSettings(turbulence="hanna_1982", batch=b))
        for b in (32, 1)
    )
    default = compute_footprints(met, receptors, wide_grid, FootprintSettings())
    assert first.foot.values.tobytes() == again.foot.values.tobytes()
    assert np.all(first.foot.sum(("lag", "y", "x")) > 0)
    assert not np.array_equal(first.foot, default.foot)


def test_an_unknown_turbulence_is_refused():
    with pytest.raises(ConfigError, match="turbulence 'hanna'; expected 'similarity' or 'hanna_1982'"):
        FootprintSettings(turbulence="hanna")
