"""Well-mixed, Taylor dispersion, reciprocity, and the same march without the compiler."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from transport.footprints import FootprintSettings
from transport.kernels.state import Target
from transport.particles import HOUR, Flight, MetTimes, fly, make_particles, release

STEPS = FootprintSettings().rules()
CASES = {
    "convective": {"mixing_height": 1500.0, "ustar": 0.3, "inverse_obukhov": -1 / 30},
    "neutral": {"mixing_height": 1000.0, "ustar": 0.4, "inverse_obukhov": 0.0},
    "stable": {"mixing_height": 200.0, "ustar": 0.2, "inverse_obukhov": 1 / 40},
}


class Tracers:
    """Particles that only move: no footprint is asked for."""

    def __init__(self, met, z, seed=11):
        n = z.size
        place = np.stack([np.zeros(n), np.zeros(n), z], axis=1)
        zero = np.zeros(n, np.int64)
        self.met, self.zero, self.seed = MetTimes(met), zero, seed
        self.p = make_particles(place, np.ones(n), zero, zero + seed, np.arange(n))
        self.now = int(self.met.time[-1])
        lag = np.zeros(1, np.int64)  # its own array: `fly` writes into it
        self.target = Target(np.zeros((1, 9, 1, 1)), np.zeros(1), lag, np.zeros(2), np.ones(2))

    def run(self, seconds, sign=-1):
        end = self.now + sign * int(seconds * 1e9)
        origin = np.array([-(-self.now // HOUR) * HOUR + 3 * HOUR])
        flight = Flight(self.p, self.zero + self.now, self.zero + end, self.zero, origin)
        fly(flight, self.met, self.target, STEPS, sign)
        self.now = end


def mass_below(met, z):
    """Return the air mass between the ground and z, kg m-2, for density linear between levels."""
    fine = np.linspace(0.0, z.max(), 4001)
    level, rho = met.level.values, met.rho.values[0, :, 0, 0].astype(float)
    slope = (rho[1] - rho[0]) / (level[1] - level[0])
    density = np.where(fine < level[0], rho[0] + slope * (fine - level[0]), np.interp(fine, level, rho))
    mass = np.append(0.0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(fine)))
    return np.interp(z, fine, mass)


def spread_by_mass(met, bottom, top, n):
    """Return n heights between bottom and top, evenly spread over the air mass, in random order."""
    fine = np.linspace(bottom, top, 4001)
    mass = mass_below(met, fine)
    z = np.interp(mass[0] + (np.arange(n) + 0.5) / n * (mass[-1] - mass[0]), mass, fine)
    return np.random.default_rng(1).permutation(z)


def layer_excess(column_met, case, n, hours):
    """Return relative excess of particles over air in 20 layers below h, and its standard error.

    Density falls by 30 % over the layer; every snapshot after the first third of the run counts. Air that
    mixes in from above the particles' top, 500 m above h, does not reach h (diffusivity there 1 m2 s-1).
    """
    h = CASES[case]["mixing_height"]
    top = h + 500.0
    levels = (0.006 * h, *np.linspace(0.02 * h, h + top, 150))
    met = column_met(hours, wind=(0.0, 0.0), levels=levels, scale_height=2.8 * h, **CASES[case])
    tracers = Tracers(met, spread_by_mass(met, 0.0, top, n))
    edges = np.linspace(0.0, h, 21)
    expected = np.diff(mass_below(met, np.append(edges, top))[:-1]) / mass_below(met, np.array([top]))
    blocks, counts, snapshots = 20, np.zeros((20, 20)), 0
    for k in range(hours * 6):
        tracers.run(600)
        if k >= hours * 2:
            snapshots += 1
            counts += [np.histogram(tracers.p.z[b::blocks], edges)[0] for b in range(blocks)]
    excess = counts / (snapshots * n / blocks * expected) - 1.0
    return excess.mean(axis=0), excess.std(axis=0, ddof=1) / np.sqrt(blocks)


def assert_well_mixed(excess, error, limit=0.01):
    beyond = np.sqrt(max(0.0, np.mean(excess**2) - np.mean(error**2)))
    assert beyond <= limit
    assert np.all(np.abs(excess) <= 0.02 + 3 * error)


@pytest.mark.parametrize("case", ["convective", "neutral"])
def test_a_well_mixed_layer_stays_well_mixed(make_met, case):
    # 20 000 particles: the noise of a layer is about 2 %, so 1 % beyond it is resolved to about 1 %
    assert_well_mixed(*layer_excess(make_met, case, 20_000, hours=2), limit=0.015)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "n"), [("convective", 100_000), ("neutral", 100_000), ("stable", 50_000)])
def test_a_well_mixed_layer_stays_well_mixed_to_one_percent(make_met, case, n):
    assert_well_mixed(*layer_excess(make_met, case, n, hours=6))


def test_dispersion_above_the_mixing_height_follows_taylor(make_met):
    met = make_met(hours=1, wind=(0.0, 0.0), mixing_height=50.0, scale_height=1e9)
    n = 20_000
    tracers = Tracers(met, np.full(n, 3000.0))
    elapsed = 0.0
    for more in (20.0, 280.0, 3000.0):  # far below, near and far above the time scale of 100 s
        tracers.run(more)
        elapsed += more
        taylor = 2 * 100.0**2 * (elapsed / 100.0 - 1 + np.exp(-elapsed / 100.0))
        for values, variance in ((tracers.p.z, 0.01), (tracers.p.x, 0.5), (tracers.p.y, 0.5)):
            # 4 standard errors of a variance, and 1 % for a step of a tenth of the time scale
            assert values.var() == pytest.approx(variance * taylor, rel=4 * np.sqrt(2 / n) + 0.01)


@pytest.mark.parametrize("case", ["convective", "neutral"])
def test_backward_and_forward_flights_agree(make_met, case):
    """Mass going from layer A to B in ten minutes equals mass traced back from B to A, and travels as far."""
    met = make_met(1, wind=(4.0, 0.0), **CASES[case])
    low, high, n = (0.0, 60.0), (150.0, 400.0), 30_000
    flows, distances = [], []
    for source, goal, sign in ((low, high, 1), (high, low, -1)):
        tracers = Tracers(met, spread_by_mass(met, *source, n), seed=3 + sign)
        tracers.now = int(tracers.met.time[0 if sign > 0 else -1])
        tracers.run(600, sign)
        hit = (tracers.p.z >= goal[0]) & (tracers.p.z < goal[1])
        mass = np.diff(mass_below(met, np.array([*source, 3000.0])))[0]
        flows.append((mass * hit.mean(), mass * np.sqrt(hit.mean() / n)))
        distances.append((sign * tracers.p.x[hit].mean(), tracers.p.x[hit].std() / np.sqrt(hit.sum())))
    for (forward, sd_1), (backward, sd_2) in (flows, distances):
        # three standard errors and 2 % for the finite step
        assert forward == pytest.approx(backward, abs=3 * np.hypot(sd_1, sd_2) + 0.02 * abs(forward))


def small_flight(make_met, make_points):
    """Return steps and state after six minutes of a few particles."""
    flight = release(make_points((2.0, 40.0), hours=0.1, end=1.0, particles=2))
    corner, cell = np.full(2, -4e3), np.full(2, 2e3)
    target = Target(np.zeros((2, 2, 4, 4)), np.zeros(2), np.zeros(2, np.int64), corner, cell)
    met = MetTimes(make_met(1, wind=(3.0, 1.0), inverse_obukhov=-0.02))
    steps = fly(flight, met, target, STEPS)
    p = flight.particles
    return [steps, *(a.ravel().tolist() for a in (p.x, p.y, p.z, p.psi, p.chi_x, p.spread, target.foot))]


ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from conftest import column_met, point_receptors
from test_particle_physics import small_flight
print(json.dumps(small_flight(column_met, point_receptors)))
"""


def test_the_march_is_the_same_without_the_compiler(make_met, make_points):
    here = Path(__file__).parent
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(here.parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(here)], env=environment, capture_output=True, text=True, check=True
    )
    plain, compiled = json.loads(done.stdout), small_flight(make_met, make_points)
    assert plain[0] == compiled[0] > 40
    for a, b in zip(plain[1:], compiled[1:], strict=True):
        # the last bits of exp and log differ between the two mathematical libraries
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert sum(compiled[-1]) > 0
