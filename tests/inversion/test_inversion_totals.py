import numpy as np
import pytest

from inversion import totals as totals_module
from inversion.problem import PriorError
from inversion.solution import Solution
from inversion.solver import solve
from metroflux.errors import DataError

DAY = 86400.0
FIELDS = ("prior", "prior_variance", "posterior", "posterior_variance", "change_variance", "budget")


def _weights(problem, seed=7):
    rng = np.random.default_rng(seed)
    _, _, times, cells = problem.shape
    space = np.vstack([np.ones(cells), rng.uniform(0, 1, (2, cells))])
    time = np.zeros((4, times))
    time[0], time[1, 2], time[2, 3:5], time[3, [0, 6]] = 1.0, 1.0, (0.5, 2.0), 1.0
    return space, time


@pytest.mark.parametrize(("kind", "seed"), [("grid", 1), ("grid", 2), ("region", 3)])
@pytest.mark.parametrize("field_bytes", [2**26, 1])
def test_totals_and_budget_equal_their_dense_twin(inputs_of, twin_of, kind, seed, field_bytes, monkeypatch):
    monkeypatch.setattr(totals_module, "_FIELD_BYTES", field_bytes)
    inputs = inputs_of(seed, kind)
    problem, twin = inputs.assemble(), twin_of(inputs)
    space, time = _weights(problem)
    found = solve(problem).totals(space, time)
    assert found.sectors == ("traffic", "heating", "plants", "total")
    left = np.eye(len(twin.B)) - twin.gain @ twin.H
    fluxes_only = twin.B.copy()
    fluxes_only[twin.flux_size :] = 0
    parameters_only = twin.B - fluxes_only
    for k, s, p in np.ndindex(3, 4, 4):
        w = twin.weights(space[k], time[p], None if s == 3 else s)
        at = (k, s, p)
        variance = w @ twin.A @ w
        assert found.prior[at] == pytest.approx(w @ twin.x_a, rel=1e-10)
        assert found.prior_variance[at] == pytest.approx(w @ twin.B @ w, rel=1e-10)
        assert found.posterior[at] == pytest.approx(w @ twin.x, rel=1e-10)
        assert found.posterior_variance[at] == pytest.approx(variance, rel=1e-10)
        assert found.change_variance[at] == pytest.approx(w @ (twin.B - twin.A) @ w, rel=1e-9)
        g = twin.gain.T @ w
        want = {"prior": w @ left @ fluxes_only @ left.T @ w}
        for cause, j in (("background", 0), ("site", 1)):
            e = left.T @ w
            want[cause] = e[twin.flux_size + j] ** 2 * parameters_only[twin.flux_size + j, twin.flux_size + j]
        for cause, part in twin.R_parts.items():
            want[cause] = want.get(cause, 0) + g @ part @ g
        assert set(found.causes) == set(want)
        for i, cause in enumerate(found.causes):
            assert found.budget[at][i] == pytest.approx(want[cause], rel=1e-9, abs=1e-10 * variance)


@pytest.mark.parametrize("kind", ["grid", "region"])
def test_parts_of_the_budget_sum_to_the_posterior_variance(inputs_of, kind):
    problem = inputs_of(4, kind).assemble()
    found = solve(problem).totals(*_weights(problem))
    np.testing.assert_allclose(found.budget.sum(axis=-1), found.posterior_variance, rtol=1e-10)


def test_covariance_between_regions_equals_its_dense_twin(inputs_of, twin_of):
    inputs = inputs_of(5)
    problem, twin = inputs.assemble(), twin_of(inputs)
    space, time = _weights(problem)
    found = solve(problem).totals(space, time).posterior_covariance
    for p, s in np.ndindex(4, 4):
        W = np.array([twin.weights(row, time[p], None if s == 3 else s) for row in space])
        want = W @ twin.A @ W.T
        np.testing.assert_allclose(found[p, s], want, rtol=0, atol=1e-10 * np.abs(want).max())


def test_disjoint_regions_and_periods_add_up_to_their_union(inputs_of):
    problem = inputs_of(6).assemble()
    cells, times = problem.shape[3], problem.shape[2]
    half = (np.arange(cells) < 7).astype(float)
    space = np.vstack([np.ones(cells), half, 1 - half])
    early = (np.arange(times) < 3).astype(float)
    time = np.vstack([np.ones(times), early, 1 - early])
    found = solve(problem).totals(space, time)
    np.testing.assert_allclose(found.posterior[0], found.posterior[1] + found.posterior[2], rtol=1e-10)
    np.testing.assert_allclose(found.posterior[..., 0], found.posterior[..., 1:].sum(axis=-1), rtol=1e-10)
    np.testing.assert_allclose(found.posterior[:, -1], found.posterior[:, :-1].sum(axis=1), rtol=1e-10)
    block = found.posterior_covariance[:, :, 1:, 1:].sum(axis=(2, 3))
    np.testing.assert_allclose(block, found.posterior_covariance[:, :, 0, 0], rtol=1e-10)


def test_total_of_one_cell_has_the_mean_and_sd_of_that_cell(inputs_of):
    problem = inputs_of(7).assemble()
    solution = solve(problem)
    found = solution.totals(np.eye(problem.shape[3]), np.eye(problem.shape[2]))
    cell_first = np.moveaxis(solution.flux, 2, 0)
    np.testing.assert_allclose(found.posterior[:, :-1], cell_first, rtol=1e-9)
    sd = np.sqrt(np.maximum(found.posterior_variance[:, :-1], 0))
    np.testing.assert_allclose(sd, np.moveaxis(solution.flux_sd, 2, 0), rtol=0, atol=1e-10 * sd.max())


def test_empty_period_has_total_zero_and_variance_zero(inputs_of):
    problem = inputs_of(7).assemble()
    found = solve(problem).totals(np.ones((1, problem.shape[3])), np.zeros((1, problem.shape[2])))
    assert all(not getattr(found, name).any() for name in FIELDS)


@pytest.mark.parametrize("kind", ["grid", "region"])
@pytest.mark.parametrize("bare", [False, True])
def test_saved_solution_returns_the_same_bits(inputs_of, tmp_path, kind, bare):
    inputs = inputs_of(8, kind)
    if bare:
        inputs.parameters = []
        for ds in (inputs.observations, inputs.background):
            ds["shared_column"].values[:] = 0.0
    problem = inputs.assemble()
    solution = solve(problem)
    path = tmp_path / "solution.nc"
    solution.save(path)
    loaded = Solution.load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["solution.nc"]
    space, time = _weights(problem)
    a, b = solution.totals(space, time), loaded.totals(space, time)
    for name in (*FIELDS, "posterior_covariance"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.sectors, a.causes) == (b.sectors, b.causes)
    assert solution.posterior().identical(loaded.posterior())


def test_saved_solution_keeps_every_form_of_covariance_and_error(inputs_of, tmp_path):
    inputs = inputs_of(8)
    inputs.errors["traffic"] = PriorError(4000.0, 2 * DAY, "matern32", None, 3000.0, hour_duration=0.3 * DAY)
    inputs.errors["heating"] = PriorError(4000.0, DAY, per_axis=True, mask=np.repeat([1, 2], 10))
    inputs.background = inputs.background.assign_coords(random=("random", np.array(["sampling"])))
    inputs.durations = {"transport": 7200.0}
    solution = solve(inputs.assemble())
    solution.save(tmp_path / "solution.nc")
    loaded = Solution.load(tmp_path / "solution.nc")
    a, b = (s.totals(*_weights(solution.problem)) for s in (solution, loaded))
    np.testing.assert_array_equal(a.budget, b.budget)
    np.testing.assert_array_equal(a.traceability, b.traceability)
    np.testing.assert_array_equal(loaded.problem.errors.dense(), solution.problem.errors.dense())
    again = solve(loaded.problem)
    np.testing.assert_array_equal(again.flux, solution.flux)


def test_file_that_is_no_solution_is_refused_by_name(inputs_of, tmp_path):
    with pytest.raises(DataError, match=r"absent\.nc: cannot be read"):
        Solution.load(tmp_path / "absent.nc")
    inputs_of(1).prior.to_netcdf(tmp_path / "prior.nc")
    with pytest.raises(DataError, match=r"prior\.nc: layout is None"):
        Solution.load(tmp_path / "prior.nc")


def test_weights_of_wrong_shape_are_refused(inputs_of):
    solution = solve(inputs_of(1).assemble())
    with pytest.raises(DataError, match=r"space_weights have shape \(1, 3\), expected \(any, 20\)"):
        solution.totals(np.ones((1, 3)), np.ones((1, 8)))
    with pytest.raises(DataError, match="time_weights"):
        solution.totals(np.ones((1, 20)), np.full((1, 8), np.nan))
