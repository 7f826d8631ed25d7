"""Time profiles: the mean of the base period is kept exactly, local time is followed."""

import numpy as np
import pytest
import xarray as xr

from metroflux import time
from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.build import Inventory, make_prior
from priors.errors import with_sd
from priors.profiles import Profile, apply_profiles

GRID = Grid("EPSG:32632", 600_000.0, 5_250_000.0, 2_000.0, 2_000.0, 2, 1)
HOUR = np.timedelta64(1, "h")
HOURS = tuple(float(v) for v in np.random.default_rng(9).random(24))
WEEK = (1.0, 1.1, 1.2, 1.1, 1.0, 0.7, 0.5)
MONTHS = tuple(float(v) for v in 1 + 0.5 * np.cos(np.arange(12)))


def constant(start: str, end: str, step: np.timedelta64 = HOUR) -> xr.Dataset:
    edges = time.intervals(np.datetime64(start, "ns"), np.datetime64(end, "ns"), step)
    field = np.ones((edges.size - 1, 1, 2)) * np.array([1.0, 3.0])
    return make_prior(GRID.coords(), {"traffic": field, "other": field}, edges, "co2", Inventory("test"))


def year(number: int) -> tuple[np.datetime64, np.datetime64]:
    return np.datetime64(f"{number}-01-01", "ns"), np.datetime64(f"{number + 1}-01-01", "ns")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("number", [2023, 2024])
def test_the_annual_total_is_conserved_in_any_calendar(zone: str, number: int) -> None:
    prior = constant(f"{number}-01-01", f"{number + 1}-01-01", 6 * HOUR)
    shaped = apply_profiles(prior, {"traffic": Profile(zone, MONTHS, WEEK, HOURS)}, year(number))
    np.testing.assert_allclose(shaped.flux.mean("flux_time"), prior.flux.mean("flux_time"), rtol=1e-12)
    assert float(shaped.flux.sel(sector="traffic").std("flux_time").max()) > 0.1
    np.testing.assert_array_equal(shaped.flux.sel(sector="other"), prior.flux.sel(sector="other"))


def test_every_hour_equals_the_slow_product_of_factors() -> None:
    """Two weeks across the change to summer time, hour by hour, against a loop over the year."""
    zone = "Europe/Berlin"
    shaped = apply_profiles(
        constant("2023-03-20", "2023-04-03"), {"traffic": Profile(zone, MONTHS, WEEK, HOURS)}, year(2023)
    )
    stamps = xr.date_range("2023-01-01", "2024-01-01", freq="h", inclusive="left", tz="UTC").tz_convert(zone)
    activity = np.array([MONTHS[t.month - 1] * WEEK[t.weekday()] * HOURS[t.hour] for t in stamps])
    first = int((shaped.flux_time.values[0] - year(2023)[0]) / HOUR)
    expected = (activity / activity.mean())[first : first + 14 * 24]
    np.testing.assert_allclose(shaped.flux.sel(sector="traffic").values[:, 0, 0], expected, rtol=1e-12)


def test_half_hour_zones_are_averaged_over_their_hours() -> None:
    only_noon = tuple(float(hour == 12) for hour in range(24))
    shaped = apply_profiles(
        constant("2023-06-01", "2023-06-02"), {"traffic": Profile("Asia/Kolkata", hour=only_noon)}, year(2023)
    )
    flux = shaped.flux.sel(sector="traffic").values[:, 0, 0]
    np.testing.assert_allclose(flux[[6, 7]], 12.0, rtol=1e-12)  # noon is 06:30 to 07:30 UTC
    assert flux.sum() == pytest.approx(24.0)


def test_faults_come_at_once() -> None:
    prior = constant("2023-06-01", "2023-06-02")
    prior.flux[1, 3] = 7.0
    with pytest.raises(DataError) as raised:
        apply_profiles(with_sd(prior, 1.0), {"trafic": Profile("UTC"), "other": Profile("UTC")}, year(2022))
    for part in (
        "unknown sectors trafic",
        "flux_sd already",
        "does not hold the flux intervals",
        "'other' varies in time",
    ):
        assert part in str(raised.value)


def test_impossible_profiles_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"(?s)month: 11 values.*weekday: .*hour: .*time_zone: 'Mars/Base' is unknown"
    ):
        Profile("Mars/Base", (1.0,) * 11, (0.0,) * 7, (-1.0,) * 24)
    with pytest.raises(DataError, match="quarters of an hour"):
        apply_profiles(constant("2023-06-01", "2023-06-02", np.timedelta64(10, "m")), {}, year(2023))
