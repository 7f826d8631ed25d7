"""Point sources solved one by one: each a sector of its own, taken out of the sector that held it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.schema import check


@dataclass(frozen=True)
class Point:
    """One point source.

    name : of the sector it becomes
    sector : that holds it now
    cell : index into the flattened space, C order
    relative_sd : prior sd as a share of its flux, 1
    """

    name: str
    sector: str
    cell: int
    relative_sd: float


def separate_points(prior: xr.Dataset, points: Sequence[Point]) -> xr.Dataset:
    """Return a prior in which each point source is a sector that emits from one cell alone.

    The flux of that cell moves from its sector to the point's: the total is kept, and the sector it leaves
    has neither flux nor uncertainty there.

    Raises
    ------
    DataError
        If a sector is unknown, a name is used already, a cell is given twice or has no flux to take.
    """
    faults = list(_faults(prior, points))
    if faults:
        raise DataError("point sources: " + "; ".join(faults))
    sectors = list(map(str, prior.sector.values))
    flux = prior.flux.values.reshape(*prior.flux.shape[:2], -1).copy()
    sd = prior.flux_sd.values.reshape(flux.shape).copy()
    new = np.zeros((2, len(points), *flux.shape[1:]))
    for k, point in enumerate(points):
        at = sectors.index(point.sector), slice(None), point.cell
        new[0, k, :, point.cell] = flux[at]
        new[1, k, :, point.cell] = point.relative_sd * np.abs(flux[at])
        flux[at] = sd[at] = 0.0
    shape = (len(sectors) + len(points), *prior.flux.shape[1:])
    names = np.array([*sectors, *(p.name for p in points)])
    parts = {"flux": (flux, new[0]), "flux_sd": (sd, new[1])}
    out = prior.drop_dims("sector").assign_coords(sector=("sector", names))
    out = out.assign({
        name: (prior[name].dims, np.concatenate(both).reshape(shape), prior[name].attrs)
        for name, both in parts.items()
    })  # fmt: skip
    return check(out, "prior", "point sources")


def _faults(prior: xr.Dataset, points: Sequence[Point]) -> list[str]:
    sectors, found = list(map(str, prior.sector.values)), []
    names, cells = [p.name for p in points], [(p.sector, p.cell) for p in points]
    for point in points:
        if point.sector not in sectors:
            found.append(f"'{point.name}': no sector '{point.sector}', expected one of {', '.join(sectors)}")
            continue
        if point.name in sectors or names.count(point.name) > 1:
            found.append(f"'{point.name}' is the name of more than one sector")
        if not 0 <= point.cell < prior.cell_area.size:
            found.append(f"'{point.name}': cell {point.cell}, expected 0 to {prior.cell_area.size - 1}")
            continue
        if cells.count((point.sector, point.cell)) > 1:
            found.append(f"'{point.name}': another point is in cell {point.cell} of '{point.sector}', too")
        flux = prior.flux.values.reshape(*prior.flux.shape[:2], -1)
        if not flux[sectors.index(point.sector), :, point.cell].any():
            found.append(f"'{point.name}': '{point.sector}' has no flux in cell {point.cell} to take")
        if not point.relative_sd > 0:
            found.append(f"'{point.name}': relative sd {point.relative_sd:g}, expected a positive one")
    return found
