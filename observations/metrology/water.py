"""Dry mole fraction from moist air (Rella et al. 2013, eq. 3-4): dry = wet / (1 + a H + b H2)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WaterCorrection:
    """Coefficients for the reported water H in %.

    a : %-1
    b : %-2
    a_sd, b_sd : standard uncertainties
    traceable_to : the experiment that gave them
    """

    a: float
    b: float
    a_sd: float
    b_sd: float
    traceable_to: str = "Rella et al. 2013"

    def __post_init__(self) -> None:
        if self.a_sd < 0 or self.b_sd < 0:
            raise ConfigError(f"water correction: sd {self.a_sd:g} and {self.b_sd:g}; expected none below 0")

    def dry(self, wet: Floats, water: Floats) -> Floats:
        """Return the dry mole fraction."""
        return wet / (1.0 + self.a * water + self.b * water**2)

    def columns(self, wet: Floats, water: Floats) -> tuple[Floats, Floats]:
        """Return the derivatives of the dry mole fraction to a and b, each times its standard uncertainty."""
        steep = -self.dry(wet, water) / (1.0 + self.a * water + self.b * water**2)
        return steep * water * self.a_sd, steep * water**2 * self.b_sd


PUBLISHED = {"co2": (-0.01200, -2.674e-4), "ch4": (-0.00982, -2.393e-4)}
"""a and b of one analyser, taken by the maker for all (Rella et al. 2013)."""


def published(gas: str, a_sd: float, b_sd: float) -> WaterCorrection:
    """Return the published coefficients; how well they hold for another analyser the user must say."""
    if gas not in PUBLISHED:
        raise ConfigError(f"water correction of {gas}: none published here; expected {', '.join(PUBLISHED)}")
    a, b = PUBLISHED[gas]
    return WaterCorrection(a, b, a_sd, b_sd)
