"""The sections of the configuration about the air that comes in: from a record, a field, all kinds."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, InputFiles, Name, Section, Text
from pipelines.sections import Key, NotNegative, Positive, Unit
from pipelines.sources import Source, TableSource


class BackgroundParameter(Section):
    """An offset of the background, solved with the fluxes."""

    name: Name = Field(description="start of its id, for example 'offset'; the group follows")
    sd: Positive = Field(description="prior standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    by: tuple[Key, ...] = Field(
        default=(), description="one value for each of these; empty: one for all data"
    )


class BackgroundError(Section):
    """How wrong the background may be."""

    random: NotNegative = Field(default=0.0, description="sd from datum to datum, in `unit`")
    shared: NotNegative = Field(default=0.0, description="sd common to the data of a group, in `unit`")
    by: tuple[Key, ...] = Field(default=(), description="what the data of a group share; empty: all data")
    unit: Unit = Field(description="unit of the sd")
    traceable_to: Text = Field(default="not stated", description="model or station behind the background")


class ConstantBackground(Section):
    """One mole fraction for all data."""

    kind: Literal["constant"] = Field(description="'constant', 'series' or 'edge_field'")
    value: Positive = Field(description="mole fraction of the background, in the unit of `error`")
    error: BackgroundError = Field(description="uncertainty")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class SeriesBackground(Section):
    """A background for each datum, from a table."""

    kind: Literal["series"] = Field(description="'constant', 'series' or 'edge_field'")
    series: TableSource = Field(description="table with the background in place of the mole fraction")
    enhancements: tuple[TableSource, ...] = Field(
        default=(), description="tables of parts added to it that are not solved for"
    )
    error: BackgroundError = Field(description="uncertainty beside what the tables say")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class EdgeBackground(Section):
    """A field of mole fraction, read where the particles came in."""

    kind: Literal["edge_field"] = Field(description="'constant', 'series' or 'edge_field'")
    error: BackgroundError = Field(description="uncertainty")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class MethodError(Section):
    """What a background made from a record or a field does not know of the air that comes in."""

    sd: NotNegative = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    duration_h: Positive = Field(description="time in which the error is forgotten (to 1/e), h")
    step_h: Positive = Field(default=1.0, description="time over which it is constant, h")
    traceable_to: Text = Field(default="not stated", description="study behind the numbers")


class WindSector(Section):
    """The tower that is upwind while the wind comes from a sector."""

    site: Text = Field(description="background tower")
    begin: float = Field(ge=0, le=360, description="first direction, degrees clockwise from north")
    end: float = Field(ge=0, le=360, description="last direction, degrees; a sector may go over north")


class UpwindBackground(Section):
    """What the tower upwind measured at the same time."""

    kind: Literal["upwind"] = Field(description="'upwind', 'quantile' or 'curve': from a site's own record")
    record: Source = Field(description="observations of the background towers")
    sectors: tuple[WindSector, ...] = Field(min_length=1, description="which tower is upwind when")
    wind: InputFile = Field(description="CSV with the columns time (UTC) and direction (degrees)")
    most_hours: Positive = Field(default=3.0, description="longest time between datum and measurement, h")
    error: MethodError = Field(description="uncertainty beside that of the measurements")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class QuantileBackground(Section):
    """A low quantile of a record around each datum."""

    kind: Literal["quantile"] = Field(description="'upwind', 'quantile' or 'curve': from a site's own record")
    record: Source = Field(description="observations of the background site")
    quantile: float = Field(gt=0, lt=1, description="share of the data below the background, 1")
    window_h: Positive = Field(description="length of the window around each datum, h")
    error: MethodError = Field(description="uncertainty beside that of the measurements")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class CurveBackground(Section):
    """A polynomial and harmonics of the year through a record."""

    kind: Literal["curve"] = Field(description="'upwind', 'quantile' or 'curve': from a site's own record")
    record: Source = Field(description="observations of the background site")
    degree: int = Field(default=2, ge=0, le=6, description="of the polynomial in time")
    harmonics: int = Field(default=4, ge=0, le=12, description="of the year")
    error: MethodError = Field(description="uncertainty beside that of the curve's coefficients")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


class Levels(Section):
    """Where the levels of a field are."""

    variable: Text = Field(description="variable over the levels or their boundaries; also of time and place")
    of: Literal["height", "altitude", "pressure"] = Field(
        description="'height' above ground, 'altitude' above sea level, 'pressure' in the standard atmosphere"
    )
    unit: Literal["m", "km", "Pa", "hPa"] = Field(description="unit of the levels")

    @property
    def fits(self) -> bool:
        """Whether the unit is one of the quantity."""
        return (self.of == "pressure") == (self.unit in ("Pa", "hPa"))


class CurtainBackground(Section):
    """A field in longitude and latitude, read where the particles came in."""

    kind: Literal["curtain"] = Field(description="'curtain': a marine curtain or the field of a model")
    files: InputFiles = Field(description="netCDF file, or pattern of files with *")
    variable: Text = Field(description="variable with the mole fraction")
    unit: Unit | None = Field(default=None, description="its unit; none: as the file says")
    time: Text | None = Field(default="time", description="variable of times; none: one field for all times")
    latitude: Text | None = Field(default="lat", description="variable of latitudes; none: the same at all")
    longitude: Text | None = Field(
        default="lon", description="variable of longitudes; none: the same at all, as in a marine curtain"
    )
    levels: Levels | None = Field(default=None, description="its levels; none: the same at all heights")
    averaging_h: NotNegative = Field(
        default=0.0, description="length of the mean that a time stands for, h; 0 for an instant"
    )
    label: Literal["start", "middle", "end"] = Field(
        default="middle", description="part of that mean that is stamped"
    )
    scale: Text = Field(
        default="not stated",
        description="calibration scale of the field, converted to that of the observations",
    )
    error: MethodError = Field(description="uncertainty beside that of the sample of particles")
    parameters: tuple[BackgroundParameter, ...] = Field(
        default=(), description="offsets solved with the fluxes"
    )


RecordBackground = UpwindBackground | QuantileBackground | CurveBackground
Background = Annotated[
    ConstantBackground | SeriesBackground | EdgeBackground | RecordBackground | CurtainBackground,
    Field(discriminator="kind"),
]
