from dataclasses import replace

import numpy as np
import pytest

from inversion import gram as gram_module
from inversion.problem import PriorError
from inversion.solver import condition, solve

DAY = 86400.0
LAND = np.repeat([1, 2, 0, 1], 5)
FORMS = {
    "exponential": {"traffic": PriorError(4000.0, DAY), "heating": PriorError(9000.0, 0.2 * DAY)},
    "gaussian": {"traffic": PriorError(4000.0, DAY, "gaussian"),
                 "heating": PriorError(2500.0, DAY, "gaussian")},
    "matern": {"traffic": PriorError(4000.0, DAY, "matern32"),
               "heating": PriorError(3000.0, DAY, "matern52")},
    "axes": {"traffic": PriorError(4000.0, DAY, length_y=1500.0),
             "heating": PriorError(4000.0, DAY, "matern32", None, 9000.0, per_axis=True)},
    "hours": {"traffic": PriorError(4000.0, 2 * DAY, hour_duration=0.2 * DAY),
              "heating": PriorError(2000.0, DAY, "gaussian", hour_duration=DAY)},
    "mask": {"traffic": PriorError(4000.0, DAY, mask=LAND),
             "heating": PriorError(4000.0, 3 * DAY, "gaussian", hour_duration=DAY, mask=LAND % 2)},
    "none": {"traffic": PriorError(0.0, 0.0), "heating": PriorError(4000.0, 0.0)},
}  # fmt: skip


def _close(found, want):
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-10 * np.abs(want).max())


def _inputs(inputs_of, form, seed):
    inputs = inputs_of(seed, n=40, times=14)
    inputs.errors |= FORMS[form]
    if seed % 2:
        inputs.durations = {"transport": 5 * 3600.0, "repeatability": DAY}
        inputs.observations["random_sd"].values[:, 0] *= 0.5
        background_alone = inputs.background.assign_coords(random=("random", np.array(["sampling"])))
        inputs.background = background_alone
    return inputs


@pytest.fixture(params=[False, True], ids=["large", "small"])
def block_size(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(gram_module, "_WIDEST", 5)
        monkeypatch.setattr(gram_module, "_FEW", 2)
        monkeypatch.setattr(gram_module, "_CHUNK_BYTES", 8 * 20 * 3)


@pytest.mark.usefixtures("block_size")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_every_covariance_form_equals_its_dense_twin(inputs_of, twin_of, form, seed):
    inputs = _inputs(inputs_of, form, seed)
    twin, problem = twin_of(inputs), inputs.assemble()
    solution, short = solve(problem), condition(problem)
    fluxes = slice(twin.flux_size)
    _close(solution.gram, twin.H[:, fluxes] @ twin.B[fluxes, fluxes] @ twin.H[:, fluxes].T)
    _close(solution.flux, twin.shaped(twin.x))
    _close(short.flux, twin.shaped(twin.x))
    _close(solution.flux_sd**2, twin.shaped(np.diag(twin.A)))
    rng = np.random.default_rng(seed)
    space, time = rng.uniform(0, 1, (2, 20)), rng.uniform(0, 1, (2, 14)) * (rng.random((2, 14)) < 0.6)
    found = short.totals(space, time)
    causes = dict.fromkeys(["prior", "background", "site", *twin.R_parts])
    assert set(found.causes) == set(causes)
    for k, s, p in np.ndindex(2, 4, 2):
        w = twin.weights(space[k], time[p], None if s == 3 else s)
        variance = w @ twin.A @ w
        assert found.posterior[k, s, p] == pytest.approx(w @ twin.x, rel=1e-10)
        assert found.posterior_variance[k, s, p] == pytest.approx(variance, rel=1e-10)
        assert found.budget[k, s, p].sum() == pytest.approx(variance, rel=1e-10)
        gain = twin.gain.T @ w
        for cause in set(twin.R_parts) - {"background"}:
            part = found.budget[k, s, p, found.causes.index(cause)]
            assert part == pytest.approx(gain @ twin.R_parts[cause] @ gain, rel=1e-9, abs=1e-10 * variance)


@pytest.mark.parametrize("seed", [1, 2])
def test_covariance_between_sectors_equals_its_dense_twin(inputs_of, twin_of, seed):
    inputs = _inputs(inputs_of, "exponential", seed)
    twin = twin_of(inputs)
    space, time = np.ones((2, 20)), np.ones((1, 14))
    space[1, :7] = 0
    found = condition(inputs.assemble()).totals(space, time)
    for k in range(2):
        W = np.array([twin.weights(space[k], time[0], s) for s in range(3)])
        want = W @ twin.A @ W.T
        _close(found.sector_covariance[k, 0], want)
        sd = np.sqrt(np.diag(want))
        _close(found.sector_correlation[k, 0], want / np.outer(sd, sd))


def test_sectors_that_the_data_cannot_tell_apart_are_anticorrelated(inputs_of):
    inputs = inputs_of(3)
    inputs.errors = {name: PriorError(4000.0, DAY) for name in inputs.errors}
    inputs.prior["flux_sd"].values[:] = 1e-6
    inputs.observations["random_sd"].values[:] = 1e-9
    inputs.observations["shared_column"].values[:] = 0.0
    found = condition(inputs.assemble()).totals(np.ones((1, 20)), np.ones((1, 8)))
    assert found.sector_correlation[0, 0, 0, 1] < -0.3


def test_share_of_a_reference_material_is_what_its_columns_give(inputs_of, twin_of):
    inputs = inputs_of(4)
    labels = np.array(["NIST 1", "WMO X2019"])
    inputs.observations = inputs.observations.assign_coords(shared_traceable_to=("shared", labels))
    twin, problem = twin_of(inputs), inputs.assemble()
    found = condition(problem).totals(np.ones((1, 20)), np.ones((1, 8)))
    w = twin.weights(np.ones(20), np.ones(8), None)
    gain, variance = twin.gain.T @ w, w @ twin.A @ w
    assert found.materials == ("NIST 1", "WMO X2019", "not stated")
    columns = np.hstack([inputs.observations.shared_column.values, inputs.background.shared_column.values])
    np.testing.assert_allclose(found.traceability[0, 3, 0], (columns.T @ gain) ** 2 / variance, rtol=1e-9)


def test_removing_a_component_changes_the_variance_as_the_linearisation_says(inputs_of):
    problem = inputs_of(5).assemble()
    space, time = np.ones((1, 20)), np.ones((1, 8))
    whole = condition(problem).totals(space, time)
    small = 1e-4
    less = replace(problem.errors, columns=problem.errors.columns * np.array([np.sqrt(1 - small), 1.0, 1.0]))
    changed = condition(replace(problem, errors=less)).totals(space, time)
    part = whole.budget[0, 3, 0, whole.causes.index("calibration")]
    fallen = whole.posterior_variance[0, 3, 0] - changed.posterior_variance[0, 3, 0]
    assert fallen == pytest.approx(small * part, rel=1e-3)


def test_datum_with_holes_in_its_window_and_data_in_any_order(inputs_of, twin_of):
    inputs = inputs_of(6, n=30, times=12)
    order = np.random.default_rng(1).permutation(30)
    inputs.observations = inputs.observations.isel(obs=order)
    inputs.observations["datum_id"] = ("obs", np.sort(inputs.observations.datum_id.values))
    start = inputs.jacobian.row_start.values
    seen = inputs.jacobian.column.values // 20
    for i in range(0, 30, 2):
        part = slice(start[i], start[i + 1])
        middle = np.median(np.unique(seen[part]))
        inputs.jacobian["sensitivity"].values[part] *= seen[part] != middle
    inputs.jacobian["sensitivity"].values[start[3] : start[4]] = 0
    twin, found = twin_of(inputs), condition(inputs.assemble())
    fluxes = slice(twin.flux_size)
    _close(found.gram, twin.H[:, fluxes] @ twin.B[fluxes, fluxes] @ twin.H[:, fluxes].T)
    _close(found.flux, twin.shaped(twin.x))
