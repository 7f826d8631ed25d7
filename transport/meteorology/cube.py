"""Any met format to the met cube: everything that readers share."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from metroflux import schema
from metroflux.errors import DataError
from transport.met import DEFAULT_LEVELS, check_axes, check_hour, scale_at, translation
from transport.meteorology.balance import Balance, continuity
from transport.meteorology.columns import fields_at
from transport.meteorology.modelstate import UNITS
from transport.meteorology.reader import METRES_PER_DEGREE, NO_WIND_UPWARD, Frame, Hour, MetReader, Wanted
from transport.meteorology.resample import Resampler

Floats = npt.NDArray[np.float64]

_SAME = 1.0  # m: float32 coordinates and terrain of one grid may be rounded differently


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
    plan = _plan(reader, paths, levels, target)
    hours = _hours(reader, plan)
    first = next(hours)
    whole: dict[str, npt.NDArray[np.float32]] = {}
    methods: dict[str, dict[str, None]] = {name: {} for name in UNITS}
    balance = Balance()
    for n, hour in enumerate(chain([first], hours)):
        for name in UNITS:
            values = hour[name].values[0]
            # one piece of memory for all times: joined at the end, all would be held and written twice
            whole.setdefault(name, np.empty((len(plan.hours), *values.shape), np.float32))[n] = values
            if "method" in hour[name].attrs:  # the method of one time may be absent from another
                methods[name].setdefault(str(hour[name].attrs["method"]))
        report = balance.add(hour)
    for name in UNITS:
        if methods[name]:
            first[name].attrs["method"] = " | ".join(methods[name])
    data = {name: (first[name].dims, values, first[name].attrs) for name, values in whole.items()}
    times = np.array([hour.time for hour in plan.hours], "datetime64[ns]")
    met = first.drop_dims("time").assign(data).assign_coords(time=("time", times, first.time.attrs))
    met.attrs["mass_balance"] = json.dumps(report)
    return schema.check(check_axes(met, first.attrs["source"]), "met", first.attrs["source"])


def read_hours(
    reader: MetReader, paths: Sequence[Path], levels: Sequence[float], target: Target | None = None
) -> Iterator[xr.Dataset]:
    """Yield the met cube one time after another, in order, each checked."""
    yield from _hours(reader, _plan(reader, paths, levels, target))


@dataclass(frozen=True)
class _Plan:
    """What to read and where to put it."""

    frame: Frame
    hours: Sequence[Hour]
    heights: Floats
    place: "_Place"
    vertical: Literal["continuity", "file"]


def _plan(reader: MetReader, paths: Sequence[Path], levels: Sequence[float], target: Target | None) -> _Plan:
    heights = checked_levels(levels)
    absent = [str(path) for path in paths if not Path(path).is_file()]
    if absent or not paths:
        raise DataError(f"met: no such file: {', '.join(absent) or 'the list of files is empty'}")
    frames, hours = reader.catalogue([Path(path) for path in paths])
    _check_frames(frames)
    hours = sorted(hours, key=lambda hour: hour.time)
    check_times(hours)
    target = target or Target()
    return _Plan(frames[0], hours, heights, _placed(frames[0], target), target.vertical)


def _hours(reader: MetReader, plan: _Plan) -> Iterator[xr.Dataset]:
    place, heights = plan.place, plan.heights
    scale = scale_at(place.crs, place.x, place.y)
    wanted = Wanted(float(heights[-1]), plan.vertical == "file")
    for hour in plan.hours:
        fields, methods = fields_at(reader.state(plan.frame, hour, wanted), heights, str(hour))
        fields = place.move(fields)
        if plan.vertical == "continuity":
            methods["w"] = "from the divergence of u and v (continuity, density steady)"
            fields["w"] = continuity(fields, heights, place.x, place.y, scale)
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
    tolerance = _SAME / METRES_PER_DEGREE if first.geographic else _SAME
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
