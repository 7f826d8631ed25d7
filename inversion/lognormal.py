"""Positive fluxes: each a multiple exp(z) of its prior median, z normal, by iterated linearisation.

The prior of a flux is lognormal with the stated mean and sd; z has the correlations of the stated errors. The
mode in z is found by Gauss-Newton steps, each an ordinary solution in which the prior sd of every flux is its
present value times the sd of z (Tarantola 2005, equation 3.51), halved while
the density rises by that.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inversion.covariance import Covariance
from inversion.factor import Factor
from inversion.gram import GramInputs, gram
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.solution import Solution
from inversion.solver import solve
from inversion.threads import one_thread
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
_TOLERANCE = 1e-6  # of the logarithm; the cost cannot tell apart what is nearer than the root of its rounding
_MOST_STEPS = 200
_MOST_HALVINGS = 40


@dataclass(frozen=True)
class Lognormal:
    """Posterior of positive fluxes.

    median : exp of the mode in log space, mol m-2 s-1, shape (sector, flux_time, cell)
    log_sd : posterior sd of the logarithm, 1, by linearisation there; 0 where the flux is fixed
    linear : the solution linearised at the median: totals, their sd and budget to first order
    steps : of the iteration
    """

    median: Floats
    log_sd: Floats
    linear: Solution
    steps: int

    @property
    def mean(self) -> Floats:
        """Mean of each flux, mol m-2 s-1."""
        return self.median * np.exp(0.5 * self.log_sd**2)

    @property
    def sd(self) -> Floats:
        """Standard deviation of each flux, mol m-2 s-1."""
        return self.mean * np.sqrt(np.expm1(self.log_sd**2))

    def interval(self, coverage_factor: float = 1.959964) -> tuple[Floats, Floats]:
        """Return the ends of the interval of each flux, never below zero."""
        spread = np.exp(coverage_factor * self.log_sd)
        return self.median / spread, self.median * spread


def lognormal(problem: Problem, mapper: Mapper = serial, steps: int = _MOST_STEPS) -> Lognormal:
    """Return the posterior of fluxes that cannot be negative.

    Raises
    ------
    DataError
        If a prior flux with uncertainty is not positive, or the iteration does not settle.
    """
    stated = np.stack([c.sd for c in problem.covariances])
    wrong = (stated > 0) & ~(problem.flux > 0)
    if wrong.any():
        raise DataError(
            f"lognormal fluxes: {int(wrong.sum())} of {wrong.size} prior fluxes with uncertainty are not "
            f"positive, least {problem.flux[wrong].min():g} mol m-2 s-1; expected positive ones"
        )
    relative = np.divide(stated, problem.flux, out=np.zeros_like(stated), where=stated > 0)
    log_sd = np.sqrt(np.log1p(relative**2))
    search = _Search(problem, log_sd, problem.flux * np.exp(-0.5 * log_sd**2), mapper)
    with one_thread():
        z, rounds = search.run(steps)
    linear = search.linearised(z)
    solution = solve(linear, mapper)
    flux = search.flux(z)
    spread = np.divide(solution.flux_sd, flux, out=np.zeros_like(flux), where=stated > 0)
    return Lognormal(flux, spread, solution, rounds)


@dataclass(frozen=True)
class _State:
    """A point z, and v with z = Bz v: the prior's part of the cost is z'v / 2."""

    z: Floats
    v: Floats

    def towards(self, other: "_State", share: float) -> "_State":
        return _State(self.z + share * (other.z - self.z), self.v + share * (other.v - self.v))


@dataclass(frozen=True)
class _Search:
    problem: Problem
    log_sd: Floats
    median: Floats
    mapper: Mapper

    def flux(self, z: Floats) -> Floats:
        return self.median * np.exp(z)

    def run(self, steps: int) -> tuple[Floats, int]:
        now = _State(np.zeros_like(self.median), np.zeros_like(self.median))
        cost = self._cost(now)
        for step in range(1, steps + 1):
            aim = self._gauss_newton(now)
            apart = float(np.abs(aim.z - now.z).max())
            if apart < _TOLERANCE:
                return now.z, step
            now, cost = self._best(now, aim, cost)
        raise DataError(f"lognormal fluxes: the logarithm still changes by {apart:g} after {steps} steps")

    def _best(self, now: _State, aim: _State, cost: float) -> tuple[_State, float]:
        """Return the best point at 1, 1/2, 1/4 ... of the way, and its cost: a full step may swing across."""
        best, least = now, cost
        for halving in range(_MOST_HALVINGS):
            new = now.towards(aim, 0.5**halving)
            found = self._cost(new)
            if found < least:
                best, least = new, found
            elif least < cost:
                break
        return best, least

    def linearised(self, z: Floats) -> Problem:
        """Return the Gaussian problem tangent at z: prior flux x - x z, sd x times that of z."""
        flux = self.flux(z)
        covariances = tuple(
            replace(c, sd=sd) for c, sd in zip(self.problem.covariances, flux * self.log_sd, strict=True)
        )
        return replace(self.problem, flux=flux - flux * z, covariances=covariances)

    def _gauss_newton(self, now: _State) -> _State:
        tangent = self.linearised(now.z)
        rows = SlicedRows.from_csr(tangent.H, tangent.shape[2])
        K = gram(GramInputs.of(rows, tangent.covariances), self.mapper)
        design = tangent.scaled_design
        factor = Factor.of(K + design @ design.T + tangent.errors.dense())
        seen = (tangent.H.T @ factor.solve(tangent.innovation)).reshape(self.median.shape[1:])
        v = self.flux(now.z) * seen
        return _State(np.stack([_log(c, sd) @ part for c, sd, part in
                                zip(self.problem.covariances, self.log_sd, v, strict=True)]), v)  # fmt: skip

    def _cost(self, state: _State) -> float:
        """Return minus the log density of z and the best parameters, up to a constant."""
        left = replace(self.problem, flux=self.flux(state.z)).innovation
        errors, design = self.problem.errors, self.problem.scaled_design
        weighted = errors.solve(np.column_stack([left, design]))
        small = np.eye(design.shape[1]) + design.T @ weighted[:, 1:]
        both = design.T @ weighted[:, 0]
        fit = float(left @ weighted[:, 0] - both @ np.linalg.solve(small, both))
        return 0.5 * (fit + float(np.vdot(state.z, state.v)))


def _log(covariance: Covariance, log_sd: Floats) -> Covariance:
    return replace(covariance, sd=log_sd)
