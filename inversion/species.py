"""Several gases at once: in a sector they share, a flux of one tells of the flux of the other.

In units of their sd the prior errors of two gases in one sector have a stated correlation r at one place and
time, and that of the sector besides: cov(x_a, x_b) = r D_a (T kron S) D_b. With r = 1 and the sd in one ratio
everywhere, the emission ratio is known. Errors of the data of different gases are independent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from inversion.checks import refuse
from inversion.covariance import Covariance
from inversion.factor import Factor
from inversion.gram import GramInputs, gram
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.threads import one_thread
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A total of one gas: weights (flux_time, cell) of one sector, or of all together where it is None."""

    species: int
    sector: str | None
    weights: Floats


@dataclass(frozen=True)
class JointSolution:
    """The posterior of several gases; made by `solve_species`.

    problems : one per gas
    correlation : between gases, of each sector that they share, shape (species, species)
    factor : of C of all data, gas after gas
    """

    problems: tuple[Problem, ...]
    correlation: Mapping[str, Floats]
    factor: Factor

    @property
    def _weights(self) -> list[Floats]:
        """C^-1 d of each gas."""
        found = self.factor.solve(np.concatenate([p.innovation for p in self.problems]))
        return np.split(found, np.cumsum([len(p.datum_id) for p in self.problems])[:-1])

    def flux(self, species: int) -> Floats:
        """Return the posterior flux of a gas, mol m-2 s-1, shape (sector, flux_time, cell)."""
        own, out = self.problems[species], self.problems[species].flux.copy()
        for s, sector in enumerate(own.sectors):
            for k, (problem, weights) in enumerate(zip(self.problems, self._weights, strict=True)):
                if sector in problem.sectors:
                    seen = (problem.H.T @ weights).reshape(out.shape[1:])
                    theirs = problem.covariances[problem.sectors.index(sector)]
                    share = _between(self.correlation, sector, species, k)
                    moved = _unit(own.covariances[s]) @ (theirs.sd * seen)
                    out[s] += share * own.covariances[s].sd * moved
        return out

    def totals(self, targets: Sequence[Target]) -> tuple[Floats, Floats]:
        """Return mean and covariance of some totals, mol m-2 s-1 times the unit of the weights.

        Raises
        ------
        DataError
            If a gas does not have the sector.
        """
        parts = [dict(_parts(self.problems[t.species], t)) for t in targets]
        both = list(zip(targets, parts, strict=True))
        prior = np.array([[_shared(self.correlation, t, u) for u in both] for t in both])
        data = np.stack([self._data(t, p) for t, p in zip(targets, parts, strict=True)], axis=1)
        with one_thread():
            white = self.factor.whiten(data)
            mean = white.T @ self.factor.whiten(np.concatenate([p.innovation for p in self.problems]))
        before = [_prior_total(self.problems[t.species], t) for t in targets]
        return before + mean, prior - white.T @ white

    def _data(self, target: Target, parts: Mapping[str, tuple[Floats, Floats]]) -> Floats:
        """Return the covariance of every datum with a total."""
        out = []
        for k, problem in enumerate(self.problems):
            field = np.zeros(problem.flux.shape[1:])
            for sector, (_, smooth) in parts.items():
                if sector in problem.sectors:
                    share = _between(self.correlation, sector, target.species, k)
                    field += share * problem.covariances[problem.sectors.index(sector)].sd * smooth
            out.append(problem.H @ field.ravel())
        return np.concatenate(out)


def solve_species(
    problems: Sequence[Problem], correlation: Mapping[str, Floats], mapper: Mapper = serial
) -> JointSolution:
    """Return the joint posterior of several gases on the same cells and flux times.

    correlation : of each sector that gases share, shape (species, species); sectors not named are independent

    Raises
    ------
    DataError
        If flux times, cells or the correlation of a shared sector differ, or a matrix is no correlation.
    """
    refuse(_faults(problems, correlation))
    label = np.repeat(np.arange(len(problems)), [len(p.datum_id) for p in problems])
    C = np.zeros((label.size,) * 2)
    for k, problem in enumerate(problems):
        at = np.flatnonzero(label == k)
        C[np.ix_(at, at)] = problem.errors.dense() + problem.scaled_design @ problem.scaled_design.T
    for sector in dict.fromkeys(s for p in problems for s in p.sectors):
        share = correlation.get(sector, np.eye(len(problems)))
        C += share[np.ix_(label, label)] * _gram(problems, sector, mapper)
    return JointSolution(tuple(problems), dict(correlation), Factor.of(C))


def _gram(problems: Sequence[Problem], sector: str, mapper: Mapper) -> Floats:
    """Return H D (T kron S) D H' of one sector between all data of all gases."""
    rows, unit = [], None
    for problem in problems:
        if sector in problem.sectors:
            covariance = problem.covariances[problem.sectors.index(sector)]
            rows.append(csr_array(problem.H.multiply(covariance.sd.ravel())))
            unit = unit or _unit(covariance)
        else:
            rows.append(csr_array(problem.H.shape))
    assert unit is not None  # noqa: S101 - the sector is one of some gas
    stacked = csr_array(vstack(rows, format="csr"))
    sliced = SlicedRows.from_csr(stacked, problems[0].shape[2])
    return gram(GramInputs.of(sliced, (unit,)), mapper)


def _unit(covariance: Covariance) -> Covariance:
    return replace(covariance, sd=np.ones_like(covariance.sd))


def _between(correlation: Mapping[str, Floats], sector: str, a: int, b: int) -> float:
    return float(correlation[sector][a, b]) if sector in correlation else float(a == b)


def _parts(problem: Problem, target: Target) -> Iterator[tuple[str, tuple[Floats, Floats]]]:
    """Yield D w and (T kron S) D w of each sector of a target."""
    if target.sector is not None and target.sector not in problem.sectors:
        raise DataError(f"total: no sector '{target.sector}', expected one of {', '.join(problem.sectors)}")
    for sector, covariance in zip(problem.sectors, problem.covariances, strict=True):
        if target.sector in (None, sector):
            scaled = covariance.sd * target.weights
            yield sector, (scaled, _unit(covariance) @ scaled)


def _shared(
    correlation: Mapping[str, Floats],
    first: tuple[Target, Mapping[str, tuple[Floats, Floats]]],
    second: tuple[Target, Mapping[str, tuple[Floats, Floats]]],
) -> float:
    """Return the prior covariance of two totals."""
    (t, p), (u, q) = first, second
    return sum(
        _between(correlation, sector, t.species, u.species) * float(np.vdot(p[sector][0], q[sector][1]))
        for sector in p.keys() & q.keys()
    )


def _prior_total(problem: Problem, target: Target) -> float:
    chosen = [target.sector in (None, sector) for sector in problem.sectors]
    return float(np.vdot(problem.flux[chosen].sum(axis=0), target.weights))


def _faults(problems: Sequence[Problem], correlation: Mapping[str, Floats]) -> Iterator[str]:
    first = problems[0]
    for k, problem in enumerate(problems[1:], start=1):
        bounds = "flux_time_bounds"
        if problem.shape[2:] != first.shape[2:] or (problem.coords[bounds] != first.coords[bounds]).any():
            yield f"gas {k}: flux times or cells differ from those of gas 0"
    known = {s for p in problems for s in p.sectors}
    for sector, matrix in correlation.items():
        if sector not in known:
            yield f"correlation of '{sector}', expected one of {', '.join(sorted(known))}"
        elif matrix.shape != (len(problems),) * 2 or not np.allclose(np.diag(matrix), 1):
            yield f"correlation of '{sector}' is not a correlation of {len(problems)} gases"
        elif (matrix != matrix.T).any() or np.linalg.eigvalsh(matrix)[0] < 0:
            yield f"correlation of '{sector}' is not symmetric and positive"
        stated = [p.prior_errors[p.sectors.index(sector)] for p in problems if sector in p.sectors]
        if any(repr(s) != repr(stated[0]) for s in stated):
            yield f"sector '{sector}': length, duration or form differ between gases, expected one for all"
