"""The analysis function of an analyser, a polynomial in the response per event, by generalised least squares.

x = sum over k of a_k ((r - r0) / h)^k, ISO 6143 with a line or a curve. Certified values and responses both
have errors; the certified values of several tanks are correlated through their parent. All events are fitted
at once, because they share the tanks: the true mole fractions of the tanks are unknowns of the fit beside the
coefficients of each event.
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
_UNIT = 1e-6
"""mol mol-1; unknowns near one, because mol mol-1 would spoil the condition of the normal matrix."""


@dataclass(frozen=True)
class Readings:
    """Mean responses to the tanks.

    tank, event : of each run, counted from 0
    response, sd : mean response of each run and its standard uncertainty, mol mol-1
    """

    tank: Ints
    event: Ints
    response: Floats
    sd: Floats


@dataclass(frozen=True)
class Fit:
    """Analysis functions of all events, and how they follow from what was measured.

    coefficients : a_k of each event, mol mol-1, shape (event, degree + 1)
    origin, span : r0 and h, mol mol-1
    by_value : derivative of the coefficients, raveled, to the certified values, shape (event x (degree + 1),
        tank); to first order in the misfit
    by_response : the same to the mean responses, shape (event x (degree + 1), run)
    residual : (measured - fitted) over standard uncertainty, certified values first, then responses
    chi2, freedom : sum of squares in the metric of the covariances, and its degrees of freedom
    """

    coefficients: Floats
    origin: float
    span: float
    by_value: Floats
    by_response: Floats
    residual: Floats
    chi2: float
    freedom: int

    def powers(self, response: Floats, variance: Floats) -> Floats:
        """Return what multiplies the coefficients, shape (response, degree + 1).

        Parameters
        ----------
        response, variance : mean and variance of the measurements: the mean of a curve is not the curve of
            the mean; to second order, which is all of it up to degree 2
        """
        u, k = (response - self.origin) / self.span, np.arange(self.coefficients.shape[1])
        bend = 0.5 * k * (k - 1) * u[:, None] ** np.maximum(k - 2, 0)
        return np.asarray(_powers(u, k.size) + bend * variance[:, None] / self.span**2)

    def rises(self, response: Floats) -> Floats:
        """Return the derivative of `powers` to the response, (mol mol-1)-1, the same shape."""
        return _rises((response - self.origin) / self.span, self.coefficients.shape[1]) / self.span


def fit(values: Floats, covariance: Floats, readings: Readings, degree: int) -> Fit:
    """Fit a polynomial through each event.

    Parameters
    ----------
    values, covariance : certified mole fractions, shape (tank,), and their covariance
    degree : 1 or 2

    Raises
    ------
    DataError
        If the fit does not converge or an analysis function does not rise over the tanks.
    """
    origin = float(readings.response.mean())
    span = float(np.max(np.abs(readings.response - origin)))
    measured, sd = (readings.response - origin) / span, readings.sd / span
    centre = float(values.mean())  # 5000 ppm hide the last digits of tanks 5 ppm apart
    c, V = (values - centre) / _UNIT, covariance / _UNIT**2
    n, truth, a = c.size, c.copy(), _start(c[readings.tank], measured, readings.event, degree)
    weight = cho_factor(V, lower=True)
    for _ in range(STEPS):
        u, A = _predict(truth, a, readings, measured)
        weighted = np.vstack([cho_solve(weight, A[:n]), A[n:] / sd[:, None] ** 2])
        normal = cho_factor(A.T @ weighted, lower=True)
        step = cho_solve(normal, weighted.T @ np.concatenate([c - truth, measured - u]))
        truth, a = truth + step[:n], a + step[n:].reshape(a.shape)
        if np.max(np.abs(step)) < 1e-12 * centre / _UNIT:
            break
    else:
        raise DataError(f"calibration: no convergence in {STEPS} steps; are tanks and ports interchanged?")
    gain = cho_solve(normal, weighted.T)[n:]  # d coefficients / d (certified values, responses)
    left, right = c - truth, (measured - _predict(truth, a, readings, measured)[0]) / sd
    a[:, 0] += centre / _UNIT
    return Fit(
        coefficients=a * _UNIT,
        origin=origin,
        span=span,
        by_value=gain[:, :n],
        by_response=gain[:, n:] * (_UNIT / span),
        residual=np.concatenate([left / np.sqrt(np.diag(V)), right]),
        chi2=float(left @ cho_solve(weight, left) + np.sum(right**2)),
        freedom=right.size - a.size,
    )


def _powers(u: Floats, terms: int) -> Floats:
    return np.asarray(u[:, None] ** np.arange(terms))


def _rises(u: Floats, terms: int) -> Floats:
    k = np.arange(terms)
    return np.asarray(k * u[:, None] ** np.maximum(k - 1, 0))


def _start(x: Floats, u: Floats, event: Ints, degree: int) -> Floats:
    """Return an ordinary polynomial of each event, shape (event, degree + 1)."""
    events = range(int(event.max()) + 1)
    return np.array([np.polyfit(u[event == e], x[event == e], degree)[::-1] for e in events])


def _predict(truth: Floats, a: Floats, readings: Readings, near: Floats) -> tuple[Floats, Floats]:
    """Return the responses u to the tanks, and d (certified values, responses) / d (truth, coefficients).

    The response is the root of the polynomial that Newton's steps reach from the measured one.
    """
    tank, event, u = readings.tank, readings.event, near
    n, terms = truth.size, a.shape[1]
    for _ in range(STEPS):
        rise = np.sum(_rises(u, terms) * a[event], axis=1)
        if np.any(rise <= 0):  # a slope that is a line in u is least at an end: at a run
            raise DataError(
                f"calibration: slope {rise.min():g} in event {int(event[rise.argmin()])}; expected a rising "
                "analysis function; are tanks and ports interchanged?"
            )
        step = (truth[tank] - np.sum(_powers(u, terms) * a[event], axis=1)) / rise
        u = u + step
        if np.max(np.abs(step)) < 1e-13:
            break
    else:
        raise DataError(f"calibration: a tank is beyond the analysis function of its event; {STEPS} steps")
    rows, A = n + np.arange(tank.size), np.zeros((n + tank.size, n + a.size))
    rise = np.sum(_rises(u, terms) * a[event], axis=1)
    A[:n, :n] = np.eye(n)
    A[rows, tank] = 1.0 / rise
    own = n + event[:, None] * terms + np.arange(terms)
    A[rows[:, None], own] = -_powers(u, terms) / rise[:, None]
    return u, A
