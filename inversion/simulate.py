"""Observations of a known truth, and whether the stated interval holds it as often as it says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion.problem import Problem
from inversion.solver import solve
from inversion.totals import respond
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel

Floats = npt.NDArray[np.float64]


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
    return observe(
        problem, truth.flux.values.reshape(problem.flux.shape), rng, base, errors or problem.errors
    )


def observe(
    problem: Problem, flux: Floats, rng: np.random.Generator, background: Floats, errors: ErrorModel
) -> Floats:
    """Return H x + background + G g + e of a flux, mol mol-1, shape (obs,); g is drawn from its prior.

    flux : mol m-2 s-1, shape (sector, flux_time, cell)
    """
    signal = problem.H @ flux.sum(axis=0).ravel()
    parameters = problem.scaled_design @ rng.standard_normal(len(problem.parameters))
    return signal + background + parameters + errors.sample(rng)


def draw_flux(problem: Problem, rng: np.random.Generator) -> Floats:
    """Return one truth from N(x_a, B), mol m-2 s-1, shape (sector, flux_time, cell)."""
    return problem.flux + np.stack([c.sample(rng) for c in problem.covariances])


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


def coverage(
    problem: Problem, weight: Floats, draws: int, seed: int, believed: Sequence[ErrorModel]
) -> list[Coverage]:
    """Draw truths from the prior, observe each, and test the intervals of a total of the domain.

    Parameters
    ----------
    weight : of each flux time in the total, shape (flux_time,)
    believed : errors that an analyst assumes, of which one may be those that the data have; all see the same
        draws
    """
    rng = np.random.default_rng(seed)
    space, time = problem.coords.cell_area.values.reshape(1, -1), weight[None]
    response = respond(problem, space, time)
    analysts = []
    for errors in believed:
        solution = solve(replace(problem, errors=errors))
        gain = solution.factor.solve(response.data[:, 0, -1, 0])
        analysts.append((gain, np.sqrt(solution.totals(space, time).posterior_variance[0, -1, 0])))
    z = np.empty((len(analysts), draws))
    for k in range(draws):
        truth = draw_flux(problem, rng)
        seen = observe(problem, truth, rng, problem.background, problem.errors)
        apart = response.mean[0, -1, 0] - weight @ truth.sum(axis=0) @ space[0]
        innovation = replace(problem, mole_fraction=seen).innovation
        z[:, k] = [(apart + gain @ innovation) / sd for gain, sd in analysts]
    return [Coverage(row) for row in z]
