"""Derived boundary-layer quantities: closed forms, the kernel's own profiles, real soundings."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from transport.kernels.field import stability
from transport.meteorology.boundary import Bulk, mixing_height, psi_heat, psi_momentum, surface_layer
from transport.meteorology.cfmet import reach
from transport.meteorology.columns import hypsometric
from transport.meteorology.interpolate import psi

G, K = 9.80665, 0.4


def test_momentum_profile_is_the_one_of_the_particle_kernel():
    s = np.linspace(-20.0, 5.0, 101)
    np.testing.assert_allclose(psi_momentum(s), [stability(float(v)) for v in s], rtol=1e-12, atol=1e-14)
    assert psi_heat(np.array(0.0)) == psi_momentum(np.array(0.0)) == 0.0


@pytest.mark.parametrize("length", [-5.0, -50.0, -1000.0, 1000.0, 50.0, 5.0])
def test_surface_layer_is_recovered_from_its_own_profiles(length):
    ustar, z0, theta = 0.3, 0.1, 300.0
    scale = ustar**2 * theta / (K * G * length)  # theta*, K
    wind = ustar / K * (np.log(10.0 / z0) - psi_momentum(10.0 / length) + psi_momentum(z0 / length))
    rise = scale / K * (np.log(30.0 / 2.0) - psi_heat(30.0 / length) + psi_heat(2.0 / length))
    low, high = np.array([theta - rise / 2.0]), np.array([theta + rise / 2.0])
    ten, two, top = (np.array([z]) for z in (10.0, 2.0, 30.0))
    found, heat, inverse = surface_layer(Bulk(np.array([wind]), ten, low, two, high, top), np.array([z0]))
    assert found[0] == pytest.approx(ustar, rel=1e-9)
    assert inverse[0] == pytest.approx(1.0 / length, rel=1e-9)
    assert heat[0] == pytest.approx(-ustar * scale, rel=1e-9)


def test_air_too_stable_for_any_profile_gets_the_stated_limit():
    one = np.ones(1)
    _, heat, inverse = surface_layer(
        Bulk(0.5 * one, 10 * one, 290 * one, 2 * one, 295 * one, 30 * one), 0.1 * one
    )
    assert inverse[0] == pytest.approx(1.0)
    assert heat[0] < 0.0
    with pytest.raises(DataError, match="expected low_height < high_height"):
        surface_layer(Bulk(one, one, 290 * one, 30 * one, 295 * one, 2 * one), 0.1 * one)


def columns(theta, u, heights):
    shape = (heights.size, 1, 1)
    return heights.reshape(shape), np.reshape(theta, shape), np.reshape(u, shape), np.zeros(shape)


def test_mixing_height_of_a_linear_profile_has_its_closed_form():
    z = np.arange(10.0, 3000.0, 10.0)
    lapse, ustar = 0.003, 0.4
    h = mixing_height(*columns(300.0 + lapse * (z - 10.0), np.full(z.size, 5.0), z), np.full((1, 1), ustar),
                      np.zeros((1, 1)))  # fmt: skip
    # g/theta lapse (h - z_s)^2 / (100 u*^2) = 1/4, linear between levels 10 m apart
    expected = 10.0 + np.sqrt(0.25 * 100.0 * ustar**2 * 300.0 / (G * lapse))
    assert h[0, 0] == pytest.approx(expected, abs=1.0)


def test_heat_raises_the_mixing_height_to_an_inversion_and_a_little_into_it():
    z = np.array([10.0, 30.0, 100.0, 300.0, 600.0, 1000.0, 1050.0, 1500.0, 2500.0])
    theta = np.where(z > 1000.0, 305.0 + 0.005 * (z - 1050.0), 300.0)
    column = columns(theta, np.full(z.size, 4.0), z)
    cool, warm = (
        mixing_height(*column, np.full((1, 1), 0.3), np.full((1, 1), heat))[0, 0] for heat in (0.0, 0.15)
    )
    assert 1000.0 < cool < warm < 1050.0


def test_an_atmosphere_without_a_stable_layer_is_refused():
    z = np.array([10.0, 100.0, 1000.0])
    with pytest.raises(DataError, match=r"stays below 0\.25 up to 1000 m in 1 columns"):
        mixing_height(*columns(np.full(3, 300.0), np.full(3, 5.0), z), np.full((1, 1), 0.3), np.zeros((1, 1)))


def sounding(path):
    """Return height above the first valid point (m), virtual potential temperature, wind of an ARM sonde."""
    with xr.open_dataset(path, decode_times=False) as ds:
        p, t, dp, u, v, z = (
            ds[n].values[:700].astype(float) for n in ("pres", "tdry", "dp", "u_wind", "v_wind", "alt")
        )
    good = np.all([np.abs(a) < 9000.0 for a in (p, t, dp, u, v, z)], axis=0)
    p, t, dp, u, v, z = (a[good] for a in (p, t, dp, u, v, z))
    vapour = 6.112 * np.exp(17.67 * dp / (dp + 243.5))
    q = 0.622 * vapour / (p - 0.378 * vapour)
    theta = (t + 273.15) * (1000.0 / p) ** 0.2857 * (1.0 + 0.608 * q)
    levels = np.arange(10.0, 4000.0, 20.0)  # as a model has them: a sonde's own noise is not a layer
    z = np.maximum.accumulate(z - z[0] + 1e-3 * np.arange(z.size))
    return levels, *(np.interp(levels, z, a) for a in (theta, u, v))


def first_crossing(z, theta, u, v, ustar):
    """Return the mixing height without heat, walking up a metre at a time: the slow twin."""
    fine = np.arange(z[0], z[-1], 1.0)
    theta, u, v = (np.interp(fine, z, a) for a in (theta, u, v))
    for k in range(1, fine.size):
        shear = (u[k] - u[0]) ** 2 + (v[k] - v[0]) ** 2 + 100.0 * ustar**2
        if G / theta[0] * (theta[k] - theta[0]) * (fine[k] - fine[0]) / shear > 0.25:
            return fine[k]
    return np.inf


# the other four Darwin soundings have no humidity or no temperature above the ground
@pytest.mark.realdata
@pytest.mark.parametrize(
    "launch", ["20060119.112000", "20060119.231600", "20060120.111900", "20060120.231500"]
)
def test_mixing_height_of_a_sounding_is_that_of_the_slow_twin_and_physical(data_dir, launch):
    path = data_dir / "met" / "sondes_darwin" / f"twpsondewnpnC3.b1.{launch}.custom.cdf"
    z, theta, u, v = sounding(path)
    ustar = 0.4 * np.hypot(u[0], v[0]) / np.log(10.0 / 0.1)
    one = np.ones((1, 1))
    column = (*(a.reshape(z.size, 1, 1) for a in (z, theta, u, v)), ustar * one)
    neutral, heated = (mixing_height(*column, heat * one)[0, 0] for heat in (0.0, 0.1))
    assert neutral == pytest.approx(first_crossing(z, theta, u, v, ustar), abs=20.0)  # levels are 20 m apart
    # morning and evening, monsoon: shallow layers, deeper than where a parcel of the ground's air would stop
    assert z[np.argmax(theta > theta[0] + 0.2)] < neutral < heated < 1000.0


def test_the_column_kernel_has_the_same_stability_correction():
    s = np.linspace(-5.0, 2.0, 60)
    np.testing.assert_allclose([psi(float(v)) for v in s], psi_momentum(s), rtol=1e-12, atol=1e-14)


def test_levels_left_unread_lie_above_the_cube_even_in_the_coldest_air():
    ground = np.array([[1.0e5, 6.0e4]])
    p = np.linspace(0.99, 0.02, 50)[:, None, None] * ground
    for top in (9_000.0, 15_000.0):
        count = reach(p, ground, top)
        height = hypsometric(p, np.full_like(p, 185.0), 0.0 * p, ground)
        assert count < 50
        assert np.all(height[count - 1] > top)
    assert reach(p, ground, 40_000.0) == 50
