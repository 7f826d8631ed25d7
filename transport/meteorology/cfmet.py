"""Any CF dataset to the met cube, through a mapping of its names; ERA5 is one such mapping (`era5`)."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from metroflux.constants import GRAVITY, R_DRY
from metroflux.errors import ConfigError, DataError
from metroflux.provenance import sha256_file
from transport.meteorology.cffields import QUANTITIES, Fields, open_met_file
from transport.meteorology.cffile import Region, axis, crs_of_file, times, window
from transport.meteorology.columns import (
    RawState,
    above_ground,
    hypsometric,
    specific_humidity,
    vertical_velocity,
)
from transport.meteorology.interpolate import VIRTUAL
from transport.meteorology.reader import NO_WIND_UPWARD, Frame, Hour, Wanted
from transport.meteorology.resample import north, to_grid

Floats = npt.NDArray[np.float64]

_LOWEST = 11.0  # m above ground: levels below it give way to the surface wind at 10 m
_SAME = 1e-4  # m or degrees: rounding of coordinates
_COLDEST = (
    180.0  # K: no column of air up to 20 km is as cold, so that heights taken with it are least heights
)
_LEAST_TOP = 8000.0  # m: read at least so far up, for a derived mixing height lies below it
_NEEDED = ("u", "v", "t", "q")


@dataclass(frozen=True)
class CFMet:
    """How to read a CF met dataset, spread over any number of files.

    variables : names of each quantity of `cffields.QUANTITIES`, the first that a file has is taken
    format : "netcdf", or "arl" for packed files (`arl.arl` makes the mapping)
    time, level, y, x : names of the dimensions, in the same way
    pressure : "level" (the level coordinate is pressure), "hybrid" (p = a + b ps) or "field" (variable p)
    coefficients : CSV file with header a,b and one row per half level from the top, Pa and 1; used for
        "hybrid" where the files hold no coefficients
    wind : "earth" (eastward, northward) or "grid" (along x and y)
    fluxes : "down" or "up", the direction in which heat fluxes count positive
    accumulation : s, over which heat fluxes in J m-2 and stresses in N m-2 s are summed; None: refused
    crs : projection, where the files do not tell it; geographic where their axes are degrees
    area : west, south, east, north, degrees: part of a longitude-latitude file to read; None: all
    cut_margin : leave out outer rows and columns with missing values (the margin of a regridded file)
    roughness : m, where files have none
    """

    variables: Mapping[str, tuple[str, ...]]
    format: Literal["netcdf", "arl"] = "netcdf"
    time: tuple[str, ...] = ("time",)
    level: tuple[str, ...] = ("level",)
    y: tuple[str, ...] = ("y", "latitude", "lat")
    x: tuple[str, ...] = ("x", "longitude", "lon")
    pressure: Literal["level", "hybrid", "field"] = "level"
    coefficients: Path | None = None
    wind: Literal["earth", "grid"] = "earth"
    fluxes: Literal["up", "down"] = "up"
    accumulation: float | None = None
    crs: str | None = None
    area: tuple[float, float, float, float] | None = None
    cut_margin: bool = False
    roughness: float | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.variables) - set(QUANTITIES))
        absent = sorted(set(_NEEDED) - set(self.variables))
        if unknown or absent:
            raise ConfigError(
                f"met variables: unknown {unknown}, absent {absent}; expected some of {', '.join(QUANTITIES)}"
            )


@dataclass(frozen=True)
class CFReader:
    """Met reader of CF files (`cube.MetReader`).

    Levels in the ground are left out. Heights are from the hypsometric equation above the surface pressure
    unless the files have them. Vertical velocity in Pa s-1 becomes the one through surfaces of constant
    height above ground (`columns.vertical_velocity`). What is absent is derived by `columns.complete`.
    """

    mapping: CFMet

    def describe(self) -> dict[str, object]:
        """Return the settings."""
        plain = {f.name: getattr(self.mapping, f.name) for f in fields(self.mapping)}
        table = self.mapping.coefficients
        return plain | {
            "reader": "cf",
            "variables": {name: list(names) for name, names in self.mapping.variables.items()},
            "coefficients": None if table is None else sha256_file(table),
        }

    def catalogue(self, paths: Sequence[Path]) -> tuple[list[Frame], list[Hour]]:
        """Return the frame of the first time, and all times that have winds."""
        static: list[tuple[Path, int]] = []
        parts: dict[np.datetime64, list[tuple[Path, int]]] = {}
        wind: dict[np.datetime64, Path] = {}
        axes: list[Floats] = []
        for path in paths:
            with open_met_file(path, self.mapping.format) as ds:
                own = [axis(ds, names, path).values for names in (self.mapping.y, self.mapping.x)]
                axes = axes or own
                if any(
                    a.size != b.size or np.abs(a - b).max() > _SAME for a, b in zip(own, axes, strict=True)
                ):
                    raise DataError(f"{path}: axes differ from those of {paths[0]}; expected one grid")
                found = times(ds, self.mapping.time, path)
                if found is None:
                    static.append((path, -1))
                    continue
                has_wind = any(name in ds.variables for name in self.mapping.variables["u"])
                for n, time in enumerate(found):
                    parts.setdefault(time, []).append((path, n))
                    if has_wind and wind.setdefault(time, path) != path:
                        raise DataError(f"{path}: time {time} is also in {wind[time]}; expected each once")
        if not wind:
            raise DataError(f"{', '.join(map(str, paths))}: no variable {self.mapping.variables['u']} (wind)")
        hours = [Hour(time, tuple(parts[time] + static)) for time in sorted(wind)]
        return [self._frame(hours[0])], hours

    def _frame(self, hour: Hour) -> Frame:
        path = next(p for p, n in hour.parts if n >= 0)
        with open_met_file(path, self.mapping.format) as ds:
            x, y = axis(ds, self.mapping.x, path), axis(ds, self.mapping.y, path)
            crs = crs_of_file(ds, self.mapping.crs, x, path)
            region = window(x, y, self.mapping.area, path) if crs.is_geographic else Region.whole(x, y)
        if crs.is_geographic is False and self.mapping.area is not None:
            raise DataError(f"{path}: a projected grid; expected no area")
        with Fields(hour, self.mapping, region) as now:
            if self.mapping.cut_margin:
                region = region.without_margin(now.surface("surface_pressure", missing=True))
        with Fields(hour, self.mapping, region) as now:
            terrain = now.surface("terrain")
        return Frame(crs, region.x, region.y, terrain, str(path), region.rows, region.columns)

    def state(self, frame: Frame, hour: Hour, wanted: Wanted) -> RawState:
        """Return one time, columns from the ground up, winds along x and y."""
        if frame.rows is None or frame.columns is None:
            raise DataError(f"{frame.source}: expected a frame of this reader's catalogue")
        region = Region(frame.x, frame.y, frame.rows, frame.columns)
        with Fields(hour, self.mapping, region) as now:
            return _raw(now, frame, self.mapping, wanted, str(hour))


def _raw(now: Fields, frame: Frame, mapping: CFMet, wanted: Wanted, where: str) -> RawState:
    ground = now.surface("surface_pressure")
    p, order = _pressure(now, ground, mapping, where)
    count = reach(p, ground, wanted.top)
    p, order = p[:count], order[:count]
    buried = p >= ground
    levels = {"p": p}
    for name in ("u", "v", "t", "q"):
        levels[name] = now.volume(name, order, buried)
    methods: dict[str, str] = {}
    if now.has("height"):
        levels["height"] = now.volume("height", order, buried) - frame.terrain
    else:
        levels["height"] = hypsometric(p, levels["t"], levels["q"], ground)
    surface = {name: now.surface(name) for name in ("u10", "v10") if now.has(name)}
    if mapping.wind == "earth" and not frame.geographic:
        up = north(frame.crs, *frame.lonlat())
        levels["u"], levels["v"] = to_grid(levels["u"], levels["v"], up)
        if len(surface) == 2:
            surface["u10"], surface["v10"] = to_grid(surface["u10"], surface["v10"], up)
    if not wanted.upward or not (now.has("w") or now.has("omega")):
        levels["w"], methods["w"] = np.zeros_like(p), NO_WIND_UPWARD
    elif now.has("w"):
        w = now.volume("w", order, buried)
        slope_x, slope_y = frame.slopes(frame.terrain)
        levels["w"] = w - (levels["u"] * slope_x + levels["v"] * slope_y)
    else:
        omega = now.volume("omega", order, buried)
        slopes = (frame.slopes(levels["height"]), frame.slopes(p))
        levels["w"] = vertical_velocity(omega, levels, *slopes)
        methods["w"] = "from omega and the slope of the levels; their change with time is left out"
    cut = above_ground(levels, _LOWEST if len(surface) == 2 else 0.0, where)
    return RawState(
        **cut,
        z0=_roughness(now, frame, mapping, where),
        ustar=_ustar(now, cut, methods),
        mixing_height=now.optional("mixing_height"),
        sensible=now.optional("sensible_heat_flux"),
        latent=now.optional("latent_heat_flux"),
        u10=surface.get("u10"), v10=surface.get("v10"),
        t2=now.optional("t2"), q2=_humidity_2m(now, ground),
        methods=methods,
    )  # fmt: skip


def reach(p: Floats, ground: Floats, top: float) -> int:
    """Return how many levels, from the ground up, surely reach above `top` (m above ground)."""
    deepest = np.array([float(np.min(ground / level)) for level in p])
    above = R_DRY / GRAVITY * _COLDEST * np.log(np.maximum(deepest, 1.0)) > max(top, _LEAST_TOP)
    return int(np.argmax(above)) + 1 if above.any() else p.shape[0]


def _pressure(now: Fields, ground: Floats, mapping: CFMet, where: str) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return pressure (Pa), (level, y, x) falling, and the order of the file's levels that gives it."""
    path, wind, _ = now.raw("u")
    level = now.level(wind, path)
    numbers = wind[level].values.astype(np.float64)
    steps = np.diff(numbers)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise DataError(f"{path}: '{level}' is not monotonic: {numbers.tolist()}; expected ordered levels")
    if mapping.pressure == "field":
        p = now.volume("p", np.arange(numbers.size), np.zeros((numbers.size, *ground.shape), dtype=bool))
    elif mapping.pressure == "level":
        units = str(wind[level].attrs.get("units", ""))
        if units not in QUANTITIES["p"]:
            raise DataError(f"{path}: '{level}' has units '{units}'; expected {', '.join(QUANTITIES['p'])}")
        p = np.broadcast_to((numbers * QUANTITIES["p"][units])[:, None, None], (numbers.size, *ground.shape))
    else:
        a, b = _hybrid(now, numbers, mapping, where)
        p = a[:, None, None] + b[:, None, None] * ground
    order = np.arange(numbers.size) if p[0, 0, 0] > p[-1, 0, 0] else np.arange(numbers.size)[::-1]
    p = p[order]
    if not np.all(np.diff(p, axis=0) < 0.0) or not np.all(p > 0.0):
        raise DataError(f"{where}: pressure does not fall from level to level; expected ordered levels")
    return p, order


def _hybrid(now: Fields, numbers: Floats, mapping: CFMet, where: str) -> tuple[Floats, Floats]:
    """Return a (Pa) and b of the file's full levels.

    A full level is the mean of its two half levels (Simmons & Burridge 1981), of which there is one more than
    levels in the model; `numbers` count levels from 1 at the top.
    """
    if now.has("hybrid_a"):
        (path, a_raw, a_factor), (_, b_raw, b_factor) = now.raw("hybrid_a"), now.raw("hybrid_b")
        a, b = a_raw.values.astype(np.float64) * a_factor, b_raw.values.astype(np.float64) * b_factor
    elif mapping.coefficients is not None:
        path, (a, b) = str(mapping.coefficients), _coefficients(mapping.coefficients)
    else:
        raise DataError(f"{where}: no hybrid coefficients; expected variables, or a CSV file of a, b")
    if a.shape != b.shape or a.ndim != 1:
        raise DataError(
            f"{path}: coefficients have shapes {a.shape} and {b.shape}; expected two of one length"
        )
    if a.size == numbers.size:
        return a, b
    a, b = 0.5 * (a[1:] + a[:-1]), 0.5 * (b[1:] + b[:-1])
    chosen = np.round(numbers).astype(np.intp) - 1
    if np.any(np.abs(numbers - 1 - chosen) > 1e-6) or chosen.min() < 0 or chosen.max() >= a.size:
        raise DataError(f"{path}: {a.size} levels have coefficients; the file has levels {numbers.tolist()}")
    return a[chosen], b[chosen]


def _coefficients(path: Path) -> tuple[Floats, Floats]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(float(row["a"]), float(row["b"])) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as a table of a, b ({fault})") from None
    a, b = np.array(rows).reshape(-1, 2).T
    return a, b


def _roughness(now: Fields, frame: Frame, mapping: CFMet, where: str) -> Floats:
    if now.has("z0"):
        return now.surface("z0")
    if mapping.roughness is None:
        raise DataError(
            f"{where}: no roughness length (z0); state one (roughness, m) to read it nevertheless"
        )
    return np.full(frame.terrain.shape, mapping.roughness)


def _ustar(now: Fields, levels: dict[str, Floats], methods: dict[str, str]) -> Floats | None:
    if now.has("ustar") or not (now.has("stress_x") and now.has("stress_y")):
        return now.optional("ustar")
    density = levels["p"][0] / (R_DRY * levels["t"][0] * (1.0 + VIRTUAL * levels["q"][0]))
    methods["ustar"] = "sqrt(stress / density) of the surface stress"
    return np.sqrt(np.hypot(now.surface("stress_x"), now.surface("stress_y")) / density)


def _humidity_2m(now: Fields, ground: Floats) -> Floats | None:
    dewpoint = now.optional("dewpoint_2m")
    return None if dewpoint is None else specific_humidity(dewpoint, ground)
