"""Totals w'x of regions and periods: mean, exact variance, and where the variance comes from."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inversion.checks import RESERVED_CAUSE, RESERVED_SECTOR
from inversion.covariance import Covariance
from inversion.factor import Factor
from inversion.problem import Problem
from inversion.rows import SlicedRows
from inversion.threads import one_thread
from inversion.variance import checked_variance
from metroflux.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
_FIELD_BYTES = 64 * 2**20


@dataclass(frozen=True)
class TotalsResult:
    """Totals in mol m-2 s-1 times the unit of the weights; variances in its square.

    sectors : names; the last is "total", the sum over sectors
    causes : lines of the budget; the first is "prior"
    prior, prior_variance, posterior, posterior_variance : shape (region, sector, period)
    change_variance : of posterior minus prior, w'(B - A)w, same shape
    budget : posterior variance by cause, shape (region, sector, period, cause); sums to posterior_variance
    posterior_covariance : between regions, shape (period, sector, region, region)
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


def make_totals(
    problem: Problem, factor: Factor, gram: Floats, space_weights: Floats, time_weights: Floats
) -> TotalsResult:
    """Return totals of a solved problem; space_weights (region, cell), time_weights (period, flux_time).

    Raises
    ------
    DataError
        If the weights have the wrong shape or are not finite.
    """
    with one_thread():
        response = respond(problem, space_weights, time_weights)
        shape = response.mean.shape
        white = factor.whiten(response.data.reshape(len(response.data), -1)).reshape(response.data.shape)
        taken = np.moveaxis(white, 0, -1)  # region, sector, period, obs
        taken = taken.transpose(2, 1, 0, 3) @ taken.transpose(2, 1, 3, 0)
        gain = factor.solve(response.data.reshape(len(response.data), -1))
        parts = _budget(problem, gram, response, gain)
        posterior = response.mean + (gain.T @ problem.innovation).reshape(shape)
    prior_variance = _diagonal(response.covariance)
    covariance = response.covariance - taken
    return TotalsResult(
        sectors=(*problem.sectors, RESERVED_SECTOR),
        causes=tuple(parts),
        prior=response.mean,
        prior_variance=prior_variance,
        posterior=posterior,
        posterior_variance=checked_variance(_diagonal(covariance), prior_variance, "totals"),
        change_variance=_diagonal(taken),
        budget=np.stack([part.reshape(shape) for part in parts.values()], axis=-1),
        posterior_covariance=covariance,
    )


def respond(problem: Problem, space_weights: Floats, time_weights: Floats) -> Response:
    """Return prior mean and covariance of totals and their covariance with the data."""
    n, sectors, n_time, cells = problem.shape
    for name, weights, width in (("space", space_weights, cells), ("time", time_weights, n_time)):
        if weights.ndim != 2 or weights.shape[1] != width or not np.isfinite(weights).all():
            raise DataError(
                f"totals: {name}_weights have shape {weights.shape}, expected (any, {width}) and finite"
            )
    k, p = len(space_weights), len(time_weights)
    rows = SlicedRows.from_csr(problem.H, n_time)
    mean = (time_weights @ problem.flux @ space_weights.T).transpose(2, 0, 1)
    data, covariance = np.zeros((n, k, sectors + 1, p)), np.zeros((p, sectors + 1, k, k))
    step = max(1, _FIELD_BYTES // (8 * cells * max(n_time, p)))
    for s, sector in enumerate(problem.covariances):
        for start in range(0, k, step):
            some = slice(start, start + step)
            _add_sector(
                rows,
                sector,
                (space_weights, some),
                time_weights,
                (data[:, some, s], covariance[:, s, :, some]),
            )
    data[:, :, -1], covariance[:, -1] = data.sum(axis=2), covariance.sum(axis=1)
    return Response(np.concatenate([mean, mean.sum(axis=1, keepdims=True)], axis=1), covariance, data)


def _add_sector(
    rows: SlicedRows,
    sector: Covariance,
    space: tuple[Floats, slice],
    time_weights: Floats,
    out: tuple[Floats, Floats],
) -> None:
    """Add HBw (obs, region, period) and w'Bw (period, all, region) of one sector and some regions."""
    weights, some = space
    n_time, cells = sector.sd.shape
    k, p = len(weights[some]), len(time_weights)
    fields = sector.sd[:, None] * weights[some]
    smooth = sector.space.apply(fields.reshape(-1, cells)).reshape(n_time, k * cells)
    support = [_support(w) for w in time_weights]
    for t in range(n_time):
        mixed = np.stack([(sector.time.dense[t, r] * w[r]) @ smooth[r]
                          for r, w in zip(support, time_weights, strict=True)])  # fmt: skip
        product = mixed.reshape(p, k, cells) * sector.sd[t]  # B w at this flux time
        seen, dense = rows.at(t)
        out[0][seen] += (dense @ product.reshape(-1, cells).T).reshape(-1, p, k).transpose(0, 2, 1)
        for j in np.flatnonzero(time_weights[:, t]):
            out[1][j] += time_weights[j, t] * (weights @ product[j].T)


def _support(weights: Floats) -> slice:
    used = np.flatnonzero(weights)
    return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def _budget(problem: Problem, gram: Floats, response: Response, gain: Floats) -> dict[str, Floats]:
    """Return the posterior variance of each total by cause, each part found on its own; gain = C^-1 HBw."""
    flat = response.data.reshape(len(gain), -1)
    fluxes = np.sum(gain * (gram @ gain), axis=0) - 2 * np.sum(gain * flat, axis=0)
    parts = {RESERVED_CAUSE: _diagonal(response.covariance).ravel() + fluxes}
    for parameter, share in zip(problem.parameters, problem.scaled_design.T @ gain, strict=True):
        parts[parameter.cause] = parts.get(parameter.cause, 0.0) + share**2
    for cause, value in problem.errors.budget(gain).items():
        parts[cause] = parts.get(cause, 0.0) + value
    return parts


def _diagonal(covariance: Floats) -> Floats:
    """Return variances (region, sector, period) of covariances (period, sector, region, region)."""
    return np.diagonal(covariance, axis1=2, axis2=3).transpose(2, 1, 0).copy()
