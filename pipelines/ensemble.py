"""Stage that gives the transport error of the data: the prior flux carried by perturbed weather."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from pipelines import sections
from pipelines.engine import Job
from pipelines.inputs import Outputs, config_of
from pipelines.model import footprints_of, particles_of
from pipelines.store import remove
from transport.ensemble import enhancement, modelled_dataset, reseeded
from transport.met import open_met
from transport.meteorology.store import write_cube
from transport.perturbation import EnsembleSettings, MixingHeightError, WindError, perturbed_hours


def trace_ensemble(job: Job) -> Outputs:
    """Return what the prior flux adds to each datum in each member, mol mol-1."""
    chosen = particles_of(config_of(job))
    assert chosen.ensemble is not None  # noqa: S101 - the plan pairs stage and section
    settings, receptors = settings_of(chosen.ensemble), job.dataset("receptors")
    runs = []
    for member in range(settings.members):
        with _member(job, settings, member) as met:
            own = reseeded(receptors, settings.seed, member)
            # not kept from run to run: with another period a member's weather is another
            footprints = footprints_of(job, met, own, chosen, None)
        runs.append(enhancement(footprints, job.dataset("prior"), chosen.drop_early))
        job.tell(f"member {member + 1} of {settings.members}")
    return {"transport_ensemble": modelled_dataset(receptors.datum_id.values, np.array(runs))}


def settings_of(chosen: sections.TransportEnsemble) -> EnsembleSettings:
    """Return the ensemble that a section describes."""
    wind, height = chosen.wind, chosen.mixing_height
    return EnsembleSettings(
        WindError(wind.sd, wind.length_km * 1e3, wind.duration_h * 3600.0, wind.depth_m),
        MixingHeightError(height.relative_sd, height.length_km * 1e3, height.duration_h * 3600.0),
        chosen.members,
        chosen.seed,
    )


@contextmanager
def _member(job: Job, settings: EnsembleSettings, member: int) -> Iterator[xr.Dataset]:
    """Give the met of a member, opened lazily from a folder that lasts as long."""
    folder: Path = job.scratch / f"member-{member}"
    remove(folder)
    folder.mkdir(parents=True)
    try:
        hours = perturbed_hours(job.dataset("met"), settings, member)
        write_cube((hour.assign_attrs(source=f"member {member} of an ensemble") for hour in hours), folder)
        yield open_met(folder)
    finally:
        remove(folder)
