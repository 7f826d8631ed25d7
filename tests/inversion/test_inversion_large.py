from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inversion import tiles
from inversion.gradient import apply_data_covariance, iterate_mean
from inversion.solver import condition
from inversion.tiles import condition_on_disk
from metroflux.errors import DataError
from pipelines.dask_mapper import open_mapper

N = 40


@pytest.fixture
def problem(inputs_of):
    inputs = inputs_of(3, n=N, times=12)
    inputs.background = inputs.background.assign_coords(random=("random", np.array(["sampling"])))
    inputs.durations = {"transport": 5 * 3600.0}
    return inputs.assemble()


def _two_threads(function, common, items):
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda item: function(common, item), items)


def test_data_covariance_applied_equals_the_one_formed(inputs_of, twin_of):
    inputs = inputs_of(3, n=N, times=12)
    twin, v = twin_of(inputs), np.random.default_rng(1).normal(size=N)
    want = twin.C @ v
    np.testing.assert_allclose(
        apply_data_covariance(inputs.assemble(), v), want, rtol=0, atol=1e-12 * np.abs(want).max()
    )


def test_mean_by_conjugate_gradients_equals_that_of_the_factor(problem):
    found, want = iterate_mean(problem, tolerance=1e-12), condition(problem).flux
    np.testing.assert_allclose(found.flux, want, rtol=0, atol=1e-10 * np.abs(want).max())
    assert found.iterations <= 2 * N
    assert found.residual < 1e-11


def test_unfinished_mean_is_refused(problem):
    with pytest.raises(DataError, match=r"residual .* after 3 iterations on 40 data"):
        iterate_mean(problem, most=3)


@pytest.mark.parametrize("width", [1, 7, 16, 64])
def test_factor_in_tiles_equals_that_of_lapack(problem, tmp_path, width):
    want, found = condition(problem), condition_on_disk(problem, tmp_path, width=width)
    b = np.random.default_rng(2).normal(size=(N, 3))
    solved = want.factor.solve(b)
    np.testing.assert_allclose(found.factor.solve(b), solved, rtol=0, atol=1e-10 * np.abs(solved).max())
    np.testing.assert_allclose(
        found.factor.solve(b[:, 0]), solved[:, 0], rtol=0, atol=1e-10 * np.abs(solved).max()
    )
    gram = want.gram @ b
    np.testing.assert_allclose(found.gram @ b, gram, rtol=0, atol=1e-12 * np.abs(gram).max())
    assert found.factor.logdet == pytest.approx(want.factor.logdet, rel=1e-12)
    assert found.factor.condition == pytest.approx(want.factor.condition, rel=0.1)
    np.testing.assert_allclose(found.flux, want.flux, rtol=0, atol=1e-10 * np.abs(want.flux).max())
    space, time = np.random.default_rng(3).uniform(0, 1, (2, 20)), np.ones((1, 12))
    for name in ("posterior", "posterior_variance", "budget", "posterior_covariance", "traceability"):
        a, b = (getattr(result.totals(space, time), name) for result in (found, want))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * np.abs(b).max())


@pytest.fixture(params=["threads", pytest.param("processes of Dask", marks=pytest.mark.slow)])
def two_workers(request):
    """Give a mapper with two workers."""
    if request.param == "threads":
        yield _two_threads
        return
    with open_mapper(2) as mapper:
        yield mapper


def test_tiles_have_the_same_bits_with_two_workers(problem, tmp_path, two_workers):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    condition_on_disk(problem, tmp_path / "a", width=7)
    condition_on_disk(problem, tmp_path / "b", two_workers, width=7)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 2 * 6 * 7 // 2
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_tiles_that_do_not_fit_on_the_disk_are_refused_before_they_start(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    with pytest.raises(DataError, match=r"40 data need \d+ bytes of tiles, 100 bytes are free"):
        condition_on_disk(problem, tmp_path)
    assert not any(tmp_path.iterdir())


def test_directory_with_tiles_is_not_written_over(problem, tmp_path):
    (tmp_path / "gram-0-0.npy").touch()
    with pytest.raises(DataError, match="expected an empty directory"):
        condition_on_disk(problem, tmp_path)
