"""The rules of tests/conftest.py, each shown on a small suite of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
CONFIG = """
[tool.pytest.ini_options]
addopts = "--import-mode=importlib --strict-markers -p no:cacheprovider -rsE"
markers = ["realdata: needs data", "browser: needs a browser"]
"""
REALDATA = "import pytest\n\n@pytest.mark.realdata\ndef test_it(data_dir):\n    assert data_dir.is_dir()\n"
BROWSER = "import pytest\n\n@pytest.mark.browser\ndef test_it(chromium):\n    assert chromium\n"
OWN_SKIP = "import pytest\n\n@pytest.mark.realdata\ndef test_it(data_dir):\n    pytest.skip('no file')\n"
ORPHAN = """
import subprocess, sys

def test_it():
    # the parent ends at once, its child sleeps on
    sleep = "import time; time.sleep(60)"
    inner = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}])"
    subprocess.run([sys.executable, "-c", inner], check=True)
"""


def run_suite(folder: Path, test: str, **environment: str) -> tuple[int, str]:
    """Return exit code and output of pytest on one test file beside a copy of our conftest."""
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(CONFIG)
    (folder / "tests" / "test_small.py").write_text(test)
    shutil.copy(CONFTEST, folder / "tests")
    kept = {k: v for k, v in os.environ.items() if k not in ("CI", "METROFLUX_DATA", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests"],
        cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_realdata_skips_with_a_reason_where_there_is_no_data(tmp_path):
    code, output = run_suite(tmp_path, REALDATA)
    assert code == 0
    assert "1 skipped" in output
    assert "METROFLUX_DATA is not set" in output


def test_realdata_may_not_skip_in_ci(tmp_path):
    code, output = run_suite(tmp_path, REALDATA, CI="true")
    assert code == 1
    assert "may not skip when CI=true" in output


def test_realdata_fails_on_a_missing_folder(tmp_path):
    code, output = run_suite(tmp_path, REALDATA, METROFLUX_DATA=str(tmp_path / "nowhere"))
    assert code == 1
    assert "is not a folder" in output


def test_realdata_runs_where_the_folder_is(tmp_path):
    code, output = run_suite(tmp_path, REALDATA, METROFLUX_DATA=str(tmp_path), CI="true")
    assert code == 0, output
    assert "1 passed" in output


def test_a_skip_inside_a_realdata_test_fails_in_ci(tmp_path):
    code, output = run_suite(tmp_path, OWN_SKIP, METROFLUX_DATA=str(tmp_path), CI="true")
    assert code == 1
    assert "no file" in output


@pytest.mark.parametrize(("ci", "expected"), [("", "1 skipped"), ("true", "may not skip")])
def test_browser_skips_only_outside_ci(tmp_path, ci, expected):
    code, output = run_suite(tmp_path, BROWSER, CI=ci, PATH=str(tmp_path))
    assert code == (1 if ci else 0)
    assert expected in output


def test_a_process_left_by_a_test_is_stopped_and_fails_the_session(tmp_path):
    code, output = run_suite(tmp_path, ORPHAN)
    assert code == 1
    assert "tests left 1 processes running" in output
