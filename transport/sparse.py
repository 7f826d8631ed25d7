"""Footprints as what is not zero of them: a pointer for each receptor into lag, cell and value."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transport.kernels.state import Target

Arrays = dict[str, npt.NDArray[np.generic]]

NONZERO = ("lag", "cell", "value")
"""Arrays of sparse footprints with an element for each value; `pointer` (receptor + 1) says whose it is."""

_ENDS = ("end_x", "end_y", "end_height", "end_hours")


@dataclass
class Layers:
    """Collects a footprint hour by hour: `target` holds the present clock hour only, so has one lag."""

    target: Target
    found: list[tuple[npt.NDArray[np.int64], ...]] = field(default_factory=list)
    values: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def gather(self, lag: npt.NDArray[np.int64]) -> None:
        """Take the hour's footprint out of the target; lag : of this hour, shape (receptor,)."""
        foot = self.target.foot.reshape(self.target.foot.shape[0], -1)
        flat = foot.reshape(-1)
        at = np.flatnonzero(flat)
        receptor, cell = np.divmod(at, foot.shape[1])
        self.found.append((receptor, lag[receptor], cell))
        self.values.append(flat[at].astype(np.float32))
        flat[at] = 0.0

    def sparse(self) -> Arrays:
        """Return `pointer`, `lag`, `cell`, `value` of all that was gathered, by receptor, lag and cell."""
        empty = np.zeros(0, np.int64)
        columns = zip(*self.found, strict=True) if self.found else ((empty,),) * 3
        receptor, lag, cell = (np.concatenate(parts) for parts in columns)
        value = np.concatenate([np.zeros(0, np.float32), *self.values])
        order = np.argsort(receptor, kind="stable")  # hours were gathered in order of lag
        count = np.bincount(receptor, minlength=self.target.foot.shape[0])
        return {
            "pointer": np.append(0, np.cumsum(count)).astype(np.int64),
            "lag": lag[order].astype(np.int16),
            "cell": cell[order].astype(np.int32),
            "value": value[order],
        }


def to_sparse(foot: npt.NDArray[np.float32]) -> Arrays:
    """Return `pointer`, `lag`, `cell`, `value` of dense footprints (receptor, lag, y, x), to the bit."""
    n, lags = foot.shape[:2]
    flat = np.ascontiguousarray(foot).reshape(-1)
    at = np.flatnonzero(flat.view(np.uint32))  # of the bits, for -0 is not 0
    receptor, rest = np.divmod(at, max(1, flat.size // max(1, n)))
    lag, cell = np.divmod(rest, max(1, flat.size // max(1, n * lags)))
    pointer = np.append(0, np.cumsum(np.bincount(receptor, minlength=n))).astype(np.int64)
    return {
        "pointer": pointer, "lag": lag.astype(np.int16), "cell": cell.astype(np.int32), "value": flat[at]
    }  # fmt: skip


def add_dense(arrays: Arrays, row: int, foot: npt.NDArray[np.float32]) -> None:
    """Put the values of one receptor's row into a footprint of zeros, shape (lag, y, x)."""
    span = slice(int(arrays["pointer"][row]), int(arrays["pointer"][row + 1]))
    flat = foot.reshape(foot.shape[0], -1)
    flat[arrays["lag"][span], arrays["cell"][span]] = arrays["value"][span]


def take(arrays: Arrays, rows: npt.NDArray[np.intp]) -> Arrays:
    """Return sparse footprints, and what else is known of them, of some receptors."""
    pointer = arrays["pointer"]
    spans = [np.arange(pointer[r], pointer[r + 1]) for r in rows]
    at = np.concatenate([np.zeros(0, np.int64), *spans])
    count = [span.size for span in spans]
    taken = {name: v[at] if name in NONZERO else v[rows] for name, v in arrays.items() if name != "pointer"}
    return taken | {"pointer": np.append(0, np.cumsum(count)).astype(np.int64)}


@dataclass(frozen=True)
class Batch:
    """Footprints of some receptors, sparse.

    rows : which of the receptors asked for
    arrays : by receptor in the order of `rows`, and the footprints as `pointer`, `lag`, `cell`, `value`
    reused : whether they come from a store
    cpu_seconds : that making them took
    left : batches that are still to come, as far as is known
    """

    rows: npt.NDArray[np.intp]
    arrays: Arrays
    reused: bool
    cpu_seconds: float
    left: int

    @classmethod
    def of(
        cls, unique: npt.NDArray[np.intp], arrays: Arrays, inverse: npt.NDArray[np.intp], left: int
    ) -> "Batch":
        """Return a batch of unique receptors as one of all receptors that are the same as one of them.

        inverse : unique receptor of each receptor asked for; arrays without `cpu_seconds` are from a store
        """
        reused = "cpu_seconds" not in arrays
        cpu = 0.0 if reused else float(arrays["cpu_seconds"].item())
        arrays = {name: v for name, v in arrays.items() if name != "cpu_seconds"}
        place = {int(u): n for n, u in enumerate(unique)}
        rows = np.flatnonzero(np.isin(inverse, unique))
        source = np.array([place[int(u)] for u in inverse[rows]], dtype=np.intp)
        return cls(rows, take(arrays, source), reused, cpu, left)

    def add_to(self, n: int, foot: npt.NDArray[np.float32]) -> None:
        """Put the values of the n-th footprint into zeros of shape (lag, y, x)."""
        add_dense(self.arrays, n, foot)

    def others(self, width: int) -> Arrays:
        """Return what is known by receptor besides the footprint; end points for `width` particles."""
        rest = {name: v for name, v in self.arrays.items() if name not in ("pointer", *NONZERO)}
        for name in _ENDS:
            ends = np.full((self.rows.size, width), np.nan, dtype=np.float32)
            kept = min(width, rest[name].shape[1])  # beyond its own particles a receptor has no end point
            ends[:, :kept] = rest[name][:, :kept]
            rest[name] = ends
        return rest
