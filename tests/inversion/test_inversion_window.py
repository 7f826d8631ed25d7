"""The sliding window: what is appended and dropped leaves exactly the solve of what is within."""

from dataclasses import replace

import numpy as np
import pytest

from inversion.gram import GramInputs, gram
from inversion.problem import Problem, take_data
from inversion.rows import SlicedRows
from inversion.solver import condition
from inversion.window import Window, latest_rows
from metroflux.errors import DataError
from metroflux.parallel import serial

HOUR = 3600.0


def _close(window: Window, problem: Problem) -> None:
    """Compare everything that a window answers with the single solve of the same data."""
    fresh, rng = condition(problem), np.random.default_rng(7)
    space, time = rng.uniform(0, 1, (3, problem.shape[3])), rng.uniform(0, 1, (2, problem.shape[2]))
    ours, theirs = window.now.totals(space, time), fresh.totals(space, time)
    np.testing.assert_allclose(window.now.flux, fresh.flux, rtol=1e-8, atol=0)
    np.testing.assert_allclose(ours.posterior, theirs.posterior, rtol=1e-8)
    np.testing.assert_allclose(ours.posterior_covariance, theirs.posterior_covariance, rtol=1e-8)
    np.testing.assert_allclose(ours.budget, theirs.budget, rtol=1e-8, atol=1e-8 * theirs.budget.max())
    assert window.now.factor.logdet == pytest.approx(fresh.factor.logdet, rel=1e-10)
    assert window.now.factor.condition == pytest.approx(fresh.factor.condition, rel=1e-6)


def _ordered(inputs, n: int = 60, times: int = 12) -> Problem:
    """Return a problem whose data come in the order of the first flux time they see, as nights do."""
    problem = inputs(3, n=n, times=times).assemble()
    first = np.array([problem.H[[i]].indices.min(initial=10**9) for i in range(n)])
    return take_data(problem, np.argsort(first, kind="stable"))


@pytest.mark.parametrize("kind", ["grid", "regions"])
@pytest.mark.parametrize("count", [1, 7, 24])
def test_the_last_rows_of_k_are_those_of_the_whole(inputs_of, kind, count):
    problem = inputs_of(1, kind).assemble()  # the data in any order
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    K = gram(GramInputs.of(rows, problem.covariances), serial)
    np.testing.assert_allclose(latest_rows(problem, count), K[-count:], rtol=0, atol=1e-13 * K.max())


def test_the_last_rows_of_k_hold_for_a_correlation_by_day_and_hour(inputs_of):
    inputs = inputs_of(2)
    inputs.errors["traffic"] = replace(inputs.errors["traffic"], hour_duration=4 * HOUR)
    problem = inputs.assemble()
    rows = SlicedRows.from_csr(problem.H, problem.shape[2])
    K = gram(GramInputs.of(rows, problem.covariances), serial)
    np.testing.assert_allclose(latest_rows(problem, 9), K[-9:], rtol=0, atol=1e-13 * K.max())


def test_appended_and_dropped_equal_the_single_solve(inputs_of):
    problem = _ordered(inputs_of)
    window = Window.of(take_data(problem, np.arange(40))).append(problem)
    _close(window, problem)
    _close(window.drop(25), take_data(problem, np.arange(25, 60)))


def test_fourteen_nights_sliding_equal_the_single_solve_of_each_window(inputs_of):
    inputs = inputs_of(4, n=84, times=16)
    inputs.durations["transport"] = 6 * HOUR
    problem = inputs.assemble()
    nights = [np.arange(6 * k, 6 * k + 6) for k in range(14)]
    window = Window.of(take_data(problem, np.concatenate(nights[:5])))
    for k in range(5, 14):
        within = np.concatenate(nights[k - 5 : k + 1])
        window = window.append(take_data(problem, within))
        _close(window, take_data(problem, within))
        window = window.drop(6)
        _close(window, take_data(problem, within[6:]))


def test_fluxes_no_longer_seen_may_be_left_out(inputs_of):
    """The marginal of the prior at the flux times kept is the stated prior: nothing is carried."""
    problem = _ordered(inputs_of)
    seen = np.array([problem.H[[i]].indices.min(initial=10**9) for i in range(60)]) // problem.shape[3]
    late = np.flatnonzero(seen >= 4)[:-1]
    whole = condition(take_data(problem, late))
    cut = take_data(problem, late)
    cells = problem.shape[3]
    shorter = [replace(c, sd=c.sd[4:], time=replace(c.time, midpoints=c.time.midpoints[4:])) for c in
               problem.covariances]  # fmt: skip
    part = replace(cut, H=cut.H[:, 4 * cells :], flux=cut.flux[:, 4:], covariances=tuple(shorter))
    old = take_data(cut, np.arange(10))
    window = Window.of(old).append(part)
    np.testing.assert_allclose(window.now.flux, whole.flux[:, 4:], rtol=1e-8)


def test_data_or_prior_that_changed_are_refused(inputs_of):
    problem = _ordered(inputs_of)
    window = Window.of(take_data(problem, np.arange(40)))
    with pytest.raises(DataError, match="expected the 40 of the window first"):
        window.append(take_data(problem, np.arange(1, 60)))
    larger = tuple(replace(c, sd=1.01 * c.sd) for c in problem.covariances)
    with pytest.raises(DataError, match="H, prior or errors of its data have changed"):
        window.append(replace(problem, covariances=larger))
    with pytest.raises(DataError, match="more than once"):
        window.append(take_data(problem, np.append(np.arange(41), 40)))
    with pytest.raises(DataError, match="40 of 40 data to drop"):
        window.drop(40)
    with pytest.raises(DataError, match="the limit is"):
        window.append(problem, memory_limit=1e4)
