from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from inversion.crossvalidation import totals_without, withhold
from inversion.diagnostics import diagnose
from inversion.influence import foresight, influence, leverage, whiteness
from inversion.kernel import averaging_kernel_rows
from inversion.problem import take_data
from inversion.simulate import draw_flux
from inversion.solver import solve


@pytest.mark.parametrize("kind", ["grid", "region"])
def test_totals_without_a_site_equal_those_solved_anew_without_it(inputs_of, kind):
    problem = inputs_of(2, kind).assemble()
    space, time = np.ones((1, problem.shape[3])), np.eye(problem.shape[2])[:2]
    found = totals_without(solve(problem), problem.site, space, time)
    assert set(found) == set(problem.site)
    for name, (mean, sd) in found.items():
        anew = solve(take_data(problem, np.flatnonzero(problem.site != name))).totals(space, time)
        np.testing.assert_allclose(mean, anew.posterior, rtol=1e-9)
        np.testing.assert_allclose(sd**2, anew.posterior_variance, rtol=1e-8)


def test_withheld_days_equal_their_prediction_from_the_other_days(inputs_of, twin_of):
    inputs = inputs_of(3)
    problem, twin = inputs.assemble(), twin_of(inputs)
    day = problem.time.astype("datetime64[D]").astype(str)
    found = withhold(solve(problem).factor.inverse(), problem.innovation, day)
    for k, name in enumerate(found.groups):
        out = day == name
        cross = twin.C[np.ix_(out, ~out)] @ np.linalg.inv(twin.C[np.ix_(~out, ~out)])
        residual = twin.d[out] - cross @ twin.d[~out]
        variance = np.diag(twin.C[np.ix_(out, out)] - cross @ twin.C[np.ix_(~out, out)])
        np.testing.assert_allclose(found.residual[out], residual, rtol=1e-8)
        np.testing.assert_allclose(found.sd[out], np.sqrt(variance), rtol=1e-8)
        skill = 1 - np.mean(residual**2) / np.mean(twin.d[out] ** 2)
        assert found.skill[k] == pytest.approx(skill, rel=1e-7)


def test_leverages_sum_to_the_degrees_of_freedom(inputs_of):
    solution = solve(inputs_of(1).assemble())
    ds = diagnose(solution)
    found = leverage(solution, solution.factor.inverse())
    assert found.sum() == pytest.approx(float(ds.dofs), rel=1e-9)
    assert float(ds.site_dofs.sum()) == pytest.approx(float(ds.dofs), rel=1e-9)
    assert (found > 0).all()
    assert (found < 1).all()


def test_influence_is_how_far_the_state_moves_without_the_datum(inputs_of, twin_of):
    inputs = inputs_of(1)
    problem, twin = inputs.assemble(), twin_of(inputs)
    solution = solve(problem)
    found = influence(solution, solution.factor.inverse())
    free = np.diag(twin.B) > 0
    B, H = twin.B[np.ix_(free, free)], twin.H[:, free]
    metric = np.linalg.inv(B) + H.T @ np.linalg.inv(twin.R) @ H
    dofs = np.trace(twin.gain @ twin.H)
    for i in (0, 5, 23):
        kept = np.arange(24) != i
        C, G = twin.C[np.ix_(kept, kept)], H[kept]
        moved = (twin.x - twin.x_a)[free] - B @ G.T @ np.linalg.solve(C, twin.d[kept])
        assert found[i] == pytest.approx(moved @ metric @ moved / dofs, rel=1e-7)


def test_a_gross_error_is_the_most_influential_datum(inputs_of):
    problem = inputs_of(1).assemble()
    at = int(np.argmax(diagnose(solve(problem)).leverage.values))
    wrong = problem.mole_fraction.copy()
    wrong[at] += 1e-4
    ds = diagnose(solve(replace(problem, mole_fraction=wrong)))
    assert int(np.argmax(ds.influence.values)) == at


def test_row_of_the_averaging_kernel_equals_its_dense_twin(inputs_of, twin_of):
    inputs = inputs_of(2)
    problem, twin = inputs.assemble(), twin_of(inputs)
    space, time = np.linspace(0, 1, 20)[None], np.ones((1, 8))
    found = averaging_kernel_rows(solve(problem), space, time)
    for s in range(4):
        w = twin.weights(space[0], time[0], None if s == 3 else s)
        row = twin.shaped(w @ twin.gain @ twin.H)
        for truth in range(3):
            np.testing.assert_allclose(found[0, s, 0], row[truth], rtol=0, atol=1e-10 * np.abs(row).max())


def test_foresight_is_white_standard_normal_where_the_model_is_right(inputs_of):
    problem = inputs_of(1).assemble()
    order = np.random.default_rng(0).permutation(24)
    shuffled = replace(problem, time=problem.time[order])
    rng, seen = np.random.default_rng(2), []
    for _ in range(20):
        flux = draw_flux(shuffled, rng)
        noise = shuffled.scaled_design @ rng.standard_normal(2) + shuffled.errors.sample(rng)
        y = shuffled.H @ flux.sum(axis=0).ravel() + shuffled.background + noise
        seen.append(foresight(solve(replace(shuffled, mole_fraction=y))))
    assert kstest(np.ravel(seen), "norm").pvalue > 1e-3


def test_foresight_uses_only_earlier_data(inputs_of, twin_of):
    inputs = inputs_of(4)
    problem, twin = inputs.assemble(), twin_of(inputs)
    found = foresight(solve(problem))
    before = np.arange(24) < 9
    cross = twin.C[9, before] @ np.linalg.inv(twin.C[np.ix_(before, before)])
    sd = np.sqrt(twin.C[9, 9] - cross @ twin.C[before, 9])
    assert found[9] == pytest.approx((twin.d[9] - cross @ twin.d[before]) / sd, rel=1e-8)


def test_whiteness_tells_a_red_series_from_a_white_one():
    rng = np.random.default_rng(1)
    found = [whiteness(rng.standard_normal(300))[1] for _ in range(300)]
    assert kstest(found, "uniform").pvalue > 1e-3
    white, red = rng.standard_normal(400), np.zeros(400)
    for k in range(1, 400):
        red[k] = 0.6 * red[k - 1] + white[k]
    assert whiteness(red)[1] < 1e-6
    assert whiteness(red)[0] == pytest.approx(0.6, abs=0.1)
    assert np.isnan(whiteness(white[:4])).all()
