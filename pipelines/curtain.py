"""The stages that make a background of a field of files, read where the particles came in."""

import numpy as np

from metroflux.grid import Grid
from observations.curtain import extent_of, from_curtain
from observations.curtain_file import CurtainMapping, read_curtain
from observations.ends import ends_of
from observations.levels import Vertical
from pipelines import air
from pipelines.backgrounds import method_error
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of
from pipelines.model import particles_of
from pipelines.scales import background_on_scale
from pipelines.watch import log


def read_field(job: Job) -> Outputs:
    """Read the field of a curtain where and when particles may come in."""
    config = config_of(job)
    chosen = _curtain_of(config)
    bounds, hours = job.dataset("selected").time_bounds.values, particles_of(config).hours
    start = bounds.min() - np.timedelta64(round(hours * 3600), "s")
    extent = extent_of(job.dataset("met"), Grid.from_dataset(job.dataset("grid")), start, bounds.max())
    return {
        "background_field": read_curtain(chosen.files, curtain_mapping(chosen, config.run.species), extent)
    }


def curtain_background(job: Job) -> Outputs:
    """Give each datum the mole fraction of a field where its particles came in."""
    config = config_of(job)
    chosen = _curtain_of(config)
    selected, field = job.dataset("selected"), job.dataset("background_field")
    grid, terrain = Grid.from_dataset(job.dataset("grid")), job.dataset("met").terrain
    ends = ends_of(selected, job.dataset("footprints"))
    background = from_curtain(selected, ends, grid, terrain, field, method_error(chosen.error))
    share = background.attrs["end_points_beyond_field"]
    job.tell(f"{share:.1%} of end points lie beyond the field and take the value at its edge")
    log("background", **{str(name): float(value) for name, value in background.attrs.items()})
    return {"background": background_on_scale(background, selected, chosen.scale, config.observations.scale)}


def _curtain_of(config: Config) -> air.CurtainBackground:
    assert isinstance(config.background, air.CurtainBackground)  # noqa: S101 - the plan pairs stage and section
    return config.background


def curtain_mapping(chosen: air.CurtainBackground, species: str) -> CurtainMapping:
    """Return how a field is read."""
    plain = chosen.model_dump(exclude={"kind", "files", "levels", "scale", "error", "parameters"})
    levels = chosen.levels
    vertical = None if levels is None else Vertical(levels.variable, levels.of, levels.unit)
    return CurtainMapping(species=species, vertical=vertical, **plain)
