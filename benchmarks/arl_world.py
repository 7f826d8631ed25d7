"""ARL packed files of a made-up day: 3 km, hourly, 50 levels, hills, a night that turns stable.

Layout, map and levels are those of NOAA's archive of HRRR (sigma levels with PRES; six hours a file); winds,
temperatures and fluxes are formulae, with moving waves of 40 to 400 km, so that no two places or hours are
alike.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

START = np.datetime64("2024-06-01T00", "ns")
LONGITUDE, LATITUDE = -86.0, 40.0
NX, NY, SPACING = 174, 208, 3.0  # points, km: 5 x 5 degrees of which the footprints cover 4 x 4
FILE_HOURS = 6

# half levels of RAP and HRRR: Benjamin et al. 2016, Mon. Weather Rev. 144, 1669
HALF_LEVELS = np.array([
    1, 0.998, 0.994, 0.987, 0.975, 0.959, 0.939, 0.916, 0.892, 0.865, 0.835, 0.802, 0.766, 0.727, 0.685,
    0.64, 0.592, 0.542, 0.497, 0.4565, 0.4205, 0.3877, 0.3582, 0.3317, 0.3078, 0.2863, 0.267, 0.2496,
    0.2329, 0.2188, 0.2047, 0.1906, 0.1765, 0.1624, 0.1483, 0.1342, 0.1201, 0.106, 0.0919, 0.0778,
    0.0657, 0.0568, 0.0486, 0.0409, 0.0337, 0.0271, 0.0209, 0.0151, 0.0097, 0.0047, 0,
])  # fmt: skip
TOP = 20.0  # hPa
VOLUMES = ("PRES", "UWND", "VWND", "WWND", "TEMP", "SPHU")


def write_world(folder: Path, hours: int, nx: int = NX, ny: int = NY) -> list[Path]:
    """Write hours + 1 times from START into files of six; return the files."""
    import arlmet

    projection = arlmet.Projection(
        pole_lat=90.0, pole_lon=0.0, tangent_lat=38.5, tangent_lon=-97.5, grid_size=SPACING, orientation=0.0,
        cone_angle=38.5, sync_x=0.5 * (nx + 1), sync_y=0.5 * (ny + 1), sync_lat=LATITUDE, sync_lon=LONGITUDE,
    )  # fmt: skip
    grid = arlmet.Grid(projection, nx, ny)
    sigma = 0.5 * (HALF_LEVELS[1:] + HALF_LEVELS[:-1])
    axis = arlmet.SigmaAxis(levels=[1.0, *sigma], offset=TOP)
    paths = []
    for first in range(0, hours + 1, FILE_HOURS):
        path = folder / f"hrrr.{first:02d}"
        with arlmet.File(path, mode="w", source="HRRR", grid=grid, vertical_axis=axis) as file:
            for hour in range(first, min(first + FILE_HOURS, hours + 1)):
                record = file.create_recordset(pd.Timestamp(START) + pd.Timedelta(hours=hour), forecast=0)
                for name, level, values in fields(hour, nx, ny, sigma):
                    record.create_datarecord(variable=name, level=level, forecast=0, data=values)
                file.flush()
        paths.append(path)
    return paths


def fields(hour: int, nx: int, ny: int, sigma: Floats) -> Iterator[tuple[str, int, npt.NDArray[np.float32]]]:
    """Yield name, level (0 at the surface) and values of one time."""
    x, y = np.meshgrid(SPACING * np.arange(nx), SPACING * np.arange(ny))
    # sun from 6 to 20 h local time (UTC - 6 h); the wind turns once in 18 h, inertially at 40 degrees
    sun = max(0.0, np.sin(np.pi * (((hour - 6) % 24) - 6) / 14)) if 6 <= (hour - 6) % 24 <= 20 else 0.0
    patch = 1.0 + 0.25 * waves(x, y, hour, 7, 8)
    hill = 200.0 + 60.0 * waves(x, y, 0.0, 3, 6)
    heat = (320.0 * sun - 35.0 * (sun == 0.0)) * patch
    mixed = (250.0 + 1500.0 * sun) * patch
    ustar = (0.18 + 0.25 * sun) * np.sqrt(patch)
    warm = 288.0 + 9.0 * sun + waves(x, y, hour, 5, 5) - 0.0065 * (hill - 200.0)
    ground = 1000.0 * np.exp(-hill / 8400.0)
    surface = {
        "PRSS": ground, "SHGT": hill, "T02M": warm + 1.5 * (heat > 0) - 1.5 * (heat < 0), "PBLH": mixed,
        "USTR": ustar, "SHTF": heat, "LHTF": 0.6 * heat, "RGHS": 0.1 + 0.3 * (patch - patch.min()),
    }  # fmt: skip
    turn = 2 * np.pi * hour / 18.0
    drift = np.array([2.0 * np.cos(turn) + 0.8, 2.0 * np.sin(turn) + 0.5])
    eddies = swirl(x, y, hour, 11, 10)
    for n, name in enumerate(("U10M", "V10M")):
        surface[name] = 0.55 * (drift[n] + eddies[n])
    yield from ((name, 0, values.astype(np.float32)) for name, values in surface.items())
    for k, s in enumerate(sigma, 1):
        p = TOP + (ground - TOP) * s
        height = 8400.0 * np.log(ground / p)
        shear = np.minimum(1.0 + 0.22 * np.log1p(height / 30.0), 3.0)
        values: dict[str, Any] = {
            "PRES": p, "UWND": shear * (drift[0] + eddies[0]), "VWND": shear * (drift[1] + eddies[1]),
            "WWND": 0.002 * eddies[0], "TEMP": np.maximum(warm - 0.0065 * height, 212.0),
            "SPHU": 0.009 * np.exp(-height / 2500.0),
        }  # fmt: skip
        yield from ((name, k, values[name].astype(np.float32)) for name in VOLUMES)


def swirl(x: Floats, y: Floats, hour: float, seed: int, count: int) -> tuple[Floats, Floats]:
    """Return wind (m s-1) of rms 1.5 along x and y: moving waves across their way, a tenth of it along.

    Across, a wave has no divergence: air that converged as fast as it turns would rise to the top in hours.
    """
    rng = np.random.default_rng(seed)
    u, v = np.zeros_like(x), np.zeros_like(x)
    for _ in range(count):
        number, way = 2 * np.pi / rng.uniform(60.0, 400.0), rng.uniform(0.0, 2 * np.pi)
        speed, phase = rng.uniform(-15.0, 15.0), rng.uniform(0.0, 2 * np.pi)
        c, s = np.cos(way), np.sin(way)
        wave = 1.5 * np.sqrt(2.0 / count) * np.sin(number * (c * x + s * y - speed * hour) + phase)
        u, v = u + (0.1 * c - s) * wave, v + (0.1 * s + c) * wave
    return u, v


def waves(x: Floats, y: Floats, hour: float, seed: int, count: int) -> Floats:
    """Return a field of mean 0 and sd about 1: waves of 40 to 400 km that move at up to 4 m/s; x, y in km."""
    rng = np.random.default_rng(seed)
    total = np.zeros_like(x)
    for _ in range(count):
        number, way = 2 * np.pi / rng.uniform(40.0, 400.0), rng.uniform(0.0, 2 * np.pi)
        speed, phase = rng.uniform(-15.0, 15.0), rng.uniform(0.0, 2 * np.pi)
        along = np.cos(way) * x + np.sin(way) * y - speed * hour
        total += np.sin(number * along + phase)
    return total * np.sqrt(2.0 / count)
