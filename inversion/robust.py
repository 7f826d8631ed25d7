"""Student-t errors: data far from all others lose weight, by iteration instead of by deletion.

Each random error is Student-t, which is normal with variance D_i / w_i, w_i from a Gamma distribution. The
posterior is approximated by q(state) q(w), each in turn the best for the other (variational Bayes, Tipping
and Lawrence 2005; the weights are those of Lange, Little and Taylor 1989). What remains is Gaussian: means,
budget and totals are those of a problem whose random variances are D_i / w_i.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inversion.factor import Factor
from inversion.gram import GramInputs, gram
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.threads import one_thread
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
_TOLERANCE = 1e-8
_MOST_ROUNDS = 500


@dataclass(frozen=True)
class Robust:
    """A problem whose random variances are those of Student-t errors.

    weight : expected w of each datum, about 1, little for an outlier, shape (obs,)
    rounds : of the iteration
    """

    problem: Problem
    weight: Floats
    rounds: int


def student_t(problem: Problem, degrees: float, mapper: Mapper = serial) -> Robust:
    """Return the problem with Student-t random errors; solve it as any other.

    Parameters
    ----------
    degrees : of freedom, above 2; the stated sd is the scale of the distribution, so the sd of its errors is
        larger by sqrt(degrees / (degrees - 2)); infinity gives weights of 1

    Raises
    ------
    DataError
        If degrees is not above 2, errors are correlated in time, or the weights do not settle.
    """
    if not degrees > 2:
        raise DataError(f"Student-t errors with {degrees:g} degrees of freedom, expected more than 2")
    if problem.errors.correlated:
        raise DataError("Student-t errors: random errors are correlated in time, expected independent ones")
    stated = problem.errors.diagonal
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    rest = gram(GramInputs.of(rows, problem.covariances), mapper)
    rest += problem.scaled_design @ problem.scaled_design.T
    rest += problem.errors.columns @ problem.errors.columns.T
    weight = np.ones_like(stated)
    with one_thread():
        for rounds in range(1, _MOST_ROUNDS + 1):
            square = _expected_square(rest, stated / weight, problem.innovation)
            new = (
                (degrees + 1) / (degrees + square / stated) if np.isfinite(degrees) else np.ones_like(stated)
            )
            change = float(np.abs(new - weight).max())
            weight = new
            if change < _TOLERANCE:
                return Robust(weighted(problem, weight), weight, rounds)
    raise DataError(f"Student-t errors: weights still change by {change:g} after {_MOST_ROUNDS} rounds")


def weighted(problem: Problem, weight: Floats) -> Problem:
    """Return the problem with its random variances divided by weights, shape (obs,)."""
    random = {cause: variance / weight for cause, variance in problem.errors.random.items()}
    return replace(problem, errors=replace(problem.errors, random=random))


def _expected_square(rest: Floats, variance: Floats, innovation: Floats) -> Floats:
    """Return the posterior mean of the square of each random error of this variance."""
    factor = Factor.of(rest + np.diag(variance))
    mean = variance * factor.solve(innovation)
    return mean**2 + variance - variance**2 * np.diag(factor.inverse())
