import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from pydantic import TypeAdapter

from metroflux.errors import ConfigError, DataError, MetrofluxError
from metroflux.provenance import sha256_file
from pipelines.config import read_config
from pipelines.manifest import require_one_role
from pipelines.run import Options, run, status
from pipelines.sources import TableSource
from pipelines.stacks import Plants

FAKE = Path(__file__).with_name("fake_stages.py")


@pytest.fixture
def journal(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "journal"
    path.touch()
    monkeypatch.setenv("FAKE_LOG", str(path))
    return path


def child(config: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(FAKE), str(config), str(folder), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def fake(name: str):
    sys.path.insert(0, str(FAKE.parent))
    try:
        return getattr(__import__("fake_stages"), name)
    finally:
        sys.path.pop(0)


def numbers(folder: Path) -> np.ndarray:
    with xr.open_dataset(folder / "posterior.nc") as ds:
        return ds.b.values


def test_a_run_leaves_its_products_and_a_manifest_that_says_how_they_were_made(config, journal, tmp_path):
    outcome = run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (tmp_path / "out" / "viewer" / "index.html").exists()
    assert manifest["run_id"] == outcome.run_id
    assert manifest["status"] == "published"
    assert manifest["seeds"] == {"world.seed": 1, "world.truth_seed": 2, "transport.seed": 3}
    assert [stage["stage"] for stage in manifest["stages"]] == ["first", "mapped", "judged", "drawn"]
    assert manifest["packages"]["numpy"] == np.__version__
    events = [json.loads(line) for line in (tmp_path / "out" / "run.log.jsonl").read_text().splitlines()]
    assert {event["run_id"] for event in events} == {outcome.run_id}
    assert [e["stage"] for e in events if e["message"] == "stage done"] == [
        "first",
        "mapped",
        "judged",
        "drawn",
    ]


def test_two_runs_give_the_same_bits(config, journal, tmp_path):
    for name in ("one", "two"):
        run(config, tmp_path / name, Options(), recipe=fake("RECIPE"))
    assert numbers(tmp_path / "one").tobytes() == numbers(tmp_path / "two").tobytes()


@pytest.mark.parametrize("where", ["first", "piece 0", "piece 3", "drawn"])
def test_a_run_killed_anywhere_resumes_to_the_same_bits_and_redoes_only_what_was_lost(
    where, config, journal, tmp_path
):
    run(config, tmp_path / "whole", Options(), recipe=fake("RECIPE"))
    journal.write_text("")
    assert child(config, tmp_path / "out", FAKE_DIE=where).returncode == -9
    assert not (tmp_path / "out" / "manifest.json").exists()
    before = journal.read_text().splitlines()
    assert before[-1] == where
    assert status(tmp_path / "out")["status"].startswith("interrupted")
    run(config, tmp_path / "out", Options(resume=True), recipe=fake("RECIPE"))
    lines = journal.read_text().splitlines()
    repeated = {line for line in lines if lines.count(line) > 1}
    assert repeated == ({where, "mapped"} if where.startswith("piece") else {where})
    assert numbers(tmp_path / "out").tobytes() == numbers(tmp_path / "whole").tobytes()
    assert not list((tmp_path / "out" / ".work").glob(".tmp-*"))
    assert not list((tmp_path / "out" / ".work").glob("*.parts"))


def test_resuming_continues_the_run_of_the_same_configuration_under_its_id(config, journal, tmp_path):
    first = run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    again = run(config, tmp_path / "out", Options(resume=True), recipe=fake("RECIPE"))
    assert again.run_id == first.run_id
    assert all(done.reused for done in again.done)


def test_resuming_after_a_change_redoes_the_stages_that_read_it_and_those_after_them(
    config, journal, tmp_path
):
    first = run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    config.write_text(config.read_text().replace("hours: 6", "hours: 7"))
    again = run(config, tmp_path / "out", Options(resume=True), recipe=fake("RECIPE"))
    assert [done.reused for done in again.done] == [True, False, False, False]
    assert again.run_id != first.run_id


def test_without_resume_nothing_is_reused(config, journal, tmp_path):
    for _ in range(2):
        outcome = run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
        assert not any(done.reused for done in outcome.done)


def test_a_result_that_was_damaged_is_made_again(config, journal, tmp_path):
    run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    [kept] = (tmp_path / "out" / ".work").glob("mapped-*/sums.nc")
    kept.write_bytes(kept.read_bytes()[:-100])
    again = run(config, tmp_path / "out", Options(resume=True), recipe=fake("RECIPE"))
    assert [done.reused for done in again.done] == [True, False, True, True]


def test_a_full_disk_ends_the_run_without_products_and_it_can_be_resumed(
    config, journal, tmp_path, monkeypatch
):
    monkeypatch.setenv("FAKE_FAIL", "judged")
    with pytest.raises(OSError, match="No space left"):
        run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    assert not (tmp_path / "out" / "manifest.json").exists()
    monkeypatch.delenv("FAKE_FAIL")
    again = run(config, tmp_path / "out", Options(resume=True), recipe=fake("RECIPE"))
    assert [done.reused for done in again.done] == [True, True, False, False]


def test_a_second_run_into_the_same_folder_is_refused(config, journal, tmp_path):
    other = subprocess.Popen(
        [sys.executable, str(FAKE), str(config), str(tmp_path / "out")], env=os.environ | {"FAKE_SLEEP": "20"}
    )
    try:
        deadline = time.monotonic() + 60
        while "piece 0" not in journal.read_text():
            assert other.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(MetrofluxError, match="another run is using this folder"):
            run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
        assert status(tmp_path / "out")["status"] == "running"
    finally:
        other.kill()
        other.wait()


def test_a_folder_with_other_files_is_refused_and_left_alone(config, journal, tmp_path):
    precious = tmp_path / "out" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    with pytest.raises(ConfigError, match="holds files but no run"):
        run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    assert [path.name for path in precious.parent.iterdir()] == ["thesis.txt"]


def test_a_held_run_has_its_products_and_says_why(config, journal, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_HOLD", "1")
    outcome = run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
    assert outcome.reasons == ("chi2 is 9",)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["status"], manifest["reasons"]) == ("held", ["chi2 is 9"])
    assert status(tmp_path / "out")["status"] == "held"


@pytest.mark.slow
def test_one_and_four_workers_give_the_same_bits(config, journal, tmp_path):
    for workers in ("1", "4"):
        done = child(config, tmp_path / workers, FAKE_WORKERS=workers)
        assert done.returncode == 0, done.stderr
    assert numbers(tmp_path / "1").tobytes() == numbers(tmp_path / "4").tobytes()


def test_there_is_no_status_where_there_is_no_run(tmp_path):
    with pytest.raises(MetrofluxError, match="no run here"):
        status(tmp_path)


def test_one_column_read_as_data_and_as_plants_stops_the_run_with_both_places_named(config, tmp_path):
    table = tmp_path / "stack.csv"
    table.write_text("time,name,lat,lon,h,co2\n2024-03-04T00:00,A,40,116,100,420\n")
    (tmp_path / "copy.csv").write_text(table.read_text())
    place = "{A: {latitude: 40, longitude: 116}}"
    source = f"{{reader: table, file: FILE, unit: ppm, sites: {place}, mole_fraction: co2}}"
    copy = tmp_path / "copy.csv"
    plants = f"plants: {{file: {copy}, units: t yr-1, height: h, relative_sd: 1, emission: VAR}}"
    files = read_config(config, None)
    adapter = TypeAdapter(TableSource)
    chosen = adapter.validate_python(yaml.safe_load(source.replace("FILE", str(table))))
    both = files.config.model_copy(update={
        "observations": files.config.observations.model_copy(update={"sources": (chosen,)}),
        "plants": Plants(**yaml.safe_load(plants.replace("VAR", "co2"))["plants"]),
    })  # fmt: skip
    hashes = {path: sha256_file(path) for path in (table, copy)}
    with pytest.raises(DataError, match=r"used twice: \w{64}:co2 in observations.sources\[0\] and plants"):
        require_one_role(both, hashes)
    other = both.model_copy(update={"plants": Plants(**yaml.safe_load(plants.replace("VAR", "h"))["plants"])})
    require_one_role(other, hashes)
    twice = chosen.model_copy(update={"file": copy})
    again = other.model_copy(
        update={"observations": files.config.observations.model_copy(update={"sources": (chosen, twice)})}
    )
    with pytest.raises(DataError, match=r"observations.sources\[0\] and observations.sources\[1\]"):
        require_one_role(again, hashes)


def test_a_run_asks_for_one_role_before_it_touches_the_folder(config, tmp_path, monkeypatch):
    def refuse(chosen, hashes):
        raise DataError("used twice")

    monkeypatch.setattr("pipelines.run.require_one_role", refuse)
    with pytest.raises(DataError, match="used twice"):
        run(config, tmp_path / "out", Options(), recipe=fake("RECIPE"))
