"""Hyperparameters at the maximum of their posterior, with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from inversion.checks import refuse
from inversion.evidence import Evidence
from inversion.hyper import Hyperparameter, hyperparameter_faults
from inversion.problem import Problem
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
_STEP = 1e-3  # of the differences of the gradient, in log: their error is of the order of its square
_AT_LIMIT = 1e-6


@dataclass(frozen=True)
class Estimate:
    """Multipliers exp(theta) of stated values; theta is about normal, so the multiplier about lognormal.

    theta : maximum of the posterior, shape (hyperparameter,)
    covariance : of theta, from the Hessian there; zero for those at a limit
    at_limit : "", "low" or "high", for each
    log_evidence : at theta, without the hyperparameters' own prior
    stated_log_evidence : with the stated values
    evaluations : of the evidence that it took
    """

    chosen: tuple[Hyperparameter, ...]
    theta: Floats
    covariance: Floats
    at_limit: tuple[str, ...]
    log_evidence: float
    stated_log_evidence: float
    evaluations: int

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """Which are within their limits."""
        return np.array([not side for side in self.at_limit])


def estimate(problem: Problem, chosen: Sequence[Hyperparameter], mapper: Mapper = serial) -> Estimate:
    """Return the hyperparameters that make the data most probable, under their own prior and limits.

    Raises
    ------
    DataError
        If the choice does not fit the problem, or the search does not end at a maximum.
    """
    refuse(hyperparameter_faults(problem, chosen))
    target = _Target(Evidence(problem, chosen, mapper), np.array([h.spread for h in chosen]))
    bounds = [(np.log(h.low), np.log(h.high)) for h in chosen]
    found = minimize(target, np.zeros(len(chosen)), jac=True, method="L-BFGS-B", bounds=bounds,
                     options={"ftol": 1e-13, "gtol": 1e-5, "maxiter": 200})  # fmt: skip
    sides = tuple(_side(t, b) for t, b in zip(found.x, bounds, strict=True))
    free = np.array([not side for side in sides])
    if not found.success or np.abs(found.jac[free]).max(initial=0.0) > 1e-2:
        raise DataError(
            f"hyperparameters: no maximum of the evidence after {target.calls} evaluations "
            f"({found.message}); gradient {np.array2string(-found.jac, precision=2)} by "
            f"{', '.join(h.name for h in chosen)}"
        )
    covariance = _covariance(target, found.x, free)
    best, stated = target.evidence.at(found.x).value, target.evidence.at(np.zeros(len(chosen))).value
    return Estimate(tuple(chosen), found.x, covariance, sides, best, stated, target.calls + 2)


@dataclass
class _Target:
    """Minus the log posterior of theta, up to a constant, and its gradient."""

    evidence: Evidence
    spread: Floats
    calls: int = 0

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        self.calls += 1
        found = self.evidence.at(theta)
        scaled = theta / self.spread
        return 0.5 * float(scaled @ scaled) - found.value, scaled / self.spread - found.gradient


def _side(theta: float, bounds: tuple[float, float]) -> str:
    if theta - bounds[0] < _AT_LIMIT:
        return "low"
    return "high" if bounds[1] - theta < _AT_LIMIT else ""


def _covariance(target: _Target, theta: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    at = np.flatnonzero(free)
    out = np.zeros((theta.size, theta.size))
    if at.size:
        slopes = []
        for j in at:
            step = np.zeros(theta.size)
            step[j] = _STEP
            slopes.append((target(theta + step)[1] - target(theta - step)[1])[at] / (2 * _STEP))
        hessian = np.array(slopes)
        values = np.linalg.eigvalsh(hessian + hessian.T) / 2
        if values[0] <= 0:
            raise DataError(
                f"hyperparameters: least curvature of the evidence {values[0]:g}, expected a maximum "
                "in every direction"
            )
        out[np.ix_(at, at)] = np.linalg.inv((hessian + hessian.T) / 2)
    return out
