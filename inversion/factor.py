"""The Cholesky factor of C = HBH' + R and what is asked of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpocon, dpotri

from inversion.threads import one_thread
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]


class Factored(Protocol):
    """What totals ask of a factor C = L L', in memory or in tiles."""

    @property
    def condition(self) -> float:
        """Estimate of the condition number of C."""
        ...

    @property
    def logdet(self) -> float:
        """Log det C."""
        ...

    def whiten(self, b: Floats) -> Floats:
        """Return L^-1 b."""
        ...

    def solve(self, b: Floats) -> Floats:
        """Return C^-1 b."""
        ...


class Symmetric(Protocol):
    """A symmetric matrix that can be multiplied, in memory or in tiles."""

    def __matmul__(self, x: Floats, /) -> Floats:
        """Return the matrix times x."""
        ...


@dataclass(frozen=True)
class Factor:
    """C = L L'.

    lower : L in Fortran order, zero above the diagonal, mol mol-1, shape (obs, obs)
    condition : estimate of the condition number of C in the 1-norm (LAPACK pocon)
    """

    lower: Floats
    condition: float

    @classmethod
    def of(cls, C: Floats, overwrite: bool = False) -> "Factor":
        """Factor a symmetric matrix; no jitter is added. `overwrite`: in the memory of C, Fortran order.

        Raises
        ------
        DataError
            If C is not positive definite.
        """
        with one_thread():
            norm, variances = _norm(C), np.diag(C).copy()
            lower = np.asfortranarray(_cholesky(C, variances, overwrite))
        return cls(lower, _condition(lower, norm))

    def extended(self, C: Floats) -> "Factor":
        """Return the factor of C, whose leading block is this LL', in the memory of C, Fortran order.

        L21 = C21 L11^-T and L22 L22' = C22 - L21 L21' (Golub and Van Loan 2013, section 4.2.9).

        Raises
        ------
        DataError
            If C is not positive definite.
        """
        n = len(self.lower)
        with one_thread():
            norm, variances = _norm(C), np.diag(C).copy()
            below = solve_triangular(self.lower, C[:n, n:], lower=True, check_finite=False).T
            C[n:, n:] = _cholesky(C[n:, n:] - below @ below.T, variances[n:], overwrite=True)
            C[:n, :n], C[n:, :n], C[:n, n:] = self.lower, below, 0.0
        return Factor(C, _condition(C, norm))

    @cached_property
    def logdet(self) -> float:
        """Log det C."""
        return 2.0 * float(np.sum(np.log(np.diag(self.lower))))

    def whiten(self, b: Floats) -> Floats:
        """Return L^-1 b; b has shape (obs,) or (obs, k)."""
        with one_thread():
            return solve_triangular(self.lower, b, lower=True, check_finite=False)

    def whiten_in_place(self, b: Floats) -> Floats:
        """Return L^-1 b in the memory of b, shape (obs, k), C order."""
        # In Fortran order b is b', so solve y L' = b' from the right: no copy of b.
        return dtrsm(1.0, self.lower, b.T, side=1, lower=1, trans_a=1, overwrite_b=1).T

    def solve(self, b: Floats) -> Floats:
        """Return C^-1 b; b has shape (obs,) or (obs, k)."""
        with one_thread():
            return solve_triangular(self.lower, self.whiten(b), lower=True, trans="T", check_finite=False)

    def inverse(self) -> Floats:
        """Return C^-1, shape (obs, obs)."""
        with one_thread():
            half, _ = dpotri(self.lower, lower=1)
        return np.tril(half) + np.tril(half, -1).T


def _cholesky(C: Floats, variances: Floats, overwrite: bool) -> Floats:
    try:
        return np.asarray(cholesky(C, lower=True, overwrite_a=overwrite, check_finite=False))
    except LinAlgError as fault:
        raise DataError(
            f"C = HBH' + R of {len(C)} data is not positive definite ({fault}); the least variance "
            f"on its diagonal is {variances.min():g}, the most {variances.max():g} (mol mol-1)2: "
            "expected larger random errors or prior correlations that are positive definite"
        ) from None


def _condition(lower: Floats, norm: float) -> float:
    rcond, _ = dpocon(lower, norm, uplo="L")
    return float(1 / rcond) if rcond > 0 else float("inf")


def _norm(C: Floats) -> float:
    """Return the 1-norm, a few columns at a time."""
    return max(float(np.abs(C[:, i : i + 256]).sum(axis=0).max()) for i in range(0, len(C), 256))
