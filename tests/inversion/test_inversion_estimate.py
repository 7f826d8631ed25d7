from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from inversion.estimate import estimate
from inversion.evidence import Evidence
from inversion.hyper import Hyperparameter, scaled
from inversion.simulate import draw_flux
from metroflux.errors import DataError

SECTORS = ("traffic", "heating", "plants")
SITES = ("AAA", "BBB", "CCC")
TWO = (Hyperparameter("prior_sd", SECTORS), Hyperparameter("mismatch", SITES, ("transport", "repeatability")))


def _observed(problem, seed):
    """Return the problem with data drawn from its own prior and errors."""
    rng = np.random.default_rng(seed)
    flux = draw_flux(problem, rng)
    parameters = problem.scaled_design @ rng.standard_normal(len(problem.parameters))
    signal = problem.H @ flux.sum(axis=0).ravel() + problem.background
    return replace(problem, mole_fraction=signal + parameters + problem.errors.sample(rng))


def test_estimate_is_where_a_search_without_gradient_ends(inputs_of):
    problem = _observed(inputs_of(1).assemble(), 3)
    found = estimate(problem, TWO)
    evidence = Evidence(problem, TWO)
    slow = minimize(lambda t: 0.5 * t @ t - evidence.at(t).value, np.zeros(2), method="Nelder-Mead",
                    options={"xatol": 1e-7, "fatol": 1e-10})  # fmt: skip
    np.testing.assert_allclose(found.theta, slow.x, atol=1e-4)
    assert found.log_evidence >= found.stated_log_evidence - 0.5 * found.theta @ found.theta


def test_errors_stated_too_small_are_found_out(inputs_of):
    problem = inputs_of(1, n=300, times=8).assemble()
    wrong = scaled(_observed(problem, 5), TWO, np.log([1.0, 0.5]))
    found = estimate(wrong, TWO[1:])
    assert abs(found.theta[0] - np.log(2.0)) < 3 * np.sqrt(found.covariance[0, 0])
    assert np.sqrt(found.covariance[0, 0]) < 0.1


def test_estimate_at_its_limit_is_told_and_has_no_uncertainty(inputs_of):
    problem = _observed(inputs_of(1, n=100).assemble(), 4)
    tight = (replace(TWO[0], low=0.99, high=1.01), replace(TWO[1], spread=3.0))
    found = estimate(scaled(problem, TWO, np.log([0.8, 1.0])), tight)
    assert found.at_limit == ("high", "")
    assert found.covariance[0, 0] == 0 < found.covariance[1, 1]
    assert list(found.free) == [False, True]


@pytest.mark.parametrize(("wrong", "message"), [
    (Hyperparameter("prior_sd", ("trafic",)), "trafic, expected some of heating, plants, traffic"),
    (Hyperparameter("length", ("plants",)), "the length of 'plants' is 0"),
    (Hyperparameter("mismatch", SITES, ("tranport",)), "random error tranport, expected some of"),
    (Hyperparameter("mismatch", SITES), "random error not named"),
    (Hyperparameter("prior_sd", SECTORS, low=2.0), "expected 0 < low < 1 < high"),
])  # fmt: skip
def test_wrong_choice_is_refused_by_name(inputs_of, wrong, message):
    with pytest.raises(DataError, match=message):
        estimate(inputs_of(1).assemble(), [wrong])


def test_what_is_estimated_twice_is_refused(inputs_of):
    with pytest.raises(DataError, match="traffic is estimated twice"):
        estimate(inputs_of(1).assemble(), [TWO[0], Hyperparameter("prior_sd", ("traffic",))])


def test_length_between_regions_cannot_be_estimated(inputs_of):
    with pytest.raises(DataError, match="the length of 'traffic' is 0"):
        estimate(inputs_of(1, "region").assemble(), [Hyperparameter("length", ("traffic",))])
