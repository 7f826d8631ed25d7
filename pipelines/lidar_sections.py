"""The sections of the configuration about flux lidar: gates as data, planes as rows, mixing height."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, Section, Text
from pipelines.sections import NotNegative, Positive, Unit

Azimuth = Annotated[float, Field(ge=0, le=360)]


class DialSource(Section):
    """Gates of a DIAL scan, each a datum with its line of sight."""

    reader: Literal["dial"] = Field(description="'dial': a DIAL scan (docs/lidar.md)")
    file: InputFile = Field(description="netCDF file")
    site: Text = Field(description="name of the lidar")
    height: NotNegative = Field(description="of the lidar above the ground, m")
    averaging_s: Positive = Field(description="length of one ray, s")


class PlaneWind(Section):
    """Wind through a plane, one for all of it."""

    speed: Positive = Field(description="m s-1")
    speed_sd: float = Field(ge=0, lt=1, description="standard uncertainty as a share of the speed, 1")
    direction: Azimuth = Field(description="from which it blows, degrees clockwise from north")
    direction_sd: NotNegative = Field(description="standard uncertainty, degrees")


class PlaneBackground(Section):
    """The air that comes to a plane."""

    value: Positive = Field(description="mole fraction, in `unit`")
    sd: NotNegative = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of value and sd")
    by_lidar: bool = Field(
        description="measured by the same lidar: the error of the cross-section cancels from it"
    )


class Facility(Section):
    """What emits through a plane."""

    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=360, description="degrees east")
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of the emission of its cell that goes through the plane, 1",
    )


class PlaneScan(Section):
    """The emission through a plane that a DIAL scanned."""

    file: InputFile = Field(description="netCDF file of one scan of a vertical plane")
    label: Text = Field(description="name of the datum, each once")
    wind: PlaneWind = Field(description="wind at the time of the scan")
    background: PlaneBackground = Field(description="mole fraction beside the plume")
    averaging_s: Positive = Field(description="length of one ray, s")
    density_sd: NotNegative = Field(
        default=0.003, description="standard uncertainty of the air's density as a share of it, 1"
    )


class LidarPlane(PlaneScan):
    """The emission through a plane as a datum on the fluxes of the facility's cell."""

    facility: Facility = Field(description="what emits through the plane")
    representativeness_sd: NotNegative = Field(
        description="how far the emission during the scan may be off its mean over the flux interval, as a "
        "share of it, 1"
    )


class MixingFilter(Section):
    """Data are left out while the lidar's mixing height is low."""

    role: Literal["filter"] = Field(description="'filter' or 'inflate'")
    file: InputFile | None = Field(
        default=None, description="wind profiles, netCDF or CSV (docs/lidar.md); none for a synthetic world"
    )
    site: Text = Field(description="name of the lidar in the file")
    least: Positive = Field(description="least mixing height, in inlet heights")
    unknown: Literal["keep", "flag"] = Field(description="what becomes of data of which the lidar cannot say")


class MixingInflation(Section):
    """The transport error grows with the difference of the model's mixing height from the lidar's."""

    role: Literal["inflate"] = Field(description="'filter' or 'inflate'")
    file: InputFile | None = Field(
        default=None, description="wind profiles, netCDF or CSV (docs/lidar.md); none for a synthetic world"
    )
    site: Text = Field(description="name of the lidar in the file")
    unknown: NotNegative = Field(
        description="error as a share of the enhancement where the lidar cannot say, 1"
    )


Mixing = Annotated[MixingFilter | MixingInflation, Field(discriminator="role")]
