"""Errors of one cause that fade in time along a site: exponential, so that O(n) passes replace matrices.

Several causes together, with independent noise, are a semiseparable matrix whose factor costs n times the
square of the number of causes (Foreman-Mackey et al. 2017, section 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SiteCorrelated:
    """Covariance sd_i sd_j exp(-|t_i - t_j| / duration) within a site, none between sites.

    cause : line of the budget
    sd : standard uncertainty of each datum, mol mol-1, shape (obs,)
    duration : s, > 0
    site : of each datum, shape (obs,)
    time : s, shape (obs,), in any order and unevenly spaced
    """

    cause: str
    sd: Floats
    duration: float
    site: npt.NDArray[np.str_]
    time: Floats

    @cached_property
    def order(self) -> npt.NDArray[np.intp]:
        """Data by site, then time."""
        return np.lexsort((self.time, self.site))

    @cached_property
    def step(self) -> Floats:
        """Correlation of each datum in that order with the one before it, 0 for the first of a site."""
        site, time = self.site[self.order], self.time[self.order]
        same = np.append(False, site[1:] == site[:-1])
        return np.where(same, np.exp(-np.diff(time, prepend=time[:1]) / self.duration), 0.0)

    def dense(self) -> Floats:
        """Return the covariance itself, shape (obs, obs)."""
        out = np.zeros((self.sd.size,) * 2)
        self.add_to(out)
        return out

    def add_to(self, matrix: Floats) -> None:
        """Add the covariance to a matrix, site by site, shape (obs, obs)."""
        for name in np.unique(self.site):
            at = np.flatnonzero(self.site == name)
            matrix[np.ix_(at, at)] += self.block(at, at)

    def block(self, rows: Rows, columns: Rows) -> Floats:
        """Return a part of the covariance."""
        gap = np.abs(self.time[rows][:, None] - self.time[columns])
        same = self.site[rows][:, None] == self.site[columns]
        return same * self.sd[rows][:, None] * np.exp(-gap / self.duration) * self.sd[columns]

    def __matmul__(self, x: Floats) -> Floats:
        """Return the covariance times x, shape (obs,) or (obs, k)."""
        scaled = (self.sd * x.T).T[self.order]
        out, behind = scaled.copy(), np.zeros_like(scaled[0])
        for i in range(1, len(out)):
            out[i] += self.step[i] * out[i - 1]
        for i in range(len(out) - 2, -1, -1):
            behind = self.step[i + 1] * (behind + scaled[i + 1])
            out[i] += behind
        return self._restored(out)

    def root(self, noise: Floats) -> Floats:
        """Return a square root of the covariance times noise, shape (obs,): an AR(1) process per site."""
        out = noise[self.order]
        for i in range(1, len(out)):
            out[i] = self.step[i] * out[i - 1] + np.sqrt(1 - self.step[i] ** 2) * out[i]
        return self._restored(out)

    def take(self, rows: Rows) -> "SiteCorrelated":
        """Return the errors of a subset of the data."""
        return SiteCorrelated(self.cause, self.sd[rows], self.duration, self.site[rows], self.time[rows])

    def _restored(self, ordered: Floats) -> Floats:
        out = np.empty_like(ordered)
        out[self.order] = ordered
        return (self.sd * out.T).T


@dataclass(frozen=True)
class ChainFactor:
    """L diag(d) L' of independent noise plus errors correlated along sites, all in the order of the sites.

    order : data in that order
    step, sd, weight : per cause, shape (obs, cause); L is unit lower with L_ij = sd_i' (steps) weight_j
    d : (mol mol-1)2, shape (obs,)
    """

    order: npt.NDArray[np.intp]
    step: Floats
    sd: Floats
    weight: Floats
    d: Floats

    @classmethod
    def of(cls, diagonal: Floats, parts: Sequence[SiteCorrelated]) -> "ChainFactor":
        """Factor diag(diagonal) + the sum of parts, all of the same sites and times (their equation 40)."""
        order = parts[0].order
        step = np.stack([p.step for p in parts], axis=1)
        sd = np.stack([p.sd[order] for p in parts], axis=1)
        total = diagonal[order] + np.sum(sd**2, axis=1)
        weight, d = np.empty_like(sd), np.empty_like(total)
        state = np.zeros((len(parts),) * 2)
        for i in range(len(d)):
            if i:
                state = (
                    step[i][:, None] * (state + d[i - 1] * np.outer(weight[i - 1], weight[i - 1])) * step[i]
                )
            carried = state @ sd[i]
            d[i] = total[i] - sd[i] @ carried
            weight[i] = (sd[i] - carried) / d[i]
        return cls(order, step, sd, weight, d)

    @property
    def logdet(self) -> float:
        """Log determinant."""
        return float(np.sum(np.log(self.d)))

    def solve(self, rhs: Floats) -> Floats:
        """Return the inverse times rhs, shape (obs,) or (obs, k)."""
        z = rhs[self.order].reshape(len(rhs), -1)
        carried = np.zeros((self.sd.shape[1], z.shape[1]))
        for i in range(1, len(z)):
            carried = self.step[i][:, None] * (carried + np.outer(self.weight[i - 1], z[i - 1]))
            z[i] -= self.sd[i] @ carried
        z /= self.d[:, None]
        carried[:] = 0.0
        for i in range(len(z) - 2, -1, -1):
            carried = self.step[i + 1][:, None] * (carried + np.outer(self.sd[i + 1], z[i + 1]))
            z[i] -= self.weight[i] @ carried
        out = np.empty_like(z)
        out[self.order] = z
        return out.reshape(rhs.shape)
