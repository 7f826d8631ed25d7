"""Exact Bayesian solution in dual form: everything through C = HBH' + G Sg G' + R of the size of the data.

Tarantola (2005), equations 3.37 and 3.38, with the prior covariance never formed.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inversion.blocks import (
    Conditioned,
    Prior,
    StateBlock,
    block_bytes,
    gram_columns,
    gram_items,
    state_block,
    state_items,
)
from inversion.factor import Factor
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.solution import Solution
from inversion.threads import one_thread
from inversion.variance import checked_variance
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
GIB = 2**30


def solve(
    problem: Problem, mapper: Mapper = serial, memory_limit: float = 4.0 * GIB, workers: int = 1
) -> Solution:
    """Return the posterior of a problem: means, every sd, and what any later total needs.

    Parameters
    ----------
    memory_limit : bytes; a problem that would take more is refused before it starts
    workers : blocks the mapper works on at the same time in one memory; for the estimate only

    Raises
    ------
    DataError
        If the memory estimate is above the limit or C is not positive definite.
    """
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    _refuse_too_large(problem, rows, memory_limit, workers)
    with one_thread():
        prior = Prior(rows, problem.covariances)
        gram = _gram(prior, mapper)
        factor = Factor.of(gram + problem.scaled_design @ problem.scaled_design.T + problem.errors.dense())
        weights = factor.solve(problem.innovation)
        taken, kernel = _variances(Conditioned(prior, factor), state_items(rows, problem.shape[1]), mapper)
    prior_variance = np.stack([c.sd**2 for c in problem.covariances])
    return Solution(
        problem=problem,
        factor=factor,
        gram=gram,
        flux=problem.flux + _increments(problem, weights),
        flux_sd=np.sqrt(checked_variance(prior_variance - taken, prior_variance, "flux")),
        averaging_kernel_diagonal=kernel,
    )


def estimate_memory(problem: Problem, workers: int = 1) -> int:
    """Return an upper estimate of the memory a solution takes beside the problem itself, bytes."""
    return _estimate(problem, SlicedRows.from_csr(problem.H, problem.shape[2]), workers)


def _estimate(problem: Problem, rows: SlicedRows, workers: int) -> int:
    n = problem.shape[0]
    square = 4 * 8 * n**2  # K, C, its factor, and the copy LAPACK makes
    jacobian = 32 * rows.row.size + 8 * (problem.shape[2] + 1) * n  # where its slices begin
    state = 6 * 8 * problem.flux.size
    return square + jacobian + state + workers * block_bytes(rows)


def _refuse_too_large(problem: Problem, rows: SlicedRows, limit: float, workers: int) -> None:
    need = _estimate(problem, rows, workers)
    if need > limit:
        n, sectors, times, cells = problem.shape
        raise DataError(
            f"inversion: {n} data and {sectors} x {times} x {cells} fluxes need about {need / GIB:.2f} GiB "
            f"with {workers} workers, the limit is {limit / GIB:.2f} GiB; expected fewer data or workers"
        )


def _gram(prior: Prior, mapper: Mapper) -> Floats:
    items = gram_items(prior.rows)
    K = np.zeros((prior.rows.shape[0],) * 2)
    for data, columns in zip(items, mapper(gram_columns, prior, items), strict=True):
        K[data.start :, data.start : data.stop] = columns
    lower = np.tril(K, -1)
    return lower + lower.T + np.diag(np.diag(K))


def _variances(common: Conditioned, items: Sequence[StateBlock], mapper: Mapper) -> tuple[Floats, Floats]:
    sectors, (_, times, cells) = len(common.prior.covariances), common.prior.rows.shape
    taken, kernel = np.empty((sectors, times, cells)), np.empty((sectors, times, cells))
    for block, (part, diagonal) in zip(items, mapper(state_block, common, items), strict=True):
        at = slice(block.sectors.start, block.sectors.stop), slice(block.times.start, block.times.stop)
        taken[at], kernel[at] = part, diagonal
    return taken, kernel


def _increments(problem: Problem, weights: Floats) -> Floats:
    seen = (problem.H.T @ weights).reshape(problem.flux.shape[1:])
    return np.stack([covariance @ seen for covariance in problem.covariances])
