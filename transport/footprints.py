"""Footprints of receptors: backward particles, residence near the ground, end points, Monte-Carlo error."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from time import thread_time
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError
from metroflux.grid import Grid
from metroflux.parallel import Mapper, serial
from transport.footprint_store import FootprintStore, receptor_keys
from transport.kernels.state import ALIVE, EDGES, Rules, Target
from transport.met import check_axes, check_coverage, check_same_crs
from transport.particles import HOUR, Flight, MetTimes, end_weights, fly, release
from transport.sparse import Arrays, Batch, Layers, take

Turbulence = Literal["similarity", "hanna_1982"]


@dataclass(frozen=True)
class FootprintSettings:
    """How footprints are computed.

    estimator : "growing" layer, or "half" the mixing height as STILT does (Lin et al. 2003)
    batch : receptors marched together; changes memory and speed, never a bit of the result
    early_step, late_step : turbulent displacement of a time step over the length scale of the turbulence, of
        young particles and at most; 0.1 of it is 0.05 (near the ground) to 0.3 Lagrangian time scales
    step_growth : time step over a particle's age, up to which it grows from early to late
    turbulence : "similarity", or "hanna_1982" as FLEXPART and STILT have it, only to compare with them: it
        fails the Prairie Grass experiment (docs/transport.md)
    mesoscale : sd of each particle's slow wind fluctuation over the sd of the grid's wind around it (Maryon
        1998; 0.16 in FLEXPART), 0 for none: small where the met resolves a few km (docs/transport.md)
    """

    estimator: Literal["growing", "half"] = "growing"
    batch: int = 32
    early_step: float = 0.1
    late_step: float = 1.0
    step_growth: float = 0.1
    turbulence: Turbulence = "similarity"
    mesoscale: float = 0.0

    def __post_init__(self) -> None:
        if self.estimator not in ("growing", "half"):
            raise ConfigError(f"footprints: estimator '{self.estimator}'; expected 'growing' or 'half'")
        if self.turbulence not in ("similarity", "hanna_1982"):
            raise ConfigError(
                f"footprints: turbulence '{self.turbulence}'; expected 'similarity' or 'hanna_1982'"
            )
        if not 0.0 <= self.mesoscale <= 1.0:
            raise ConfigError(f"footprints: mesoscale = {self.mesoscale}; expected 0 to 1")
        if self.batch < 1:
            raise ConfigError(f"footprints: batch = {self.batch}; expected at least 1")
        if not (0 < self.early_step <= self.late_step <= 1 and 0 <= self.step_growth <= 0.2):
            raise ConfigError(
                f"footprints: steps {self.early_step} to {self.late_step}, growth {self.step_growth}; "
                "expected 0 < early <= late <= 1 length scale, growth 0 to 0.2"
            )

    def rules(self) -> Rules:
        """Return the settings as the kernel takes them."""
        half, by_hanna = int(self.estimator == "half"), int(self.turbulence == "hanna_1982")
        return Rules(self.early_step, self.late_step, self.step_growth, half, by_hanna, self.mesoscale)


@dataclass(frozen=True)
class _Common:
    """What every batch needs: sent to a worker once. `keys` are those of the store, by receptor."""

    met: xr.Dataset
    receptors: xr.Dataset
    grid: Grid
    settings: FootprintSettings
    store: FootprintStore | None
    keys: tuple[str, ...]


def compute_footprints(
    met: xr.Dataset, receptors: xr.Dataset, grid: Grid, settings: FootprintSettings,
    mapper: Mapper = serial, store: FootprintStore | None = None,
) -> xr.Dataset:  # fmt: skip
    """Return the footprints of all receptors on the flux grid.

    Receptors are batched in order of time, so that a batch reads few met times; a lazily opened cube is
    read where the batch runs. Receptors with the same id are computed once; those in the store not at all.

    Returns
    -------
    Dataset `footprints`, with `off_grid` (receptor) as well: the sensitivity beside the flux grid.

    Raises
    ------
    DataError
        If a receptor lies outside the met's area, height or period (all are listed), the projections
        differ, or a met field cannot be used.
    """
    return collect(footprint_batches(met, receptors, grid, settings, mapper, store), receptors, grid)


def footprint_batches(
    met: xr.Dataset, receptors: xr.Dataset, grid: Grid, settings: FootprintSettings,
    mapper: Mapper = serial, store: FootprintStore | None = None,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the footprints of all receptors batch by batch, those in the store first; see compute_footprints.

    What is computed goes into the store where it is computed, so that little is lost with a process.
    """
    schema.check(receptors, "receptors")
    check_axes(met)
    check_same_crs(met, grid.crs)
    check_coverage(met, receptors)
    _, first, inverse = np.unique(receptors.receptor.values, return_index=True, return_inverse=True)
    unique = receptors.isel(receptor=first)
    keys = () if store is None else tuple(receptor_keys(met, unique, grid, settings))
    common = _Common(met, unique, grid, settings, store, keys)
    return _yielded(common, inverse, mapper)


def _yielded(common: _Common, inverse: npt.NDArray[np.intp], mapper: Mapper) -> Iterator[Batch]:
    wanted = np.ones(common.receptors.sizes["receptor"], dtype=bool)
    found = {} if common.store is None else common.store.find(common.keys)
    size = common.settings.batch
    for left, (name, rows) in zip(range(len(found) - 1, -1, -1), found.items(), strict=True):
        assert common.store is not None  # noqa: S101 - it has found them
        arrays = common.store.read(name)
        if arrays is None:
            continue
        here = np.array([n for n, key in enumerate(common.keys) if key in rows], dtype=np.intp)
        wanted[here] = False
        at = np.array([rows[common.keys[n]] for n in here], dtype=np.intp)
        yield Batch.of(here, take(arrays, at), inverse, left - (-int(wanted.sum()) // size))
    missing = np.flatnonzero(wanted)
    order = missing[np.argsort(common.receptors.time.values[missing], kind="stable")]
    batches = [order[i : i + size] for i in range(0, order.size, size)]
    for number, arrays in enumerate(mapper(_batch, common, batches), 1):
        yield Batch.of(batches[number - 1], arrays, inverse, len(batches) - number)


def collect(batches: Iterator[Batch], receptors: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return the footprints dataset of all batches, dense."""
    n = receptors.sizes["receptor"]
    foot = np.zeros((n, lag_count(receptors), *grid.shape), dtype=np.float32)
    rows, rest, width = [], [], int(receptors.particles.max())
    for batch in batches:
        for k, row in enumerate(batch.rows):
            batch.add_to(k, foot[row])
        rows.append(batch.rows)
        rest.append(batch.others(width))
    back = np.argsort(np.concatenate(rows))
    arrays = {name: np.concatenate([part[name] for part in rest])[back] for name in rest[0]}
    return schema.check(dataset_of(arrays | {"foot": foot}, receptors, grid), "footprints")


def lag_count(receptors: xr.Dataset) -> int:
    """Return how many clock hours the longest flight touches."""
    end = receptors.time.values.astype("datetime64[ns]").astype(np.int64)
    start = end - np.round(receptors.hours.values * HOUR).astype(np.int64)
    return int(np.max(-(-end // HOUR) - start // HOUR))


def _batch(common: _Common, rows: npt.NDArray[np.intp]) -> Arrays:
    """Return the arrays of one batch of receptors: sparse footprints, the rest with first axis receptor."""
    began = thread_time()
    receptors = common.receptors.isel(receptor=rows)
    flight, grid, n = release(receptors), common.grid, rows.size
    target = Target(
        foot=np.zeros((n, 1, *grid.shape)),
        off_grid=np.zeros(n),
        lag=np.zeros(n, dtype=np.int64),
        origin=np.array([grid.west, grid.south]),
        step=np.array([grid.dx, grid.dy]),
    )
    layers = Layers(target)
    if flight.released.size:
        fly(flight, MetTimes(common.met), target, common.settings.rules(), gather=layers.gather)
    arrays = layers.sparse()
    arrays["off_grid"] = target.off_grid
    arrays |= _ends(flight, receptors, int(common.receptors.particles.max()))
    arrays |= _statistics(flight, receptors)
    empty = np.diff(arrays["pointer"]) == 0
    arrays["reason"] = np.array([
        _reason(receptors, r, float(target.off_grid[r]), arrays["outside"][r]) if empty[r] else "ok"
        for r in range(n)
    ], dtype="<U96")  # fmt: skip
    if common.store is not None:
        common.store.write([common.keys[r] for r in rows], arrays)
    return arrays | {"cpu_seconds": np.array(thread_time() - began)}


def _ends(flight: Flight, receptors: xr.Dataset, width: int) -> Arrays:
    """Return where and when each particle's flight ended, NaN beyond a receptor's particles."""
    p = flight.particles
    time = receptors.time.values.astype("datetime64[ns]").astype(np.int64)[p.receptor]
    ended = (time - flight.released) / HOUR + p.age / 3600.0
    ends = {}
    for name, values in (("end_x", p.x), ("end_y", p.y), ("end_height", p.z), ("end_hours", ended)):
        ends[name] = np.full((receptors.sizes["receptor"], width), np.nan, dtype=np.float32)
        ends[name][p.receptor, p.number] = values
    return dict(ends)


def _statistics(flight: Flight, receptors: xr.Dataset) -> Arrays:
    """Return the share of particles lost over each edge and the standard uncertainty of the sum.

    Particles of one point are independent draws: the variance of their sum is n times their variance.
    """
    p, n, width = flight.particles, receptors.sizes["receptor"], receptors.sizes["point"]
    count = np.maximum(np.bincount(p.receptor, minlength=n), 1)
    lost = [np.bincount(p.receptor, p.status == ALIVE + 1 + e, n) / count for e in range(len(EDGES))]
    point = p.receptor * width + flight.point
    size = np.bincount(point, minlength=n * width).astype(np.float64)
    mean = np.bincount(point, p.deposited, n * width) / np.maximum(size, 1.0)
    squares = np.bincount(point, (p.deposited - mean[point]) ** 2, n * width)
    variance = (squares * size / np.maximum(size - 1.0, 1.0)).reshape(n, width).sum(axis=1)
    return {"outside": np.stack(lost, axis=1), "foot_sum_sd": np.sqrt(variance)}


def _reason(receptors: xr.Dataset, r: int, off_grid: float, outside: npt.NDArray[np.float64]) -> str:
    """Return why a footprint is empty."""
    if not np.any(receptors.weight.values[r] != 0):
        return "no release point: every layer lies above the met cube or the stated top"
    if off_grid > 0:
        return "all of its sensitivity falls beside the flux grid"
    if outside.sum() > 0.999:
        return (
            f"all particles left the met domain ({EDGES[int(np.argmax(outside))]}) before nearing the ground"
        )
    return f"no particle came near the ground within {float(receptors.hours[r]):g} h"


def dataset_of(arrays: Arrays, receptors: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Return the footprints dataset of the collected arrays."""
    mapped = {"grid_mapping": "spatial_ref"}
    sensitivity, length = {"units": "m2 s mol-1"}, {"units": "m"}
    end = ("receptor", "particle")
    foot = {"long_name": "mole fraction per surface flux in one clock hour", **sensitivity, **mapped}
    beside = {"long_name": "summed footprint beside the flux grid", **sensitivity}
    outside = {"units": "1", "long_name": "share of particles lost over each edge of the met domain"}
    spread = {"long_name": "Monte-Carlo standard uncertainty of the summed footprint", **sensitivity}
    height = {"long_name": "height above ground where the particle's flight ended", **length}
    hours = {"units": "h", "long_name": "hours before `time` when the flight ended"}
    counts = {"units": "1", "long_name": "how much the particle counts in a mean over end points"}
    lag = {"units": "h", "long_name": "full hours before `time` rounded up to the hour"}
    data = {
        "foot": (("receptor", "lag", "y", "x"), arrays["foot"], foot),
        "off_grid": ("receptor", arrays["off_grid"], beside),
        "outside": (("receptor", "edge"), arrays["outside"], outside),
        "foot_sum_sd": ("receptor", arrays["foot_sum_sd"], spread),
        "reason": ("receptor", arrays["reason"], {"long_name": "'ok', or why the footprint is empty"}),
        "end_x": (end, arrays["end_x"], {"long_name": "easting of the end point", **length}),
        "end_y": (end, arrays["end_y"], {"long_name": "northing of the end point", **length}),
        "end_height": (end, arrays["end_height"], height),
        "end_hours": (end, arrays["end_hours"], hours),
        "end_weight": (end, end_weights(receptors, arrays["end_x"].shape[1]), counts),
    }
    ds = xr.Dataset(data, coords=_coords(grid).coords)
    return ds.assign_coords(
        receptor=("receptor", receptors.receptor.values),
        datum_id=("receptor", receptors.datum_id.values),
        time=("receptor", receptors.time.values.astype("datetime64[ns]")),
        lag=("lag", np.arange(arrays["foot"].shape[1], dtype=np.int64), lag),
        edge=("edge", np.array(EDGES)),
    )


@lru_cache(maxsize=4)
def _coords(grid: Grid) -> xr.Dataset:
    """Return the grid's coordinates: places of all its cells, made once for many batches."""
    return grid.coords()
