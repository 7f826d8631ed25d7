import numpy as np
import pytest

from inversion.solver import solve
from inversion.species import Target, solve_species
from metroflux.errors import DataError

SHARED = {"traffic": np.array([[1.0, 0.8], [0.8, 1.0]]), "heating": np.array([[1.0, -0.3], [-0.3, 1.0]])}


def _both(inputs_of):
    return inputs_of(1), inputs_of(2, n=18)


def _twin(twin_of, both, correlation):
    """Return H, B, R and innovation of both gases, every matrix formed."""
    a, b = (twin_of(i) for i in both)
    B = np.zeros((len(a.B) + len(b.B),) * 2)
    B[: len(a.B), : len(a.B)], B[len(a.B) :, len(a.B) :] = a.B, b.B
    size = a.times * a.cells
    for s, name in enumerate(both[0].prior.sector.values):
        if name in correlation:
            at, theirs = (
                slice(s * size, (s + 1) * size),
                slice(len(a.B) + s * size, len(a.B) + (s + 1) * size),
            )
            sd = [np.sqrt(np.diag(t.B)[at]) for t in (a, b)]
            with np.errstate(invalid="ignore"):
                T = np.nan_to_num(a.B[at, at] / np.outer(sd[0], sd[0]))
            free = sd[1] > 0  # a correlation where one gas alone has no uncertainty is of no use
            T[np.ix_(sd[0] == 0, free)] = 0
            cross = correlation[name][0, 1] * sd[0][:, None] * T * sd[1]
            B[at, theirs], B[theirs, at] = cross, cross.T
    H = np.zeros((len(a.d) + len(b.d), len(B)))
    H[: len(a.d), : len(a.B)], H[len(a.d) :, len(a.B) :] = a.H, b.H
    R = np.zeros((len(H),) * 2)
    R[: len(a.d), : len(a.d)], R[len(a.d) :, len(a.d) :] = a.R, b.R
    return a, b, H, B, R


def test_two_gases_equal_their_dense_twin(inputs_of, twin_of):
    both = _both(inputs_of)
    solution = solve_species([i.assemble() for i in both], SHARED)
    a, b, H, B, R = _twin(twin_of, both, SHARED)
    C = H @ B @ H.T + R
    gain = np.linalg.solve(C, H @ B).T
    x = np.append(a.x_a, b.x_a) + gain @ np.append(a.d, b.d)
    left = np.eye(len(B)) - gain @ H
    A = left @ B @ left.T + gain @ R @ gain.T
    parts = x[: a.flux_size], x[len(a.B) : len(a.B) + b.flux_size]
    for k, (twin, want) in enumerate(zip((a, b), parts, strict=True)):
        shaped = twin.shaped(want)
        np.testing.assert_allclose(solution.flux(k), shaped, rtol=0, atol=1e-10 * np.abs(shaped).max())
    rng = np.random.default_rng(1)
    targets = [Target(k, s, rng.uniform(0, 1, (8, 20))) for k in (0, 1) for s in ("traffic", "plants", None)]
    mean, covariance = solution.totals(targets)
    W = np.zeros((6, len(B)))
    for row, t in zip(W, targets, strict=True):
        sectors = range(3) if t.sector is None else [list(both[0].prior.sector.values).index(t.sector)]
        for s in sectors:
            start = t.species * len(a.B) + s * 160
            row[start : start + 160] = t.weights.ravel()
    np.testing.assert_allclose(mean, W @ x, rtol=1e-10)
    want = W @ A @ W.T
    np.testing.assert_allclose(covariance, want, rtol=0, atol=1e-10 * np.abs(want).max())


def test_gases_without_correlation_are_solved_as_if_alone(inputs_of):
    problems = [i.assemble() for i in _both(inputs_of)]
    joint = solve_species(problems, {})
    for k, problem in enumerate(problems):
        alone = solve(problem)
        np.testing.assert_allclose(joint.flux(k), alone.flux, rtol=0, atol=1e-12 * np.abs(alone.flux).max())
        totals = alone.totals(np.ones((1, 20)), np.ones((1, 8)))
        mean, covariance = joint.totals([Target(k, None, np.ones((8, 20)))])
        assert mean[0] == pytest.approx(totals.posterior[0, -1, 0], rel=1e-10)
        assert covariance[0, 0] == pytest.approx(totals.posterior_variance[0, -1, 0], rel=1e-10)


def test_a_gas_that_shares_a_sector_narrows_the_other(inputs_of):
    problems = [i.assemble() for i in _both(inputs_of)]
    target = [Target(0, "traffic", np.ones((8, 20)))]
    apart = solve_species(problems, {}).totals(target)[1][0, 0]
    assert solve_species(problems, SHARED).totals(target)[1][0, 0] < apart


def test_wrong_correlations_are_refused_by_name(inputs_of):
    problems = [i.assemble() for i in _both(inputs_of)]
    wrong = {"road": np.eye(2), "traffic": np.array([[1.0, 1.2], [1.2, 1.0]]), "plants": np.eye(3)}
    with pytest.raises(DataError) as error:
        solve_species(problems, wrong)
    for said in (
        "'road', expected one of",
        "'traffic' is not symmetric and positive",
        "'plants' is not a corr",
    ):
        assert said in str(error.value)
