"""Variances that are differences: rounding may leave them below zero, nothing else may."""

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-8
"""A posterior variance no more negative than this share of the prior's is rounding: the error of a Cholesky
solve grows as the machine precision, 2e-16, times the condition number (Higham 2002, chapter 10), and 1e-8
allows one of 5e7. Beyond it the problem is refused."""


def checked_variance(variance: Floats, prior: Floats, what: str) -> Floats:
    """Return posterior variances, those negative within rounding of the prior's as 0.

    Raises
    ------
    DataError
        If one is negative by more than rounding: the problem is too ill-conditioned for float64.
    """
    wrong = variance < -ROUNDING * prior
    if wrong.any():
        at = np.unravel_index(np.argmin(variance), variance.shape)
        raise DataError(
            f"posterior variance of {what} is negative in {int(wrong.sum())} of {variance.size}, least "
            f"{variance[at]:g} against a prior of {prior[at]:g}: ill-conditioned; expected larger "
            "observation errors"
        )
    return np.maximum(variance, 0.0)
