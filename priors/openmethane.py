"""Prior emissions of Open Methane: CH4 of a dozen sectors on a Lambert grid of Australia."""

from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import Times
from priors.build import Inventory
from priors.cf import CFMapping, read_cf
from priors.source import open_flux_file, read_variables

_SECTOR = "ch4_sector_"
_TOTAL = "ch4_total"
_CLOSURE = 1e-6  # some sectors are stored as float32, so the sum closes to that


def read_openmethane(path: Path, flux_time_edges: Times, grid: Grid | None = None) -> xr.Dataset:
    """Return an Open Methane prior file as a prior; `errors.with_sd` adds its uncertainty.

    The file's fluxes are mass over dx dy of the projected cell (openmethane-prior, `kg_to_period_cell_flux`,
    `Grid.cell_area`). The mass is kept and the flux is given per true area.

    Parameters
    ----------
    flux_time_edges : within the days of the file
    grid : target; None keeps the file's own grid

    Raises
    ------
    DataError
        If the file has no sectors, or they do not add up to its total.
    """
    sectors, version = _contents(path)
    mapping = CFMapping(
        species="ch4",
        variables=sectors,
        per_projected_area=True,
        inventory=Inventory("Open Methane prior", version, "not stated"),
    )
    prior = read_cf(path, mapping, grid, flux_time_edges)  # names what is missing, before sums are compared
    _check_closure(path, list(sectors.values()))
    return prior


def _contents(path: Path) -> tuple[dict[str, str], str]:
    """Return sector -> variable, without totals and deprecated variables, and the version of the software."""
    with open_flux_file(path) as ds:
        names = [str(name) for name in ds.data_vars if "deprecated" not in ds[name].attrs]
        sectors = {name.removeprefix(_SECTOR): name for name in names if name.startswith(_SECTOR)}
        if not sectors:
            have = ", ".join(sorted(names))
            raise DataError(
                f"{path}: no variables {_SECTOR}*; expected an Open Methane prior, the file has: {have}"
            )
        return sectors, str(ds.attrs.get("openmethane_prior_version", "not stated"))


def _check_closure(path: Path, names: list[str]) -> None:
    ds = read_variables(path, [*names, _TOTAL])
    total = ds[_TOTAL].values.astype(np.float64)
    added = np.sum([ds[name].values.astype(np.float64) for name in names], axis=0)
    gap = float(np.abs(added - total).max())
    if not gap <= _CLOSURE * float(np.abs(total).max()):
        raise DataError(f"{path}: sectors differ from {_TOTAL} by up to {gap:g}; expected their sum")
