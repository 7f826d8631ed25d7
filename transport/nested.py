"""Nested footprints: a fine grid inside a coarse one, each bit of sensitivity in one of them."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError
from metroflux.grid import Grid
from metroflux.parallel import Mapper, serial
from transport.footprints import FootprintSettings, compute_footprints

_ROUNDING = 1e-6  # of a cell


class Nested(NamedTuple):
    """Datasets `footprints`: y = sum(outer x flux outside) + sum(inner x flux inside).

    outer : zero in the cells that the inner grid covers; `covered` (y, x) is 1 there
    inner : `off_grid` is everything beside the inner grid, the outer's footprint included
    """

    outer: xr.Dataset
    inner: xr.Dataset


def compute_nested(
    met: xr.Dataset,
    receptors: xr.Dataset,
    grids: tuple[Grid, Grid],
    settings: FootprintSettings,
    mapper: Mapper = serial,
) -> Nested:
    """Return footprints on an outer and an inner grid, of the same particles.

    The particles are followed twice, once for each grid; their paths do not depend on the grid, so that the
    inner footprint sums to exactly what the outer one leaves out.

    Parameters
    ----------
    grids : outer and inner, of one projection; the inner's edges lie on lines of the outer

    Raises
    ------
    ConfigError
        If the inner grid does not fit into the outer; and all errors of `compute_footprints`.
    """
    outer, inner = grids
    covered = covered_cells(outer, inner)
    coarse = compute_footprints(met, receptors, outer, settings, mapper)
    fine = compute_footprints(met, receptors, inner, settings, mapper)
    foot = coarse.foot.where(covered.values == 0, np.float32(0)).assign_attrs(coarse.foot.attrs)
    coarse = coarse.assign(foot=foot, covered=covered)
    return Nested(schema.check(coarse, "footprints"), schema.check(fine, "footprints"))


def covered_cells(outer: Grid, inner: Grid) -> xr.DataArray:
    """Return which cells of the outer grid the inner one covers, 0 or 1, dims (y, x).

    Raises
    ------
    ConfigError
        If the inner grid does not fit into the outer.
    """
    covered = np.zeros(outer.shape, dtype=np.int8)
    covered[_block(outer, inner)] = 1
    words = {"long_name": "cells that the inner grid covers", "flag_values": np.array([0, 1], np.int8)}
    words["flag_meanings"] = "outer inner"
    return xr.DataArray(covered, dims=("y", "x"), attrs=words)


def _block(outer: Grid, inner: Grid) -> tuple[slice, slice]:
    """Return the outer's rows and columns that the inner grid covers."""
    faults = []
    if outer.crs != inner.crs:
        faults.append(f"crs '{inner.crs}' differs from '{outer.crs}'")
    block = []
    for axis, mine, other in (("y", outer.y_edges, inner.y_edges), ("x", outer.x_edges, inner.x_edges)):
        step = mine[1] - mine[0]
        low, high = (other[[0, -1]] - mine[0]) / step
        whole = [round(float(low)), round(float(high))]
        if max(abs(low - whole[0]), abs(high - whole[1])) > _ROUNDING:
            faults.append(f"{axis} from {other[0]:g} to {other[-1]:g} m is not on lines of the outer grid")
        if whole[0] < 0 or whole[1] > mine.size - 1:
            faults.append(f"{axis} from {other[0]:g} to {other[-1]:g} m reaches beyond the outer grid")
        block.append(slice(*whole))
    if faults:
        raise ConfigError("nested footprints: inner grid: " + "; ".join(faults))
    return block[0], block[1]
