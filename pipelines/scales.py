"""Observations and backgrounds on the configured scale."""

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import attach, components
from metroflux.units import mole_fraction_factor
from observations.background import assemble
from observations.dataset import GOOD
from observations.metrology.conversion import convert_scale
from observations.metrology.scales import Edge, Scales
from pipelines import sources

_UNSTATED = "not stated"


def on_scale(part: xr.Dataset, chosen: sources.Scale) -> xr.Dataset:
    """Return observations on the configured scale, the errors of the conversions added."""
    edges = [Edge(**edge.model_dump()) for edge in chosen.edges]
    unstated = None
    if chosen.unstated_sd is not None:
        unstated = chosen.unstated_sd * mole_fraction_factor(chosen.unit)
    return convert_scale(part, chosen.target, Scales().with_edges(edges), unstated)


def background_on_scale(
    background: xr.Dataset, observations: xr.Dataset, scale: str, chosen: sources.Scale | None
) -> xr.Dataset:
    """Return a background on the scale of the observations.

    The error of a conversion has the name that it has with observations: where both were converted by it, it
    cancels in their difference.

    Raises
    ------
    DataError
        If no conversion leads there, or none is configured and the observations say another scale.
    """
    try:
        if chosen is None:
            return _of_one_scale(background, observations, scale)
        values = observations.mole_fraction.copy(data=background.background.values)
        flag = observations.flag.copy(data=np.full(values.size, GOOD))
        bare = observations.drop_dims(["random", "shared"]).assign(mole_fraction=values, flag=flag)
        data = on_scale(attach(bare.assign_attrs(scale=scale), *components(background)), chosen)
    except DataError as fault:
        raise DataError(f"background.scale: {fault}") from None
    converted = assemble(observations, data.mole_fraction.values, *components(data))
    return converted.assign_attrs(background.attrs)


def _of_one_scale(background: xr.Dataset, observations: xr.Dataset, scale: str) -> xr.Dataset:
    species, own = str(observations.species.values[0]), str(observations.attrs.get("scale", _UNSTATED))
    if _UNSTATED not in (scale, own) and len({Scales().canonical(s, species) for s in (scale, own)}) > 1:
        raise DataError(
            f"the background is on {scale}, the data on {own}; expected observations.scale, to carry both "
            "to one"
        )
    return background
