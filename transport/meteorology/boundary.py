"""Boundary-layer quantities that a met file lacks: u*, 1/L, heat flux, mixing height."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.constants import GRAVITY, VON_KARMAN
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]

CRITICAL_RICHARDSON = 0.25
"""Bulk Richardson number at the top of the mixing layer (Vogelezang & Holtslag 1996)."""

SURFACE_LAYER_METHOD = "Monin-Obukhov profiles solved for the bulk Richardson number of wind and temperature"
MIXING_HEIGHT_METHOD = "bulk Richardson number 0.25 with the shear term 100 u*^2 (Vogelezang & Holtslag 1996)"

_SHEAR = 100.0  # b of Vogelezang & Holtslag 1996: keeps Ri finite in calm neutral air
_EXCESS = 8.5  # thermals' excess over w'theta'/w* (Holtslag et al. 1990)
_LEAST_WIND = 0.1  # m s-1: below it the bulk Richardson number has no meaning (as WRF's surface layer)
_LEAST_LENGTH = 1.0  # m: |L| where a bulk Richardson number is beyond what the profiles can hold


def psi_momentum(s: Floats) -> Floats:
    """Return the stability correction of wind at s = z/L (Paulson 1970; Kaimal & Finnigan 1994)."""
    x = (1.0 - 16.0 * np.minimum(s, 0.0)) ** 0.25
    unstable = 2.0 * np.log(0.5 * (1.0 + x)) + np.log(0.5 * (1.0 + x * x)) - 2.0 * np.arctan(x) + 0.5 * np.pi
    return np.where(s < 0.0, unstable, -5.0 * s)


def psi_heat(s: Floats) -> Floats:
    """Return the stability correction of temperature at s = z/L (Paulson 1970; Kaimal & Finnigan 1994)."""
    return np.where(s < 0.0, 2.0 * np.log(0.5 * (1.0 + np.sqrt(1.0 - 16.0 * np.minimum(s, 0.0)))), -5.0 * s)


@dataclass(frozen=True)
class Bulk:
    """Wind at one height and virtual potential temperature at two, (y, x) or scalars.

    wind : speed, m s-1, at wind_height, m above ground
    low, high : virtual potential temperature, K, at low_height < high_height, m above ground
    """

    wind: Floats
    wind_height: Floats
    low: Floats
    low_height: Floats
    high: Floats
    high_height: Floats


def surface_layer(bulk: Bulk, z0: Floats) -> tuple[Floats, Floats, Floats]:
    """Return u* (m s-1), kinematic virtual heat flux (K m s-1, positive upward) and 1/L (m-1).

    Solves 1/L = k g theta*/(theta u*^2) with both profiles (Stull 1988, eq. 5.7c) by bisection. Where the
    air is so stable or so calm that no profile holds it, |L| is 1 m; winds below 0.1 m s-1 count as 0.1.

    Raises
    ------
    DataError
        If the heights are not above the roughness and ascending.
    """
    if not (np.all(bulk.high_height > bulk.low_height) and np.all(bulk.wind_height > z0)):
        raise DataError(
            "surface layer: expected low_height < high_height, z0 < wind_height; found "
            f"{np.min(bulk.high_height - bulk.low_height):g} m and z0 up to {np.max(z0):g} m"
        )
    wind = np.maximum(bulk.wind, _LEAST_WIND)
    mean = 0.5 * (bulk.low + bulk.high)
    pull = GRAVITY * (bulk.high - bulk.low) / (mean * wind**2)
    stable = pull > 0.0
    near = np.zeros(np.broadcast(pull, z0).shape)
    far = np.where(stable, 1.0, -1.0) / _LEAST_LENGTH + near
    for _ in range(60):
        s = 0.5 * (near + far)
        momentum, heat = _profiles(bulk, z0, s)
        beyond = np.abs(s) > np.abs(pull) * momentum**2 / heat
        near, far = np.where(beyond, near, s), np.where(beyond, s, far)
    s = 0.5 * (near + far)
    momentum, heat = _profiles(bulk, z0, s)
    ustar = VON_KARMAN * wind / momentum
    scale = VON_KARMAN * (bulk.high - bulk.low) / heat
    return ustar, -ustar * scale, s


def _profiles(bulk: Bulk, z0: Floats, s: Floats) -> tuple[Floats, Floats]:
    """Return k U/u* and k (difference of theta)/theta* at 1/L = s."""
    momentum = np.log(bulk.wind_height / z0) - psi_momentum(bulk.wind_height * s) + psi_momentum(z0 * s)
    heat = np.log(bulk.high_height / bulk.low_height)
    heat = heat - psi_heat(bulk.high_height * s) + psi_heat(bulk.low_height * s)
    return momentum, heat


def mixing_height(
    height: Floats, theta: Floats, u: Floats, v: Floats, ustar: Floats, heat_flux: Floats
) -> Floats:
    """Return the mixing height (m above ground), (y, x), of columns (level, y, x).

    The lowest height where Ri = g/theta_s (theta - theta_s) (z - z_s) / (du^2 + dv^2 + 100 u*^2) passes 0.25
    (Vogelezang & Holtslag 1996), s being the lowest level and Ri linear between levels. In unstable
    air theta_s has the thermals' excess 8.5 w'theta'/w* (Holtslag et al. 1990), iterated three times.

    height : m above ground, ascending
    theta : virtual potential temperature, K
    heat_flux : kinematic virtual heat flux at the ground, K m s-1, positive upward

    Raises
    ------
    DataError
        If a column never passes the critical number.
    """
    shear = (u - u[0]) ** 2 + (v - v[0]) ** 2 + _SHEAR * ustar**2
    rising = np.maximum(heat_flux, 0.0)
    h = _crossing(height, GRAVITY / theta[0] * (theta - theta[0]) * (height - height[0]) / shear)
    for _ in range(3):
        convective = np.cbrt(GRAVITY / theta[0] * rising * h)
        excess = np.divide(_EXCESS * rising, convective, out=np.zeros_like(h), where=convective > 0.0)
        warm = theta[0] + excess
        h = _crossing(height, GRAVITY / warm * (theta - warm) * (height - height[0]) / shear)
    return h


def _crossing(height: Floats, richardson: Floats) -> Floats:
    """Return where Ri first passes its critical value; it is 0 at the lowest level."""
    above = richardson > CRITICAL_RICHARDSON
    if not np.all(above.any(axis=0)):
        raise DataError(
            f"mixing height: the bulk Richardson number stays below {CRITICAL_RICHARDSON} up to "
            f"{height[-1].min():g} m in {int(np.sum(~above.any(axis=0)))} columns; expected a stable layer"
        )
    k = np.argmax(above, axis=0)[None]
    high, low = (np.take_along_axis(richardson, k - n, axis=0)[0] for n in (0, 1))
    top, bottom = (np.take_along_axis(height, k - n, axis=0)[0] for n in (0, 1))
    return bottom + (top - bottom) * (CRITICAL_RICHARDSON - low) / (high - low)
