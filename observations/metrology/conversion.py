"""Carry observations with their errors from one scale to another."""

import numpy as np
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import Random, Shared, attach, components
from observations.dataset import GOOD
from observations.metrology.scales import Scales, refuse_outside

PUBLISHED = Scales()


def convert_scale(
    observations: xr.Dataset, target: str, scales: Scales = PUBLISHED, unstated_sd: float | None = None
) -> xr.Dataset:
    """Return observations on another scale, the uncertainty of each conversion one more shared component.

    Errors that the data had are multiplied by the slope. Data of one species that went through the same
    conversion share its error. Flagged data are converted without regard to the range.

    Parameters
    ----------
    target : name of the scale, in any spelling of a header
    unstated_sd : standard uncertainty, mol mol-1, of conversions that have no published one

    Raises
    ------
    DataError
        If the dataset has several species, its scale is unknown, no conversion is published, or a good value
        lies outside its range.
    ConfigError
        If a conversion has no published uncertainty and none is given.
    """
    gases = sorted(set(observations.species.values.tolist()))
    if len(gases) != 1:
        raise DataError(f"scale conversion of {', '.join(gases)} at once; expected one species")
    source = scales.canonical(str(observations.attrs["scale"]), gases[0])
    wanted = scales.canonical(target, gases[0])
    values, slope = observations.mole_fraction.values, np.ones(observations.sizes["obs"])
    good = observations.flag.values == GOOD
    added: list[tuple[str, str, np.ndarray]] = []
    for step in scales.path(source, wanted):
        refuse_outside(step, values[good])
        rise = step.slope(values)
        added = [(name, ref, column * rise) for name, ref, column in added]
        added.append((f"scale:{step.edge.name}", step.edge.reference, step.sd(values, unstated_sd)))
        values, slope = step.value(values), slope * rise
    return _with_errors(observations, values, slope, added).assign_attrs(scale=wanted)


def _with_errors(
    observations: xr.Dataset, values: np.ndarray, slope: np.ndarray, added: list[tuple[str, str, np.ndarray]]
) -> xr.Dataset:
    random, shared = components(observations)
    steep = np.where(np.isfinite(slope), slope, 1.0)
    parts = [Random(r.name, r.sd * steep) for r in random]
    common = [Shared(s.name, s.cause, s.column * steep, s.traceable_to) for s in shared]
    common += [
        Shared(name, "scale conversion", np.where(np.isfinite(column), column, 0.0), reference)
        for name, reference, column in added
        if np.nanmax(column, initial=0.0) > 0
    ]
    bare = observations.drop_dims(["random", "shared"]).assign(
        mole_fraction=observations.mole_fraction.copy(data=values)
    )
    return schema.check(attach(bare, parts, common), "observations", "scale conversion")
