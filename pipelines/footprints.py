"""Footprints from met files and a table of receptors, without a configuration."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeVar

import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.provenance import Stamp, sha256_file, sha256_json
from pipelines.footprint_grid import Layout, choose_layout, parse_domain, parse_resolution
from transport.footprints import FootprintSettings, Turbulence, compute_footprints, lag_count
from transport.interchange.lonlat import to_lonlat
from transport.meteorology.open import read_met_files
from transport.receptor_table import read_receptor_table, with_releases
from transport.receptors import ReceptorSettings
from transport.smoothing import Smoothing, smooth

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

_BATCH_BYTES = 256e6  # of the footprints of one batch in float64
_COPIES = 3  # of all footprints in float32 at one time: as computed, smoothed, written
_MEMORY_SHARE = 0.6


@dataclass(frozen=True)
class Request:
    """What the command line asks for; texts as typed."""

    met: tuple[Path, ...]
    receptors: Path
    output: Path
    particles: int = 1000
    hours: float = 24.0
    domain: str | None = None
    resolution: str | None = None
    seed: int = 1
    threads: int = 1
    smoothing: float = 1.0
    estimator: Literal["growing", "half"] = "growing"
    roughness: float | None = None
    turbulence: Turbulence = "similarity"
    mesoscale: float = 0.0


@dataclass(frozen=True)
class Made:
    """What came of it: the dataset as written, and how long each part took, s."""

    footprints: xr.Dataset
    layout: Layout
    seconds: dict[str, float]


@dataclass(frozen=True)
class Threads:
    """A Mapper of threads in this process, results in order.

    told : called with the number of finished and of all items
    """

    count: int
    told: Callable[[int, int], None]

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item, in order."""
        with ThreadPoolExecutor(self.count) as pool:
            waiting = [pool.submit(function, common, item) for item in items]
            for done, future in enumerate(waiting, 1):
                yield future.result()
                self.told(done, len(waiting))


def make_footprints(request: Request, told: Callable[[int, int], None]) -> Made:
    """Compute footprints and write them to one file, which appears only when it is whole.

    Raises
    ------
    ConfigError, DataError
        If an option, the met or the table is wrong; before any computing where possible.
    """
    domain = None if request.domain is None else parse_domain(request.domain)
    resolution = None if request.resolution is None else parse_resolution(request.resolution)
    smoothing = Smoothing(factor=request.smoothing)
    _check_output(request.output)
    clock = [perf_counter()]
    box = None if domain is None else (domain.west, domain.south, domain.east, domain.north)
    met = read_met_files(request.met, box, request.roughness)
    clock.append(perf_counter())
    layout = choose_layout(met, domain, resolution)
    wanted = ReceptorSettings(request.particles, request.hours, request.seed, min(20, request.particles))
    receptors = read_receptor_table(request.receptors, met, wanted)
    batch = _batch(receptors, layout, request.threads)
    settings = FootprintSettings(
        estimator=request.estimator, batch=batch, turbulence=request.turbulence, mesoscale=request.mesoscale
    )
    footprints = compute_footprints(met, receptors, layout.grid, settings, Threads(request.threads, told))
    clock.append(perf_counter())
    footprints = smooth(footprints, smoothing)
    footprints = with_releases(footprints, receptors, met)
    if layout.cells is not None:
        footprints = _in_degrees(footprints, layout)
    clock.append(perf_counter())
    footprints = _stamp(footprints, request, layout)
    _write(footprints, request.output)
    clock.append(perf_counter())
    parts = [after - before for before, after in pairwise(clock)]
    return Made(
        footprints, layout, dict(zip(("met", "particles", "smoothing", "writing"), parts, strict=True))
    )


def _in_degrees(footprints: xr.Dataset, layout: Layout) -> xr.Dataset:
    """Return the footprints in longitude and latitude, with what else is known of each receptor."""
    assert layout.cells is not None  # noqa: S101 - only called with cells
    kept = ("foot_sum_sd", "end_height", "end_hours", "kernel_sd")
    shared = to_lonlat(footprints, layout.cells)
    return shared.assign({name: footprints[name].variable for name in kept})


def _check_output(path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"--output {path}: no folder '{path.parent}'; expected an existing one")
    if path.is_dir():
        raise ConfigError(f"--output {path} is a folder; expected a file")


def _batch(receptors: xr.Dataset, layout: Layout, threads: int) -> int:
    """Return how many receptors are marched together: few enough for memory and for progress to be seen.

    Raises
    ------
    ConfigError
        If all footprints together do not fit into memory.
    """
    count = receptors.sizes["receptor"]
    cells = lag_count(receptors) * layout.grid.nx * layout.grid.ny
    need, have = (
        4.0 * _COPIES * count * cells,
        float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
    )
    if need > _MEMORY_SHARE * have:
        raise ConfigError(
            f"{count} footprints of {cells:,} values need {need / 1e9:.1f} GB of {have / 1e9:.1f}; "
            "expected fewer receptors per call, a smaller --domain or a coarser --resolution"
        )
    return max(1, min(32, -(-count // (4 * threads)), int(_BATCH_BYTES / (8 * cells) / threads)))


def _stamp(footprints: xr.Dataset, request: Request, layout: Layout) -> xr.Dataset:
    settings = {
        "particles": request.particles, "hours": request.hours, "domain": request.domain,
        "resolution": request.resolution, "seed": request.seed, "smoothing": request.smoothing,
        "estimator": request.estimator, "roughness": request.roughness,
        "turbulence": request.turbulence, "mesoscale": request.mesoscale,
    }  # fmt: skip
    inputs = {str(path.name): _sha256(path) for path in (*request.met, request.receptors)}
    digest = sha256_json([settings, inputs])
    schema = "footprints" if layout.cells is None else "footprints_lonlat"
    stamp = Stamp(f"footprints-{digest[:12]}", sha256_json(settings), inputs)
    return stamp.apply(footprints, schema, "Footprints of receptors")


def _sha256(path: Path) -> str:
    if path.is_dir():
        files = sorted(part for part in path.rglob("*") if part.is_file())
        return sha256_json([[part.relative_to(path).as_posix(), sha256_file(part)] for part in files])
    return sha256_file(path)


def _write(footprints: xr.Dataset, path: Path) -> None:
    """Write to a file beside, then rename: the output is whole or absent."""
    part = path.with_name(f"{path.name}.part")
    chunk = (1, *footprints.foot.shape[1:])
    try:
        footprints.to_netcdf(part, encoding={"foot": {"zlib": True, "complevel": 1, "chunksizes": chunk}})
        part.replace(path)
    except OSError as fault:
        raise DataError(f"--output {path}: cannot be written ({fault})") from None
    finally:
        part.unlink(missing_ok=True)


def open_footprints(path: Path) -> xr.Dataset:
    """Return footprints that this command wrote.

    Raises
    ------
    DataError
        If the file is none of them.
    """
    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            ds = ds.load()
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    if not str(ds.attrs.get("schema", "")).startswith("footprints"):
        raise DataError(
            f"{path}: schema is {ds.attrs.get('schema')!r}; expected a file of 'metroflux footprints'"
        )
    return ds
