"""Data dropped with their effect carried on: later totals are those of all data ever seen."""

import numpy as np
import pytest

from inversion.carried import smooth
from inversion.problem import Problem, take_data
from inversion.solver import condition
from metroflux.errors import DataError


def _begins(problem: Problem) -> np.ndarray:
    """Return the first flux time that each datum sees."""
    cells = problem.shape[3]
    return np.array(
        [problem.H[[i]].indices.min(initial=10**9) // cells for i in range(len(problem.datum_id))]
    )


def _ordered(problem: Problem) -> Problem:
    return take_data(problem, np.argsort(_begins(problem), kind="stable"))


def _slide(problem: Problem, night: int, kept: int, nights: int):
    """Yield after each night the smoother of the last `kept` nights and how many data there were so far."""
    begins, carried, oldest = _begins(problem), None, 0
    for k in range(nights):
        newest = (k + 1) * night
        now = smooth(take_data(problem, np.arange(oldest, newest)), carried)
        yield now, newest
        if k + 1 >= kept:
            carried = now.carry(night, int(begins[oldest + night]))
            oldest += night


@pytest.mark.parametrize("kind", ["grid", "regions"])
def test_fourteen_nights_of_fixed_lag_equal_the_single_solve_of_all_data(inputs_of, kind):
    """Also where more data are carried than there are places in the state, which are then reduced."""
    problem = _ordered(inputs_of(8, kind, n=140, times=16).assemble())
    rng = np.random.default_rng(0)
    space = rng.uniform(0, 1, (3, problem.shape[3]))
    for now, newest in _slide(problem, 10, 4, 14):
        time = rng.uniform(0, 1, (2, problem.shape[2]))
        time[:, : now.first] = 0.0
        whole = condition(take_data(problem, np.arange(newest))).totals(space, time)
        mean, variance = now.totals(space, time)
        np.testing.assert_allclose(mean, whole.posterior[:, -1], rtol=1e-8)
        np.testing.assert_allclose(variance, whole.posterior_variance[:, -1], rtol=1e-8)
    assert now.first > 4
    if kind == "regions":
        assert len(now.carried.innovation) < 100


def test_without_carrying_the_total_would_be_another(inputs_of):
    problem = _ordered(inputs_of(8, n=60, times=16).assemble())
    *_, (now, _) = _slide(problem, 10, 2, 6)
    space, time = np.ones((1, problem.shape[3])), np.zeros((1, problem.shape[2]))
    time[:, now.first :] = 1.0
    forgotten = condition(now.problem).totals(space, time)
    assert now.totals(space, time)[1][0, 0] < 0.999 * forgotten.posterior_variance[0, -1, 0]


def test_what_cannot_be_carried_exactly_is_refused(inputs_of):
    inputs = inputs_of(8, n=60, times=16)
    inputs.durations["transport"] = 3600.0
    with pytest.raises(DataError, match="no fading errors"):
        smooth(inputs.assemble())
    problem = _ordered(inputs_of(8, n=60, times=16).assemble())
    now, begins = smooth(problem), _begins(problem)
    with pytest.raises(DataError, match=f"final before flux time 15, expected 0 to {begins[20]}"):
        now.carry(20, 15)
    carried = now.carry(20, int(begins[20]))
    with pytest.raises(DataError, match="which is final"):
        smooth(problem, carried)
    late = smooth(take_data(problem, np.arange(20, 60)), carried)
    with pytest.raises(DataError, match="they are final"):
        late.totals(np.ones((1, problem.shape[3])), np.ones((1, problem.shape[2])))
