"""K = HBH' without B: columns of its lower triangle, for data in order of the first flux time they see.

With a Markov correlation in time, such as the exponential, r_j = B H_j' outside the window of datum j is its
value at the window's edge times the correlation in time. So all that a later datum sees after the window
acts through one sum of its slices (a block of data and all later ones: one matrix product), and only
windows that overlap go flux time by flux time. With any other correlation r_j is made at all flux times.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inversion.covariance import Covariance
from inversion.rows import SlicedRows
from inversion.threads import one_thread
from metroflux.parallel import Mapper

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_WIDEST = 512  # data per block of columns
_LEAST_ITEMS = 8  # so that a few workers all have something to do
_FEW = 256  # data smoothed together
_FIELD_BYTES = 192 * 2**20
_CHUNK_BYTES = 40 * 2**20


@dataclass(frozen=True)
class GramInputs:
    """What every block of K needs: sent to each worker once.

    order : the data by first flux time seen, those that see none last, shape (obs,)
    begin, end : first and last flux time that each sees, in that order, shape (seeing,)
    slices : by flux time, then in that order of the data, shape (slice,)
    place : where the datum of each of `slices` is in the order, same shape
    edge : where each flux time begins among `slices`, shape (flux_time + 1,)
    """

    rows: SlicedRows
    covariances: tuple[Covariance, ...]
    order: Ints
    begin: Ints
    end: Ints
    slices: Ints
    place: Ints
    edge: Ints

    @classmethod
    def of(cls, rows: SlicedRows, covariances: tuple[Covariance, ...]) -> "GramInputs":
        """Index the slices."""
        n, n_time, _ = rows.shape
        blind = rows.first[:-1] == rows.first[1:]
        begin, end = np.full(n, n_time), np.full(n, n_time)
        begin[~blind] = rows.time[rows.first[:-1][~blind]]
        end[~blind] = rows.time[rows.first[1:][~blind] - 1]
        order = np.lexsort((end, begin))
        place = np.empty(n, dtype=np.int64)
        place[order] = np.arange(n)
        slices = np.lexsort((place[rows.row], rows.time))
        edge = np.searchsorted(rows.time[slices], np.arange(n_time + 1))
        seeing = order[: n - int(blind.sum())]
        return cls(
            rows, covariances, order, begin[seeing], end[seeing], slices, place[rows.row[slices]], edge
        )

    def own(self, place: int) -> range:
        """Return the slices of the datum at this place of the order."""
        datum = self.order[place]
        return range(int(self.rows.first[datum]), int(self.rows.first[datum + 1]))

    def seen(self, time: int, some: range) -> tuple[Ints, Ints]:
        """Return places and slices of the data at `some` places that see a flux time."""
        a, b = int(self.edge[time]), int(self.edge[time + 1])
        a, b = a + np.searchsorted(self.place[a:b], (some.start, some.stop))
        return self.place[a:b], self.slices[a:b]


def gram_items(n: int) -> list[range]:
    """Return the blocks of places in which K is made."""
    step = max(1, min(_WIDEST, -(-n // _LEAST_ITEMS)))
    return [range(i, min(i + step, n)) for i in range(0, n, step)]


def gram_bytes(rows: SlicedRows) -> int:
    """Return the memory that one block of columns takes at most, bytes."""
    n, n_time, cells = rows.shape
    width = len(gram_items(n)[0])
    few = min(width, _few(rows))
    fields = 8 * cells * few * (_longest(rows) + 1)
    busiest = 8 * cells * int(np.bincount(rows.time, minlength=n_time).max(initial=1))
    return 2 * 8 * n * width + 8 * cells * width + fields + 2 * max(_CHUNK_BYTES, busiest)


def gram_columns(inputs: GramInputs, data: range) -> Floats:
    """Return columns of the lower triangle of K = sum over sectors of H B H', (mol mol-1)2, in the order.

    Shape (obs from data.start on, len(data)); above the diagonal of K nothing of use.
    """
    out = np.zeros((inputs.rows.shape[0] - data.start, len(data)))
    data = range(data.start, min(data.stop, inputs.begin.size))
    few = _few(inputs.rows)
    with one_thread():
        for covariance in inputs.covariances if data else ():
            columns = _markov_columns if covariance.time.markov else _general_columns
            columns(inputs, covariance, data, few, out)
    return out


def _markov_columns(inputs: GramInputs, covariance: Covariance, data: range, few: int, out: Floats) -> None:
    last = int(inputs.end[data.start : data.stop].max())
    later = int(np.searchsorted(inputs.begin, last, side="right"))
    edges = np.empty((len(data), inputs.rows.shape[2]))
    for start in range(data.start, data.stop, few):
        some = range(start, min(start + few, data.stop))
        within = slice(start - data.start, some.stop - data.start)
        target = out[start - data.start :, within]
        fields, first = _responses(inputs, covariance, some)
        _overlapping(inputs, covariance, some, fields, first, target)
        edges[within] = fields[first[1:] - 1]
        _after(inputs, covariance, some, range(start, later), edges[within], target)
    _after(inputs, covariance, data, range(later, inputs.begin.size), edges, out)


def _responses(inputs: GramInputs, covariance: Covariance, some: range) -> tuple[Floats, Ints]:
    """Return S sum over u of T[t, u] D_u h_ju at every flux time t of each window, datum by datum.

    Shape (sum of windows, cell), and where each datum begins among them.
    """
    rows = inputs.rows
    begin, end = inputs.begin[some.start : some.stop], inputs.end[some.start : some.stop]
    first = np.append(0, np.cumsum(end - begin + 1))
    fields = np.empty((int(first[-1]), rows.shape[2]))
    for k, j in enumerate(some):
        own = inputs.own(j)
        seen = rows.time[own.start : own.stop]
        mixing = covariance.time.between(np.arange(begin[k], end[k] + 1), seen)
        response = mixing @ (covariance.sd[seen] * rows.dense(own))
        fields[first[k] : first[k + 1]] = covariance.space.apply(response)
    return fields, first


def _overlapping(
    inputs: GramInputs, covariance: Covariance, some: range, fields: Floats, first: Ints, out: Floats
) -> None:
    """Add what the data from some.start on see up to the end of the last window of `some`."""
    begin, end = inputs.begin[some.start : some.stop], inputs.end[some.start : some.stop]
    every, times = range(some.start, inputs.begin.size), range(int(begin[0]), int(end.max()) + 1)
    # one memory for all: taking and returning it at every flux time costs more than the products
    most = int(np.diff(inputs.edge[times.start : times.stop + 1]).max())
    scratch = np.empty((most, inputs.rows.shape[2]))
    for t in times:
        place, slices = inputs.seen(t, every)
        nearest = np.clip(t, begin, end)
        fading = covariance.time.between(np.array([t]), nearest)[0]
        used = np.flatnonzero(fading)
        if place.size and used.size:
            response = fields[first[used] + nearest[used] - begin[used]] * covariance.sd[t]
            product = inputs.rows.dense(slices, scratch) @ response.T
            out[np.ix_(place - some.start, used)] += product * fading[used]


def _after(
    inputs: GramInputs, covariance: Covariance, some: range, data: range, edges: Floats, out: Floats
) -> None:
    """Add what `data` see after the last window of `some`, whose responses at their ends are `edges`."""
    rows, ends = inputs.rows, inputs.end[some.start : some.stop]
    last = int(ends.max())
    fading = covariance.time.between(np.array([last]), ends)
    step = max(1, _CHUNK_BYTES // (8 * rows.shape[2]))
    for start in range(data.start, data.stop, step):
        chunk = range(start, min(start + step, data.stop))
        nearest = covariance.time.between(
            np.maximum(inputs.begin[chunk.start : chunk.stop], last), np.array([last])
        )
        if not nearest.any():
            return  # those behind are further still
        slices, into = _slices_of(inputs, chunk)
        later = rows.time[slices] > last
        slices, into = slices[later], into[later]
        weight = covariance.time.between(rows.time[slices], np.array([last]))[:, 0]
        if slices.size:
            summed = rows.summed(slices, into, weight, covariance.sd, len(chunk))
            out[start - some.start : chunk.stop - some.start] += (summed @ edges.T) * fading


def _slices_of(inputs: GramInputs, data: range) -> tuple[Ints, Ints]:
    """Return all slices of the data at these places, and which of the data each belongs to."""
    own = [inputs.own(i) for i in data]
    slices = np.concatenate([np.arange(o.start, o.stop) for o in own])
    return slices, np.repeat(np.arange(len(own)), [len(o) for o in own])


def _general_columns(inputs: GramInputs, covariance: Covariance, data: range, few: int, out: Floats) -> None:
    for start in range(data.start, data.stop, few):
        some = range(start, min(start + few, data.stop))
        target = out[start - data.start :, start - data.start : some.stop - data.start]
        _banded(inputs, covariance, some, target)


def _banded(inputs: GramInputs, covariance: Covariance, some: range, out: Floats) -> None:
    """Add what the data from some.start on see of the responses of `some`, made at every flux time."""
    rows = inputs.rows
    slices, into = _slices_of(inputs, some)
    seen = rows.time[slices]
    smooth = covariance.space.apply(covariance.sd[seen] * rows.dense(slices))
    own = [np.flatnonzero(into == k) for k in range(len(some))]
    step = max(1, _longest(rows))
    for start in range(int(inputs.begin[some.start]), rows.shape[1], step):
        times = np.arange(start, min(start + step, rows.shape[1]))
        mixing = covariance.time.between(times, seen)
        if not mixing.any():
            continue
        response = np.stack([mixing[:, mine] @ smooth[mine] for mine in own], axis=1)
        for t, at_time in zip(times, response, strict=True):
            place, sliced = inputs.seen(int(t), range(some.start, inputs.begin.size))
            if place.size:
                out[place - some.start] += rows.dense(sliced) @ (at_time * covariance.sd[t]).T


def _longest(rows: SlicedRows) -> int:
    """Return the most flux times that any window spans."""
    seeing = rows.first[:-1] < rows.first[1:]
    return (
        int((rows.time[rows.first[1:][seeing] - 1] - rows.time[rows.first[:-1][seeing]]).max(initial=0)) + 1
    )


def _few(rows: SlicedRows) -> int:
    """Return how many data are smoothed together."""
    return max(1, min(_FEW, _FIELD_BYTES // (8 * rows.shape[2] * _longest(rows))))


def gram(inputs: GramInputs, mapper: Mapper) -> Floats:
    """Return K, (mol mol-1)2, shape (obs, obs), in the problem's own order of the data."""
    n = inputs.rows.shape[0]
    K, items = np.zeros((n, n)), gram_items(n)
    for data, columns in zip(items, mapper(gram_columns, inputs, items), strict=True):
        here, behind = inputs.order[data.start : data.stop], inputs.order[data.stop :]
        own = np.tril(columns[: len(data)])
        K[np.ix_(here, here)] = own + np.tril(own, -1).T
        K[np.ix_(behind, here)] = columns[len(data) :]
        K[np.ix_(here, behind)] = columns[len(data) :].T
    return K
