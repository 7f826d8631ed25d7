"""Speed of footprints: python -m benchmarks.transport from the repository. Prints one table in ten minutes.

CPU seconds, so that other programs count little. The kernel flies 4000 particles in one layer. The rest is
the command `metroflux footprints` on files that are written first (`arl_world`): ARL packed, 3 km, hourly,
with a stable night, to 400 x 400 cells of 0.01 degree, smoothed and written. Each case has its own process,
whose peak memory is its own; before it is timed, the same command has run on one receptor, so that all is
compiled.
"""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr

import pipelines.footprint_output as output
import pipelines.footprints as command
import transport.particles as engine
from benchmarks import arl_world, numpy_march, plain_march
from transport.footprints import FootprintSettings
from transport.kernels.state import Target
from transport.meteorology.arl import arl
from transport.meteorology.cfmet import CFReader
from transport.meteorology.store import build_met
from transport.particles import MetTimes, fly, release

CRS_TEXT = "+proj=tmerc +lat_0=50 +lon_0=10 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
START = np.datetime64("2024-06-01", "ns")
LEVELS = np.geomspace(10.0, 6000.0, 20)
LAYERS = {"convective": (1500.0, 0.3, -1 / 30), "neutral": (1000.0, 0.4, 0.0), "stable": (200.0, 0.2, 1 / 40)}
MARCHES = {"kernel": engine.march, "plain loop": plain_march.march, "numpy": numpy_march.march}

DOMAIN, RESOLUTION = "-88,38,-84,42", "0.01"
PLACES, ENDS = 24, (25, 26, 27, 28)  # hours after arl_world.START: afternoon there; all fly through the night


@dataclass(frozen=True)
class Case:
    """A run of the command; receptors : a multiple of 24 or less than that."""

    receptors: int
    hours: float
    threads: int = 1


STATED = Case(96, 24.0)
SCALING = (
    Case(24, 6.0), Case(24, 12.0), Case(24, 24.0), Case(24, 24.0, threads=2), Case(48, 24.0), Case(96, 24.0)
)  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """CPU seconds of the whole and of its parts, wall seconds, peak memory in MB."""

    cpu: float
    parts: dict[str, float]
    wall: float
    memory: float


def make_met(points: int, hours: int, layer: tuple[float, float, float]) -> xr.Dataset:
    """Return a met cube of one layer (h, u*, 1/L) always and everywhere, spacing 3 km."""
    x = 3000.0 * (np.arange(points) - (points - 1) / 2)
    rng, shape = np.random.default_rng(0), (hours + 1, LEVELS.size, points, points)
    profile = 3.0 + np.log(LEVELS / 10)[:, None, None]
    data: dict[str, Any] = {
        "u": profile + rng.uniform(-1, 1, (points, points)), "v": 0.3 * profile, "w": 0.0,
        "rho": (1.2 * np.exp(-LEVELS / 8500))[:, None, None], "q": 0.0, "t": 285.0, "p": 9e4,
        "mixing_height": layer[0], "ustar": layer[1], "inverse_obukhov": layer[2], "z0": 0.2,
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


def make_receptors(places: int, hours: float, particles: int = 1000) -> xr.Dataset:
    """Return towers of 10 to 100 m on a line, `hours` after START."""
    point = ("receptor", "point")
    names = np.array([f"r{k}" for k in range(places)])
    fixed = {"duration": 0.0, "hours": float(hours), "particles": particles}
    ds = xr.Dataset({name: ("receptor", np.full(places, value)) for name, value in fixed.items()})
    ds["seed"] = ("receptor", 99 + 1000 * np.arange(places))
    x = np.linspace(-50e3, 50e3, places)
    for name, values in (
        ("x", x),
        ("y", 0 * x),
        ("height", np.geomspace(10, 100, places)),
        ("weight", 1 + 0 * x),
    ):
        ds[name] = (point, values[:, None])
    when = np.full(places, START + np.timedelta64(round(3600 * hours), "s"))
    return ds.assign_coords(
        receptor=("receptor", names), datum_id=("receptor", names), time=("receptor", when)
    )


def kernel_rate(march: Any, layer: tuple[float, float, float], hours: int = 2) -> float:
    """Return million particle-steps per CPU second of a march, 4 receptors of 1000 particles."""
    receptors = make_receptors(4, hours)
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


def write_receptors(path: Path, count: int, ends: tuple[int, ...]) -> None:
    """Write receptors.csv: towers of 10 to 90 m within half a degree of the middle."""
    lines = ["time,latitude,longitude,height"]
    for n in range(count):
        k, end = n % PLACES, ends[n // PLACES]
        when = np.datetime_as_string(arl_world.START + np.timedelta64(end, "h"), unit="s")
        lat, lon = arl_world.LATITUDE + 0.3 * np.sin(2.1 * k), arl_world.LONGITUDE + 0.4 * np.cos(1.7 * k)
        lines.append(f"{when},{lat:.4f},{lon:.4f},{10 * 1.1**k:.1f}")
    path.write_text("\n".join(lines))


def time_parts() -> dict[str, float]:
    """Wrap the parts of the command so that each adds its thread's CPU seconds to the dict returned."""
    parts: dict[str, float] = {}
    for owner, name, label in (
        (command, "read_met_files", "read and build cube"), (MetTimes, "fields", "met feed"),
        (engine, "march", "march"), (command, "smooth", "smoothing"), (command, "to_lonlat", "to degrees"),
        (output.Output, "put", "writing"), (output.Output, "finish", "writing"),
    ):  # fmt: skip
        setattr(owner, name, _timed(getattr(owner, name), label, parts))
    return parts


def _timed(real: Any, label: str, parts: dict[str, float]) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return real(*args, **kwargs)
        finally:
            parts[label] = parts.get(label, 0.0) + time.thread_time() - started

    return run


def run_case(case: Case, met: tuple[Path, ...], folder: Path) -> Spent:
    """Return what the command spends on a case; alone in its process."""
    parts = time_parts()
    warm = (met[-1:], 1, 1.0, ENDS[-1:])
    for files, count, hours, ends in (warm, (met, case.receptors, case.hours, ENDS)):
        write_receptors(folder / "receptors.csv", count, ends)
        request = command.Request(
            met=files, receptors=folder / "receptors.csv", output=folder / "foot.nc", domain=DOMAIN,
            resolution=RESOLUTION, hours=hours, threads=case.threads,
        )  # fmt: skip
        parts.clear()
        cpu, wall = time.process_time(), time.perf_counter()
        command.make_footprints(request, lambda *_: None)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Spent(cpu, dict(parts), wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def spent_on(case: Case, met: tuple[Path, ...], folder: Path) -> Spent:
    """Return what a case needs in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_case, case, met, folder).result()


def print_kernel() -> None:
    """Print how fast the kernel and its two slow twins are."""
    for march in MARCHES.values():
        kernel_rate(march, LAYERS["convective"], 1)  # compile
    for name, layer in LAYERS.items():
        rates = {who: kernel_rate(march, layer) for who, march in MARCHES.items()}
        kernel = rates.pop("kernel")
        others = "; ".join(f"{who} {rate:.2f}, ratio {kernel / rate:.1f}" for who, rate in rates.items())
        print(
            f"| {name} layer, million particle-steps per CPU s | kernel {kernel:.1f}; {others} |", flush=True
        )


def print_command(folder: Path) -> None:
    """Print what the command needs, in all and by part, and how it grows."""
    files = tuple(arl_world.write_world(folder, ENDS[-1]))
    spent = spent_on(STATED, files, folder)
    n = STATED.receptors
    print(f"| {n} receptors, {STATED.hours:g} h, from ARL files: CPU s per receptor | {spent.cpu / n:.3f} |")
    parts = spent.parts | {"rest": spent.cpu - sum(spent.parts.values())}
    for name, seconds in parts.items():
        print(f"| of it {name} | {seconds / n:.3f} |", flush=True)
    cube = (build_met(CFReader(arl()), files, folder / "cube"),)
    for case in SCALING:
        spent = spent_on(case, cube, folder)
        what = f"{case.receptors} receptors, {case.hours:g} h, {case.threads} threads, cube at hand"
        each = (
            f"{spent.cpu:.1f} CPU s, {spent.cpu / case.receptors:.3f} each, {spent.wall:.0f} s on the clock"
        )
        print(f"| {what} | {each}, peak {spent.memory:.0f} MB |", flush=True)


def main() -> None:
    """Print the table."""
    print("| what | value |\n|---|---|")
    print_kernel()
    with TemporaryDirectory() as folder:
        print_command(Path(folder))


if __name__ == "__main__":
    main()
