from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import t as student

from inversion.robust import student_t, weighted
from inversion.solver import solve
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel


def _gross(problem, at, error):
    values = problem.mole_fraction.copy()
    values[at] += error
    return replace(problem, mole_fraction=values)


def test_infinitely_many_degrees_of_freedom_are_gaussian(inputs_of):
    problem = inputs_of(1).assemble()
    found = student_t(problem, np.inf)
    np.testing.assert_array_equal(found.weight, 1.0)
    np.testing.assert_array_equal(solve(found.problem).flux, solve(problem).flux)


def test_weights_satisfy_their_own_equation(inputs_of, twin_of):
    inputs = inputs_of(2)
    problem = inputs.assemble()
    found = student_t(problem, 4.0)
    twin, stated = twin_of(inputs), problem.errors.diagonal
    D = np.diag(stated / found.weight)
    inverse = np.linalg.inv(twin.C - np.diag(stated) + D)
    mean, covariance = D @ inverse @ twin.d, D - D @ inverse @ D
    square = mean**2 + np.diag(covariance)
    np.testing.assert_allclose(found.weight, 5.0 / (4.0 + square / stated), rtol=1e-7)


def test_a_gross_error_loses_its_weight_and_hardly_moves_the_total(inputs_of):
    problem = inputs_of(1, n=120).assemble()
    problem = replace(
        problem, mole_fraction=problem.prior_mole_fraction + problem.errors.sample(np.random.default_rng(1))
    )
    wrong = _gross(problem, 40, 2e-5)
    weights = np.ones((1, problem.shape[3])), np.ones((1, problem.shape[2]))
    moved = {}
    for name, change in (("plain", lambda p: p), ("robust", lambda p: student_t(p, 4.0).problem)):
        totals = [solve(change(p)).totals(*weights).posterior[0, -1, 0] for p in (problem, wrong)]
        moved[name] = abs(totals[1] - totals[0])
    assert moved["robust"] < 0.1 * moved["plain"]
    assert np.argmin(student_t(wrong, 4.0).weight) == 40


def test_posterior_of_one_number_is_near_the_exact_one(inputs_of):
    """One unknown common to 24 data with Student-t errors: the exact posterior by quadrature."""
    problem = inputs_of(1).assemble()
    n, sd, prior_sd = 24, 3e-7, 1e-6
    rng = np.random.default_rng(5)
    truth = 8e-7
    errors = ErrorModel({"noise": np.full(n, sd**2)}, np.zeros((n, 0)), ())
    offset = replace(problem.parameters[0], column=np.ones(n), sd=prior_sd)
    alone = replace(problem, errors=errors, parameters=(offset,), H=0 * problem.H)
    noise = sd * student.rvs(4, size=n, random_state=rng)
    alone = replace(alone, mole_fraction=alone.prior_mole_fraction + truth + noise)
    found = student_t(alone, 4.0)
    mean, spread = (float(v[0]) for v in solve(found.problem).parameters())
    d = alone.innovation

    def density(g):
        return np.exp(-0.5 * (g / prior_sd) ** 2 + np.sum(student.logpdf((d - g) / sd, 4)) - reference)

    reference = -0.5 * (mean / prior_sd) ** 2 + np.sum(student.logpdf((d - mean) / sd, 4))
    ends = mean - 1e-6, mean + 1e-6
    moments = [quad(lambda g, k=k: (g - mean) ** k * density(g), *ends)[0] for k in (0, 1, 2)]
    exact = moments[1] / moments[0], np.sqrt(moments[2] / moments[0])
    assert abs(exact[0]) < 0.1 * exact[1]
    assert spread == pytest.approx(exact[1], rel=0.15)


def test_few_degrees_of_freedom_and_correlated_errors_are_refused(inputs_of):
    problem = inputs_of(1).assemble()
    with pytest.raises(DataError, match="2 degrees of freedom, expected more than 2"):
        student_t(problem, 2.0)
    assert weighted(problem, np.full(24, 0.5)).errors.diagonal == pytest.approx(2 * problem.errors.diagonal)
