"""`metroflux observations compare-plane`: plane fluxes of a DIAL against the hourly data of stacks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from rich.console import Console

from metroflux.errors import ConfigError
from metroflux.roles import check_roles
from metroflux.units import mole_fraction_factor
from observations.flux_lidar.dial import read_dial_scan
from observations.flux_lidar.plane import PlaneSettings, angle_to_normal, plane_flux
from observations.metrology.against_stacks import Passage, against_stacks
from observations.metrology.cems import Stack, StackErrors, read_campd
from observations.metrology.comparison import table
from pipelines.compare_command import comparison_table
from pipelines.fields import InputFile, Name, Section, Text
from pipelines.own_config import read_own
from pipelines.sections import NotNegative, Positive, Unit
from products.table import write_whole

Share = Annotated[float, Field(ge=0, lt=1)]


class Wind(Section):
    """Wind through a plane while it was scanned; its errors are common to the plane."""

    speed: Positive = Field(description="m s-1")
    speed_sd: Share = Field(description="standard uncertainty as a share of the speed, 1")
    direction: float = Field(ge=0, le=360, description="from which it blows, degrees clockwise from north")
    direction_sd: NotNegative = Field(description="standard uncertainty, degrees")


class Around(Section):
    """Mole fraction beside the plume."""

    value: Positive = Field(description="in `unit`")
    sd: NotNegative = Field(description="standard uncertainty, in `unit`")
    unit: Unit = Field(description="unit of value and sd")
    by_lidar: bool = Field(description="measured by the same lidar: its cross-section error cancels")


class PlaneScan(Section):
    """One scan of a plane downwind of the stacks."""

    file: InputFile = Field(description="DIAL profiles, netCDF")
    label: Name = Field(description="name of the plane in the report")
    wind: Wind = Field(description="wind through the plane")
    background: Around = Field(description="mole fraction beside the plume")


class Stacks(Section):
    """What the plant reports of itself."""

    file: InputFile = Field(description="hourly CAMPD data, JSON")
    units: tuple[Text, ...] = Field(
        default=(), description="facility-code-unit of those that the planes see; empty: all of the file"
    )
    zone: str = Field(
        pattern=r"^(UTC|[+-]\d\d:\d\d)$",
        description="standard time of the plant as a fixed offset, such as '-06:00'",
    )
    flow_sd: Share = Field(description="flow meter of a stack, all hours alike, share of the emission, 1")
    random_sd: Share = Field(description="one hour of a stack, share of the emission, 1")
    traceable_to: Text = Field(default="not stated", description="relative accuracy test audit behind it")


class PlaneComparison(Section):
    """The configuration of `metroflux observations compare-plane`."""

    planes: tuple[PlaneScan, ...] = Field(min_length=1, description="scans")
    cems: Stacks = Field(description="stacks")
    species: Literal["co2"] = Field(default="co2", description="gas that both measure")


def compare_plane_command(config: Path, output: Path | None, out: Console) -> None:
    """Print each plane against the stacks over its hours, and the mean of all; write them as CSV, kg s-1."""
    chosen = read_own(config, PlaneComparison)
    pairs, mean = against_stacks(_passages(chosen), _stacks(chosen.cems), chosen.species)
    found = table([*pairs, mean])
    if output is not None:
        write_whole(output, found.to_csv(index=False))
    out.print(comparison_table(found, "kg s-1"))


def _passages(chosen: PlaneComparison) -> list[Passage]:
    scans = {scan.label: read_dial_scan(scan.file) for scan in chosen.planes}
    if len(scans) < len(chosen.planes):
        raise ConfigError(f"planes: labels {', '.join(s.label for s in chosen.planes)}; expected each once")
    check_roles({f"plane {label}": [str(ds.attrs["provenance"])] for label, ds in scans.items()})
    found = []
    for scan in chosen.planes:
        ds, wind, around = scans[scan.label], scan.wind, scan.background
        factor = mole_fraction_factor(around.unit)
        settings = PlaneSettings(
            speed=wind.speed,
            speed_sd=wind.speed_sd,
            angle=angle_to_normal(wind.direction, float(ds.azimuth.values[0])),
            angle_sd=wind.direction_sd,
            background=around.value * factor,
            background_sd=around.sd * factor,
            cross_section_sd=float(ds.cross_section_sd),
            background_by_lidar=around.by_lidar,
        )
        times = ds.time.values
        flux = plane_flux(ds, settings, scan.label)
        found.append(Passage(flux, str(ds.attrs["species"]), times.min(), times.max()))
    return found


def _stacks(given: Stacks) -> list[Stack]:
    errors = StackErrors(given.flow_sd, given.random_sd, given.traceable_to)
    stacks = read_campd(given.file, given.zone, errors)
    known = [stack.name for stack in stacks]
    absent = [name for name in given.units if name not in known]
    if absent:
        raise ConfigError(f"cems.units: no {', '.join(absent)} in {given.file}; it has {', '.join(known)}")
    return [stack for stack in stacks if not given.units or stack.name in given.units]
