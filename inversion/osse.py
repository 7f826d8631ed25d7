"""What a network of sites could say: truths drawn from the prior, observed with the full R, and solved for.

One factor per network serves all draws; how much a site matters to a total follows without any draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from inversion.conditioned import posterior_mean
from inversion.crossvalidation import totals_without
from inversion.problem import Problem, take_data
from inversion.solution import Solution
from inversion.solver import solve
from inversion.threads import one_thread
from inversion.totals import Response, respond
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats = npt.NDArray[np.float64]
_HALF = 1.959964  # of the 95 % interval of a normal distribution, in standard uncertainties


@dataclass(frozen=True)
class Scores:
    """How one network does; of totals: of the sum over sectors, shape (region, period).

    draws, data : how many
    prior_sd, sd : of totals, exact
    bias : mean of posterior less truth; its standard error is rmse / sqrt(draws)
    rmse, prior_rmse : of totals
    inside : draws whose 95 % interval holds the truth
    cells_inside : share of draws whose interval holds the flux, of every flux with prior uncertainty, flat
    cells_skill : 1 - mean square error / that of the prior, all fluxes together
    dofs : degrees of freedom for signal
    """

    draws: int
    data: int
    prior_sd: Floats
    sd: Floats
    bias: Floats
    rmse: Floats
    prior_rmse: Floats
    inside: npt.NDArray[np.int64]
    cells_inside: Floats
    cells_skill: float
    dofs: float

    @property
    def skill(self) -> Floats:
        """1 - mean square error / that of the prior; not positive: no skill."""
        return 1 - (self.rmse / self.prior_rmse) ** 2

    @property
    def reduction(self) -> Floats:
        """Share of the prior variance of each total that the data remove, exact."""
        return 1 - (self.sd / self.prior_sd) ** 2


class _Tally:
    """Sums over the draws of one network."""

    def __init__(self, problem: Problem, space: Floats, time: Floats, mapper: Mapper) -> None:
        self.problem, self.solution = problem, solve(problem, mapper)
        self.response = respond(problem, space, time, mapper)
        result = self.solution.totals(space, time, mapper)
        self.prior_sd = np.sqrt(result.prior_variance[:, -1])
        self.sd = np.sqrt(result.posterior_variance[:, -1])
        self.gain = self.solution.factor.solve(_last(self.response))
        shape = self.sd.shape
        self.error, self.square, self.before = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.inside = np.zeros(shape, dtype=np.int64)
        self.cells = np.zeros(self.solution.flux_sd.shape)
        self.left = self.prior_left = 0.0

    def add(self, truth: Floats, want: Floats, seen: Floats) -> None:
        """Solve for the data of one truth and compare."""
        innovation = seen - self.problem.prior_mole_fraction
        found = self.response.mean[:, -1] + (self.gain.T @ innovation).reshape(want.shape)
        error = found - want
        self.error += error
        self.square += error**2
        self.before += (self.response.mean[:, -1] - want) ** 2
        self.inside += np.abs(error) <= _HALF * self.sd
        with one_thread():
            flux = posterior_mean(self.problem, self.solution.factor.solve(innovation))
        self.cells += np.abs(flux - truth) <= _HALF * self.solution.flux_sd
        self.left += float(np.sum((flux - truth) ** 2))
        self.prior_left += float(np.sum((self.problem.flux - truth) ** 2))

    def scores(self, draws: int) -> Scores:
        """Return what the sums say."""
        known = np.stack([c.sd for c in self.problem.covariances]) > 0
        return Scores(
            draws=draws,
            data=len(self.problem.datum_id),
            prior_sd=self.prior_sd,
            sd=self.sd,
            bias=self.error / draws,
            rmse=np.sqrt(self.square / draws),
            prior_rmse=np.sqrt(self.before / draws),
            inside=self.inside,
            cells_inside=self.cells[known] / draws,
            cells_skill=1 - self.left / self.prior_left,
            dofs=degrees(self.solution),
        )


def score(
    problem: Problem,
    networks: Mapping[str, npt.NDArray[np.bool_]],
    weights: tuple[Floats, Floats],
    draws: int,
    seed: int,
    mapper: Mapper = serial,
) -> dict[str, Scores]:
    """Return how each network does, all with the same truths and errors.

    networks : name -> which of the data it has, shape (obs,)
    weights : of totals in space (region, cell) and time (period, flux_time)

    Raises
    ------
    DataError
        If there are no draws or a network has no data.
    """
    empty = [name for name, kept in networks.items() if not kept.any()]
    if draws < 1 or empty:
        raise DataError(f"osse: {draws} draws, networks without data: {empty}; expected 1 or more, and none")
    space, time = weights
    rows = {name: np.flatnonzero(kept) for name, kept in networks.items()}
    tallies = {name: _Tally(take_data(problem, at), space, time, mapper) for name, at in rows.items()}
    for child in np.random.SeedSequence(seed).spawn(draws):
        truth, seen = observe(problem, np.random.default_rng(child))
        want = (time @ truth.sum(axis=0) @ space.T).T
        for name, tally in tallies.items():
            tally.add(truth, want, seen[rows[name]])
    return {name: tally.scores(draws) for name, tally in tallies.items()}


def observe(problem: Problem, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return a truth of the prior, shape (sector, flux_time, cell), and the data it gives, shape (obs,)."""
    truth = problem.flux + np.stack([c.sample(rng) for c in problem.covariances])
    offsets = problem.scaled_design @ rng.standard_normal(len(problem.parameters))
    signal = problem.H @ truth.sum(axis=0).ravel()
    return truth, signal + problem.background + offsets + problem.errors.sample(rng)


def variance_without(
    solution: Solution, space: Floats, time: Floats
) -> tuple[dict[str, Floats], Floats, Floats]:
    """Return variances of totals, shape (region, period): without each site, with all, and of the prior.

    Exact, and independent of what was observed.
    """
    result = solution.totals(space, time)
    without = totals_without(solution, solution.problem.site, space, time)
    return (
        {name: sd[:, -1] ** 2 for name, (_, sd) in without.items()},
        result.posterior_variance[:, -1],
        result.prior_variance[:, -1],
    )


def degrees(solution: Solution) -> float:
    """Return the degrees of freedom for signal, of fluxes and parameters: n - tr(R C^-1)."""
    design = solution.problem.scaled_design
    with one_thread():
        return float(np.sum((solution.gram + design @ design.T) * solution.factor.inverse()))


def binomial_bounds(inside: int, draws: int, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a share that `inside` of `draws` leave possible (Clopper and Pearson 1934).

    >>> [round(x, 3) for x in binomial_bounds(190, 200)]
    [0.91, 0.976]
    """
    tail = (1 - level) / 2
    low = beta.ppf(tail, inside, draws - inside + 1) if inside else 0.0
    high = beta.ppf(1 - tail, inside + 1, draws - inside) if inside < draws else 1.0
    return float(low), float(high)


def networks_of(
    site: npt.NDArray[np.str_], without: Sequence[Sequence[str]], added: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which data each network has: as configured, without some sites each, with each added site.

    Raises
    ------
    DataError
        If a site has no data.
    """
    unknown = sorted({name for group in without for name in group} - set(site))
    if unknown:
        raise DataError(
            f"osse: no data of site {', '.join(unknown)}, expected some of {', '.join(sorted(set(site)))}"
        )
    configured = ~np.isin(site, list(added))
    out = {"as configured": configured}
    out |= {f"without {', '.join(g)}": configured & ~np.isin(site, list(g)) for g in without}
    return out | {f"with {name}": configured | (site == name) for name in added}


def _last(response: Response) -> Floats:
    """Return HBw of the sums over sectors, shape (obs, region period)."""
    return response.data[:, :, -1].reshape(len(response.data), -1)
