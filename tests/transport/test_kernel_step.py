"""The step itself: its parts against closed forms, and long steps against short ones."""

import numpy as np
import pytest

from metroflux.constants import M_AIR
from transport.footprints import FootprintSettings
from transport.kernels.block import LONGEST, SHORTEST, half_way, memory_and_kick, time_step
from transport.kernels.state import Rules, Target
from transport.kernels.turbulence import length_scale, vertical
from transport.particles import HOUR, Flight, MetTimes, fly, make_particles

STEPS = FootprintSettings().rules()
SHORT = Rules(0.05, 0.05, 0.0, 0)
LAYERS = {"convective": (0.3, -1 / 30, 1500.0), "neutral": (0.4, 0.0, 1000.0), "stable": (0.2, 1 / 40, 200.0)}


def pace(z, layer, age, left, rules):
    """Return sigma_w, time step and the gradient of their product."""
    sigma, slope, _ = vertical(z, *layer)
    dt, stride_slope = time_step((sigma, slope), length_scale(z, *layer[1:]), age, left, rules)
    return sigma, dt, stride_slope


@pytest.mark.parametrize("x", [0.01, 0.5, 1.0, 4.0])
def test_any_step_keeps_the_variance_and_the_diffusivity(x):
    memory, kick = memory_and_kick(2.0 * x, 1.0)
    assert memory**2 + kick**2 == pytest.approx(1.0)
    # a walk of steps psi dt whose memory is geometric has K = dt/2 (1 + m)/(1 - m), here T = 1
    assert x * (1.0 + memory) / (1.0 - memory) == pytest.approx(1.0)


def test_a_short_step_forgets_exponentially():
    assert memory_and_kick(0.02, 1.0)[0] == pytest.approx(np.exp(-0.02), rel=1e-6)


@pytest.mark.parametrize("psi", [-2.0, 0.5, 2.0])
def test_half_a_step_along_a_growing_stride_is_exponential(psi):
    z, grows = 20.0, 0.25
    there, _ = half_way(z, psi, grows * z, grows)
    assert there == pytest.approx(z * np.exp(0.5 * grows * psi), rel=3e-4)
    back, _ = half_way(there, -psi, grows * there, grows)
    assert back == pytest.approx(z, rel=6e-4)


def test_a_particle_that_meets_the_ground_turns_round():
    assert half_way(0.1, -2.0, 0.5, 0.0) == (pytest.approx(0.4), 2.0)
    assert half_way(5.0, -2.0, 0.5, 0.0) == (pytest.approx(4.5), -2.0)


@pytest.mark.parametrize("age", [0.0, 200.0, 1e5])
@pytest.mark.parametrize("case", LAYERS)
def test_gradient_of_the_stride_is_its_derivative(case, age):
    layer = LAYERS[case]
    for z in np.geomspace(1.2, 2.0 * layer[2], 150):
        near = [pace(z * f, layer, age, 3600.0, STEPS) for f in (1 - 1e-5, 1.0, 1 + 1e-5)]
        by_difference = [(b[0] * b[1] - a[0] * a[1]) / (1e-5 * z) for a, b in ((near[0], near[1]), near[1:])]
        if by_difference[0] != pytest.approx(by_difference[1], rel=1e-2, abs=1e-5):
            continue  # a corner: one limit of the step gives way to another, or sigma_w at h
        assert near[1][2] == pytest.approx(np.mean(by_difference), rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("case", LAYERS)
def test_steps_obey_their_limits(case):
    layer = LAYERS[case]
    for z in np.geomspace(0.1, 3.0 * layer[2], 200):
        _, dt, _ = pace(z, layer, 0.0, 3600.0, STEPS)
        # a young particle sees its own velocity last; sigma_w T is smallest at the top of a stable layer
        resolved = (0.2 if z < 0.5 * layer[2] else 0.33) * vertical(z, *layer)[2]
        assert dt <= max(resolved, SHORTEST)
        _, dt, _ = pace(z, layer, 100.0, 3600.0, STEPS)
        assert dt <= max(resolved, 0.1 * 100.0)
        _, dt, _ = pace(z, layer, 1e6, 3600.0, STEPS)
        assert SHORTEST <= dt <= LONGEST
        assert pace(z, layer, 1e6, 0.5, STEPS)[1] == 0.5


def sheared_night(make_met):
    """Return a day of the same stable air, its wind growing with height."""
    met = make_met(24, mixing_height=200.0, ustar=0.2, inverse_obukhov=1 / 40, half_width=2000e3,
                   levels=(5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 150.0, 200.0, 300.0, 4000.0))  # fmt: skip
    wind = (2.0 + 8.0 * np.minimum(met.level / 200.0, 1.0)).astype(np.float32)
    met["u"], met["v"] = met.u * 0 + wind, met.v * 0 + np.float32(0.3) * wind
    return met


def night_footprint(met, rules, n, parts=20):
    """Return footprints of 20 m by spans of age (h) and of distance (km), shape (part, span)."""
    number, width, cells = np.arange(n), 5e3, 200
    part = number % parts
    place = np.tile([0.0, 0.0, 20.0], (n, 1))
    p = make_particles(place, np.full(n, M_AIR * parts / n), part, number * 0 + 17, number)
    target = Target(np.zeros((parts, 24, 1, cells)), np.zeros(parts), np.zeros(parts, np.int64),
                    np.array([-cells * width, -2000e3]), np.array([width, 4000e3]))  # fmt: skip
    times = MetTimes(met)
    end = number * 0 + int(times.time[-1])
    fly(Flight(p, end, end - 24 * HOUR, part, np.full(parts, end[0])), times, target, rules)
    ages = np.add.reduceat(target.foot.sum(axis=(2, 3)), [0, 1, 3, 6, 12], axis=1)
    upwind = target.foot.sum(axis=(1, 2))[:, ::-1]
    return np.hstack([ages, np.add.reduceat(upwind, [0, 2, 6, 20, 60], axis=1)])


@pytest.mark.slow
def test_a_night_of_long_steps_makes_the_footprint_of_short_ones(make_met):
    met = sheared_night(make_met)
    (long, sd), (short, sd_short) = (
        (foot.mean(axis=0), foot.std(axis=0, ddof=1) / np.sqrt(len(foot)))
        for foot in (night_footprint(met, STEPS, 10_000), night_footprint(met, SHORT, 1_000))
    )
    assert np.all(sd_short < 0.1 * short)
    error = np.hypot(sd, sd_short)
    assert np.all(np.abs(long - short) < 3 * error)
    assert np.mean(((long - short) / error) ** 2) < 2.0
    assert long[:5].sum() == pytest.approx(short[:5].sum(), rel=0.05)
