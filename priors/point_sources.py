"""Plants and other points from a CSV table onto the grid."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
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


@dataclass(frozen=True)
class Layer:
    """How elevated plants emit.

    depth : of the layer that takes up the emission, m
    relative_sd : standard uncertainty of each plant's emission as a share of it
    """

    depth: float
    relative_sd: float

    def __post_init__(self) -> None:
        if not (self.depth > 0 and self.relative_sd >= 0):
            raise ConfigError(
                f"elevated sources: depth = {self.depth} m, relative_sd = {self.relative_sd}; "
                "expected depth > 0, relative_sd >= 0"
            )


_ANY_TIME = np.array(["1970-01-01", "1970-01-02"], dtype="datetime64[ns]")  # plants are constant in time


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


def read_elevated_sources(path: Path, mapping: PointMapping, grid: Grid, layer: Layer) -> xr.Dataset:
    """Return the plants of a table as sources of their own, each with the layer that it emits into.

    The layer is centred on the stack height; where it would reach below the ground it starts there.

    Parameters
    ----------
    mapping : its `stack_height` is the effective height of release: plume rise is for the user to add

    Returns
    -------
    Dataset `point_sources`: the plants inside the grid, by name; attribute `left_out` names the others.

    Raises
    ------
    DataError
        As `read_point_sources`; or if no column has heights, or two plants have one name.
    """
    if mapping.stack_height is None:
        raise DataError(
            f"{path}: no stack_height in the mapping; expected the column with heights of release"
        )
    _, plants = read_point_sources(path, mapping, grid, _ANY_TIME)
    inside = plants[plants["inside"]]
    twice = sorted(inside["name"][inside["name"].duplicated()].unique())
    if twice:
        raise DataError(f"{path}: several plants are named {', '.join(twice)}; expected a name for each")
    x, y = grid.to_xy(inside["longitude"], inside["latitude"])
    bottom = np.maximum(inside["stack_height"].to_numpy() - 0.5 * layer.depth, 0.0)
    emission = inside["emission"].to_numpy()
    data = {
        "x": (x, "m"), "y": (y, "m"), "bottom": (bottom, "m"), "top": (bottom + layer.depth, "m"),
        "emission": (emission, "mol s-1"), "emission_sd": (layer.relative_sd * emission, "mol s-1"),
    }  # fmt: skip
    variables = {n: ("source", np.asarray(v, np.float64), {"units": unit}) for n, (v, unit) in data.items()}
    names = inside["name"].to_numpy(str), inside["sector"].to_numpy(str)
    ds = xr.Dataset(variables).assign_coords(source=("source", names[0]), sector=("source", names[1]))
    return schema.check(
        ds.assign_attrs(left_out=plants.loc[~plants["inside"], "name"].tolist()), "point_sources"
    )


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
