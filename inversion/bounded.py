"""Fluxes not below a bound: the most probable ones, and the spread of that estimate.

The mode of the posterior N(x, A) within x >= b is x + A m with multipliers m >= 0 that are zero where the
flux is above its bound: a linear complementarity problem in the fluxes at the bound alone, solved exactly by
block principal pivoting (Portugal, Judice and Vicente 1994; Kim and Park 2011, algorithm 2).

The uncertainty is that of randomise-then-optimise (Bardsley et al. 2014): posterior draws, each moved to its
own bounded mode. Where no bound acts that is the Gaussian posterior; where one acts alone, the Gaussian
censored at the bound (Tobin 1958): its mass below lies on the bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from inversion.problem import Problem
from inversion.solution import Solution
from inversion.threads import one_thread
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
KKT = 1e-8
"""How far, in prior sd, a flux may lie beyond its bound, and a multiplier times that sd below 0."""
_FULL_EXCHANGES = 3  # without progress before single exchanges, which always end (Kim and Park 2011)
_MOST_ROUNDS = 1000


@dataclass(frozen=True)
class Bounded:
    """The most probable fluxes within their bound.

    flux : mol m-2 s-1, shape (sector, flux_time, cell)
    multiplier : gain of log density per flux if the bound were lowered, m2 s mol-1, >= 0, same shape
    rounds : exchanges that it took
    """

    flux: Floats
    multiplier: Floats
    rounds: int

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        """Where the bound acts."""
        return self.multiplier > 0


@dataclass(frozen=True)
class BoundedSpread:
    """Spread of the bounded estimate over draws.

    flux_mean, flux_sd : mol m-2 s-1, shape (sector, flux_time, cell)
    totals : in the units of `Solution.totals`, the last sector the sum, shape (draw, region, sector, period)
    """

    flux_mean: Floats
    flux_sd: Floats
    totals: Floats


def bounded(solution: Solution, lower: float = 0.0) -> Bounded:
    """Return the mode of the posterior among fluxes that are nowhere below `lower`, mol m-2 s-1.

    Fluxes whose prior sd is 0 stay at their prior.

    Raises
    ------
    DataError
        If a flux without uncertainty is below the bound, or the posterior covariance of those at the bound is
        singular.
    """
    with one_thread():
        return _Pivoting(solution, lower).mode(solution.flux)


def bounded_spread(
    solution: Solution,
    weights: tuple[Floats, Floats],
    draws: int,
    rng: np.random.Generator,
    lower: float = 0.0,
) -> BoundedSpread:
    """Return the spread of the bounded estimate by randomise-then-optimise.

    weights : space_weights (region, cell) and time_weights (period, flux_time), as for `Solution.totals`
    draws : the relative error of an sd is about 1 / sqrt(2 draws)

    Raises
    ------
    DataError
        As `bounded`, or if there are fewer than two draws.
    """
    if draws < 2:
        raise DataError(f"{draws} draws, expected at least 2")
    mean, square, totals = np.zeros_like(solution.flux), np.zeros_like(solution.flux), []
    with one_thread():
        pivoting = _Pivoting(solution, lower)
        for k, draw in enumerate(_posterior_draws(solution, draws, rng), start=1):
            flux = pivoting.mode(draw).flux
            before = flux - mean
            mean = mean + before / k
            square += before * (flux - mean)
            totals.append(_totals(flux, *weights))
    return BoundedSpread(mean, np.sqrt(square / (draws - 1)), np.stack(totals))


def _posterior_draws(solution: Solution, draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield draws of the flux: prior draws, corrected by data simulated from them (Matheron's rule)."""
    problem = solution.problem
    for _ in range(draws):
        apart = np.stack([c.sample(rng) for c in problem.covariances])
        seen = problem.H @ apart.sum(axis=0).ravel() + problem.errors.sample(rng)
        seen += problem.scaled_design @ rng.standard_normal(len(problem.parameters))
        yield problem.flux + apart + _update(problem, solution.factor.solve(problem.innovation - seen))


def _update(problem: Problem, weights: Floats) -> Floats:
    """Return B H' times weights of the data."""
    seen = (problem.H.T @ weights).reshape(problem.flux.shape[1:])
    return np.stack([covariance @ seen for covariance in problem.covariances])


def _totals(flux: Floats, space: Floats, time: Floats) -> Floats:
    parts = (time @ flux @ space.T).transpose(2, 0, 1)
    return np.concatenate([parts, parts.sum(axis=1, keepdims=True)], axis=1)


class _Pivoting:
    """Modes within a bound of normal distributions that share the posterior covariance of one solution."""

    def __init__(self, solution: Solution, lower: float) -> None:
        problem = solution.problem
        self.problem, self.factor, self.lower = problem, solution.factor, lower
        self.sd = np.stack([c.sd for c in problem.covariances]).ravel()
        self.free = self.sd > 0
        stuck = ~self.free & (problem.flux.ravel() < lower)
        if stuck.any():
            raise DataError(
                f"bounded fluxes: {int(stuck.sum())} without uncertainty are below {lower:g} mol m-2 s-1, "
                f"least {problem.flux.min():g}; expected a prior within the bound"
            )

    def mode(self, mean: Floats) -> Bounded:
        """Return the mode of N(mean, A) within the bound."""
        above = mean.ravel() - self.lower
        at = np.flatnonzero(self.free & (above < 0))
        fewest, patience = self.sd.size + 1, _FULL_EXCHANGES
        for rounds in range(_MOST_ROUNDS):
            multiplier, slack = self._solve(above, at)
            wrong = np.flatnonzero(
                self.free & ((multiplier * self.sd < -KKT) | ((slack < -KKT * self.sd) & (multiplier == 0)))
            )
            if not wrong.size:
                shape = mean.shape
                return Bounded((slack + self.lower).reshape(shape), multiplier.reshape(shape), rounds)
            if wrong.size < fewest:
                fewest, patience = wrong.size, _FULL_EXCHANGES
            elif patience:
                patience -= 1
            else:
                wrong = wrong[-1:]
            at = np.setxor1d(at, wrong)
        raise DataError(f"bounded fluxes: {wrong.size} still beyond their bound after {_MOST_ROUNDS} rounds")

    def _solve(self, above: Floats, at: Ints) -> tuple[Floats, Floats]:
        """Return multipliers that put the fluxes `at` on their bound, and every flux less its bound."""
        multiplier = np.zeros(above.size)
        if not at.size:
            return multiplier, above
        scale = self.sd[at]
        covariance = self._covariance(at) / (scale[:, None] * scale)
        try:
            multiplier[at] = -cho_solve(cho_factor(covariance, lower=True), above[at] / scale) / scale
        except LinAlgError as fault:
            raise DataError(
                f"bounded fluxes: the posterior covariance of {at.size} at the bound is singular ({fault}); "
                "expected a prior less smooth, or a bound that fewer fluxes reach"
            ) from None
        field = multiplier.reshape(self.problem.flux.shape)
        moved = np.stack([c @ v for c, v in zip(self.problem.covariances, field, strict=True)])
        seen = self.problem.H @ moved.sum(axis=0).ravel()
        slack = above + (moved - _update(self.problem, self.factor.solve(seen))).ravel()
        return multiplier, slack

    def _covariance(self, at: Ints) -> Floats:
        """Return the posterior covariance A between the fluxes `at`."""
        shape = self.problem.flux.shape
        sector, time, cell = np.unravel_index(at, shape)
        prior, seen = np.zeros((at.size, at.size)), np.zeros((self.problem.shape[0], at.size))
        for j, (s, t, c) in enumerate(zip(sector, time, cell, strict=True)):
            unit = np.zeros(shape[1:])
            unit[t, c] = 1.0
            column = self.problem.covariances[s] @ unit
            seen[:, j] = self.problem.H @ column.ravel()
            same = sector == s
            prior[same, j] = column[time[same], cell[same]]
        white = self.factor.whiten(seen)
        return (prior + prior.T) / 2 - white.T @ white
