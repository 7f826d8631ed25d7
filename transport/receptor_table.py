"""Receptors from a CSV table: time, latitude, longitude, height; rows of one id are its points."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema, time
from metroflux.errors import DataError
from metroflux.provenance import sha256_json
from transport.met import check_axes, check_coverage, crs_of, to_lonlat
from transport.placing import Points
from transport.receptors import ReceptorSettings
from transport.sight import Ground, gate_ranges, place_at, place_at_height, sight_from

Floats = npt.NDArray[np.float64]

NEEDED = ("time", "latitude", "longitude", "height")
OPTIONAL = ("receptor", "weight", "duration", "azimuth", "elevation", "range", "gate_length")

_SIGHT = ("azimuth", "elevation", "range", "gate_length")

_LIMITS = {
    "latitude": (-90.0, 90.0), "longitude": (-180.0, 360.0), "height": (0.0, 1e5), "duration": (0.0, 864e3),
    "weight": (-1e3, 1e3), "azimuth": (-360.0, 360.0), "elevation": (-90.0, 90.0), "range": (0.0, 1e5),
    "gate_length": (0.0, 1e4),
}  # fmt: skip
"""Least and greatest value of each column; a weight may be negative (a difference of two heights)."""


@dataclass(frozen=True)
class Row:
    """One line of the table; NaN where an optional field is empty.

    line : in the file, the header is line 1
    end : UTC, end of the averaging interval
    name : id of the receptor
    """

    line: int
    end: np.datetime64
    latitude: float
    longitude: float
    height: float
    name: str
    weight: float
    duration: float
    azimuth: float
    elevation: float
    range: float
    gate_length: float


def read_receptor_table(path: Path, met: xr.Dataset, settings: ReceptorSettings) -> xr.Dataset:
    """Return the receptors of a CSV table.

    Columns: time (ISO 8601, UTC: the end of the averaging interval), latitude, longitude (degrees), height (m
    above ground). Optional: receptor (rows of one id are points of one receptor, at one time), weight (of a
    point; without it the points of a receptor have equal weights that sum to 1), duration (s, length of the
    averaging interval; without it 0, an instant), azimuth and elevation (degrees, of a line of sight from the
    place): with range and gate_length (m) the row is a lidar's gate seen from `height`; without a range it is
    the point where the line from the ground passes `height`, as of a layer of a slant column.

    Raises
    ------
    DataError
        Naming line and column of every field that is wrong; or receptors that the met does not cover.
    """
    groups = grouped(read_rows(path), path)
    check_axes(met)
    end = np.array([rows[0].end for rows in groups], dtype="datetime64[ns]")
    values = _points(groups, met)
    used = np.sum(values["weight"] != 0, axis=1)
    values |= {
        "duration": np.array([np.nan_to_num(rows[0].duration) for rows in groups]),
        "hours": np.full(end.size, float(settings.hours)),
        "particles": np.maximum(settings.particles, settings.minimum * used).astype(np.int64),
    }
    receptors = _dataset([rows[0].name for rows in groups], end, values, settings.seed)
    check_coverage(met, receptors)
    return schema.check(receptors, "receptors")


def read_rows(path: Path) -> list[Row]:
    """Return the rows of the table, all faults told at once by line and column."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [(n, row) for n, row in enumerate(csv.reader(stream), 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise DataError(f"{path}: cannot be read as a table ({fault}); expected CSV") from None
    if len(lines) < 2:
        raise DataError(f"{path}: no rows; expected a header with {', '.join(NEEDED)} and rows")
    header = [name.strip() for name in lines[0][1]]
    faults = _header_faults(header)
    rows = []
    if not faults:
        for number, fields in lines[1:]:
            found = _row(number, header, fields)
            if isinstance(found, Row):
                rows.append(found)
            else:
                faults += found
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    return rows


def _header_faults(header: list[str]) -> list[str]:
    faults = [f"no column '{name}'" for name in NEEDED if name not in header]
    known = (*NEEDED, *OPTIONAL)
    faults += [f"unknown column '{n}'; expected {', '.join(known)}" for n in header if n not in known]
    return faults + [f"column '{n}' twice" for n in sorted({n for n in header if header.count(n) > 1})]


def _row(line: int, header: list[str], fields: list[str]) -> Row | list[str]:
    """Return one row, or what is wrong with it."""
    if len(fields) != len(header):
        return [f"line {line}: {len(fields)} fields, expected {len(header)}"]
    texts = {name: field.strip() for name, field in zip(header, fields, strict=True)}
    numbers, faults = {}, []
    for name, (low, high) in _LIMITS.items():
        text = texts.get(name, "")
        numbers[name] = np.nan
        if text or name in NEEDED:
            try:
                numbers[name] = float(text)
            except ValueError:
                faults.append(f"line {line}, '{name}': '{text}' is not a number")
            else:
                if not low <= numbers[name] <= high:
                    faults.append(f"line {line}, '{name}': {text}, expected {low:g} to {high:g}")
    try:
        end = time.parse(texts["time"], f"line {line}, 'time'")
    except DataError as fault:
        return [*faults, str(fault)]
    faults += _sight_faults(line, numbers)
    place = "_".join(texts[n] for n in ("longitude", "latitude", "height", *_SIGHT) if texts.get(n))
    name = texts.get("receptor") or f"{np.datetime_as_string(end, unit='m')}_{place}"
    return faults or Row(line, end, name=name, **numbers)


def _sight_faults(line: int, row: dict[str, float]) -> list[str]:
    known = {name: bool(np.isfinite(row[name])) for name in _SIGHT}
    needs = (
        ("azimuth", "elevation"),
        ("elevation", "azimuth"),
        ("range", "elevation"),
        ("gate_length", "range"),
    )
    return [f"line {line}, '{a}': needs '{b}'" for a, b in needs if known[a] and not known[b]]


def grouped(rows: Sequence[Row], path: Path) -> list[list[Row]]:
    """Return the rows of each receptor, in order of first mention."""
    groups: dict[str, list[Row]] = {}
    faults = []
    for row in rows:
        first = groups.setdefault(row.name, [row])[0]
        if first is row:
            continue
        groups[row.name].append(row)
        same = row.end == first.end and np.array_equal(row.duration, first.duration, equal_nan=True)
        if not same:
            faults.append(
                f"line {row.line}, 'receptor': '{row.name}' has another time than line {first.line}"
            )
        twin = [r for r in groups[row.name][:-1] if _place(r) == _place(row)]
        if twin:
            faults.append(f"line {row.line}: the same point as line {twin[0].line}")
    for name, points in groups.items():
        stated = [np.isfinite(row.weight) for row in points]
        if any(stated) and not all(stated):
            lacking = points[stated.index(False)].line
            faults.append(f"line {lacking}, 'weight': empty, but other points of '{name}' have one")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
    return list(groups.values())


def _place(row: Row) -> tuple[str, ...]:
    return tuple(map(repr, (row.latitude, row.longitude, row.height, *(getattr(row, n) for n in _SIGHT))))


def _points(groups: list[list[Row]], met: xr.Dataset) -> dict[str, npt.NDArray[np.generic]]:
    """Return x, y, height (NaN where there is no point) and weight (0 there), shape (receptor, point)."""
    ground = Ground(met)
    found = [[_placed(row, ground) for row in rows] for rows in groups]
    widest = max(sum(weight.size for *_, weight in places) for places in found)
    points = Points.none(len(groups), widest)
    for r, (rows, places) in enumerate(zip(groups, found, strict=True)):
        weights = [w * (1.0 / len(rows) if np.isnan(row.weight) else row.weight)
                   for row, (*_, w) in zip(rows, places, strict=True)]  # fmt: skip
        x, y, height = (np.concatenate([place[axis] for place in places]) for axis in range(3))
        points.put(r, (x, y, height), np.concatenate(weights), np.arange(x.size))
    return {"x": points.x, "y": points.y, "height": points.height, "weight": points.weight}


def _placed(row: Row, ground: Ground) -> tuple[Floats, Floats, Floats, Floats]:
    """Return x, y, height (m) and weights, which sum to 1, of the points of a row."""
    one, here = np.ones(1), (row.longitude, row.latitude)
    if np.isnan(row.elevation):
        x, y = ground.x_y(*(np.array([a]) for a in here))
        return x, y, np.array([row.height]), one
    try:
        if np.isnan(row.range):
            line = sight_from(ground, here, 0.0, row.azimuth, row.elevation)
            height = np.array([row.height])
            return (*place_at_height(line, ground, height), height, one)
        line = sight_from(ground, here, row.height, row.azimuth, row.elevation)
        distance, weight = gate_ranges(row.range, float(np.nan_to_num(row.gate_length)))
        return (*place_at(line, ground, distance), weight)
    except DataError as fault:
        raise DataError(f"line {row.line}: {fault}") from None


def _dataset(
    names: list[str],
    end: npt.NDArray[np.datetime64],
    values: dict[str, npt.NDArray[np.generic]],
    seed: int,
) -> xr.Dataset:
    """Return the receptors dataset with content hashes and the seeds made of them."""
    hashes = [
        sha256_json({"time": str(end[r]), **{name: v[r].tolist() for name, v in values.items()}})
        for r in range(end.size)
    ]
    units = {"x": "m", "y": "m", "height": "m", "weight": "1", "duration": "s", "hours": "h"}
    data = {
        name: (("receptor", "point") if v.ndim == 2 else "receptor", v, {"units": units.get(name, "1")})
        for name, v in values.items()
    }
    seeds = np.array([int(sha256_json([seed, h])[:15], 16) for h in hashes], dtype=np.int64)
    return xr.Dataset(data | {"seed": ("receptor", seeds)}).assign_coords(
        receptor=("receptor", np.array([h[:16] for h in hashes])),
        datum_id=("receptor", np.array(names)),
        time=("receptor", end),
    )


def with_releases(footprints: xr.Dataset, receptors: xr.Dataset, met: xr.Dataset) -> xr.Dataset:
    """Return the footprints with where each was released (mean of its points) and its averaging time."""
    middle = {name: np.nanmean(receptors[name].values, axis=1) for name in ("x", "y", "height")}
    lon, lat = to_lonlat(crs_of(met), middle["x"], middle["y"])
    return footprints.assign(
        release_longitude=("receptor", lon, {"units": "degrees_east"}),
        release_latitude=("receptor", lat, {"units": "degrees_north"}),
        release_height=("receptor", middle["height"], {"units": "m"}),
        duration=("receptor", receptors.duration.values, {"units": "s"}),
    )
