"""Boundary-layer turbulence from friction velocity, Obukhov length and mixing height.

One set for all stabilities, chosen because it passes both the well-mixed test and the Prairie Grass
experiment; above the mixing height it changes smoothly into weak free-atmosphere turbulence, with no lid.
The formulae are written without branches, so that they run on many particles at once.
"""

import math

import numpy as np

from transport.kernels.elementary import cbrt, inlined, inverse_cbrt

VON_KARMAN = 0.4
C0 = 3.0
"""Kolmogorov constant of the Lagrangian structure function (Du 1997: 3.0 +- 0.5)."""

FREE_SIGMA_W = 0.1  # m s-1, above the mixing height
FREE_TIME = 100.0  # s, above the mixing height
FREE_SIGMA_H = math.sqrt(
    0.5
)  # m s-1: sigma^2 T = 50 m2 s-1, free troposphere in Stohl et al. 2005, section 4.2
_ENTRAINMENT = 0.15  # half width of the change at the mixing height, in mixing heights
LOWEST = 1.0  # m: turbulence is held constant below
_CBRT_12 = float(np.cbrt(12.0))
_HALF_C0_PER_K = 0.5 * C0 / VON_KARMAN
_PER_EDDY = 1.0 / 0.3  # the largest eddies are 0.3 h
_PER_WIDTH = 0.5 / _ENTRAINMENT
_NEAR_GROUND = 0.25  # longest stride over height; sigma_w T is half the height (Wilson et al. 1981)
_PER_OBUKHOV = 5.0  # L over the longest stride in stable air, twice the largest sigma_w T
_PER_MIXING_HEIGHT = 20.0  # h over the longest stride: sigma_w changes little along it
_PER_ENTRAINMENT = 5.0  # h over the longest stride above it
_FREE_LENGTH = FREE_SIGMA_W * FREE_TIME


@inlined
def vertical(
    z: float, ustar: float, inverse_obukhov: float, mixing_height: float
) -> tuple[float, float, float]:
    """Return sigma_w (m s-1), its vertical gradient (s-1) and the Lagrangian time scale (s) at height z (m).

    sigma_w: Panofsky et al. 1977 near the ground, times (1 - 0.8 z/h) after Lenschow et al. 1980.
    Dissipation: Kaimal et al. 1972 (unstable), Kaimal & Finnigan 1994 (stable). T = 2 sigma_w^2 / (C0 eps)
    with the surface sigma_w, limited by the eddy size: 1/T + sigma_w / (0.3 h).
    """
    h, per_h = mixing_height, 1.0 / mixing_height
    height = max(z, LOWEST)
    unstable = max(-height * inverse_obukhov, 0.0)
    stable = max(height * inverse_obukhov, 0.0)
    steep = 1.0 + 3.0 * unstable
    shrink = inverse_cbrt(steep)
    surface = 1.25 * ustar * steep * shrink * shrink
    rising = max(-inverse_obukhov, 0.0) if z > LOWEST else 0.0
    slope = 1.25 * ustar * rising * shrink * shrink
    shape = 1.0 + 0.5 * cbrt(unstable * unstable)
    phi = shape * math.sqrt(shape) + 5.0 * stable
    fall = 1.0 - 0.8 * min(z * per_h, 1.0)
    fall_slope = -0.8 * per_h if z < h else 0.0
    sigma = surface * fall
    slope = slope * fall + surface * fall_slope
    # C0 eps / (2 sigma_w^2) with eps = u*^3 phi / (k z)
    rate = _HALF_C0_PER_K * ustar * ustar * ustar * phi / (height * surface * surface)
    time = 1.0 / (rate + sigma * per_h * _PER_EDDY)
    aloft, aloft_slope = through_entrainment(z * per_h)
    slope = (1.0 - aloft) * slope + aloft_slope * per_h * (FREE_SIGMA_W - sigma)
    return (1.0 - aloft) * sigma + aloft * FREE_SIGMA_W, slope, (1.0 - aloft) * time + aloft * FREE_TIME


@inlined
def length_scale(z: float, inverse_obukhov: float, mixing_height: float) -> tuple[float, float]:
    """Return a length (m) over which turbulence changes little at height z (m), and its gradient.

    A quarter of the height near the ground, at most L/5 in stable air and a twentieth of the mixing height:
    half of sigma_w T near the ground, three times it at the top of a stable layer. Smooth, and flat at the
    ground, so that a particle reflected there meets no corner.
    """
    per_h = 1.0 / mixing_height
    height = math.sqrt(z * z + LOWEST * LOWEST)
    per_most = _PER_OBUKHOV * max(inverse_obukhov, 0.0) + _PER_MIXING_HEIGHT * per_h
    share = 1.0 / (1.0 + _NEAR_GROUND * height * per_most)
    length = _NEAR_GROUND * height * share
    slope = _NEAR_GROUND * z / height * share * share
    aloft, aloft_slope = through_entrainment(z * per_h)
    free = 1.0 / (1.0 / _FREE_LENGTH + _PER_ENTRAINMENT * per_h)
    slope = (1.0 - aloft) * slope + aloft_slope * per_h * (free - length)
    return (1.0 - aloft) * length + aloft * free, slope


@inlined
def horizontal(z: float, ustar: float, inverse_obukhov: float, mixing_height: float) -> tuple[float, float]:
    """Return sigma_u = sigma_v (m s-1) and their time scale (s) at height z (m).

    Unstable: u* (12 + 0.5 h/|L|)^(1/3) (Panofsky et al. 1977), T = 0.15 h / sigma (Hanna 1982).
    Stable: the neutral value of it, falling with height as sigma_w, T times sqrt(z/h) (Hanna 1982).
    """
    h, per_h = mixing_height, 1.0 / mixing_height
    unstable = ustar * cbrt(12.0 - 0.5 * h * min(inverse_obukhov, 0.0))
    stable = ustar * _CBRT_12 * (1.0 - 0.8 * min(z * per_h, 1.0))
    sigma = unstable if inverse_obukhov < 0.0 else stable
    short = math.sqrt(min(max(z, LOWEST) * per_h, 1.0))
    time = 0.15 * h / sigma * (1.0 if inverse_obukhov < 0.0 else short)
    aloft, _ = through_entrainment(z * per_h)
    return (1.0 - aloft) * sigma + aloft * FREE_SIGMA_H, (1.0 - aloft) * time + aloft * FREE_TIME


@inlined
def through_entrainment(zeta: float) -> tuple[float, float]:
    """Return how far zeta = z/h is through the entrainment zone, 0 to 1, and the derivative of that."""
    a = min(max((zeta - (1.0 - _ENTRAINMENT)) * _PER_WIDTH, 0.0), 1.0)
    return a * a * (3.0 - 2.0 * a), 6.0 * a * (1.0 - a) * _PER_WIDTH
