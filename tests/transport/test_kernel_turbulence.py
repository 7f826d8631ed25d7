"""Turbulence: gradients, continuity, known limits; met lookup equals an independent interpolation."""

import numpy as np
import pytest

from transport.kernels.field import Place, gather, level_interval, profile
from transport.kernels.turbulence import horizontal, vertical
from transport.particles import MetTimes

CASES = {"convective": (0.3, -1 / 30, 1500.0), "neutral": (0.4, 0.0, 1000.0), "stable": (0.15, 1 / 30, 150.0)}


@pytest.mark.parametrize("case", CASES)
def test_sigma_gradient_is_the_derivative_of_sigma(case):
    heights = np.geomspace(1.5, 2.0 * CASES[case][2], 200)
    heights = heights[np.abs(heights - CASES[case][2]) > 1.0]  # the profile has a corner at h
    for z in heights:
        step = 1e-4 * z
        slope = (vertical(z + step, *CASES[case])[0] - vertical(z - step, *CASES[case])[0]) / (2 * step)
        assert vertical(z, *CASES[case])[1] == pytest.approx(slope, rel=1e-4, abs=1e-9)


def test_near_a_neutral_surface_the_time_scale_is_half_z_over_sigma():
    sigma, _, time = vertical(2.0, 0.4, 0.0, 1e6)
    assert time * sigma / 2.0 == pytest.approx(0.52, abs=0.01)  # Wilson et al. 1981: 0.5


@pytest.mark.parametrize("case", CASES)
def test_far_above_the_mixing_height_turbulence_is_weak(case):
    h = CASES[case][2]
    assert vertical(1.2 * h, *CASES[case]) == (0.1, 0.0, 100.0)
    sigma, time = horizontal(1.2 * h, *CASES[case])
    assert sigma**2 * time == pytest.approx(50.0)  # Stohl et al. 2005


def test_convective_sigma_w_peaks_inside_the_layer_at_a_few_tenths_of_w_star():
    ustar, inverse_obukhov, h = CASES["convective"]
    w_star = ustar * (-h * inverse_obukhov / 0.4) ** (1 / 3)
    sigma = np.array([vertical(z, ustar, inverse_obukhov, h)[0] for z in np.linspace(1, h, 300)])
    assert 0.5 < sigma.max() / w_star < 0.75  # Lenschow et al. 1980: 0.6


def test_neutral_profile_is_logarithmic_and_zero_at_the_roughness():
    assert profile(2.0, 10.0, 0.1, 0.0) == pytest.approx(np.log(20) / np.log(100))
    assert profile(0.1, 10.0, 0.1, -0.05) == 0.0
    assert profile(2.0, 10.0, 0.1, -0.05) > profile(2.0, 10.0, 0.1, 0.0) > profile(2.0, 10.0, 0.1, 0.05)


def test_met_lookup_equals_xarray_interpolation(make_met):
    rng = np.random.default_rng(4)
    met = make_met(hours=2)
    for name in ("u", "v", "w", "rho", "mixing_height", "ustar", "inverse_obukhov", "z0"):
        met[name] = met[name] * np.float32(1.0) + np.float32(0.1) * rng.random(met[name].shape, np.float32)
    times = MetTimes(met)
    fields, late = times.fields(0), 0.37
    x, y, z = 12_345.0, -67_890.0, 333.0
    px, py = (x - times.origin[0]) / times.step[0], (y - times.origin[1]) / times.step[1]
    place = Place(int(px), int(py), px - int(px), py - int(py), late)
    k = level_interval(fields.levels, fields.below, fields.per_metre, z)
    up = (z - times.levels[k]) / np.diff(times.levels)[k]
    ground, air = np.zeros(16), np.zeros(16)
    for now, later, first, out in (
        (fields.surface_0, fields.surface_1, 0, ground),
        (fields.cube_0, fields.cube_1, 4 * k, air),
    ):
        stride = (now.shape[1] * now.shape[2], now.shape[2])
        gather(now.ravel(), later.ravel(), stride, place, first, out, 1)
    assert not ground[:8].any()
    at = {"x": x, "y": y, "time": met.time[0] + np.timedelta64(int(late * 3600), "s")}
    here = met.drop_vars("terrain").astype(np.float64).interp(at)
    names = ("u", "v", "w", "rho")
    assert air[8:12] == pytest.approx([float(here[n][k]) for n in names], rel=1e-6)
    between = air[8:12] + up * (air[12:] - air[8:12])
    assert between == pytest.approx([float(here[n].interp(level=z)) for n in names], rel=1e-6)
    names = ("mixing_height", "ustar", "inverse_obukhov", "z0")
    assert ground[8:12] == pytest.approx([float(here[n]) for n in names], rel=1e-6)
    assert ground[12] == pytest.approx(1.0, abs=1e-3)
