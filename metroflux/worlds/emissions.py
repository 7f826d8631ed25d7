"""Fluxes of the synthetic city by sector: what the inventory says and what is true."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from metroflux import schema, time
from metroflux.constants import MOLAR_MASS, SECONDS_PER_YEAR
from metroflux.grid import Grid
from metroflux.worlds.weather import UTC_OFFSET

Floats = npt.NDArray[np.float64]

REFERENCE_SIDE = 120_000.0
"""Side of the domain to which the annual totals below refer, m; a smaller world keeps the mean density."""


@dataclass(frozen=True)
class Sector:
    """One sector of the inventory and the uncertainty that nature draws from when the truth is drawn.

    total : Mt CO2 per year over REFERENCE_SIDE squared
    relative, floor : sd = sqrt((relative flux)^2 + floor^2), floor in umol m-2 s-1; that of industry holds on
        land where industry may stand
    length, duration : e-folding of the error's correlation, m and s
    """

    name: str
    total: float
    relative: float
    floor: float
    length: float
    duration: float


SECTORS = (
    Sector("power", 10.0, 0.15, 0.0, 2_000.0, 5 * 86400.0),
    Sector("industry", 12.0, 0.4, 6.0, 4_000.0, 30 * 86400.0),
    Sector("traffic", 16.0, 0.4, 0.2, 15_000.0, 10 * 86400.0),
    Sector("buildings", 22.0, 0.35, 0.2, 15_000.0, 10 * 86400.0),
    Sector("biosphere", 0.0, 0.5, 0.1, 30_000.0, 3 * 86400.0),
)

MISSING_PLANT = (0.205, -0.095)
MISSING_PLANT_TOTAL = 4.0
"""Place (in units of the side, from the centre) and emission (Mt CO2 per year) of the forgotten plant."""

_POWER = ((-0.28, 0.10, 1.2), (0.10, -0.30, 0.8), (0.33, 0.22, 0.6))
_INDUSTRY = ((-0.12, -0.14, 0.04), (0.16, 0.14, 0.03), (-0.05, 0.18, 0.03), (-0.30, -0.20, 0.03))


def fluxes(
    grid: Grid, edges: time.Times, truth: str, rng: np.random.Generator
) -> tuple[xr.Dataset, xr.Dataset]:
    """Return prior and truth (schema "prior") over the flux intervals of `edges`, mol m-2 s-1."""
    x, y = np.meshgrid(grid.x, grid.y)
    side = grid.dx * grid.nx
    x = (x - grid.west) / side - 0.5
    y = (y - grid.south) / side - 0.5
    inventory = _inventory(grid, x, y, edges)
    floor = [s.floor * 1e-6 * (_industrial_land(x, y) if s.name == "industry" else 1.0) for s in SECTORS]
    sd = np.stack([np.hypot(s.relative * inventory[i], floor[i]) for i, s in enumerate(SECTORS)])
    true = (
        _known_truth(grid, x, y, edges, inventory)
        if truth == "known"
        else _drawn_truth(grid, edges, inventory, sd, rng)
    )
    return _dataset(grid, edges, inventory, sd, "inventory"), _dataset(
        grid, edges, true, np.zeros_like(true), "truth"
    )


def _inventory(grid: Grid, x: Floats, y: Floats, edges: time.Times) -> Floats:
    """Return the prior flux (sector, flux_time, y, x), mol m-2 s-1."""
    density = np.exp(-(x**2 + y**2) / (2 * 0.10**2)) + 0.08 * np.exp(-(x**2 + y**2) / (2 * 0.3**2))
    hour = _local_hour(edges)
    rush = 0.45 + 0.9 * np.exp(-(((hour - 8.0) / 2.0) ** 2)) + 1.1 * np.exp(-(((hour - 17.5) / 2.5) ** 2))
    heating = 0.8 + 0.5 * np.exp(-(((hour - 7.0) / 2.5) ** 2)) + 0.4 * np.exp(-(((hour - 20.0) / 3.0) ** 2))
    steady = np.ones_like(hour)
    patterns = {
        "power": (_points(x, y, grid), steady),
        "industry": (_blobs(x, y), steady),
        "traffic": (_river(x, y) + 0.5 * density, rush),
        "buildings": (density, heating),
    }
    flux = [_scaled(grid, s.total, *patterns[s.name]) for s in SECTORS if s.name != "biosphere"]
    return np.stack([*flux, _biosphere(density, hour)])


def _known_truth(grid: Grid, x: Floats, y: Floats, edges: time.Times, inventory: Floats) -> Floats:
    """Return a truth that differs by total (traffic, power), pattern (buildings) and one missing plant."""
    true = inventory.copy()
    names = [s.name for s in SECTORS]
    true[names.index("power")] *= 0.9
    true[names.index("traffic")] *= 1.25
    suburb = 1.0 + 0.9 * np.exp(-((x + 0.16) ** 2 + (y - 0.12) ** 2) / (2 * 0.09**2))
    true[names.index("buildings")] *= suburb
    plant = np.zeros(grid.shape)
    j, i = (
        int(np.argmin(np.abs(axis - at)))
        for axis, at in ((y[:, 0], MISSING_PLANT[1]), (x[0], MISSING_PLANT[0]))
    )
    plant[j - 1 : j + 2, i - 1 : i + 2] = 1.0
    steady = np.ones(edges.size - 1)
    true[names.index("industry")] += _scaled(grid, MISSING_PLANT_TOTAL, plant, steady)
    return true


def _drawn_truth(
    grid: Grid, edges: time.Times, inventory: Floats, sd: Floats, rng: np.random.Generator
) -> Floats:
    """Return inventory + sd z, z unit Gaussian, correlated in distance and time, by dense Cholesky."""
    xx, yy = (a.ravel() for a in np.meshgrid(grid.x, grid.y))
    distance = np.hypot(xx[:, None] - xx, yy[:, None] - yy)
    middle = (edges[:-1] - edges[0]) / np.timedelta64(1, "s")
    true = inventory.copy()
    for i, s in enumerate(SECTORS):
        space = np.linalg.cholesky(np.exp(-distance / s.length))
        moment = np.linalg.cholesky(np.exp(-np.abs(middle[:, None] - middle) / s.duration))
        z = moment @ rng.standard_normal((middle.size, xx.size)) @ space.T
        true[i] += sd[i] * z.reshape(inventory[i].shape)
    return true


def _scaled(grid: Grid, total: float, pattern: Floats, profile: Floats) -> Floats:
    """Return pattern times profile whose area integral over a mean day is `total` Mt CO2 per year."""
    share = (grid.dx * grid.nx / REFERENCE_SIDE) ** 2
    rate = total * share * 1e9 / MOLAR_MASS["co2"] / SECONDS_PER_YEAR
    return rate * pattern * (profile / profile.mean())[:, None, None] / np.sum(pattern * grid.cell_area)


def _points(x: Floats, y: Floats, grid: Grid) -> Floats:
    pattern = np.zeros(grid.shape)
    for px, py, weight in _POWER:
        pattern[int(np.argmin(np.abs(y[:, 0] - py))), int(np.argmin(np.abs(x[0] - px)))] += weight
    return pattern


def _blobs(x: Floats, y: Floats) -> Floats:
    blobs = [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2)) for cx, cy, width in _INDUSTRY]
    return np.sum(blobs, axis=0)


def _industrial_land(x: Floats, y: Floats) -> Floats:
    """Return the share of land on which industry may stand: much around the city, little in the country."""
    return 0.1 + 0.9 / (1.0 + np.exp((np.hypot(x, y) - 0.28) / 0.03))


def _river(x: Floats, y: Floats) -> Floats:
    """Return the motorway that winds through the city from west to east."""
    bed = 0.14 * np.sin(2 * np.pi * x) - 0.03
    return 0.6 * np.exp(-((y - bed) ** 2) / (2 * 0.02**2)) * np.exp(-(x**2) / (2 * 0.35**2))


def _biosphere(density: Floats, hour: Floats) -> Floats:
    """Return net exchange of parks and fields, mol m-2 s-1: respiration less uptake by day."""
    sun = np.clip(np.sin(np.pi * (hour - 7.0) / 11.0), 0.0, None) * ((hour > 7.0) & (hour < 18.0))
    vegetation = 1.0 / (1.0 + 8.0 * density)
    return 1e-6 * (0.6 - 1.4 * sun)[:, None, None] * vegetation


def _local_hour(edges: time.Times) -> Floats:
    middle = edges[:-1] + np.diff(edges) / 2
    return ((middle - middle.astype("datetime64[D]")) / np.timedelta64(1, "h") + UTC_OFFSET) % 24.0


def _dataset(grid: Grid, edges: time.Times, flux: Floats, sd: Floats, inventory: str) -> xr.Dataset:
    dims = ("sector", "flux_time", "y", "x")
    ds = grid.coords().assign_coords(
        sector=("sector", np.array([s.name for s in SECTORS])),
        flux_time=("flux_time", edges[:-1]),
        flux_time_bounds=(("flux_time", "bounds"), time.bounds(edges)),
    )
    ds = ds.assign(
        flux=(dims, flux, {"units": "mol m-2 s-1", "long_name": "surface flux of CO2, upward"}),
        flux_sd=(dims, sd, {"units": "mol m-2 s-1", "long_name": "standard uncertainty of the flux"}),
    ).assign_attrs(
        species="co2", inventory=f"synthetic city, {inventory}", inventory_version="1", inventory_doi="none"
    )
    return schema.check(ds, "prior", f"synthetic {inventory}")
