"""The sections of the configuration about how things are computed: transport, prior, background, limits."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from pipelines.fields import InputFile, Instant, Name, OutputFolder, Section, Text

Unit = Literal["mol mol-1", "ppm", "ppb"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Key = Literal["site", "species", "inlet", "hour", "day", "week", "month"]
"""What data that share an error may have in common."""


class Run(Section):
    """What is computed, for when, by whom."""

    name: Name = Field(description="short name of the run, part of its id")
    institution: Text = Field(default="not stated", description="who makes it, for the stamp on every file")
    species: Literal["co2", "ch4"] = Field(description="gas")
    start: Instant = Field(description="first instant of the data, UTC")
    end: Instant = Field(description="end of data and results, UTC")
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


class WindErrors(Section):
    """Errors of the wind, of each component."""

    sd: NotNegative = Field(description="standard deviation, m s-1")
    length_km: Positive = Field(description="distance at which the correlation is 1/e, km")
    duration_h: Positive = Field(description="time at which the correlation is 1/e, h")
    depth_m: Positive = Field(default=1000.0, description="height at which the correlation is 1/e, m")


class MixingHeightErrors(Section):
    """Errors of the mixing height: a factor of mean 1."""

    relative_sd: NotNegative = Field(description="standard deviation of the factor, 1")
    length_km: Positive = Field(description="distance at which the correlation is 1/e, km")
    duration_h: Positive = Field(description="time at which the correlation is 1/e, h")


class TransportEnsemble(Section):
    """Transport error of the data, from the prior flux carried by perturbed weather."""

    members: int = Field(ge=2, le=1000, description="weathers; each costs as much as the footprints, 1")
    seed: int = Field(ge=0, description="seed of the errors and of the members' particles")
    wind: WindErrors = Field(description="errors of the wind")
    mixing_height: MixingHeightErrors = Field(description="errors of the mixing height")


class Particles(Section):
    """Footprints from our own particle model."""

    model: Literal["particles"] = Field(description="'particles': our own; 'response': a file of responses")
    particles: int = Field(ge=2, le=100_000, description="particles per receptor, 1")
    hours: Positive = Field(description="how far back particles are followed, h")
    seed: int = Field(ge=0, description="seed of the random numbers")
    minimum: int = Field(default=20, ge=2, description="least particles per point of a column, 1")
    column_top: Positive | None = Field(
        default=None, description="top of columns, m above ground; none: of the met"
    )
    stop_at_met_start: bool = Field(
        default=False, description="follow only to the met's start, if `hours` is longer"
    )
    estimator: Literal["growing", "half"] = Field(
        default="growing", description="layer of contact: growing with the plume, or half the mixing height"
    )
    turbulence: Literal["similarity", "hanna_1982"] = Field(
        default="similarity",
        description="set of turbulence; 'hanna_1982', that of FLEXPART, is for comparison only",
    )
    mesoscale: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="sd of slow wind fluctuations of each particle over that of the grid's wind around it, 1",
    )
    batch: int = Field(
        default=32, ge=1, le=1000, description="receptors per batch, the unit of work and of resuming"
    )
    drop_early: bool = Field(
        default=False, description="ignore sensitivity to times before the flux intervals"
    )
    ensemble: TransportEnsemble | None = Field(
        default=None, description="transport error of the data from perturbed weather; none: not added"
    )


class Response(Section):
    """Responses of another model in place of footprints."""

    model: Literal["response"] = Field(description="'particles': our own; 'response': a file of responses")
    file: InputFile = Field(description="netCDF file of responses to the emission of each region and month")
    response: Text = Field(description="variable (obs, region, month) with the responses")
    inlet: dict[Text, float] = Field(description="inlet height of each site, m above ground")
    area: Text = Field(default="region_area", description="variable (region) with the area, m2")
    region: Text = Field(default="region", description="dimension of regions")
    month: Text = Field(default="month", description="dimension of months")
    time: Text = Field(default="time", description="variable with the time of each observation")
    site: Text = Field(default="site", description="variable with the site of each observation")


Transport = Annotated[Particles | Response, Field(discriminator="model")]


class Correlation(Section):
    """How the errors of a sector's prior go together in space and time."""

    length_km: NotNegative = Field(description="correlation length of the errors, km; 0: none")
    length_y_km: Positive | None = Field(
        default=None,
        description="the same northward, km; none: as `length_km`, which is then in all directions",
    )
    per_axis: bool = Field(
        default=False, description="correlate by eastward times northward distance in place of the distance"
    )
    form: Literal["exponential", "gaussian", "matern32", "matern52"] = Field(
        default="exponential", description="correlation with distance"
    )
    duration_h: NotNegative = Field(description="correlation time of the errors, h; 0: none")
    hour_duration_h: NotNegative | None = Field(
        default=None, description="correlate by day times hour of day (this, h); none: by the lag in time"
    )


class SectorError(Correlation):
    """Prior uncertainty of one sector."""

    relative: NotNegative = Field(description="sd as a share of the flux, 1")
    floor: NotNegative = Field(description="sd where there is no flux, umol m-2 s-1, added in quadrature")


class StatedError(Correlation):
    """Prior uncertainty whose sd the prior itself states."""

    stated: Literal[True] = Field(description="true: the sd is the prior's own")


def _error_kind(value: object) -> str:
    stated = isinstance(value, StatedError) or (isinstance(value, dict) and "stated" in value)
    return "stated_sd" if stated else "given_sd"


AnySectorError = Annotated[
    Annotated[SectorError, Tag("given_sd")] | Annotated[StatedError, Tag("stated_sd")],
    Discriminator(_error_kind),
]


class Estimated(Section):
    """Something the data decide in place of the configuration, within limits about the stated value."""

    what: Literal["prior_sd", "length", "duration", "mismatch"] = Field(
        description="prior sd, correlation length or time of sectors, or sd of random errors of the data"
    )
    sectors: tuple[Text, ...] = Field(
        default=(), description="sectors; empty: all that have such a value (not for 'mismatch')"
    )
    sites: tuple[Text, ...] = Field(default=(), description="sites, for 'mismatch'; empty: all")
    causes: tuple[Text, ...] = Field(default=(), description="random errors, for 'mismatch': their names")
    each: bool = Field(default=False, description="a value for each sector or site, else one for all")
    spread: Positive = Field(
        default=1.0, description="prior sd of the logarithm of estimated over stated value, 1"
    )
    low: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="least multiple of the stated value, 1"
    )
    high: Annotated[float, Field(gt=1)] = Field(
        default=10.0, description="greatest multiple of the stated value, 1"
    )


class Offset(Section):
    """An offset of data, solved with the fluxes: the bias of a site, for example."""

    kind: Literal["offset"] = Field(description="'offset' or 'scale'")
    name: Name = Field(description="start of its id; the group follows")
    cause: Text = Field(description="line of the uncertainty budget, for example 'site bias'")
    sd: Positive = Field(description="prior standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of the sd")
    by: tuple[Key, ...] = Field(
        default=("site",), description="one value for each of these; empty: one for all data"
    )


class Scale(Section):
    """A relative error common to all data of some sites, solved with the fluxes: a lidar's cross-section."""

    kind: Literal["scale"] = Field(description="'offset' or 'scale'")
    name: Name = Field(description="its id")
    cause: Text = Field(description="line of the uncertainty budget, for example 'lidar'")
    sites: tuple[Text, ...] = Field(min_length=1, description="sites whose data it is common to")
    relative_sd: Positive = Field(description="prior standard uncertainty, 1")


SolvedParameter = Annotated[Offset | Scale, Field(discriminator="kind")]


class Inversion(Section):
    """How the fluxes are solved for."""

    memory_gb: Positive = Field(default=2.0, description="memory that the solver may plan with, GB")
    estimate: tuple[Estimated, ...] = Field(
        default=(), description="what is estimated by the evidence of the data; all else is fixed as stated"
    )
    points: Literal[1, 3, 5, 7] = Field(
        default=3,
        description="points along each estimated value at which its uncertainty is integrated; 1: not at all",
    )
    parameters: tuple[SolvedParameter, ...] = Field(
        default=(), description="offsets and scales solved with the fluxes, beside those of the background"
    )
    student_t: Annotated[float, Field(gt=2)] | None = Field(
        default=None,
        description="degrees of freedom of Student-t random errors, for data with outliers; none: Gaussian",
    )


class Regions(Section):
    """Areas that totals are made for, besides the whole domain."""

    file: InputFile = Field(description="GeoJSON of polygons in longitude and latitude")
    name: Text = Field(default="name", description="property that holds a region's name")


class Products(Section):
    """What is drawn and told."""

    title: Text = Field(default="", description="title of report and page; empty: made from the run's name")
    place: Text | None = Field(default=None, description="place that the page's first sentence names")
    groups: dict[Text, tuple[Text, ...]] = Field(
        default={}, description="further totals where only regions are known: name -> its regions"
    )
    periods: tuple[Literal["run", "day", "month", "step"], ...] = Field(
        default=("run",), min_length=1, description="periods of the totals; 'step' is every flux interval"
    )
    language: Literal["en", "zh"] = Field(default="en", description="language the page opens in")


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

    path: OutputFolder = Field(
        description="folder of the archive; relative to the folder of the configuration"
    )
    kind: Literal["icechunk", "directory"] = Field(
        default="directory",
        description="'icechunk': one repository with a commit per run; 'directory': a folder per run",
    )


class Store(Section):
    """What is kept from run to run; it changes no result, only how much is computed."""

    path: OutputFolder = Field(
        description="folder of footprints that later runs use too; relative to the folder of the "
        "configuration; workers on other machines must see it"
    )
