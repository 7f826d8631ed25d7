"""The sections of the configuration about how things are computed: transport, prior, background, limits."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from pipelines.fields import InputFile, InputFiles, Instant, Name, Section, Text

Unit = Literal["mol mol-1", "ppm", "ppb"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Run(Section):
    """What is computed, for when, by whom."""

    name: Name = Field(description="short name of the run, part of its id")
    institution: Text = Field(default="not stated", description="who makes it, for the stamp on every file")
    species: Literal["co2", "ch4"] = Field(description="gas")
    start: Instant = Field(description="first instant of the results, UTC")
    end: Instant = Field(description="end of the results, UTC")
    flux_hours: Positive | Literal["month"] = Field(
        description="length of one flux interval, h, or 'month' for calendar months"
    )
    lead_hours: NotNegative = Field(
        default=0.0,
        description="fluxes are solved from this long before the start, h: the first data saw them",
    )


class ExplicitGrid(Section):
    """The flux grid, given."""

    crs: Text = Field(description="projection in metres: 'EPSG:32633', a PROJ string or WKT")
    west: float = Field(description="western edge of the first cell, m")
    south: float = Field(description="southern edge of the first cell, m")
    dx: Positive = Field(description="cell size eastward, m")
    dy: Positive = Field(description="cell size northward, m")
    nx: int = Field(ge=1, description="number of cells eastward")
    ny: int = Field(ge=1, description="number of cells northward")


class BorrowedGrid(Section):
    """The flux grid, taken from the prior file."""

    source: Literal["prior"] = Field(alias="from", description="where the grid is taken from: 'prior'")


def _grid_kind(value: object) -> str:
    return (
        "borrowed"
        if isinstance(value, BorrowedGrid) or (isinstance(value, dict) and "from" in value)
        else "explicit"
    )


Grid = Annotated[
    Annotated[ExplicitGrid, Tag("explicit")] | Annotated[BorrowedGrid, Tag("borrowed")],
    Discriminator(_grid_kind),
]


class World(Section):
    """A synthetic city whose truth is known, in place of files."""

    seed: int = Field(ge=0, description="seed of everything drawn in the world")
    truth_seed: int = Field(
        ge=0, description="seed of the particles that carry the true fluxes, and of the errors"
    )
    cells: int = Field(ge=10, le=400, description="cells along each side")
    cell_size: Positive = Field(description="cell size, m")
    towers: int = Field(default=6, ge=1, description="number of towers")
    lidar: bool = Field(default=True, description="whether the lidar stands")
    truth: Literal["known", "drawn"] = Field(
        default="known", description="'known' differences from the prior, or 'drawn' from its uncertainty"
    )


class Met(Section):
    """Meteorology."""

    reader: Literal["wrf"] = Field(description="format of the files")
    files: InputFiles = Field(description="pattern of the files, with *")
    levels: tuple[Positive, ...] = Field(
        default=(
            10,
            30,
            60,
            100,
            150,
            220,
            300,
            400,
            550,
            750,
            1000,
            1300,
            1700,
            2200,
            2800,
            3500,
            4500,
            6000,
        ),
        min_length=2,
        description="heights of the met cube above ground, m, ascending",
    )


class Particles(Section):
    """Footprints from our own particle model."""

    model: Literal["particles"] = Field(description="'particles': our own; 'response': a file of responses")
    particles: int = Field(ge=1, le=100_000, description="particles per receptor")
    hours: Positive = Field(description="how far back particles are followed, h")
    seed: int = Field(ge=0, description="seed of the random numbers")
    batch: int = Field(
        default=24, ge=1, le=1000, description="receptors per batch, the unit of work and of resuming"
    )
    column_heights: tuple[Positive, ...] = Field(
        default=(), description="heights of the points of a column receptor, m; empty for the default"
    )


class Response(Section):
    """Responses of another model in place of footprints."""

    model: Literal["response"] = Field(description="'particles': our own; 'response': a file of responses")
    reader: Literal["regional"] = Field(description="layout of the file")
    file: InputFile = Field(description="file of responses to the flux of each region and time")
    variable: Name = Field(description="variable with the responses")
    unit: Text = Field(description="unit of the responses, for example 'ppm per kg C m-2 s-1'")


Transport = Annotated[Particles | Response, Field(discriminator="model")]


class SectorError(Section):
    """Prior uncertainty of one sector."""

    relative: NotNegative = Field(description="sd as a share of the flux, 1")
    floor: NotNegative = Field(description="sd where there is no flux, umol m-2 s-1, added in quadrature")
    length_km: Positive = Field(description="correlation length of the errors, km")
    duration_h: Positive = Field(description="correlation time of the errors, h")
    form: Literal["exponential", "gaussian"] = Field(
        default="exponential", description="correlation with distance"
    )


class StatedError(Section):
    """Prior uncertainty whose sd the prior itself states."""

    stated: Literal[True] = Field(description="true: the sd is the prior's own")
    length_km: Positive = Field(description="correlation length of the errors, km")
    duration_h: Positive = Field(description="correlation time of the errors, h")
    form: Literal["exponential", "gaussian"] = Field(
        default="exponential", description="correlation with distance"
    )


def _error_kind(value: object) -> str:
    stated = isinstance(value, StatedError) or (isinstance(value, dict) and "stated" in value)
    return "stated_sd" if stated else "given_sd"


AnySectorError = Annotated[
    Annotated[SectorError, Tag("given_sd")] | Annotated[StatedError, Tag("stated_sd")],
    Discriminator(_error_kind),
]


class Parameter(Section):
    """A column of the background solved with the fluxes."""

    name: Name = Field(description="name of the parameter")
    sd: Positive = Field(description="prior standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    per: Literal["run", "site", "day", "site-day"] = Field(
        default="run", description="one value for the run, for each site, each day, or each site and day"
    )


class Background(Section):
    """What every kind of background has."""

    parameters: tuple[Parameter, ...] = Field(default=(), description="offsets solved with the fluxes")


class ConstantBackground(Background):
    """One mole fraction for all data."""

    kind: Literal["constant"] = Field(description="'constant', 'series' or 'edge_field'")
    value: Positive = Field(description="mole fraction of the background, in `unit`")
    sd: Positive = Field(description="random standard uncertainty, in `unit`")
    shared_sd: NotNegative = Field(
        default=0.0, description="standard uncertainty common to all data, in `unit`"
    )
    unit: Unit = Field(description="unit of value and sd")


class SeriesBackground(Background):
    """A background given for each time, by a file."""

    kind: Literal["series"] = Field(description="'constant', 'series' or 'edge_field'")
    file: InputFile = Field(description="file with the series (CSV or netCDF)")
    time: Name = Field(default="time", description="column with the time")
    value: Name = Field(description="column with the mole fraction")
    sd: Name = Field(description="column with its standard uncertainty")
    unit: Unit = Field(description="unit of value and sd")
    shared_sd: NotNegative = Field(
        default=0.0, description="standard uncertainty common to all data, in `unit`"
    )


class EdgeBackground(Background):
    """A field of mole fraction, read where the particles came in."""

    kind: Literal["edge_field"] = Field(description="'constant', 'series' or 'edge_field'")
    sd: Positive = Field(description="random standard uncertainty, in `unit`")
    shared_sd: NotNegative = Field(
        default=0.0, description="standard uncertainty common to all data, in `unit`"
    )
    unit: Unit = Field(description="unit of the sd")


AnyBackground = Annotated[ConstantBackground | SeriesBackground | EdgeBackground, Field(discriminator="kind")]


class Inversion(Section):
    """Limits of the solver."""

    memory_gb: Positive = Field(default=2.0, description="memory that the solver may plan with, GB")


class Regions(Section):
    """Areas that totals are made for, besides the whole domain."""

    file: InputFile = Field(description="GeoJSON of polygons in longitude and latitude")
    name: Text = Field(default="name", description="property that holds a region's name")


class Products(Section):
    """What is drawn and told."""

    title: Text = Field(default="", description="title of report and page; empty: made from the run's name")
    periods: tuple[Literal["run", "day", "week", "month"], ...] = Field(
        default=("run",), min_length=1, description="periods of the totals"
    )
    languages: tuple[Literal["en", "zh"], ...] = Field(
        default=("en", "zh"), min_length=1, description="languages of the page"
    )


class Gate(Section):
    """Limits outside which a run is archived but held, not published."""

    chi2_min: NotNegative = Field(default=0.3, description="smallest chi2 per observation, 1")
    chi2_max: Positive = Field(default=2.0, description="largest chi2 per observation, 1")
    bias_max: Positive = Field(default=1.0, description="largest absolute mean of innovation over its sd, 1")
    observations_min: int = Field(default=10, ge=1, description="smallest number of observations used")
    outside_max: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="largest mean share of particles lost over the sides of the met domain, 1",
    )


class Archive(Section):
    """Where publications are kept."""

    path: Text = Field(description="folder of the archive; relative to the output folder of the run")
    kind: Literal["icechunk", "directory"] = Field(
        default="directory",
        description="'icechunk': one repository with a commit per run; 'directory': a folder per run",
    )
