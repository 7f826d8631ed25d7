"""The standard atmosphere: the altitude of a pressure where nothing better is known."""

import numpy as np
import numpy.typing as npt

from metroflux.constants import GRAVITY
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]

_GAS = 287.05287  # specific gas constant of the standard, J kg-1 K-1
_LAYERS = (
    (0.0, 288.15, -0.0065),
    (11000.0, 216.65, 0.0),
    (20000.0, 216.65, 0.001),
    (32000.0, 228.65, 0.0028),
    (47000.0, 270.65, 0.0),
    (51000.0, 270.65, -0.0028),
    (71000.0, 214.65, -0.002),
)
"""Base of each layer, m geopotential; temperature there, K; lapse rate, K m-1."""
_SEA_LEVEL, _MOST = 101325.0, 110000.0
_LEAST = 0.3734  # Pa, at 84852 m, where the standard's constant composition ends


def standard_altitude(pressure: Floats) -> Floats:
    """Return the geopotential altitude, m, of pressures, Pa, in the standard atmosphere.

    The true altitude of a pressure differs: by some 100 m near the ground between a high and a low, aloft
    by several 100 m in cold air.

    References
    ----------
    ICAO Doc 7488 (1993); ISO 2533:1975; US Standard Atmosphere (1976) above 32 km

    Raises
    ------
    DataError
        If a pressure is not within 0.3734 to 110000 Pa.

    >>> standard_altitude(np.array([101325.0, 50000.0, 22632.06, 5474.89])).round().tolist()
    [0.0, 5574.0, 11000.0, 20000.0]
    """
    if not np.all((pressure >= _LEAST) & (pressure <= _MOST)):
        raise DataError(
            f"pressure {np.min(pressure):g} to {np.max(pressure):g} Pa; expected {_LEAST:g} to {_MOST:g} Pa"
        )
    altitude, base = np.empty(pressure.shape), _SEA_LEVEL
    for number, (bottom, temperature, lapse) in enumerate(_LAYERS):
        here = (pressure <= base) | (number == 0)
        ratio = np.log(pressure[here] / base) * _GAS / GRAVITY
        rise = temperature * np.expm1(-lapse * ratio) / lapse if lapse else -temperature * ratio
        altitude[here] = bottom + rise
        if number + 1 < len(_LAYERS):
            depth = _LAYERS[number + 1][0] - bottom
            thinner = depth / temperature if not lapse else np.log1p(lapse * depth / temperature) / lapse
            base *= np.exp(-GRAVITY / _GAS * thinner)
    return altitude
