import numpy as np
import pytest
import xarray as xr

from metroflux.correlated import SiteCorrelated
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel, Random, Shared, attach

N = 30


def _model(seed):
    rng = np.random.default_rng(seed)
    site = np.array(["A", "B", "C"])[rng.integers(0, 3, N)]
    time = rng.choice(np.arange(20.0), N) * 3600 + rng.uniform(0, 600, N) * (rng.random(N) < 0.7)
    parts = tuple(
        SiteCorrelated(cause, rng.uniform(0.5, 2, N), duration, site, time)
        for cause, duration in (("transport", 5000.0), ("mixing", 9e4))
    )
    return ErrorModel({"noise": rng.uniform(0.5, 1, N)}, rng.normal(size=(N, 2)), ("scale", "scale"), parts)


def _dense(model):
    """Return R written out entry by entry."""
    R = np.diag(model.random["noise"]) + model.columns @ model.columns.T
    for i, j in np.ndindex(N, N):
        for part in model.correlated:
            if part.site[i] == part.site[j]:
                gap = abs(part.time[i] - part.time[j])
                R[i, j] += part.sd[i] * part.sd[j] * np.exp(-gap / part.duration)
    return R


@pytest.mark.parametrize("seed", range(5))
def test_errors_correlated_along_sites_equal_their_dense_twin(seed):
    model, rng = _model(seed), np.random.default_rng(100 + seed)
    R, x = _dense(model), rng.normal(size=(N, 3))
    np.testing.assert_allclose(model.dense(), R, rtol=0, atol=1e-13)
    np.testing.assert_allclose(model @ x, R @ x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(model @ x[:, 0], R @ x[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.solve(x), np.linalg.solve(R, x), rtol=0, atol=1e-11)
    np.testing.assert_allclose(model.solve(x[:, 0]), np.linalg.solve(R, x[:, 0]), rtol=0, atol=1e-11)
    np.testing.assert_allclose(model.variance, np.diag(R), rtol=1e-13)
    assert model.logdet() == pytest.approx(np.linalg.slogdet(R)[1], abs=1e-10)
    some = np.array([3, 1, 20, 7])
    np.testing.assert_allclose(model.take(some).dense(), R[np.ix_(some, some)], rtol=0, atol=1e-13)


def test_budget_of_correlated_errors_sums_to_the_whole():
    model, k = _model(1), np.random.default_rng(2).normal(size=(N, 4))
    parts = model.budget(k)
    assert set(parts) == {"noise", "transport", "mixing", "scale"}
    np.testing.assert_allclose(sum(parts.values()), np.sum(k * (_dense(model) @ k), axis=0), rtol=1e-12)


def test_root_of_a_correlated_part_gives_its_covariance():
    part = _model(3).correlated[0]
    Q = np.array([part.root(e) for e in np.eye(N)]).T
    np.testing.assert_allclose(Q @ Q.T, part.dense(), rtol=0, atol=1e-13)


def test_draws_have_the_covariance_of_the_model():
    model, rng = _model(4), np.random.default_rng(5)
    draws = np.array([model.sample(rng) for _ in range(4000)])
    R = _dense(model)
    sd = np.sqrt((R**2 + np.outer(np.diag(R), np.diag(R))) / 4000)  # of a sample covariance
    assert np.max(np.abs(np.cov(draws.T) - R) / sd) < 5


def _observations():
    time = np.datetime64("2024-01-01", "ns") + np.array([3, 0, 1]) * np.timedelta64(1, "h")
    ds = xr.Dataset(coords={"site": ("obs", ["A", "A", "B"]), "time": ("obs", time)}).assign(
        x=("obs", [0, 0, 0])
    )
    return attach(
        ds,
        [Random("noise", np.full(3, 1.0)), Random("transport", np.array([1.0, 2.0, 3.0]))],
        [Shared("tank", "scale", np.ones(3), "NIST 7"), Shared("lag", "scale", np.ones(3))],
    )


def test_cause_given_a_duration_moves_from_the_diagonal_to_the_sites():
    model = ErrorModel.from_datasets(_observations(), durations={"transport": 7200.0})
    assert set(model.random) == {"noise"}
    assert model.materials == ("NIST 7", "not stated")
    R = model.dense()
    assert R[0, 1] == pytest.approx(2.0 + 2.0 * np.exp(-1.5))
    assert R[0, 2] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("durations", "message"),
    [({"wind": 3.0}, "wind; expected positive seconds for some of noise, transport"),
     ({"transport": -1.0}, r"transport \(-1.0\)"),
     ({"transport": 60.0, "noise": 60.0}, "independent from datum to datum")],
)  # fmt: skip
def test_wrong_duration_is_refused(durations, message):
    with pytest.raises(DataError, match=message):
        ErrorModel.from_datasets(_observations(), durations=durations)
