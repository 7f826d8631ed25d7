"""A raw Picarro log: rows, the gases with rows of their own, ports of the valve."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from metroflux.errors import DataError
from observations.kinds import Kind
from observations.metrology.picarro import SPECIES, UNIT, Wet, read_log
from observations.raw import header_names, read_lines
from pipelines.inspection.sheet import Row, period, show, span


def show_log(path: Path, kind: Kind, console: Console) -> None:
    """Print what a log holds of each gas once the repeated rows are left out."""
    found: dict[str, Wet] = {}
    refused: dict[str, str] = {}
    names = header_names(path, " ")
    for gas in (gas for gas in SPECIES if gas.upper() in names):
        try:
            found[gas] = read_log(path, gas)
        except DataError as fault:
            refused[gas] = str(fault).removeprefix(f"{path}: ")
    if not found:
        raise DataError(f"{path}: {kind.about}, but {'; '.join(refused.values()) or 'it has no gas'}")
    rows = [
        Row("rows", f"{len(read_lines(path)) - 1}, most of them repeats: each gas has rows of its own"),
        *(row for gas, wet in found.items() for row in _gas(gas, wet)),
        *(Row(gas, f"cannot be read: {reason}", "fault") for gas, reason in refused.items()),
        Row("taken by", kind.taken_by),
    ]
    show(console, path, kind.about, rows)


def _gas(gas: str, wet: Wet) -> Iterator[Row]:
    low, high = wet.wet.min() / UNIT, wet.wet.max() / UNIT
    water = span(wet.water.min(), wet.water.max(), "%", 3)
    ports, counts = np.unique(wet.port, return_counts=True)
    names = ("valve turning" if port < 0 else f"port {port}" for port in ports)
    yield Row(gas, f"{wet.time.size} rows of its own, {period(wet.time[0], wet.time[-1], 19)} UTC")
    yield Row("", f"wet {span(low, high, 'ppm')}, water {water}")
    yield Row("", ", ".join(f"{name}: {count} rows" for name, count in zip(names, counts, strict=True)))
    if not wet.ready.all():
        yield Row("", f"{(~wet.ready).sum()} rows under an alarm or while not ready", "note")
