from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from inversion.diagnostics import diagnose
from inversion.evidence import Evidence
from inversion.hyper import Hyperparameter, scaled
from inversion.problem import assemble
from inversion.solver import solve

ALL = (
    Hyperparameter("prior_sd", ("traffic",)),
    Hyperparameter("prior_sd", ("heating", "plants")),
    Hyperparameter("length", ("traffic", "heating")),
    Hyperparameter("duration", ("traffic",)),
    Hyperparameter("duration", ("heating",)),
    Hyperparameter("mismatch", ("AAA",), ("transport",)),
    Hyperparameter("mismatch", ("BBB", "CCC"), ("transport", "repeatability")),
)
THETA = np.array([0.3, -0.2, 0.4, 0.2, -0.5, 0.1, -0.3])


def _twin_at(inputs, twin_of, theta):
    """Return the twin of datasets whose numbers are multiplied, not of operators."""
    v = np.exp(theta)
    changed = replace(inputs, prior=inputs.prior.copy(deep=True), errors=dict(inputs.errors),
                      observations=inputs.observations.copy(deep=True),
                      background=inputs.background.copy(deep=True))  # fmt: skip
    sd = changed.prior.flux_sd.values
    sd[0] *= v[0]
    sd[1:] *= v[1]
    e = inputs.errors
    changed.errors["traffic"] = replace(
        e["traffic"], length=e["traffic"].length * v[2], duration=e["traffic"].duration * v[3]
    )
    changed.errors["heating"] = replace(
        e["heating"], length=e["heating"].length * v[2], duration=e["heating"].duration * v[4]
    )
    first = inputs.observations.site.values == "AAA"
    for ds in (changed.observations, changed.background):
        names = list(ds.random.values)
        random = ds.random_sd.values
        random[first, names.index("transport")] *= v[5]
        random[~first, names.index("transport")] *= v[6]
        if "repeatability" in names:
            random[~first, names.index("repeatability")] *= v[6]
    return twin_of(changed)


def _dense_slopes(inputs, twin, theta):
    """Return dC/dtheta of each hyperparameter, every entry of B times the derivative of its logarithm."""
    prior, v = inputs.prior, np.exp(theta)
    middle = prior.flux_time_bounds.values.astype(np.int64).mean(axis=1) * 1e-9
    x, y = (c.ravel() for c in np.meshgrid(prior.x.values, prior.y.values))
    far = np.hypot(x[:, None] - x, y[:, None] - y)
    gap = np.kron(np.abs(middle[:, None] - middle), np.ones(far.shape))
    apart = np.kron(np.ones((twin.times,) * 2), far)
    e, size = inputs.errors, twin.times * twin.cells
    first = inputs.observations.site.values == "AAA"
    factors = [
        {0: np.full(apart.shape, 2.0)},
        {1: np.full(apart.shape, 2.0), 2: np.full(apart.shape, 2.0)},
        {0: apart / (e["traffic"].length * v[2]), 1: (apart / (e["heating"].length * v[2])) ** 2},
        {0: gap / (e["traffic"].duration * v[3])},
        {1: gap / (e["heating"].duration * v[4])},
    ]
    for parts in factors:
        dB = np.zeros_like(twin.B)
        for s, factor in parts.items():
            block = slice(s * size, (s + 1) * size)
            dB[block, block] = twin.B[block, block] * factor
        yield twin.H @ dB @ twin.H.T
    yield 2 * np.where(first, twin.R_parts["transport"], 0)
    yield 2 * np.where(~first, twin.R_parts["transport"] + twin.R_parts["repeatability"], 0)


def _log_evidence(twin):
    return multivariate_normal.logpdf(twin.d * 1e6, np.zeros(24), twin.C * 1e12) + 24 * np.log(1e6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_evidence_and_its_gradient_equal_their_dense_twin(inputs_of, twin_of, seed):
    inputs = inputs_of(seed)
    found = Evidence(inputs.assemble(), ALL).at(THETA)
    twin = _twin_at(inputs, twin_of, THETA)
    assert found.value == pytest.approx(_log_evidence(twin), rel=1e-10)
    inverse, weights = np.linalg.inv(twin.C), np.linalg.solve(twin.C, twin.d)
    for slope, dC in zip(found.gradient, _dense_slopes(inputs, twin, THETA), strict=True):
        parts = weights @ dC @ weights, np.sum(inverse * dC)
        assert slope == pytest.approx(0.5 * (parts[0] - parts[1]), rel=0, abs=1e-10 * max(np.abs(parts)))


def test_gradient_equals_differences_of_the_evidence(inputs_of):
    evidence = Evidence(inputs_of(1).assemble(), ALL)
    found = evidence.at(THETA).gradient
    for j, slope in enumerate(found):
        step = np.zeros(len(ALL))
        step[j] = 1e-4
        difference = evidence.at(THETA + step).value - evidence.at(THETA - step).value
        assert slope == pytest.approx(difference / 2e-4, rel=1e-5, abs=1e-5)


def test_evidence_at_the_stated_values_is_that_of_the_diagnostics(inputs_of):
    problem = inputs_of(2).assemble()
    found = Evidence(problem, ALL).at(np.zeros(len(ALL))).value
    assert found == pytest.approx(float(diagnose(solve(problem)).log_evidence), rel=1e-13)


def test_scaled_problem_is_that_of_scaled_datasets(inputs_of, twin_of):
    inputs = inputs_of(2)
    solution = solve(scaled(inputs.assemble(), ALL, THETA))
    twin = _twin_at(inputs, twin_of, THETA)
    sd = twin.shaped(np.sqrt(np.diag(twin.A)))
    np.testing.assert_allclose(solution.flux_sd, sd, rtol=0, atol=1e-10 * sd.max())
    np.testing.assert_allclose(solution.flux, twin.shaped(twin.x), rtol=0, atol=1e-10 * 1e-6)


def test_gradient_equals_differences_with_masks_other_forms_and_errors_fading_in_time(inputs_of):
    inputs = inputs_of(3)
    mask = np.array([0, 1, 1, 2] * 5)
    inputs.errors["traffic"] = replace(inputs.errors["traffic"], form="matern32", mask=mask, length_y=7e3)
    inputs.errors["heating"] = replace(inputs.errors["heating"], hour_duration=4e4, per_axis=True)
    problem = assemble(inputs.observations, inputs.background, inputs.jacobian, inputs.prior, inputs.errors,
                       inputs.parameters, {"transport": 2e4})  # fmt: skip
    evidence = Evidence(problem, ALL)
    found = evidence.at(THETA).gradient
    for j, slope in enumerate(found):
        step = np.zeros(len(ALL))
        step[j] = 1e-4
        difference = evidence.at(THETA + step).value - evidence.at(THETA - step).value
        assert slope == pytest.approx(difference / 2e-4, rel=1e-5, abs=1e-5)
