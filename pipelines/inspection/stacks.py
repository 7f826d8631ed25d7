"""Hourly emissions of stacks: units, hours, what is not used and why."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from observations.dataset import FLAG_MEANINGS, GOOD
from observations.kinds import Kind
from observations.metrology.cems import HOUR, Stack, StackErrors, read_campd
from pipelines.inspection.sheet import Row, period, show, span

_ANY = StackErrors(flow_sd=0.1, random_sd=0.0)
"""What is printed does not depend on it."""


def show_stacks(path: Path, kind: Kind, console: Console) -> None:
    """Print what each unit of a plant reports."""
    rows = [row for stack in read_campd(path, "UTC", _ANY) for row in _stack(stack)]
    given = "the uncertainty of the flow meter and the time zone of the plant are not in the file: give them"
    show(console, path, kind.about, [*rows, Row("note", given, "note"), Row("taken by", kind.taken_by)])


def _stack(stack: Stack) -> Iterator[Row]:
    good = stack.flag == GOOD
    values, counts = np.unique(stack.flag[~good], return_counts=True)
    dropped = ", ".join(f"{n} {FLAG_MEANINGS[v]}" for v, n in zip(values, counts, strict=True))
    rate = stack.rate[good]
    yield Row("unit", stack.name)
    yield Row("period", f"{period(stack.start[0], stack.start[-1] + HOUR)}, standard time of the plant")
    yield Row("used", f"{good.sum()} of {good.size} hours")
    yield Row("dropped", dropped or "none")
    yield Row("co2", span(rate.min(), rate.max(), "kg s-1") if rate.size else "nothing to use")
