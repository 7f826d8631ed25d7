"""The turbulence of Hanna (1982) as FLEXPART and STILT use it: an option, to compare with those models.

The set is that of Stohl et al. 2005 (Atmos. Chem. Phys. 5, 2461, section 4.3), with the lower bounds on the
time scales that FLEXPART sets. Equation numbers are those of Hanna (chapter 7) and Caughey (chapter 4) in
Nieuwstadt & van Dop 1982: Atmospheric Turbulence and Air Pollution Modelling.
Neutral is |L| > h. As in the default set, turbulence is constant below 1 m and changes into that of the free
air around the mixing height; there is no lid.
"""

import math

import numpy as np
from numpy.typing import NDArray

from transport.kernels.block import BOTTOM, CHI_X, CHI_Y, DEPTH, DT, DX, DY, INVERSE_L, LANES, USTAR, H, Z
from transport.kernels.elementary import cbrt, exp, inlined, inverse_cbrt, log
from transport.kernels.field import U, V
from transport.kernels.turbulence import (
    FREE_SIGMA_H,
    FREE_SIGMA_W,
    FREE_TIME,
    LOWEST,
    VON_KARMAN,
    through_entrainment,
)
from transport.kernels.vector import WIDTH

_CORIOLIS = 1e-4  # s-1, one value for all latitudes, as FLEXPART
_SHORTEST_W = 30.0  # s, least T_Lw (FLEXPART); what fails Prairie Grass
_SHORTEST_H = 10.0  # s, least T_Lu and T_Lv (FLEXPART)
_LEAST = 0.01  # m s-1, added to every sigma (FLEXPART): the stable ones vanish at h


@inlined
def vertical(
    z: float, ustar: float, inverse_obukhov: float, mixing_height: float
) -> tuple[float, float, float]:
    """Return sigma_w (m s-1), its vertical gradient (s-1) and the Lagrangian time scale (s) at height z (m).

    Unstable: sigma_w of Ryall & Maryon 1998, T of Hanna 7.17. Neutral: 1.3 u* exp(-2 f z/u*), T of 7.27.
    Stable: 7.19 and 7.24.
    """
    h, per_h = mixing_height, 1.0 / mixing_height
    height, slant = max(z, LOWEST), 1.0 if z > LOWEST else 0.0
    zeta, inside = min(height * per_h, 1.0), 1.0 if z < h else 0.0
    deep = h * abs(inverse_obukhov)
    root, per_root = cbrt(zeta), inverse_cbrt(zeta)
    lift = cbrt(deep / VON_KARMAN)
    convective = (ustar * lift) * (ustar * lift)  # w*^2 = u*^2 (h / k|L|)^(2/3)

    square = 1.2 * convective * (1.0 - 0.9 * zeta) * root * root + (1.8 - 1.4 * zeta) * ustar * ustar
    sigma = math.sqrt(square)
    slope = convective * (0.8 * per_root - 1.8 * root * root) - 1.4 * ustar * ustar
    slope = 0.5 * slope * per_h / sigma * inside
    near = height * abs(inverse_obukhov)
    time = 0.15 * h * (1.0 - exp(-5.0 * zeta)) if zeta >= 0.1 else 0.59 * height
    time = 0.1 * height / (0.55 - 0.38 * min(near, 1.0)) if near < 1.0 else time

    stable = inverse_obukhov > 0.0
    sigma = 1.3 * ustar * (1.0 - zeta) if stable else sigma
    slope = -1.3 * ustar * per_h * inside if stable else slope
    time = 0.1 * h * exp(0.8 * log(zeta)) if stable else time

    turned = _CORIOLIS * height / ustar
    neutral = deep < 1.0
    weak = 1.3 * ustar * exp(-2.0 * turned)
    sigma = (weak if neutral else sigma) + _LEAST
    slope = -2.0 * _CORIOLIS / ustar * weak if neutral else slope
    time = 0.5 * height / (1.0 + 15.0 * turned) if neutral else time
    time = max(time / sigma, _SHORTEST_W)

    aloft, aloft_slope = through_entrainment(z * per_h)
    slope = (1.0 - aloft) * slope * slant + aloft_slope * per_h * (FREE_SIGMA_W - sigma)
    return (1.0 - aloft) * sigma + aloft * FREE_SIGMA_W, slope, (1.0 - aloft) * time + aloft * FREE_TIME


@inlined
def horizontal(
    z: float, ustar: float, inverse_obukhov: float, mixing_height: float
) -> tuple[float, float, float, float]:
    """Return sigma_u and T_Lu along the wind, sigma_v and T_Lv across it (m s-1, s) at height z (m).

    Unstable: Caughey 4.15, T of Hanna 7.17. Neutral: 2 u* exp(-3 f z/u*) and 1.3 u* exp(-2 f z/u*), T of
    7.27. Stable: 7.19, 7.20, 7.22 and 7.23.
    """
    h, per_h = mixing_height, 1.0 / mixing_height
    height = max(z, LOWEST)
    zeta, deep = min(height * per_h, 1.0), h * abs(inverse_obukhov)
    both = ustar * cbrt(12.0 + 0.5 * deep) + _LEAST
    turned = _CORIOLIS * height / ustar
    neutral_time = 0.5 * height / (1.0 + 15.0 * turned)

    neutral, stable, left = deep < 1.0, inverse_obukhov > 0.0, math.sqrt(zeta)
    along = 2.0 * ustar * (1.0 - zeta) + _LEAST if stable else both
    across = 1.3 * ustar * (1.0 - zeta) + _LEAST if stable else both
    time_along = 0.15 * h * (left if stable else 1.0) / along
    time_across = (0.07 * left if stable else 0.15) * h / across
    along = 2.0 * ustar * exp(-3.0 * turned) + _LEAST if neutral else along
    across = 1.3 * ustar * exp(-2.0 * turned) + _LEAST if neutral else across
    time_along = max(neutral_time / across if neutral else time_along, _SHORTEST_H)  # one time for all
    time_across = max(neutral_time / across if neutral else time_across, _SHORTEST_H)

    aloft, _ = through_entrainment(z * per_h)
    free, free_time = aloft * FREE_SIGMA_H, aloft * FREE_TIME
    here = 1.0 - aloft
    return (here * along + free, here * time_along + free_time,
            here * across + free, here * time_across + free_time)  # fmt: skip


@inlined
def disperse(s: NDArray[np.float64], air: NDArray[np.float64]) -> None:
    """Let every lane drift along (chi_x) and across (chi_y) the wind; draws and displacement in DX, DY."""
    for n in range(LANES):
        g, dt = WIDTH * n, s[DT + n]
        up = max((s[Z + n] - s[BOTTOM + n]) / s[DEPTH + n], 0.0)
        u = air[g + U] + up * (air[g + U + 4] - air[g + U])
        v = air[g + V] + up * (air[g + V + 4] - air[g + V])
        speed = math.sqrt(u * u + v * v)
        calm = speed == 0.0  # no direction: along x
        east, north = 1.0 if calm else u / speed, 0.0 if calm else v / speed
        along, time_along, across, time_across = horizontal(
            s[Z + n], s[USTAR + n], s[INVERSE_L + n], s[H + n]
        )
        memory, memory_across = exp(-dt / time_along), exp(-dt / time_across)
        s[CHI_X + n] = s[CHI_X + n] * memory + math.sqrt(1.0 - memory * memory) * s[DX + n]
        s[CHI_Y + n] = (
            s[CHI_Y + n] * memory_across + math.sqrt(1.0 - memory_across * memory_across) * s[DY + n]
        )
        forth, aside = dt * along * s[CHI_X + n], dt * across * s[CHI_Y + n]
        s[DX + n] = forth * east - aside * north
        s[DY + n] = forth * north + aside * east
