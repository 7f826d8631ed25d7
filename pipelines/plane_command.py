"""`metroflux observations compare-plane`: plane fluxes of a DIAL against the hourly data of stacks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from rich.console import Console

from metroflux.errors import ConfigError
from metroflux.roles import check_roles
from observations.flux_lidar.dial import ray_ids, read_dial_scan
from observations.metrology.against_stacks import Passage, against_stacks
from observations.metrology.cems import Stack, StackErrors, read_campd
from observations.metrology.comparison import table
from pipelines.compare_command import comparison_table
from pipelines.fields import InputFile, Section, Text
from pipelines.lidar import measure
from pipelines.lidar_sections import PlaneScan
from pipelines.own_config import read_own
from products.table import write_whole

Share = Annotated[float, Field(ge=0, lt=1)]


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
    labels = [scan.label for scan in chosen.planes]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"planes: labels {', '.join(labels)}; expected each once")
    check_roles({f"plane {scan.label}": ray_ids(read_dial_scan(scan.file)) for scan in chosen.planes})
    found = [measure(scan, chosen.species) for scan in chosen.planes]
    return [Passage(one.result, chosen.species, one.begin, one.end) for one in found]


def _stacks(given: Stacks) -> list[Stack]:
    errors = StackErrors(given.flow_sd, given.random_sd, given.traceable_to)
    stacks = read_campd(given.file, given.zone, errors)
    known = [stack.name for stack in stacks]
    absent = [name for name in given.units if name not in known]
    if absent:
        raise ConfigError(f"cems.units: no {', '.join(absent)} in {given.file}; it has {', '.join(known)}")
    return [stack for stack in stacks if not given.units or stack.name in given.units]
