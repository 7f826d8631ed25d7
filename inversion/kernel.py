"""Rows of the averaging kernel: what a total answers to."""

import numpy as np
import numpy.typing as npt

from inversion.solution import Solution
from inversion.threads import one_thread
from inversion.totals import respond

Floats = npt.NDArray[np.float64]


def averaging_kernel_rows(solution: Solution, space_weights: Floats, time_weights: Floats) -> Floats:
    """Return d(posterior total) / d(true flux of any one sector) = (C^-1 H B w)' H.

    A perfect total has its own weights as its row. The data do not tell sectors apart, so a true flux moves a
    total alike in whichever sector it is. Shape (region, sector, period, flux_time, cell); the last sector is
    the sum, units those of the weights.
    """
    problem = solution.problem
    with one_thread():
        response = respond(problem, space_weights, time_weights)
        gain = solution.factor.solve(response.data.reshape(problem.shape[0], -1))
        rows = (problem.H.T @ gain).T
    return rows.reshape(*response.mean.shape, *problem.shape[2:])
