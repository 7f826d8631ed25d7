"""Exact Bayesian solution in dual form: everything through C = HBH' + G Sg G' + R of the size of the data.

Tarantola (2005), equations 3.37 and 3.38, with the prior covariance never formed.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inversion.blocks import StateBlock, StateInputs, state_block, state_bytes, state_items
from inversion.conditioned import Conditioned
from inversion.factor import Factor
from inversion.gram import GramInputs, gram, gram_bytes
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
    refuse_too_large(problem, _estimate(problem, rows, workers, every_sd=True), memory_limit, workers)
    factor, K = _factor(problem, rows, mapper)
    inputs = StateInputs(rows, problem.covariances, factor)
    taken, kernel = _variances(inputs, state_items(rows, problem.shape[1]), mapper)
    prior_variance = np.stack([c.sd**2 for c in problem.covariances])
    return Solution(
        problem=problem,
        factor=factor,
        gram=K,
        flux=Conditioned(problem, factor, K).flux,
        flux_sd=np.sqrt(checked_variance(prior_variance - taken, prior_variance, "flux")),
        averaging_kernel_diagonal=kernel,
    )


def condition(
    problem: Problem, mapper: Mapper = serial, memory_limit: float = 4.0 * GIB, workers: int = 1
) -> Conditioned:
    """Return what the mean and any total need, without the sd of every flux: as `solve`, far cheaper.

    Raises
    ------
    DataError
        If the memory estimate is above the limit or C is not positive definite.
    """
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    refuse_too_large(problem, _estimate(problem, rows, workers, every_sd=False), memory_limit, workers)
    return Conditioned(problem, *_factor(problem, rows, mapper))


def estimate_memory(problem: Problem, workers: int = 1, every_sd: bool = True) -> int:
    """Return an upper estimate of the memory a solution takes beside the problem itself, bytes."""
    return _estimate(problem, SlicedRows.from_csr(problem.H, problem.shape[2]), workers, every_sd)


def _estimate(problem: Problem, rows: SlicedRows, workers: int, every_sd: bool) -> int:
    n, sectors, times, cells = problem.shape
    square = 2 * 8 * n**2 + 4 * 8 * 512 * n  # K, C in which its factor is made, and a few columns
    jacobian = 64 * rows.row.size + 8 * (times + 1) * n  # where its slices begin, and their order
    state = 8 * times * cells * (6 * sectors if every_sd else 2 * sectors + 4)
    block = max(gram_bytes(rows), state_bytes(rows) if every_sd else 0)
    return square + jacobian + state + workers * block


def refuse_too_large(problem: Problem, need: int, limit: float, workers: int) -> None:
    """Raise a DataError if a problem needs more memory than allowed, bytes."""
    if need > limit:
        n, sectors, times, cells = problem.shape
        raise DataError(
            f"inversion: {n} data and {sectors} x {times} x {cells} fluxes need about {need} bytes "
            f"({need / GIB:.2f} GiB) with {workers} workers, the limit is {int(limit)} bytes "
            f"({limit / GIB:.2f} GiB); expected fewer data or workers, or inversion.tiles"
        )


def _factor(problem: Problem, rows: SlicedRows, mapper: Mapper) -> tuple[Factor, Floats]:
    """Return the factor of C, and K."""
    with one_thread():
        K = gram(GramInputs.of(rows, problem.covariances), mapper)
        return Factor.of(with_errors(problem, K), overwrite=True), K


def with_errors(problem: Problem, K: Floats) -> Floats:
    """Return C = K + G Sg G' + R in memory of its own, Fortran order."""
    C = np.array(K, order="F")
    for start in range(0, len(C), 512):
        some = slice(start, start + 512)
        C[:, some] += problem.scaled_design @ problem.scaled_design[some].T
    problem.errors.add_to(C)
    return C


def _variances(inputs: StateInputs, items: Sequence[StateBlock], mapper: Mapper) -> tuple[Floats, Floats]:
    sectors, (_, times, cells) = len(inputs.covariances), inputs.rows.shape
    taken, kernel = np.empty((sectors, times, cells)), np.empty((sectors, times, cells))
    for block, (part, diagonal) in zip(items, mapper(state_block, inputs, items), strict=True):
        at = slice(block.sectors.start, block.sectors.stop), slice(block.times.start, block.times.stop)
        taken[at], kernel[at] = part, diagonal
    return taken, kernel
