import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from inversion import blocks, gram
from inversion.problem import PriorError
from inversion.settings import Parameter
from inversion.solver import estimate_memory, solve
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.uncertainty import ErrorModel

CASES = [(kind, seed) for kind in ("grid", "region") for seed in (1, 2)]


class Threads:
    """A mapper over threads."""

    def __init__(self, workers):
        self.workers = workers

    def __call__(self, function, common, items):
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(lambda item: function(common, item), items)


def _posted(function, common, items):
    """Map as another process would: everything sent and returned as bytes."""
    parcel = pickle.dumps(common)
    for item in items:
        yield pickle.loads(pickle.dumps(function(pickle.loads(parcel), pickle.loads(pickle.dumps(item)))))


def _close(found, want, scale=None):
    size = np.abs(want).max() if scale is None else scale
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize(("kind", "seed"), CASES)
@pytest.mark.parametrize("small_blocks", [False, True])
def test_posterior_equals_its_dense_twin(inputs_of, twin_of, kind, seed, small_blocks, monkeypatch):
    if small_blocks:
        for name in ("_VARIANCE_BYTES", "_FIELD_BYTES"):
            monkeypatch.setattr(blocks, name, 8 * 24 * 60)
    inputs = inputs_of(seed, kind)
    twin, solution = twin_of(inputs), solve(inputs.assemble())
    prior_sd = twin.shaped(np.sqrt(np.diag(twin.B)))
    sd = twin.shaped(np.sqrt(np.diag(twin.A)))
    _close(solution.flux, twin.shaped(twin.x))
    _close(solution.flux_sd**2, sd**2)
    _close(solution.averaging_kernel_diagonal, twin.shaped(np.diag(twin.gain @ twin.H)))
    ds = solution.posterior()
    with np.errstate(invalid="ignore"):
        reduction = np.where(prior_sd > 0, 1 - sd / prior_sd, 0)
    _close(ds.uncertainty_reduction.values.reshape(sd.shape), reduction)
    _close(ds.parameter_mean.values, twin.x[twin.flux_size :])
    _close(ds.parameter_sd.values, np.sqrt(np.diag(twin.A))[twin.flux_size :])
    assert solution.factor.condition == pytest.approx(np.linalg.cond(twin.C, 1), rel=0.5)


def test_data_that_see_nothing_return_the_prior(inputs_of):
    inputs = inputs_of(1)
    inputs.parameters = []
    problem = inputs.assemble()
    blind = replace(problem, H=csr_array(problem.H.shape))
    solution = solve(blind)
    np.testing.assert_array_equal(solution.flux, problem.flux)
    np.testing.assert_array_equal(solution.flux_sd, inputs.prior.flux_sd.values.reshape(problem.flux.shape))
    assert not solution.posterior().uncertainty_reduction.values.any()


def test_perfect_data_of_every_flux_return_the_truth(inputs_of):
    inputs = inputs_of(1, "region", n=12, times=2)
    inputs.prior = inputs.prior.isel(sector=[1])
    inputs.errors, inputs.parameters = {"heating": PriorError(0.0, 86400.0)}, []
    inputs.jacobian = inputs.jacobian.drop_dims("nonzero").assign(
        row_start=("obs_edge", np.arange(13)),
        column=("nonzero", np.arange(12)),
        sensitivity=("nonzero", np.linspace(1, 2, 12), {"units": "m2 s mol-1"}),
    )
    problem = inputs.assemble()
    truth = np.random.default_rng(4).normal(1e-6, 1e-6, problem.flux.shape)
    errors = ErrorModel({"tiny": np.full(12, 1e-24)}, np.zeros((12, 0)), ())
    seen = problem.H @ truth.ravel() + problem.background
    solution = solve(replace(problem, mole_fraction=seen, errors=errors))
    np.testing.assert_allclose(solution.flux, truth, rtol=0, atol=1e-10)
    assert solution.flux_sd.max() < 1.1e-12


def test_order_of_observations_does_not_matter(inputs_of):
    inputs = inputs_of(3)
    solution = solve(inputs.assemble())
    order = np.random.default_rng(5).permutation(24)
    H = inputs.assemble().H[order]
    inputs.jacobian = inputs.jacobian.drop_dims(["nonzero", "obs_edge"]).isel(obs=order).assign(
        row_start=("obs_edge", H.indptr), column=("nonzero", H.indices),
        sensitivity=("nonzero", H.data, {"units": "m2 s mol-1"}),
    )  # fmt: skip
    inputs.observations, inputs.background = (
        inputs.observations.isel(obs=order),
        inputs.background.isel(obs=order),
    )
    inputs.parameters = [Parameter(p.name, p.cause, p.column[order], p.sd) for p in inputs.parameters]
    other = solve(inputs.assemble())
    np.testing.assert_allclose(other.flux, solution.flux, rtol=0, atol=1e-12 * solution.flux.max())
    np.testing.assert_allclose(other.flux_sd, solution.flux_sd, rtol=0, atol=1e-12 * solution.flux_sd.max())


def test_same_bits_with_one_and_four_workers(inputs_of, monkeypatch):
    for name in ("_VARIANCE_BYTES", "_FIELD_BYTES"):
        monkeypatch.setattr(blocks, name, 8 * 24 * 60)
    monkeypatch.setattr(gram, "_WIDEST", 5)
    problem = inputs_of(2).assemble()
    alone = solve(problem)
    weights = np.ones((2, 20)), np.eye(8)
    for mapper in (Threads(1), Threads(4), _posted):
        shared = solve(problem, mapper)
        totals, want = shared.totals(*weights, mapper), alone.totals(*weights)
        np.testing.assert_array_equal(totals.budget, want.budget)
        np.testing.assert_array_equal(totals.posterior_covariance, want.posterior_covariance)
        for name in ("flux", "flux_sd", "averaging_kernel_diagonal", "gram"):
            np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))


def test_same_bits_however_many_threads_blas_may_use(inputs_of):
    problem = inputs_of(2, n=150).assemble()
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            solution = solve(problem)
            found.append((solution, solution.totals(np.ones((1, 20)), np.eye(8)), solution.posterior()))
    (a, a_totals, a_posterior), (b, b_totals, b_posterior) = found
    np.testing.assert_array_equal(a.factor.lower, b.factor.lower)
    np.testing.assert_array_equal(a_totals.budget, b_totals.budget)
    assert a_posterior.identical(b_posterior)


def test_posterior_keeps_the_grid_of_the_prior(inputs_of):
    inputs = inputs_of(1)
    posterior = solve(inputs.assemble()).posterior()
    assert Grid.from_dataset(posterior) == Grid.from_dataset(inputs.prior)
    assert set(inputs.prior.coords) <= set(posterior.coords) | set(posterior.data_vars)
    assert posterior.attrs["species"] == "co2"


def test_problem_beyond_the_memory_limit_is_refused_before_it_starts(inputs_of):
    problem = inputs_of(1).assemble()
    need = estimate_memory(problem)
    with pytest.raises(DataError, match=r"need about .* the limit is"):
        solve(problem, memory_limit=need - 1)
    solve(problem, memory_limit=need)


def test_matrix_that_is_not_positive_definite_is_refused(inputs_of):
    problem = inputs_of(1).assemble()
    wrong = ErrorModel({"wrong": np.full(24, -1e-9)}, np.zeros((24, 0)), ())
    with pytest.raises(DataError, match="24 data is not positive definite"):
        solve(replace(problem, errors=wrong))
