"""Stages that make the inputs: from files, or from a synthetic world whose truth is known."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from metroflux import time, worlds
from metroflux.errors import ConfigError
from metroflux.grid import Grid
from metroflux.time import Times
from observations.columns import ColumnMapping, read_columns
from observations.flux_lidar.dial import gates, read_dial_scan
from observations.formats.series import Supplement
from observations.lidar import compare_mixing_height
from observations.metrology.files import read_observations
from observations.recognise import read
from observations.table import Site, TableMapping, read_table
from pipelines import prior_sections, sections, sources
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.fields import to_numpy
from pipelines.joining import join, sites_of
from pipelines.lidar_sections import DialSource
from pipelines.met import MetFromFiles, levels_of, reader_of, target_of
from pipelines.scales import on_scale
from priors.build import Inventory
from priors.cf import CFMapping, read_cf
from priors.errors import with_sd
from priors.openmethane import read_openmethane
from priors.regional import RegionalMapping, read_regional

Outputs = Mapping[str, object]


def config_of(job: Job) -> Config:
    """Return the configuration of a job; the engine does not know its type."""
    return cast(Config, job.config)


def flux_edges(config: Config) -> Times:
    """Return the edges of the flux intervals, the lead before the start included."""
    run = config.run
    start, end = to_numpy(run.start), to_numpy(run.end)
    if run.flux_hours == "month":
        months = np.arange(start.astype("datetime64[M]"), end.astype("datetime64[M]"))
        edges = time.month_edges(months.astype("datetime64[ns]"))
        if edges[0] != start or edges[-1] != end:
            raise ConfigError(f"run: {start} to {end} with flux_hours 'month'; expected starts of months")
        return edges
    lead = np.timedelta64(round(run.lead_hours * 3600), "s")
    return time.intervals(start - lead, end, np.timedelta64(round(run.flux_hours * 3600), "s"))


def build_world(job: Job) -> Outputs:
    """Make the synthetic city."""
    config = config_of(job)
    chosen = config.world
    assert chosen is not None  # noqa: S101 - this stage is only in the plan of a world
    days, rest = divmod((config.run.end - config.run.start).total_seconds(), 86400)
    if rest or not isinstance(config.run.flux_hours, float) or config.run.flux_hours % 1:
        raise ConfigError("run: a world needs whole days and flux_hours a whole number")
    world = worlds.build(
        worlds.CitySettings(
            seed=chosen.seed,
            cells=chosen.cells,
            cell_size=chosen.cell_size,
            start=str(to_numpy(config.run.start)),
            days=int(days),
            flux_hours=int(config.run.flux_hours),
            towers=chosen.towers,
            lidar=chosen.lidar,
            truth=chosen.truth,
        )
    )
    return {
        "grid": world.grid.coords(),
        "met": world.met,
        "inventory": world.prior,
        "truth": world.truth,
        "data": world.observations,
        "background_field": world.background_field,
        "true_background_field": world.true_background_field,
        "profiles": world.profiles,
        "outlines": {"geojson": world.regions, "name": "name"},
        "sites": [asdict(site) for site in world.sites],
    }


def read_data(job: Job) -> Outputs:
    """Read all observation files into one dataset."""
    config = config_of(job)
    parts = [read_source(source, config.run.species) for source in config.observations.sources]
    if config.observations.scale is not None:
        parts = [on_scale(part, config.observations.scale) for part in parts]
    if len(parts) > 1 and any("averaging_kernel" in part.variables for part in parts):
        raise ConfigError("observations.sources: columns together with others are not yet supported")
    merged = parts[0] if len(parts) == 1 else join(parts)
    return {"data": merged, "sites": sites_of(merged)}


def read_source(source: sources.Source, species: str) -> xr.Dataset:
    """Return the observations of one file."""
    match source:
        case sources.TableSource():
            return read_table(source.file, table_mapping(source, species))
        case sources.FormatSource():
            return read(source.file, source.reader, supplement(source, species))
        case sources.ColumnSource():
            chosen = source.model_dump(exclude={"reader", "file"})
            return read_columns(source.file, ColumnMapping(species=species, **chosen))
        case sources.CalibratedSource():
            return read_observations(source.file).drop_dims("certificate", errors="ignore")
        case DialSource():
            return gates(read_dial_scan(source.file), source.site, source.height, source.averaging_s)


def supplement(source: sources.FormatSource, species: str) -> Supplement:
    """Return what the configuration adds to what a file says of itself."""
    return Supplement(
        species=species,
        sites=_sites_of(source.sites),
        scale=source.scale,
        averaging_s=source.averaging_s,
        accept_unknown_scale=source.accept_unknown_scale,
        uncertainty_file=source.uncertainty_file,
    )


def _sites_of(places: Mapping[str, sources.Site]) -> dict[str, Site]:
    return {
        name: Site(site.latitude, site.longitude, float("nan") if site.inlet is None else site.inlet)
        for name, site in places.items()
    }


def table_mapping(source: sources.TableSource, species: str) -> TableMapping:
    """Return how a table is read."""
    chosen = source.model_dump(exclude={"reader", "file", "sites"})
    return TableMapping(species=species, sites=_sites_of(source.sites), **chosen)


def observe(job: Job) -> Outputs:
    """Take the selected observations as they were measured."""
    return {"observations": job.dataset("selected")}


def lay_grid(job: Job) -> Outputs:
    """Lay the flux grid of the configuration."""
    grid = config_of(job).grid
    assert isinstance(grid, sections.ExplicitGrid)  # noqa: S101 - the plan pairs stage and section
    return {"grid": Grid(**grid.model_dump()).coords()}


def borrow_grid(job: Job) -> Outputs:
    """Take the flux grid of the inventory."""
    return {"grid": Grid.from_dataset(job.dataset("inventory")).coords()}


def read_inventory_on_its_grid(job: Job) -> Outputs:
    """Read the inventory on its own grid or regions."""
    return {"inventory": read_inventory(config_of(job), None)}


def read_inventory_on_the_grid(job: Job) -> Outputs:
    """Read the inventory onto the flux grid."""
    return {"inventory": read_inventory(config_of(job), Grid.from_dataset(job.dataset("grid")))}


def read_inventory(config: Config, grid: Grid | None) -> xr.Dataset:
    """Return the fluxes of the configured inventory."""
    chosen, edges, species = config.prior.inventory, flux_edges(config), config.run.species
    match chosen:
        case prior_sections.CFPrior():
            names = Inventory(**chosen.inventory.model_dump())
            plain = chosen.model_dump(exclude={"reader", "file", "sectors", "inventory"})
            mapping = CFMapping(species=species, variables=chosen.sectors, inventory=names, **plain)
            return read_cf(chosen.file, mapping, grid, edges)
        case prior_sections.OpenMethanePrior():
            return read_openmethane(chosen.file, edges, grid)
        case prior_sections.RegionalPrior():
            names = Inventory(**chosen.inventory.model_dump())
            plain = chosen.model_dump(exclude={"reader", "file", "inventory"})
            regional = RegionalMapping(species=species, inventory=names, **plain)
            return read_regional(chosen.file, regional)
        case None:
            raise ConfigError("prior.inventory: none given; expected a reader and a file")


def add_prior_error(job: Job) -> Outputs:
    """Give the inventory its standard uncertainty by sector, or keep the one it states."""
    errors = config_of(job).prior.errors
    inventory = job.dataset("inventory")
    by_sector = {name: error_of(errors, name) for name in map(str, inventory.sector.values)}
    unknown = sorted(set(errors) - set(by_sector) - {"default"})
    if unknown:
        raise ConfigError(f"prior.errors: no sector {', '.join(unknown)}; it has {', '.join(by_sector)}")
    given = {n: e for n, e in by_sector.items() if isinstance(e, sections.SectorError)}
    if not given and "flux_sd" in inventory.variables:
        return {"prior": inventory}
    if len(given) < len(by_sector):
        raise ConfigError(
            "prior.errors: 'stated' for some sectors; expected it for all, and a prior that states an sd"
        )
    relative = {name: error.relative for name, error in given.items()}
    floor = {name: error.floor * 1e-6 for name, error in given.items()}  # from umol m-2 s-1
    return {"prior": with_sd(inventory, relative, floor)}


def error_of(
    errors: Mapping[str, sections.AnySectorError], sector: str
) -> sections.SectorError | sections.StatedError:
    """Return the uncertainty configured for a sector, or the default."""
    found = errors.get(sector, errors.get("default"))
    if found is None:
        raise ConfigError(f"prior.errors: nothing for sector '{sector}' and no 'default'")
    return found


def read_met(job: Job) -> Outputs:
    """Read the meteorology into the projection of the flux grid."""
    met = config_of(job).met
    assert met is not None  # noqa: S101 - this stage is only in the plan of files
    target = target_of(met, Grid.from_dataset(job.dataset("grid")).crs)
    return {"met": MetFromFiles(reader_of(met), met.files, levels_of(met), target)}


def compare_weather(job: Job) -> Outputs:
    """Compare the mixing height of the weather with the lidar's."""
    compared = compare_mixing_height(job.dataset("profiles"), job.dataset("met"))
    return {"lidar": json.loads(compared.to_json(orient="records"))}


def read_outlines(job: Job) -> Outputs:
    """Read the areas that totals are made for."""
    regions = config_of(job).regions
    if regions is None:
        return {"outlines": {}}
    return {
        "outlines": {"geojson": json.loads(Path(regions.file).read_text("utf-8-sig")), "name": regions.name}
    }
