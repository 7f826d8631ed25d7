"""Any CF netCDF flux file, given a mapping of sectors to variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.time import Times
from metroflux.units import FILL_LIMIT
from priors import source
from priors.build import Inventory, make_prior, with_outside_share
from priors.cells import Floats
from priors.convert import refuse_other_species, surface_flux_factor
from priors.regrid import Regridder


@dataclass(frozen=True)
class CFMapping:
    """How to read a flux file. Nothing is assumed of a file that is not said here or in the file.

    species : "co2" or "ch4"
    variables : sector -> variable of the file
    units : in place of the variables' own, where these are absent or wrong
    carbon_mass : masses are of carbon, not of the species
    downward : sectors whose file counts uptake positive
    per_projected_area : fluxes were made with dx dy of the projection in place of the true area
    broadcast_time : use the mean over the file's times for every flux interval, whatever its dates
    outside_is_zero : grid cells that the file does not cover have no flux
    missing_is_zero : missing values (NaN, declared fill) mean no flux, as over sea in a land inventory
    """

    species: str
    variables: Mapping[str, str]
    units: str | None = None
    carbon_mass: bool = False
    downward: tuple[str, ...] = ()
    per_projected_area: bool = False
    broadcast_time: bool = False
    outside_is_zero: bool = False
    missing_is_zero: bool = False
    inventory: Inventory = field(default_factory=Inventory)


def read_cf(path: Path, mapping: CFMapping, grid: Grid | None, flux_time_edges: Times) -> xr.Dataset:
    """Return a flux file as a prior, regridded conservatively; `errors.with_sd` adds its uncertainty.

    Parameters
    ----------
    grid : target; None keeps the file's own grid, which must then be projected
    flux_time_edges : edges of the flux intervals, UTC

    Returns
    -------
    prior with `outside_share` (sector): share of the file's emission, signs ignored, outside the grid

    Raises
    ------
    DataError
        Naming file, variable, value and expectation.
    """
    if not mapping.variables:
        raise DataError(f"{path}: no variables mapped; expected sector -> variable")
    unknown = sorted(set(mapping.downward) - set(mapping.variables))
    if unknown:
        raise DataError(f"{path}: downward names unknown sectors {', '.join(unknown)}")
    ds = source.read_variables(path, list(dict.fromkeys(mapping.variables.values())))
    return _prior(ds, path, mapping, grid, flux_time_edges)


def _prior(ds: xr.Dataset, path: Path, mapping: CFMapping, grid: Grid | None, edges: Times) -> xr.Dataset:
    regridders: dict[source.Axes, Regridder] = {}
    flux: dict[str, Floats] = {}
    outside: list[float] = []
    for sector, name in mapping.variables.items():
        try:
            axes = source.find_axes(ds[name])
            variable = source.in_order(ds[name], axes)
            if axes not in regridders:
                regridders[axes] = _regridder(ds, variable, axes, mapping, grid)
            regrid = regridders[axes]
            grid = regrid.grid
            values = _mol(variable, mapping, sector in mapping.downward)
            values = _over_time(ds, variable, axes, mapping, values, edges)
            _refuse_missing(values, variable, regrid)
            flux[sector] = regrid(values)
            outside.append(regrid.outside_share(np.nan_to_num(values)))
        except DataError as fault:
            raise DataError(f"{path}: variable '{name}': {fault}") from None
    prior = make_prior(regrid.grid.coords(), flux, edges, mapping.species, mapping.inventory)
    return with_outside_share(prior, np.array(outside))


def _regridder(
    ds: xr.Dataset, variable: xr.DataArray, axes: source.Axes, mapping: CFMapping, grid: Grid | None
) -> Regridder:
    cells = source.cells(ds, variable, axes)
    if grid is None:
        if not isinstance(cells, Grid):
            raise DataError("is in longitude and latitude; expected a grid to bring it onto")
        grid = cells
    regrid = Regridder.between(cells, grid, mapping.per_projected_area)
    holes = int(regrid.uncovered.sum())
    if holes and not mapping.outside_is_zero:
        raise DataError(
            f"does not cover {holes} of {grid.nx * grid.ny} grid cells; expected all, or outside_is_zero"
        )
    return regrid


def _mol(variable: xr.DataArray, mapping: CFMapping, downward: bool) -> Floats:
    """Return the values in mol m-2 s-1, positive upward, shape of the variable."""
    attrs = {str(key): value for key, value in variable.attrs.items()}
    refuse_other_species(attrs, mapping.species)
    unit = mapping.units or attrs.get("units")
    if unit is None:
        raise DataError("has no units; expected a units attribute, or units in the mapping")
    factor = surface_flux_factor(str(unit), mapping.species, mapping.carbon_mass)
    values = variable.values.astype(np.float64)
    wild = np.abs(values) > FILL_LIMIT
    if wild.any():
        value = f"values beyond {FILL_LIMIT:g} such as {values[wild][0]:g}"
        raise DataError(f"{int(wild.sum())} {value}, {_at(variable, wild)}; an undeclared fill value?")
    if mapping.missing_is_zero:
        values = np.nan_to_num(values)
    return values * (-factor if downward else factor)


def _over_time(
    ds: xr.Dataset,
    variable: xr.DataArray,
    axes: source.Axes,
    mapping: CFMapping,
    values: Floats,
    edges: Times,
) -> Floats:
    """Return the mean flux in each flux interval, shape (flux_time, source cells)."""
    rows = values.reshape(-1, variable.sizes[axes.y] * variable.sizes[axes.x])
    shape = (edges.size - 1, rows.shape[1])
    if axes.time is None or (mapping.broadcast_time and len(rows) == 1):
        return np.broadcast_to(rows, shape)
    period = source.time_edges(ds, variable[axes.time])
    if mapping.broadcast_time:
        edges = period[[0, -1]]
    weights = source.time_weights(period, edges)
    used = weights.any(axis=0)
    return np.broadcast_to(weights[:, used] @ rows[used], shape)


def _refuse_missing(values: Floats, variable: xr.DataArray, regrid: Regridder) -> None:
    missing = np.any(np.isnan(values) & regrid.touched, axis=0).reshape(variable.shape[-2:])
    if missing.any():
        where = _at(variable[(0,) * (variable.ndim - 2)], missing)
        raise DataError(
            f"NaN in {int(missing.sum())} of {int(regrid.touched.sum())} cells under the grid, {where}; "
            "expected a number, or missing_is_zero"
        )


def _at(variable: xr.DataArray, where: np.ndarray) -> str:
    first = np.argwhere(where)[0]
    return "first at " + ", ".join(
        f"{dim}={variable[dim].values[i]} (index {int(i)})"
        for dim, i in zip(variable.dims, first, strict=True)
    )
