"""Log evidence of the data as a function of hyperparameters, and its gradient.

log p(y | theta) = -(d'C^-1 d + log det C + n log 2 pi) / 2 and
d log p / d theta = (a' dC a - tr(C^-1 dC)) / 2 with a = C^-1 d (Rasmussen and Williams 2006, equations 5.8
and 5.9).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from inversion.factor import Factor
from inversion.gram import GramInputs, gram
from inversion.hyper import Hyperparameter, mismatch_slope, scaled
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.slopes import slope
from inversion.threads import one_thread
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
What = Literal["value", "length", "duration"]


@dataclass(frozen=True)
class Evaluation:
    """Log evidence (data in mol mol-1), without the hyperparameters' own prior, and its gradient by theta."""

    value: float
    gradient: Floats


@dataclass
class Evidence:
    """Log evidence of a problem whose stated values are multiplied by exp(theta).

    HBH' of each sector is kept for the last length and duration: a change of sd alone costs no new one.
    """

    problem: Problem
    chosen: Sequence[Hyperparameter]
    mapper: Mapper = serial
    _kept: dict[tuple[str, str], tuple[tuple[float, float], Floats]] = field(default_factory=dict)

    def at(self, theta: Floats) -> Evaluation:
        """Return log evidence and gradient.

        Raises
        ------
        DataError
            If C is not positive definite there.
        """
        problem = scaled(self.problem, self.chosen, theta)
        with one_thread():
            grams = [self._gram(problem, theta, s, "value") for s in range(len(problem.sectors))]
            design = problem.scaled_design
            factor = Factor.of(np.sum(grams, axis=0) + design @ design.T + problem.errors.dense())
            weights = factor.solve(problem.innovation)
            rest = np.outer(weights, weights) - factor.inverse()
            gradient = [self._slope(problem, theta, h, grams, rest) for h in self.chosen]
        n = len(weights)
        chi2 = float(problem.innovation @ weights)
        return Evaluation(-0.5 * (chi2 + factor.logdet + n * np.log(2 * np.pi)), np.array(gradient))

    def _slope(
        self, problem: Problem, theta: Floats, h: Hyperparameter, grams: Sequence[Floats], rest: Floats
    ) -> float:
        if h.kind == "mismatch":
            return 0.5 * mismatch_slope(problem, h, rest)
        at = [problem.sectors.index(name) for name in h.of]
        if h.kind == "prior_sd":
            return float(sum(np.vdot(rest, grams[s]) for s in at))
        return 0.5 * float(sum(np.vdot(rest, self._gram(problem, theta, s, h.kind)) for s in at))

    def _gram(self, problem: Problem, theta: Floats, sector: int, what: What) -> Floats:
        """Return HBH' of a sector, or its slope: that of the stated sd, scaled."""
        name, setting = problem.sectors[sector], problem.prior_errors[sector]
        key, shape = (name, what), (setting.length, setting.duration)
        if key not in self._kept or self._kept[key][0] != shape:
            stated = replace(problem.covariances[sector], sd=self.problem.covariances[sector].sd)
            part = stated if what == "value" else slope(stated, what)
            rows = SlicedRows.from_csr(problem.H, problem.shape[2])
            self._kept[key] = shape, gram(GramInputs.of(rows, (part,)), self.mapper)
        scaling = sum(
            t for h, t in zip(self.chosen, theta, strict=True) if h.kind == "prior_sd" and name in h.of
        )
        return float(np.exp(2 * scaling)) * self._kept[key][1]
