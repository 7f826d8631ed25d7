"""The sections of the configuration about data that come from files: observations and priors."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.fields import InputFile, Instant, Name, Section, Text
from pipelines.sections import AnySectorError, NotNegative, Positive, Unit


class Site(Section):
    """Where a site is."""

    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=360, description="degrees east")
    inlet: NotNegative | None = Field(default=None, description="inlet above ground, m; none where unknown")


class TableSource(Section):
    """Towers in a CSV or netCDF table; names are columns of the file."""

    reader: Literal["table"] = Field(description="'table', 'icos' or 'columns'")
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


class IcosSource(Section):
    """One ICOS ATC Level 2 file."""

    reader: Literal["icos"] = Field(description="'table', 'icos' or 'columns'")
    file: InputFile = Field(description="file as downloaded")
    accept_unknown_scale: bool = Field(
        default=False, description="use data whose scale the file calls Unknown"
    )


class ColumnSource(Section):
    """Columns seen from space or ground, with averaging kernels; names are columns of the file."""

    reader: Literal["columns"] = Field(description="'table', 'icos' or 'columns'")
    file: InputFile = Field(description="CSV or netCDF file")
    unit: Unit = Field(description="unit of the column mole fraction and sd in the file")
    columns: dict[Name, Text] = Field(
        default={}, description="our name -> column of the file, where they differ"
    )


Source = Annotated[TableSource | IcosSource | ColumnSource, Field(discriminator="reader")]


class Hours(Section):
    """A window of the local day."""

    first: NotNegative = Field(le=24, description="first local hour used, h")
    last: NotNegative = Field(le=24, description="end of the last local hour used, h")
    zone: Text = Field(description="time zone of the hours: 'UTC', '+08:00', 'Asia/Shanghai'")


class Selection(Section):
    """Which observations the inversion uses; what is dropped is listed with its reason."""

    hours: Hours | None = Field(default=None, description="local hours; none: all")
    start: Instant | None = Field(default=None, description="first instant used, UTC; none: the run's start")
    end: Instant | None = Field(default=None, description="end of the data used, UTC; none: the run's end")
    sites: tuple[Text, ...] = Field(default=(), description="sites used; empty: all")
    withhold: tuple[Text, ...] = Field(default=(), description="sites kept out, to test the result")


class RandomError(Section):
    """A random error added to every datum."""

    name: Name = Field(description="the cause, for example 'transport'")
    sd: Positive = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    sites: tuple[Text, ...] = Field(default=(), description="sites it applies to; empty: all")


class SharedError(Section):
    """An error with one cause common to many data."""

    name: Name = Field(description="id, for example 'tank-17'")
    cause: Name = Field(description="line of the uncertainty budget, for example 'calibration'")
    sd: Positive = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    sites: tuple[Text, ...] = Field(default=(), description="sites that share it; empty: all")
    traceable_to: Text = Field(
        default="not stated", description="reference material or certificate it rests on"
    )


class Observations(Section):
    """Observations: where they are read, which are used, how wrong they may be."""

    sources: tuple[Source, ...] = Field(default=(), description="files; none for a synthetic world")
    selection: Selection = Field(default=Selection(), description="which observations are used")
    random: tuple[RandomError, ...] = Field(default=(), description="random errors added to the readers' own")
    shared: tuple[SharedError, ...] = Field(default=(), description="shared errors added to the readers' own")


class CFPrior(Section):
    """A gridded inventory in a CF file."""

    reader: Literal["cf"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")
    sectors: dict[Name, Text] = Field(min_length=1, description="sector -> variable of the file")
    unit: Text | None = Field(default=None, description="unit of the fluxes; none: as the file says")


class OpenMethanePrior(Section):
    """The sectors of an Open Methane prior file."""

    reader: Literal["openmethane"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")


class RegionalPrior(Section):
    """A prior by region and month, to go with the responses of another model."""

    reader: Literal["regional"] = Field(description="'cf', 'openmethane' or 'regional'")
    file: InputFile = Field(description="netCDF file")
    sector: Name = Field(default="all", description="name of the one sector")


Inventory = Annotated[CFPrior | OpenMethanePrior | RegionalPrior, Field(discriminator="reader")]


class Prior(Section):
    """What is believed before any observation, and how far it is believed."""

    inventory: Inventory | None = Field(
        default=None, description="where fluxes come from; none for a synthetic world"
    )
    errors: dict[Name, AnySectorError] = Field(
        min_length=1, description="uncertainty by sector; 'default' for sectors not named"
    )
