"""Variances that are differences: rounding may leave them below zero, nothing else may."""

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-8
"""Share of the prior variance below which a negative posterior variance is rounding: eps times a condition
number of 1e8 (Higham 2002, theorem 10.4)."""


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
