"""A package of someone else with the name of one of our rooms stops the import, and says where it lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metroflux._guard import ROOMS

ROOT = Path(__file__).resolve().parents[2]


def import_metroflux(first_on_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import metroflux; print('imported')"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(first_on_path), str(ROOT)])},
        cwd=first_on_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
def test_a_foreign_package_is_refused(tmp_path, room):
    (tmp_path / room).mkdir()
    (tmp_path / room / "__init__.py").write_text("")
    done = import_metroflux(tmp_path)
    assert done.returncode == 1
    assert f"package '{room}' is provided by {tmp_path / room}, expected {ROOT / room}" in done.stderr
    assert "remove it from this environment" in done.stderr


def test_a_foreign_module_is_refused(tmp_path):
    (tmp_path / "transport.py").write_text("")
    done = import_metroflux(tmp_path)
    assert done.returncode == 1
    assert "package 'transport' is provided by" in done.stderr


def test_other_packages_do_not_matter(tmp_path):
    (tmp_path / "transports").mkdir()
    (tmp_path / "transports" / "__init__.py").write_text("")
    (tmp_path / "inversion").mkdir()  # a folder without __init__.py does not hide ours
    done = import_metroflux(tmp_path)
    assert done.stdout == "imported\n", done.stderr
