"""Mixing height by Doppler lidar: variance of w without noise, its edge, and what it does to other data."""

from dataclasses import replace

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.dataset import Columns, build
from observations.flux_lidar.mixing import (
    MixingHeight,
    cannot_say,
    from_aerosol,
    from_variance,
    vertical_variance,
)
from observations.flux_lidar.mixing_role import height_at, inflation, leave_out
from observations.flux_lidar.wind import WindFit, to_profiles


def red_noise(rng, sd, n=3600, memory=30.0, gates=1):
    rho = np.exp(-1.0 / memory)
    out = np.empty((n, gates))
    out[0] = rng.standard_normal(gates)
    for k in range(1, n):
        out[k] = rho * out[k - 1] + np.sqrt(1 - rho**2) * rng.standard_normal(gates)
    return out * sd


def test_variance_of_w_is_free_of_noise_and_its_sd_is_that_of_repetition():
    rng = np.random.default_rng(4)
    w = red_noise(rng, 1.0, gates=300) + 0.7 * rng.standard_normal((3600, 300))
    variance, sd = vertical_variance(w)
    assert variance.mean() == pytest.approx(1.0, abs=0.05)  # 1.49 with the noise
    assert np.median(sd) == pytest.approx(variance.std(), rel=0.2)


def test_mixing_height_by_variance_is_within_its_sd_and_knows_when_it_cannot_say():
    height = 100.0 + 30.0 * np.arange(60)
    variance = np.clip(0.8 * (1 - height / 1250.0), 0.01, None)
    found = from_variance(height, variance, 0.1 * variance)
    assert found.height == pytest.approx(1000.0, abs=1)
    assert 50 < found.sd < 200
    assert "still mixed" in from_variance(height, 0 * height + 1.0, 0 * height + 0.1).reason
    assert "no convective mixing" in from_variance(height, 0 * height + 0.05, 0 * height + 0.01).reason
    assert "no variance" in from_variance(height, np.full(60, np.nan), 0 * height).reason


def test_mixing_height_by_aerosol_finds_one_edge_and_refuses_two_or_none():
    rng, height = np.random.default_rng(5), 15.0 + 30.0 * np.arange(80)
    edge = 1.0 / (1 + np.exp((height - 1200) / 40)) + 0.2
    noisy = edge + 0.05 * rng.standard_normal((8, 80))
    found = from_aerosol(height, noisy)
    assert abs(found.height - 1200) < 3 * found.sd
    assert found.sd < 60
    two = edge + 1.0 / (1 + np.exp((height - 600) / 40)) + 0.05 * rng.standard_normal((8, 80))
    assert "two edges alike" in from_aerosol(height, two).reason
    flat = 1 + 0.3 * rng.standard_normal((8, 80))
    assert from_aerosol(height, flat).reason


def mixed(heights):
    """Profiles of a lidar L1, hourly, of these mixing heights."""
    one = np.ones(1)
    found = WindFit(np.datetime64("NaT"), 100 * one, np.ones((1, 3)), np.eye(3)[None], one)
    hours = np.datetime64("2024-01-01", "ns") + np.arange(len(heights)) * np.timedelta64(1, "h")
    fits = [replace(found, time=time) for time in hours]
    said = [cannot_say("night") if np.isnan(h) else MixingHeight(h, 50.0) for h in heights]
    return to_profiles(fits, said, "L1", (116.0, 40.0, 0.0))


def test_the_nearest_mixing_height_within_an_hour_counts_and_no_other():
    time = np.datetime64("2024-01-01", "ns") + np.array([10, 50, 100, 240]) * np.timedelta64(1, "m")
    height, sd = height_at(mixed([200.0, 800.0, np.nan]), "L1", time)
    assert height == pytest.approx([200, 800, np.nan, np.nan], nan_ok=True)
    assert sd == pytest.approx([50, 50, np.nan, np.nan], nan_ok=True)
    with pytest.raises(DataError, match="no lidar 'L2'"):
        height_at(mixed([200.0]), "L2", time)


@pytest.mark.parametrize(
    ("unknown", "flags"), [("keep", [True, False, False]), ("flag", [True, False, True])]
)
def test_data_above_the_mixed_layer_are_flagged_never_deleted(unknown, flags):
    start = np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "h")
    words = np.array(["T"] * 3)
    none, gas, inlet = np.zeros(3, dtype=int), np.array(["co2"] * 3), np.full(3, 150.0)
    values = np.full(3, 4.2e-4)
    plain = Columns(start, start, words, gas, inlet, np.full(3, 40.0), np.full(3, 116.0), values, none, none)
    data = build(plain, np.array(["a", "b", "c"]), [], [], "X", "test")
    judged = leave_out(data, mixed([200.0, 800.0, np.nan]), "L1", 2.0, unknown)
    assert (judged.flag.values != 0).tolist() == flags
    assert "mixing height of lidar L1" in judged.flag_remark.values[0]


def test_a_wrong_mixing_height_widens_the_error_by_its_share_of_the_enhancement():
    part = inflation(
        np.array([1e-6, -1e-6, 1e-6]), np.array([600.0, 500.0, 500.0]), np.array([500.0, 500.0, np.nan]),
        np.array([0.0, 50.0, np.nan]), 0.5,
    )  # fmt: skip
    assert part.sd == pytest.approx([0.2e-6, 0.1e-6, 0.5e-6])
    with pytest.raises(DataError, match="model height of 0 m"):
        inflation(np.ones(1), np.zeros(1), np.ones(1), np.ones(1), 0.5)
