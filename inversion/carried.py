"""Dropped data whose effect is carried on: an exact fixed-lag smoother, in dual form.

The prior of the window is the posterior given all data dropped before. With L L' the covariance of the
dropped data, they act on all that comes later through V = L^-1 H B at the flux times that later data may
see, through L^-1 (U, G Sg^1/2) for shared errors and parameters, and through L^-1 d. With a prior that is
Markov in time, V at the last flux time that dropped data saw gives it at all later ones.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from inversion.factor import Factor
from inversion.gram import GramInputs, gram
from inversion.problem import Problem, take_data
from inversion.rows import SlicedRows
from inversion.solver import with_errors
from inversion.threads import one_thread
from inversion.totals import respond
from inversion.variance import checked_variance
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Carried:
    """What dropped data say of the rest.

    times : flux times from the first that is not final to the last that dropped data saw, shape (held,)
    fields : V before the prior sd, shape (rank, held, sector, cell)
    columns : L^-1 (U, G Sg^1/2), shape (rank, shared and parameter)
    innovation : L^-1 d, shape (rank,)
    """

    times: npt.NDArray[np.datetime64]
    fields: Floats
    columns: Floats
    innovation: Floats

    def at(self, problem: Problem, time: int) -> Floats:
        """Return V before the prior sd at a flux time of a problem, shape (rank, sector, cell)."""
        wanted = problem.coords.flux_time.values
        k = int(np.searchsorted(self.times, wanted[time]))
        if k < len(self.times):
            return np.asarray(self.fields[:, k])
        last = np.searchsorted(wanted, self.times[-1:])
        fading = [c.time.between(np.array([time]), last)[0, 0] for c in problem.covariances]
        return np.asarray(self.fields[:, -1] * np.array(fading)[:, None])

    def reduced(self) -> "Carried":
        """Return as few rows as say the same: V'V and V'z are all that matters, and QR keeps them."""
        rank = len(self.fields)
        joined = np.hstack([self.fields.reshape(rank, -1), self.columns])
        if rank <= joined.shape[1]:
            return self
        Q, rest = qr(joined, mode="economic")
        size = self.fields[0].size
        fields = rest[:, :size].reshape(-1, *self.fields.shape[1:])
        return Carried(self.times, fields, rest[:, size:], Q.T @ self.innovation)


@dataclass(frozen=True)
class Lagged:
    """The posterior of all data so far, at the flux times that are not final; made by `smooth`.

    first : index of the first such flux time
    link : L21, of the window's data with what is carried, shape (obs, rank)
    factor : of C22 - L21 L21'
    """

    problem: Problem
    carried: Carried | None
    first: int
    link: Floats
    factor: Factor

    @property
    def innovation(self) -> Floats:
        """What of the data could not be foreseen from those carried, whitened, shape (obs,)."""
        known = 0.0 if self.carried is None else self.link @ self.carried.innovation
        return self.factor.whiten(self.problem.innovation - known)

    def totals(self, space_weights: Floats, time_weights: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of totals of the sum over sectors, shape (region, period).

        Raises
        ------
        DataError
            If a weight is not zero at a flux time that is final.
        """
        if time_weights[:, : self.first].any():
            raise DataError(f"window: weights before flux time {self.first}, expected none: they are final")
        response = respond(self.problem, space_weights, time_weights)
        mean, data = response.mean[:, -1], response.data[:, :, -1].reshape(len(self.link), -1)
        prior = np.diagonal(response.covariance[:, -1], axis1=1, axis2=2).T
        variance = prior.copy()
        if self.carried is not None:
            seen = self._seen(self.carried, space_weights, time_weights)
            mean = mean + (self.carried.innovation @ seen).reshape(mean.shape)
            variance -= np.sum(seen**2, axis=0).reshape(mean.shape)
            data = data - self.link @ seen
        white = self.factor.whiten(data)
        mean = mean + (self.innovation @ white).reshape(mean.shape)
        return mean, checked_variance(
            variance - np.sum(white**2, axis=0).reshape(mean.shape), prior, "totals"
        )

    def _seen(self, carried: Carried, space: Floats, time: Floats) -> Floats:
        """Return V w, shape (rank, region period)."""
        sd = np.stack([c.sd for c in self.problem.covariances], axis=1)
        out = np.zeros((len(carried.fields), len(space), len(time)))
        for t in np.flatnonzero(time.any(axis=0)):
            field = np.sum(carried.at(self.problem, int(t)) * sd[t], axis=1)
            out += (field @ space.T)[:, :, None] * time[:, t]
        return out.reshape(len(out), -1)

    def carry(self, count: int, first: int) -> Carried:
        """Return what is carried without the oldest `count` data.

        first : flux time of the problem that later data see at most back to; those before are final

        Raises
        ------
        DataError
            If a datum that is kept sees a flux time before `first`, or one becomes open that was final.
        """
        old = take_data(self.problem, np.arange(count))
        kept = take_data(self.problem, np.arange(count, len(self.link)))
        begins = kept.H.indices.min(initial=kept.H.shape[1]) // kept.shape[3]
        if begins < first or first < self.first:
            raise DataError(f"window: final before flux time {first}, expected {self.first} to {begins}")
        cells = old.shape[3]
        last = max(int(old.H.indices.max(initial=0)) // cells, first)
        if self.carried is not None:
            stamps = self.problem.coords.flux_time.values
            last = max(last, int(np.searchsorted(stamps, self.carried.times[-1])))
        fields = _fields(old, range(first, last + 1))
        columns, white = _columns(old), self.innovation[:count]
        lower = replace(self.factor, lower=np.asfortranarray(self.factor.lower[:count, :count]))
        if self.carried is not None:
            before = np.stack([self.carried.at(old, t) for t in range(first, last + 1)], axis=1)
            link = self.link[:count]
            fields = fields - np.tensordot(link, before, axes=1)
            columns = columns - link @ self.carried.columns
        fields = lower.whiten(fields.reshape(count, -1)).reshape(fields.shape)
        columns = lower.whiten(columns)
        if self.carried is not None:
            fields, columns = np.concatenate([before, fields]), np.vstack([self.carried.columns, columns])
            white = np.append(self.carried.innovation, white)
        stamps = old.coords.flux_time.values[first : last + 1]
        return Carried(stamps, fields, columns, white).reduced()


def smooth(problem: Problem, carried: Carried | None = None, mapper: Mapper = serial) -> Lagged:
    """Return the posterior of a window's data and of all that was dropped before and is carried.

    The problem has all shared errors and parameters of the dropped data, in the same order.

    Raises
    ------
    DataError
        If the prior is not exponential in time, errors fade in time, or data see flux times that are final.
    """
    if problem.errors.correlated or not all(c.time.markov for c in problem.covariances):
        raise DataError("window: data are carried only with a prior exponential in time and no fading errors")
    K = gram(GramInputs.of(SlicedRows.from_csr(problem.H, problem.shape[2]), problem.covariances), mapper)
    C, n = with_errors(problem, K), len(problem.datum_id)
    if carried is None:
        return Lagged(problem, None, 0, np.zeros((n, 0)), Factor.of(C, overwrite=True))
    first = int(np.searchsorted(problem.coords.flux_time.values, carried.times[0]))
    if problem.H.indices.min(initial=problem.H.shape[1]) < first * problem.shape[3]:
        raise DataError(f"window: a datum sees a flux time before {carried.times[0]}, which is final")
    columns = _columns(problem)
    if columns.shape[1] != carried.columns.shape[1]:
        raise DataError(
            f"window: {columns.shape[1]} shared errors and parameters, expected {carried.columns.shape[1]}"
        )
    link = columns @ carried.columns.T
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    with one_thread():
        for t in np.unique(rows.time):
            field = carried.at(problem, int(t))
            weighted = np.sum(field * np.stack([c.sd[t] for c in problem.covariances]), axis=1)
            link += rows.every(int(t)) @ weighted.T
        C -= link @ link.T
    return Lagged(problem, carried, first, link, Factor.of(np.asfortranarray(C), overwrite=True))


def _columns(problem: Problem) -> Floats:
    return np.hstack([problem.errors.columns, problem.scaled_design])


def _fields(problem: Problem, times: range) -> Floats:
    """Return H B before the prior sd at some flux times, shape (obs, len(times), sector, cell)."""
    n, sectors, n_time, cells = problem.shape
    rows = SlicedRows.from_csr(problem.H, n_time)
    out = np.zeros((n, len(times), sectors, cells))
    for s, c in enumerate(problem.covariances):
        for u in np.unique(rows.time):
            smooth_slice = c.space.apply(c.sd[u] * rows.every(int(u)))
            fading = c.time.between(np.array(times), np.array([u]))[:, 0]
            out[:, :, s] += smooth_slice[:, None] * fading[:, None]
    return out
