"""HALO Photonics StreamLine: `.hpl` rays (Stare, VAD, DBS, any user scan) and background files.

Written to the format's own header, which names the columns, and to files of several firmware versions.
"""

import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from metroflux.errors import DataError
from metroflux.time import Times
from observations.dataset import TruncatedFileWarning
from observations.flux_lidar.rays import Floats, Rays

_NEEDED = (
    "System ID",
    "Number of gates",
    "Range gate length (m)",
    "Gate length (pts)",
    "No. of rays in file",
    "Scan type",
    "Start time",
)
_HALF_DAY, _DAY = 12.0, 24.0
_LARGEST = 1e4
"""Velocity, intensity, backscatter and width of a working lidar are far below."""
_BACKGROUND_NUMBER = re.compile(rb"\d+\.\d{6}")


@dataclass(frozen=True)
class _Header:
    fields: dict[str, str]
    gates: int
    length: float
    points: int
    start: np.datetime64
    first_line: int


def is_halo(lines: tuple[str, ...]) -> bool:
    """Return whether a text that begins so is an `.hpl` file."""
    return len(lines) > 1 and lines[0].startswith("Filename:") and lines[1].startswith("System ID:")


def read_halo(path: Path) -> Rays:
    """Return the rays of an `.hpl` file.

    Raises
    ------
    DataError
        If it is empty, its header lacks a field, a ray has other gates than announced or a word is no number.

    Warns
    -----
    TruncatedFileWarning
        If it ends within a ray; whole rays before are kept.
    """
    lines = _text(path).splitlines()
    if not lines:
        raise DataError(f"{path}: empty; expected a HALO .hpl file")
    head = _header(path, lines)
    body = [line.split() for line in lines[head.first_line :] if line.strip()]
    rays, rest = divmod(len(body), head.gates + 1)
    remarks: tuple[str, ...] = ()
    if rest or any(not _is_ray(body[k * (head.gates + 1)]) for k in range(rays)):
        rays = _whole(body, head.gates)
        said = f"truncated: {rays} whole rays of {head.gates} gates in {len(body)} lines"
        warnings.warn(f"{path}: {said}", TruncatedFileWarning, stacklevel=2)
        remarks = (said,)
    if not rays:
        raise DataError(f"{path}: no whole ray of {head.gates} gates; expected at least one")
    table = [body[k * (head.gates + 1) : (k + 1) * (head.gates + 1)] for k in range(rays)]
    angles = _numbers(path, [ray[0][:3] for ray in table], 3)
    values = _gates(path, table, head.gates)
    hours, turns = angles[:, 0], np.abs(angles[:, 1:])
    wild = int((~((hours >= 0.0) & (hours < _DAY + 1.0) & (turns <= 720.0).all(axis=1))).sum())
    if wild or (np.abs(values[:, :, 1:]) > _LARGEST).any():
        raise DataError(f"{path}: {wild} rays of impossible hour or angle, or a gate beyond {_LARGEST:g}")
    return _rays(head, angles, values, remarks)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="latin-1")
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected a HALO file") from None


def _header(path: Path, lines: list[str]) -> _Header:
    end = next((k for k, line in enumerate(lines) if line.startswith("****")), None)
    fields = dict(re.split(r":\s*", line, maxsplit=1) for line in lines[:end] if ":" in line)
    absent = [name for name in _NEEDED if name not in fields]
    if end is None or absent:
        raise DataError(f"{path}: header without {', '.join(absent) or 'its end ****'}; expected HALO .hpl")
    try:
        gates, points = int(fields["Number of gates"]), int(fields["Gate length (pts)"])
        length = float(fields["Range gate length (m)"])
        begun = datetime.strptime(fields["Start time"].strip(), "%Y%m%d %H:%M:%S.%f")
        int(fields["No. of rays in file"])
    except ValueError as fault:
        raise DataError(
            f"{path}: header: {fault}; expected the numbers and the start of a HALO file"
        ) from None
    if min(gates, points) < 1 or not 0 < length < 1e4 or not 1990 <= begun.year < 2200:
        said = f"{gates} gates of {length:g} m and {points} points, from {begun}"
        raise DataError(f"{path}: {said}; expected at least 1, and a year that can be")
    return _Header(fields, gates, length, points, np.datetime64(begun, "ns"), end + 1)


def _is_ray(words: list[str]) -> bool:
    """Return whether a line begins a ray: hours, azimuth, elevation (pitch, roll); a gate counts from 0."""
    return len(words) in (3, 5) and "." in words[0]


def _whole(body: list[list[str]], gates: int) -> int:
    """Return how many whole rays there are from the start of the file."""
    rays = 0
    while (rays + 1) * (gates + 1) <= len(body) and _is_ray(body[rays * (gates + 1)]):
        rays += 1
    return rays


def _numbers(path: Path, rows: list[list[str]], count: int) -> Floats:
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), count)
    except ValueError as fault:
        raise DataError(f"{path}: {fault}; expected {count} numbers in each line of its kind") from None


def _gates(path: Path, table: list[list[list[str]]], gates: int) -> Floats:
    """Return columns gate, velocity, intensity, backscatter, width (NaN if absent), shape (ray, gate, 5)."""
    rows = [line for ray in table for line in ray[1:]]
    counts = {len(line) for line in rows}
    if len(counts) != 1 or not counts <= {4, 5}:
        raise DataError(f"{path}: gates of {sorted(counts)} columns; expected 4, or 5 with a spectral width")
    columns = counts.pop()
    found = np.full((len(table), gates, 5), np.nan)
    found[:, :, :columns] = _numbers(path, rows, columns).reshape(len(table), gates, columns)
    if (found[:, :, 0] != np.arange(gates)).any():
        raise DataError(f"{path}: gates are not counted from 0 to {gates - 1} in each ray")
    return found


def times(hours: Floats, start: np.datetime64) -> Times:
    """Return the times of decimal hours of the day, by the start in the header.

    The first ray lies within half a day of the start, a little before it or on the day before as may be;
    hours that fall by more than half a day have passed midnight.

    >>> times(np.array([23.999, 0.001]), np.datetime64("2024-01-02T00:00:01", "ns")).astype("datetime64[s]")
    array(['2024-01-01T23:59:56', '2024-01-02T00:00:03'],
          dtype='datetime64[s]')
    """
    day = start.astype("datetime64[D]").astype("datetime64[ns]")
    begun = (start - day) / np.timedelta64(1, "h")
    first = _DAY * np.round((begun - hours[0]) / _DAY)
    days = np.concatenate([[0.0], np.cumsum(np.diff(hours) < -_HALF_DAY)])
    return np.asarray(day + np.round((hours + first + _DAY * days) * 3.6e12).astype("timedelta64[ns]"))


def _rays(head: _Header, angles: Floats, values: Floats, remarks: tuple[str, ...]) -> Rays:
    overlapping = "overlapping" in head.fields["Scan type"].lower()
    step = head.length / head.points if overlapping else head.length
    middle = np.arange(head.gates) * step + 0.5 * head.length
    said = []
    if overlapping:
        said.append(f"gates of {head.length:g} m overlap: their middles are {step:g} m apart")
    if not np.isnan(values[:, :, 4]).all() and "Spectral Width" not in "".join(head.fields.values()):
        said.append("spectral width not declared in the header, but present")
    name = re.sub(r"\s*-\s*overlapping", "", head.fields["Scan type"], flags=re.IGNORECASE).strip()
    return Rays(
        instrument=f"HALO {head.fields['System ID'].strip()}",
        scan=name,
        time=times(angles[:, 0], head.start),
        azimuth=angles[:, 1] % 360.0,
        elevation=angles[:, 2],
        distance=np.broadcast_to(middle, values.shape[:2]).copy(),
        velocity=values[:, :, 1],
        signal=values[:, :, 2] - 1.0,
        backscatter=values[:, :, 3],
        width=values[:, :, 4],
        gate_length=head.length,
        planned=0 if name == "Stare" else int(head.fields["No. of rays in file"]),
        remarks=(*remarks, *said),
    )


def read_background(path: Path) -> tuple[np.datetime64, Floats]:
    """Return time (UTC, from the name) and noise of each gate of a background file, in counts.

    Two layouts: a number a line, or all numbers of six decimals in one line without a separator.

    Raises
    ------
    DataError
        If the name has no time (Background_ddmmyy-HHMMSS.txt), or the text is not made of such numbers.
    """
    stamp = re.fullmatch(r"Background_(\d{6}-\d{6})\.txt", path.name)
    try:
        when = datetime.strptime(stamp[1] if stamp else "", "%d%m%y-%H%M%S")
    except ValueError:
        raise DataError(f"{path}: no time in its name; expected Background_ddmmyy-HHMMSS.txt") from None
    content = _text(path).encode("latin-1")
    found = _BACKGROUND_NUMBER.findall(content)
    if not found or b"".join(found) != b"".join(content.split()):
        raise DataError(f"{path}: not only numbers of six decimals; expected a HALO background")
    return np.datetime64(when, "ns"), np.array(found, dtype=np.float64)
