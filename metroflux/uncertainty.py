"""Observation-error components: R = D + U U', random parts per datum and causes that data share.

On a dataset they are `random_sd` (obs, random), the standard uncertainty of each random part, and
`shared_column` (obs, shared), for each shared cause its sensitivity times its standard uncertainty.
R is never formed: its rank stays small, and every product goes through the components.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import cho_factor, cho_solve

from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Random:
    """A random error, independent from datum to datum.

    name : the cause, for example "repeatability"
    sd : standard uncertainty of each datum, mol mol-1, shape (obs,)
    """

    name: str
    sd: Floats


@dataclass(frozen=True)
class Shared:
    """An error with one cause common to many data.

    name : unique id, for example "scale-offset"
    cause : the line of the budget it belongs to, for example "calibration"
    column : sensitivity times standard uncertainty of each datum, mol mol-1, shape (obs,); signed
    traceable_to : id of the reference material, certificate or model it rests on
    """

    name: str
    cause: str
    column: Floats
    traceable_to: str = "not stated"


def attach(ds: xr.Dataset, random: Sequence[Random], shared: Sequence[Shared]) -> xr.Dataset:
    """Return the dataset (dim obs) with its error components added to those it has.

    Raises
    ------
    DataError
        If a component has the wrong length, is not finite, has a negative sd, or a name already used.
    """
    n = ds.sizes["obs"]
    old_random, old_shared = components(ds) if "random_sd" in ds.variables else ([], [])
    all_random, all_shared = [*old_random, *random], [*old_shared, *shared]
    for name, values in [(r.name, r.sd) for r in all_random] + [(s.name, s.column) for s in all_shared]:
        if values.shape != (n,):
            raise DataError(f"error component '{name}' has shape {values.shape}, expected ({n},)")
        if not np.all(np.isfinite(values)):
            bad = np.flatnonzero(~np.isfinite(values))
            raise DataError(
                f"error component '{name}' is not finite for {bad.size} data, first datum {bad[0]}"
            )
    for part in all_random:
        if np.any(part.sd < 0):
            raise DataError(f"error component '{part.name}' has a negative sd ({part.sd.min():g} mol mol-1)")
    for names in ([r.name for r in all_random], [s.name for s in all_shared]):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"error component given twice: {', '.join(twice)}")
    sd = np.stack([r.sd for r in all_random], axis=1) if all_random else np.zeros((n, 0))
    columns = np.stack([s.column for s in all_shared], axis=1) if all_shared else np.zeros((n, 0))
    bare = ds.drop_dims(["random", "shared"], errors="ignore")
    return bare.assign(
        random_sd=(
            ("obs", "random"),
            sd,
            {"units": "mol mol-1", "long_name": "standard uncertainty of random parts"},
        ),
        shared_column=(
            ("obs", "shared"),
            columns,
            {"units": "mol mol-1", "long_name": "sensitivity times standard uncertainty, per shared cause"},
        ),
    ).assign_coords(
        random=("random", _text([r.name for r in all_random])),
        shared=("shared", _text([s.name for s in all_shared])),
        shared_cause=("shared", _text([s.cause for s in all_shared])),
        shared_traceable_to=("shared", _text([s.traceable_to for s in all_shared])),
    )


def components(ds: xr.Dataset) -> tuple[list[Random], list[Shared]]:
    """Return the error components of a dataset."""
    random = [Random(str(n), ds.random_sd.values[:, i]) for i, n in enumerate(ds.random.values)]
    shared = [
        Shared(
            str(n),
            str(ds.shared_cause.values[i]),
            ds.shared_column.values[:, i],
            str(ds.shared_traceable_to.values[i]),
        )
        for i, n in enumerate(ds.shared.values)
    ]
    return random, shared


def _text(names: list[str]) -> np.ndarray:
    return np.array(names, dtype=str) if names else np.empty(0, dtype="<U1")


@dataclass(frozen=True)
class ErrorModel:
    """R = D + U U' by cause, products with R and its inverse without forming R.

    random : causes and variances of the diagonal parts, (mol mol-1)2, each shape (obs,)
    columns : U, mol mol-1, shape (obs, rank)
    causes : cause of each column of U
    """

    random: dict[str, Floats]
    columns: Floats
    causes: tuple[str, ...]

    @classmethod
    def from_datasets(cls, observations: xr.Dataset, background: xr.Dataset | None = None) -> "ErrorModel":
        """Return the model of observations, or of observation minus background.

        A shared cause of the same name in both is one cause: its columns are subtracted, so that a tank
        behind tower and background cancels as it does in nature. Random parts are independent.

        Raises
        ------
        DataError
            If a datum has no random error at all (R would be singular).
        """
        n = observations.sizes["obs"]
        random: dict[str, Floats] = {}
        columns: dict[str, Floats] = {}
        causes: dict[str, str] = {}
        for ds, sign in ((observations, 1.0), (background, -1.0)):
            if ds is None:
                continue
            parts, shared = components(ds)
            for part in parts:
                random[part.name] = random.get(part.name, np.zeros(n)) + part.sd**2
            for term in shared:
                columns[term.name] = columns.get(term.name, np.zeros(n)) + sign * term.column
                causes.setdefault(term.name, term.cause)
        matrix = np.stack(list(columns.values()), axis=1) if columns else np.zeros((n, 0))
        model = cls(random, matrix, tuple(causes.values()))
        if np.any(model.diagonal <= 0):
            first = int(np.argmax(model.diagonal <= 0))
            raise DataError(
                f"datum {first} has no random error; expected a positive sd in at least one random part"
            )
        return model

    @property
    def diagonal(self) -> Floats:
        """D, (mol mol-1)2, shape (obs,)."""
        return np.sum(list(self.random.values()), axis=0) if self.random else np.zeros(len(self.columns))

    @property
    def variance(self) -> Floats:
        """Diagonal of R, (mol mol-1)2, shape (obs,)."""
        return self.diagonal + np.sum(self.columns**2, axis=1)

    def dense(self) -> Floats:
        """Return R itself, shape (obs, obs): for the solver's C = HBH' + R and for tests."""
        return np.diag(self.diagonal) + self.columns @ self.columns.T

    def solve(self, rhs: Floats) -> Floats:
        """Return R^-1 rhs by the Woodbury identity; rhs has shape (obs,) or (obs, k)."""
        scaled = (rhs.T / self.diagonal).T
        if not self.columns.shape[1]:
            return scaled
        weighted = self.columns / self.diagonal[:, None]
        small = np.eye(self.columns.shape[1]) + self.columns.T @ weighted
        return scaled - weighted @ cho_solve(cho_factor(small, lower=True), self.columns.T @ scaled)

    def logdet(self) -> float:
        """Return log det R by the matrix determinant lemma."""
        small = np.eye(self.columns.shape[1]) + self.columns.T @ (self.columns / self.diagonal[:, None])
        return float(np.sum(np.log(self.diagonal)) + np.linalg.slogdet(small)[1])

    def sample(self, rng: np.random.Generator) -> Floats:
        """Return one draw of the errors, mol mol-1, shape (obs,): each shared cause drawn once."""
        noise = np.sqrt(self.diagonal) * rng.standard_normal(self.diagonal.size)
        return noise + self.columns @ rng.standard_normal(self.columns.shape[1])

    def budget(self, k: Floats) -> dict[str, float]:
        """Return k' R_c k for each cause c; the parts sum to k' R k. k has shape (obs,)."""
        parts = {name: float(np.sum(k**2 * variance)) for name, variance in self.random.items()}
        for cause, column in zip(self.causes, self.columns.T, strict=True):
            parts[cause] = parts.get(cause, 0.0) + float(column @ k) ** 2
        return parts

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "ErrorModel":
        """Return the model of a subset of the data."""
        return ErrorModel({n: v[rows] for n, v in self.random.items()}, self.columns[rows], self.causes)
