"""Observing-system experiments: what is drawn is covered, and what a tower brings is exact."""

import numpy as np
import pytest

from inversion.osse import binomial_bounds, networks_of, observe, score, variance_without
from inversion.problem import take_data
from inversion.solver import solve
from metroflux.errors import DataError


def _weights(problem):
    area = problem.coords.cell_area.values.ravel()
    halves = np.kron(np.eye(2), np.ones(area.size // 2))
    return np.vstack([np.ones(area.size), halves]) * area, np.ones((1, problem.shape[2])) / problem.shape[2]


def test_coverage_bias_and_skill_are_what_the_exact_variance_predicts(inputs_of):
    problem = inputs_of(6).assemble()
    found = score(problem, {"all": np.ones(24, dtype=bool)}, _weights(problem), 300, 1)["all"]
    for inside in found.inside.ravel():
        low, high = binomial_bounds(int(inside), 300, level=0.999)
        assert low <= 0.95 <= high
    assert np.mean(found.cells_inside) == pytest.approx(0.95, abs=0.01)
    assert np.all(np.abs(found.bias) < 4 * found.sd / np.sqrt(300))
    np.testing.assert_allclose(found.rmse, found.sd, rtol=0.2)  # 5 sd of an rms of 300
    np.testing.assert_allclose(found.skill, found.reduction, atol=0.15)
    assert 0 < found.cells_skill < 1


def test_a_draw_has_the_covariance_of_the_data(inputs_of):
    """Innovations of draws, whitened by C, are standard normal."""
    problem = inputs_of(6).assemble()
    rng, factor = np.random.default_rng(0), solve(problem).factor
    seen = np.stack([observe(problem, rng)[1] for _ in range(400)], axis=1)
    white = factor.whiten(seen - problem.prior_mole_fraction[:, None])
    np.testing.assert_allclose(white @ white.T / 400, np.eye(24), atol=0.3)
    assert np.mean(white**2) == pytest.approx(1, abs=0.05)


def test_removing_a_tower_gives_the_variance_of_the_problem_without_it(inputs_of):
    problem = inputs_of(7).assemble()
    space, time = _weights(problem)
    without, all_of_them, prior = variance_without(solve(problem), space, time)
    for name, variance in without.items():
        left = solve(take_data(problem, np.flatnonzero(problem.site != name))).totals(space, time)
        np.testing.assert_allclose(variance, left.posterior_variance[:, -1], rtol=1e-10)
        assert np.all(all_of_them <= variance * (1 + 1e-12))
        assert np.all(variance <= prior * (1 + 1e-12))


def test_networks_are_scored_with_the_same_truths(inputs_of):
    problem = inputs_of(7).assemble()
    kept = networks_of(problem.site, [["AAA"], ["AAA", "BBB"]], ["CCC"])
    assert list(kept) == ["as configured", "without AAA", "without AAA, BBB", "with CCC"]
    del kept["without AAA, BBB"]  # all but the added site: nothing is left
    found = score(problem, kept, _weights(problem), 20, 3)
    np.testing.assert_array_equal(found["as configured"].prior_rmse, found["with CCC"].prior_rmse)
    assert found["with CCC"].dofs > found["as configured"].dofs > found["without AAA"].dofs
    assert np.all(found["with CCC"].sd <= found["as configured"].sd * (1 + 1e-12))


def test_unknown_sites_and_empty_networks_are_refused(inputs_of):
    problem = inputs_of(7).assemble()
    with pytest.raises(DataError, match="no data of site XXX, expected some of AAA, BBB, CCC"):
        networks_of(problem.site, [["XXX"]], [])
    with pytest.raises(DataError, match=r"networks without data: \['none'\]"):
        score(problem, {"none": np.zeros(24, dtype=bool)}, _weights(problem), 3, 0)


def test_binomial_bounds_hold_at_the_ends():
    assert binomial_bounds(0, 10)[0] == 0
    assert binomial_bounds(10, 10)[1] == 1
    assert binomial_bounds(10, 10)[0] == pytest.approx(0.025 ** (1 / 10))  # p^n = alpha / 2
