"""The sections of the configuration about meteorology; `met` makes readers of them."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, InputFiles, Section, Text

Positive = Annotated[float, Field(gt=0)]
Area = tuple[float, float, float, float]


class MetFiles(Section):
    """What the met readers have in common."""

    files: InputFiles = Field(description="pattern of the files, with *")
    roughness: Positive | None = Field(default=None, description="roughness length where files have none, m")
    levels: tuple[Positive, ...] = Field(
        default=(), description="heights of the met cube above ground, m; empty: the default"
    )
    vertical: Literal["continuity", "file"] = Field(
        default="continuity",
        description="vertical wind: balancing the cube's own horizontal winds, or the file's",
    )


class GridFiles(MetFiles):
    """What the readers of files in longitude and latitude have in common."""

    area: Area | None = Field(
        default=None, description="west, south, east, north of the part to read, degrees; none: all"
    )
    step: Positive | None = Field(
        default=None, description="distance of points on the map that such files are interpolated to, m"
    )


class WRFMet(MetFiles):
    """WRF output."""

    reader: Literal["wrf"] = Field(description="'wrf', 'era5', 'arl' or 'cf'")


class ERA5Met(GridFiles):
    """ERA5 netCDF, fields on levels and at the surface in one file or several."""

    reader: Literal["era5"] = Field(description="'wrf', 'era5', 'arl' or 'cf'")
    on: Literal["pressure", "model"] = Field(default="pressure", description="kind of levels")
    coefficients: InputFile | None = Field(
        default=None, description="CSV of a (Pa), b at half levels from the top, if the files have none"
    )
    crs: Text | None = Field(
        default=None, description="projection, if the files are projected and do not say"
    )
    cut_margin: bool = Field(default=False, description="leave out outer rows and columns without values")


class ARLMet(GridFiles):
    """ARL packed files, as HYSPLIT reads them; needs metroflux[arl]."""

    reader: Literal["arl"] = Field(description="'wrf', 'era5', 'arl' or 'cf'")
    fluxes: Literal["up", "down"] = Field(default="up", description="direction in which heat counts positive")


class CFMetSection(GridFiles):
    """Any CF files through a mapping of their names."""

    reader: Literal["cf"] = Field(description="'wrf', 'era5', 'arl' or 'cf'")
    variables: dict[Text, Text | tuple[Text, ...]] = Field(
        description="name of each quantity in the files, or several of which the first found is taken"
    )
    time: Text = Field(default="time", description="dimension of time")
    level: Text = Field(default="level", description="vertical dimension")
    y: Text = Field(default="y", description="dimension northward")
    x: Text = Field(default="x", description="dimension eastward")
    pressure: Literal["level", "hybrid", "field"] = Field(
        default="level", description="pressure is the level, a + b ps, or a variable"
    )
    coefficients: InputFile | None = Field(
        default=None, description="CSV of a (Pa), b at half levels from the top, for 'hybrid'"
    )
    wind: Literal["earth", "grid"] = Field(default="earth", description="winds along meridians or the grid")
    fluxes: Literal["up", "down"] = Field(default="up", description="direction in which heat counts positive")
    accumulation: Positive | None = Field(
        default=None, description="time over which fluxes in J m-2 are summed, s"
    )
    crs: Text | None = Field(
        default=None, description="projection, if the files are projected and do not say"
    )
    cut_margin: bool = Field(default=False, description="leave out outer rows and columns without values")


Met = Annotated[WRFMet | ERA5Met | ARLMet | CFMetSection, Field(discriminator="reader")]
