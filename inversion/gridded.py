"""Correlation by distance on a regular grid, not periodic: by circulant embedding or by factors per axis."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

from inversion.spatial import MOST_DENSE, in_batches, symmetric_root
from metroflux.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
Form = Literal["exponential", "gaussian", "matern32", "matern52"]
FORMS: tuple[Form, ...] = ("exponential", "gaussian", "matern32", "matern52")
_BATCH = 8  # fields per FFT call: their spectra stay in the cache
_WIDEST = 8  # times the least padding, where a spectrum without negative values is sought


def correlation(form: Form, ratio: Floats) -> Floats:
    """Return the correlation at a distance of `ratio` lengths; Matern by Rasmussen and Williams 2006, 4.17.

    >>> [round(float(correlation(form, np.array(1.0))), 4) for form in FORMS]
    [0.3679, 0.6065, 0.4834, 0.524]
    """
    if form == "exponential":
        return np.exp(-ratio)
    if form == "gaussian":
        return np.exp(-0.5 * ratio**2)
    if form == "matern32":
        scaled = np.sqrt(3.0) * ratio
        return (1 + scaled) * np.exp(-scaled)
    scaled = np.sqrt(5.0) * ratio
    return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)


@dataclass(frozen=True)
class GridCorrelation:
    """Correlation by distance on a regular grid.

    S is block-Toeplitz with Toeplitz blocks, so embedded in a circulant matrix of at least twice the size per
    axis its product is exact and the grid not periodic (Dietrich and Newsam 1997, section 2). Where the
    correlation is a product of one per axis, two small matrix products are faster and as exact.

    shape : (ny, nx)
    spacing : (dy, dx), m
    length : m, > 0, along x
    length_y : m, > 0, along y; None = as along x
    per_axis : correlate by the product of both axes in place of the distance (the Gaussian is the same)
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    length: float
    form: Form = "exponential"
    length_y: float | None = None
    per_axis: bool = False

    @property
    def root_size(self) -> int:
        """Length of the noise that `root` takes."""
        return int(np.prod(self.shape if self._matrix_root is not None else self._embedding[0]))

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        if self._separable:
            return self._factored(fields, *self._factors)
        return in_batches(self._convolve, fields, fields.shape[1], _BATCH)

    def dense(self) -> Floats:
        """Return S itself from the distances, shape (cell, cell)."""
        y, x = np.divmod(np.arange(self.shape[0] * self.shape[1]), self.shape[1])
        return self._correlate(np.abs(y[:, None] - y), np.abs(x[:, None] - x))

    def root(self, noise: Floats) -> Floats:
        """Return Q times each row of noise, shape (field, root_size) to (field, cell).

        Raises
        ------
        DataError
            If the grid is too large for eigenvectors and no padding gives a spectrum without negatives.
        """
        if self._matrix_root is not None:
            return self._factored(noise, *self._matrix_root)
        return in_batches(self._cut, noise, int(np.prod(self.shape)), _BATCH)

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return Q' times each field, shape (field, cell) to (field, root_size)."""
        if self._matrix_root is not None:
            return self._factored(fields, *self._matrix_root)
        return in_batches(self._spread, fields, self.root_size, _BATCH)

    @property
    def _separable(self) -> bool:
        return self.per_axis or self.form == "gaussian"

    def _correlate(self, iy: npt.NDArray[np.int64], ix: npt.NDArray[np.int64]) -> Floats:
        """Return the correlation of cells so many rows and columns apart."""
        dy = iy.astype(np.float64) * (
            self.spacing[0] / (self.length if self.length_y is None else self.length_y)
        )
        dx = ix.astype(np.float64) * (self.spacing[1] / self.length)
        if self.per_axis:
            return correlation(self.form, dy) * correlation(self.form, dx)
        return correlation(self.form, np.sqrt(dy**2 + dx**2))

    @cached_property
    def _factors(self) -> tuple[Floats, Floats]:
        """S_y and S_x with S = S_y kron S_x."""
        y, x = (np.abs(np.arange(n)[:, None] - np.arange(n)) for n in self.shape)
        return self._correlate(y, np.zeros_like(y)), self._correlate(np.zeros_like(x), x)

    def _factored(self, fields: Floats, left: Floats, right: Floats) -> Floats:
        """Return (left kron right) times each field, both symmetric."""
        if len(right) == fields.shape[1]:
            return fields @ right
        return np.matmul(left, fields.reshape(-1, *self.shape) @ right).reshape(fields.shape)

    def _circulant(self, padded: tuple[int, int]) -> Floats:
        """Return the eigenvalues of the circulant matrix of this size, the half that rfft2 keeps."""
        lags = [np.minimum(np.arange(n), n - np.arange(n)) for n in padded]
        return fft.rfft2(self._correlate(lags[0][:, None], lags[1])).real  # even, so its spectrum is real

    def _padded(self, factor: int) -> tuple[int, int]:
        y, x = (max(1, factor * (2 * n - 2) + (factor == 1)) for n in self.shape)
        return fft.next_fast_len(y), fft.next_fast_len(x, real=True)

    @cached_property
    def _spectrum(self) -> Floats:
        return self._circulant(self._padded(1))

    def _convolve(self, fields: Floats) -> Floats:
        (ny, nx), (py, px) = self.shape, self._padded(1)
        wave = fft.fft(fft.rfft(fields.reshape(-1, ny, nx), n=px, axis=2), n=py, axis=1, overwrite_x=True)
        wave *= self._spectrum
        wave = fft.ifft(wave, axis=1, overwrite_x=True)[:, :ny]
        return fft.irfft(wave, n=px, axis=2)[:, :, :nx].reshape(len(fields), -1)

    @cached_property
    def _matrix_root(self) -> tuple[Floats, Floats] | None:
        """Square roots of both factors, or of S itself where the grid is small; None = by circulant."""
        if self._separable:
            return symmetric_root(self._factors[0]), symmetric_root(self._factors[1])
        cells = int(np.prod(self.shape))
        if cells <= MOST_DENSE // 4 or (cells <= MOST_DENSE and self._wide is None):
            return np.eye(1), symmetric_root(self.dense())
        return None

    @cached_property
    def _wide(self) -> tuple[tuple[int, int], Floats] | None:
        """Least padded grid whose circulant has no negative eigenvalue, and their roots; None if too wide.

        Dietrich and Newsam 1997, section 3.
        """
        factor = 1
        while factor <= _WIDEST:
            padded = self._padded(factor)
            spectrum = self._circulant(padded)
            if spectrum.min() >= -1e-14 * spectrum.max():  # rounding of the transform
                return padded, np.sqrt(np.maximum(spectrum, 0.0))
            factor *= 2
        return None

    @property
    def _embedding(self) -> tuple[tuple[int, int], Floats]:
        if self._wide is None:
            raise DataError(
                f"{self.form} correlation of length {self.length:g} m on {self.shape} cells: its square root "
                f"needs more than {_WIDEST} times the grid; expected a shorter length, or per_axis"
            )
        return self._wide

    def _colour(self, padded: Floats) -> Floats:
        wave = fft.rfft2(padded)
        wave *= self._embedding[1]
        return fft.irfft2(wave, s=self._embedding[0])

    def _cut(self, noise: Floats) -> Floats:
        (ny, nx), size = self.shape, self._embedding[0]
        return self._colour(noise.reshape(-1, *size))[:, :ny, :nx].reshape(len(noise), -1)

    def _spread(self, fields: Floats) -> Floats:
        (ny, nx), size = self.shape, self._embedding[0]
        padded = np.zeros((len(fields), *size))
        padded[:, :ny, :nx] = fields.reshape(-1, ny, nx)
        return self._colour(padded).reshape(len(fields), -1)
