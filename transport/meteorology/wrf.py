"""WRF output to the met cube: grid-relative winds at fixed heights above ground in WRF's own projection."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS

from metroflux.constants import GRAVITY
from metroflux.errors import DataError
from metroflux.units import FILL_LIMIT
from transport.met import DEFAULT_LEVELS, to_xy
from transport.meteorology.columns import RawState
from transport.meteorology.cube import Target, read_met
from transport.meteorology.interpolate import KAPPA
from transport.meteorology.reader import Frame, Hour, Wanted

Floats = npt.NDArray[np.float64]

_SPHERE = "+R=6370000"
_T0 = 300.0  # K, WRF's T is potential temperature less this
_P0 = 1e5  # Pa
_VOLUME = ("U", "V", "W", "PH", "PHB", "P", "PB", "T", "QVAPOR")


def read_wrf(
    paths: Sequence[Path],
    levels: Sequence[float] = DEFAULT_LEVELS,
    crs: CRS | None = None,
    roughness: float | None = None,
) -> xr.Dataset:
    """Return the met cube of WRF output files (one or more times each, any order of files).

    `cube.read_met` with a `WRFReader`; see both for what is read, derived and refused.

    Parameters
    ----------
    levels : m above ground, ascending
    crs : projection for x and y if it is WRF's own up to false easting and northing
    roughness : m, used where the files have no ZNT; without it such files are refused
    """
    return read_met(WRFReader(roughness), paths, levels, Target(crs))


@dataclass(frozen=True)
class WRFReader:
    """WRF output on its C grid: Lambert, polar stereographic, Mercator, or unrotated latitude-longitude.

    Winds are WRF's own, along the grid, because the cube lives in its projection; they are brought to mass
    points. Vertical velocity is the one through surfaces of constant height above ground,
    w - (u dh/dx + v dh/dy). UST, HFX, LH and PBLH are used if there, else derived (`columns.complete`,
    which needs T2). z0 is ZNT.

    roughness : m, where files have no ZNT; without it such files are refused
    """

    roughness: float | None = None

    def describe(self) -> dict[str, object]:
        """Return the settings."""
        return {"reader": "wrf", **asdict(self)}

    def catalogue(self, paths: Sequence[Path]) -> tuple[list[Frame], list[Hour]]:
        """Return the frame of every file and all times."""
        frames, hours = [], []
        for path in paths:
            with _open(path) as ds:
                frames.append(_frame(ds, path))
                hours += [Hour(time, ((path, n),)) for n, time in enumerate(_times(ds, path))]
        return frames, hours

    def state(self, frame: Frame, hour: Hour, wanted: Wanted) -> RawState:
        """Return one time on mass points, all levels."""
        path, n = hour.parts[0]
        with _open(path) as ds:
            return _raw(ds, n, path, frame, self.roughness, wanted.upward)


def _open(path: Path) -> xr.Dataset:
    try:
        ds = xr.open_dataset(path, decode_times=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    absent = [n for n in ("Times", "XLAT", "XLONG", "HGT", *_VOLUME) if n not in ds.variables]
    absent += [n for n in ("DX", "DY") if n not in ds.attrs]
    if absent:
        ds.close()
        raise DataError(f"{path}: no variable {', '.join(absent)}; expected a WRF output file")
    return ds


def _times(ds: xr.Dataset, path: Path) -> npt.NDArray[np.datetime64]:
    texts = [b"".join(np.atleast_1d(row)).decode().replace("_", "T") for row in ds.Times.values]
    try:
        return np.array(texts, dtype="datetime64[ns]")
    except ValueError as fault:
        raise DataError(f"{path}: 'Times' cannot be read ({fault})") from None


def wrf_crs(attributes: Mapping[str, object]) -> CRS:
    """Return the projection of WRF's global attributes, on its sphere of 6370 km; geographic for MAP_PROJ 6.

    Raises
    ------
    DataError
        If the map is not Lambert (1), polar stereographic (2), Mercator (3) or unrotated
        latitude-longitude (6), or an attribute is absent.
    """
    kind = _attribute(attributes, "MAP_PROJ")
    if kind == 6:
        pole = _attribute(attributes, "POLE_LAT")
        if abs(pole - 90.0) > 1e-3:
            raise DataError(
                f"wrf: latitude-longitude map with POLE_LAT = {pole:g}; a rotated one is not supported"
            )
        return CRS(f"+proj=longlat {_SPHERE}")
    first, second, middle, east = (
        _attribute(attributes, n) for n in ("TRUELAT1", "TRUELAT2", "MOAD_CEN_LAT", "STAND_LON")
    )
    text = {
        1: f"+proj=lcc +lat_1={first} +lat_2={second} +lat_0={middle} +lon_0={east}",
        2: f"+proj=stere +lat_0={90 if first > 0 else -90} +lat_ts={first} +lon_0={east}",
        3: f"+proj=merc +lat_ts={first} +lon_0={east}",
    }.get(int(kind))
    if text is None:
        raise DataError(
            f"wrf: MAP_PROJ = {kind:g} is not supported; expected 1 Lambert, 2 polar stereographic, "
            "3 Mercator, 6 latitude-longitude"
        )
    return CRS(f"{text} {_SPHERE} +units=m")


def _attribute(attributes: Mapping[str, object], name: str) -> float:
    if name not in attributes:
        raise DataError(f"wrf: no global attribute '{name}'; expected a WRF output file")
    return float(str(attributes[name]))


def _frame(ds: xr.Dataset, path: Path) -> Frame:
    try:
        crs = wrf_crs(ds.attrs)
    except DataError as fault:
        raise DataError(f"{path}: {fault}") from None
    x, y = ds.XLONG.values[0].astype(np.float64), ds.XLAT.values[0].astype(np.float64)
    if crs.is_geographic:
        x = x[0, 0] + (x - x[0, 0]) % 360.0  # across the date line
        steps = float(np.mean(np.diff(x, axis=1))), float(np.mean(np.diff(y, axis=0)))
    else:
        x, y = to_xy(crs, x, y)
        steps = float(ds.attrs["DX"]), float(ds.attrs["DY"])
    axes = [_axis(x, steps[0], 1, path), _axis(y, steps[1], 0, path)]
    return Frame(crs, axes[0], axes[1], _field(ds, "HGT", 0, path), str(path))


def _axis(points: Floats, step: float, along: int, path: Path) -> Floats:
    """Return the even axis through float32 coordinates, or raise if they are not even."""
    offsets = step * np.arange(points.shape[along], dtype=np.float64)
    regular = offsets[None, :] if along else offsets[:, None]
    origin = float(np.mean(points - regular))
    miss = float(np.max(np.abs(points - regular - origin)))
    # XLAT and XLONG are float32: 1e-5 degrees, about 2 m
    if not miss < 0.01 * step:
        raise DataError(f"{path}: XLAT, XLONG leave the regular map grid by {miss:g}; expected < 1 % of DX")
    return origin + offsets


def _field(ds: xr.Dataset, name: str, n: int, path: Path) -> Floats:
    values = ds[name].values[n].astype(np.float64)
    bad = ~np.isfinite(values) | (np.abs(values) > FILL_LIMIT)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(f"{path}: '{name}' is {values[at]} at index {at}; expected finite values")
    return values


def _optional(ds: xr.Dataset, name: str, n: int, path: Path) -> Floats | None:
    return _field(ds, name, n, path) if name in ds.variables else None


def _raw(ds: xr.Dataset, n: int, path: Path, frame: Frame, roughness: float | None, upward: bool) -> RawState:
    """Return one time on mass points: destaggered, base state added, w through terrain-following surfaces."""
    raw = {name: _field(ds, name, n, path) for name in _VOLUME}
    faces = (raw["PH"] + raw["PHB"]) / GRAVITY - frame.terrain
    p = raw["P"] + raw["PB"]
    u = 0.5 * (raw["U"][..., 1:] + raw["U"][..., :-1])
    v = 0.5 * (raw["V"][:, 1:] + raw["V"][:, :-1])
    q2 = _optional(ds, "Q2", n, path)  # a mixing ratio, as QVAPOR is
    return RawState(
        u=u, v=v,
        w=0.5 * (raw["W"][1:] + raw["W"][:-1]) - _rise(raw["U"], raw["V"], frame) if upward else 0.0 * p,
        t=(raw["T"] + _T0) * (p / _P0) ** KAPPA,
        q=raw["QVAPOR"] / (1.0 + raw["QVAPOR"]),
        p=p,
        height=0.5 * (faces[1:] + faces[:-1]),
        z0=_roughness(ds, n, path, roughness),
        ustar=_optional(ds, "UST", n, path),
        mixing_height=_optional(ds, "PBLH", n, path),
        sensible=_optional(ds, "HFX", n, path),
        latent=_optional(ds, "LH", n, path),
        t2=_optional(ds, "T2", n, path),
        q2=None if q2 is None else q2 / (1.0 + q2),
    )  # fmt: skip


def _rise(u: Floats, v: Floats, frame: Frame) -> Floats:
    """Return the velocity (m s-1) of air that follows the terrain, (level, y, x), from winds on the C grid.

    Slope times wind on each face, then the mean of both faces, as WRF itself sets w at the ground: the
    product of the means is not what balances WRF's divergence. Beyond the outer points the slope goes on.
    """
    rise_x, rise_y = frame.rise()
    east = np.pad(rise_x, ((0, 0), (1, 1)), mode="edge") * u
    north = np.pad(rise_y, ((1, 1), (0, 0)), mode="edge") * v
    return 0.5 * (east[..., 1:] + east[..., :-1] + north[:, 1:] + north[:, :-1])


def _roughness(ds: xr.Dataset, n: int, path: Path, roughness: float | None) -> Floats:
    if "ZNT" in ds.variables:
        return _field(ds, "ZNT", n, path)
    if roughness is None:
        raise DataError(f"{path}: no variable ZNT; state a roughness length (m) to read it nevertheless")
    return np.full((ds.sizes["south_north"], ds.sizes["west_east"]), roughness)
