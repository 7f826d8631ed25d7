"""Instruments of the synthetic city: towers, a Doppler and DIAL lidar; its districts and inflowing air."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema, time, uncertainty
from metroflux.grid import Grid

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """One instrument: kind is "tower" or "lidar"; inlet in m above ground (lidar: lowest gate)."""

    name: str
    kind: str
    longitude: float
    latitude: float
    x: float
    y: float
    inlet: float


TOWERS = (
    ("CEN", 0.02, 0.03, 90.0),
    ("EST", 0.27, -0.06, 60.0),
    ("WST", -0.24, -0.02, 120.0),
    ("NOR", 0.03, 0.24, 45.0),
    ("SUD", -0.06, -0.23, 75.0),
    ("PRK", 0.15, -0.18, 30.0),
)
"""Name, place in units of the city's side from its centre, inlet height (m)."""

LIDAR = ("LID", 0.10, 0.02)
GATES = np.array([100.0, 175.0, 250.0, 325.0, 400.0])
"""Heights of the DIAL gates that are used, m above ground."""

_EVERY = {"tower": 1, "lidar": 3}
"""Hours between the data of each kind: the lidar measures other things in between."""

BACKGROUND_DAY_SD = 0.3e-6
"""Standard deviation of the error of the believed background of each day, mol mol-1."""

_BACKGROUND = 421.0e-6
_UPTAKE_ALOFT = 2.0e-6


def sites(grid: Grid, towers: int, lidar: bool) -> list[Site]:
    """Return the instruments that stand."""
    side = grid.dx * grid.nx
    found = []
    for name, at_x, at_y, inlet in TOWERS[:towers] + ((*LIDAR, float(GATES[0])),) * lidar:
        x = grid.west + side * (0.5 + at_x)
        y = grid.south + side * (0.5 + at_y)
        lon, lat = (float(value) for value in grid.to_lonlat(x, y))
        found.append(Site(name, "lidar" if name == LIDAR[0] else "tower", lon, lat, x, y, inlet))
    return found


def observations(sites: list[Site], hours: time.Times) -> xr.Dataset:
    """Return the hourly data that the network would report, values still missing (schema "observations").

    The errors are the full model: repeatability and representativeness are random; one certificate is behind
    all towers, each tower has its own working tank, the lidar has one cross-section error.
    """
    rows = [(s, h, start) for s in sites for h in _inlets(s) for start in hours[: -1 : _EVERY[s.kind]]]
    start = np.array([row[2] for row in rows])
    lidar = np.array([row[0].kind == "lidar" for row in rows])
    height = np.array([row[1] for row in rows])
    names = np.array([row[0].name for row in rows])
    ds = xr.Dataset(
        {
            "mole_fraction": ("obs", np.full(len(rows), np.nan), {"units": "mol mol-1"}),
            "flag": ("obs", np.zeros(len(rows), dtype=np.int8),
                     {"flag_values": np.array([0], dtype=np.int8), "flag_meanings": "good"}),
            "n_samples": ("obs", np.full(len(rows), 60, dtype=np.int32)),
        },
        coords={
            "datum_id": ("obs", np.array([_datum_id(*row) for row in rows])),
            "time": ("obs", start),
            "time_bounds": (("obs", "bounds"), np.stack([start, start + np.timedelta64(1, "h")], axis=1)),
            "site": ("obs", names),
            "species": ("obs", np.full(len(rows), "co2")),
            "inlet": ("obs", height, {"units": "m"}),
            "latitude": ("obs", np.array([row[0].latitude for row in rows]), {"units": "degrees_north"}),
            "longitude": ("obs", np.array([row[0].longitude for row in rows]), {"units": "degrees_east"}),
        },
        attrs={"scale": "WMO CO2 X2019", "traceability": json.dumps(_chain(sites))},
    )  # fmt: skip
    random = [
        uncertainty.Random("repeatability", np.where(lidar, 1.5e-6, 0.05e-6)),
        uncertainty.Random(
            "representativeness", np.where(lidar, 0.5e-6, 0.4e-6 + 0.4e-6 * np.exp(-height / 60.0))
        ),
    ]
    shared = [
        uncertainty.Shared(
            "certificate-0001", "calibration", np.where(lidar, 0.0, 0.3e-6), "certificate-0001"
        )
    ]
    shared += [
        uncertainty.Shared(
            f"tank-{s.name}", "calibration", np.where(names == s.name, 0.15e-6, 0.0), f"tank-{s.name}"
        )
        for s in sites
        if s.kind == "tower"
    ]
    if lidar.any():
        shared.append(uncertainty.Shared("cross-section", "lidar", np.where(lidar, 1.0e-6, 0.0), "line-list"))
    return schema.check(uncertainty.attach(ds, random, shared), "observations", "synthetic network")


def _chain(sites: list[Site]) -> list[dict[str, object]]:
    """Return what the towers rest on: analyser, tank, certificate, scale, as nodes of a graph."""
    rows = [
        row
        for tower in (s.name for s in sites if s.kind == "tower")
        for row in (
            (f"{tower}:co2", "analyser", f"analyser of {tower}", f"tank-{tower}"),
            (f"tank-{tower}", "working standard", f"tank-{tower}", "certificate-0001"),
        )
    ]
    rows += [
        ("certificate-0001", "certificate", "certificate-0001 of the parent tanks", "WMO CO2 X2019"),
        ("WMO CO2 X2019", "scale", "WMO CO2 X2019", ""),
    ]
    return [{"name": n, "kind": k, "label": t, "parents": [p] if p else []} for n, k, t, p in rows]


def profiles(sites: list[Site], met: xr.Dataset, hours: time.Times, rng: np.random.Generator) -> xr.Dataset:
    """Return Doppler wind and mixing height at the lidar, hourly, with noise (schema "profiles").

    Without a lidar the dataset has no site.
    """
    lidars = [s for s in sites if s.kind == "lidar"]
    height = met.level.values[met.level.values <= 1000.0]
    shape = (len(lidars), hours.size - 1, height.size)
    u, v, mixing = np.empty(shape), np.empty(shape), np.empty(shape[:2])
    for i, site in enumerate(lidars):
        here = met[["u", "v", "mixing_height"]].sel(x=site.x, y=site.y, method="nearest").sel(time=hours[:-1])
        u[i], v[i] = (
            here[name].sel(level=height).values + rng.normal(0.0, 0.4, shape[1:]) for name in ("u", "v")
        )
        mixing[i] = here.mixing_height.values * rng.normal(1.0, 0.08, shape[1])
    dims = ("site", "time", "height")
    ds = xr.Dataset(
        {
            "u": (dims, u, {"units": "m s-1"}),
            "v": (dims, v, {"units": "m s-1"}),
            "wind_sd": (dims, np.full(shape, 0.4), {"units": "m s-1"}),
            "mixing_height": (dims[:2], mixing, {"units": "m"}),
            "mixing_height_sd": (dims[:2], 0.08 * mixing, {"units": "m"}),
        },
        coords={
            "site": np.array([s.name for s in lidars], dtype=str),
            "time": hours[:-1],
            "height": ("height", height.astype(np.float64), {"units": "m"}),
            "latitude": ("site", np.array([s.latitude for s in lidars]), {"units": "degrees_north"}),
            "longitude": ("site", np.array([s.longitude for s in lidars]), {"units": "degrees_east"}),
        },
    )
    return schema.check(ds, "profiles", "synthetic lidar")


def background_field(met: xr.Dataset) -> xr.Dataset:
    """Return the mole fraction of the air that enters: lower aloft, a slow synoptic wave, a gradient."""
    times = met.time.values[::6]
    if times[-1] != met.time.values[-1]:
        times = np.append(times, met.time.values[-1])
    height = np.array([0.0, 500.0, 1500.0, 4000.0])
    x, y = met.x.values[[0, -1]], met.y.values[[0, -1]]
    hours = ((times - times[0]) / np.timedelta64(1, "h"))[:, None, None, None]
    field = (
        _BACKGROUND
        - _UPTAKE_ALOFT * (1.0 - np.exp(-height / 1500.0))[None, :, None, None]
        + 1.0e-6 * np.sin(2 * np.pi * hours / 90.0)
        + 0.8e-6 * np.array([-0.5, 0.5])[None, None, None, :]
        + 0.4e-6 * np.array([0.5, -0.5])[None, None, :, None]
    )
    ds = xr.Dataset(
        {"mole_fraction": (("time", "height", "y", "x"), field, {"units": "mol mol-1"})},
        coords={
            "time": times,
            "height": ("height", height, {"units": "m"}),
            "y": ("y", y, {"units": "m"}),
            "x": ("x", x, {"units": "m"}),
        },
    )
    return schema.check(ds, "background_field", "synthetic background")


def true_background_field(field: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return the field as it truly is: off by an error of each day."""
    day = field.time.values.astype("datetime64[D]")
    error = rng.normal(0.0, BACKGROUND_DAY_SD, np.unique(day).size)[np.searchsorted(np.unique(day), day)]
    truth = field.mole_fraction + xr.DataArray(error, dims="time")
    return field.assign(
        mole_fraction=truth.transpose(*field.mole_fraction.dims).assign_attrs(field.mole_fraction.attrs)
    )


def districts(grid: Grid) -> dict[str, object]:
    """Return seven districts as GeoJSON in degrees: the centre, five around it, the outskirts."""
    centre = _ring(0.0, 0.09, 0.0, 2 * np.pi)
    shapes = {"Centre": [centre]}
    turns = np.linspace(0.0, 2 * np.pi, 6)
    for name, begin, end in zip(
        ("East", "North-East", "North-West", "South-West", "South"), turns[:-1], turns[1:], strict=True
    ):
        shapes[name] = [_ring(0.09, 0.28, begin, end)]
    shapes["Outskirts"] = [np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]]),
                           _ring(0.0, 0.28, 0.0, 2 * np.pi)[::-1]]  # fmt: skip
    return {
        "type": "FeatureCollection",
        "features": [_feature(grid, name, rings) for name, rings in shapes.items()],
    }


def _ring(inner: float, outer: float, begin: float, end: float) -> Floats:
    """Return a closed sector of an annulus in units of the city's side; a whole circle when inner is zero."""
    angle = np.linspace(begin, end, 73)
    far = outer * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    if inner == 0.0:
        return far
    near = inner * np.stack([np.cos(angle), np.sin(angle)], axis=1)[::-1]
    return np.concatenate([far, near, far[:1]])


def _feature(grid: Grid, name: str, rings: list[Floats]) -> dict[str, object]:
    side = grid.dx * grid.nx
    coordinates = []
    for ring in rings:
        lon, lat = grid.to_lonlat(
            grid.west + side * (0.5 + ring[:, 0]), grid.south + side * (0.5 + ring[:, 1])
        )
        coordinates.append(np.stack([lon, lat], axis=1).tolist())
    return {
        "type": "Feature",
        "properties": {"name": name},
        "geometry": {"type": "Polygon", "coordinates": coordinates},
    }


def _datum_id(site: Site, height: float, start: np.datetime64) -> str:
    return f"{site.name}:co2:{height:g}:{np.datetime_as_string(start, unit='s')}"


def _inlets(site: Site) -> Floats:
    return GATES if site.kind == "lidar" else np.array([site.inlet])
