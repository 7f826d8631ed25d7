"""The Jacobian cut by flux time: each datum sees only the few intervals before it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.sparse import csr_array

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlicedRows:
    """H as slices of one datum and one flux time, those not seen left out; datum by datum, in time.

    shape : (obs, flux_time, cell)
    row, time : datum and flux time of each slice, shape (slice,)
    start : where each slice begins among the non-zeros, shape (slice + 1,)
    first : where each datum begins among the slices, shape (obs + 1,)
    column, value : of each non-zero, shared with H; value in m2 s mol-1
    """

    shape: tuple[int, int, int]
    row: Ints
    time: Ints
    start: Ints
    first: Ints
    column: npt.NDArray[np.integer]
    value: Floats

    @classmethod
    def from_csr(cls, H: csr_array, n_time: int) -> "SlicedRows":
        """Return the slices of H, shape (obs, flux_time cell) with cells running fastest."""
        if not H.has_canonical_format:  # sorted and without duplicates
            H = H.copy()
            H.sum_duplicates()
        n, cells = H.shape[0], H.shape[1] // n_time
        edges = np.arange(n_time + 1) * cells
        # Where each flux time begins in each row, one row at a time to need no memory the size of H.
        rows = zip(H.indptr[:-1], H.indptr[1:], strict=True)
        begin = np.stack([a + np.searchsorted(H.indices[a:b], edges) for a, b in rows])
        row, time = np.nonzero(np.diff(begin, axis=1))
        start = np.append(begin[row, time], H.indptr[-1])
        return cls(
            (n, n_time, cells), row, time, start, np.searchsorted(row, np.arange(n + 1)), H.indices, H.data
        )

    def dense(self, slices: Iterable[int], out: Floats | None = None) -> Floats:
        """Return the slices filled with zeros, shape (slice, cell); out: memory for them."""
        which = np.fromiter(slices, np.int64)
        if out is None:
            filled = np.zeros((which.size, self.shape[2]))
        else:
            filled = out[: which.size]
            filled[:] = 0.0
        _fill(which, np.arange(which.size), self.start, self.time, self.column, self.value, filled)
        return filled

    def summed(self, slices: Ints, into: Ints, weight: Floats, scale: Floats, count: int) -> Floats:
        """Return sums of weighted slices times scale (flux_time, cell), shape (count, cell).

        into : which of the sums each slice belongs to, shape (slice,)
        """
        out = np.zeros((count, self.shape[2]))
        _add(slices, into, weight, scale, self.start, self.time, self.column, self.value, out)
        return out

    def every(self, time: int) -> Floats:
        """Return H of one flux time, shape (obs, cell)."""
        which = np.flatnonzero(self.time == time)
        out = np.zeros((self.shape[0], self.shape[2]))
        _fill(which, self.row[which], self.start, self.time, self.column, self.value, out)
        return out


@njit(cache=True, nogil=True)
def _fill(slices, into, start, time, column, value, out):  # type: ignore[no-untyped-def]
    """Write each slice to row into[k] of out, shape (any, cell), zero before."""
    cells = out.shape[1]
    for k in range(slices.size):
        s = slices[k]
        for p in range(start[s], start[s + 1]):
            out[into[k], column[p] - time[s] * cells] = value[p]


@njit(cache=True, nogil=True)
def _add(slices, into, weight, scale, start, time, column, value, out):  # type: ignore[no-untyped-def]
    """Add weight[k] times slice slices[k] times scale[time] to out[into[k]], shape (any, cell)."""
    cells = out.shape[1]
    for k in range(slices.size):
        s = slices[k]
        t, row, w = time[s], into[k], weight[k]
        for p in range(start[s], start[s + 1]):
            cell = column[p] - t * cells
            out[row, cell] += w * value[p] * scale[t, cell]
