"""The analysis function of an analyser, x = a0 + a1 (r - r0) per event, by generalised least squares.

ISO 6143: certified values and responses both have errors; the certified values of several tanks are
correlated through their parent. All events are fitted at once, because they share the tanks: the true mole
fractions of the tanks are unknowns of the fit beside a0 and a1 of each event.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS = 50
"""Gauss-Newton steps; the problem is nearly linear and takes three."""


@dataclass(frozen=True)
class Fit:
    """Analysis functions of all events, and how they follow from what was measured.

    coefficients : a0 (mol mol-1) and a1 of each event, shape (event, 2)
    origin : r0, mol mol-1
    by_value : derivative of the coefficients, raveled, to the certified values, shape (2 event, tank);
        to first order in the misfit
    by_response : the same to the mean responses, shape (2 event, run)
    residual : (measured - fitted) over standard uncertainty, certified values first, then responses
    chi2, freedom : sum of squares in the metric of the covariances, and its degrees of freedom
    """

    coefficients: Floats
    origin: float
    by_value: Floats
    by_response: Floats
    residual: Floats
    chi2: float
    freedom: int


def fit(values: Floats, covariance: Floats, tank: Ints, event: Ints, response: Floats, sd: Floats) -> Fit:
    """Fit a line through each event.

    Parameters
    ----------
    values, covariance : certified mole fractions, shape (tank,), and their covariance
    tank, event : of each run, counted from 0
    response, sd : mean response of each run and its standard uncertainty, mol mol-1

    Raises
    ------
    DataError
        If the fit does not converge or an analysis function does not rise.
    """
    unit = 1e-6  # unknowns near one: mol mol-1 would spoil the condition of the normal matrix
    c, V, r, s = values / unit, covariance / unit**2, response / unit, sd / unit
    n, events = c.size, int(event.max()) + 1
    origin = float(r.mean())
    truth, a0, a1 = c.copy(), *_start(c[tank], r - origin, event, events)
    weight = cho_factor(V, lower=True)
    for _ in range(STEPS):
        A = _derivatives(truth, a0, a1, tank, event)
        misfit = np.concatenate([c - truth, r - origin - (truth[tank] - a0[event]) / a1[event]])
        weighted = np.vstack([cho_solve(weight, A[:n]), A[n:] / s[:, None] ** 2])
        normal = cho_factor(A.T @ weighted, lower=True)
        step = cho_solve(normal, weighted.T @ misfit)
        truth, a0, a1 = truth + step[:n], a0 + step[n : n + events], a1 + step[n + events :]
        if np.max(np.abs(step)) < 1e-12 * np.max(np.abs(c)):
            break
    else:
        raise DataError(f"calibration: no convergence in {STEPS} steps; are tanks and ports interchanged?")
    if np.any(a1 <= 0):
        raise DataError(
            f"calibration: slope {a1.min():g} in event {int(a1.argmin())}; expected a rising line"
        )
    gain = cho_solve(normal, weighted.T)  # d unknowns / d (certified values, responses)
    rows = np.stack([n + np.arange(events), n + events + np.arange(events)], axis=1).ravel()
    scale = np.tile([1.0, 1.0 / unit], events)[:, None]  # a0 and the inputs share a unit, a1 has none
    fitted = np.concatenate([c - truth, r - origin - (truth[tank] - a0[event]) / a1[event]])
    chi2 = float(fitted[:n] @ cho_solve(weight, fitted[:n]) + np.sum((fitted[n:] / s) ** 2))
    return Fit(
        coefficients=np.stack([a0 * unit, a1], axis=1),
        origin=origin * unit,
        by_value=gain[rows, :n] * scale,
        by_response=gain[rows, n:] * scale,
        residual=fitted / np.concatenate([np.sqrt(np.diag(V)), s]),
        chi2=chi2,
        freedom=r.size - 2 * events,
    )


def _start(x: Floats, r: Floats, event: Ints, events: int) -> tuple[Floats, Floats]:
    """Return an ordinary line of each event."""
    lines = np.array([np.polyfit(r[event == e], x[event == e], 1) for e in range(events)])
    return lines[:, 1], lines[:, 0]


def _derivatives(truth: Floats, a0: Floats, a1: Floats, tank: Ints, event: Ints) -> Floats:
    """Return d (certified values, responses) / d (truth, a0, a1)."""
    n, events, runs = truth.size, a0.size, tank.size
    A = np.zeros((n + runs, n + 2 * events))
    A[:n, :n] = np.eye(n)
    row = n + np.arange(runs)
    A[row, tank] = 1.0 / a1[event]
    A[row, n + event] = -1.0 / a1[event]
    A[row, n + events + event] = -(truth[tank] - a0[event]) / a1[event] ** 2
    return A
