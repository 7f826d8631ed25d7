from dataclasses import replace

import numpy as np
import pytest

from inversion.estimate import estimate
from inversion.evidence import Evidence
from inversion.hyper import Hyperparameter, scaled
from inversion.mixture import _grid, integrate
from inversion.mixture_storage import load, save
from inversion.simulate import draw_flux
from inversion.solver import solve
from inversion.table import hyperparameters
from metroflux.errors import DataError

SECTORS = ("traffic", "heating", "plants")
SITES = ("AAA", "BBB", "CCC")
SCALE = Hyperparameter("prior_sd", SECTORS)
NOISE = Hyperparameter("mismatch", SITES, ("transport", "repeatability"))


@pytest.fixture
def problem(inputs_of):
    plain = inputs_of(1, n=80).assemble()
    rng = np.random.default_rng(3)
    flux = draw_flux(plain, rng)
    noise = plain.scaled_design @ rng.standard_normal(2) + plain.errors.sample(rng)
    signal = plain.H @ flux.sum(axis=0).ravel() + plain.background
    return replace(plain, mole_fraction=signal + noise)


def _weights(problem):
    space = np.vstack([np.ones(problem.shape[3]), np.linspace(0, 1, problem.shape[3])])
    return space, np.ones((1, problem.shape[2]))


def test_one_hyperparameter_integrated_equals_a_fine_sum_over_its_posterior(problem):
    found = integrate(problem, estimate(problem, [SCALE]), points=7).totals(*_weights(problem))
    grid, evidence = np.linspace(-1.5, 1.5, 301), Evidence(problem, [SCALE])
    log = np.array([evidence.at(np.array([t])).value - 0.5 * t**2 for t in grid])
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    parts = [solve(scaled(problem, [SCALE], np.array([t]))).totals(*_weights(problem)) for t in grid[::5]]
    fine = weight[::5] / weight[::5].sum()
    mean = sum(w * p.posterior for w, p in zip(fine, parts, strict=True))
    variance = sum(
        w * (p.posterior_variance + (p.posterior - mean) ** 2) for w, p in zip(fine, parts, strict=True)
    )
    sd = np.sqrt(variance)
    np.testing.assert_allclose(found.posterior, mean, rtol=0, atol=1e-3 * sd.max())
    np.testing.assert_allclose(np.sqrt(found.posterior_variance), sd, rtol=2e-3)


def test_budget_of_a_mixture_sums_to_its_variance_and_names_the_hyperparameters(problem):
    found = integrate(problem, estimate(problem, [SCALE, NOISE])).totals(*_weights(problem))
    np.testing.assert_allclose(found.budget.sum(axis=-1), found.posterior_variance, rtol=1e-10)
    assert found.causes[-1] == "hyperparameters"
    assert (found.budget[..., -1] > 0).all()
    diagonal = np.diagonal(found.posterior_covariance, axis1=2, axis2=3).transpose(2, 1, 0)
    np.testing.assert_allclose(diagonal, found.posterior_variance, rtol=1e-10)
    both = found.sector_covariance.sum(axis=(2, 3))
    np.testing.assert_allclose(both, found.posterior_variance[:, -1], rtol=1e-9)


def test_posterior_of_one_point_is_that_of_the_maximum(problem):
    found = estimate(problem, [SCALE, NOISE])
    alone = solve(scaled(problem, found.chosen, found.theta)).posterior()
    assert integrate(problem, found, points=1).posterior().identical(alone)


def test_posterior_of_a_cell_is_the_total_of_that_cell(problem):
    mixture = integrate(problem, estimate(problem, [SCALE, NOISE]))
    totals = mixture.totals(np.eye(problem.shape[3]), np.eye(problem.shape[2]))
    posterior = mixture.posterior()
    shape = problem.flux.shape
    sd = np.moveaxis(np.sqrt(totals.posterior_variance[:, :-1]), 0, 2)
    np.testing.assert_allclose(posterior.flux_sd.values.reshape(shape), sd, rtol=1e-6, atol=1e-13)
    mean = np.moveaxis(totals.posterior[:, :-1], 0, 2)
    np.testing.assert_allclose(posterior.flux.values.reshape(shape), mean, rtol=1e-9)
    fixed = posterior.prior_flux_sd.values == 0
    assert fixed.any()
    assert not posterior.flux_sd.values[fixed].any()


@pytest.mark.parametrize("axes", [1, 2, 3, 4, 7])
def test_quadrature_is_exact_for_polynomials_of_degree_three(axes):
    nodes, weights = _grid(axes, 3)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights @ nodes, 0, atol=1e-12)
    np.testing.assert_allclose((nodes * weights[:, None]).T @ nodes, np.eye(axes), atol=1e-12)
    np.testing.assert_allclose(weights @ nodes**3, 0, atol=1e-12)


def test_more_solutions_than_memory_are_refused(problem):
    found = estimate(problem, [SCALE, NOISE])
    with pytest.raises(DataError, match="9 solutions of 80 data need"):
        integrate(problem, found, memory_limit=5e5)
    with pytest.raises(DataError, match="2 points along each axis, expected an odd number"):
        integrate(problem, found, points=2)


def test_saved_mixture_returns_the_same_bits(problem, tmp_path):
    mixture = integrate(problem, estimate(problem, [SCALE, NOISE]))
    save(mixture, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.posterior().identical(mixture.posterior())
    np.testing.assert_array_equal(
        again.totals(*_weights(problem)).budget, mixture.totals(*_weights(problem)).budget
    )
    assert hyperparameters(again.problem, again.estimate).identical(
        hyperparameters(mixture.problem, mixture.estimate)
    )
    with pytest.raises(DataError, match="absent: cannot be read"):
        load(tmp_path / "absent")


def test_table_says_of_each_hyperparameter_whether_it_was_estimated(problem):
    chosen = [
        Hyperparameter("length", ("traffic",)),
        Hyperparameter("mismatch", ("AAA",), ("transport",)),
        Hyperparameter("prior_sd", ("plants",), low=0.9999, high=1.0001),
    ]
    found = estimate(problem, chosen)
    table = hyperparameters(scaled(problem, chosen, found.theta), found).to_dataframe()
    assert list(table.index) == [
        f"{kind}: {sector}" for sector in SECTORS for kind in ("prior_sd", "length", "duration")
    ] + ["mismatch: repeatability", "mismatch: transport at AAA", "mismatch: transport at BBB, CCC"]
    row = table.loc["length: traffic"]
    assert row.hyperparameter_status == "estimated"
    assert row.hyperparameter_unit == "m"
    assert row.hyperparameter_stated == pytest.approx(4000.0)
    assert row.hyperparameter_value == pytest.approx(4000.0 * np.exp(found.theta[0]))
    assert row.hyperparameter_sd == pytest.approx(row.hyperparameter_value * np.sqrt(found.covariance[0, 0]))
    assert table.loc["prior_sd: plants"].hyperparameter_status.startswith("estimated, at its ")
    fixed = table[table.hyperparameter_status == "fixed by configuration"]
    assert len(fixed) == 9
    assert (fixed.hyperparameter_value == fixed.hyperparameter_stated).all()
    assert (fixed.hyperparameter_sd == 0).all()
