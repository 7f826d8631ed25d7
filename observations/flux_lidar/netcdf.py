"""Doppler lidar netCDF: ARM `dlppi`/`dlfpt`, and the CF/Radial layout of Vaisala's WindCube scanning lidars.

WindCube names follow the public description in xradar and doppy: groups listed in `sweep_group_name`, each
with time, azimuth, elevation, range (also per ray), radial_wind_speed, radial_wind_speed_status, cnr.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from observations.flux_lidar.rays import LIGHT, Floats, Rays
from observations.formats.netcdf import load, require

ARM = frozenset({"radial_velocity", "intensity", "attenuated_backscatter", "azimuth", "elevation"})
WINDCUBE = frozenset({"sweep_group_name"})
_SWEEP = ("time", "azimuth", "elevation", "range", "radial_wind_speed", "radial_wind_speed_status", "cnr")

SHORTEST_REPETITION = 1.0e-4
"""Time between pulses of a HALO StreamLine, s: at 10 kHz nothing beyond c t / 2 = 15 km can be ranged."""


def read_arm(path: Path) -> Rays:
    """Return the rays of an ARM Doppler lidar file.

    Some files of overlapping gates give ranges as if they lay end to end; a range beyond what the pulses
    can tell apart shows it, and the gates are then one sample apart.

    Raises
    ------
    DataError
        If it cannot be read or lacks a variable or attribute.
    """
    ds = load(path, (*sorted(ARM), "time", "range", "lat", "lon", "alt"), "an ARM Doppler lidar file")
    if ds.radial_velocity.dims != ("time", "range"):
        raise DataError(f"{path}: 'radial_velocity' has dims {ds.radial_velocity.dims}; expected time, range")
    try:
        length, points = float(ds.attrs["range_gate_length"]), int(ds.attrs["samples_per_gate"])
    except (KeyError, ValueError) as fault:
        raise DataError(f"{path}: attribute {fault}; expected range_gate_length, samples_per_gate") from None
    middle, remarks = ds["range"].values.astype(np.float64), []
    farthest = 0.5 * LIGHT * SHORTEST_REPETITION
    if middle[-1] > farthest:
        said = f"ranges up to {middle[-1] / 1e3:.0f} km are beyond the {farthest / 1e3:.0f} km of the pulses"
        remarks.append(f"{said}: gates overlap, their middles are {length / points:g} m apart")
        middle = 0.5 * length + np.arange(middle.size) * length / points
    velocity = _grid(ds, "radial_velocity")
    if "qc_radial_velocity" in ds.variables:
        velocity = np.where(ds.qc_radial_velocity.values == 0, velocity, np.nan)
    return Rays(
        instrument=f"HALO {ds.attrs.get('serial_number', 'not stated')} (ARM)",
        scan=str(ds.attrs.get("scan_type", "not stated")),
        time=ds.time.values.astype("datetime64[ns]"),
        azimuth=ds.azimuth.values.astype(np.float64) % 360.0,
        elevation=ds.elevation.values.astype(np.float64),
        distance=np.broadcast_to(middle, velocity.shape).copy(),
        velocity=velocity,
        signal=_grid(ds, "intensity") - 1.0,
        backscatter=_grid(ds, "attenuated_backscatter"),
        width=np.full(velocity.shape, np.nan),
        gate_length=length,
        place=(float(ds.lon), float(ds.lat), float(ds.alt)),
        remarks=tuple(remarks),
    )


def _grid(ds: xr.Dataset, name: str) -> Floats:
    return np.asarray(ds[name].values.astype(np.float64))


def read_windcube(path: Path) -> tuple[Rays, ...]:
    """Return the rays of each sweep of a WindCube file.

    A velocity that is masked, or that the maker's status rejects, is missing.

    Raises
    ------
    DataError
        If it cannot be read, or a sweep lacks a variable or has it on other dims or in other units.
    """
    root = load(path, ("sweep_group_name",), "a WindCube file with sweep groups")
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in root.sweep_group_name.values.ravel()]
    return tuple(_sweep(path, root, name) for name in names)


def _sweep(path: Path, root: xr.Dataset, name: str) -> Rays:
    where = f"{path}: group '{name}'"
    try:
        with xr.open_dataset(path, group=name, decode_times=False) as opened:
            ds = opened.load()
    except (OSError, ValueError, RuntimeError, KeyError) as fault:
        raise DataError(f"{where}: cannot be read ({fault}); expected a sweep") from None
    require(Path(where), ds, _SWEEP, "a WindCube sweep")
    dims = ds.radial_wind_speed.dims
    units = (ds.radial_wind_speed.attrs.get("units"), ds.cnr.attrs.get("units"))
    if len(dims) != 2 or dims[0] != "time" or units != ("m s-1", "dB"):
        raise DataError(f"{where}: radial_wind_speed, cnr on {dims} in {units}; expected rays in m s-1, dB")
    distance = np.broadcast_to(ds["range"].values.astype(np.float64), ds.radial_wind_speed.shape).copy()
    velocity = np.where(ds.radial_wind_speed_status.values == 1, _grid(ds, "radial_wind_speed"), np.nan)
    blank = np.full(velocity.shape, np.nan)
    length = ds["range_gate_length"] if "range_gate_length" in ds.variables else None
    return Rays(
        instrument=str(root.attrs.get("instrument_name", "WindCube")),
        scan=str(ds["sweep_mode"].values) if "sweep_mode" in ds.variables else "not stated",
        time=_times(where, root, ds),
        azimuth=ds.azimuth.values.astype(np.float64) % 360.0,
        elevation=ds.elevation.values.astype(np.float64),
        distance=distance,
        velocity=velocity,
        signal=10.0 ** (_grid(ds, "cnr") / 10.0),
        backscatter=_grid(ds, "relative_beta") if "relative_beta" in ds.variables else blank,
        width=_grid(ds, "doppler_spectrum_width") if "doppler_spectrum_width" in ds.variables else blank,
        gate_length=float(np.ravel(length.values)[0]) if length is not None else np.nan,
        place=tuple(_scalar(root, ds, n) for n in ("longitude", "latitude", "altitude")),  # type: ignore[arg-type]
    )


def _scalar(root: xr.Dataset, ds: xr.Dataset, name: str) -> float:
    found = next((d[name] for d in (root, ds) if name in d.variables), None)
    return np.nan if found is None else float(np.ravel(found.values)[0])


def _times(where: str, root: xr.Dataset, ds: xr.Dataset) -> np.ndarray:
    """Return the times of rays; units may say `seconds since time_reference` and name a variable."""
    units = str(ds.time.attrs.get("units", ""))
    if "time_reference" in units:
        found = next((d["time_reference"] for d in (ds, root) if "time_reference" in d.variables), None)
        if found is None:
            raise DataError(f"{where}: time in '{units}', but no variable time_reference")
        said = np.ravel(found.values)[0]
        units = units.replace("time_reference", said.decode() if isinstance(said, bytes) else str(said))
    try:
        decoded = xr.decode_cf(xr.Dataset({"t": ("ray", ds.time.values, {"units": units.rstrip("Z")})}))
    except ValueError as fault:
        raise DataError(f"{where}: times in '{units}' cannot be read ({fault})") from None
    return np.asarray(decoded.t.values.astype("datetime64[ns]"))
