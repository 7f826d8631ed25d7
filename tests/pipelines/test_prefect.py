"""One real Prefect server on the loopback interface, started and stopped by the test itself."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

FAKE = Path(__file__).with_name("fake_stages.py")


def wait_for(found: Callable[[], Any], what: str, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


def ask(url: str, path: str, **body: Any) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """Return a home of Prefect that only this test knows."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "journal"))
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


@pytest.fixture
def served(home, config) -> Iterator[tuple[str, subprocess.Popen]]:
    """Serve a configuration every minute; give the address of the server and the process."""
    log = (home / "serve.log").open("w")
    command = [sys.executable, "-m", "pipelines.cli", "serve", str(config), "--cron", "* * * * *",
               "--output", str(home / "runs"), "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def address() -> str | None:
        assert process.poll() is None, (home / "serve.log").read_text()
        found = re.search(
            r"scheduled .*server (http://127\.0\.0\.1:\d+/api)", (home / "serve.log").read_text()
        )
        return found[1] if found else None

    tree: list[psutil.Process] = []
    try:
        yield wait_for(address, "server", 120), process
    finally:
        if process.poll() is None:
            tree = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
        try:
            process.wait(60)
        finally:
            left = [child for child in tree if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
            for child in left:
                child.kill()
            log.close()
        assert not left, f"still running: {left}; {(home / 'serve.log').read_text()}"


def flow_child(config: Path, folder: Path, url: str, *arguments: str, **environment: str):
    return subprocess.run(
        [sys.executable, str(FAKE), str(config), str(folder), "--flow", *arguments],
        env=os.environ | {"PREFECT_API_URL": url} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def flow_runs(url: str, name: str) -> list[dict[str, Any]]:
    runs = ask(url, "flow_runs/filter", flows={"name": {"any_": [name]}}, sort="START_TIME_ASC")
    return [run for run in runs if run["state"]]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_flows_run_on_a_real_server_and_a_schedule_really_starts_runs(served, home, config):
    url, process = served
    scheduled = wait_for(lambda: flow_runs(url, "metroflux-scheduled"), "a scheduled run", 60)
    assert scheduled[0]["deployment_id"]
    assert scheduled[0]["parameters"]["config"] == str(config)

    # a run that is killed stays RUNNING on the server until the next one into its folder says otherwise
    folder = home / "out"
    assert flow_child(config, folder, url, FAKE_DIE="piece 3").returncode == -9
    assert [run["state_type"] for run in flow_runs(url, "metroflux")] == ["RUNNING"]
    done = flow_child(config, folder, url, "--resume")
    assert done.returncode == 0, done.stderr
    assert [run["state_type"] for run in flow_runs(url, "metroflux")] == ["CRASHED", "COMPLETED"]
    assert (folder / "manifest.json").exists()
    finished = flow_runs(url, "metroflux")[-1]["id"]
    tasks = ask(
        url, "task_runs/filter", flow_runs={"id": {"any_": [finished]}}, sort="EXPECTED_START_TIME_ASC"
    )
    assert [task["name"].rsplit("-", 1)[0] for task in tasks] == ["first", "mapped", "judged", "drawn"]

    begun = wait_for(
        lambda: [r for r in flow_runs(url, "metroflux-scheduled") if r["start_time"]], "a run to start", 120
    )
    assert begun[0]["auto_scheduled"]
    wait_for(lambda: list((home / "runs").glob("*T*Z/.work")), "the folder of the scheduled run", 60)
    assert process.poll() is None
