import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from metroflux.errors import DataError
from pipelines.view import page_server


def metroflux(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=os.environ | {"COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_wrong_configuration_exits_2_with_one_clear_message(config):
    config.write_text(config.read_text().replace("seed: 3", "sed: 3"))
    done = metroflux("validate", str(config))
    assert done.returncode == 2
    assert "line 4: transport.sed: unknown key; did you mean 'seed'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file_exits_3(config):
    config.write_text(config.read_text() + "regions: {file: nowhere.geojson}\n")
    done = metroflux("validate", str(config))
    assert done.returncode == 3
    assert "nowhere.geojson" in done.stderr


def test_a_good_configuration_exits_0(config):
    done = metroflux("validate", str(config))
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok (tiny, config " in done.stdout


def test_a_folder_without_a_run_exits_1(tmp_path):
    assert metroflux("status", str(tmp_path)).returncode == 1


def test_debug_shows_where(config):
    config.write_text("")
    assert "Traceback" in metroflux("--debug", "validate", str(config)).stderr


def test_a_schedule_that_is_none_exits_2(config):
    done = metroflux("serve", str(config), "--cron", "every night")
    assert done.returncode == 2
    assert "expected five fields" in done.stderr


@pytest.mark.slow
def test_a_dry_run_names_the_stages_and_leaves_nothing(config, tmp_path):
    done = metroflux("run", str(config), "--output", str(tmp_path / "out"), "--dry-run")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("footprints", "inversion", "products"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_tiny_world_runs_to_its_page_and_a_held_one_exits_4(config, tmp_path):
    done = metroflux("run", str(config), "--output", str(tmp_path / "out"), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "chi2 per observation" in done.stdout
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"posterior.nc", "diagnostics.nc", "totals.csv", "report.html", "viewer", "maps", "truth.nc",
            "manifest.json"} <= left  # fmt: skip
    config.write_text(config.read_text().replace("chi2_max: 100", "observations_min: 100000"))
    held = metroflux("run", str(config), "--output", str(tmp_path / "out"), "--resume", "--workers", "1")
    assert held.returncode == 4
    assert "held, not published" in held.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "held"
    assert {s["stage"] for s in manifest["stages"] if not s["reused"]} == {"gate", "products"}
    report = (tmp_path / "out" / "report.html").read_text()
    assert report.index("expected at least 100000") < report.index("<table")


def test_the_page_is_served_on_this_machine_only_and_hidden_files_are_not(tmp_path):
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / "index.html").write_text("<p>page</p>")
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "run.json").write_text("{}")
    server = page_server(tmp_path, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert server.server_address[0] == "127.0.0.1"
        base = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{base}/viewer/index.html") as answer:
            assert answer.read() == b"<p>page</p>"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        for path in (".work/run.json", "%2ework/run.json", "viewer/../.work/run.json", "../secret"):
            with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                urllib.request.urlopen(f"{base}/{path}")
            refused.value.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_folder_without_a_page_is_not_served(tmp_path: Path):
    with pytest.raises(DataError, match=r"no viewer/index\.html"):
        page_server(tmp_path, 0)


@pytest.mark.slow
def test_the_doctor_finds_this_environment_in_order():
    done = metroflux("doctor")
    assert "can be imported" in done.stdout
    assert "cores" in done.stdout
    assert "FAIL" not in done.stdout.replace("FAIL packages", ""), done.stdout
