"""Derivatives of the prior covariance with respect to the logarithm of a length or a duration."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from scipy import fft

from inversion.covariance import (
    Covariance,
    DayHourCorrelation,
    Form,
    GridCorrelation,
    Masked,
    SpaceCorrelation,
    Temporal,
    TimeCorrelation,
)
from inversion.gridded import correlation
from inversion.temporal import DAY, Index
from metroflux.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
What = Literal["length", "duration"]


def correlation_slope(form: Form, ratio: Floats) -> Floats:
    """Return -q dc/dq of the correlation c at a distance of q = `ratio` lengths, which is dc/dlog length."""
    if form == "exponential":
        return ratio * np.exp(-ratio)
    if form == "gaussian":
        return ratio**2 * np.exp(-0.5 * ratio**2)
    if form == "matern32":
        return 3 * ratio**2 * np.exp(-np.sqrt(3.0) * ratio)
    scaled = np.sqrt(5.0) * ratio
    return scaled**2 * (1 + scaled) * np.exp(-scaled) / 3


@dataclass(frozen=True)
class TimeSlope:
    """dT/dlog duration: T times the lag over the duration; by day and hour: the lag in days."""

    time: TimeCorrelation | DayHourCorrelation

    @property
    def markov(self) -> bool:
        """False, though T itself may be."""
        return False

    @cached_property
    def dense(self) -> Floats:
        """The matrix itself, shape (flux_time, flux_time)."""
        every = np.arange(self.time.midpoints.size)
        return self.between(every, every)

    def between(self, first: Index, second: Index) -> Floats:
        """Return the matrix between some flux times, shape (len(first), len(second))."""
        at = self.time.midpoints
        if isinstance(self.time, DayHourCorrelation):
            at = DAY * np.floor(at / DAY)
        lag = np.abs(at[first][:, None] - at[second])
        return lag / self.time.duration * self.time.between(first, second)

    def apply(self, fields: Floats) -> Floats:
        """Return the matrix times the fields."""
        return (self.dense @ fields.reshape(len(fields), -1)).reshape(fields.shape)

    def split(self, times: range) -> tuple[Floats, Floats]:
        """Return (outer, inner) whose product is the rows `times`."""
        inside = np.arange(times.start, times.stop)
        return np.eye(len(times)), self.between(inside, np.arange(self.time.midpoints.size))


@dataclass(frozen=True)
class GridSlope:
    """dS/dlog length of a correlation by distance, both axes stretched alike; zero on the diagonal."""

    space: GridCorrelation

    def _slope(self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Floats:
        form, length_y = self.space.form, self.space.length_y
        dy = rows.astype(np.float64) * (
            self.space.spacing[0] / (self.space.length if length_y is None else length_y)
        )
        dx = columns.astype(np.float64) * (self.space.spacing[1] / self.space.length)
        if not self.space.per_axis:
            return correlation_slope(form, np.sqrt(dy**2 + dx**2))
        along_y = correlation_slope(form, dy) * correlation(form, dx)
        return along_y + correlation(form, dy) * correlation_slope(form, dx)

    @cached_property
    def _spectrum(self) -> Floats:
        lags = [np.minimum(np.arange(n), n - np.arange(n)) for n in self._padded]
        return fft.rfft2(self._slope(lags[0][:, None], lags[1])).real

    @cached_property
    def _padded(self) -> tuple[int, int]:
        ny, nx = self.space.shape
        return fft.next_fast_len(2 * ny - 1), fft.next_fast_len(2 * nx - 1, real=True)

    def apply(self, fields: Floats) -> Floats:
        """Return the matrix times each field, shape (field, cell) in and out."""
        ny, nx = self.space.shape
        wave = fft.rfft2(fields.reshape(-1, ny, nx), s=self._padded) * self._spectrum
        return fft.irfft2(wave, s=self._padded)[:, :ny, :nx].reshape(len(fields), -1)

    def dense(self) -> Floats:
        """Return the matrix itself from the distances, shape (cell, cell)."""
        ny, nx = self.space.shape
        y, x = np.divmod(np.arange(ny * nx), nx)
        return self._slope(np.abs(y[:, None] - y), np.abs(x[:, None] - x))


@dataclass(frozen=True)
class MaskedSlope:
    """dS/dlog length inside each class of cells; none between classes and none in class 0."""

    inner: GridSlope
    label: npt.NDArray[np.int64]

    def apply(self, fields: Floats) -> Floats:
        """Return the matrix times each field, shape (field, cell) in and out."""
        out = np.zeros_like(fields)
        for inside in (self.label == k for k in np.unique(self.label) if k != 0):
            out += inside * self.inner.apply(inside * fields)
        return out

    def dense(self) -> Floats:
        """Return the matrix itself, shape (cell, cell)."""
        same = (self.label[:, None] == self.label) & (self.label != 0)
        return np.where(same, self.inner.dense(), 0.0)


def slope(covariance: Covariance, what: What) -> Covariance:
    """Return dB/dlog of the length or duration of one sector; it has products but no square root.

    Raises
    ------
    DataError
        If the sector's correlation has no such number.
    """
    time, space = covariance.time, covariance.space
    if what == "duration" and isinstance(time, TimeCorrelation | DayHourCorrelation):
        return replace(covariance, time=cast(Temporal, TimeSlope(time)))
    if what == "length" and isinstance(space, GridCorrelation):
        return replace(covariance, space=cast(SpaceCorrelation, GridSlope(space)))
    if what == "length" and isinstance(space, Masked) and isinstance(space.space, GridCorrelation):
        masked = MaskedSlope(GridSlope(space.space), space.label)
        return replace(covariance, space=cast(SpaceCorrelation, masked))
    found = type(time if what == "duration" else space).__name__
    raise DataError(f"inversion: the {what} of a {found} cannot be estimated")
