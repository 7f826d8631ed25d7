"""The met cube: default levels, opening, checks before a run, its projection."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from pyproj import CRS, Proj, Transformer

from metroflux import schema
from metroflux.errors import DataError

Floats = npt.NDArray[np.float64]

DEFAULT_LEVELS = (
    10.0, 20.0, 35.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1000.0,
    1250.0, 1500.0, 1750.0, 2000.0, 2500.0, 3000.0, 4000.0, 5000.0, 6500.0, 8000.0, 10000.0,
)  # fmt: skip
"""Levels of a met cube where the user states none, m above ground."""

_POSITIVE = ("mixing_height", "ustar", "z0", "rho")
_SAME_PLACE = 1.0  # m; far below any met cell, far above rounding of a projection
_MAX_SHEAR = 1.0  # degrees; above it one map scale for all directions is wrong


DONE = "cube.json"
"""File of a stored cube that lists its times; without it the cube is not complete."""


def open_met(path: Path) -> xr.Dataset:
    """Open a met cube from a zarr store, or from a folder with one store per day (`store.build_met`).

    Values are read when needed, in chunks as stored: best one per time.

    Raises
    ------
    DataError
        If there is no such store, it is not a met cube, or a time of it is missing from an even sequence.
    """
    if not path.exists():
        raise DataError(f"{path}: no such met cube; expected a zarr store")
    met = _open_days(path) if (path / DONE).is_file() else _open_store(path)
    absent = sorted(set(schema.SCHEMAS["met"]) - set(map(str, met.variables)))
    if absent:
        raise DataError(f"{path}: met cube without {', '.join(absent)}")
    return _check_gaps(check_axes(met, str(path)), path).assign_attrs(path=str(path))


def _check_gaps(met: xr.Dataset, path: Path) -> xr.Dataset:
    """Return the cube unchanged unless a time is missing from an even sequence."""
    time = met.time.values
    steps = np.diff(time)
    wide = np.flatnonzero(steps != steps.min())
    if wide.size:
        usual = f"{steps.min() / np.timedelta64(1, 'm'):g} minutes"
        first, second = (_minute(time[wide[0] + n]) for n in (0, 1))
        raise DataError(f"{path}: gap in time from {first} to {second}; expected every {usual}")
    return met


def _open_store(path: Path) -> xr.Dataset:
    try:
        return xr.open_zarr(path, chunks={}, consolidated=False)
    except (OSError, ValueError, KeyError) as fault:
        raise DataError(f"{path}: cannot be opened as zarr ({fault})") from None


def _open_days(folder: Path) -> xr.Dataset:
    """Open the days of a cube as one dataset; a missing time is named."""
    listed = json.loads((folder / DONE).read_text("utf-8"))
    parts = [_open_store(day) for day in sorted(folder.glob("*.zarr"))]
    found = np.concatenate([part.time.values for part in parts]) if parts else np.array([], "datetime64[ns]")
    lost = np.setdiff1d(np.array(listed["times"], dtype="datetime64[ns]"), found)
    if lost.size:
        raise DataError(f"{folder}: gap: {lost.size} times of the cube are missing, the first {lost[0]}")
    met = xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override", join="exact",
                    combine_attrs="override")  # fmt: skip
    return met.assign_attrs(mass_balance=json.dumps(listed["mass_balance"]), source=listed["source"])


def check_axes(met: xr.Dataset, where: str = "met") -> xr.Dataset:
    """Return the cube unchanged if its axes serve the particle model; reads coordinates only.

    Raises
    ------
    DataError
        Naming every axis that is too short, not ascending or (x, y) not evenly spaced.
    """
    faults = []
    for axis in ("time", "level", "y", "x"):
        step = np.diff(met[axis].values)
        if step.size == 0:
            faults.append(f"'{axis}' has {met.sizes[axis]} points, expected at least 2")
        elif not np.all(step > np.zeros(1, step.dtype)):
            faults.append(f"'{axis}' is not ascending")
        elif axis in ("x", "y") and np.ptp(step) > 1e-4 * step.mean():
            faults.append(f"'{axis}' is not evenly spaced ({step.min():g} to {step.max():g} m)")
    if met.sizes["level"] and not float(met.level[0]) > 0:
        faults.append(f"'level' starts at {float(met.level[0]):g} m, expected above the ground")
    if faults:
        raise DataError(f"{where}: " + "; ".join(faults))
    return met


def check_hour(met: xr.Dataset) -> xr.Dataset:
    """Return the fields of some met times unchanged if the particle model can use them.

    Raises
    ------
    DataError
        Naming every field with a value that is not finite or not positive, and roughness above the cube.
    """
    faults = []
    for name in ("u", "v", "w", "q", "inverse_obukhov", *_POSITIVE):
        values = met[name].values
        bad = ~np.isfinite(values)
        if name in _POSITIVE:
            bad |= ~(values > 0)
        if bad.any():
            expected = "finite and positive" if name in _POSITIVE else "finite"
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            faults.append(f"'{name}' is {values[at]} at index {at}, expected {expected}")
    if float(met.z0.max()) >= 0.5 * float(met.level[0]):
        lowest = float(met.level[0])
        faults.append(f"'z0' reaches {float(met.z0.max()):g} m, expected below half the level {lowest:g} m")
    if faults:
        where = met.attrs.get("path", "met")
        raise DataError(f"{where} at {np.atleast_1d(met.time.values)[0]}: " + "; ".join(faults))
    return met


def check_coverage(met: xr.Dataset, receptors: xr.Dataset) -> None:
    """Raise unless every receptor, and the time it is followed back, lies within the met cube.

    Raises
    ------
    DataError
        Listing every receptor outside the period, the area or the height of the cube.
    """
    start, end = met.time.values[0], met.time.values[-1]
    first = receptors.time.values - hours_to_ns(receptors.hours.values)
    used = receptors.weight.values != 0
    faults = []
    for r, datum in enumerate(receptors.datum_id.values):
        if first[r] < start or receptors.time.values[r] > end:
            span = f"{_minute(first[r])} to {_minute(receptors.time.values[r])}"
            faults.append(f"{datum} needs {span}, the met covers {_minute(start)} to {_minute(end)}")
        for axis, name in (("x", "x"), ("y", "y"), ("level", "height")):
            low = 0.0 if axis == "level" else float(met[axis][0])
            values, high = receptors[name].values[r][used[r]], float(met[axis][-1])
            out = values[~((values >= low) & (values <= high))]
            if out.size:
                faults.append(f"{datum} has {name} = {out[0]:g} m, the met covers {low:g} to {high:g} m")
    if faults:
        raise DataError(f"{len(faults)} receptor faults: " + "; ".join(faults))


def hours_to_ns(hours: Floats) -> npt.NDArray[np.timedelta64]:
    """Return hours as whole nanoseconds."""
    return np.round(np.asarray(hours) * 3.6e12).astype(np.int64).astype("timedelta64[ns]")


def _minute(time: np.datetime64) -> str:
    return str(time.astype("datetime64[m]"))


def crs_of(ds: xr.Dataset) -> CRS:
    """Return the projection of a dataset with `spatial_ref`."""
    return CRS.from_cf(ds.spatial_ref.attrs)


def to_xy(crs: CRS, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return projected x and y (m); longitude and latitude are taken on the projection's own ellipsoid."""
    x, y = _lonlat(crs).transform(lon, lat, direction="INVERSE")
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def to_lonlat(crs: CRS, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return longitude and latitude (degrees) on the projection's own ellipsoid."""
    lon, lat = _lonlat(crs).transform(x, y)
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def translation(source: CRS, target: CRS, x: Floats, y: Floats) -> tuple[float, float]:
    """Return the shift (m) that turns x, y of `source` into x, y of `target`.

    The datum is not changed: both are taken to give latitude and longitude on the same figure.

    Raises
    ------
    DataError
        If the two differ by more than a shift over the given points.
    """
    there = to_xy(target, *to_lonlat(source, x, y))
    east, north = there[0] - x, there[1] - y
    spread = max(np.ptp(east), np.ptp(north))
    if not spread <= _SAME_PLACE:
        raise DataError(
            f"crs: '{_describe(target)}' differs from '{_describe(source)}' by more than a shift "
            f"({spread:g} m over the domain); expected the same projection up to false easting and northing"
        )
    return float(east.mean()), float(north.mean())


def check_same_crs(met: xr.Dataset, crs: str) -> None:
    """Raise unless a flux grid's projection gives the met cube's own coordinates."""
    x, y = (a.ravel() for a in np.meshgrid(met.x.values[[0, -1]], met.y.values[[0, -1]]))
    shift = translation(crs_of(met), CRS.from_user_input(crs), x, y)
    if max(map(abs, shift)) > _SAME_PLACE:
        raise DataError(
            f"crs: the flux grid is shifted from the met cube by {shift} m; expected the same crs"
        )


def map_scale(met: xr.Dataset) -> Floats:
    """Return map metres per metre on the ground at each grid point, shape (y, x).

    Raises
    ------
    DataError
        If the projection shears so much that one scale does not hold for all directions.
    """
    return scale_at(crs_of(met), met.x.values, met.y.values)


def scale_at(crs: CRS, x: Floats, y: Floats) -> Floats:
    """Return map metres per metre on the ground at the points of two axes (m), shape (y, x)."""
    lon, lat = to_lonlat(crs, *np.meshgrid(x, y))
    factors = Proj(crs).get_factors(lon, lat)
    shear = float(np.max(np.abs(factors.angular_distortion)))
    if not shear <= _MAX_SHEAR:
        raise DataError(f"crs: the map shears by {shear:g} degrees; expected a conformal map for transport")
    return np.sqrt(np.asarray(factors.areal_scale, dtype=np.float64))


def _describe(crs: CRS) -> str:
    operation = crs.coordinate_operation
    if operation is None:
        return crs.name
    values = ", ".join(f"{p.name} {p.value:g}" for p in operation.params)
    return f"{operation.method_name} ({values})"


def _lonlat(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
