import numpy as np
import pytest
from scipy.stats import binom

from inversion.coverage import Repeated, repeat
from inversion.hyper import Hyperparameter, scaled
from inversion.solver import solve

DRAWS = 200
HYPER = (
    Hyperparameter("prior_sd", ("traffic", "heating"), spread=0.5),
    Hyperparameter("mismatch", ("AAA", "BBB", "CCC"), ("transport", "repeatability"), spread=0.5),
)


def _given(inputs_of, chosen, points=3):
    inputs = inputs_of(1, n=30, times=3)
    inputs.prior = inputs.prior.isel(sector=[0, 1])
    del inputs.errors["plants"]
    problem = inputs.assemble()
    quarter = np.arange(20) // 5
    districts = np.vstack([np.ones(20), *(quarter == k for k in range(4))]).astype(float)
    return Repeated(problem, chosen, points, districts, np.ones((1, 3)))


def _hold(found):
    """Test the domain, each district, and every cell: its count by its own bounds, for so many cells."""
    low, high = binom.interval(0.999, DRAWS, 0.95)
    inside = DRAWS * found.inside(found.totals)[:, 0]
    assert low <= inside[0] <= high, "domain"
    assert ((low <= inside[1:]) & (inside[1:] <= high)).all(), f"districts {inside[1:]}"
    cells = found.cells.reshape(DRAWS, -1)
    counts = DRAWS * found.inside(cells[:, ~np.isnan(cells[0])])
    low, high = binom.interval(1 - 0.001 / counts.size, DRAWS, 0.95)
    assert low <= counts.min()
    assert counts.max() <= high
    assert np.mean(counts) / DRAWS == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_95_percent_intervals_of_cells_districts_and_domain_hold_the_truth(inputs_of):
    _hold(repeat(_given(inputs_of, ()), DRAWS, seed=1))


@pytest.mark.slow
def test_95_percent_intervals_hold_with_hyperparameters_that_are_estimated(inputs_of):
    _hold(repeat(_given(inputs_of, HYPER), DRAWS, seed=2))


def test_draws_do_not_depend_on_how_many_there_are(inputs_of):
    given = _given(inputs_of, HYPER)
    few, more = repeat(given, 2, seed=1), repeat(given, 3, seed=1)
    np.testing.assert_array_equal(few.totals, more.totals[:2])
    np.testing.assert_array_equal(few.cells, more.cells[:2])


def test_intervals_of_other_errors_than_the_true_ones_do_not_hold(inputs_of, monkeypatch):
    given = _given(inputs_of, ())
    monkeypatch.setattr("inversion.coverage._solve", lambda _, p: solve(scaled(p, HYPER, np.log([0.3, 0.3]))))
    found = repeat(given, 60, seed=1)
    assert found.inside(found.totals)[0, 0] < binom.interval(0.999, 60, 0.95)[0] / 60
