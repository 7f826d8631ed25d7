"""The sections of the configuration about the air that comes in, from a record and all kinds together."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, Section, Text
from pipelines.sections import NotNegative, Positive, Unit
from pipelines.sources import (
    BackgroundParameter,
    ConstantBackground,
    EdgeBackground,
    SeriesBackground,
    Source,
)


class MethodError(Section):
    """What a background made from a record does not know of the air that comes in."""

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


RecordBackground = UpwindBackground | QuantileBackground | CurveBackground
Background = Annotated[
    ConstantBackground | SeriesBackground | EdgeBackground | RecordBackground, Field(discriminator="kind")
]
