import numpy as np
import pytest

from inversion.covariance import Covariance, GivenCorrelation, GridCorrelation, Independent, TimeCorrelation

MIDDLE = np.array([0.0, 3.0, 6.0, 12.0, 13.0, 20.0]) * 3600


def _covariance(rng, space):
    return Covariance(rng.uniform(0.1, 1, (6, 20)), TimeCorrelation(MIDDLE, 5 * 3600.0), space)


SPACES = [
    GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0),
    GridCorrelation((4, 5), (3000.0, 2000.0), 9000.0, "gaussian"),
    GridCorrelation((1, 20), (3000.0, 2000.0), 4000.0),
    GridCorrelation((20, 1), (3000.0, 2000.0), 1e9),
    Independent(20),
    GivenCorrelation(np.full((20, 20), 0.3) + 0.7 * np.eye(20)),
]


@pytest.mark.parametrize("space", SPACES)
def test_covariance_operator_equals_its_dense_form(space):
    rng = np.random.default_rng(1)
    B, x = _covariance(rng, space), rng.normal(size=120)
    np.testing.assert_allclose(B @ x, B.dense() @ x, rtol=0, atol=1e-13)


@pytest.mark.parametrize("space", SPACES)
def test_covariance_operator_is_symmetric(space):
    rng = np.random.default_rng(2)
    B, u, v = _covariance(rng, space), rng.normal(size=(6, 20)), rng.normal(size=(6, 20))
    assert np.vdot(u, B @ v) == pytest.approx(np.vdot(B @ u, v), rel=1e-12)


def test_grid_correlation_is_not_periodic():
    corner = np.zeros((1, 20))
    corner[0, 0] = 1.0
    seen = GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0).apply(corner).reshape(4, 5)
    assert seen[0, 4] == pytest.approx(np.exp(-2.0), rel=1e-13)
    assert seen[3, 0] == pytest.approx(np.exp(-9.0 / 4.0), rel=1e-12)


def test_many_fields_equal_each_field_alone():
    rng = np.random.default_rng(3)
    fields = rng.normal(size=(37, 20))
    space = SPACES[0]
    np.testing.assert_array_equal(space.apply(fields), np.vstack([space.apply(f[None]) for f in fields]))


@pytest.mark.parametrize("duration", [0.0, 3600.0, 1e6, 1.0])
@pytest.mark.parametrize("times", [range(6), range(2, 3), range(2), range(3, 6), range(1, 4)])
def test_time_factors_equal_the_rows_of_the_correlation(duration, times):
    correlation = TimeCorrelation(MIDDLE, duration)
    outer, inner = correlation.split(times)
    assert len(inner) <= len(times) + 2
    np.testing.assert_allclose(outer @ inner, correlation.dense[times.start : times.stop], rtol=1e-13, atol=0)
