"""The functions made for vector instructions are as accurate as they say."""

import numpy as np

from transport.kernels.elementary import arctan_unit, cbrt, cos_sin_turns, exp, log


def applied(function, x):
    return np.array([function(v) for v in x.tolist()])


def test_exp_is_accurate_to_1e_12_and_falls_to_nothing():
    x = np.linspace(-700.0, 20.0, 20_001)
    assert np.abs(applied(exp, x) / np.exp(x) - 1.0).max() < 1e-12
    assert exp(0.0) == 1.0
    assert 0.0 <= exp(-1e5) < 1e-300


def test_log_is_accurate_to_1e_13_over_all_random_numbers_and_heights():
    x = np.geomspace(1e-12, 1e6, 20_001)
    assert np.abs(applied(log, x) - np.log(x)).max() < 1e-13
    assert log(1.0) == 0.0


def test_cbrt_is_accurate_to_1e_13_and_zero_at_zero():
    x = np.geomspace(1e-30, 1e12, 20_001)
    assert np.abs(applied(cbrt, x) / np.cbrt(x) - 1.0).max() < 1e-13
    assert 0.0 <= cbrt(0.0) < 1e-19


def test_cosine_and_sine_of_turns_are_accurate_to_1e_12():
    turns = np.linspace(0.0, 1.0, 20_001)
    cosine, sine = applied(cos_sin_turns, turns).T
    assert np.abs(cosine - np.cos(2 * np.pi * turns)).max() < 1e-12
    assert np.abs(sine - np.sin(2 * np.pi * turns)).max() < 1e-12


def test_arc_tangent_is_accurate_to_1e_8_up_to_one():
    x = np.linspace(1e-6, 1.0, 20_001)
    assert np.abs(applied(arctan_unit, x) / np.arctan(x) - 1.0).max() < 1e-8
