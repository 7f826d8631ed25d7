"""The posterior mean without any matrix of the size of the data squared: conjugate gradients on C v = d."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inversion.conditioned import posterior_mean
from inversion.problem import Problem
from inversion.threads import one_thread
from metroflux.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IteratedMean:
    """A mean without its uncertainty: that needs C itself, `solver.condition` or `tiles.condition_on_disk`.

    flux : posterior mean, mol m-2 s-1, shape (sector, flux_time, cell)
    weights : C^-1 d, shape (obs,)
    iterations : made until the residual was small enough
    residual : |d - C weights| / |d|, found anew from the weights, 1
    """

    flux: Floats
    weights: Floats
    iterations: int
    residual: float


def iterate_mean(problem: Problem, tolerance: float = 1e-10, most: int = 2000) -> IteratedMean:
    """Return the posterior mean by conjugate gradients preconditioned with R^-1.

    Memory is that of H and a few states. The eigenvalues of R^-1 C are 1 and more, and as many as the data
    have degrees of freedom for signal differ from 1, so about that many iterations are enough (Hestenes and
    Stiefel 1952).

    Parameters
    ----------
    tolerance : of |d - C weights| / |d|
    most : iterations after which it is given up

    Raises
    ------
    DataError
        If the tolerance is not reached: an unfinished mean is never returned.
    """
    with one_thread():
        weights, iterations = _solve(problem, tolerance, most)
        d = problem.innovation
        size = float(np.linalg.norm(d))
        residual = float(np.linalg.norm(d - apply_data_covariance(problem, weights))) / size if size else 0.0
        if residual > 10 * tolerance:  # the recursion's own residual drifts from this one by rounding
            raise DataError(
                f"conjugate gradients: residual {residual:.3g} after {iterations} iterations on {d.size} "
                f"data, expected {tolerance:g}: more iterations or larger observation errors"
            )
        return IteratedMean(posterior_mean(problem, weights), weights, iterations, residual)


def apply_data_covariance(problem: Problem, v: Floats) -> Floats:
    """Return C v = HBH'v + G Sg G'v + Rv, shape (obs,), C never formed."""
    seen = (problem.H.T @ v).reshape(problem.flux.shape[1:])
    state = np.sum([covariance @ seen for covariance in problem.covariances], axis=0)
    design = problem.scaled_design
    return problem.H @ state.ravel() + design @ (design.T @ v) + problem.errors @ v


def _solve(problem: Problem, tolerance: float, most: int) -> tuple[Floats, int]:
    left = problem.innovation.copy()
    weights, aim = np.zeros_like(left), tolerance * float(np.linalg.norm(left))
    scaled = problem.errors.solve(left)
    direction, rate = scaled.copy(), float(left @ scaled)
    for iteration in range(most):
        if np.linalg.norm(left) <= aim:
            return weights, iteration
        image = apply_data_covariance(problem, direction)
        step = rate / float(direction @ image)
        weights += step * direction
        left -= step * image
        scaled = problem.errors.solve(left)
        rate, before = float(left @ scaled), rate
        direction = scaled + (rate / before) * direction
    return weights, most
