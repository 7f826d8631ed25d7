"""Levels of a field in metres: the standard atmosphere, boundaries, order, units."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from observations.atmosphere import standard_altitude
from observations.levels import Vertical, at_levels, on_one_axis

FIELD = xr.DataArray(np.zeros((1, 4, 2, 3)), dims=("time", "level", "lat", "lon"))


def test_the_standard_atmosphere_is_that_of_its_table():
    pressure = np.array([1000.0, 850, 700, 500, 300, 200, 100, 50, 10]) * 100
    table = [111, 1457, 3012, 5574, 9164, 11784, 16180, 20576, 31055]  # ICAO Doc 7488, geopotential m
    assert standard_altitude(pressure) == pytest.approx(table, abs=0.6)
    with pytest.raises(DataError, match=r"expected 0\.3734 to 110000 Pa"):
        standard_altitude(pressure * 100)


def test_falling_levels_are_turned_with_their_values():
    values = np.arange(24.0).reshape(1, 4, 2, 3)
    turned, axis = on_one_axis(values, np.array([9e3, 3e3, 1e3, 10.0]))
    assert axis.tolist() == [10, 1e3, 3e3, 9e3]
    assert np.array_equal(turned, values[:, ::-1])


def test_levels_between_boundaries_are_in_the_middle_at_each_place():
    edges = xr.DataArray([0.0, 2, 6, 10, 20], dims="boundary")
    assert at_levels(edges, FIELD).tolist() == [1, 4, 8, 15]
    rising = edges + xr.DataArray([0.0, 100.0], dims="lat")
    assert at_levels(rising, FIELD)[0, :, 1, 2].tolist() == [101, 104, 108, 115]
    with pytest.raises(DataError, match="4 levels with 4 boundaries; expected one boundary more"):
        at_levels(edges[:4], FIELD)


def test_a_column_is_constant_beyond_its_own_levels():
    low, high = np.array([0.0, 1e3, 2e3, 3e3]), np.array([500.0, 1500.0, 2500.0, 3500.0])
    metres = np.stack([low, high], axis=1).reshape(1, 4, 2, 1)
    moved, axis = on_one_axis(metres.copy(), metres)
    assert axis.tolist() == [250, 1250, 2250, 3250]
    assert moved[0, :, 0, 0].tolist() == [250, 1250, 2250, 3000]
    assert moved[0, :, 1, 0].tolist() == [500, 1250, 2250, 3250]


@pytest.mark.parametrize(("of", "unit"), [("altitude", "hPa"), ("height", "Pa"), ("pressure", "m")])
def test_a_unit_of_another_quantity_is_refused(of, unit):
    with pytest.raises(DataError, match=f"{of} in {unit}; expected"):
        Vertical("z", of, unit)


def test_levels_of_another_unit_than_said_are_refused():
    with pytest.raises(DataError, match=r"in Pa lie at 3.* to .* m; expected some below 10000 m"):
        Vertical("plev", "pressure", "Pa").metres(np.array([1000.0, 500.0, 100.0]))
    with pytest.raises(DataError, match=r"pressure 1e.07 to .* Pa; expected"):
        Vertical("plev", "pressure", "hPa").metres(np.array([100000.0, 100050.0]))
    with pytest.raises(DataError, match="have missing values; expected altitude of each"):
        Vertical("z", "altitude", "m").metres(np.array([10.0, np.nan]))
