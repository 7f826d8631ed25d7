import numpy as np
import pytest

from inversion.covariance import (
    Covariance,
    DayHourCorrelation,
    GivenCorrelation,
    GridCorrelation,
    Independent,
    Masked,
    TimeCorrelation,
)
from metroflux.errors import DataError

MIDDLE = np.array([0.0, 3.0, 6.0, 12.0, 13.0, 20.0]) * 3600


TIMES = [TimeCorrelation(MIDDLE, 5 * 3600.0), TimeCorrelation(MIDDLE, 0.0),
         DayHourCorrelation(3 * MIDDLE, 2 * 86400.0, 4 * 3600.0)]  # fmt: skip


def _covariance(rng, space, time=TIMES[0]):
    return Covariance(rng.uniform(0.1, 1, (6, 20)), time, space)


SPACES = [
    GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0),
    GridCorrelation((4, 5), (3000.0, 2000.0), 9000.0, "gaussian"),
    GridCorrelation((1, 20), (3000.0, 2000.0), 4000.0),
    GridCorrelation((20, 1), (3000.0, 2000.0), 1e9),
    GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0, "matern32", length_y=9000.0),
    GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0, "matern52"),
    GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0, "exponential", 2500.0, per_axis=True),
    Masked(GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0), np.repeat([1, 0, 2, 1], 5)),
    Independent(20),
    GivenCorrelation(np.full((20, 20), 0.3) + 0.7 * np.eye(20)),
]


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("space", SPACES)
def test_covariance_operator_equals_its_dense_form(space, time):
    rng = np.random.default_rng(1)
    B, x = _covariance(rng, space, time), rng.normal(size=120)
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


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("space", SPACES)
def test_square_root_times_its_adjoint_is_the_covariance(space, time):
    rng = np.random.default_rng(4)
    B, x = _covariance(rng, space, time), rng.normal(size=(6, 20))
    np.testing.assert_allclose(B.root(B.root_adjoint(x)), B @ x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("space", SPACES)
def test_square_root_passes_the_dot_test(space, time):
    rng = np.random.default_rng(5)
    B = _covariance(rng, space, time)
    x, noise = rng.normal(size=(6, 20)), rng.normal(size=B.root_shape)
    assert np.vdot(x, B.root(noise)) == pytest.approx(np.vdot(B.root_adjoint(x), noise), rel=1e-11)


@pytest.mark.parametrize("form", ["exponential", "matern32"])
def test_square_root_of_a_large_grid_by_its_circulant_is_the_covariance(form):
    rng = np.random.default_rng(6)
    space = GridCorrelation((40, 50), (1000.0, 1000.0), 5000.0, form)
    x, noise = rng.normal(size=(3, 2000)), rng.normal(size=(3, space.root_size))
    assert space.root_size > 2000
    np.testing.assert_allclose(space.root(space.root_adjoint(x)), space.apply(x), rtol=0, atol=1e-11)
    assert np.vdot(x, space.root(noise)) == pytest.approx(np.vdot(space.root_adjoint(x), noise), rel=1e-11)


def test_square_root_without_a_positive_circulant_is_refused():
    space = GridCorrelation((80, 80), (1000.0, 1000.0), 1e6, "matern52")
    with pytest.raises(DataError, match="matern52 correlation of length 1e\\+06 m"):
        space.root(np.zeros((1, 6400)))


def test_mask_keeps_land_and_town_apart():
    space = SPACES[7]
    corner = np.zeros((1, 20))
    corner[0, 0] = 1.0
    seen = space.apply(corner).reshape(4, 5)
    assert seen[3, 0] == pytest.approx(np.exp(-9.0 / 4.0), rel=1e-12)
    assert not seen[1:3].any()


def test_same_hour_of_the_next_day_is_closer_than_the_other_half_of_the_day():
    hours = np.arange(49.0) * 3600
    T = DayHourCorrelation(hours, 5 * 86400.0, 6 * 3600.0).dense
    assert T[12, 36] == pytest.approx(np.exp(-0.2))
    assert T[12, 24] == pytest.approx(np.exp(-0.2 - 2.0))
    assert T[1, 23] == pytest.approx(np.exp(-2 / 6))
    assert np.linalg.eigvalsh(T)[0] > 0


def test_draws_have_the_prior_covariance():
    rng = np.random.default_rng(7)
    B = Covariance(np.linspace(1, 2, 12).reshape(2, 6), TimeCorrelation(np.array([0.0, 3600.0]), 7200.0),
                   GridCorrelation((2, 3), (1.0, 1.0), 2.0, "matern32"))  # fmt: skip
    sample = np.array([B.sample(rng).ravel() for _ in range(20000)])
    np.testing.assert_allclose(np.cov(sample.T), B.dense(), atol=0.15)
