"""The files of a Doppler lidar together: winds in time, mixing height from the vertical rays about each."""

from dataclasses import replace

import numpy as np
import pytest

from metroflux.errors import ConfigError, DataError
from observations.flux_lidar.day import DaySettings, profiles_of
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.wind import FitSettings
from observations.lidar import read_profiles

START = np.datetime64("2024-06-01T10", "ns")
GATES = 105.0 + 30.0 * np.arange(60)
PLACE = (116.0, 40.0, 12.0)
SETTINGS = DaySettings(FitSettings())


def rays(time, azimuth, elevation, velocity, backscatter=None):
    """Rays of a lidar with signal everywhere, velocity of shape (ray, gate)."""
    shape = velocity.shape
    return Rays(
        instrument="test", scan="any", time=time,
        azimuth=np.broadcast_to(azimuth, shape[:1]).astype(float),
        elevation=np.broadcast_to(elevation, shape[:1]).astype(float),
        distance=np.broadcast_to(GATES, shape), velocity=velocity, signal=np.ones(shape),
        backscatter=np.ones(shape) if backscatter is None else backscatter, width=np.full(shape, np.nan),
        gate_length=30.0, planned=shape[0],
    )  # fmt: skip


def scan(hours, u, v, rng):
    azimuth = np.arange(0.0, 360.0, 30.0)
    toward, up = np.radians(azimuth)[:, None], np.radians(60.0)
    wind = (u * np.sin(toward) + v * np.cos(toward)) * np.cos(up) + np.zeros(GATES.size)
    time = START + np.round(hours * 3600 + 5 * np.arange(12)).astype("timedelta64[s]")
    return rays(time, azimuth, 60.0, wind + 0.1 * rng.standard_normal(wind.shape))


def stare(hours, top, rng, count=1800):
    """Red noise of w, decaying to nothing at `top`, one ray a second, and aerosol that ends there."""
    memory, w = np.exp(-1.0 / 30.0), np.empty((count, GATES.size))
    w[0] = rng.standard_normal(GATES.size)
    for k in range(1, count):
        w[k] = memory * w[k - 1] + np.sqrt(1 - memory**2) * rng.standard_normal(GATES.size)
    spread = np.sqrt(np.clip(1.2 * (1 - GATES / top), 0.01, None))
    aerosol = (1.0 / (1 + np.exp((GATES - top) / 40)) + 0.2) * (
        1 + 0.02 * rng.standard_normal((count, GATES.size))
    )
    time = START + np.round((hours + np.arange(count) / 3600) * 3600).astype("timedelta64[s]")
    return rays(time, 0.0, 90.0, w * spread, aerosol)


@pytest.mark.parametrize(("method", "near"), [("variance", 0.25), ("aerosol", 0.05)])
def test_each_wind_has_the_mixing_height_of_the_vertical_rays_about_it(tmp_path, method, near):
    rng = np.random.default_rng(3)
    files = {
        "a": [scan(0.0, 3.0, -4.0, rng)], "c": [scan(6.0, 1.0, 0.0, rng)], "b": [scan(3.0, -2.0, 1.0, rng)],
        "s1": [stare(0.1, 1300.0, rng)], "s2": [stare(2.9, 700.0, rng)],
    }  # fmt: skip
    day = profiles_of(files, replace(SETTINGS, method=method), "DOP", PLACE)
    found = day.profiles
    assert (np.diff(found.time.values) > np.timedelta64(0)).all()
    np.testing.assert_allclose(found.u.values[0].mean(axis=1), [3, -2, 1], atol=0.1)
    np.testing.assert_allclose(found.v.values[0].mean(axis=1), [-4, 1, 0], atol=0.1)
    assert found.height.values[0] == pytest.approx(GATES[0] * np.sin(np.pi / 3) + PLACE[2])
    tops = np.array([1300.0, 700.0]) * (1 - 0.16 / 1.2 if method == "variance" else 1.0) + PLACE[2]
    np.testing.assert_allclose(found.mixing_height.values[0, :2], tops, rtol=near)
    assert np.isnan(found.mixing_height.values[0, 2])
    assert day.mixing[2].reason == "no vertical rays within 0.5 h"
    found.to_netcdf(tmp_path / "profiles.nc")
    assert read_profiles(tmp_path / "profiles.nc").identical(found)


def test_without_a_wind_scan_each_window_of_vertical_rays_is_a_profile():
    rng = np.random.default_rng(4)
    day = profiles_of(
        {"s1": [stare(0.25, 1000.0, rng)], "s2": [stare(2.25, 600.0, rng)]}, SETTINGS, "DOP", PLACE
    )
    assert day.profiles.time.values.astype("datetime64[m]").astype(str).tolist() == [
        "2024-06-01T10:30", "2024-06-01T12:30"
    ]  # fmt: skip
    assert np.isnan(day.profiles.u.values).all()
    first, second = day.profiles.mixing_height.values[0]
    assert first > second > 0


def test_scans_that_give_no_wind_are_named_with_their_reason():
    rng = np.random.default_rng(5)
    whole = scan(0.0, 3.0, -4.0, rng)
    cut = replace(scan(1.0, 3.0, -4.0, rng), planned=24)
    dark = replace(scan(2.0, 3.0, -4.0, rng), signal=np.zeros(whole.velocity.shape))
    day = profiles_of({"whole": [whole], "cut": [cut], "dark": [dark]}, SETTINGS, "DOP", PLACE)
    assert day.profiles.sizes["time"] == 1
    assert "12 rays, the file announces 24" in day.left_out["cut"]
    assert "no gate with enough signal" in day.left_out["dark"]
    with pytest.raises(DataError, match="no wind and no vertical rays in 1 files"):
        profiles_of({"cut": [cut]}, SETTINGS, "DOP", PLACE)
    with pytest.raises(ConfigError, match="window_h 0"):
        replace(SETTINGS, window_h=0)


def test_too_few_vertical_rays_or_other_gates_cannot_say():
    rng = np.random.default_rng(6)
    wind, short = scan(0.0, 1.0, 1.0, rng), stare(0.0, 900.0, rng, count=20)
    few = profiles_of({"w": [wind], "s": [short]}, SETTINGS, "DOP", PLACE)
    assert few.mixing[0].reason.startswith("20 vertical rays")
    other = replace(short, distance=short.distance + 7.0)
    both = profiles_of({"w": [wind], "s": [short], "t": [other]}, SETTINGS, "DOP", PLACE)
    assert both.mixing[0].reason == "vertical rays of different gates"
