"""Files that go beside data: AGAGE precisions, manual edits."""

from pathlib import Path

import numpy as np
from rich.console import Console

from observations.edits import read_edits
from observations.formats.agage_precisions import read_precisions
from observations.kinds import Kind
from pipelines.inspection.sheet import Row, period, show

_MOST_EDITS = 20


def show_precisions(path: Path, kind: Kind, console: Console) -> None:
    """Print the days of a precisions file and the median of each gas."""
    found = read_precisions(path)
    with_sd = {gas: sd[np.isfinite(sd)] for gas, sd in found.sd.items() if np.isfinite(sd).any()}
    none = [gas for gas in found.sd if gas not in with_sd]
    days = {gas: "" if sd.size == found.day.size else f" on {sd.size} days" for gas, sd in with_sd.items()}
    medians = (f"{gas} {np.median(sd):.4g}{days[gas]}" for gas, sd in with_sd.items())
    rows = [
        Row("period", f"{found.day[0]} to {found.day[-1]}, {found.day.size} days"),
        Row("gases", f"{len(with_sd)} of {len(found.sd)} with a standard deviation"),
        Row("median sd", f"{', '.join(medians)}; in the unit of the .C file"),
        *([Row("none for", ", ".join(none), "note")] if none else []),
        Row("taken by", kind.taken_by),
    ]
    show(console, path, kind.about, rows)


def show_edits(path: Path, kind: Kind, console: Console) -> None:
    """Print the edits of a file, one after the other."""
    edits = read_edits(path)
    rows = [Row("edits", str(edits.site.size))]
    for i in range(min(edits.site.size, _MOST_EDITS)):
        instrument = "all instruments" if edits.instrument[i] == "*" else f"instrument {edits.instrument[i]}"
        rows.append(Row(str(edits.site[i]), f"{instrument}, {period(edits.start[i], edits.end[i])} UTC"))
        rows.append(Row("", f"{edits.reason[i]} ({edits.who[i]}, {str(edits.when[i])[:10]})"))
    if edits.site.size > _MOST_EDITS:
        rows.append(Row("", f"and {edits.site.size - _MOST_EDITS} more"))
    show(console, path, kind.about, [*rows, Row("taken by", kind.taken_by)])
