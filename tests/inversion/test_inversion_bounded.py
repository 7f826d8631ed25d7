from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from inversion.bounded import bounded, bounded_spread
from inversion.problem import PriorError
from inversion.solver import solve
from metroflux.errors import DataError


def _solution(inputs_of, seed=1, kind="grid"):
    return solve(inputs_of(seed, kind).assemble())


@pytest.mark.parametrize("kind", ["grid", "region"])
def test_where_no_bound_acts_the_solution_is_the_unbounded_one(inputs_of, kind):
    solution = _solution(inputs_of, 1, kind)
    found = bounded(solution, lower=solution.flux.min() - 1e-9)
    np.testing.assert_allclose(found.flux, solution.flux, rtol=0, atol=1e-13 * np.abs(solution.flux).max())
    assert not found.active.any()


@pytest.mark.parametrize(("kind", "seed"), [("grid", 1), ("grid", 2), ("region", 3)])
def test_bounded_mode_keeps_the_kkt_conditions_of_the_dense_problem(inputs_of, twin_of, kind, seed):
    inputs = inputs_of(seed, kind)
    inputs.parameters = []
    lower = -0.5e-6
    inputs.prior["flux"].values[:] = np.maximum(inputs.prior.flux.values, lower)
    solution, twin = solve(inputs.assemble()), twin_of(inputs)
    found = bounded(solution, lower)
    assert 5 < found.active.sum() < 0.7 * found.flux.size
    sd = np.sqrt(np.diag(twin.B))
    free = sd > 0
    x, m = found.flux.ravel()[free], found.multiplier.ravel()[free]
    H, B = twin.H[:, free], twin.B[np.ix_(free, free)]
    left = np.linalg.solve(twin.R, twin.y - twin.H @ found.flux.ravel())
    gradient = (np.linalg.solve(B, x - twin.x_a[free]) - H.T @ left) * sd[free]
    np.testing.assert_allclose(gradient, m * sd[free], rtol=0, atol=1e-8 * np.abs(gradient).max())
    assert ((x - lower) / sd[free]).min() > -1e-8
    assert (m * sd[free]).min() >= -1e-8
    assert np.abs(m * (x - lower)).max() < 1e-8


def test_bounded_mode_is_no_less_probable_than_any_point_nearby(inputs_of, twin_of):
    inputs = inputs_of(1, "region", n=12, times=2)
    inputs.parameters = []
    inputs.prior["flux"].values[:] = np.maximum(inputs.prior.flux.values, 0.0)
    twin, solution = twin_of(inputs), solve(inputs.assemble())
    found = bounded(solution)
    free = np.diag(twin.B) > 0
    precision = np.linalg.inv(twin.A[np.ix_(free, free)])
    scale = np.sqrt(np.diag(twin.A))[free]
    start = twin.x[free] / scale

    def cost(z):
        apart = (z - start) * scale
        return 0.5 * apart @ precision @ apart, scale * (precision @ apart)

    slow = minimize(cost, np.maximum(start, 0), jac=True, method="L-BFGS-B", bounds=[(0, None)] * start.size,
                    options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 20000, "maxfun": 50000})  # fmt: skip
    np.testing.assert_allclose(found.flux.ravel()[free] / scale, slow.x, atol=1e-4)


def _one_flux(inputs_of):
    """Return a solution of one flux alone with uncertainty, its posterior mean and sd."""
    inputs = inputs_of(1, "region", n=12, times=2)
    inputs.prior = inputs.prior.isel(sector=[1])
    inputs.prior["flux"].values[:] = 0.4e-6
    inputs.prior["flux_sd"].values[:] = 0.0
    inputs.prior["flux_sd"].values[0, 0, 2] = 1e-6
    inputs.errors, inputs.parameters = {"heating": PriorError(0.0, 86400.0)}, []
    problem = inputs.assemble()
    solution = solve(replace(problem, mole_fraction=problem.prior_mole_fraction - 2e-6))
    return solution, float(solution.flux[0, 0, 2]), float(solution.flux_sd[0, 0, 2])


def test_spread_of_one_bounded_flux_is_that_of_a_censored_normal(inputs_of):
    solution, mean, sd = _one_flux(inputs_of)
    lower = mean + 0.4 * sd
    assert bounded(solution, lower).flux[0, 0, 2] == pytest.approx(lower, rel=1e-9)
    draws, a = 4000, (lower - mean) / sd
    weights = np.eye(6)[2:3], np.array([[1.0, 0.0]])
    found = bounded_spread(solution, weights, draws, np.random.default_rng(3), lower)
    above = 1 - norm.cdf(a)
    first = norm.cdf(a) * a + norm.pdf(a)  # mean of max(z, a), z standard normal
    second = norm.cdf(a) * a**2 + above + a * norm.pdf(a)
    want = np.sqrt(second - first**2) * sd
    assert found.flux_mean[0, 0, 2] == pytest.approx(mean + sd * first, abs=4 * want / np.sqrt(draws))
    assert found.flux_sd[0, 0, 2] == pytest.approx(want, rel=4 / np.sqrt(draws))
    np.testing.assert_allclose(found.totals[:, 0, -1, 0].std(ddof=1), found.flux_sd[0, 0, 2], rtol=1e-10)


def test_spread_where_no_bound_acts_is_the_posterior_sd(inputs_of):
    solution = _solution(inputs_of, 2)
    weights = np.ones((1, 20)), np.ones((1, 8))
    found = bounded_spread(solution, weights, 400, np.random.default_rng(1), lower=-1.0)
    ratio = found.flux_sd[solution.flux_sd > 0] / solution.flux_sd[solution.flux_sd > 0]
    assert np.sqrt(np.mean(ratio**2)) == pytest.approx(1.0, abs=0.03)
    totals = solution.totals(*weights)
    want = np.sqrt(totals.posterior_variance[0, -1, 0])
    assert found.totals[:, 0, -1, 0].std() == pytest.approx(want, rel=0.15)


def test_flux_without_uncertainty_below_its_bound_is_refused(inputs_of):
    with pytest.raises(DataError, match="without uncertainty are below 1 mol m-2 s-1"):
        bounded(_solution(inputs_of), lower=1.0)
