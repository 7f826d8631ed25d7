"""A window that slides over the data: new ones are appended to the factor, old ones dropped.

The window is always the exact posterior of the data within it. Fluxes that its data do not see need no
carrying: the prior is a Gaussian process, whose marginal at the flux times kept is the stated prior itself.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from inversion.conditioned import Conditioned
from inversion.covariance import Covariance, Temporal
from inversion.factor import Factor
from inversion.gram import GramInputs, gram, gram_columns
from inversion.problem import Problem, take_data
from inversion.rows import SlicedRows
from inversion.solver import GIB, condition, estimate_memory, refuse_too_large, with_errors
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.integer]
_BLOCK = 512
_SAME = 1e-9  # of the prior variance of a datum: summed in another order, it differs by rounding


@dataclass(frozen=True)
class Window:
    """The posterior of the data within, oldest first, with the factor that further data are appended to."""

    now: Conditioned

    @classmethod
    def of(cls, problem: Problem, mapper: Mapper = serial, memory_limit: float = 4.0 * GIB) -> "Window":
        """Return the window of a first set of data.

        Raises
        ------
        DataError
            As `solver.condition`.
        """
        return cls(condition(problem, mapper, memory_limit))

    def append(self, problem: Problem, mapper: Mapper = serial, memory_limit: float = 4.0 * GIB) -> "Window":
        """Return the window with the data of a problem that begins with the window's own.

        Its flux times and prior mean may differ: fluxes no longer seen may be left out, later ones added.
        Cheap where the new data are the latest; exact in any order.

        Raises
        ------
        DataError
            If the problem does not begin with the window's data as they were, with prior and errors as they
            were, or needs more memory than allowed, the present window's included.
        """
        old = len(self.now.problem.datum_id)
        self._refuse_changed(problem)
        need = estimate_memory(problem, every_sd=False) + 16 * old**2
        refuse_too_large(problem, need, memory_limit, 1)
        n = len(problem.datum_id)
        K = np.empty((n, n))
        K[:old, :old] = np.asarray(self.now.gram)
        K[old:] = latest_rows(problem, n - old, mapper)
        K[:old, old:] = K[old:, :old].T
        factor = self.now.factor
        assert isinstance(factor, Factor)  # noqa: S101 - made by `condition` or by this class
        return Window(Conditioned(problem, factor.extended(with_errors(problem, K)), K))

    def drop(self, count: int) -> "Window":
        """Return the window without its oldest `count` data: as if they had never been.

        What is left is factored anew, from the K that is known: a downdate of the factor by as many rows
        costs as much and loses digits.

        Raises
        ------
        DataError
            If nothing would be left.
        """
        n = len(self.now.problem.datum_id)
        if not 0 <= count < n:
            raise DataError(f"window: {count} of {n} data to drop, expected 0 to {n - 1}")
        kept = np.arange(count, n)
        problem = take_data(self.now.problem, kept)
        K = np.array(np.asarray(self.now.gram)[count:, count:])
        return Window(Conditioned(problem, Factor.of(with_errors(problem, K), overwrite=True), K))

    def _refuse_changed(self, problem: Problem) -> None:
        before = self.now.problem
        n = len(before.datum_id)
        if len(problem.datum_id) <= n or (problem.datum_id[:n] != before.datum_id).any():
            raise DataError(
                f"window: a problem of {len(problem.datum_id)} data, expected the {n} of the window first, "
                "in their order, and new ones"
            )
        new, counts = np.unique(problem.datum_id, return_counts=True)
        if (counts > 1).any():
            raise DataError(f"window: datum_id '{new[counts > 1][0]}' more than once, expected once")
        few = np.unique(np.linspace(0, n - 1, 4).astype(np.int64))
        some = take_data(problem, few)
        K = gram(GramInputs.of(SlicedRows.from_csr(some.H, problem.shape[2]), some.covariances), serial)
        known = np.asarray(self.now.gram)[np.ix_(few, few)]
        errors, design = problem.errors.variance[:n], problem.scaled_design[:n]
        same = np.allclose(K, known, rtol=_SAME, atol=_SAME * float(known.max(initial=0.0)))
        if not same or not np.allclose(errors, before.errors.variance, rtol=_SAME, atol=0):
            raise DataError("window: H, prior or errors of its data have changed, expected them as they were")
        if not np.allclose(np.sum(design**2, axis=1), np.sum(before.scaled_design**2, axis=1), rtol=_SAME):
            raise DataError("window: parameters of its data have changed, expected them as they were")


@dataclass(frozen=True)
class Mirrored:
    """A correlation between `count` flux times that run backwards."""

    time: Temporal
    count: int

    @property
    def markov(self) -> bool:
        """Whether it acts through the nearest flux time alone: the same in both directions."""
        return self.time.markov

    def between(self, first: Index, second: Index) -> Floats:
        """Return T[first, second]."""
        return self.time.between(self.count - 1 - first, self.count - 1 - second)


def latest_rows(problem: Problem, count: int, mapper: Mapper = serial) -> Floats:
    """Return the rows of K of the last `count` data, shape (count, obs).

    `gram_columns` meets each datum with those whose windows begin later, so all runs backwards here: the
    latest data come first, and the smoothing of the earlier ones is never made.
    """
    n, n_time = len(problem.datum_id), problem.shape[2]
    back = tuple(
        # K is made of `markov` and `between` alone
        Covariance(np.ascontiguousarray(c.sd[::-1]), cast(Temporal, Mirrored(c.time, n_time)), c.space)
        for c in problem.covariances
    )
    inputs = GramInputs.of(backwards(SlicedRows.from_csr(problem.H, n_time)), back)
    place = np.empty(n, dtype=np.int64)
    place[inputs.order] = np.arange(n)
    mine = place[count - 1 :: -1]  # of the last data, in their own order
    m = int(mine.max()) + 1
    rows, items = np.empty((m, n)), [range(i, min(i + _BLOCK, m)) for i in range(0, m, _BLOCK)]
    for data, columns in zip(items, mapper(gram_columns, inputs, items), strict=True):
        own = np.tril(columns[: len(data)])
        rows[data.start : data.stop, data.start : data.stop] = own + np.tril(own, -1).T
        rows[data.start : data.stop, data.stop :] = columns[len(data) :].T
        rows[data.stop :, data.start : data.stop] = columns[len(data) : m - data.start]
    return rows[mine][:, place[::-1]]


def backwards(rows: SlicedRows) -> SlicedRows:
    """Return the rows from last to first, with flux times from last to first."""
    _, n_time, cells = rows.shape
    shift = ((n_time - 1 - 2 * rows.time) * cells).astype(rows.column.dtype)
    return SlicedRows(
        shape=rows.shape,
        row=rows.shape[0] - 1 - rows.row[::-1],
        time=n_time - 1 - rows.time[::-1],
        start=rows.start[-1] - rows.start[::-1],
        first=rows.first[-1] - rows.first[::-1],
        column=np.ascontiguousarray((rows.column + np.repeat(shift, np.diff(rows.start)))[::-1]),
        value=np.ascontiguousarray(rows.value[::-1]),
    )
