"""WRF output to the met cube: grid-relative winds at fixed heights above ground in WRF's own projection."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from metroflux import schema
from metroflux.constants import GRAVITY
from metroflux.errors import DataError
from metroflux.units import FILL_LIMIT
from transport.met import DEFAULT_LEVELS, check_axes, check_hour, to_xy, translation
from transport.modelstate import KAPPA, UNITS, ModelState, at_heights

Floats = npt.NDArray[np.float64]

_SPHERE = "+R=6370000 +units=m"
_MAPS = {1: "Lambert", 2: "polar stereographic", 3: "Mercator"}
_T0 = 300.0  # K, WRF's T is potential temperature less this
_P0 = 1e5  # Pa
_SURFACE = ("HGT", "MAPFAC_M", "UST", "HFX", "LH", "PBLH")
_VOLUME = ("U", "V", "W", "PH", "PHB", "P", "PB", "T", "QVAPOR")


def read_wrf(
    paths: Sequence[Path],
    levels: Sequence[float] = DEFAULT_LEVELS,
    crs: CRS | None = None,
    roughness: float | None = None,
) -> xr.Dataset:
    """Return the met cube of WRF output files (one or more times each, any order of files).

    Winds stay relative to the grid, because the cube lives in WRF's projection. Vertical velocity is the one
    through surfaces of constant height above ground, w - u dh/dx - v dh/dy. 1/L is from UST, HFX and LH, z0
    is ZNT, the mixing height PBLH. Interpolation to the levels: `modelstate.at_heights`.

    Parameters
    ----------
    levels : m above ground, ascending
    crs : projection for x and y if it is WRF's own up to false easting and northing
    roughness : m, used where the files have no ZNT; without it such files are refused

    Raises
    ------
    DataError
        Naming file and field: no such file, absent variable, NaN, unsupported projection, repeated or
        missing times, levels not ascending or above the model's top.
    """
    heights = _checked_levels(levels)
    absent = [str(path) for path in paths if not Path(path).is_file()]
    if absent or not paths:
        raise DataError(f"wrf: no such file: {', '.join(absent) or 'the list of files is empty'}")
    hours, frames = [], []
    for path in map(Path, paths):
        with _open(path) as ds:
            frames.append(_frame(ds, path))
            for n, time in enumerate(_times(ds, path)):
                hours.append((time, path, at_heights(_state(ds, n, path, roughness), heights, str(path))))
    hours.sort(key=lambda hour: hour[0])
    _check_frames(frames)
    _check_times([hour[:2] for hour in hours])
    met = _dataset([hour[0] for hour in hours], [hour[2] for hour in hours], heights, frames[0])
    if crs is not None:
        met = _shifted(met, frames[0][1], crs)
    return schema.check(check_hour(check_axes(met, "wrf")), "met", "wrf")


def _checked_levels(levels: Sequence[float]) -> Floats:
    heights = np.asarray(levels, dtype=np.float64)
    if heights.ndim != 1 or heights.size < 2 or not heights[0] > 0 or not np.all(np.diff(heights) > 0):
        raise DataError(f"wrf: levels = {list(levels)}; expected two or more, above ground, ascending, in m")
    return heights


def _open(path: Path) -> xr.Dataset:
    try:
        ds = xr.open_dataset(path, decode_times=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    absent = [n for n in ("Times", "XLAT", "XLONG", *_VOLUME, *_SURFACE) if n not in ds.variables]
    if absent:
        ds.close()
        hint = " (PBLH: the mixing height has to be in the file)" if "PBLH" in absent else ""
        raise DataError(f"{path}: no variable {', '.join(absent)}{hint}")
    return ds


def _times(ds: xr.Dataset, path: Path) -> npt.NDArray[np.datetime64]:
    texts = [b"".join(np.atleast_1d(row)).decode().replace("_", "T") for row in ds.Times.values]
    try:
        return np.array(texts, dtype="datetime64[ns]")
    except ValueError as fault:
        raise DataError(f"{path}: 'Times' cannot be read ({fault})") from None


def wrf_crs(attributes: dict[str, object]) -> CRS:
    """Return the projection of WRF's global attributes, on its sphere of 6370 km.

    Raises
    ------
    DataError
        If the map is not Lambert (1), polar stereographic (2) or Mercator (3), or an attribute is absent.
    """
    try:
        kind, first, second, middle, east = (
            float(str(attributes[n]))
            for n in ("MAP_PROJ", "TRUELAT1", "TRUELAT2", "MOAD_CEN_LAT", "STAND_LON")
        )
    except KeyError as absent:
        raise DataError(f"wrf: no global attribute {absent}; expected a WRF output file") from None
    if kind == 1:
        return CRS(f"+proj=lcc +lat_1={first} +lat_2={second} +lat_0={middle} +lon_0={east} {_SPHERE}")
    if kind == 2:
        pole = 90 if first > 0 else -90
        return CRS(f"+proj=stere +lat_0={pole} +lat_ts={first} +lon_0={east} {_SPHERE}")
    if kind == 3:
        return CRS(f"+proj=merc +lat_ts={first} +lon_0={east} {_SPHERE}")
    known = ", ".join(f"{k} {name}" for k, name in _MAPS.items())
    raise DataError(f"wrf: MAP_PROJ = {kind:g} is not supported (6 is latitude-longitude); expected {known}")


def _frame(ds: xr.Dataset, path: Path) -> tuple[Path, CRS, Floats, Floats, Floats]:
    """Return path, projection, x and y (m) of the mass points, terrain (m)."""
    try:
        crs = wrf_crs(ds.attrs)
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None
    x, y = to_xy(crs, ds.XLONG.values[0].astype(np.float64), ds.XLAT.values[0].astype(np.float64))
    axes: list[Floats] = []
    for points, step, along in ((x, ds.attrs["DX"], 1), (y, ds.attrs["DY"], 0)):
        offsets = float(step) * np.arange(points.shape[along], dtype=np.float64)
        regular = offsets[None, :] if along else offsets[:, None]
        origin = float(np.mean(points - regular))
        miss = float(np.max(np.abs(points - regular - origin)))
        # XLAT and XLONG are float32: 1e-5 degrees, about 2 m
        if not miss < 0.01 * float(step):
            raise DataError(
                f"{path}: XLAT, XLONG leave the regular map grid by {miss:g} m; expected < 1 % of DX"
            )
        axes.append(origin + offsets)
    return path, crs, axes[0], axes[1], _field(ds, "HGT", 0, path)


def _field(ds: xr.Dataset, name: str, n: int, path: Path) -> Floats:
    values = ds[name].values[n].astype(np.float64)
    bad = ~np.isfinite(values) | (np.abs(values) > FILL_LIMIT)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(f"{path}: '{name}' is {values[at]} at index {at}; expected finite values")
    return values


def _state(ds: xr.Dataset, n: int, path: Path, roughness: float | None) -> ModelState:
    """Return one time on mass points: destaggered, base state added, w through terrain-following surfaces."""
    raw = {name: _field(ds, name, n, path) for name in _VOLUME}
    terrain, scale = _field(ds, "HGT", n, path), _field(ds, "MAPFAC_M", n, path)
    faces = (raw["PH"] + raw["PHB"]) / GRAVITY - terrain
    p = raw["P"] + raw["PB"]
    u = 0.5 * (raw["U"][..., 1:] + raw["U"][..., :-1])
    v = 0.5 * (raw["V"][:, 1:] + raw["V"][:, :-1])
    slope_y, slope_x = np.gradient(terrain, float(ds.attrs["DY"]), float(ds.attrs["DX"]))
    return ModelState(
        u=u, v=v,
        w=0.5 * (raw["W"][1:] + raw["W"][:-1]) - scale * (u * slope_x + v * slope_y),
        t=(raw["T"] + _T0) * (p / _P0) ** KAPPA,
        q=raw["QVAPOR"] / (1.0 + raw["QVAPOR"]),
        p=p,
        height=0.5 * (faces[1:] + faces[:-1]),
        ustar=_field(ds, "UST", n, path),
        z0=_roughness(ds, n, path, roughness),
        mixing_height=_field(ds, "PBLH", n, path),
        sensible_heat_flux=_field(ds, "HFX", n, path),
        latent_heat_flux=_field(ds, "LH", n, path),
    )  # fmt: skip


def _roughness(ds: xr.Dataset, n: int, path: Path, roughness: float | None) -> Floats:
    if "ZNT" in ds.variables:
        return _field(ds, "ZNT", n, path)
    if roughness is None:
        raise DataError(f"{path}: no variable ZNT; state a roughness length (m) to read it nevertheless")
    return np.full((ds.sizes["south_north"], ds.sizes["west_east"]), roughness)


def _check_frames(frames: list[tuple[Path, CRS, Floats, Floats, Floats]]) -> None:
    """Raise if files differ in map, grid points or terrain."""
    _, first, x, y, terrain = frames[0]
    for path, crs, x_2, y_2, terrain_2 in frames[1:]:
        same = crs == first and x_2.shape == x.shape and y_2.shape == y.shape
        # a metre: float32 coordinates of the same grid may be rounded differently
        same = (
            same and max(np.abs(x_2 - x).max(), np.abs(y_2 - y).max(), np.abs(terrain_2 - terrain).max()) < 1
        )
        if not same:
            raise DataError(
                f"{path}: map, grid points or terrain differ from {frames[0][0]}; expected one domain"
            )


def _check_times(times: list[tuple[np.datetime64, Path]]) -> None:
    """Raise if a time repeats or one is missing from an even sequence."""
    for (time, path), (after, path_2) in pairwise(times):
        if after == time:
            raise DataError(f"{path_2}: 'Times' {after} is also in {path}; expected each time once")
    steps = np.diff(np.array([time for time, _ in times]))
    for ((time, path), (after, path_2)), step in zip(pairwise(times), steps, strict=True):
        if step != steps.min():
            usual = f"{steps.min() / np.timedelta64(1, 'm'):g} minutes"
            raise DataError(
                f"{path_2}: gap in 'Times' from {time} ({path}) to {after}; expected every {usual}"
            )


def _dataset(
    times: list[np.datetime64], fields: list[dict[str, Floats]], heights: Floats,
    frame: tuple[Path, CRS, Floats, Floats, Floats],
) -> xr.Dataset:  # fmt: skip
    _, crs, x, y, terrain = frame
    plane, mapped = ("y", "x"), {"grid_mapping": "spatial_ref"}
    data: dict[str, tuple[object, ...]] = {
        "terrain": (plane, terrain.astype(np.float32), {"units": "m", **mapped})
    }
    for name, units in UNITS.items():
        values = np.stack([hour[name] for hour in fields]).astype(np.float32)
        dims = ("time", "level", *plane) if values.ndim == 4 else ("time", *plane)
        data[name] = (dims, values, {"units": units, **mapped})
    return xr.Dataset(data).assign_coords(
        time=("time", np.array(times, dtype="datetime64[ns]")),
        level=("level", heights, {"units": "m", "long_name": "height above ground", "positive": "up"}),
        y=("y", y, {"units": "m", "standard_name": "projection_y_coordinate"}),
        x=("x", x, {"units": "m", "standard_name": "projection_x_coordinate"}),
        spatial_ref=((), 0, crs.to_cf()),
    )


def _shifted(met: xr.Dataset, native: CRS, crs: CRS) -> xr.Dataset:
    """Return the cube with x, y in `crs`, which differs from its own by a shift."""
    x, y = (a.ravel() for a in np.meshgrid(met.x.values, met.y.values))
    east, north = translation(native, crs, x, y)
    return met.assign_coords(
        x=("x", met.x.values + east, met.x.attrs),
        y=("y", met.y.values + north, met.y.attrs),
        spatial_ref=((), 0, crs.to_cf()),
    )
