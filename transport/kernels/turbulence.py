"""Boundary-layer turbulence from friction velocity, Obukhov length and mixing height.

One set for all stabilities, chosen because it passes both the well-mixed test and the Prairie Grass
experiment; above the mixing height it changes smoothly into weak free-atmosphere turbulence, with no lid.
The formulae are written without branches, so that they run on many particles at once.
"""

import math

import numpy as np

from transport.kernels.elementary import cbrt, inlined

VON_KARMAN = 0.4
C0 = 3.0
"""Kolmogorov constant of the Lagrangian structure function (Du 1997: 3.0 +- 0.5)."""

_FREE_SIGMA_W = 0.1  # m s-1, above the mixing height
_FREE_TIME = 100.0  # s, above the mixing height
_FREE_SIGMA_H = math.sqrt(
    0.5
)  # m s-1: sigma^2 T = 50 m2 s-1, free troposphere in Stohl et al. 2005, section 4.2
_ENTRAINMENT = 0.15  # half width of the change at the mixing height, in mixing heights
_LOWEST = 1.0  # m: turbulence is held constant below
_CBRT_12 = float(np.cbrt(12.0))


@inlined
def vertical(
    z: float, ustar: float, inverse_obukhov: float, mixing_height: float
) -> tuple[float, float, float]:
    """Return sigma_w (m s-1), its vertical gradient (s-1) and the Lagrangian time scale (s) at height z (m).

    sigma_w: Panofsky et al. 1977 near the ground, times (1 - 0.8 z/h) after Lenschow et al. 1980.
    Dissipation: Kaimal et al. 1972 (unstable), Kaimal & Finnigan 1994 (stable). T = 2 sigma_w^2 / (C0 eps)
    with the surface sigma_w, limited by the eddy size: 1/T + sigma_w / (0.3 h).
    """
    h = mixing_height
    height = max(z, _LOWEST)
    unstable = max(-height * inverse_obukhov, 0.0)
    stable = max(height * inverse_obukhov, 0.0)
    growth = cbrt(1.0 + 3.0 * unstable)
    surface = 1.25 * ustar * growth
    rising = max(-inverse_obukhov, 0.0) if z > _LOWEST else 0.0
    slope = 1.25 * ustar * rising / (growth * growth)
    shape = 1.0 + 0.5 * cbrt(unstable * unstable)
    phi = shape * math.sqrt(shape) + 5.0 * stable
    fall = 1.0 - 0.8 * min(z / h, 1.0)
    fall_slope = -0.8 / h if z < h else 0.0
    sigma = surface * fall
    slope = slope * fall + surface * fall_slope
    dissipation = ustar * ustar * ustar * phi / (VON_KARMAN * height)
    time = 1.0 / (C0 * dissipation / (2.0 * surface * surface) + sigma / (0.3 * h))
    aloft, aloft_slope = _aloft(z, h)
    slope = (1.0 - aloft) * slope + aloft_slope * (_FREE_SIGMA_W - sigma)
    return (1.0 - aloft) * sigma + aloft * _FREE_SIGMA_W, slope, (1.0 - aloft) * time + aloft * _FREE_TIME


@inlined
def horizontal(z: float, ustar: float, inverse_obukhov: float, mixing_height: float) -> tuple[float, float]:
    """Return sigma_u = sigma_v (m s-1) and their time scale (s) at height z (m).

    Unstable: u* (12 + 0.5 h/|L|)^(1/3) (Panofsky et al. 1977), T = 0.15 h / sigma (Hanna 1982).
    Stable: the neutral value of it, falling with height as sigma_w, T times sqrt(z/h) (Hanna 1982).
    """
    h = mixing_height
    unstable = ustar * cbrt(12.0 - 0.5 * h * min(inverse_obukhov, 0.0))
    stable = ustar * _CBRT_12 * (1.0 - 0.8 * min(z / h, 1.0))
    sigma = unstable if inverse_obukhov < 0.0 else stable
    short = math.sqrt(min(max(z, _LOWEST) / h, 1.0))
    time = 0.15 * h / sigma * (1.0 if inverse_obukhov < 0.0 else short)
    aloft, _ = _aloft(z, h)
    return (1.0 - aloft) * sigma + aloft * _FREE_SIGMA_H, (1.0 - aloft) * time + aloft * _FREE_TIME


@inlined
def _aloft(z: float, h: float) -> tuple[float, float]:
    """Return how far z is through the entrainment zone, 0 to 1, and the vertical gradient of that (m-1)."""
    width = 2.0 * _ENTRAINMENT * h
    a = min(max((z - (1.0 - _ENTRAINMENT) * h) / width, 0.0), 1.0)
    return a * a * (3.0 - 2.0 * a), 6.0 * a * (1.0 - a) / width
