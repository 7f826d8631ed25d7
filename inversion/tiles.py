"""More data than memory holds: K and the Cholesky factor of C in square tiles on a disk.

Left-looking by columns of tiles (Golub and Van Loan 2013, section 4.2.6): a column needs only those left of
it, and its tiles are independent of one another, so they go through the mapper. All workers must see the
same directory. While C fits into memory `solver.condition` is faster.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.sparse.linalg import LinearOperator, onenormest

from inversion.conditioned import Conditioned
from inversion.gram import GramInputs, gram_columns
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.threads import one_thread
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats: TypeAlias = npt.NDArray[np.float64]
Tile: TypeAlias = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class TiledMatrix:
    """The lower triangle of a matrix in tiles, one file each, rows and columns in another order.

    directory, name : tile (i, j) is the file name-i-j.npy
    order : data in the order of the tiles, shape (obs,)
    width : data per tile
    """

    directory: Path
    name: str
    order: npt.NDArray[np.int64]
    width: int

    @property
    def edges(self) -> list[slice]:
        """Places of the data of each row of tiles."""
        return [slice(i, min(i + self.width, self.order.size)) for i in range(0, self.order.size, self.width)]

    def read(self, tile: Tile) -> Floats:
        """Return a tile."""
        found: Floats = np.load(self._path(tile))
        return found

    def write(self, tile: Tile, values: Floats) -> None:
        """Write a tile; it appears only when complete."""
        part = self._path(tile).with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, values)
        part.replace(self._path(tile))

    def __matmul__(self, x: Floats) -> Floats:
        """Return the symmetric matrix times x, shape (obs, k)."""
        edges, ordered, out = self.edges, x[self.order], np.zeros_like(x)
        for i, rows in enumerate(edges):
            for j, columns in enumerate(edges[: i + 1]):
                tile = self.read((i, j))
                out[rows] += tile @ ordered[columns]
                if i != j:
                    out[columns] += tile.T @ ordered[rows]
        return self.restored(out)

    def restored(self, ordered: Floats) -> Floats:
        """Return values in the problem's own order."""
        out = np.empty_like(ordered)
        out[self.order] = ordered
        return out

    def norm(self) -> float:
        """Return the 1-norm of the symmetric matrix."""
        edges, sums = self.edges, np.zeros(self.order.size)
        for i, rows in enumerate(edges):
            for j, columns in enumerate(edges[: i + 1]):
                tile = np.abs(self.read((i, j)))
                sums[columns] += tile.sum(axis=0)
                if i != j:
                    sums[rows] += tile.sum(axis=1)
        return float(sums.max())

    def _path(self, tile: Tile) -> Path:
        return self.directory / f"{self.name}-{tile[0]}-{tile[1]}.npy"


@dataclass(frozen=True)
class TiledFactor:
    """C = L L' in the order of the tiles.

    condition : estimate of the condition number of C in the 1-norm (Higham and Tisseur 2000)
    """

    lower: TiledMatrix
    condition: float

    def whiten(self, b: Floats) -> Floats:
        """Return L^-1 b, shape (obs, k) or (obs,): in the order of the tiles."""
        out, edges = b[self.lower.order], self.lower.edges
        for i, rows in enumerate(edges):
            for j in range(i):
                out[rows] -= self.lower.read((i, j)) @ out[edges[j]]
            out[rows] = _solve_lower(self.lower.read((i, i)), out[rows])
        return out

    def solve(self, b: Floats) -> Floats:
        """Return C^-1 b, shape (obs, k) or (obs,)."""
        out, edges = self.whiten(b), self.lower.edges
        for i in range(len(edges) - 1, -1, -1):
            for below in range(i + 1, len(edges)):
                out[edges[i]] -= self.lower.read((below, i)).T @ out[edges[below]]
            out[edges[i]] = _solve_lower(self.lower.read((i, i)), out[edges[i]], transposed=True)
        return self.lower.restored(out)

    @property
    def logdet(self) -> float:
        """Log det C."""
        return 2.0 * sum(
            float(np.sum(np.log(np.diag(self.lower.read((i, i)))))) for i in range(len(self.lower.edges))
        )


@dataclass(frozen=True)
class _Inputs:
    """What every tile needs: sent to each worker once."""

    problem: Problem
    inputs: GramInputs
    gram: TiledMatrix
    lower: TiledMatrix


def condition_on_disk(
    problem: Problem, directory: Path, mapper: Mapper = serial, width: int = 2048
) -> Conditioned:
    """Return what `solver.condition` does, with K and the factor as files of an existing directory.

    The memory of a worker is that of a few tiles and one block of columns of K, obs x width.

    Raises
    ------
    DataError
        If the disk is too small, the directory holds tiles, or C is not positive definite.
    """
    _refuse(problem, directory, width)
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    inputs = GramInputs.of(rows, problem.covariances)
    matrices = [TiledMatrix(directory, name, inputs.order, width) for name in ("gram", "lower")]
    common = _Inputs(problem, inputs, matrices[0], matrices[1])
    count = len(matrices[0].edges)
    _each(mapper, _gram_column, common, list(range(count)))
    norm = matrices[1].norm()
    for k in range(count):
        _each(mapper, _factor_tile, common, [(k, k)])
        _each(mapper, _factor_tile, common, [(i, k) for i in range(k + 1, count)])
    factor = TiledFactor(matrices[1], float("nan"))
    n = problem.shape[0]
    inverse = LinearOperator(
        (n, n), matvec=factor.solve, rmatvec=factor.solve, matmat=factor.solve, dtype=float
    )
    with one_thread():
        return Conditioned(problem, TiledFactor(matrices[1], norm * float(onenormest(inverse))), matrices[0])


def _refuse(problem: Problem, directory: Path, width: int) -> None:
    n = problem.shape[0]
    need, free = 2 * 8 * n * (n + width) // 2, shutil.disk_usage(directory).free
    if need > free:
        raise DataError(f"{directory}: {n} data need {need} bytes of tiles, {free} bytes are free")
    if any(directory.glob("*.npy")):
        raise DataError(f"{directory}: holds .npy files, expected an empty directory for the tiles")


def _each(mapper: Mapper, function: Callable[[_Inputs, T], None], common: _Inputs, items: list[T]) -> None:
    for _ in mapper(function, common, items):
        pass


def _gram_column(common: _Inputs, j: int) -> None:
    """Write a column of tiles of K and of C."""
    edges, order = common.gram.edges, common.gram.order
    columns = gram_columns(common.inputs, range(edges[j].start, edges[j].stop))
    for i in range(j, len(edges)):
        tile = columns[edges[i].start - edges[j].start : edges[i].stop - edges[j].start]
        if i == j:
            tile = np.tril(tile) + np.tril(tile, -1).T
        common.gram.write((i, j), tile)
        rows, cols = order[edges[i]], order[edges[j]]
        design = common.problem.scaled_design
        with one_thread():
            shared = design[rows] @ design[cols].T
            common.lower.write((i, j), tile + shared + common.problem.errors.block(rows, cols))


def _factor_tile(common: _Inputs, tile: Tile) -> None:
    """Turn a tile of C into one of L; all columns to its left, and its column's diagonal, are done."""
    i, k = tile
    lower = common.lower
    with one_thread():
        left = lower.read(tile)
        for j in range(k):
            left -= lower.read((i, j)) @ lower.read((k, j)).T
        if i == k:
            lower.write(tile, _factored(left, lower, k))
        else:
            lower.write(tile, _solve_lower(lower.read((k, k)), left.T).T)


def _factored(block: Floats, lower: TiledMatrix, k: int) -> Floats:
    try:
        return cholesky(block, lower=True, check_finite=False)
    except LinAlgError as fault:
        raise DataError(
            f"C = HBH' + R of {lower.order.size} data is not positive definite (tile {k} of "
            f"{len(lower.edges)}: {fault}); expected larger random errors or positive definite correlations"
        ) from None


def _solve_lower(tile: Floats, b: Floats, transposed: bool = False) -> Floats:
    return solve_triangular(tile, b, lower=True, trans=int(transposed), check_finite=False)
