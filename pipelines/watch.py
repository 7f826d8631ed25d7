"""Show and record how far a run is: a bar for people, a JSON line per event for machines."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

R = TypeVar("R")

PACE = 10.0
"""Seconds between two lines of progress."""

LOG = logging.getLogger("metroflux")


@dataclass
class Paced:
    """Passes on a line of progress now and then: the first, and those of at least `pace` seconds later."""

    tell: Callable[[str, dict[str, float]], None]
    pace: float = PACE
    clock: Callable[[], float] = time.monotonic
    last: float = field(default=float("-inf"), init=False)

    def __call__(self, text: str, figures: dict[str, float]) -> None:
        """Take a line and its figures."""
        now = self.clock()
        if now - self.last >= self.pace:
            self.last = now
            self.tell(text, figures)


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:  # noqa: ARG002 - the protocol gives it
        """Surround a stage."""
        yield

    def pieces(self, results: Iterator[R], total: int) -> Iterator[R]:  # noqa: ARG002
        """Pass on results."""
        return results

    def tell(self, text: str) -> None:
        """Take a line about how far the stage is."""


@dataclass
class Bars:
    """Shows the current stage with its time, and a bar where its work is mapped."""

    console: Console
    progress: Progress | None = None
    name: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Surround a stage."""
        start = time.perf_counter()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        hidden = not self.console.is_terminal
        bars = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True, disable=hidden)
        with bars as self.progress:
            self.name = name
            self.progress.add_task(name, total=None)
            yield
        self.progress = None
        self.console.print(f"  {name:<18} {time.perf_counter() - start:8.1f} s", highlight=False)

    def pieces(self, results: Iterator[R], total: int) -> Iterator[R]:
        """Pass on results and count them."""
        if self.progress is None:
            yield from results
            return
        task = self.progress.task_ids[0]
        self.progress.update(task, total=total, completed=0)
        for result in results:
            self.progress.advance(task)
            yield result

    def tell(self, text: str) -> None:
        """Show a line about how far the stage is: beside the bar, or in a log by itself."""
        if self.progress is not None and self.console.is_terminal:
            self.progress.update(self.progress.task_ids[0], description=f"{self.name}: {text}")
        else:
            self.console.print(f"  {self.name}: {text}", markup=False, highlight=False, soft_wrap=True)


class _Json(logging.Formatter):
    """One JSON object per line, with the run it belongs to."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        event = {"time": when, "level": record.levelname.lower(), "run_id": self.run_id}
        return json.dumps(event | {"message": record.getMessage()} | getattr(record, "fields", {}))


@contextmanager
def json_log(path: Path, run_id: str) -> Iterator[None]:
    """Append what metroflux logs to a file while the run lasts."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Json(run_id))
    level = LOG.level
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)
        handler.close()


def log(message: str, **fields: str | float | bool) -> None:
    """Record one event with its figures."""
    LOG.info(message, extra={"fields": fields})
