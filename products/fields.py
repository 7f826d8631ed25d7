"""Flux fields as they are drawn: every flux time and the mean of the run, exact to the cell.

The errors of a sum over sectors or of a mean over time are correlated, so their standard uncertainty does not
follow from the posterior's values per sector and time; it is found from the solution, through B H' of each
sector and the factor of C, as the solver finds its own variances.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from inversion.blocks import add_response
from inversion.covariance import Covariance
from inversion.factor import Factor
from inversion.mixture import Mixture, Posterior
from inversion.rows import SlicedRows
from inversion.solution import Solution
from inversion.threads import one_thread
from inversion.variance import checked_variance
from metroflux.parallel import Mapper, serial
from products.periods import Period, time_weights

Floats = npt.NDArray[np.float64]

_BLOCK_BYTES = 48 * 2**20
_TEXT = {
    "prior": "prior flux",
    "prior_sd": "standard uncertainty of the prior flux",
    "posterior": "posterior flux",
    "posterior_sd": "standard uncertainty of the posterior flux",
}


@dataclass(frozen=True)
class _Given:
    """What every block needs: sent to each worker once."""

    rows: SlicedRows
    covariances: tuple[Covariance, ...]
    factor: Factor


def step_fields(solution: Posterior, mapper: Mapper = serial) -> xr.Dataset:
    """Return the fields of every flux time, each sector and their sum, mol m-2 s-1.

    Returns
    -------
    prior, prior_sd, posterior, posterior_sd with dims (period, sector, *space), and period_bounds; the last
    sector is "total". `species` is among the attributes.
    """
    if isinstance(solution, Mixture):
        return _mixed(solution, [step_fields(s, mapper) for s in solution.solutions])
    problem = solution.problem
    n, _, times, cells = problem.shape
    given = _given(solution)
    width = max(1, _BLOCK_BYTES // (8 * n * cells))
    blocks = [range(t, min(t + width, times)) for t in range(0, times, width)]
    taken = np.concatenate(list(mapper(_sum_block, given, blocks)))
    prior_sd = np.stack([c.sd for c in problem.covariances])
    prior_variance = np.sum(prior_sd**2, axis=0)
    total_sd = np.sqrt(checked_variance(prior_variance - taken, prior_variance, "the sum of sectors"))
    bounds = problem.coords["flux_time_bounds"].values
    values = {
        "prior": _with_sum(problem.flux),
        "prior_sd": np.concatenate([prior_sd, np.sqrt(prior_variance)[None]]),
        "posterior": _with_sum(solution.flux),
        "posterior_sd": np.concatenate([solution.flux_sd, total_sd[None]]),
    }
    return _dataset(solution, values, bounds)


def mean_fields(solution: Posterior, period: Period | None = None, mapper: Mapper = serial) -> xr.Dataset:
    """Return the fields of the mean over a period, as `step_fields` with that one period.

    period : None for the whole span of the fluxes
    """
    if isinstance(solution, Mixture):
        return _mixed(solution, [mean_fields(s, period, mapper) for s in solution.solutions])
    problem = solution.problem
    bounds = problem.coords["flux_time_bounds"].values
    chosen = period or Period("run", bounds[0, 0], bounds[-1, 1])
    weights = time_weights([chosen], bounds)[0]
    given = _given(solution)
    items = [(s, weights) for s in range(len(problem.sectors))]
    white_sum = np.zeros((problem.shape[0], problem.shape[3]))
    taken = []
    for white in mapper(_mean_sector, given, items):
        taken.append(np.sum(white**2, axis=0))
        white_sum += white
    taken.append(np.sum(white_sum**2, axis=0))
    prior_variance = _with_sum(np.stack([_mean_variance(c, weights) for c in problem.covariances])[:, None])
    kept = prior_variance - np.stack(taken)[:, None]
    values = {
        "prior": _with_sum(np.tensordot(problem.flux, weights, ([1], [0]))[:, None]),
        "prior_sd": np.sqrt(prior_variance),
        "posterior": _with_sum(np.tensordot(solution.flux, weights, ([1], [0]))[:, None]),
        "posterior_sd": np.sqrt(checked_variance(kept, prior_variance, "the mean flux")),
    }
    return _dataset(solution, values, np.array([[chosen.start, chosen.end]], dtype="datetime64[ns]"))


def uncertainty_reduction(fields: xr.Dataset) -> xr.DataArray:
    """Return 1 - posterior sd / prior sd, 0 to 1; 0 where the prior had none."""
    before = fields["prior_sd"]
    return xr.where(before > 0, 1 - fields["posterior_sd"] / before.where(before > 0, 1.0), 0.0)


def _mixed(mixture: Mixture, parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Return the fields of a mixture of normal distributions."""
    out = parts[0].copy(deep=True)
    for name in ("prior", "posterior"):
        variances = [p[f"{name}_sd"].values ** 2 for p in parts]
        mean, variance = mixture.moments([p[name].values for p in parts], variances)
        out[name].values[:], out[f"{name}_sd"].values[:] = mean, np.sqrt(variance)
    return out


def _given(solution: Solution) -> _Given:
    problem = solution.problem
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    return _Given(rows, problem.covariances, solution.factor)


def _sum_block(given: _Given, times: range) -> Floats:
    """Return what the data take from the variance of the sum over sectors, shape (flux_time, cell)."""
    n, _, cells = given.rows.shape
    response = np.zeros((len(times), n, cells))
    with one_thread():
        for covariance in given.covariances:
            add_response(given.rows, covariance, range(n), times, response)
        return np.stack([np.sum(given.factor.whiten_in_place(part) ** 2, axis=0) for part in response])


def _mean_sector(given: _Given, item: tuple[int, Floats]) -> Floats:
    """Return L^-1 H B w of one sector, w the mean over time of each cell, shape (obs, cell)."""
    sector, weights = item
    n, times, cells = given.rows.shape
    total = np.zeros((n, cells))
    width = max(1, _BLOCK_BYTES // (8 * n * cells))
    with one_thread():
        for start in range(0, times, width):
            some = range(start, min(start + width, times))
            response = np.zeros((len(some), n, cells))
            add_response(given.rows, given.covariances[sector], range(n), some, response)
            total += np.tensordot(weights[some.start : some.stop], response, 1)
        return given.factor.whiten_in_place(total)


def _mean_variance(covariance: Covariance, weights: Floats) -> Floats:
    """Return the prior variance of the mean over time of each cell; space correlations are 1 on it."""
    weighted = weights[:, None] * covariance.sd
    return np.sum(weighted * (covariance.time.dense @ weighted), axis=0)


def _with_sum(values: Floats) -> Floats:
    return np.concatenate([values, values.sum(axis=0, keepdims=True)])


def _dataset(solution: Solution, values: dict[str, Floats], bounds: npt.NDArray[np.datetime64]) -> xr.Dataset:
    coords = solution.problem.coords
    area = coords["cell_area"]
    attrs = {"units": "mol m-2 s-1"}
    if "grid_mapping" in area.attrs:
        attrs["grid_mapping"] = area.attrs["grid_mapping"]
    space = set(area.dims) | {"bounds"}
    kept = {name: value for name, value in coords.coords.items() if set(value.dims) <= space}
    dims = ("period", "sector", *area.dims)
    names = np.array([*solution.problem.sectors, "total"])
    return xr.Dataset(
        {
            name: (dims, np.swapaxes(v, 0, 1).reshape(len(bounds), len(names), *area.shape),
                   attrs | {"long_name": _TEXT[name]})
            for name, v in values.items()
        },
        coords=kept | {"sector": ("sector", names), "period_bounds": (("period", "bounds"), bounds)},
        attrs={"species": coords.attrs["species"]},
    )  # fmt: skip
