"""K = HBH' the two ways it is usually made, as fast as BLAS allows: what the benchmark compares with."""

import numpy as np
import numpy.typing as npt

from inversion.covariance import Covariance
from inversion.rows import SlicedRows

Floats = npt.NDArray[np.float64]
_DATA = 60  # data per block, to hold few copies of H in memory


def kronecker(rows: SlicedRows, prior: Covariance) -> Floats:
    """Return K by the factors of B = D (T kron S) D (Yadav and Michalak 2013, section 3, equations 9 to 12).

    HD is dense, T mixes its blocks in time and S multiplies each: all three steps are matrix products.
    """
    n, times, cells = rows.shape
    scaled = scaled_rows(rows, prior)  # flux_time, obs, cell
    T, S, out = prior.time.dense, prior.space.dense(), np.zeros((n, n))
    for start in range(0, n, _DATA):
        some = slice(start, min(start + _DATA, n))
        mixed = (T @ scaled[:, some].reshape(times, -1)).reshape(-1, cells)
        smooth = (mixed @ S).reshape(times, -1, cells)
        for t in range(times):
            out[some] += smooth[t] @ scaled[t].T
    return out


def dense(rows: SlicedRows, prior: Covariance) -> Floats:
    """Return K with B formed."""
    n = rows.shape[0]
    H = scaled_rows(rows, prior).transpose(1, 0, 2).reshape(n, -1)
    return H @ (np.kron(prior.time.dense, prior.space.dense()) @ H.T)


def scaled_rows(rows: SlicedRows, prior: Covariance) -> Floats:
    """Return HD as one dense array, shape (flux_time, obs, cell)."""
    return np.stack([rows.every(t) * prior.sd[t] for t in range(rows.shape[1])])
