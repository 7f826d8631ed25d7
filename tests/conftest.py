"""What all tests share: threads and caches pinned before numpy loads, data, the browser, no process left."""

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "") == "true"
TAG = ("METROFLUX_TEST_SESSION", str(uuid.uuid4()))
"""Set in the environment: inherited by every process that a test starts, orphans included."""


def _pin_environment() -> None:
    """Set one BLAS thread, so that bits do not depend on the cores, and a numba cache never stale."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.update([TAG])
    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(_numba_cache())


def _numba_cache() -> Path:
    """Return a cache folder of its own for each state of the kernels.

    numba looks only at the file of the kernel itself: a change in another file's kernel that it calls
    would go unnoticed.
    """
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("[!.]*/**/*.py")):
        source = path.read_bytes()
        if b"numba" in source:
            digest.update(source)
    cache = ROOT / ".pytest_cache" / "numba" / digest.hexdigest()[:16]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        writable = os.access(cache, os.W_OK)
    except OSError:
        writable = False
    # in a read-only tree the kernels are compiled for this session only
    return cache if writable else Path(tempfile.mkdtemp(prefix="metroflux-numba-"))


_pin_environment()

import numpy as np  # noqa: E402 - after the threads are pinned
import psutil  # noqa: E402
import pytest  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NEEDS = {"realdata": "data_dir", "browser": "chromium"}
"""Marker -> fixture of the tests that may not skip in CI."""
MULTIPROCESSING_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Processes of Python's own that live until the interpreter ends."""


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed, fresh for each test."""
    return np.random.default_rng(20221207)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; only for tests marked `realdata`."""
    return _need_data()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's command; only for tests marked `browser`."""
    return _need_browser()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("realdata"):
        _need_data()
    if item.get_closest_marker("browser"):
        _need_browser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn every skip of a `realdata` or `browser` test into a failure in CI."""
    report = yield
    needs = [n for n, fixture in NEEDS.items() if item.get_closest_marker(n) or fixture in item.fixturenames]
    if IN_CI and needs and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"a test that needs {', '.join(needs)} may not skip when CI=true: {report.longrepr}"
    return report


def _need_data() -> Path:
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set: no real data on this machine")
    folder = Path(os.environ["METROFLUX_DATA"])
    if not folder.is_dir():
        pytest.fail(f"METROFLUX_DATA={folder} is not a folder; expected the real data", pytrace=False)
    return folder


def _need_browser() -> str:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(BROWSERS)})")
    return found


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail the session, and stop the process, when a test leaves one running."""
    yield
    started = {p: _command(p) for p in psutil.process_iter() if p.pid != os.getpid() and _started_here(p)}
    ours = [p for p, command in started.items() if not any(h in command for h in MULTIPROCESSING_HELPERS)]
    _, left = psutil.wait_procs(ours, timeout=5)
    for process in left:
        process.kill()
    if left:
        names = "; ".join(started[process] for process in left)
        pytest.fail(f"tests left {len(left)} processes running (now killed): {names}", pytrace=False)


def _started_here(process: psutil.Process) -> bool:
    try:
        by_birth = any(parent.pid == os.getpid() for parent in process.parents())
        return by_birth or process.environ().get(TAG[0]) == TAG[1]
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # ended meanwhile, or another user's
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return str(process)
