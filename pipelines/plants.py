"""Plants with tall stacks: what they add to the air of the towers, as numbers to solve for."""

import numpy as np
import xarray as xr

from inversion.settings import Parameter
from metroflux.errors import DataError
from metroflux.grid import Grid
from pipelines.stacks import Plants
from priors.point_sources import Layer, PointMapping, read_elevated_sources
from transport.elevated import plant_parts

CAUSE = "plants"
"""Line of the budget that the uncertainty of plants belongs to."""


def sources_of(chosen: Plants, species: str, grid: Grid) -> xr.Dataset:
    """Return the plants inside the grid."""
    mapping = PointMapping(
        species=species,
        units=chosen.units,
        name=chosen.name,
        latitude=chosen.latitude,
        longitude=chosen.longitude,
        emission=chosen.emission,
        one_sector=chosen.sector,
        stack_height=chosen.height,
        carbon_mass=chosen.carbon_mass,
    )
    return read_elevated_sources(chosen.file, mapping, grid, Layer(chosen.layer_depth, chosen.relative_sd))


def with_plants(
    background: xr.Dataset, footprints: xr.Dataset, plants: xr.Dataset
) -> tuple[xr.Dataset, list[Parameter]]:
    """Return the background with what the plants are thought to add, and a parameter for each plant seen.

    A parameter is the change of what its plant adds on average, mol mol-1: over its prior sd and times
    `relative_sd` it is the relative change of the emission.

    Raises
    ------
    DataError
        If the footprints are not those of the data, in their order.
    """
    if not np.array_equal(footprints.datum_id.values.astype(str), background.datum_id.values.astype(str)):
        raise DataError("plants: their footprints are of other data than the background; expected the same")
    parts = plant_parts(footprints, plants)
    mean = parts.mean("receptor").values
    rate, sd = plants.emission.values, plants.emission_sd.values
    solved = [k for k in range(mean.size) if mean[k] > 0 and sd[k] > 0]
    parameters = [
        Parameter(
            f"plant:{plants.source.values[k]}",
            CAUSE,
            parts.values[:, k] / mean[k],
            float(mean[k] * sd[k] / rate[k]),
        )
        for k in solved
    ]
    values = background.background.values + parts.values.sum(axis=1)
    return background.assign(background=background.background.copy(data=values)), parameters
