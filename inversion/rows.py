"""The Jacobian cut by flux time: each datum sees only the few intervals before it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlicedRows:
    """H as slices of one datum and one flux time, those without a non-zero left out; datum by datum, in time.

    shape : (obs, flux_time, cell)
    row, time : datum and flux time of each slice, shape (slice,)
    start : where each slice begins among the non-zeros, shape (slice + 1,)
    first : where each datum begins among the slices, shape (obs + 1,)
    cell, value : of each non-zero; value in m2 s mol-1
    """

    shape: tuple[int, int, int]
    row: Ints
    time: Ints
    start: Ints
    first: Ints
    cell: Ints
    value: Floats

    @classmethod
    def from_csr(cls, H: csr_array, n_time: int) -> "SlicedRows":
        """Return the slices of H, shape (obs, flux_time cell) with cells running fastest."""
        tidy = H.copy()
        tidy.sum_duplicates()
        tidy.eliminate_zeros()
        n, cells = H.shape[0], H.shape[1] // n_time
        row = np.repeat(np.arange(n), np.diff(tidy.indptr))
        time, cell = np.divmod(tidy.indices.astype(np.int64), cells)
        start = np.flatnonzero(np.diff(row * n_time + time, prepend=-1))
        first = np.searchsorted(row[start], np.arange(n + 1))
        return cls(
            (n, n_time, cells), row[start], time[start], np.append(start, row.size), first, cell, tidy.data
        )

    def dense(self, slices: Iterable[int]) -> Floats:
        """Return the slices filled with zeros, shape (slice, cell)."""
        which = list(slices)
        out = np.zeros((len(which), self.shape[2]))
        for k, s in enumerate(which):
            part = slice(self.start[s], self.start[s + 1])
            out[k, self.cell[part]] = self.value[part]
        return out

    def at(self, time: int, from_row: int = 0) -> tuple[Ints, Floats]:
        """Return the data from `from_row` on that see one flux time, and their slices (datum, cell)."""
        begin = int(self.first[from_row])
        which = begin + np.flatnonzero(self.time[begin:] == time)
        return self.row[which], self.dense(which)
