"""Speed of footprints: python -m benchmarks.transport from the repository. Prints one table.

CPU seconds of one thread unless said. The met is 3 km, hourly, 400 x 400 points, 20 levels, with a wind that
turns and a mixing height that follows the day, made on the spot and held in memory.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

import transport.particles as engine
from benchmarks import plain_march
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.kernels.state import Target
from transport.particles import MetTimes, fly, release

CRS_TEXT = "+proj=tmerc +lat_0=50 +lon_0=10 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
START = np.datetime64("2024-06-01", "ns")
POINTS, SPACING, HOURS = 400, 3000.0, 28
LEVELS = np.geomspace(10.0, 6000.0, 20)
# places, hours back, hours after START at which each place has a receptor, threads
CASES = (
    (8, 6, (28.0,), 1),
    (16, 6, (28.0,), 1),
    (16, 6, (28.0,), 2),
    (8, 12, (28.0,), 1),
    (4, 24, (27.0, 28.0), 1),
)
LAYERS = {"convective": (1500.0, 0.3, -1 / 30), "neutral": (1000.0, 0.4, 0.0), "stable": (200.0, 0.2, 1 / 40)}


def make_met(points: int, hours: int, layer: tuple[float, float, float] | None = None) -> xr.Dataset:
    """Return a met cube: one layer (h, u*, 1/L) always and everywhere, or a day's course of it."""
    x = SPACING * (np.arange(points) - (points - 1) / 2)
    rng, shape = np.random.default_rng(0), (hours + 1, LEVELS.size, points, points)
    sun = np.clip(np.sin(2 * np.pi * (np.arange(hours + 1) - 6) / 24), 0, None)[:, None, None]
    course = (200 + 1300 * sun, 0.2 + 0.15 * sun, 0.02 - 0.06 * sun) if layer is None else layer
    profile = 3.0 + np.log(LEVELS / 10)[:, None, None]
    data: dict[str, Any] = {
        "u": profile + rng.uniform(-1, 1, (points, points)), "v": 0.3 * profile, "w": 0.0,
        "rho": (1.2 * np.exp(-LEVELS / 8500))[:, None, None], "q": 0.0, "t": 285.0, "p": 9e4,
        "mixing_height": course[0], "ustar": course[1], "inverse_obukhov": course[2], "z0": 0.2,
        "sensible_heat_flux": 0.0,
    }  # fmt: skip
    ds = xr.Dataset()
    for name, value in data.items():
        flat = name in ("mixing_height", "ustar", "inverse_obukhov", "z0", "sensible_heat_flux")
        dims = ("time", "y", "x") if flat else ("time", "level", "y", "x")
        size = (shape[0], *shape[2:]) if flat else shape
        ds[name] = (dims, np.broadcast_to(np.float32(value), size))
    ds["terrain"] = (("y", "x"), np.zeros((points, points), np.float32))
    times = START + np.arange(hours + 1) * np.timedelta64(1, "h")
    return ds.assign_coords(time=times, level=LEVELS, y=x, x=x, spatial_ref=((), 0, _crs()))


def _crs() -> dict[str, Any]:
    from pyproj import CRS

    return dict(CRS(CRS_TEXT).to_cf())


def make_receptors(places: int, hours: float, ends: tuple[float, ...], particles: int = 1000) -> xr.Dataset:
    """Return towers of 10 to 100 m on a line, each at every end (hours after START)."""
    n, point = places * len(ends), ("receptor", "point")
    x = np.tile(np.linspace(-50e3, 50e3, places), len(ends))
    names = np.array([f"r{k}" for k in range(n)])
    fixed = {"duration": np.zeros(n), "hours": np.full(n, float(hours)), "particles": np.full(n, particles)}
    ds = xr.Dataset({name: ("receptor", values) for name, values in fixed.items()})
    ds["seed"] = ("receptor", 99 + 1000 * np.arange(n))
    heights = np.tile(np.geomspace(10, 100, places), len(ends))
    for name, values, units in (
        ("x", x, "m"),
        ("y", 0 * x, "m"),
        ("height", heights, "m"),
        ("weight", 0 * x + 1, "1"),
    ):
        ds[name] = (point, values[:, None], {"units": units})
    time_ = START + np.repeat([round(e * 3600) for e in ends], places) * np.timedelta64(1, "s")
    ds["duration"].attrs["units"], ds["hours"].attrs["units"] = "s", "h"
    return ds.assign_coords(
        receptor=("receptor", names), datum_id=("receptor", names), time=("receptor", time_)
    )


def kernel_rate(march: Any, layer: tuple[float, float, float], hours: int = 2) -> float:
    """Return million particle-steps per CPU second of a march, 4 receptors of 1000 particles."""
    receptors = make_receptors(4, hours, (float(hours),))
    flight, met = release(receptors), MetTimes(make_met(81, hours, layer))
    for i in range(hours):
        met.fields(i)
    target = Target(
        np.zeros((4, hours, 40, 40)), np.zeros(4), np.zeros(4, np.int64), np.full(2, -2e5), np.full(2, 1e4)
    )
    kept, engine.march = engine.march, march
    started = time.process_time()
    steps = fly(flight, met, target, FootprintSettings().rules())
    spent = time.process_time() - started
    engine.march = kept
    return steps / spent / 1e6


def in_threads(workers: int, function: Any, common: Any, items: Any) -> Any:
    """Map over the items in threads, results in their order."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(partial(function, common), items)


def footprint_seconds(met: xr.Dataset, receptors: xr.Dataset, workers: int = 1) -> tuple[float, float]:
    """Return CPU and wall seconds of `compute_footprints` on a grid of 400 x 400 cells of 1 km."""
    grid = Grid(CRS_TEXT, -200e3, -200e3, 1e3, 1e3, 400, 400)
    mapper = partial(in_threads, workers)
    cpu, wall = time.process_time(), time.perf_counter()
    compute_footprints(met, receptors, grid, FootprintSettings(batch=8), mapper)
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Print the table."""
    ours, plain = engine.march, plain_march.march
    for march in (ours, plain):
        kernel_rate(march, LAYERS["convective"], 1)  # compile
    print("| what | value |\n|---|---|")
    for name, layer in LAYERS.items():
        fast, slow = kernel_rate(ours, layer), kernel_rate(plain, layer)
        print(
            f"| kernel, {name} layer | {fast:.1f} M steps/s; plain loop {slow:.1f}; ratio {fast / slow:.1f} |"
        )
    met = make_met(POINTS, HOURS)
    feed = MetTimes(met)
    started = time.process_time()
    for i in range(2):
        feed.fields(i)
    each = (time.process_time() - started) / 3
    print(f"| met feed, {POINTS} x {POINTS} x {LEVELS.size} | {each:.2f} CPU s per met hour |")
    for places, hours, ends, workers in CASES:
        n = places * len(ends)
        cpu, wall = footprint_seconds(met, make_receptors(places, hours, ends), workers)
        each = f"{cpu / n:.2f} CPU s each, {wall:.1f} s in all"
        print(f"| {n} receptors, 1000 particles, {hours} h, {workers} threads | {each} |")


if __name__ == "__main__":
    main()
