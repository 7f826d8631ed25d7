import numpy as np
import pytest

from inversion.covariance import (
    FORMS,
    Covariance,
    DayHourCorrelation,
    GivenCorrelation,
    GridCorrelation,
    Masked,
    TimeCorrelation,
)
from inversion.slopes import slope
from metroflux.errors import DataError

MIDDLE = np.array([0.0, 3.0, 6.0, 12.0, 13.0, 20.0, 30.0]) * 3600
LABEL = np.array([0, 1, 1, 2] * 5)


def _spaces(value):
    base = (4, 5), (3000.0, 2000.0)
    for form in FORMS:
        yield GridCorrelation(*base, 4000.0 * value, form)
        yield GridCorrelation(*base, 4000.0 * value, form, 7000.0 * value)
        yield GridCorrelation(*base, 4000.0 * value, form, 7000.0 * value, per_axis=True)
        yield Masked(GridCorrelation(*base, 4000.0 * value, form), LABEL)


@pytest.mark.parametrize("which", range(16))
def test_slope_by_length_equals_differences_of_the_correlation(which):
    at = {v: list(_spaces(v))[which] for v in (np.exp(-1e-5), 1.0, np.exp(1e-5))}
    low, middle, high = at.values()
    found = slope(Covariance(np.ones((7, 20)), TimeCorrelation(MIDDLE, 5e4), middle), "length").space
    np.testing.assert_allclose(found.dense(), (high.dense() - low.dense()) / 2e-5, rtol=0, atol=1e-9)
    fields = np.random.default_rng(1).normal(size=(3, 20))
    np.testing.assert_allclose(found.apply(fields), fields @ found.dense(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("form", ["lag", "day and hour"])
def test_slope_by_duration_equals_differences_of_the_correlation(form):
    def time(value):
        if form == "lag":
            return TimeCorrelation(MIDDLE, 5e4 * value)
        return DayHourCorrelation(MIDDLE, 2e5 * value, 1e4)

    space = GridCorrelation((4, 5), (3000.0, 2000.0), 4000.0)
    found = slope(Covariance(np.ones((7, 20)), time(1.0), space), "duration").time
    want = (time(np.exp(1e-5)).dense - time(np.exp(-1e-5)).dense) / 2e-5
    np.testing.assert_allclose(found.dense, want, rtol=0, atol=1e-9)
    outer, inner = found.split(range(2, 5))
    np.testing.assert_allclose(outer @ inner, found.dense[2:5], rtol=0, atol=1e-15)
    fields = np.random.default_rng(1).normal(size=(7, 2, 3))
    np.testing.assert_allclose(found.apply(fields), np.tensordot(found.dense, fields, 1), atol=1e-13)


def test_length_of_a_given_matrix_cannot_be_estimated():
    given = Covariance(np.ones((7, 3)), TimeCorrelation(MIDDLE, 5e4), GivenCorrelation(np.eye(3)))
    with pytest.raises(DataError, match="the length of a GivenCorrelation cannot be estimated"):
        slope(given, "length")
