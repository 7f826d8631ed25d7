"""Bad input on the real rooms: one clear message naming file and field, the right code, nothing left."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.realdata]


@pytest.fixture
def case(data_dir, tmp_path, monkeypatch):
    """A copy of the Bowen Basin data and configuration, small enough to run, free to be spoilt."""
    data = tmp_path / "data"
    shutil.copytree(data_dir / "bowen_basin_ch4", data / "bowen_basin_ch4", copy_function=shutil.copyfile)
    monkeypatch.setenv("METROFLUX_DATA", str(data))
    config = yaml.safe_load((ROOT / "configs" / "bowen_basin.yaml").read_text(encoding="utf-8"))
    config["archive"] = {"path": "archive", "kind": "icechunk"}
    config["transport"]["particles"] = 240
    return Case(tmp_path, data / "bowen_basin_ch4", config)


class Case:
    """A configuration with its data in a folder of its own."""

    def __init__(self, folder: Path, data: Path, config: dict):
        self.folder, self.data, self.config = folder, data, config

    def refused(self, code: int) -> str:
        """Run; return the message after checking the exit code and that nothing half-written is left."""
        path = self.folder / "case.yaml"
        path.write_text(yaml.safe_dump(self.config), encoding="utf-8")
        words = ["run", str(path), "--output", str(self.folder / "run"), "--workers", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        message = done.stdout + done.stderr
        assert done.returncode == code, message
        assert "Traceback" not in message
        for name in ("posterior.nc", "totals.csv", "viewer", "manifest.json"):
            assert not (self.folder / "run" / name).exists()
        assert published(self.folder) == []
        return " ".join(message.split())


def published(folder: Path) -> list[str]:
    """Run ids in the archive, wherever it lies; none if it was never made."""
    from metroflux.archive import open_archive

    found = [p for p in (folder / "archive", folder / "run" / "archive") if p.exists()]
    return [entry.run_id for p in found for entry in open_archive(p, "icechunk").runs()]


def test_misspelt_key_is_named_with_its_line_and_the_likely_word(case):
    case.config["transport"]["partcles"] = case.config["transport"].pop("particles")
    message = case.refused(2)
    assert "transport.partcles" in message
    assert "particles" in message
    assert "line" in message


def test_missing_file_is_named(case):
    (case.data / "prior-emissions.nc").unlink()
    message = case.refused(3)
    assert "prior-emissions.nc" in message
    assert "prior.inventory.file" in message


def test_wrong_units_are_named_with_file_and_variable(case):
    with netCDF4.Dataset(case.data / "prior-emissions.nc", "a") as file:
        file["ch4_sector_waste"].units = "kg/m2/yard"
    message = case.refused(3)
    assert "prior-emissions.nc" in message
    assert "ch4_sector_waste" in message
    assert "kg/m2/yard" in message


def test_nan_in_the_prior_is_named_with_file_and_variable(case):
    with netCDF4.Dataset(case.data / "prior-emissions.nc", "a") as file:
        file["ch4_sector_fugitive"][0, 0, 3, 4] = np.nan
    message = case.refused(3)
    assert "prior-emissions.nc" in message
    assert "ch4_sector_fugitive" in message


def test_fill_value_in_the_observations_is_named_with_file_and_field(case):
    path = case.data / "tropomi_2022-12-07.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kind, _, rest = lines[5].split(",", 2)
    path.write_text("".join([*lines[:5], f"{kind},1e36,{rest}", *lines[6:]]), encoding="utf-8")
    message = case.refused(3)
    assert "tropomi_2022-12-07.csv" in message
    assert "value" in message
    assert "1e+36" in message


def test_observation_outside_the_weather_is_named(case):
    for path in (case.data / "wrf").glob("*T0[3-9]00Z.nc"):
        path.unlink()
    for path in (case.data / "wrf").glob("*T1*Z.nc"):
        path.unlink()
    message = case.refused(3)
    assert "TROPOMI" in message
    assert "2022-12-07T02:00" in message


def test_empty_period_is_refused_by_name(case):
    case.config["run"]["end"] = case.config["run"]["start"]
    message = case.refused(2)
    assert "run.end" in message
    assert "empty" in message


def test_period_without_observations_says_what_was_dropped(case):
    case.config["observations"]["selection"] = {"start": "2022-12-07T00:00:00", "end": "2022-12-07T01:00:00"}
    message = case.refused(3)
    assert "TROPOMI" in message
    assert "165" in message


def test_gap_in_the_weather_is_named(case):
    (case.data / "wrf" / "WRFOUT_d01_2022-12-07T0200Z.nc").unlink()
    message = case.refused(3)
    assert "2022-12-07T01:00" in message
    assert "gap" in message or "hour" in message


def test_a_log_of_the_failure_is_kept(case):
    (case.data / "wrf" / "WRFOUT_d01_2022-12-07T0200Z.nc").unlink()
    case.refused(3)
    events = (case.folder / "run" / "run.log.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(events[-1])["message"] == "run failed"
