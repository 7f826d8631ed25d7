from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from inversion.lognormal import lognormal
from inversion.problem import PriorError
from inversion.solver import solve
from metroflux.errors import DataError


def _positive(inputs, seed=0):
    """Return inputs of positive fluxes, seen with their errors."""
    rng, prior = np.random.default_rng(seed), inputs.prior
    prior["flux"].values[:] = np.abs(prior.flux.values) + 0.2e-6
    problem = inputs.assemble()
    spread = np.sqrt(np.log1p((prior.flux_sd.values / prior.flux.values) ** 2))
    truth = prior.flux.values * np.exp(spread * rng.standard_normal(spread.shape))
    signal = problem.H @ truth.sum(axis=0).ravel() + problem.background
    inputs.observations["mole_fraction"].values[:] = signal + problem.errors.sample(rng)
    return inputs


def _one_flux(inputs_of, shift):
    inputs = inputs_of(1, "region", n=12, times=2)
    inputs.prior = inputs.prior.isel(sector=[1])
    inputs.prior["flux"].values[:] = 1e-6
    inputs.prior["flux_sd"].values[:] = 0.0
    inputs.prior["flux_sd"].values[0, 0, 2] = 0.8e-6
    inputs.errors, inputs.parameters = {"heating": PriorError(0.0, 86400.0)}, []
    problem = inputs.assemble()
    return replace(problem, mole_fraction=problem.prior_mole_fraction + shift)


@pytest.mark.parametrize("shift", [-2e-6, 0.0, 2e-6])
def test_one_flux_is_at_the_mode_of_its_logarithm(inputs_of, shift):
    problem = _one_flux(inputs_of, shift)
    found = lognormal(problem)
    R, spread = problem.errors.dense(), np.sqrt(np.log1p(0.64))
    h = problem.H.toarray()[:, 2]

    def cost(z):
        left = problem.innovation - h * (1e-6 * np.exp(z - 0.5 * spread**2) - 1e-6)
        return 0.5 * left @ np.linalg.solve(R, left) + 0.5 * (z / spread) ** 2

    slow = minimize_scalar(cost, bracket=(-1, 1), options={"xtol": 1e-12})
    z = np.log(found.median[0, 0, 2] / 1e-6) + 0.5 * spread**2
    assert z == pytest.approx(slow.x, abs=2e-6)
    jacobian = h * found.median[0, 0, 2]
    want = 1 / np.sqrt(1 / spread**2 + jacobian @ np.linalg.solve(R, jacobian))
    assert found.log_sd[0, 0, 2] == pytest.approx(want, rel=1e-5)
    fixed = np.ones(found.median.shape, bool)
    fixed[0, 0, 2] = False
    np.testing.assert_allclose(found.median[fixed], 1e-6, rtol=1e-14)
    assert not found.sd[fixed].any()


@pytest.mark.parametrize("seed", [1, 2])
def test_mode_equals_that_of_a_general_search_over_logarithms_and_parameters(inputs_of, twin_of, seed):
    inputs = _positive(inputs_of(seed, "region", n=12, times=2))
    found, twin = lognormal(inputs.assemble()), twin_of(inputs)
    relative = np.sqrt(np.diag(twin.B)[: twin.flux_size]) / twin.x_a[: twin.flux_size]
    log_sd = np.sqrt(np.log1p(relative**2))
    free = log_sd > 0
    correlation = twin.B[: twin.flux_size, : twin.flux_size][np.ix_(free, free)]
    sd = np.sqrt(np.diag(correlation))
    root = log_sd[free][:, None] * np.linalg.cholesky(correlation / np.outer(sd, sd))
    median = twin.x_a[: twin.flux_size] * np.exp(-0.5 * log_sd**2)
    scale = np.sqrt(np.diag(twin.B)[twin.flux_size :])
    precision = np.linalg.inv(twin.R)

    def state(u):
        x = median.copy()
        x[free] *= np.exp(root @ u[: free.sum()])
        return np.append(x, u[free.sum() :] * scale)

    def cost(u):
        x = state(u)
        left = precision @ (twin.y - twin.H @ x)
        slope = twin.H.T @ left
        back = root.T @ (slope[: twin.flux_size] * x[: twin.flux_size])[free]
        return (0.5 * (left @ (twin.y - twin.H @ x) + u @ u),
                u - np.append(back, slope[twin.flux_size :] * scale))  # fmt: skip

    start, options = np.zeros(free.sum() + 2), {"gtol": 1e-8, "maxiter": 5000}
    slow = minimize(cost, start, jac=True, method="BFGS", options=options)
    np.testing.assert_allclose(found.median.ravel(), state(slow.x)[: twin.flux_size], rtol=2e-5)
    assert (found.median > 0).all()


def test_small_uncertainty_gives_the_gaussian_solution(inputs_of):
    inputs = _positive(inputs_of(1))
    inputs.prior["flux_sd"].values[:] = 1e-4 * inputs.prior.flux.values
    problem = inputs.assemble()
    gaussian, found = solve(problem), lognormal(problem)
    change = np.abs(gaussian.flux - problem.flux).max()
    np.testing.assert_allclose(found.mean, gaussian.flux, rtol=0, atol=1e-3 * change)
    np.testing.assert_allclose(found.sd, gaussian.flux_sd, rtol=1e-3)


def test_totals_of_the_linearised_solution_are_those_of_the_medians(inputs_of):
    found = lognormal(_positive(inputs_of(2)).assemble())
    np.testing.assert_allclose(found.linear.flux, found.median, rtol=1e-5)
    totals = found.linear.totals(np.ones((1, 20)), np.ones((1, 8)))
    assert totals.posterior[0, -1, 0] == pytest.approx(found.median.sum(), rel=1e-5)
    low, high = found.interval()
    assert (low > 0).all()
    assert (high >= low).all()


def test_prior_that_is_not_positive_is_refused(inputs_of):
    with pytest.raises(DataError, match="prior fluxes with uncertainty are not positive"):
        lognormal(inputs_of(1).assemble())
