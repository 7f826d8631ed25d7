"""The stage that flags observations, adds their errors and selects those that the inversion uses."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from metroflux.uncertainty import Random, Shared, attach
from metroflux.units import mole_fraction_factor
from observations.components import Group, exponential, group
from observations.conditions import met_conditions
from observations.edits import apply_edits, read_edits
from observations.quality import Rules, control
from observations.selection import Selection, select
from observations.spikes import SpikeFilter
from pipelines import sources
from pipelines.config import Config
from pipelines.engine import Job
from pipelines.fields import to_numpy
from pipelines.inputs import config_of
from pipelines.lidar import filtered
from pipelines.lidar_sections import MixingFilter
from pipelines.quality import Quality

Outputs = Mapping[str, object]


def choose(job: Job) -> Outputs:
    """Flag observations, add the configured errors and select those that the inversion uses."""
    config = config_of(job)
    chosen = config.observations
    data = with_errors(flagged(job.dataset("data"), chosen.quality), chosen)
    if isinstance(chosen.mixing, MixingFilter):
        data = filtered(data, job.dataset("profiles"), chosen.mixing)
    selected, dropped = select(data, selection(config))
    if chosen.selection.by_air:
        conditions = met_conditions(selected, job.dataset("met"))
        limits = Selection(
            mixing_above_inlet=chosen.selection.mixing_above_inlet, min_wind=chosen.selection.min_wind
        )
        selected, more = select(selected, limits, conditions)
        dropped = pd.concat([dropped, more], ignore_index=True)
    return {"selected": selected, "dropped": json.loads(dropped.to_json(orient="records"))}


def selection(config: Config) -> Selection:
    """Return what the configuration keeps, apart from conditions of the air."""
    chosen = config.observations.selection
    return Selection(
        start=to_numpy(chosen.start or config.run.start),
        end=to_numpy(chosen.end or config.run.end),
        hours=chosen.hours,
        zone=chosen.zone,
        species=(config.run.species,),
        sites=chosen.sites,
        accept_flags=chosen.accept_flags,
    )


def flagged(data: xr.Dataset, chosen: Quality) -> xr.Dataset:
    """Return the observations with manual edits and rules applied."""
    if chosen.edits is not None:
        data, _ = apply_edits(data, read_edits(chosen.edits))
    factor = mole_fraction_factor(chosen.unit)
    limits, warm, spikes = chosen.limits, chosen.warm_up, chosen.spikes
    rules = Rules(
        limits=None if limits is None else (limits[0] * factor, limits[1] * factor),
        warm_up=None if warm is None else (warm.gap_s, warm.length_s),
        flush=chosen.flush_s,
        spikes=None
        if spikes is None
        else SpikeFilter(spikes.window_s, spikes.threshold, spikes.floor * factor, spikes.minimum),
    )
    return control(data, rules)


def with_errors(data: xr.Dataset, chosen: sources.Observations) -> xr.Dataset:
    """Return the observations with the error components of the configuration added."""
    n = data.sizes["obs"]
    random = [Random(r.name, np.full(n, r.sd * mole_fraction_factor(r.unit))) for r in chosen.random]
    shared = [part for s in chosen.shared for part in _shared_parts(data, s)]
    return attach(data, random, shared)


def _shared_parts(data: xr.Dataset, chosen: sources.SharedError) -> list[Shared]:
    who = Group(chosen.name, chosen.cause, chosen.by, chosen.traceable_to)
    sd = chosen.sd * mole_fraction_factor(chosen.unit)
    if chosen.duration_h is None:
        return group(data, who, sd)
    return exponential(data, who, sd, chosen.duration_h * 3600.0, chosen.step_h * 3600.0)
