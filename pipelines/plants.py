"""Plants with tall stacks: their section of the configuration, and their part in a run."""

import numpy as np
import xarray as xr
from pydantic import Field

from inversion.settings import Parameter
from metroflux.errors import DataError
from metroflux.grid import Grid
from pipelines.fields import InputFile, Section, Text
from priors.point_sources import Layer, PointMapping, read_elevated_sources
from transport.elevated import plant_parts

CAUSE = "plants"
"""Line of the budget that the uncertainty of plants belongs to."""


class Plants(Section):
    """Plants that emit above the ground, each solved as one number beside the fluxes."""

    file: InputFile = Field(description="CSV table, a row for each plant; none of them in the prior's fluxes")
    units: Text = Field(description="unit of the emission, such as 't yr-1'")
    height: Text = Field(
        description="column with the effective height of release: stack and plume rise, m above ground"
    )
    layer_depth: float = Field(
        default=50.0, gt=0, description="depth of the layer around that height that takes up the emission, m"
    )
    relative_sd: float = Field(ge=0, description="prior sd of each plant's emission as a share of it")
    emission: Text = Field(default="emission", description="column with the emission")
    name: Text = Field(default="name", description="column with the name")
    sector: Text = Field(default="power", description="sector of all these plants")
    latitude: Text = Field(default="lat", description="column with the latitude, degrees north")
    longitude: Text = Field(default="lon", description="column with the longitude, degrees east")
    carbon_mass: bool = Field(default=False, description="masses are of carbon, not of the species")


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
