"""The posterior with the uncertainty of its hyperparameters: Gaussian posteriors at a few of their values.

p(x | y) = integral p(x | y, theta) p(theta | y) dtheta, by Gauss-Hermite quadrature about the maximum of
p(theta | y), each node weighted by the true p(theta | y) over the Gaussian (Naylor and Smith 1982). Above
three hyperparameters: the centre and two points along each axis (Julier and Uhlmann 1997, kappa = 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion.checks import RESERVED_HYPER
from inversion.estimate import Estimate
from inversion.hyper import scaled
from inversion.problem import Problem
from inversion.solution import Solution
from inversion.solver import GIB, estimate_memory, solve
from inversion.totals import TotalsResult
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
MOST_AXES = 3


@dataclass(frozen=True)
class Mixture:
    """Solutions of one problem at several values of its hyperparameters, and how probable each is.

    solutions : the first is at the maximum
    weights : sum to 1, shape (solution,)
    """

    estimate: Estimate
    weights: Floats
    solutions: tuple[Solution, ...]

    @property
    def mode(self) -> Solution:
        """The solution at the most probable hyperparameters."""
        return self.solutions[0]

    @property
    def problem(self) -> Problem:
        """The problem at the most probable hyperparameters."""
        return self.mode.problem

    def fluxes(self) -> tuple[Floats, Floats]:
        """Return mean and sd of the fluxes, mol m-2 s-1, shape (sector, flux_time, cell)."""
        variances = [s.flux_sd**2 for s in self.solutions]
        mean, variance = self.moments([s.flux for s in self.solutions], variances)
        return mean, np.sqrt(variance)

    def posterior(self) -> xr.Dataset:
        """Return the posterior dataset; prior sd is that of the mixture, too."""
        parts = [s.posterior() for s in self.solutions]
        out = parts[0].copy(deep=True)
        for name, values in zip(("flux", "flux_sd"), self.fluxes(), strict=True):
            out[name].values[:] = values.reshape(out[name].shape)
        variances = [p["parameter_sd"].values ** 2 for p in parts]
        mean, variance = self.moments([p["parameter_mean"].values for p in parts], variances)
        out["parameter_mean"].values[:], out["parameter_sd"].values[:] = mean, np.sqrt(variance)
        prior = np.sqrt(self.average([p["prior_flux_sd"].values ** 2 for p in parts]))
        kept = np.divide(out["flux_sd"].values, prior, out=np.ones_like(prior), where=prior > 0)
        out["prior_flux_sd"].values[:], out["uncertainty_reduction"].values[:] = prior, 1 - kept
        kernel = "averaging_kernel_diagonal"
        out[kernel].values[:] = self.average([p[kernel].values for p in parts])
        return out

    def totals(self, space_weights: Floats, time_weights: Floats, mapper: Mapper = serial) -> TotalsResult:
        """Return totals as `Solution.totals`; the budget has the line "hyperparameters" more."""
        parts = [s.totals(space_weights, time_weights, mapper) for s in self.solutions]
        mean, variance = self.moments([p.posterior for p in parts], [p.posterior_variance for p in parts])
        known = self.average([p.budget for p in parts])
        spread = self.moments([p.posterior for p in parts], [np.zeros(mean.shape)] * len(parts))[1]
        between = [(p.posterior - mean).transpose(2, 1, 0) for p in parts]
        sectors = [(p.posterior - mean)[:, :-1].transpose(0, 2, 1) for p in parts]
        resting = self.average([p.traceability * p.posterior_variance[..., None] for p in parts])
        share = np.divide(resting, variance[..., None], out=np.zeros_like(resting), where=resting > 0)
        return replace(
            parts[0],
            causes=(*parts[0].causes, RESERVED_HYPER),
            prior_variance=self.average([p.prior_variance for p in parts]),
            posterior=mean,
            posterior_variance=variance,
            change_variance=self.average([p.change_variance for p in parts]),
            budget=np.concatenate([known, spread[..., None]], axis=-1),
            posterior_covariance=self._covariance([p.posterior_covariance for p in parts], between),
            sector_covariance=self._covariance([p.sector_covariance for p in parts], sectors),
            traceability=share,
        )

    def _covariance(self, parts: Sequence[Floats], apart: Sequence[Floats]) -> Floats:
        """Return the covariance of a mixture whose means lie `apart` from its own, along the last axis."""
        spread = [d[..., :, None] * d[..., None, :] for d in apart]
        return self.average([p + s for p, s in zip(parts, spread, strict=True)])

    def average(self, values: Sequence[Floats]) -> Floats:
        """Return the weighted mean of an array per solution."""
        return np.tensordot(self.weights, np.stack(values), 1)

    def moments(self, means: Sequence[Floats], variances: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Return mean and variance of the mixture of normal distributions."""
        apart = [
            m - means[0] for m in means
        ]  # exactly 0 where all solutions agree, as where nothing is solved
        shift = self.average(apart)
        spread = [v + (a - shift) ** 2 for a, v in zip(apart, variances, strict=True)]
        return means[0] + shift, self.average(spread)


Posterior: TypeAlias = Solution | Mixture
"""What a run hands to products."""


def integrate(
    problem: Problem,
    found: Estimate,
    points: int = 3,
    mapper: Mapper = serial,
    memory_limit: float = 4.0 * GIB,
) -> Mixture:
    """Return the posterior with the hyperparameters integrated over.

    Parameters
    ----------
    problem : with the stated values
    points : of the quadrature along each axis, odd; 1 takes the maximum alone

    Raises
    ------
    DataError
        If `points` is even, or the solutions need more memory than the limit.
    """
    if points < 1 or points % 2 == 0:
        raise DataError(f"hyperparameters: {points} points along each axis, expected an odd number")
    nodes, logs = _nodes(found, points)
    n = problem.shape[0]
    need = estimate_memory(problem) + (len(nodes) - 1) * (16 * n**2 + 24 * problem.flux.size)
    if need > memory_limit:
        raise DataError(
            f"hyperparameters: {len(nodes)} solutions of {n} data need {need / GIB:.2f} GiB, the limit is "
            f"{memory_limit / GIB:.2f} GiB; expected fewer points, hyperparameters or data"
        )
    solutions = tuple(solve(scaled(problem, found.chosen, t), mapper, memory_limit) for t in nodes)
    spread = np.array([h.spread for h in found.chosen])
    density = logs + [_log_evidence(s) for s in solutions] - 0.5 * np.sum((nodes / spread) ** 2, axis=1)
    weights = np.exp(density - density.max())
    return Mixture(found, weights / weights.sum(), solutions)


def _nodes(found: Estimate, points: int) -> tuple[Floats, Floats]:
    """Return values of theta, the maximum first, and log of quadrature weight over Gaussian density."""
    free = np.flatnonzero(found.free)
    z, weight = _grid(free.size, points) if points > 1 else (np.zeros((1, free.size)), np.ones(1))
    theta = np.tile(found.theta, (len(z), 1))
    if free.size:
        theta[:, free] += z @ np.linalg.cholesky(found.covariance[np.ix_(free, free)]).T
    low, high = (np.log([getattr(h, side) for h in found.chosen]) for side in ("low", "high"))
    inside = np.all((theta >= low - 1e-9) & (theta <= high + 1e-9), axis=1)
    logs = np.log(weight) + 0.5 * np.sum(z**2, axis=1)
    order = np.argsort(np.sum(z**2, axis=1), kind="stable")
    kept = order[np.flatnonzero(inside[order])]
    return theta[kept], logs[kept]


def _grid(axes: int, points: int) -> tuple[Floats, Floats]:
    """Return nodes and weights for the standard normal distribution in some dimensions."""
    if axes > MOST_AXES:
        arms = np.sqrt(axes + 1.0) * np.concatenate([np.eye(axes), -np.eye(axes)])
        weight = np.append(1.0, np.full(2 * axes, 0.5)) / (axes + 1)
        return np.concatenate([np.zeros((1, axes)), arms]), weight
    x, w = np.polynomial.hermite_e.hermegauss(points)
    nodes = np.array(list(product(x, repeat=axes))).reshape(-1, axes)
    weights = np.array([np.prod(part) for part in product(w / w.sum(), repeat=axes)])
    return nodes, weights


def _log_evidence(solution: Solution) -> float:
    innovation = solution.problem.innovation
    return -0.5 * (float(innovation @ solution.factor.solve(innovation)) + solution.factor.logdet)
