"""Raw logs of Picarro analysers (DataLog_User): measurements of one gas with their own water.

A log has one row per measured species and repeats the other columns: a row's number is new only where the
column `species` names it. The analyser corrects a mole fraction with the water that it measures next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metroflux.errors import DataError
from metroflux.time import Times
from observations.clock import to_utc
from observations.raw import read_lines

Floats = npt.NDArray[np.float64]

SPECIES = {"co2": 1, "ch4": 2, "co": 4}
"""Number of each gas in the column `species`."""
WATER = 3
UNIT = 1e-6
"""The log gives ppm for every gas."""
NEEDED = ("DATE", "TIME", "ALARM_STATUS", "INST_STATUS", "species", "MPVPosition", "h2o_reported")
READY = 963
"""INST_STATUS of an analyser that measures."""
LONGEST_CYCLE_S = 10.0
"""A gas measured longer before the next water than this has no water of its own."""


@dataclass(frozen=True)
class Wet:
    """Measurements of one gas, each once.

    time : UTC
    wet : mole fraction in moist air, mol mol-1
    water : reported water of the same cycle, %
    port : position of the rotary valve; -1 while it turns
    reported_dry : the analyser's own dry mole fraction of the cycle, mol mol-1; NaN where it reports none
    ready : whether the analyser measured without an alarm
    """

    time: Times
    wet: Floats
    water: Floats
    port: npt.NDArray[np.int64]
    reported_dry: Floats
    ready: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> "Wet":
        """Return some of the measurements."""
        return Wet(
            self.time[rows], self.wet[rows], self.water[rows], self.port[rows], self.reported_dry[rows],
            self.ready[rows],
        )  # fmt: skip


def read_logs(paths: Sequence[Path], gas: str) -> Wet:
    """Return the measurements of a gas in several logs, in order of time.

    Raises
    ------
    DataError
        If a file is no such log, lacks the gas, or two logs overlap.
    """
    parts = sorted((read_log(path, gas) for path in paths), key=lambda part: part.time[0])
    for before, after in pairwise(parts):
        if after.time[0] <= before.time[-1]:
            raise DataError(
                f"logs overlap: one begins {after.time[0]}, before another ends {before.time[-1]}"
            )
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Wet.__dataclass_fields__}
    return Wet(**joined)


def read_log(path: Path, gas: str) -> Wet:
    """Return the measurements of a gas in one log: its own rows, each with the next row of water.

    Raises
    ------
    DataError
        If the file is no such log, a number is wrong, time runs backward, or the gas is never measured.
    """
    if gas not in SPECIES:
        raise DataError(f"{path}: gas '{gas}'; expected one of {', '.join(SPECIES)}")
    time, columns = _columns(path, gas)
    species = np.round(columns["species"])
    own = np.flatnonzero(species == SPECIES[gas])
    water = np.flatnonzero(species == WATER)
    if not own.size or not water.size:
        raise DataError(f"{path}: {own.size} rows of {gas} and {water.size} of water; expected some of both")
    after = np.searchsorted(water, own)
    own, after = own[after < water.size], after[after < water.size]
    paired = water[after]
    near = (time[paired] - time[own]) / np.timedelta64(1, "s") <= LONGEST_CYCLE_S
    own, paired = own[near], paired[near]
    if not own.size:
        raise DataError(f"{path}: no row of {gas} has water within {LONGEST_CYCLE_S:g} s after it")
    position = columns["MPVPosition"]
    fixed = (position[own] == np.round(position[own])) & (position[own] == position[paired])
    dry = columns.get(f"{gas.upper()}_dry")
    alarm = (columns["ALARM_STATUS"] != 0) | (columns["INST_STATUS"] != READY)
    return Wet(
        time=time[own],
        wet=columns[gas.upper()][own] * UNIT,
        water=columns["h2o_reported"][paired],
        port=np.where(fixed, np.round(position[own]), -1).astype(np.int64),
        reported_dry=np.full(own.size, np.nan) if dry is None else dry[paired] * UNIT,
        ready=~(alarm[own] | alarm[paired]),
    )


def _columns(path: Path, gas: str) -> tuple[Times, dict[str, Floats]]:
    """Return time (UTC) and the needed columns as numbers."""
    lines = read_lines(path)
    header = lines[0].split() if lines else []
    needed = [*NEEDED, gas.upper()]
    absent = [name for name in needed if name not in header]
    if absent:
        raise DataError(f"{path}: no column {', '.join(absent)}; expected a Picarro DataLog_User file")
    rows = [line.split() for line in lines[1:]]
    if rows and len(rows[-1]) != len(header):
        rows.pop()  # the analyser was writing this line when the file was copied
    wrong = [number for number, row in enumerate(rows, 2) if len(row) != len(header)]
    if wrong or not rows:
        where = f"line {wrong[0]} has {len(rows[wrong[0] - 2])} fields" if wrong else "no complete row"
        raise DataError(f"{path}: {where}; expected {len(header)} fields")
    at = {name: index for index, name in enumerate(header)}
    optional = [name for name in (f"{gas.upper()}_dry",) if name in at]
    found = {name: _numbers(path, name, [row[at[name]] for row in rows]) for name in [*needed[2:], *optional]}
    stamps = np.array([f"{row[at['DATE']]}T{row[at['TIME']]}" for row in rows])
    time = to_utc(stamps, "UTC", None, f"{path}: DATE and TIME")
    back = np.flatnonzero(np.diff(time) < np.timedelta64(0, "ns"))
    if back.size:
        raise DataError(f"{path}: time runs backward after line {int(back[0]) + 2}")
    return time, found


def _numbers(path: Path, name: str, texts: list[str]) -> Floats:
    try:
        found = np.array(texts, dtype=np.float64)
    except ValueError as fault:
        raise DataError(f"{path}: '{name}': {fault}; expected numbers") from None
    if not np.isfinite(found).all():
        first = int(np.argmin(np.isfinite(found)))
        raise DataError(f"{path}: '{name}' is '{texts[first]}' in line {first + 2}; expected a finite number")
    return found
