"""Run on a schedule: a Prefect server on this machine unless one is configured, and our flow served to it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil  # type: ignore[import-untyped]
from rich.console import Console

from metroflux.errors import ConfigError, MetrofluxError
from pipelines import prefect_settings
from pipelines.launch import API
from pipelines.view import LOOPBACK

START_LIMIT = 120.0
"""Longest wait for the server, s; a first start makes its database."""

STOP_LIMIT = 10.0
"""How long the server may take to end, s."""


@dataclass(frozen=True)
class Schedule:
    """When a configuration runs, and on what.

    cron : five fields, UTC
    days_ago : the period begins so many days before the scheduled day; None: as configured
    """

    cron: str
    days_ago: int | None = None


def serve_forever(config: Path, schedule: Schedule, root: Path, workers: int, console: Console) -> None:
    """Create the scheduled deployment and run what comes due, until interrupted.

    Raises
    ------
    ConfigError
        If the schedule is not a cron expression.
    """
    _refuse_bad_cron(schedule.cron)
    prefect_settings.apply()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        url = _api(console)
        os.environ[API] = url
        console.print(
            f"{config}: scheduled '{schedule.cron}' (UTC); server {url}", markup=False, highlight=False
        )
        _serve(config, schedule, root, workers)
    except KeyboardInterrupt:
        console.print("ended")
    finally:
        _stop_children()


def _serve(config: Path, schedule: Schedule, root: Path, workers: int) -> None:
    """Serve the flow; Prefect is imported here, when its address is in the environment."""
    from prefect.types.entrypoint import EntrypointType

    from pipelines.flows import scheduled

    # Prefect's own handler of SIGTERM leaves a coroutine behind as the process ends
    warnings.filterwarnings("ignore", message="coroutine 'Runner.astop' was never awaited")
    scheduled.serve(
        name=config.stem,
        cron=schedule.cron,
        parameters={
            "config": str(config.resolve()),
            "root": str(root.resolve()),
            "workers": workers,
            "days_ago": schedule.days_ago,
        },
        entrypoint_type=EntrypointType.MODULE_PATH,
        print_starting_message=False,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refuse_bad_cron(cron: str) -> None:
    """Refuse what is clearly no schedule; Prefect, once its server is up, knows the fine points."""
    if len(cron.split()) != 5 or not set(cron) <= set("0123456789*,-/ LW#ABCDEFGHIJKMNOPQRSTUVWY"):
        raise ConfigError(f"--cron '{cron}' is not a schedule; expected five fields such as '0 2 * * *'")


def _api(console: Console) -> str:
    """Return the address of the configured Prefect API, or of a server started for as long as we run."""
    configured = os.environ.get(API)
    if configured:
        return configured
    port = _free_port()
    url = f"http://{LOOPBACK}:{port}/api"
    environment = os.environ | {"PREFECT_UI_API_URL": url, API: url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
    # its own session, so that Ctrl-C reaches us first and we end it in order
    server = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    _wait_until_healthy(url, server)
    console.print(f"started a Prefect server, process {server.pid}", markup=False, highlight=False)
    return url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MetrofluxError(f"the Prefect server ended at once with code {server.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 - our own http address
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise MetrofluxError(f"the Prefect server at {url} did not answer within {START_LIMIT:g} s")


def _stop_children() -> None:
    """Stop every process that we started, and theirs: server, runs under way, their workers."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(children, STOP_LIMIT)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(alive, STOP_LIMIT)
