"""How often the stated interval holds the truth: truths drawn, observed and solved for, again and again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inversion.estimate import estimate
from inversion.hyper import Hyperparameter, scaled
from inversion.mixture import Mixture, Posterior, integrate
from inversion.problem import Problem
from inversion.simulate import draw_flux, observe
from inversion.solver import solve
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
_HALF = 1.959964  # of the 95 % interval of a normal distribution, in standard uncertainties


@dataclass(frozen=True)
class Repeated:
    """What is drawn, and how it is solved: sent to each worker once.

    chosen : hyperparameters, drawn from their prior with each truth, and estimated; none: all as stated
    points : of the quadrature over them
    space_weights, time_weights : of the totals, as for `Solution.totals`
    """

    problem: Problem
    chosen: tuple[Hyperparameter, ...]
    points: int
    space_weights: Floats
    time_weights: Floats


@dataclass(frozen=True)
class Repetition:
    """Posterior less truth over posterior sd, for each draw.

    totals : of the sum over sectors, shape (draw, region, period)
    cells : shape (draw, sector, flux_time, cell); NaN where the prior has no uncertainty
    """

    totals: Floats
    cells: Floats

    @staticmethod
    def inside(z: Floats) -> Floats:
        """Return the share of draws whose 95 % interval holds the truth, of each quantity."""
        return np.mean(np.abs(z) <= _HALF, axis=0)


def repeat(given: Repeated, draws: int, seed: int, mapper: Mapper = serial) -> Repetition:
    """Return how far the posterior lies from the truth, in its own sd, over many truths.

    Truth, data and, if any are chosen, hyperparameters come from the prior of each, so that a right posterior
    holds them in 95 % of draws. The bits do not depend on the workers: every draw has its own seed.
    """
    seeds = np.random.SeedSequence(seed).spawn(draws)
    found = list(mapper(_once, given, seeds))
    return Repetition(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))


def _once(given: Repeated, seed: np.random.SeedSequence) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    nature = scaled(given.problem, given.chosen, _theta(given.chosen, rng))
    truth = draw_flux(nature, rng)
    seen = observe(nature, truth, rng, nature.background, nature.errors)
    solution = _solve(given, replace(given.problem, mole_fraction=seen))
    totals = solution.totals(given.space_weights, given.time_weights)
    want = (given.time_weights @ truth.sum(axis=0) @ given.space_weights.T).T
    z = (totals.posterior[:, -1] - want) / np.sqrt(totals.posterior_variance[:, -1])
    flux, sd = solution.fluxes() if isinstance(solution, Mixture) else (solution.flux, solution.flux_sd)
    return z, np.divide(flux - truth, sd, out=np.full_like(sd, np.nan), where=sd > 0)


def _theta(chosen: Sequence[Hyperparameter], rng: np.random.Generator) -> Floats:
    """Return logarithms of multipliers drawn from their prior, which ends at the limits."""
    out = np.empty(len(chosen))
    for k, h in enumerate(chosen):
        out[k] = h.spread * rng.standard_normal()
        while not np.log(h.low) < out[k] < np.log(h.high):
            out[k] = h.spread * rng.standard_normal()
    return out


def _solve(given: Repeated, problem: Problem) -> Posterior:
    if not given.chosen:
        return solve(problem)
    return integrate(problem, estimate(problem, given.chosen), given.points)
