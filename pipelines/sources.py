"""The sections of the configuration about data that come from files: observations and priors."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, Instant, Name, Section, Text
from pipelines.lidar_sections import DialSource, LidarPlane, Mixing
from pipelines.quality import Quality
from pipelines.sections import Key, NotNegative, Positive, Unit


class Site(Section):
    """Where a site is."""

    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=360, description="degrees east")
    inlet: NotNegative | None = Field(default=None, description="inlet above ground, m; none where unknown")


class TableSource(Section):
    """Towers in a CSV or netCDF table; names are columns of the file."""

    reader: Literal["table"] = Field(description="'table', 'columns', 'calibrated', 'auto' or a format")
    file: InputFile = Field(description="CSV or netCDF file")
    unit: Unit = Field(description="unit of mole fraction and sd in the file")
    sites: dict[Text, Site] = Field(description="each site of the file and its place")
    time: Text = Field(default="time", description="column with the time stamp")
    mole_fraction: Text = Field(default="mole_fraction", description="column with the mole fraction")
    site: Text | None = Field(default=None, description="column with the site; none: all rows are one site")
    latitude: Text | None = Field(default=None, description="column with the latitude, degrees north")
    longitude: Text | None = Field(default=None, description="column with the longitude, degrees east")
    inlet: Text | None = Field(default=None, description="column with the inlet height, m")
    sd: dict[Text, Text] = Field(default={}, description="name of each random error -> column with its sd")
    n_samples: Text | None = Field(default=None, description="column with the number of samples")
    flag: Text | None = Field(default=None, description="column with the provider's flag")
    good_flags: tuple[Text, ...] = Field(default=(), description="values of the flag that are good")
    zone: Text = Field(default="UTC", description="time zone of the stamps: 'UTC', '+08:00', 'Asia/Shanghai'")
    time_format: Text | None = Field(
        default=None, description="strptime format of the stamps; none: ISO 8601"
    )
    label: Literal["start", "middle", "end"] = Field(
        default="start", description="part of the averaging interval that is stamped"
    )
    averaging_s: NotNegative = Field(default=3600.0, description="length of the averaging interval, s")
    missing: tuple[Text, ...] = Field(default=(), description="spellings of a missing value")
    plausible: tuple[float, float] | None = Field(
        default=None, description="least and greatest possible value, in `unit`"
    )
    scale: Text = Field(default="not stated", description="calibration scale, for example 'WMO CO2 X2019'")
    separator: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="field separator of a text file"
    )


class FormatSource(Section):
    """One file in a published format; the file says what it holds, the rest is given here."""

    reader: Literal[
        "auto", "icos", "icos-netcdf", "icos-plain", "icos-cities", "obspack", "noaa-event", "wdcgg",
        "gcwerks", "agage-text", "agage-netcdf", "beaco2n", "tccon", "em27", "satellite",
    ] = Field(description="format of the file, or 'auto': recognised by its content")  # fmt: skip
    file: InputFile = Field(description="file as downloaded")
    sites: dict[Text, Site] = Field(
        default={}, description="place of sites, in place of what the file says; needed where it says none"
    )
    scale: Text | None = Field(
        default=None, description="calibration scale where the file says none; which one where it has several"
    )
    averaging_s: Positive | None = Field(
        default=None, description="length of the averaging interval where the file says none, s"
    )
    accept_unknown_scale: bool = Field(
        default=False, description="use data whose scale the file calls unknown"
    )
    uncertainty_file: InputFile | None = Field(
        default=None, description="file beside it that states the uncertainty: AGAGE '.precisions.C'"
    )


class ColumnSource(Section):
    """Columns of air seen from above, with averaging kernels; names are columns of the file."""

    reader: Literal["columns"] = Field(description="'table', 'columns', 'calibrated', 'auto' or a format")
    file: InputFile = Field(description="CSV file")
    unit: Unit = Field(description="unit of value, uncertainty and bias_sd")
    site: Text = Field(description="name given to all soundings, for example 'TROPOMI'")
    value: Text = Field(default="value", description="column with the mole fraction")
    uncertainty: Text = Field(default="uncertainty", description="column with its standard uncertainty")
    time: Text = Field(default="time", description="column with the time")
    latitude: Text = Field(default="latitude_center", description="column with the latitude, degrees north")
    longitude: Text = Field(default="longitude_center", description="column with the longitude, degrees east")
    kernel: Text = Field(default="obs_kernel", description="column with the averaging kernel, a list per row")
    layer_order: Literal["top-first", "surface-first"] = Field(
        default="top-first", description="order of the kernel's layers in the file"
    )
    prior_profile: Text | None = Field(default="ref_profile", description="column with the retrieval's prior")
    quality: Text | None = Field(default="qa_value", description="column with a quality figure")
    min_quality: float = Field(default=0.5, description="least quality used, 1")
    bias_sd: NotNegative = Field(default=0.0, description="sd of an error common to all soundings, in `unit`")
    duration_s: NotNegative = Field(default=0.0, description="length of one sounding, s")
    scale: Text = Field(default="not stated", description="calibration scale")


class CalibratedSource(Section):
    """Observations that `metroflux calibrate` wrote, with all their errors."""

    reader: Literal["calibrated"] = Field(description="'table', 'columns', 'calibrated', 'auto' or a format")
    file: InputFile = Field(description="netCDF file")


Source = Annotated[
    TableSource | FormatSource | ColumnSource | CalibratedSource | DialSource, Field(discriminator="reader")
]


class LocalInfluence(Section):
    """A limit on how much of what a datum sees lies near its site, where no grid resolves it."""

    radius_km: Positive = Field(description="distance from the site that counts as near, km")
    most: float = Field(gt=0, le=1, description="greatest share of the footprint within it, 1")


class Selection(Section):
    """Which observations the inversion uses; what is dropped is listed with its reason."""

    start: Instant | None = Field(default=None, description="first instant used, UTC; none: the run's start")
    end: Instant | None = Field(default=None, description="end of the data used, UTC; none: the run's end")
    hours: tuple[NotNegative, NotNegative] | None = Field(
        default=None, description="from and to, local hours of the day, h; [22, 4] goes over midnight"
    )
    zone: Text = Field(default="UTC", description="time zone of `hours`: 'UTC', '+08:00', 'Asia/Shanghai'")
    sites: tuple[Text, ...] = Field(default=(), description="sites used; empty: all")
    accept_flags: tuple[Text, ...] = Field(default=(), description="flag meanings used beside 'good'")
    mixing_above_inlet: float | None = Field(
        default=None, description="how far the mixing height must lie above the inlet, m"
    )
    min_wind: NotNegative | None = Field(default=None, description="least wind speed at the inlet, m s-1")
    local_influence: LocalInfluence | None = Field(
        default=None, description="limit on what is seen near the site, by the footprints; none: no limit"
    )

    @property
    def by_air(self) -> bool:
        """Whether a limit needs the met."""
        return self.mixing_above_inlet is not None or self.min_wind is not None


class RandomError(Section):
    """A random error added to every datum."""

    name: Name = Field(description="the cause, for example 'transport'")
    sd: Positive = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    duration_h: Positive | None = Field(
        default=None, description="correlation time at a site, h; none: independent from datum to datum"
    )


class SharedError(Section):
    """An error with one cause common to many data."""

    name: Name = Field(description="start of its id, for example 'tank'; the group follows")
    cause: Name = Field(description="line of the uncertainty budget, for example 'calibration'")
    sd: Positive = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    by: tuple[Key, ...] = Field(
        default=(), description="what data with the same error share; empty: all data"
    )
    traceable_to: Text = Field(
        default="not stated", description="reference material or certificate it rests on"
    )
    duration_h: Positive | None = Field(
        default=None, description="time in which the error is forgotten (to 1/e), h; none: it is constant"
    )
    step_h: Positive = Field(default=1.0, description="with `duration_h`: time over which it is constant, h")


class ScaleEdge(Section):
    """A conversion between two scales, y = c0 + c1 x + c2 x2, with its own uncertainty."""

    source: Text = Field(description="scale of x")
    target: Text = Field(description="scale of y")
    coefficients: tuple[float, float, float] = Field(description="c0, c1, c2 in `unit`")
    unit: Unit = Field(description="unit of coefficients, sd and valid")
    sd: NotNegative = Field(description="standard uncertainty of y, in `unit`")
    valid: tuple[float, float] = Field(description="least and greatest x, in `unit`")
    reference: Text = Field(description="who published it, or the report behind it")


class Scale(Section):
    """The calibration scale that all observations are carried to."""

    target: Text = Field(description="scale, as in a file's header: 'WMO CO2 X2019'")
    unstated_sd: NotNegative | None = Field(
        default=None,
        description="sd of a conversion whose publisher states none, in `unit`; none: such one is refused",
    )
    unit: Unit = Field(default="ppm", description="unit of unstated_sd")
    edges: tuple[ScaleEdge, ...] = Field(default=(), description="further conversions: a national scale")


class Observations(Section):
    """Observations: where they are read, which are used, how wrong they may be."""

    sources: tuple[Source, ...] = Field(default=(), description="files; none for a synthetic world")
    scale: Scale | None = Field(default=None, description="scale to convert to; none: as the files say")
    quality: Quality = Field(default=Quality(), description="what is flagged beside the provider's flags")
    selection: Selection = Field(default=Selection(), description="which observations are used")
    random: tuple[RandomError, ...] = Field(default=(), description="random errors added to the readers' own")
    shared: tuple[SharedError, ...] = Field(default=(), description="shared errors added to the readers' own")
    planes: tuple[LidarPlane, ...] = Field(
        default=(), description="emissions through planes of a DIAL, data on the fluxes themselves"
    )
    mixing: Mixing | None = Field(
        default=None, description="a lidar's mixing height as judge of the data; none: not used"
    )
