"""Slow wind fluctuations: sd of the grid's wind, growth of the plume in closed form, the same bits."""

import numpy as np
import pytest

from metroflux.errors import ConfigError
from transport.footprints import FootprintSettings, compute_footprints
from transport.kernels.elementary import kernel
from transport.kernels.mesoscale import grid_sd
from transport.kernels.state import Rules, Target
from transport.particles import Flight, MetTimes, fly, make_particles


def swinging(make_met, hours, swing):
    """Return met whose wind is +swing and -swing at alternate hours: sd `swing` always."""
    met = make_met(hours, wind=(0.0, 0.0), mixing_height=50.0, scale_height=1e9)
    turn = np.where(np.arange(hours + 1) % 2, -1.0, 1.0)[:, None, None, None]
    met["u"] = met.u + np.float32(swing) * turn.astype(np.float32)
    met["v"] = met.v - np.float32(0.5 * swing) * turn.astype(np.float32)
    return met


def flown(met, seconds, factor, n=20_000, sign=-1):
    """Return particles after a flight high above the mixing height."""
    times = MetTimes(met)
    zero, start = np.zeros(n, np.int64), int(times.time[-1 if sign < 0 else 0])
    p = make_particles(np.tile([0.0, 0.0, 3000.0], (n, 1)), np.ones(n), zero, zero + 5, np.arange(n))
    target = Target(np.zeros((1, 9, 1, 1)), np.zeros(1), np.zeros(1, np.int64), np.zeros(2), np.ones(2))
    flight = Flight(p, zero + start, zero + start + sign * seconds * 10**9, zero, times.time[-1:])
    fly(flight, times, target, Rules(0.1, 1.0, 0.1, 0, 0, factor), sign)
    return p


def taylor(variance, time, elapsed):
    """Return the variance of place by Taylor 1921."""
    return 2 * variance * time**2 * (elapsed / time - 1 + np.exp(-elapsed / time))


def test_sd_is_that_of_the_sixteen_points_around_a_particle(make_met):
    met = make_met(1)
    met["v"] = met.v + np.random.default_rng(3).normal(0, 2, met.v.shape).astype(np.float32)
    spread = kernel(lambda fields, i, j, first: grid_sd(fields, i, j, first))
    around = met.v.isel(level=[3, 4], y=[2, 3], x=[5, 6])
    assert spread(MetTimes(met).fields(0), 5, 2, 4 * 3 + 1) == pytest.approx(float(around.std()), rel=1e-6)
    assert spread(MetTimes(met).fields(0), 5, 2, 4 * 3) == 0.0


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("seconds", [300, 3600, 4 * 3600])  # time scale: half the met interval, 1800 s
def test_spread_by_fluctuations_follows_taylor(make_met, seconds, sign):
    n, factor, swing = 20_000, 0.16, 20.0
    p = flown(swinging(make_met, 4, swing), seconds, factor, n, sign)
    for values, share in ((p.x, 1.0), (p.y, 0.5)):
        expected = taylor((factor * share * swing) ** 2, 1800.0, seconds) + taylor(0.5, 100.0, seconds)
        # four standard errors of a variance, and 1 % for steps of a tenth of the turbulent time scale
        assert values.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / n) + 0.01)


def test_fluctuations_are_independent_of_the_turbulence(make_met):
    met = swinging(make_met, 2, 20.0)
    calm, moved = flown(met, 3600, 0.0, 2000), flown(met, 3600, 0.16, 2000)
    assert calm.z.tobytes() == moved.z.tobytes()
    extra = moved.x - calm.x
    for other in (calm.x - calm.x.mean(), calm.z - calm.z.mean(), moved.y - calm.y):
        assert abs(np.corrcoef(extra, other)[0, 1]) < 4 / np.sqrt(2000)


def test_a_uniform_steady_wind_has_no_fluctuations(make_met):
    met = make_met(1)
    assert flown(met, 600, 0.0, 50).x.tobytes() == flown(met, 600, 0.16, 50).x.tobytes()


def test_footprints_with_fluctuations_have_the_same_bits_in_any_batch(make_met, make_points, wide_grid):
    met = make_met()
    met["u"] = met.u + np.random.default_rng(1).normal(0, 3, met.u.shape).astype(np.float32)
    receptors = make_points((5.0, 20.0, 80.0), hours=3.0, particles=150)
    made = [
        compute_footprints(met, receptors, wide_grid, FootprintSettings(mesoscale=0.5, batch=batch))
        for batch in (1, 3)
    ]
    for name in ("foot", "end_x", "end_y", "end_height"):
        assert made[0][name].values.tobytes() == made[1][name].values.tobytes()
    still = compute_footprints(met, receptors, wide_grid, FootprintSettings())
    assert not np.array_equal(still.end_x, made[0].end_x)


def test_a_factor_beyond_one_is_refused():
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        FootprintSettings(mesoscale=1.6)
