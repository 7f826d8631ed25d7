"""Posterior variances cut into independent blocks of the state.

Block sizes depend on the problem alone and each block runs on one BLAS thread, so the bits do not depend on
how many workers there are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inversion.covariance import Covariance
from inversion.factor import Factor
from inversion.rows import SlicedRows
from inversion.threads import one_thread

Floats = npt.NDArray[np.float64]
_VARIANCE_BYTES = 48 * 2**20
_FIELD_BYTES = 16 * 2**20
_LEAST_ITEMS = 8  # so that a few workers all have something to do


@dataclass(frozen=True)
class StateInputs:
    """What every block of posterior variances needs: sent to each worker once."""

    rows: SlicedRows
    covariances: tuple[Covariance, ...]
    factor: Factor


@dataclass(frozen=True)
class StateBlock:
    """A block of the state: some sectors at some consecutive flux times."""

    sectors: range
    times: range


def state_items(rows: SlicedRows, sectors: int) -> list[StateBlock]:
    """Return the blocks of the state in which posterior variances are made."""
    n, n_time, cells = rows.shape
    step = max(1, _VARIANCE_BYTES // (8 * n * cells))
    times = [range(t, min(t + step, n_time)) for t in range(0, n_time, step)]
    width = max(1, sectors * len(times) // _LEAST_ITEMS)
    groups = [range(s, min(s + width, sectors)) for s in range(0, sectors, width)]
    return [StateBlock(group, chunk) for group in groups for chunk in times]


def state_bytes(rows: SlicedRows) -> int:
    """Return the memory one block takes at most, bytes."""
    n, _, cells = rows.shape
    seen = int(np.diff(rows.first).max(initial=0))
    fields = 3 * max(_FIELD_BYTES, 8 * seen * cells)
    chunk = len(state_items(rows, 1)[0].times)
    return 8 * n * cells * (2 * chunk + 1) + fields


def state_block(common: StateInputs, block: StateBlock) -> tuple[Floats, Floats]:
    """Return diag(B H' C^-1 H B) and diag(B H' C^-1 H) of a block, each of shape (sector, flux_time, cell).

    The first is what the data take from the prior variance, the second the averaging kernel's diagonal.
    """
    rows, factor = common.rows, common.factor
    n, _, cells = rows.shape
    shape = (len(block.sectors), len(block.times), cells)
    taken, kernel = np.empty(shape), np.empty(shape)
    with one_thread():
        white = [factor.whiten_in_place(rows.every(t)) for t in block.times]
        for j, s in enumerate(block.sectors):
            response = np.zeros((len(block.times), n, cells))
            add_response(rows, common.covariances[s], range(n), block.times, response)
            for k in range(len(block.times)):
                whitened = factor.whiten_in_place(response[k])
                taken[j, k] = np.einsum("ij,ij->j", whitened, whitened)
                kernel[j, k] = np.einsum("ij,ij->j", whitened, white[k])
    return taken, kernel


def add_response(rows: SlicedRows, covariance: Covariance, data: range, times: range, out: Floats) -> None:
    """Add B H' of one sector for some data, at consecutive flux times, to out (flux_time, datum, cell)."""
    widest = max(1, int(np.diff(rows.first).max(initial=0)))
    step = max(1, _FIELD_BYTES // (8 * rows.shape[2] * widest))
    for i in range(data.start, data.stop, step):
        some = range(i, min(i + step, data.stop))
        _add_few(rows, covariance, some, times, out[:, i - data.start : some.stop - data.start])


def _add_few(rows: SlicedRows, covariance: Covariance, data: range, times: range, out: Floats) -> None:
    outer, inner = covariance.time.split(times)
    mixing, fields, count = [], [], [0]
    for i in data:
        after, before = _mixing(covariance, rows.time[rows.first[i] : rows.first[i + 1]], times, outer, inner)
        slices = range(rows.first[i], rows.first[i + 1])
        fields.append(before @ (covariance.sd[rows.time[slices.start : slices.stop]] * rows.dense(slices)))
        mixing.append(after)
        count.append(count[-1] + len(before))
    smooth = covariance.space.apply(np.concatenate(fields))
    for k, after in enumerate(mixing):
        out[:, k] += covariance.sd[times.start : times.stop] * (after @ smooth[count[k] : count[k + 1]])


def _mixing(
    covariance: Covariance, seen: npt.NDArray[np.int64], times: range, outer: Floats, inner: Floats
) -> tuple[Floats, Floats]:
    """Return factors (after, before) of T[times, seen] with as few fields in between as can be."""
    kept = np.flatnonzero(inner[:, seen].any(axis=1))
    if kept.size > len(times):
        return np.eye(len(times)), covariance.time.between(np.arange(times.start, times.stop), seen)
    return outer[:, kept], inner[np.ix_(kept, seen)]
