"""A synthetic city: hills, a river of traffic, power plants, parks, turning winds, towers and a lidar.

Everything is drawn or computed here from a few settings; no other part of metroflux is used to make it,
so that an inversion that finds its truth has not been helped.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux import time
from metroflux.errors import DataError
from metroflux.grid import Grid
from metroflux.worlds import emissions, network, weather

CRS = "EPSG:32633"
CENTRE = (500_000.0, 5_300_000.0)
"""Centre of the city in CRS, m."""


@dataclass(frozen=True)
class CitySettings:
    """What can be chosen about the synthetic city.

    seed : of everything drawn
    cells : cells along each side
    cell_size : m
    start : first instant with observations, ISO 8601, UTC
    days : days with observations; a lead day of weather and fluxes comes before
    flux_hours : length of a flux interval, h
    towers : how many of the six towers stand
    lidar : whether the lidar stands
    truth : "known" differs from the prior by total, pattern and a missing plant; "drawn" is a draw from the
        stated prior uncertainty
    """

    seed: int = 1
    cells: int = 60
    cell_size: float = 2000.0
    start: str = "2024-03-04T00:00:00"
    days: int = 7
    flux_hours: int = 3
    towers: int = 6
    lidar: bool = True
    truth: str = "known"

    def __post_init__(self) -> None:
        faults = []
        if self.cells < 10:
            faults.append(f"cells = {self.cells}, expected at least 10")
        if self.days < 1:
            faults.append(f"days = {self.days}, expected at least 1")
        if self.flux_hours < 1 or 24 % self.flux_hours:
            faults.append(f"flux_hours = {self.flux_hours}, expected a divisor of 24")
        if not 1 <= self.towers <= len(network.TOWERS):
            faults.append(f"towers = {self.towers}, expected 1 to {len(network.TOWERS)}")
        if self.truth not in ("known", "drawn"):
            faults.append(f"truth = '{self.truth}', expected 'known' or 'drawn'")
        if faults:
            raise DataError("world: " + "; ".join(faults))


@dataclass(frozen=True)
class World:
    """A synthetic world as the datasets of the spine.

    grid : flux grid
    met : met cube, its domain wider than the grid
    prior, truth : prior schema; the truth's flux_sd is zero
    observations : what the network would report, mole fractions still missing, error components attached
    profiles : Doppler lidar wind and mixing height
    background_field, true_background_field : mole fraction of the air that enters, believed and true
    regions : GeoJSON of the districts, longitude and latitude
    sites : name, kind, longitude, latitude, x, y, inlet of each instrument
    """

    grid: Grid
    met: xr.Dataset
    prior: xr.Dataset
    truth: xr.Dataset
    observations: xr.Dataset
    profiles: xr.Dataset
    background_field: xr.Dataset
    true_background_field: xr.Dataset
    regions: dict[str, object]
    sites: list[network.Site]


def build(settings: CitySettings) -> World:
    """Make the synthetic city of the settings: the same settings give the same world, to the bit."""
    rng = np.random.default_rng(settings.seed)
    side = settings.cells * settings.cell_size
    grid = Grid(CRS, CENTRE[0] - side / 2, CENTRE[1] - side / 2,
                settings.cell_size, settings.cell_size, settings.cells, settings.cells)  # fmt: skip
    first = time.parse(settings.start, "world: start")
    lead, end = first - np.timedelta64(1, "D"), first + np.timedelta64(settings.days, "D")
    met = weather.met_cube(grid, lead, end, rng)
    edges = time.intervals(lead, end, np.timedelta64(settings.flux_hours, "h"))
    prior, truth = emissions.fluxes(grid, edges, settings.truth, rng)
    sites = network.sites(grid, settings.towers, settings.lidar)
    hours = time.intervals(first, end, np.timedelta64(1, "h"))
    background = network.background_field(met)
    return World(
        grid=grid,
        met=met,
        prior=prior,
        truth=truth,
        observations=network.observations(sites, hours),
        profiles=network.profiles(sites, met, hours, rng),
        background_field=background,
        true_background_field=network.true_background_field(background, rng),
        regions=network.districts(grid),
        sites=sites,
    )
