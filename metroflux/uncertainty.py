"""Observation-error components: R = D + A + U U', random parts per datum and causes that data share.

A is what of the random parts is correlated in time at a site (`correlated.SiteCorrelated`).

On a dataset they are `random_sd` (obs, random), the standard uncertainty of each random part, and
`shared_column` (obs, shared), for each shared cause its sensitivity times its standard uncertainty.
R is never formed: its rank stays small, and every product goes through the components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import cho_factor, cho_solve

from metroflux.correlated import ChainFactor, SiteCorrelated
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
_BLOCK = 512  # columns added to a matrix at a time, to need little memory beside it


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
    """R = D + A + U U' by cause, products with R and its inverse without forming R.

    random : causes and variances of the diagonal parts, (mol mol-1)2, each shape (obs,)
    columns : U, mol mol-1, shape (obs, rank)
    causes : cause of each column of U
    correlated : the parts of A, all of the same sites and times
    traceable_to : what each column of U rests on; empty = not stated
    """

    random: dict[str, Floats]
    columns: Floats
    causes: tuple[str, ...]
    correlated: tuple[SiteCorrelated, ...] = ()
    traceable_to: tuple[str, ...] = ()

    @classmethod
    def from_datasets(
        cls,
        observations: xr.Dataset,
        background: xr.Dataset | None = None,
        durations: Mapping[str, float] | None = None,
    ) -> "ErrorModel":
        """Return the model of observations, or of observation minus background.

        A shared cause of the same name in both is one cause: its columns are subtracted, so that a tank
        behind tower and background cancels as it does in nature. Random parts are independent, but for
        those named in `durations`, s, which are correlated in time at each site.

        Raises
        ------
        DataError
            If a datum has no independent random error at all, or a duration is wrong.
        """
        n = observations.sizes["obs"]
        random: dict[str, Floats] = {}
        columns: dict[str, Shared] = {}
        for ds, sign in ((observations, 1.0), (background, -1.0)):
            if ds is None:
                continue
            parts, shared = components(ds)
            for part in parts:
                random[part.name] = random.get(part.name, np.zeros(n)) + part.sd**2
            for term in shared:
                before = columns.get(term.name)
                summed = sign * term.column + (0.0 if before is None else before.column)
                columns[term.name] = replace(before or term, column=summed)
        correlated = _correlated(random, observations, durations or {})
        model = cls(
            {name: v for name, v in random.items() if name not in (durations or {})},
            np.stack([c.column for c in columns.values()], axis=1) if columns else np.zeros((n, 0)),
            tuple(c.cause for c in columns.values()),
            correlated,
            tuple(c.traceable_to for c in columns.values()),
        )
        if np.any(model.diagonal <= 0):
            first = int(np.argmax(model.diagonal <= 0))
            raise DataError(
                f"datum {first} has no random error; expected a positive sd in at least one random part that "
                "is independent from datum to datum"
            )
        return model

    @property
    def diagonal(self) -> Floats:
        """D, (mol mol-1)2, shape (obs,)."""
        return np.sum(list(self.random.values()), axis=0) if self.random else np.zeros(len(self.columns))

    @property
    def variance(self) -> Floats:
        """Diagonal of R, (mol mol-1)2, shape (obs,)."""
        return self.diagonal + np.sum(self.columns**2, axis=1) + sum(p.sd**2 for p in self.correlated)

    @property
    def materials(self) -> tuple[str, ...]:
        """What each column of U rests on."""
        return self.traceable_to or ("not stated",) * len(self.causes)

    def dense(self) -> Floats:
        """Return R itself, shape (obs, obs): for tests."""
        out = np.zeros((len(self.columns),) * 2)
        self.add_to(out)
        return out

    def add_to(self, matrix: Floats) -> None:
        """Add R to a matrix in its own memory, shape (obs, obs): for the solver's C = HBH' + R."""
        for start in range(0, len(matrix), _BLOCK):
            some = slice(start, start + _BLOCK)
            matrix[:, some] += self.columns @ self.columns[some].T
        matrix[np.diag_indices(len(matrix))] += self.diagonal
        for part in self.correlated:
            part.add_to(matrix)

    def block(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Floats:
        """Return R[rows, columns]."""
        same = rows[:, None] == columns
        out: Floats = self.columns[rows] @ self.columns[columns].T + same * self.diagonal[columns]
        for part in self.correlated:
            out += part.block(rows, columns)
        return out

    def __matmul__(self, x: Floats) -> Floats:
        """Return R x, shape (obs,) or (obs, k)."""
        out: Floats = (self.diagonal * x.T).T + self.columns @ (self.columns.T @ x)
        for part in self.correlated:
            out += part @ x
        return out

    def solve(self, rhs: Floats) -> Floats:
        """Return R^-1 rhs by the Woodbury identity; rhs has shape (obs,) or (obs, k)."""
        scaled = self._solve_own(rhs)
        if not self.columns.shape[1]:
            return scaled
        weighted = self._solve_own(self.columns)
        small = np.eye(self.columns.shape[1]) + self.columns.T @ weighted
        return scaled - weighted @ cho_solve(cho_factor(small, lower=True), self.columns.T @ scaled)

    def logdet(self) -> float:
        """Return log det R by the matrix determinant lemma."""
        small = np.eye(self.columns.shape[1]) + self.columns.T @ self._solve_own(self.columns)
        own = self._chain.logdet if self.correlated else np.sum(np.log(self.diagonal))
        return float(own + np.linalg.slogdet(small)[1])

    def sample(self, rng: np.random.Generator) -> Floats:
        """Return one draw of the errors, mol mol-1, shape (obs,): each shared cause drawn once."""
        noise = np.sqrt(self.diagonal) * rng.standard_normal(self.diagonal.size)
        for part in self.correlated:
            noise += part.root(rng.standard_normal(noise.size))
        return noise + self.columns @ rng.standard_normal(self.columns.shape[1])

    def budget(self, k: Floats) -> dict[str, Floats]:
        """Return k' R_c k for each cause c; the parts sum to k' R k.

        k has shape (obs,) or (obs, any), each part () or (any,).
        """
        parts = {name: np.sum((k.T**2 * variance).T, axis=0) for name, variance in self.random.items()}
        for part in self.correlated:
            parts[part.cause] = parts.get(part.cause, 0.0) + np.sum(k * (part @ k), axis=0)
        for cause, share in zip(self.causes, self.columns.T @ k, strict=True):
            parts[cause] = parts.get(cause, 0.0) + share**2
        return parts

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "ErrorModel":
        """Return the model of a subset of the data."""
        return replace(
            self,
            random={n: v[rows] for n, v in self.random.items()},
            columns=self.columns[rows],
            correlated=tuple(part.take(rows) for part in self.correlated),
        )

    @cached_property
    def _chain(self) -> ChainFactor:
        return ChainFactor.of(self.diagonal, self.correlated)

    def _solve_own(self, rhs: Floats) -> Floats:
        """Return (D + A)^-1 rhs."""
        return self._chain.solve(rhs) if self.correlated else (rhs.T / self.diagonal).T


def _correlated(
    random: Mapping[str, Floats], observations: xr.Dataset, durations: Mapping[str, float]
) -> tuple[SiteCorrelated, ...]:
    wrong = [
        f"{name} ({value})" for name, value in durations.items() if not (np.isfinite(value) and value > 0)
    ]
    unknown = [name for name in durations if name not in random]
    if wrong or unknown:
        raise DataError(
            f"durations of random errors: {', '.join(wrong + unknown)}; expected positive seconds for "
            "some of "
            f"{', '.join(random)}"
        )
    if not durations:
        return ()
    site = observations["site"].values.astype(str)
    time = observations["time"].values.astype("datetime64[ns]")
    seconds = (time - time.min()) / np.timedelta64(1, "s")
    return tuple(SiteCorrelated(c, np.sqrt(random[c]), d, site, seconds) for c, d in durations.items())
