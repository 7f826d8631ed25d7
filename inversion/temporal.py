"""Correlation in time of one sector's prior errors: T, shape (flux_time, flux_time), applied not formed.

Fields have the flux time first and any shape behind it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky

Floats: TypeAlias = npt.NDArray[np.float64]
Index: TypeAlias = npt.NDArray[np.integer]
DAY = 86400.0


class Temporal(Protocol):
    """A symmetric correlation between flux times, unit diagonal."""

    @property
    def dense(self) -> Floats:
        """T itself."""
        ...

    @property
    def markov(self) -> bool:
        """Whether T[i, k] = T[i, j] T[j, k] for i <= j <= k."""
        ...

    def between(self, first: Index, second: Index) -> Floats:
        """Return T[first, second], shape (len(first), len(second))."""
        ...

    def apply(self, fields: Floats) -> Floats:
        """Return T times the fields."""
        ...

    def root(self, noise: Floats) -> Floats:
        """Return T^1/2 times noise of the shape of the fields."""
        ...

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return (T^1/2)' times the fields."""
        ...

    def split(self, times: range) -> tuple[Floats, Floats]:
        """Return (outer, inner) with T[times] = outer @ inner, with few rows in inner."""
        ...


@dataclass(frozen=True)
class TimeCorrelation:
    """Exponential correlation exp(-|t - t'| / duration) between interval mid-points.

    midpoints : s, ascending, shape (flux_time,)
    duration : s; 0 = intervals independent of one another
    """

    midpoints: Floats
    duration: float

    @property
    def markov(self) -> bool:
        """True: the exponential is the correlation of an AR(1) process."""
        return True

    @cached_property
    def dense(self) -> Floats:
        """T, shape (flux_time, flux_time)."""
        every = np.arange(self.midpoints.size)
        return self.between(every, every)

    @cached_property
    def _step(self) -> Floats:
        """Correlation of each flux time with the one before it, 0 for the first."""
        if self.duration == 0:
            return np.zeros(self.midpoints.size)
        return np.append(0.0, np.exp(-np.diff(self.midpoints) / self.duration))

    def between(self, first: Index, second: Index) -> Floats:
        """Return T[first, second], shape (len(first), len(second))."""
        gap = np.abs(self.midpoints[first][:, None] - self.midpoints[second])
        if self.duration == 0:
            return (gap == 0).astype(np.float64)
        return np.exp(-gap / self.duration)

    def apply(self, fields: Floats) -> Floats:
        """Return T times the fields, in two passes over time."""
        out, behind = np.array(fields), np.zeros(fields.shape[1:])
        for t in range(1, len(out)):
            out[t] += self._step[t] * out[t - 1]
        for t in range(len(out) - 2, -1, -1):
            behind = self._step[t + 1] * (behind + fields[t + 1])
            out[t] += behind
        return out

    def root(self, noise: Floats) -> Floats:
        """Return T^1/2 times noise: an AR(1) process begun in its own variance."""
        out = np.array(noise)
        for t in range(1, len(out)):
            out[t] = self._step[t] * out[t - 1] + np.sqrt(1 - self._step[t] ** 2) * noise[t]
        return out

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return (T^1/2)' times the fields."""
        out = np.array(fields)
        for t in range(len(out) - 1, 0, -1):
            out[t - 1] += self._step[t] * out[t]
            out[t] *= np.sqrt(1 - self._step[t] ** 2)
        return out

    def split(self, times: range) -> tuple[Floats, Floats]:
        """Return (outer, inner) with T[times] = outer @ inner exactly, for consecutive `times`.

        Because the exponential is Markov, all that lies before (or after) `times` acts through one number:
        inner has shape (len(times) + at most 2, flux_time), outer (len(times), len(times) + at most 2).
        """
        n, inside = self.midpoints.size, np.arange(times.start, times.stop)
        outer, inner = [self.between(inside, inside)], [np.eye(n)[inside]]
        if self.duration > 0:
            sides = ((inside[0], np.arange(n) < inside[0]), (inside[-1], np.arange(n) > inside[-1]))
            for edge, beyond in sides:
                if beyond.any():
                    decay = np.exp(-np.abs(self.midpoints - self.midpoints[edge]) / self.duration)
                    outer.append(decay[inside, None])
                    inner.append(np.where(beyond, decay, 0.0)[None])
        return np.concatenate(outer, axis=1), np.concatenate(inner, axis=0)


@dataclass(frozen=True)
class DayHourCorrelation:
    """Product of an exponential by day and one by hour of day.

    T = exp(-|days| / duration) exp(-|hours| / hour_duration).

    |days| counts UTC days from one to the other, |hours| is the shorter way round the clock: the errors of
    the same hour on consecutive days may be close while those of noon and midnight are not (Gourdji et al.
    2010). The exponential of the arc is a correlation on the circle (Gneiting 2013, table 1), and so is the
    product of two correlations (Schur).

    midpoints : s after a midnight UTC, ascending, shape (flux_time,)
    duration, hour_duration : s; 0 = days or hours independent of one another
    """

    midpoints: Floats
    duration: float
    hour_duration: float

    @property
    def markov(self) -> bool:
        """False: noon is closer to the noon before than to the midnight between."""
        return False

    @cached_property
    def dense(self) -> Floats:
        """T, shape (flux_time, flux_time)."""
        every = np.arange(self.midpoints.size)
        return self.between(every, every)

    @cached_property
    def _lower(self) -> Floats:
        return cholesky(self.dense, lower=True)

    def between(self, first: Index, second: Index) -> Floats:
        """Return T[first, second], shape (len(first), len(second))."""
        day, clock = np.divmod(self.midpoints, DAY)
        days = DAY * np.abs(day[first][:, None] - day[second])
        hours = np.abs(clock[first][:, None] - clock[second])
        return _decay(days, self.duration) * _decay(np.minimum(hours, DAY - hours), self.hour_duration)

    def apply(self, fields: Floats) -> Floats:
        """Return T times the fields."""
        return (self.dense @ fields.reshape(len(fields), -1)).reshape(fields.shape)

    def root(self, noise: Floats) -> Floats:
        """Return T^1/2 times noise."""
        return (self._lower @ noise.reshape(len(noise), -1)).reshape(noise.shape)

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return (T^1/2)' times the fields."""
        return (self._lower.T @ fields.reshape(len(fields), -1)).reshape(fields.shape)

    def split(self, times: range) -> tuple[Floats, Floats]:
        """Return (outer, inner) with T[times] = outer @ inner: no shorter way than the rows themselves."""
        inside = np.arange(times.start, times.stop)
        return np.eye(len(times)), self.between(inside, np.arange(self.midpoints.size))


def _decay(gap: Floats, duration: float) -> Floats:
    return np.exp(-gap / duration) if duration > 0 else (gap == 0).astype(np.float64)
