"""Plants and other points from a CSV table onto the grid."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import Times
from metroflux.units import FILL_LIMIT
from priors.build import Inventory, make_prior, with_outside_share
from priors.cells import Floats
from priors.convert import emission_factor


@dataclass(frozen=True)
class PointMapping:
    """Which columns of a CSV table say what.

    species : of the emission
    units : mass rate of the emission column, such as "t yr-1"
    sector : column with the sector; or, if `one_sector` is set, unused
    one_sector : the sector of all plants
    stack_height : column, m above ground; None if the table has none
    carbon_mass : the emission is mass of carbon
    """

    species: str
    units: str
    name: str = "name"
    latitude: str = "lat"
    longitude: str = "lon"
    emission: str = "emission"
    sector: str = "sector"
    one_sector: str | None = None
    stack_height: str | None = None
    carbon_mass: bool = False
    inventory: Inventory = field(default_factory=Inventory)


def read_point_sources(
    path: Path, mapping: PointMapping, grid: Grid, flux_time_edges: Times
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return plants as a prior, constant in time, and the table of all plants.

    The emission of a plant goes into the cell that holds it, at the surface: stack heights are kept in the
    table. Cells hold their west and south edge. A plant that an inventory's cells hold too must be taken out
    there.

    Returns
    -------
    prior : without flux_sd, `errors.with_sd` adds it; with `outside_share` (sector)
    plants : name, latitude, longitude, sector, emission (mol s-1), stack_height (m), inside, row and column
        (-1 if outside)

    Raises
    ------
    DataError
        Naming file, column and plants, all at once; or if no plant is inside the grid.
    """
    plants = _read(path, mapping)
    x, y = grid.to_xy(plants["longitude"], plants["latitude"])
    column, row = (np.floor((x - grid.west) / grid.dx), np.floor((y - grid.south) / grid.dy))
    inside = (column >= 0) & (column < grid.nx) & (row >= 0) & (row < grid.ny)
    plants["inside"] = inside
    plants["row"], plants["column"] = (np.where(inside, index, -1).astype(int) for index in (row, column))
    if not inside.any():
        raise DataError(f"{path}: none of {len(plants)} plants is inside the grid")
    sectors = {str(sector): rows for sector, rows in plants.groupby("sector")}
    flux = {name: _on_grid(rows[rows["inside"]], grid, flux_time_edges) for name, rows in sectors.items()}
    prior = make_prior(grid.coords(), flux, flux_time_edges, mapping.species, mapping.inventory)
    return with_outside_share(prior, np.array([_outside_share(rows) for rows in sectors.values()])), plants


def _outside_share(plants: pd.DataFrame) -> float:
    total = float(plants["emission"].sum())
    return float(plants.loc[~plants["inside"], "emission"].sum()) / total if total > 0 else 0.0


def _on_grid(plants: pd.DataFrame, grid: Grid, edges: Times) -> Floats:
    rate = np.zeros(grid.shape)
    np.add.at(rate, (plants["row"].to_numpy(), plants["column"].to_numpy()), plants["emission"].to_numpy())
    return np.broadcast_to(rate / grid.cell_area, (edges.size - 1, *grid.shape))


def _read(path: Path, mapping: PointMapping) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read as CSV ({fault})") from None
    numbers = {"latitude": mapping.latitude, "longitude": mapping.longitude, "emission": mapping.emission}
    if mapping.stack_height is not None:
        numbers["stack_height"] = mapping.stack_height
    texts = {"name": mapping.name} | ({"sector": mapping.sector} if mapping.one_sector is None else {})
    absent = [name for name in (numbers | texts).values() if name not in table.columns]
    if absent:
        raise DataError(
            f"{path}: no column {', '.join(absent)}; the file has: {', '.join(map(str, table.columns))}"
        )
    plants = pd.DataFrame({new: table[old].astype(str) for new, old in texts.items()})
    if mapping.one_sector is not None:
        plants["sector"] = mapping.one_sector
    for new, old in numbers.items():
        plants[new] = pd.to_numeric(table[old], errors="coerce").astype(np.float64)
    _refuse_bad(path, plants, numbers)
    plants["emission"] *= emission_factor(mapping.units, mapping.species, mapping.carbon_mass)
    return plants.assign(stack_height=np.nan) if "stack_height" not in plants else plants


def _refuse_bad(path: Path, plants: pd.DataFrame, columns: dict[str, str]) -> None:
    limits = {
        "latitude": (-90, 90),
        "longitude": (-180, 360),
        "emission": (0, FILL_LIMIT),
        "stack_height": (0, 1000),
    }
    faults = []
    for new, old in columns.items():
        low, high = limits[new]
        bad = plants[~plants[new].between(low, high)]
        if len(bad):
            some = ", ".join(
                f"{name} ({value:g})" for name, value in zip(bad["name"][:5], bad[new][:5], strict=True)
            )
            faults.append(f"'{old}' of {len(bad)} plants is no number from {low} to {high:g}: {some}")
    if faults:
        raise DataError(f"{path}: " + "; ".join(faults))
