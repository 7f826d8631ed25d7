"""The sections of the configuration about the prior: inventories and how far they are believed."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, Section, Text
from pipelines.sections import AnySectorError


class InventoryName(Section):
    """What the publisher says of an inventory."""

    name: Text = Field(default="not stated", description="name of the inventory")
    version: Text = Field(default="not stated", description="its version")
    doi: Text = Field(default="not stated", description="its DOI")


class CFPrior(Section):
    """A gridded inventory in a CF file."""

    reader: Literal["cf"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")
    sectors: dict[Text, Text] = Field(min_length=1, description="sector -> variable of the file")
    units: Text | None = Field(default=None, description="unit of the fluxes; none: as the file says")
    carbon_mass: bool = Field(default=False, description="masses are of carbon, not of the species")
    downward: tuple[Text, ...] = Field(default=(), description="sectors whose file counts uptake positive")
    per_projected_area: bool = Field(default=False, description="fluxes are per dx dy of the projection")
    broadcast_time: bool = Field(default=False, description="use the file's mean for every flux interval")
    outside_is_zero: bool = Field(
        default=False, description="cells that the file does not cover have no flux"
    )
    missing_is_zero: bool = Field(default=False, description="missing values mean no flux")
    inventory: InventoryName = Field(default=InventoryName(), description="where the numbers come from")


class OpenMethanePrior(Section):
    """The sectors of an Open Methane prior file."""

    reader: Literal["openmethane"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")


class RegionalPrior(Section):
    """A prior by region and month, to go with the responses of another model."""

    reader: Literal["regional"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")
    sector: Text = Field(description="name of its one sector")
    emission: Text = Field(description="variable (region, time) with the emission, such as Tg CO2 yr-1")
    emission_sd: Text = Field(description="variable with its standard uncertainty")
    area: Text = Field(description="variable (region) with the area")
    area_units: Literal["m2", "km2"] | None = Field(default=None, description="unit of the area, if unsaid")
    region: Text = Field(default="region", description="dimension of regions")
    time: Text = Field(default="time", description="dimension of times")
    carbon_mass: bool = Field(default=False, description="masses are of carbon, not of the species")
    inventory: InventoryName = Field(default=InventoryName(), description="where the numbers come from")


Inventory = Annotated[CFPrior | OpenMethanePrior | RegionalPrior, Field(discriminator="reader")]


class Prior(Section):
    """What is believed before any observation, and how far it is believed."""

    inventory: Inventory | None = Field(
        default=None, description="where fluxes come from; none for a synthetic world"
    )
    errors: dict[Text, AnySectorError] = Field(
        min_length=1, description="uncertainty by sector; 'default' for all not named"
    )
