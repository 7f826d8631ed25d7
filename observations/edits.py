"""Manual edits: who took which data out, when and why, in a table that is itself evidence.

A CSV with the columns site, instrument, start, end, reason, who, when. `start` and `end` bound the data in
question, `when` is when the edit was made; all UTC, ISO 8601. `instrument` is an id of the data's own, or '*'
for all of the site.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from metroflux.provenance import sha256_file
from metroflux.time import Times
from observations import raw
from observations.clock import to_utc
from observations.dataset import GOOD, REJECTED_BY_OPERATOR, Texts, with_flag

COLUMNS = ("site", "instrument", "start", "end", "reason", "who", "when")


@dataclass(frozen=True)
class Edits:
    """Edits as read, arrays of shape (edit,).

    sha256 : of the file, so that a run can name exactly what was applied
    """

    site: Texts
    instrument: Texts
    start: Times
    end: Times
    reason: Texts
    who: Texts
    when: Times
    sha256: str


def read_edits(path: Path) -> Edits:
    """Return the edits of a file.

    Raises
    ------
    DataError
        Listing all faults: absent columns, an edit without site, instrument, reason or author, an end that is
        not after its start, an edit made before the data existed.
    """
    table = raw.read_raw(path, list(COLUMNS))
    columns = {name: raw.texts(table, name) for name in COLUMNS}
    times = {
        name: to_utc(columns[name], "UTC", None, f"{path}: '{name}'") for name in ("start", "end", "when")
    }
    faults = [
        f"'{name}' is empty in {table.row(int(row))}"
        for name in ("site", "instrument", "reason", "who")
        for row in np.flatnonzero(columns[name] == "")
    ]
    backward = np.flatnonzero(times["end"] <= times["start"])
    faults += [f"'end' is not after 'start' in {table.row(int(row))}" for row in backward]
    early = np.flatnonzero(times["when"] < times["start"])
    faults += [f"'when' is before the data of {table.row(int(row))}" for row in early]
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    return Edits(
        site=columns["site"],
        instrument=columns["instrument"],
        start=times["start"],
        end=times["end"],
        reason=columns["reason"],
        who=columns["who"],
        when=times["when"],
        sha256=sha256_file(path),
    )


def apply_edits(observations: xr.Dataset, edits: Edits) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the observations with edited data flagged, and the edits with the number of data each touches.

    A datum is touched if its averaging interval overlaps the edit. An edit of a site that is not in the data
    touches nothing and stays in the table: one file may serve many runs. Data that are already flagged keep
    their flag and are not counted.

    Raises
    ------
    DataError
        If an edit names an instrument, but the data of its site do not say theirs.
    """
    start, end = observations.time_bounds.values.T
    site = observations.site.values
    instrument = observations["instrument"].values if "instrument" in observations.variables else None
    usable = observations.flag.values == GOOD
    out, counts = observations, []
    for n in range(edits.site.size):
        # an instantaneous datum lies within an edit that begins with it
        within = (start < edits.end[n]) & ((end > edits.start[n]) | (start >= edits.start[n]))
        touched = within & (site == edits.site[n])
        if edits.instrument[n] != "*" and touched.any():
            if instrument is None:
                raise DataError(
                    f"manual edits: the data of {edits.site[n]} do not say their instrument, but an edit is "
                    f"of '{edits.instrument[n]}'; expected '*'"
                )
            touched &= instrument == edits.instrument[n]
        touched &= usable
        usable &= ~touched
        out = with_flag(out, touched, REJECTED_BY_OPERATOR, f"{edits.reason[n]} ({edits.who[n]})")
        counts.append(int(touched.sum()))
    table = pd.DataFrame({name: getattr(edits, name) for name in COLUMNS}).assign(count=counts)
    return out.assign_attrs(manual_edits=f"sha256 {edits.sha256}, {sum(counts)} data"), table
