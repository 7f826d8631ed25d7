"""Footprints from met files and a table of receptors, without a configuration."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal, TypeVar

import numpy as np
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from metroflux.provenance import Stamp, sha256_file, sha256_json
from pipelines.footprint_grid import Layout, choose_layout, inner_grid, parse_domain, parse_resolution
from pipelines.footprint_output import Output
from pipelines.progress import Tell, followed
from transport.footprint_store import FootprintStore
from transport.footprints import FootprintSettings, Turbulence, dataset_of, footprint_batches, lag_count
from transport.interchange.lonlat import to_lonlat
from transport.meteorology.open import read_met_files
from transport.nested import covered_cells
from transport.receptor_table import read_receptor_table, with_releases
from transport.receptors import ReceptorSettings
from transport.smoothing import Smoothing, smooth
from transport.sparse import Batch

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

_BATCH_BYTES = 256e6  # of one hour of the footprints of all batches that run, float64
_PIECE_BYTES = 64e6  # of the footprints that are dense at one time, float32


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
    store: Path | None = None
    nest: str | None = None
    nest_resolution: str | None = None


@dataclass(frozen=True)
class Made:
    """What came of it.

    footprints : the dataset as written, without `foot`
    totals : summed footprint of each receptor, m2 s mol-1
    seconds : how long each part took
    reused : receptors that came from the store
    """

    footprints: xr.Dataset
    totals: np.ndarray
    layout: Layout
    seconds: dict[str, float]
    reused: int = 0


@dataclass(frozen=True)
class Threads:
    """A Mapper of threads in this process, results in order, at most two pieces a thread under way."""

    count: int

    def __call__(self, function: Callable[[C, T], R], common: C, items: Sequence[T]) -> Iterator[R]:
        """Yield function(common, item) for each item, in order."""
        with ThreadPoolExecutor(self.count) as pool:
            waiting: deque[Future[R]] = deque()
            for item in items:
                waiting.append(pool.submit(function, common, item))
                if len(waiting) == 2 * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


@dataclass(frozen=True)
class _Work:
    """All but the grid that decides what is computed, and how."""

    request: Request
    met: xr.Dataset
    receptors: xr.Dataset
    smoothing: Smoothing
    tell: Tell


def make_footprints(request: Request, tell: Tell) -> tuple[Made, ...]:
    """Compute footprints and write them to a file, which appears only when it is whole.

    In memory are two times of the met and a batch of footprints, whatever the hours and receptors. With a
    nested grid there is a second file, `inner_path`, and a second result.

    Raises
    ------
    ConfigError, DataError
        If an option, the met or the table is wrong; before any computing where possible.
    """
    domain = None if request.domain is None else parse_domain(request.domain)
    resolution = None if request.resolution is None else parse_resolution(request.resolution)
    smoothing = Smoothing(factor=request.smoothing)
    wanted = ReceptorSettings(request.particles, request.hours, request.seed, min(20, request.particles))
    _check_output(request.output)
    box = None if domain is None else (domain.west, domain.south, domain.east, domain.north)
    began = perf_counter()
    with _opened(request, box) as met:
        seconds = perf_counter() - began
        layout = choose_layout(met, domain, resolution)
        inner = inner_grid(met, layout, request.nest, request.nest_resolution)
        receptors = read_receptor_table(request.receptors, met, wanted)
        work = _Work(request, met, receptors, smoothing, tell)
        if inner is None:
            return (_write(work, layout, request.output, seconds),)
        path = inner_path(request.output)
        _check_output(path)
        within = _write(work, Layout(inner, None), path, seconds)
        around = _write(work, layout, request.output, 0.0, covered_cells(layout.grid, inner))
        return around, within


def inner_path(output: Path) -> Path:
    """Return the file of the inner grid: 'foot.nc' has its inner footprints in 'foot-inner.nc'."""
    return output.with_name(f"{output.stem}-inner{output.suffix}")


@contextmanager
def _opened(request: Request, box: tuple[float, float, float, float] | None) -> Iterator[xr.Dataset]:
    """Give the met, opened lazily: built in the store, or in a folder beside the output that goes again."""
    if request.store is not None:
        yield read_met_files(request.met, box, request.roughness, request.store / "met")
        return
    with TemporaryDirectory(prefix=".met-", dir=request.output.parent) as folder:
        yield read_met_files(request.met, box, request.roughness, Path(folder))


def _write(
    work: _Work, layout: Layout, path: Path, met_seconds: float, covered: xr.DataArray | None = None
) -> Made:
    """Compute the footprints of one grid and write them as they come."""
    request, receptors = work.request, work.receptors
    count = receptors.sizes["receptor"]
    seconds = {"met": met_seconds, "particles": 0.0, "smoothing": 0.0, "writing": 0.0}
    output, reused, clock = Output(path, count), 0, perf_counter()
    try:
        for batch in followed(_batches(work, layout.grid), count, work.tell):
            seconds["particles"] += perf_counter() - clock
            reused += batch.rows.size * batch.reused
            for rows, raw in _pieces(batch, receptors, layout.grid):
                clock = perf_counter()
                piece = _finished(raw, receptors.isel(receptor=rows), work, layout, covered)
                seconds["smoothing"] += perf_counter() - clock
                clock = perf_counter()
                output.put(rows, piece)
                seconds["writing"] += perf_counter() - clock
            clock = perf_counter()
        rest = _stamp(output.rest(), request, layout)
        output.finish(rest)
    finally:
        output.discard()
    seconds["writing"] += perf_counter() - clock
    return Made(rest, output.totals, layout, seconds, reused)


def _batches(work: _Work, grid: Grid) -> Iterator[Batch]:
    request, size = work.request, _batch(work.receptors.sizes["receptor"], grid, work.request.threads)
    settings = FootprintSettings(
        estimator=request.estimator, batch=size, turbulence=request.turbulence, mesoscale=request.mesoscale
    )
    store = None if request.store is None else FootprintStore(request.store / "footprints")
    return footprint_batches(work.met, work.receptors, grid, settings, Threads(request.threads), store)


def _batch(count: int, grid: Grid, threads: int) -> int:
    """Return how many receptors are marched together: many, for a batch reads the met; as memory allows."""
    fitting = int(_BATCH_BYTES / (8 * grid.nx * grid.ny) / threads)
    return max(1, min(96, -(-count // threads), fitting))


def _pieces(batch: Batch, receptors: xr.Dataset, grid: Grid) -> Iterator[tuple[np.ndarray, xr.Dataset]]:
    """Yield rows and dense footprints of a few receptors at a time."""
    lags, width = lag_count(receptors), int(receptors.particles.max())
    others = batch.others(width)
    size = max(1, int(_PIECE_BYTES / (4 * lags * grid.nx * grid.ny)))
    for first in range(0, batch.rows.size, size):
        here = np.arange(first, min(first + size, batch.rows.size))
        foot = np.zeros((here.size, lags, *grid.shape), dtype=np.float32)
        for n, row in enumerate(here):
            batch.add_to(int(row), foot[n])
        rows = batch.rows[here]
        arrays = {name: values[here] for name, values in others.items()} | {"foot": foot}
        yield rows, dataset_of(arrays, receptors.isel(receptor=rows), grid)


def _finished(
    raw: xr.Dataset, receptors: xr.Dataset, work: _Work, layout: Layout, covered: xr.DataArray | None
) -> xr.Dataset:
    """Return footprints as they are written: without what the inner grid holds, smoothed, in degrees."""
    if covered is not None:
        foot = raw.foot.where(covered.values == 0, np.float32(0)).assign_attrs(raw.foot.attrs)
        raw = raw.assign(foot=foot, covered=covered)
    done = with_releases(smooth(raw, work.smoothing), receptors, work.met)
    return done if layout.cells is None else _in_degrees(done, layout)


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


def _stamp(footprints: xr.Dataset, request: Request, layout: Layout) -> xr.Dataset:
    settings = {
        "particles": request.particles, "hours": request.hours, "domain": request.domain,
        "resolution": request.resolution, "seed": request.seed, "smoothing": request.smoothing,
        "estimator": request.estimator, "roughness": request.roughness,
        "turbulence": request.turbulence, "mesoscale": request.mesoscale,
        "nest": request.nest,
        "nest_resolution": request.nest_resolution,
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


def open_footprints(path: Path) -> xr.Dataset:
    """Return footprints that this command wrote; values are read when they are needed.

    Raises
    ------
    DataError
        If the file is none of them.
    """
    try:
        ds = xr.open_dataset(path, decode_timedelta=False)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be opened as netCDF ({fault})") from None
    if not str(ds.attrs.get("schema", "")).startswith("footprints"):
        raise DataError(
            f"{path}: schema is {ds.attrs.get('schema')!r}; expected a file of 'metroflux footprints'"
        )
    return ds
