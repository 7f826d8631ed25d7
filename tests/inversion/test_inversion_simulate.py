from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, chi2

from inversion.covariance import Covariance, GridCorrelation, TimeCorrelation
from inversion.simulate import coverage, draw_flux, simulate
from inversion.solver import solve
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel


@pytest.mark.parametrize("kind", ["grid", "region"])
def test_95_percent_interval_holds_the_truth_in_95_percent_of_draws(inputs_of, kind):
    draws = 200
    problem = inputs_of(1, kind).assemble()
    (found,) = coverage(problem, np.ones(problem.shape[2]), draws, 11, [problem.errors])
    low, high = binom.interval(0.999, draws, 0.95)
    assert low <= found.inside <= high
    low, high = chi2.interval(0.999, draws)
    assert low / draws <= found.mean_square <= high / draws


def test_prior_draws_have_the_covariance_of_the_prior(inputs_of):
    sector = Covariance(
        np.linspace(1, 2, 12).reshape(2, 6),
        TimeCorrelation(np.array([0.0, 3600.0]), 7200.0),
        GridCorrelation((2, 3), (1.0, 1.0), 2.0, "gaussian"),
    )
    problem = replace(inputs_of(1).assemble(), flux=np.zeros((1, 2, 6)), covariances=(sector,))
    rng = np.random.default_rng(3)
    sample = np.array([draw_flux(problem, rng).ravel() for _ in range(20000)])
    np.testing.assert_allclose(np.cov(sample.T), sector.dense(), atol=0.15)


def test_an_analyst_who_knows_less_of_the_errors_is_given_the_same_draws(inputs_of):
    problem = inputs_of(1).assemble()
    wide = replace(problem.errors, random={n: 4 * v for n, v in problem.errors.random.items()})
    weight = np.ones(problem.shape[2])
    both = coverage(problem, weight, 50, 11, [problem.errors, wide])
    np.testing.assert_array_equal(both[0].z, coverage(problem, weight, 50, 11, [problem.errors])[0].z)
    assert both[1].mean_square < both[0].mean_square


def test_data_without_error_are_what_the_flux_gives(inputs_of):
    inputs = inputs_of(2)
    inputs.parameters = []
    problem = inputs.assemble()
    silent = ErrorModel({"none": np.zeros(24)}, np.zeros((24, 0)), ())
    seen = simulate(problem, inputs.prior, np.random.default_rng(0), errors=silent)
    np.testing.assert_allclose(seen, problem.prior_mole_fraction, rtol=1e-14)
    shifted = simulate(problem, inputs.prior, np.random.default_rng(0), problem.background + 1e-6, silent)
    np.testing.assert_allclose(shifted - seen, 1e-6, rtol=1e-6)


def test_same_seed_gives_the_same_data(inputs_of):
    inputs = inputs_of(2)
    a, b = (simulate(inputs.assemble(), inputs.prior, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_truth_of_other_sectors_is_refused(inputs_of):
    inputs = inputs_of(2)
    with pytest.raises(DataError, match="truth: sectors"):
        simulate(inputs.assemble(), inputs.prior.isel(sector=[0]), np.random.default_rng(0))


def test_simulated_data_bring_the_posterior_nearer_the_truth(inputs_of):
    inputs = inputs_of(9)
    problem = inputs.assemble()
    rng = np.random.default_rng(1)
    before, after = 0.0, 0.0
    for _ in range(10):
        truth = draw_flux(problem, rng)
        ds = inputs.prior.assign(flux=inputs.prior.flux.copy(data=truth.reshape(inputs.prior.flux.shape)))
        solution = solve(replace(problem, mole_fraction=simulate(problem, ds, rng)))
        before += np.sum((problem.flux - truth) ** 2)
        after += np.sum((solution.flux - truth) ** 2)
    assert after < before
