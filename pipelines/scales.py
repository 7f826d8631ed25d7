"""Observations on the configured scale."""

import xarray as xr

from metroflux.units import mole_fraction_factor
from observations.metrology.conversion import convert_scale
from observations.metrology.scales import Edge, Scales
from pipelines import sources


def on_scale(part: xr.Dataset, chosen: sources.Scale) -> xr.Dataset:
    """Return observations on the configured scale, the errors of the conversions added."""
    edges = [Edge(**edge.model_dump()) for edge in chosen.edges]
    unstated = None
    if chosen.unstated_sd is not None:
        unstated = chosen.unstated_sd * mole_fraction_factor(chosen.unit)
    return convert_scale(part, chosen.target, Scales().with_edges(edges), unstated)
