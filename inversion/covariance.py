"""Prior covariance of one sector, B = D (T kron S) D, applied without forming it.

T and S are correlations in time and space, D the prior sd. A flux vector is laid out (flux_time, cell),
cells flattened in C order.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inversion.gridded import FORMS, Form, GridCorrelation
from inversion.spatial import GivenCorrelation, Independent, Masked, SpaceCorrelation
from inversion.temporal import DayHourCorrelation, Temporal, TimeCorrelation

__all__ = [
    "FORMS",
    "Covariance",
    "DayHourCorrelation",
    "Form",
    "GivenCorrelation",
    "GridCorrelation",
    "Independent",
    "Masked",
    "SpaceCorrelation",
    "Temporal",
    "TimeCorrelation",
]

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Covariance:
    """B = D (T kron S) D of one sector; its square root is Q = D (T^1/2 kron S^1/2), B = Q Q'.

    sd : prior standard uncertainty, mol m-2 s-1, shape (flux_time, cell)
    """

    sd: Floats
    time: Temporal
    space: SpaceCorrelation

    @property
    def root_shape(self) -> tuple[int, int]:
        """Shape of the noise that `root` takes, (flux_time, root_size of the space)."""
        return len(self.sd), self.space.root_size

    def __matmul__(self, x: Floats) -> Floats:
        """Return B x; x has shape (flux_time, cell) or its flattened form, and so has the result."""
        smooth = self.space.apply(self.sd * x.reshape(self.sd.shape))
        return (self.sd * self.time.apply(smooth)).reshape(x.shape)

    def root(self, noise: Floats) -> Floats:
        """Return Q times noise of shape `root_shape`, shape (flux_time, cell)."""
        return self.sd * self.time.root(self.space.root(noise))

    def root_adjoint(self, x: Floats) -> Floats:
        """Return Q' x, shape (flux_time, cell) to `root_shape`."""
        return self.space.root_adjoint(self.time.root_adjoint(self.sd * x))

    def sample(self, rng: np.random.Generator) -> Floats:
        """Return one draw from N(0, B), mol m-2 s-1, shape (flux_time, cell)."""
        return self.root(rng.standard_normal(self.root_shape))

    def dense(self) -> Floats:
        """Return B itself, shape (flux_time cell, flux_time cell): for tests."""
        sd = self.sd.ravel()
        return sd[:, None] * np.kron(self.time.dense, self.space.dense()) * sd
