"""The section of the configuration about plants with tall stacks."""

from pydantic import Field

from pipelines.fields import InputFile, Section, Text


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
    relative_sd: float = Field(ge=0, description="prior sd of each plant's emission as a share of it, 1")
    emission: Text = Field(default="emission", description="column with the emission")
    name: Text = Field(default="name", description="column with the name")
    sector: Text = Field(default="power", description="sector of all these plants")
    latitude: Text = Field(default="lat", description="column with the latitude, degrees north")
    longitude: Text = Field(default="lon", description="column with the longitude, degrees east")
    carbon_mass: bool = Field(default=False, description="masses are of carbon, not of the species")
