"""Totals w'x of regions and periods: mean, exact variance, and where the variance comes from."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from inversion.checks import RESERVED_CAUSE, RESERVED_SECTOR
from inversion.covariance import Covariance
from inversion.factor import Factored, Symmetric
from inversion.problem import Problem
from inversion.threads import one_thread
from inversion.variance import checked_variance
from metroflux.errors import DataError
from metroflux.parallel import Mapper, serial

Floats: TypeAlias = npt.NDArray[np.float64]
_FIELD_BYTES = 128 * 2**20


@dataclass(frozen=True)
class TotalsResult:
    """Totals in mol m-2 s-1 times the unit of the weights; variances in its square.

    sectors : names; the last is "total", the sum over sectors
    causes : lines of the budget; the first is "prior"
    prior, prior_variance, posterior, posterior_variance : shape (region, sector, period)
    change_variance : of posterior minus prior, w'(B - A)w, same shape
    budget : posterior variance by cause, shape (region, sector, period, cause); sums to posterior_variance
    posterior_covariance : between regions, shape (period, sector, region, region)
    sector_covariance : posterior, between sectors, shape (region, period, sector, sector), without "total"
    materials : what the shared errors rest on (`traceable_to`), each once
    traceability : share of the posterior variance that rests on each, 1, shape (region, sector, period,
        material); what is missing to 1 is of the prior, of parameters or random
    """

    sectors: tuple[str, ...]
    causes: tuple[str, ...]
    prior: Floats
    prior_variance: Floats
    posterior: Floats
    posterior_variance: Floats
    change_variance: Floats
    budget: Floats
    posterior_covariance: Floats
    sector_covariance: Floats
    materials: tuple[str, ...]
    traceability: Floats

    @property
    def sector_correlation(self) -> Floats:
        """Posterior correlation between sectors, as `sector_covariance`; NaN where one has no variance.

        Near -1 where the data see the sum of two sectors and cannot tell them apart.
        """
        sd = np.sqrt(self.posterior_variance[:, :-1].transpose(0, 2, 1))
        product = sd[..., :, None] * sd[..., None, :]
        nothing = np.full_like(product, np.nan)
        return np.divide(self.sector_covariance, product, out=nothing, where=product > 0)


@dataclass(frozen=True)
class Response:
    """What the prior says of totals, before any data; with the sum over sectors as last sector.

    mean : w'x_a, shape (region, sector, period)
    covariance : w'Bw between regions, shape (period, sector, region, region)
    data : HBw, covariance of each datum with each total, shape (obs, region, sector, period)
    """

    mean: Floats
    covariance: Floats
    data: Floats


@dataclass(frozen=True)
class RespondInputs:
    """What the response of every region needs: sent to each worker once."""

    H: csr_array
    covariances: tuple[Covariance, ...]
    space_weights: Floats
    time_weights: Floats


def make_totals(
    problem: Problem,
    factor: Factored,
    gram: Symmetric,
    space_weights: Floats,
    time_weights: Floats,
    mapper: Mapper = serial,
) -> TotalsResult:
    """Return totals of a solved problem; space_weights (region, cell), time_weights (period, flux_time).

    Raises
    ------
    DataError
        If the weights have the wrong shape or are not finite.
    """
    response = respond(problem, space_weights, time_weights, mapper)
    shape = response.mean.shape
    with one_thread():
        flat = response.data.reshape(len(response.data), -1)
        white = np.moveaxis(factor.whiten(flat).reshape(response.data.shape), 0, -1)
        gain = factor.solve(flat)
        parts = _budget(problem, gram, response, gain)
        posterior = response.mean + (gain.T @ problem.innovation).reshape(shape)
        taken = white.transpose(2, 1, 0, 3) @ white.transpose(2, 1, 3, 0)
        between = white[:, :-1].transpose(0, 2, 1, 3)
        shared = between @ between.transpose(0, 1, 3, 2)
        resting = _resting(problem, gain)
    prior_variance = _diagonal(response.covariance)
    covariance = response.covariance - taken
    variance = checked_variance(_diagonal(covariance), prior_variance, "totals")
    rest = (
        np.stack([part.reshape(shape) for part in resting.values()], -1) if resting else np.zeros((*shape, 0))
    )
    return TotalsResult(
        sectors=(*problem.sectors, RESERVED_SECTOR),
        causes=tuple(parts),
        prior=response.mean,
        prior_variance=prior_variance,
        posterior=posterior,
        posterior_variance=variance,
        change_variance=_diagonal(taken),
        budget=np.stack([part.reshape(shape) for part in parts.values()], axis=-1),
        posterior_covariance=covariance,
        sector_covariance=np.eye(shape[1] - 1) * prior_variance[:, :-1].transpose(0, 2, 1)[..., None]
        - shared,
        materials=tuple(resting),
        traceability=np.divide(
            rest, variance[..., None], out=np.zeros_like(rest), where=variance[..., None] > 0
        ),
    )


def respond(
    problem: Problem, space_weights: Floats, time_weights: Floats, mapper: Mapper = serial
) -> Response:
    """Return prior mean and covariance of totals and their covariance with the data."""
    n, sectors, n_time, cells = problem.shape
    for name, weights, width in (("space", space_weights, cells), ("time", time_weights, n_time)):
        if weights.ndim != 2 or weights.shape[1] != width or not np.isfinite(weights).all():
            raise DataError(
                f"totals: {name}_weights have shape {weights.shape}, expected (any, {width}) and finite"
            )
    k, p = len(space_weights), len(time_weights)
    mean = (time_weights @ problem.flux @ space_weights.T).transpose(2, 0, 1)
    data, covariance = np.zeros((n, k, sectors + 1, p)), np.zeros((p, sectors + 1, k, k))
    inputs = RespondInputs(problem.H, problem.covariances, space_weights, time_weights)
    items = [(s, region) for s in range(sectors) for region in range(k)]
    for (s, region), (seen, shared) in zip(items, mapper(respond_region, inputs, items), strict=True):
        data[:, region, s], covariance[:, s, :, region] = seen, shared
    data[:, :, -1], covariance[:, -1] = data.sum(axis=2), covariance.sum(axis=1)
    return Response(np.concatenate([mean, mean.sum(axis=1, keepdims=True)], axis=1), covariance, data)


def respond_region(inputs: RespondInputs, item: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return HBw (obs, period) and w'Bw with every region (period, region) of one sector and region."""
    covariance, weights = inputs.covariances[item[0]], inputs.space_weights[item[1]]
    times, (n_time, cells) = inputs.time_weights, covariance.sd.shape
    seen, shared = (
        np.empty((inputs.H.shape[0], len(times))),
        np.empty((len(times), len(inputs.space_weights))),
    )
    with one_thread():
        smooth = covariance.space.apply(covariance.sd * weights)
        step = max(1, _FIELD_BYTES // (8 * n_time * cells))
        for start in range(0, len(times), step):
            some = slice(start, start + step)
            product = covariance.time.apply(smooth[:, :, None] * times[some].T[:, None, :])
            product *= covariance.sd[:, :, None]  # B w, shape (flux_time, cell, period)
            seen[:, some] = inputs.H @ product.reshape(n_time * cells, -1)
            shared[some] = np.einsum("pt,tcp->pc", times[some], product) @ inputs.space_weights.T
    return seen, shared


def _budget(problem: Problem, gram: Symmetric, response: Response, gain: Floats) -> dict[str, Floats]:
    """Return the posterior variance of each total by cause, each part found on its own; gain = C^-1 HBw."""
    flat = response.data.reshape(len(gain), -1)
    fluxes = np.sum(gain * (gram @ gain), axis=0) - 2 * np.sum(gain * flat, axis=0)
    parts = {RESERVED_CAUSE: _diagonal(response.covariance).ravel() + fluxes}
    for parameter, share in zip(problem.parameters, problem.scaled_design.T @ gain, strict=True):
        parts[parameter.cause] = parts.get(parameter.cause, 0.0) + share**2
    for cause, value in problem.errors.budget(gain).items():
        parts[cause] = parts.get(cause, 0.0) + value
    return parts


def _resting(problem: Problem, gain: Floats) -> dict[str, Floats]:
    """Return the posterior variance of each total that rests on each reference material."""
    parts: dict[str, Floats] = {}
    for material, share in zip(problem.errors.materials, problem.errors.columns.T @ gain, strict=True):
        parts[material] = parts.get(material, 0.0) + share**2
    return parts


def _diagonal(covariance: Floats) -> Floats:
    """Return variances (region, sector, period) of covariances (period, sector, region, region)."""
    return np.diagonal(covariance, axis1=2, axis2=3).transpose(2, 1, 0).copy()
