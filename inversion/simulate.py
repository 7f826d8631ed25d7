"""Observations of a known truth, and whether the stated interval holds it as often as it says."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import eigh

from inversion.covariance import Covariance
from inversion.problem import Problem
from inversion.solver import solve
from inversion.totals import respond
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel

Floats = npt.NDArray[np.float64]
MOST_CELLS = 5000
"""Cells up to which a prior draw is made: it needs the eigenvectors of S, 0.2 GB and a minute there."""


def simulate(
    problem: Problem,
    truth: xr.Dataset,
    rng: np.random.Generator,
    background: Floats | None = None,
    errors: ErrorModel | None = None,
) -> Floats:
    """Return mole fractions H x + background + G g + e that a true flux would give, mol mol-1, shape (obs,).

    Parameters
    ----------
    truth : with `flux` (sector, flux_time, space) on the sectors, flux times and cells of the problem
    background : true background; the problem's own when absent
    errors : model of the errors drawn; the problem's when absent, which holds the errors of data and
        background alike: with a true background, give that of the observations alone

    The parameters g are drawn from their prior.

    Raises
    ------
    DataError
        If the truth does not have the problem's sectors, flux times and cells.
    """
    sectors = tuple(map(str, truth.sector.values))
    if sectors != problem.sectors or truth.flux.size != problem.flux.size:
        raise DataError(
            f"truth: sectors {sectors} and flux of shape {truth.flux.shape}, expected {problem.sectors} and "
            f"{problem.flux.shape[1:]} flux times and cells"
        )
    base = problem.background if background is None else background
    return _observe(
        problem, truth.flux.values.reshape(problem.flux.shape), rng, base, errors or problem.errors
    )


def _observe(
    problem: Problem, flux: Floats, rng: np.random.Generator, background: Floats, errors: ErrorModel
) -> Floats:
    signal = problem.H @ flux.sum(axis=0).ravel()
    parameters = problem.scaled_design @ rng.standard_normal(len(problem.parameters))
    return signal + background + parameters + errors.sample(rng)


@dataclass(frozen=True)
class PriorSampler:
    """Draws from N(x_a, B) as x_a + D (T^1/2 kron S^1/2) white noise.

    flux : prior mean, mol m-2 s-1, shape (sector, flux_time, cell)
    roots : of each sector, T^1/2 and S^1/2
    """

    flux: Floats
    covariances: tuple[Covariance, ...]
    roots: tuple[tuple[Floats, Floats], ...]

    @classmethod
    def of(cls, problem: Problem) -> "PriorSampler":
        """Prepare the roots by eigenvectors, once per problem.

        Raises
        ------
        DataError
            If there are more than MOST_CELLS cells.
        """
        if problem.shape[3] > MOST_CELLS:
            raise DataError(
                f"draws from the prior of {problem.shape[3]} cells, expected at most {MOST_CELLS}"
            )
        roots = tuple((_root(c.time.dense), _root(c.space.dense())) for c in problem.covariances)
        return cls(problem.flux, problem.covariances, roots)

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return one truth, mol m-2 s-1, shape (sector, flux_time, cell)."""
        noise = rng.standard_normal(self.flux.shape)
        parts = [
            c.sd * (time @ white @ space)
            for c, (time, space), white in zip(self.covariances, self.roots, noise, strict=True)
        ]
        return self.flux + np.stack(parts)


def _root(matrix: Floats) -> Floats:
    """Return the symmetric square root of a correlation matrix."""
    values, vectors = eigh(matrix)
    if values[0] < -1e-10 * len(matrix):
        raise DataError(
            f"correlation of {len(matrix)} places has the eigenvalue {values[0]:g}, expected none < 0"
        )
    # What is left below zero is rounding of an eigenvalue that is zero: a smooth S is nearly singular.
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


@dataclass(frozen=True)
class Coverage:
    """How well the stated uncertainty of the domain total holds.

    z : posterior minus truth in units of the posterior sd, shape (draw,)
    """

    z: Floats

    @property
    def inside(self) -> int:
        """Draws whose 95 % interval holds the truth."""
        return int(np.sum(np.abs(self.z) <= 1.959964))

    @property
    def mean_square(self) -> float:
        """Mean of z squared, expected value 1."""
        return float(np.mean(self.z**2))


def coverage(problem: Problem, draws: int, seed: int, believed: ErrorModel | None = None) -> Coverage:
    """Draw truths from the prior, observe each, and test the interval of the total of domain and period.

    Parameters
    ----------
    believed : errors that the analyst assumes, where they are not those that the data have
    """
    rng = np.random.default_rng(seed)
    sampler = PriorSampler.of(problem)
    solution = solve(replace(problem, errors=believed or problem.errors))
    space = problem.coords.cell_area.values.reshape(1, -1)
    time = np.ones((1, problem.shape[2]))
    variance = solution.totals(space, time).posterior_variance[0, -1, 0]
    response = respond(problem, space, time)
    gain = solution.factor.solve(response.data[:, 0, -1, 0])
    z = np.empty(draws)
    for k in range(draws):
        truth = sampler.draw(rng)
        seen = _observe(problem, truth, rng, problem.background, problem.errors)
        mean = response.mean[0, -1, 0] + gain @ replace(problem, mole_fraction=seen).innovation
        z[k] = (mean - np.sum(truth.sum(axis=(0, 1)) * space[0])) / np.sqrt(variance)
    return Coverage(z)
