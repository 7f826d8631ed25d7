"""Prior covariance of one sector, B = D (T kron S) D, applied without forming it.

T and S are correlations in time and space, D the prior sd. A flux vector is laid out (flux_time, cell),
cells flattened in C order.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import fft

Floats = npt.NDArray[np.float64]
Form = Literal["exponential", "gaussian"]
_BATCH = 16  # fields per FFT call: their spectra stay in the cache


@dataclass(frozen=True)
class TimeCorrelation:
    """Exponential correlation exp(-|t - t'| / duration) between interval mid-points.

    midpoints : s, ascending, shape (flux_time,)
    duration : s; 0 = intervals independent of one another
    """

    midpoints: Floats
    duration: float

    @cached_property
    def dense(self) -> Floats:
        """T, shape (flux_time, flux_time)."""
        if self.duration == 0:
            return np.eye(self.midpoints.size)
        return np.exp(-np.abs(self.midpoints[:, None] - self.midpoints) / self.duration)

    def split(self, times: range) -> tuple[Floats, Floats]:
        """Return (outer, inner) with T[times] = outer @ inner exactly, for consecutive `times`.

        Because the exponential is Markov, all that lies before (or after) `times` acts through one number:
        inner has shape (len(times) + at most 2, flux_time), outer (len(times), len(times) + at most 2).
        """
        n, inside = self.midpoints.size, np.arange(times.start, times.stop)
        outer, inner = [self.dense[np.ix_(inside, inside)]], [np.eye(n)[inside]]
        if self.duration > 0:
            sides = ((inside[0], np.arange(n) < inside[0]), (inside[-1], np.arange(n) > inside[-1]))
            for edge, beyond in sides:
                if beyond.any():
                    decay = np.exp(-np.abs(self.midpoints - self.midpoints[edge]) / self.duration)
                    outer.append(decay[inside, None])
                    inner.append(np.where(beyond, decay, 0.0)[None])
        return np.concatenate(outer, axis=1), np.concatenate(inner, axis=0)


class SpaceCorrelation(Protocol):
    """A symmetric correlation between cells, unit diagonal."""

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        ...

    def dense(self) -> Floats:
        """Return S itself, shape (cell, cell)."""
        ...


@dataclass(frozen=True)
class Independent:
    """S = I: no correlation between cells."""

    cells: int

    def apply(self, fields: Floats) -> Floats:
        """Return the fields themselves."""
        return fields

    def dense(self) -> Floats:
        """Return the identity, shape (cell, cell)."""
        return np.eye(self.cells)


@dataclass(frozen=True)
class GivenCorrelation:
    """S given as a matrix, shape (cell, cell): for a few regions."""

    matrix: Floats

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        return fields @ self.matrix

    def dense(self) -> Floats:
        """Return S."""
        return self.matrix


@dataclass(frozen=True)
class GridCorrelation:
    """Correlation by distance on a regular grid: exp(-d / length), gaussian exp(-(d / length)^2 / 2).

    S is block-Toeplitz with Toeplitz blocks, so embedded in a circulant matrix of at least twice the size per
    axis its product is exact and the grid not periodic (Dietrich and Newsam 1997, section 2).

    shape : (ny, nx)
    spacing : (dy, dx), m
    length : m, > 0
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    length: float
    form: Form = "exponential"

    @cached_property
    def _padded(self) -> tuple[int, int]:
        ny, nx = self.shape
        return fft.next_fast_len(2 * ny - 1), fft.next_fast_len(2 * nx - 1, real=True)

    @cached_property
    def _spectrum(self) -> Floats:
        lags = [np.minimum(np.arange(n), n - np.arange(n)) for n in self._padded]
        kernel = self._correlate(lags[0][:, None] * self.spacing[0], lags[1] * self.spacing[1])
        return fft.rfft2(kernel).real  # the kernel is even, so its spectrum is real

    def _correlate(self, dy: npt.NDArray[np.floating], dx: npt.NDArray[np.floating]) -> Floats:
        ratio = np.hypot(dy, dx) / self.length
        return np.exp(-ratio) if self.form == "exponential" else np.exp(-0.5 * ratio**2)

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        out = np.empty_like(fields)
        for start in range(0, len(fields), _BATCH):
            out[start : start + _BATCH] = self._apply_batch(fields[start : start + _BATCH])
        return out

    def _apply_batch(self, fields: Floats) -> Floats:
        (ny, nx), (py, px) = self.shape, self._padded
        wave = fft.fft(fft.rfft(fields.reshape(-1, ny, nx), n=px, axis=2), n=py, axis=1, overwrite_x=True)
        wave *= self._spectrum
        wave = fft.ifft(wave, axis=1, overwrite_x=True)[:, :ny]
        return fft.irfft(wave, n=px, axis=2)[:, :, :nx].reshape(len(fields), -1)

    def dense(self) -> Floats:
        """Return S itself from the distances, shape (cell, cell)."""
        y, x = np.divmod(np.arange(self.shape[0] * self.shape[1]), self.shape[1])
        dy, dx = self.spacing[0] * (y[:, None] - y), self.spacing[1] * (x[:, None] - x)
        return self._correlate(dy, dx)


@dataclass(frozen=True)
class Covariance:
    """B = D (T kron S) D of one sector.

    sd : prior standard uncertainty, mol m-2 s-1, shape (flux_time, cell)
    """

    sd: Floats
    time: TimeCorrelation
    space: SpaceCorrelation

    def __matmul__(self, x: Floats) -> Floats:
        """Return B x; x has shape (flux_time, cell) or its flattened form, and so has the result."""
        smooth = self.space.apply(self.sd * x.reshape(self.sd.shape))
        return (self.sd * (self.time.dense @ smooth)).reshape(x.shape)

    def dense(self) -> Floats:
        """Return B itself, shape (flux_time cell, flux_time cell): for tests."""
        sd = self.sd.ravel()
        return sd[:, None] * np.kron(self.time.dense, self.space.dense()) * sd
