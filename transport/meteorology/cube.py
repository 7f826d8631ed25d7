"""Any met format to the met cube: what a reader gives, and everything that readers share."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from metroflux import schema
from metroflux.errors import DataError
from transport.met import DEFAULT_LEVELS, check_axes, check_hour, scale_at, to_lonlat, translation
from transport.meteorology.balance import continuity, mass_balance
from transport.meteorology.modelstate import UNITS, ModelState, at_heights
from transport.meteorology.resample import Resampler

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

NO_WIND_UPWARD = "the files have no vertical velocity"
"""Method of w in a state whose files have none: by continuity only."""

_SAME = 1.0  # m: float32 coordinates and terrain of one grid may be rounded differently
_METRES_PER_DEGREE = np.pi * 6371000.0 / 180.0


@dataclass(frozen=True)
class Frame:
    """Where a file's columns stand.

    crs : projected, or geographic for a longitude-latitude grid
    x, y : m, or degrees; ascending
    terrain : m above sea level, (y, x)
    source : the file it was read from
    rows, columns : index in the file of each y and x, where it is not the whole file in this order
    """

    crs: CRS
    x: Floats
    y: Floats
    terrain: Floats
    source: str
    rows: Indices | None = None
    columns: Indices | None = None

    @property
    def geographic(self) -> bool:
        """Whether x and y are degrees."""
        return bool(self.crs.is_geographic)

    def lonlat(self) -> tuple[Floats, Floats]:
        """Return longitude and latitude of all points, degrees, (y, x)."""
        x, y = np.meshgrid(self.x, self.y)
        return (x, y) if self.geographic else to_lonlat(self.crs, x, y)

    def slopes(self, field: Floats) -> tuple[Floats, Floats]:
        """Return the gradient of a field (..., y, x) along x and y per metre on the ground."""
        along_y, along_x = np.gradient(field, self.y, self.x, axis=(-2, -1))
        scale_x, scale_y = self.scales()
        return along_x * scale_x, along_y * scale_y

    def rise(self) -> tuple[Floats, Floats]:
        """Return the terrain's slope on the ground between neighbours, (y, x - 1) and (y - 1, x)."""
        scale_x, scale_y = self.scales()
        along_x = np.diff(self.terrain, axis=1) / np.diff(self.x)
        along_y = np.diff(self.terrain, axis=0) / np.diff(self.y)[:, None]
        mean_x, mean_y = 0.5 * (scale_x[:, 1:] + scale_x[:, :-1]), 0.5 * (scale_y[1:] + scale_y[:-1])
        return along_x * mean_x, along_y * mean_y

    def scales(self) -> tuple[Floats, Floats]:
        """Return metres or degrees of x and of y per metre on the ground, (y, x)."""
        if self.geographic:
            _, lat = self.lonlat()
            degrees = np.full_like(lat, 1.0 / _METRES_PER_DEGREE)
            return np.divide(degrees, np.cos(np.radians(lat))), degrees
        scale = scale_at(self.crs, self.x, self.y)
        return scale, scale


@dataclass(frozen=True)
class Hour:
    """One met time and the files that hold it.

    parts : file and index of the time in it; -1 where a file has no time dimension
    """

    time: np.datetime64
    parts: tuple[tuple[Path, int], ...]

    def __str__(self) -> str:
        names = ", ".join(dict.fromkeys(str(path) for path, _ in self.parts))
        return f"{names} at {str(self.time)[:16]}"


class MetReader(Protocol):
    """One met format. Hashable settings in a frozen dataclass; no state between calls."""

    def catalogue(self, paths: Sequence[Path]) -> tuple[list[Frame], list[Hour]]:
        """Return the frame of every file and all times, in any order; a cheap look at each file."""
        ...

    def state(self, frame: Frame, hour: Hour) -> tuple[ModelState, Mapping[str, str]]:
        """Return one time, winds along x and y of the frame, and how each derived field was made."""
        ...

    def describe(self) -> dict[str, object]:
        """Return all settings as JSON can hold them: part of the key of a stored cube."""
        ...


@dataclass(frozen=True)
class Target:
    """Where the cube shall stand.

    crs : projection of the flux grid; None: the file's own
    step : m, distance of the points that a longitude-latitude file is interpolated to; None: the file's own
    vertical : "continuity": w balances the divergence of the cube's own u and v (`balance.continuity`);
        "file": the file's w, which balances the winds of the model's grid, not those at the cube's points
    """

    crs: CRS | None = None
    step: float | None = None
    vertical: Literal["continuity", "file"] = "continuity"


def read_met(
    reader: MetReader,
    paths: Sequence[Path],
    levels: Sequence[float] = DEFAULT_LEVELS,
    target: Target | None = None,
) -> xr.Dataset:
    """Return the met cube of files in any order, all times in memory; `store.build_met` keeps one at a time.

    A projected file keeps its grid; `target.crs` may differ from its projection by false easting and
    northing. A longitude-latitude file is interpolated (`resample.Resampler`) to `target.crs`.

    Raises
    ------
    DataError
        Naming file and field: absent file or variable, NaN, unknown unit, repeated or missing times, files
        of different grids, levels not ascending or above the model's top.
    """
    hours = list(read_hours(reader, paths, levels, target))
    met = xr.concat(hours, "time", data_vars="minimal", coords="minimal", compat="override", join="exact")
    for name in UNITS:  # the method of one time may be absent from another
        methods = dict.fromkeys(str(h[name].attrs["method"]) for h in hours if "method" in h[name].attrs)
        if methods:
            met[name].attrs["method"] = " | ".join(methods)
    met.attrs["mass_balance"] = json.dumps(mass_balance(met))
    return schema.check(check_axes(met, hours[0].attrs["source"]), "met", hours[0].attrs["source"])


def read_hours(
    reader: MetReader, paths: Sequence[Path], levels: Sequence[float], target: Target | None = None
) -> Iterator[xr.Dataset]:
    """Yield the met cube one time after another, in order, each checked."""
    heights = checked_levels(levels)
    absent = [str(path) for path in paths if not Path(path).is_file()]
    if absent or not paths:
        raise DataError(f"met: no such file: {', '.join(absent) or 'the list of files is empty'}")
    frames, hours = reader.catalogue([Path(path) for path in paths])
    _check_frames(frames)
    hours = sorted(hours, key=lambda hour: hour.time)
    check_times(hours)
    target = target or Target()
    place = _placed(frames[0], target)
    for hour in hours:
        state, made = reader.state(frames[0], hour)
        fields, methods = place.move(at_heights(state, heights, str(hour))), dict(made)
        if target.vertical == "continuity":
            methods["w"] = "from the divergence of u and v (continuity, density steady)"
            fields["w"] = continuity(fields, heights, place.x, place.y, scale_at(place.crs, place.x, place.y))
        elif methods.get("w") == NO_WIND_UPWARD:
            raise DataError(f"{hour}: {NO_WIND_UPWARD}; expected vertical 'continuity'")
        yield check_hour(_dataset(hour, fields, heights, place, methods))


def checked_levels(levels: Sequence[float]) -> Floats:
    """Return the levels as an array, or raise."""
    heights = np.asarray(levels, dtype=np.float64)
    if heights.ndim != 1 or heights.size < 2 or not heights[0] > 0 or not np.all(np.diff(heights) > 0):
        raise DataError(f"met: levels = {list(levels)}; expected two or more, above ground, ascending, in m")
    return heights


def check_times(hours: Sequence[Hour]) -> None:
    """Raise if a time repeats or one is missing from an even sequence; `hours` in order of time."""
    for first, second in pairwise(hours):
        if first.time == second.time:
            raise DataError(f"{second} is also in {first}; expected each time once")
    steps = np.diff(np.array([hour.time for hour in hours]))
    for (first, second), step in zip(pairwise(hours), steps, strict=True):
        if step != steps.min():
            usual = f"{steps.min() / np.timedelta64(1, 'm'):g} minutes"
            raise DataError(f"gap in time from {first} to {second}; expected every {usual}")


def _check_frames(frames: Sequence[Frame]) -> None:
    """Raise if files differ in map, grid points or terrain."""
    first = frames[0]
    tolerance = _SAME / _METRES_PER_DEGREE if first.geographic else _SAME
    for other in frames[1:]:
        same = other.crs == first.crs and other.terrain.shape == first.terrain.shape
        if same:
            apart = max(np.abs(other.x - first.x).max(), np.abs(other.y - first.y).max())
            same = apart < tolerance and np.abs(other.terrain - first.terrain).max() < _SAME
        if not same:
            raise DataError(
                f"{other.source}: map, grid points or terrain differ from {first.source}; expected one domain"
            )


@dataclass(frozen=True)
class _Place:
    """Where the cube stands, and how fields get there from the file's points."""

    crs: CRS
    x: Floats
    y: Floats
    terrain: Floats
    resampler: Resampler | None

    def move(self, fields: dict[str, Floats]) -> dict[str, Floats]:
        """Return the fields at the cube's points, winds along its axes."""
        return fields if self.resampler is None else self.resampler.fields(fields)


def _placed(frame: Frame, target: Target) -> _Place:
    if frame.geographic:
        if target.crs is None or target.step is None:
            raise DataError(
                f"{frame.source}: a longitude-latitude grid; state the projection (crs) and the distance of "
                "points (step, m) to interpolate it to"
            )
        resampler = Resampler.inside(frame.x, frame.y, target.crs, target.step, frame.source)
        return _Place(target.crs, resampler.x, resampler.y, resampler.plane(frame.terrain), resampler)
    if target.step is not None:
        raise DataError(f"{frame.source}: a projected grid keeps its points; expected no step")
    if target.crs is None:
        return _Place(frame.crs, frame.x, frame.y, frame.terrain, None)
    x, y = (a.ravel() for a in np.meshgrid(frame.x, frame.y))
    try:
        east, north = translation(frame.crs, target.crs, x, y)
    except DataError as fault:
        raise DataError(f"{frame.source}: {fault}") from None
    return _Place(target.crs, frame.x + east, frame.y + north, frame.terrain, None)


def _dataset(
    hour: Hour, fields: dict[str, Floats], heights: Floats, place: _Place, methods: Mapping[str, str]
) -> xr.Dataset:
    plane, mapped = ("y", "x"), {"grid_mapping": "spatial_ref"}
    data: dict[str, tuple[object, ...]] = {
        "terrain": (plane, place.terrain.astype(np.float32), {"units": "m", **mapped})
    }
    for name, units in UNITS.items():
        values = fields[name].astype(np.float32)[None]
        dims = ("time", "level", *plane) if values.ndim == 4 else ("time", *plane)
        method = {"method": methods[name]} if name in methods else {}
        data[name] = (dims, values, {"units": units, **mapped, **method})
    return xr.Dataset(data, attrs={"source": hour.parts[0][0].name}).assign_coords(
        time=("time", np.array([hour.time], dtype="datetime64[ns]")),
        level=("level", heights, {"units": "m", "long_name": "height above ground", "positive": "up"}),
        y=("y", place.y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        x=("x", place.x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        spatial_ref=((), 0, place.crs.to_cf()),
    )
