"""The files that name packages and versions agree with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import metroflux

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
LOCK = (ROOT / "requirements.lock").read_text()


def locked() -> dict[str, list[Version]]:
    """Return every pinned version of every package in the lock."""
    pins: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([a-z0-9][a-z0-9.-]*)==(\S+)", LOCK, flags=re.MULTILINE):
        pins.setdefault(name, []).append(Version(version))
    return pins


def test_environment_yml_equals_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {canonicalize_name(r.name): r.specifier for r in map(Requirement, listed)}
    pip = {canonicalize_name(r.name): r.specifier for r in WANTED}
    assert len(conda) == len(listed)
    assert conda.pop("python") == Requirement(f"python{PROJECT['requires-python']}").specifier
    assert conda.pop("pip") == Requirement("pip").specifier  # installs the rooms themselves
    assert conda == pip


@pytest.mark.parametrize("requirement", WANTED, ids=lambda r: r.name)
def test_lock_satisfies_pyproject(requirement):
    versions = locked()[canonicalize_name(requirement.name)]
    assert all(requirement.specifier.contains(version) for version in versions), versions


def test_lock_holds_the_build_backend():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in map(Requirement, build):
        assert all(requirement.specifier.contains(v) for v in locked()[canonicalize_name(requirement.name)])


def test_lock_names_no_address_and_no_path():
    for number, line in enumerate(LOCK.splitlines(), start=1):
        assert "://" not in line, f"line {number}: an address"
        assert not re.search(r"(^|[\s'\"=@])(/|~|\.\.?/|file:|[A-Za-z]:\\)", line), f"line {number}: a path"
        assert not line.startswith("-"), f"line {number}: an option"


def test_lock_has_a_hash_for_every_pin():
    entries = re.split(r"\n(?=[a-z0-9])", LOCK)[1:]
    assert len(entries) > len(WANTED)
    for entry in entries:
        assert "==" in entry.splitlines()[0], entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]


def test_version_is_the_same_wherever_it_stands():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert metroflux.__version__ == PROJECT["version"] == citation["version"]
    assert f"[Unreleased] - {metroflux.__version__}" in (ROOT / "CHANGELOG.md").read_text() or (
        f"## [{metroflux.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_licence_is_the_one_stated():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
