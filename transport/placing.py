"""Where the air of an observation is sampled, and with what weights: towers, columns, lines of sight."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from transport.met import crs_of, to_xy
from transport.sight import GATE_POINTS, Ground, Sight, gate_ranges, place_at, place_at_height, sight_from

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
Indices = npt.NDArray[np.intp]

SIGHT = ("azimuth", "elevation", "range", "gate_length")
"""Optional variables of observations: a line of sight from the inlet."""


@dataclass(frozen=True)
class Points:
    """Points of all observations, shape (obs, point): m, NaN and weight 0 where there is none."""

    x: Floats
    y: Floats
    height: Floats
    weight: Floats

    @classmethod
    def none(cls, count: int, width: int) -> "Points":
        """Return room for points."""
        x, y, height = (np.full((count, width), np.nan) for _ in range(3))
        return cls(x, y, height, np.zeros((count, width)))

    def put(self, n: int, place: tuple[Floats, Floats, Floats], weight: Floats, at: Indices) -> None:
        """Write x, y, height and weight of points of observation n."""
        self.x[n, at], self.y[n, at], self.height[n, at] = place
        self.weight[n, at] = weight


def place_points(observations: xr.Dataset, met: xr.Dataset, end: Times, column_top: float | None) -> Points:
    """Return the points of each observation; how is said in `receptors.make_receptors`.

    end : of the averaging interval; column_top : m above ground, None: the top of the met

    Raises
    ------
    DataError
        Listing every datum that lacks what its kind needs; naming one whose line of sight meets the ground.
    """
    seen = _Seen.of(observations, met)
    widths = [
        1,
        observations.sizes["layer"] if seen.column.any() else 1,
        seen.gate_width if seen.gate.any() else 1,
    ]
    points = Points.none(seen.column.size, max(widths))
    for n in map(int, np.flatnonzero(~seen.column & ~seen.gate)):
        here = seen.x[n : n + 1], seen.y[n : n + 1], observations.inlet.values[n : n + 1]
        points.put(n, here, np.ones(1), np.zeros(1, np.intp))
    for n in map(int, np.flatnonzero(seen.gate)):
        place, weight = seen.gate_points(n)
        points.put(n, place, weight, np.arange(weight.size))
    top = float(met.level[-1]) if column_top is None else column_top
    hour = met.indexes["time"].get_indexer(pd.Index(end), method="nearest")
    for i in np.unique(hour[seen.column]):
        p = met.p.isel(time=i).load()  # of a stored cube, one time is read, once
        for n in map(int, np.flatnonzero(seen.column & (hour == i))):
            layers = seen.layers(n, p)
            weight = layers.share * observations.averaging_kernel.values[n]
            keep = np.flatnonzero((layers.upright() <= top) & np.isfinite(weight) & (weight != 0))
            points.put(n, layers.place(keep), weight[keep], keep)
    return points


@dataclass(frozen=True)
class _Seen:
    """Observations over a met cube; column, gate : which are of this kind; x, y : of the instruments, m."""

    observations: xr.Dataset
    ground: Ground
    column: npt.NDArray[np.bool_]
    sight: dict[str, Floats]
    x: Floats
    y: Floats

    @classmethod
    def of(cls, observations: xr.Dataset, met: xr.Dataset) -> "_Seen":
        column, empty = columns_of(observations), np.full(observations.sizes["obs"], np.nan)
        known = [name in observations.variables for name in SIGHT]
        sight = {
            name: observations[name].values if there else empty
            for name, there in zip(SIGHT, known, strict=True)
        }
        _check_kinds(observations, column, sight)
        x, y = to_xy(crs_of(met), observations.longitude.values, observations.latitude.values)
        return cls(observations, Ground(met), column, sight, x, y)

    @property
    def gate(self) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.sight["range"])

    def line(self, n: int) -> Sight:
        """Return the line of sight of a datum, from its inlet (the ground where it has none)."""
        place = float(self.observations.longitude.values[n]), float(self.observations.latitude.values[n])
        azimuth, elevation = (float(self.sight[name][n]) for name in ("azimuth", "elevation"))
        height = float(np.nan_to_num(self.observations.inlet.values[n]))
        return sight_from(self.ground, place, height, azimuth, elevation)

    @property
    def gate_width(self) -> int:
        """Most points of a gate."""
        return max(GATE_POINTS, self.observations.sizes.get("true_range", 0))

    def gate_points(self, n: int) -> tuple[tuple[Floats, Floats, Floats], Floats]:
        """Return x, y, height (m) and weight of the points of a datum's gate: by its kernel if it has one."""
        middle, length = (float(np.nan_to_num(self.sight[name][n])) for name in ("range", "gate_length"))
        try:
            distance, weight = self._by_kernel(n) or gate_ranges(middle, length)
            return place_at(self.line(n), self.ground, distance), weight
        except DataError as fault:
            raise DataError(f"{self.observations.datum_id.values[n]}: {fault}") from None

    def _by_kernel(self, n: int) -> tuple[Floats, Floats] | None:
        if "gate_kernel" not in self.observations.variables:
            return None
        weight = np.nan_to_num(self.observations.gate_kernel.values[n])
        counts = weight != 0
        return (self.observations.true_range.values[counts], weight[counts]) if counts.any() else None

    def layers(self, n: int, p: xr.DataArray) -> "Layers":
        """Return the layers of a column datum."""
        line = self.line(n) if np.isfinite(self.sight["elevation"][n]) else None
        share = self.observations.pressure_weight.values[n]
        return Layers(share, p, (float(self.x[n]), float(self.y[n])), line, self.ground)


@dataclass(frozen=True)
class Layers:
    """The layers of one column datum.

    share : pressure thickness over the surface pressure, layer 0 at the surface; p : Pa, (level, y, x)
    foot : x and y of the instrument, m; line : of sight, None: upright
    """

    share: Floats
    p: xr.DataArray
    foot: tuple[float, float]
    line: Sight | None
    ground: Ground

    def upright(self) -> Floats:
        """Return the height (m above ground) of each layer's mid pressure over the instrument."""
        return layer_heights(self.share, *_pressure(self.p, *self.foot))

    def place(self, keep: Indices) -> tuple[Floats, Floats, Floats]:
        """Return x, y and height of some layers: each where the line of sight passes its mid pressure."""
        height = self.upright()[keep]
        x, y = (np.full(keep.size, a) for a in self.foot)
        if self.line is None:
            return x, y, height
        for _ in range(2):  # the pressure there differs little from that over the instrument
            x, y = place_at_height(self.line, self.ground, height)
            found = [layer_heights(self.share, *_pressure(self.p, *at)) for at in zip(x, y, strict=True)]
            height = np.array([heights[k] for heights, k in zip(found, keep, strict=True)])
        return x, y, height


def _check_kinds(observations: xr.Dataset, column: npt.NDArray[np.bool_], sight: dict[str, Floats]) -> None:
    """Raise, naming every datum that is of no kind or of two."""
    gate, known = np.isfinite(sight["range"]), [np.isfinite(sight[n]) for n in ("azimuth", "elevation")]
    inlet = observations.inlet.values
    wrong = {
        "'inlet' is missing or negative; expected m above ground": ~column & ~(inlet >= 0),
        "'range' beside an averaging kernel; expected a gate or a column": column & gate,
        "'range' without azimuth and elevation": gate & ~(known[0] & known[1]),
        "'azimuth' and 'elevation' need each other": known[0] != known[1],
        "a line of sight without range or averaging kernel": known[1] & ~gate & ~column,
    }
    named = observations.datum_id.values
    faults = [f"{text}, for: {', '.join(named[which])}" for text, which in wrong.items() if which.any()]
    if faults:
        raise DataError("; ".join(faults))


def columns_of(observations: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Tell which data are columns: those with any finite averaging kernel.

    Raises
    ------
    DataError
        If there are averaging kernels without pressure weights or the other way round, or weights that do not
        sum to 1: all are named.
    """
    names = {"averaging_kernel", "pressure_weight"} & set(map(str, observations.variables))
    if not names:
        return np.zeros(observations.sizes["obs"], dtype=bool)
    if len(names) == 1:
        raise DataError(
            f"observations have {names.pop()} alone; expected averaging_kernel and pressure_weight"
        )
    column = np.isfinite(observations.averaging_kernel.values).any(axis=1)
    share = np.nansum(observations.pressure_weight.values, axis=1)
    wrong = observations.datum_id.values[column & ~(np.abs(share - 1.0) < 0.01)]
    if wrong.size:
        raise DataError(f"'pressure_weight' does not sum to 1 within 0.01 for: {', '.join(wrong)}")
    return column


def layer_heights(share: Floats, pressure: Floats, height: Floats) -> Floats:
    """Return the height (m above ground) of each layer's mid pressure; inf above the profile.

    share : pressure thickness of each layer over the surface pressure, layer 0 at the surface; NaN: no layer
    pressure : Pa, the first at the surface, falling; height : m, of each pressure
    """
    thickness = np.nan_to_num(share)
    middle = pressure[0] * (1.0 - np.cumsum(thickness) + 0.5 * thickness)
    inside = middle >= pressure[-1]
    logarithm = np.log(np.where(inside, middle, pressure[-1]))
    found = np.interp(-logarithm, -np.log(pressure), height)
    return np.where(inside & np.isfinite(share), found, np.inf)


def _pressure(p: xr.DataArray, x: float, y: float) -> tuple[Floats, Floats]:
    """Return the pressure profile (Pa) from the ground up at the nearest met point, and its heights."""
    profile = p.sel(y=y, x=x, method="nearest").values.astype(np.float64)
    height = p.level.values.astype(np.float64)
    # hydrostatic to the ground: ln p is straight over the lowest metres
    slope = (np.log(profile[1]) - np.log(profile[0])) / (height[1] - height[0])
    surface = np.exp(np.log(profile[0]) - slope * height[0])
    return np.append(surface, profile), np.append(0.0, height)
