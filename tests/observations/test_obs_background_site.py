"""Backgrounds from a site's record against closed forms, coverage, and cancelling tanks."""

import numpy as np
import pytest

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import ErrorModel, Random, Shared, attach, components
from observations.background import MethodError
from observations.background_site import (
    Curve,
    Sector,
    rolling_quantile,
    smooth_curve,
    upwind_tower,
)
from observations.dataset import SUSPECT

ERROR = MethodError(0.5e-6, 24.0, 6.0, "study")
SECTORS = [Sector("NOR", 315.0, 135.0), Sector("SUD", 135.0, 315.0)]


@pytest.fixture
def record(make_observations):
    ds = make_observations(sites=("NOR", "SUD"))
    ds.mole_fraction.values[:] = np.concatenate(
        [410e-6 + 1e-8 * np.arange(24), 420e-6 + 1e-8 * np.arange(24)]
    )
    tank = Shared("tank", "calibration", np.full(48, 0.2e-6), "C1")
    return attach(ds, [Random("noise", np.full(48, 0.1e-6))], [tank])


@pytest.fixture
def city(make_observations):
    ds = make_observations(sites=("CEN",))
    tank = Shared("tank", "calibration", np.full(24, 0.2e-6), "C1")
    return attach(ds, [Random("noise", np.full(24, 0.1e-6))], [tank])


def test_the_tower_upwind_gives_its_own_hour(city, record):
    direction = np.where(np.arange(24) < 12, 0.0, 180.0)
    got = upwind_tower(city, record, direction, SECTORS, ERROR)
    expected = np.where(np.arange(24) < 12, 410e-6, 420e-6) + 1e-8 * np.arange(24)
    np.testing.assert_allclose(got.background, expected, rtol=1e-14)
    model = ErrorModel.from_datasets(city, got)
    # the tank behind both towers cancels; noise of both and the method's error are left
    assert "calibration" not in {c for c, u in zip(model.causes, model.columns.T, strict=True) if u.any()}
    np.testing.assert_allclose(model.variance, (2 * 0.1**2 + 0.5**2) * 1e-12, rtol=1e-9)


def test_an_hour_without_data_takes_the_nearest_within_the_limit(city, record):
    record.flag.values[5] = SUSPECT
    got = upwind_tower(city, record, np.zeros(24), SECTORS, ERROR)
    assert got.background.values[5] == pytest.approx(410e-6 + 4e-8, rel=1e-12)
    record.flag.values[2:12] = SUSPECT
    with pytest.raises(DataError, match=r"4 data have no good measurement of NOR within 3 h, first 'CEN"):
        upwind_tower(city, record, np.zeros(24), SECTORS, ERROR)
    record.flag.values[:24] = SUSPECT
    with pytest.raises(DataError, match="24 data have no good measurement of NOR"):
        upwind_tower(city, record, np.zeros(24), SECTORS, ERROR)


def test_wind_from_nowhere_and_the_tower_itself_are_refused(city, record):
    with pytest.raises(DataError, match="in no sector or in two, first 180 degrees"):
        upwind_tower(city, record, np.full(24, 180.0), SECTORS[:1], ERROR)
    with pytest.raises(DataError, match="24 data are of the upwind tower itself"):
        upwind_tower(record.isel(obs=slice(24)), record, np.zeros(24), SECTORS, ERROR)


@pytest.mark.parametrize(
    ("direction", "inside"), [(0, True), (330, True), (29.9, True), (30, False), (180, False)]
)
def test_a_sector_may_go_over_north(direction, inside):
    assert Sector("N", 330.0, 30.0).holds(np.array([direction]))[0] == inside


def one_site(make_observations, hours, values):
    ds = make_observations(sites=("BG",), hours=hours)
    ds.mole_fraction.values[:] = values
    return attach(
        ds,
        [Random("noise", np.full(hours, 0.05e-6))],
        [Shared("tank", "calibration", np.full(hours, 0.2e-6))],
    )


def test_a_rolling_quantile_is_that_of_numpy(make_observations, rng):
    values = 410e-6 + rng.gamma(2, 2e-6, 240)
    series = one_site(make_observations, 240, values)
    wanted = make_observations(sites=("CEN",), hours=240).isel(obs=slice(60, 180))
    got = rolling_quantile(wanted, series, 0.1, 48.0, ERROR)
    expected = [np.quantile(values[i - 24 : i + 25], 0.1) for i in range(60, 180)]
    np.testing.assert_allclose(got.background, expected, rtol=1e-12)
    names = {s.cause for s in components(got)[1]}
    assert names == {"background", "calibration"}
    tank = next(s for s in components(got)[1] if s.name == "tank")
    np.testing.assert_allclose(tank.column, 0.2e-6, rtol=1e-12)


def test_sampling_error_of_the_quantile_is_that_of_repeated_records(make_observations):
    wanted = make_observations(sites=("CEN",), hours=49).isel(obs=[24])
    found, stated = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        got = rolling_quantile(
            wanted, one_site(make_observations, 49, 410e-6 + rng.normal(0, 2e-6, 49)), 0.2, 48.0,
            MethodError(0.0, 24.0),
        )  # fmt: skip
        found.append(got.background.values[0])
        stated.append(
            sum(s.column[0] ** 2 for s in components(got)[1] if s.name.startswith("background-quantile"))
        )
    assert np.sqrt(np.mean(stated)) == pytest.approx(np.std(found), rel=0.15)


@pytest.mark.parametrize(("quantile", "window"), [(0.0, 48.0), (1.0, 48.0), (0.1, 0.0)])
def test_a_quantile_that_is_none_is_refused(city, record, quantile, window):
    with pytest.raises(ConfigError, match="expected 0-1"):
        rolling_quantile(city, record, quantile, window, ERROR)


def test_a_window_with_few_data_is_refused(city, record):
    record.flag.values[10:] = SUSPECT
    with pytest.raises(DataError, match=r"good data within 12 h of .*; expected 12"):
        rolling_quantile(city, record, 0.1, 24.0, ERROR)


def test_a_smooth_curve_finds_trend_and_season_exactly(make_observations):
    hours = 24 * 365 * 2
    t = np.arange(hours) / 24 / 365.25
    truth = 410e-6 + 2e-6 * t + 4e-6 * np.sin(2 * np.pi * t) - 1e-6 * np.cos(4 * np.pi * t)
    series = one_site(make_observations, hours, truth)
    wanted = make_observations(sites=("CEN",), hours=hours).isel(obs=slice(0, hours, 97))
    got = smooth_curve(wanted, series, Curve(2, 2), MethodError(0.3e-6, 48.0, 24.0 * 7))
    np.testing.assert_allclose(got.background, truth[::97], atol=1e-14)


def test_errors_of_the_curve_are_those_of_repeated_records_with_memory(make_observations):
    """AR(1) scatter about the curve, hours 0.7 correlated: z of the mean background over 200 records."""
    wanted = make_observations(sites=("CEN",), hours=500).isel(obs=slice(0, 500, 25))
    z = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        noise = np.zeros(500)
        for i in range(1, 500):
            noise[i] = 0.7 * noise[i - 1] + rng.normal(0, 1e-6)
        got = smooth_curve(
            wanted, one_site(make_observations, 500, 410e-6 + noise), Curve(1, 0), MethodError(0.0, 1.0)
        )
        sd = np.sqrt(sum(s.column.mean() ** 2 for s in components(got)[1] if s.cause == "background"))
        z.append((got.background.values.mean() - 410e-6) / sd)
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=0.35)


def test_a_record_that_cannot_tell_the_season_is_refused(make_observations):
    series = one_site(make_observations, 24 * 30, 410e-6)
    wanted = make_observations(sites=("CEN",), hours=24)
    with pytest.raises(DataError, match="do not determine a polynomial of degree 2 and 4 harmonics"):
        smooth_curve(wanted, series, Curve(), ERROR)
    with pytest.raises(DataError, match="18 data are outside the record"):
        smooth_curve(wanted, series.isel(obs=slice(6)), Curve(0, 0), ERROR)
