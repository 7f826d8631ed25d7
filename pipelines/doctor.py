"""Check what a run needs: packages within their pins, Prefect that starts, folders, browser, machine."""

import importlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from metroflux.errors import DataError
from pipelines.fields import DATA

LEAST_MEMORY = 4.0
"""GiB that the demo may take."""


def examine(console: Console) -> bool:
    """Print one line per check; tell whether all that is needed is there."""
    good = True
    for name, check in CHECKS:
        try:
            text, fine = check(), True
        except DataError as fault:
            text, fine = str(fault), False
        except ImportError as fault:
            text, fine = f"cannot be imported: {fault}", False
        good &= fine
        mark = "[green]ok[/]  " if fine else "[red]FAIL[/]"
        console.print(f"{mark} {name:<10} {escape(text)}", highlight=False)
    return good


def _python() -> str:
    return platform.python_version()


def _packages() -> str:
    """Compare what is installed with the pins of this distribution."""
    try:
        wanted = [Requirement(text) for text in requires("metroflux") or []]
    except PackageNotFoundError:
        raise DataError("metroflux is not installed; expected 'make env' or 'pip install -e .'") from None
    faults = []
    for need in wanted:
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(need.name)
        except PackageNotFoundError:
            faults.append(f"{need.name} is absent, expected {need.specifier or 'any'}")
            continue
        if found not in need.specifier:
            faults.append(f"{need.name} is {found}, expected {need.specifier}")
    if faults:
        raise DataError("; ".join(faults))
    return f"{len(wanted)} requirements met"


def _prefect() -> str:
    """Import the server: with a wrong fastapi or sqlalchemy this is where it shows."""
    from pipelines.prefect_settings import apply

    apply()
    importlib.import_module("prefect.server.api.server")
    return f"server of Prefect {version('prefect')} can be imported"


def _writable() -> str:
    with tempfile.NamedTemporaryFile(dir=Path.cwd()):
        pass
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return f"this folder is writable, {free:.0f} GiB free"


def _data() -> str:
    folder = os.environ.get(DATA)
    if not folder:
        return f"{DATA} is not set; only configurations with real data need it"
    if not Path(folder).is_dir():
        raise DataError(f"{DATA} is '{folder}', which is not a folder")
    return f"{DATA} = {folder}"


def _browser() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    return found or "no Chromium; pages open in any browser, only their tests need it"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    if memory < LEAST_MEMORY:
        raise DataError(f"{memory:.1f} GiB of memory; expected at least {LEAST_MEMORY:g}")
    return f"{os.cpu_count()} cores, {memory:.1f} GiB of memory"


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("python", _python),
    ("packages", _packages),
    ("prefect", _prefect),
    ("folder", _writable),
    ("data", _data),
    ("browser", _browser),
    ("machine", _machine),
)
