"""Footprints of elevated sources: how long particles were in a stack's cell, around its plume's height."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.parallel import Mapper, serial
from transport.footprints import FootprintSettings, lag_count
from transport.kernels.state import Sources, Target
from transport.met import check_axes, check_coverage, check_same_crs
from transport.particles import Flight, MetTimes, fly, release

Arrays = dict[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float64]

GROUPS = 10
"""Parts of a receptor's particles whose spread gives the Monte-Carlo sd; it is itself uncertain by 24 %."""


@dataclass(frozen=True)
class _Common:
    met: xr.Dataset
    receptors: xr.Dataset
    sources: xr.Dataset
    grid: Grid
    settings: FootprintSettings


def source_footprints(
    met: xr.Dataset, receptors: xr.Dataset, sources: xr.Dataset, grid: Grid, settings: FootprintSettings,
    mapper: Mapper = serial,
) -> xr.Dataset:  # fmt: skip
    """Return the response of every receptor to emission into the cell and layer of each source.

    The air of the cell between `bottom` and `top` receives the emission evenly; `foot` is per flux through
    the cell's area, as for the surface: M_air / (depth rho) times the time spent there. It is not smoothed.
    The particles are those of `compute_footprints`, followed once more.

    Parameters
    ----------
    sources : dataset `point_sources`, in the grid's projection

    Returns
    -------
    Dataset `source_footprints`.

    Raises
    ------
    DataError
        If a source is beside the grid, reaches above the met or has no depth (all are listed); and all errors
        of `compute_footprints`.
    """
    schema.check(receptors, "receptors")
    schema.check(sources, "point_sources")
    check_axes(met)
    check_same_crs(met, grid.crs)
    check_coverage(met, receptors)
    _check_sources(sources, grid, float(met.level[-1]))
    order = np.argsort(receptors.time.values, kind="stable")
    batches = [order[i : i + settings.batch] for i in range(0, order.size, settings.batch)]
    parts = list(mapper(_batch, _Common(met, receptors, sources, grid, settings), batches))
    back = np.argsort(order, kind="stable")
    foot, sd = (np.concatenate([part[name] for part in parts])[back] for name in ("foot", "foot_sd"))
    return schema.check(_dataset(foot, sd, receptors, sources, grid), "source_footprints")


def point_response(footprints: xr.Dataset) -> xr.DataArray:
    """Return mole fraction per emission rate of each source (s mol-1), shape (receptor, source).

    footprints : dataset `source_footprints`; emission is taken as constant over all its hours
    """
    per_area = footprints.foot.sum("lag") / footprints.source_area
    return per_area.assign_attrs(units="s mol-1", long_name="mole fraction per emission rate")


def plant_parts(footprints: xr.Dataset, sources: xr.Dataset) -> xr.DataArray:
    """Return what each source adds to each receptor (mol mol-1), shape (receptor, source)."""
    parts = point_response(footprints) * sources.emission
    return parts.transpose("receptor", "source").assign_attrs(units="mol mol-1")


def cells_of(sources: xr.Dataset, grid: Grid) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row and column of each source; cells hold their west and south edge."""
    row = np.floor((sources.y.values - grid.south) / grid.dy)
    column = np.floor((sources.x.values - grid.west) / grid.dx)
    return row.astype(np.int64), column.astype(np.int64)


def kernel_sources(sources: xr.Dataset, grid: Grid, receptors: int, lags: int) -> Sources:
    """Return the sources as the kernel takes them, with room for what it adds."""
    first = np.full(grid.shape, -1, dtype=np.int64)
    following = np.full(sources.sizes["source"], -1, dtype=np.int64)
    for k, cell in enumerate(zip(*cells_of(sources, grid), strict=True)):
        following[k], first[cell] = first[cell], k
    bottom, top = (sources[name].values.astype(np.float64) for name in ("bottom", "top"))
    return Sources(first, following, bottom, top, np.zeros((receptors, lags, following.size)))


def _check_sources(sources: xr.Dataset, grid: Grid, top: float) -> None:
    row, column = cells_of(sources, grid)
    faults = []
    for k, name in enumerate(sources.source.values.astype(str)):
        low, high = float(sources.bottom[k]), float(sources.top[k])
        if not (0 <= row[k] < grid.ny and 0 <= column[k] < grid.nx):
            faults.append(
                f"'{name}' at x = {sources.x.values[k]:g}, y = {sources.y.values[k]:g} m is beside the grid"
            )
        if not 0.0 <= low < high <= top:
            faults.append(
                f"'{name}' emits from {low:g} to {high:g} m; expected within 0 to {top:g} m, upward"
            )
    if faults:
        raise DataError(f"{len(faults)} point source faults: " + "; ".join(faults))


def _batch(common: _Common, rows: npt.NDArray[np.intp]) -> Arrays:
    """Return foot (receptor, lag, source) and foot_sd (receptor, source) of a batch of receptors."""
    receptors, n, lags = common.receptors.isel(receptor=rows), rows.size, lag_count(common.receptors)
    flight = _in_groups(release(receptors))
    sources = kernel_sources(common.sources, common.grid, n * GROUPS, lags)
    surface = np.zeros((n * GROUPS, lags, 1, 1))  # the kernel wants it; nobody reads it
    corner, size = np.array([common.grid.west, common.grid.south]), np.array([common.grid.dx, common.grid.dy])
    target = Target(surface, np.zeros(n * GROUPS), np.zeros(n * GROUPS, np.int64), corner, size, sources)
    if flight.released.size:
        fly(flight, MetTimes(common.met), target, common.settings.rules())
    parts = sources.foot.reshape(n, GROUPS, lags, -1)
    sd = np.sqrt(GROUPS) * parts.sum(axis=2).std(axis=1, ddof=1)
    return {"foot": parts.sum(axis=1), "foot_sd": sd}


def _in_groups(flight: Flight) -> Flight:
    """Return the flight with each receptor as GROUPS receptors that share its particles in turn."""
    p = flight.particles
    split = p._replace(receptor=p.receptor * GROUPS + p.number % GROUPS)
    return Flight(split, flight.released, flight.stop, flight.point, np.repeat(flight.origin, GROUPS))


def _dataset(foot: Floats, sd: Floats, receptors: xr.Dataset, sources: xr.Dataset, grid: Grid) -> xr.Dataset:
    row, column = cells_of(sources, grid)
    unit = {"units": "m2 s mol-1"}
    words = {"long_name": "mole fraction per flux into the cell and layer of a source, in one clock hour"}
    spread = {"long_name": "Monte-Carlo standard uncertainty of the sum over lags"}
    data = {
        "foot": (("receptor", "lag", "source"), foot, unit | words),
        "foot_sd": (("receptor", "source"), sd, unit | spread),
    }
    hours = {"units": "h", "long_name": "full hours before `time` rounded up to the hour"}
    area = {"units": "m2", "long_name": "area of the source's grid cell"}
    return xr.Dataset(data).assign_coords(
        receptor=("receptor", receptors.receptor.values),
        datum_id=("receptor", receptors.datum_id.values),
        time=("receptor", receptors.time.values.astype("datetime64[ns]")),
        lag=("lag", np.arange(foot.shape[1], dtype=np.int64), hours),
        source=("source", sources.source.values),
        source_area=("source", grid.cell_area[row, column], area),
        bottom=sources.bottom.variable,
        top=sources.top.variable,
    )
