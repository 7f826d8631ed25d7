"""Correlation in space of one sector's prior errors: S, shape (cell, cell), applied not formed.

Fields have shape (field, cell), cells flattened in C order. A square root is any Q with Q Q' = S; it acts on
noise of shape (field, root_size), which may be longer than the cells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from metroflux.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
MOST_DENSE = 5000
"""Cells up to which S may be formed for its square root: eigenvectors take 0.2 GB and a minute there."""


class SpaceCorrelation(Protocol):
    """A symmetric correlation between cells, unit diagonal."""

    @property
    def root_size(self) -> int:
        """Length of the noise that `root` takes."""
        ...

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        ...

    def dense(self) -> Floats:
        """Return S itself, shape (cell, cell)."""
        ...

    def root(self, noise: Floats) -> Floats:
        """Return Q times each row of noise, shape (field, root_size) to (field, cell)."""
        ...

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return Q' times each field, shape (field, cell) to (field, root_size)."""
        ...


@dataclass(frozen=True)
class Independent:
    """S = I: no correlation between cells."""

    cells: int

    @property
    def root_size(self) -> int:
        """Return the number of cells."""
        return self.cells

    def apply(self, fields: Floats) -> Floats:
        """Return the fields themselves."""
        return fields

    def dense(self) -> Floats:
        """Return the identity, shape (cell, cell)."""
        return np.eye(self.cells)

    def root(self, noise: Floats) -> Floats:
        """Return the noise itself."""
        return noise

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return the fields themselves."""
        return fields


@dataclass(frozen=True)
class GivenCorrelation:
    """S given as a matrix, shape (cell, cell): for a few regions."""

    matrix: Floats

    @cached_property
    def _root(self) -> Floats:
        return symmetric_root(self.matrix)

    @property
    def root_size(self) -> int:
        """Return the number of cells."""
        return len(self.matrix)

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        return fields @ self.matrix

    def dense(self) -> Floats:
        """Return S."""
        return self.matrix

    def root(self, noise: Floats) -> Floats:
        """Return S^1/2 times each row of noise."""
        return noise @ self._root

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return S^1/2 times each field."""
        return fields @ self._root


@dataclass(frozen=True)
class Masked:
    """S inside each class of cells and none between classes, for example land and water.

    space : correlation regardless of class
    label : class of each cell, shape (cell,); cells of class 0 are correlated with none
    """

    space: SpaceCorrelation
    label: npt.NDArray[np.int64]

    @cached_property
    def _members(self) -> list[npt.NDArray[np.bool_]]:
        return [self.label == k for k in np.unique(self.label) if k != 0]

    @property
    def root_size(self) -> int:
        """Return the noise of each class in turn, then that of the cells of class 0."""
        return len(self._members) * self.space.root_size + self.label.size

    def apply(self, fields: Floats) -> Floats:
        """Return S times each field, shape (field, cell) in and out."""
        out = np.where(self.label == 0, fields, 0.0)
        for inside in self._members:
            out += inside * self.space.apply(inside * fields)
        return out

    def dense(self) -> Floats:
        """Return S itself, shape (cell, cell)."""
        same = (self.label[:, None] == self.label) & (self.label != 0)
        return np.where(same, self.space.dense(), np.diag((self.label == 0).astype(np.float64)))

    def root(self, noise: Floats) -> Floats:
        """Return Q times each row of noise, shape (field, root_size) to (field, cell)."""
        each = self.space.root_size
        out = np.where(self.label == 0, noise[:, -self.label.size :], 0.0)
        for k, inside in enumerate(self._members):
            out += inside * self.space.root(noise[:, k * each : (k + 1) * each])
        return out

    def root_adjoint(self, fields: Floats) -> Floats:
        """Return Q' times each field, shape (field, cell) to (field, root_size)."""
        parts = [self.space.root_adjoint(inside * fields) for inside in self._members]
        return np.concatenate([*parts, np.where(self.label == 0, fields, 0.0)], axis=1)


def symmetric_root(matrix: Floats) -> Floats:
    """Return the symmetric square root of a correlation matrix.

    Raises
    ------
    DataError
        If an eigenvalue is negative by more than rounding.
    """
    values, vectors = eigh(matrix)
    if values[0] < -1e-10 * len(matrix):  # rounding of eigh, LAPACK Users' Guide 4.7
        raise DataError(
            f"correlation of {len(matrix)} places has the eigenvalue {values[0]:g}, expected none < 0"
        )
    # What is left below zero is rounding of an eigenvalue that is zero: a smooth S is nearly singular.
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def in_batches(function: Callable[[Floats], Floats], fields: Floats, width: int, batch: int) -> Floats:
    """Return the function of a few fields at a time, so that what it needs stays in the cache."""
    out = np.empty((len(fields), width))
    for start in range(0, len(fields), batch):
        out[start : start + batch] = function(fields[start : start + batch])
    return out
