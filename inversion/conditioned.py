"""A problem conditioned on its data: the mean, and the exact uncertainty of any total."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from inversion.factor import Factored, Symmetric
from inversion.problem import Problem
from inversion.threads import one_thread
from inversion.totals import TotalsResult, make_totals
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conditioned:
    """What the data say of the fluxes; made by `solver.condition`.

    factor : of C = HBH' + G Sg G' + R
    gram : K = HBH', sum over sectors, without parameters, (mol mol-1)2, shape (obs, obs)
    """

    problem: Problem
    factor: Factored
    gram: Symmetric

    @cached_property
    def flux(self) -> Floats:
        """Posterior mean x_a + B H' C^-1 d, mol m-2 s-1, shape (sector, flux_time, cell)."""
        with one_thread():
            return posterior_mean(self.problem, self.factor.solve(self.problem.innovation))

    def totals(self, space_weights: Floats, time_weights: Floats, mapper: Mapper = serial) -> TotalsResult:
        """Return totals w'x with their exact uncertainty, w = time_weights x space_weights.

        space_weights (region, cell), time_weights (period, flux_time); see `totals.TotalsResult`.
        """
        return make_totals(self.problem, self.factor, self.gram, space_weights, time_weights, mapper)


def posterior_mean(problem: Problem, weights: Floats) -> Floats:
    """Return x_a + B H' weights, mol m-2 s-1, shape (sector, flux_time, cell); weights = C^-1 d."""
    seen = (problem.H.T @ weights).reshape(problem.flux.shape[1:])
    return np.stack([x + c @ seen for x, c in zip(problem.flux, problem.covariances, strict=True)])
