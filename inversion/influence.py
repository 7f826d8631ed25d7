"""Which data the solution hangs on, and whether what it could not foresee is white."""

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.stats import chi2

from inversion.factor import Factor
from inversion.solution import Solution

Floats = npt.NDArray[np.float64]
_MOST_LAGS = 10
_DATA_PER_LAG = 5


def leverage(solution: Solution, inverse: Floats) -> Floats:
    """Return how far each fitted value follows its own datum, 1 - (R C^-1)_ii; they sum to the DOFS."""
    return 1 - np.einsum("ij,ji->i", solution.problem.errors.dense(), inverse)


def influence(solution: Solution, inverse: Floats) -> Floats:
    """Return Cook's distance of each datum: how far the state moves when it is left out.

    (x - x_i)' A^-1 (x - x_i) / DOFS = (a_i / P_ii)^2 (R^-1 - P)_ii / DOFS with P = C^-1 and a = P d, in the
    metric of the posterior covariance A of all data (Cook 1977, equation 5, with the prior as further data).
    """
    errors, precision = solution.problem.errors, np.diag(inverse)
    change = (inverse @ solution.problem.innovation) / precision
    own = np.diag(errors.solve(np.eye(len(precision))))
    return change**2 * (own - precision) / float(np.sum(leverage(solution, inverse)))


def foresight(solution: Solution) -> Floats:
    """Return each datum less its prediction from all before it, over the sd of that: white if all is right.

    L^-1 d with C = L L' and the data in order of time (innovations decomposition); shape (obs,).
    """
    order = np.argsort(solution.problem.time, kind="stable")
    innovation, factor = solution.problem.innovation, solution.factor
    if (order != np.arange(len(order))).any():
        C = factor.lower @ factor.lower.T
        factor = Factor.of(C[np.ix_(order, order)])
    out = np.empty(len(order))
    out[order] = factor.whiten(innovation[order])
    return out


def autocorrelation(series: Floats, lags: int) -> Floats:
    """Return the correlation of a series of mean 0 with itself at lags 1 to `lags`."""
    square = float(series @ series)
    return np.array([float(series[k:] @ series[:-k]) / square for k in range(1, lags + 1)])


def whiteness(series: Floats) -> tuple[float, float]:
    """Return lag-1 autocorrelation and p of the Ljung-Box test; NaN where there are too few data.

    Up to ten lags, at least five data each; p below 0.05: not white (Ljung and Box 1978, equation 1.5).

    >>> series = np.tile([1.0, -1.0], 20)
    >>> [round(v, 3) for v in whiteness(series)]
    [-0.975, 0.0]
    """
    n = series.size
    lags = min(_MOST_LAGS, n // _DATA_PER_LAG)
    if lags < 1:
        return np.nan, np.nan
    found = autocorrelation(series, lags)
    statistic = n * (n + 2) * np.sum(found**2 / (n - np.arange(1, lags + 1)))
    return float(found[0]), float(chi2.sf(statistic, lags))


def site_whiteness(solution: Solution) -> dict[str, xr.Variable]:
    """Return the whiteness of what could not be foreseen at each site, in order of time."""
    series, problem = foresight(solution), solution.problem
    order = np.argsort(problem.time, kind="stable")
    found = np.array([whiteness(series[order][problem.site[order] == s]) for s in np.unique(problem.site)])
    text = ("lag-1 autocorrelation of the one-step prediction residuals", "p of their Ljung-Box test")
    return {
        name: xr.Variable("site_name", found[:, i], {"units": "1", "long_name": text[i]})
        for i, name in enumerate(("site_autocorrelation", "site_whiteness_p"))
    }
