"""Met cubes and receptors with known properties, independent of the synthetic worlds."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from metroflux.grid import Grid

CRS_TEXT = "+proj=tmerc +lat_0=50 +lon_0=10 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
START = np.datetime64("2024-06-01T00:00", "ns")


def column_met(
    hours: int = 4,
    wind: tuple[float, float] = (3.0, 0.0),
    mixing_height: float = 1000.0,
    ustar: float = 0.4,
    inverse_obukhov: float = 0.0,
    levels: tuple[float, ...] = (10.0, 20.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0),
    scale_height: float = 8500.0,
    half_width: float = 200e3,
) -> xr.Dataset:
    """Return the same column everywhere and always; density falls by exp(-z / scale_height)."""
    z = np.array(levels)
    x = np.linspace(-half_width, half_width, 9)
    shape, flat = (hours + 1, z.size, x.size, x.size), (hours + 1, x.size, x.size)
    rho = np.broadcast_to((1.2 * np.exp(-z / scale_height))[None, :, None, None], shape)
    volume = {
        "u": (wind[0], "m s-1"), "v": (wind[1], "m s-1"), "w": (0.0, "m s-1"), "rho": (rho, "kg m-3"),
        "t": (285.0, "K"), "q": (0.0, "kg kg-1"), "p": (rho * 287.05 * 285.0, "Pa"),
    }  # fmt: skip
    surface = {
        "mixing_height": (mixing_height, "m"), "ustar": (ustar, "m s-1"),
        "inverse_obukhov": (inverse_obukhov, "m-1"), "z0": (0.1, "m"),
        "sensible_heat_flux": (0.0, "W m-2"),
    }  # fmt: skip
    data = {}
    for fields, size in ((volume, shape), (surface, flat)):
        dims = ("time", "level", "y", "x") if len(size) == 4 else ("time", "y", "x")
        for name, (value, units) in fields.items():
            data[name] = (dims, np.broadcast_to(value, size).astype(np.float32), {"units": units})
    data["terrain"] = (("y", "x"), np.zeros((x.size, x.size), np.float32), {"units": "m"})
    return xr.Dataset(data).assign_coords(
        time=("time", START + np.arange(hours + 1) * np.timedelta64(1, "h")),
        level=("level", z, {"units": "m"}),
        y=("y", x, {"units": "m"}),
        x=("x", x, {"units": "m"}),
        spatial_ref=((), 0, CRS(CRS_TEXT).to_cf()),
    )


def point_receptors(
    heights: tuple[float, ...] = (10.0,),
    hours: float = 2.0,
    end: float = 4.0,
    particles: int = 200,
    duration: float = 0.0,
    place: tuple[float, float] = (0.0, 0.0),
) -> xr.Dataset:
    """Return one receptor per height, at `end` hours after the start of the met."""
    n = len(heights)
    point = ("receptor", "point")
    names = np.array([f"r{k}-{z:g}" for k, z in enumerate(heights)])
    return xr.Dataset(
        {
            "x": (point, np.full((n, 1), place[0]), {"units": "m"}),
            "y": (point, np.full((n, 1), place[1]), {"units": "m"}),
            "height": (point, np.array(heights, dtype=float)[:, None], {"units": "m"}),
            "weight": (point, np.ones((n, 1)), {"units": "1"}),
            "duration": ("receptor", np.full(n, duration), {"units": "s"}),
            "hours": ("receptor", np.full(n, hours), {"units": "h"}),
            "particles": ("receptor", np.full(n, particles, dtype=np.int64)),
            "seed": ("receptor", 1234567 + 1000 * np.arange(n, dtype=np.int64)),
        }
    ).assign_coords(
        receptor=("receptor", names),
        datum_id=("receptor", np.char.add("datum-", names)),
        time=("receptor", np.full(n, START + np.timedelta64(round(end * 3600), "s"))),
    )


def point_sources(x: list[float], y: list[float], bottom: list[float], top: list[float]) -> xr.Dataset:
    """Return sources at map positions x, y between two heights; all lists of one length."""
    n = len(x)
    data = {"x": x, "y": y, "bottom": bottom, "top": top}
    variables = {k: ("source", np.array(v, float), {"units": "m"}) for k, v in data.items()}
    rate = ("source", np.full(n, 3.0), {"units": "mol s-1"})
    names = np.array([f"s{k}" for k in range(n)])
    return xr.Dataset(variables | {"emission": rate, "emission_sd": rate}).assign_coords(
        source=("source", names), sector=("source", np.full(n, "power"))
    )


@pytest.fixture
def make_met() -> Callable[..., xr.Dataset]:
    return column_met


@pytest.fixture
def make_points() -> Callable[..., xr.Dataset]:
    return point_receptors


@pytest.fixture
def make_sources() -> Callable[..., xr.Dataset]:
    return point_sources


@pytest.fixture
def wide_grid() -> Grid:
    """A flux grid as wide as the met of `column_met`."""
    return Grid(CRS_TEXT, -200e3, -200e3, 10e3, 10e3, 40, 40)
