"""Read and check a configuration: every fault at once, each with its line, key and what was expected."""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from metroflux.errors import ConfigError, DataError
from metroflux.provenance import sha256_json
from pipelines import sections as s
from pipelines.air import Background, CurtainBackground
from pipelines.faults import fault_of
from pipelines.fields import Section, paths_of
from pipelines.lidar_sections import MixingInflation
from pipelines.prior_sections import Prior
from pipelines.source import Fault, read_source
from pipelines.sources import Observations
from pipelines.stacks import Plants
from pipelines.weather import Met


class Config(Section):
    """A whole configuration; docs/configuration.md is made from the descriptions of its fields."""

    run: s.Run = Field(description="what, when, by whom")
    grid: s.Grid | None = Field(
        default=None, description="flux grid; none for a synthetic world or regional responses"
    )
    world: s.World | None = Field(default=None, description="synthetic city in place of files")
    observations: Observations = Field(default=Observations(), description="data and their errors")
    met: Met | None = Field(default=None, description="meteorology for our own transport")
    transport: s.Transport = Field(description="how emissions reach the towers")
    prior: Prior = Field(description="inventory and its uncertainty")
    plants: Plants | None = Field(
        default=None, description="plants that emit above the ground, beside the prior's fluxes"
    )
    background: Background = Field(description="air that enters the domain")
    inversion: s.Inversion = Field(default=s.Inversion(), description="how the fluxes are solved for")
    regions: s.Regions | None = Field(default=None, description="areas to make totals for")
    products: s.Products = Field(default=s.Products(), description="maps, report, page")
    gate: s.Gate = Field(default=s.Gate(), description="limits of what is published")
    archive: s.Archive | None = Field(
        default=None, description="where publications are kept; none: only in the output folder"
    )
    store: s.Store | None = Field(
        default=None, description="where footprints are kept from run to run; none: only within the run"
    )

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield key and message of each thing that does not fit where this run's inputs come from."""
        if not self.run.end > self.run.start:
            yield "run.end", f"is not after run.start ({self.run.start:%Y-%m-%d %H:%M}): the period is empty"
        if self.world is not None and self.run.lead_hours != 24:
            yield "run.lead_hours", "expected 24 with a world: its weather and fluxes start a day before"
        given = {
            "observations.sources": bool(self.observations.sources),
            "prior.inventory": self.prior.inventory is not None,
            "met": self.met is not None,
            "grid": self.grid is not None,
            "regions": self.regions is not None,
        }
        needed = _NEEDED[self.origin]
        for name, is_given in given.items():
            want = needed.get(name)
            if want is not None and want != is_given:
                yield name, f"{'is missing' if want else 'is superfluous'} with inputs from {self.origin}"
        yield from self._estimation_faults()
        yield from self._lidar_faults()
        if self.origin != "files" and self.plants is not None:
            yield "plants", f"is superfluous with inputs from {self.origin}: only our own footprints of files"
        if self.origin == "responses" and self.observations.selection.by_air:
            yield "observations.selection", "by mixing height or wind needs met; there is none with responses"
        if self.origin == "responses" and self.observations.selection.local_influence is not None:
            yield "observations.selection.local_influence", "needs footprints; there are none with responses"
        yield from self._background_faults()

    def _background_faults(self) -> Iterator[tuple[str, str]]:
        kind = self.background.kind
        if self.origin == "responses" and kind in ("edge_field", "curtain"):
            yield (
                "background.kind",
                f"'{kind}' needs particles; expected 'constant', 'series' or a record's kind",
            )
        if self.origin == "files" and kind == "edge_field":
            yield (
                "background.kind",
                "'edge_field' is the field of a synthetic world; expected 'curtain' of files",
            )
        if self.origin == "a world" and kind == "curtain":
            yield "background.kind", "'curtain' is of files; expected 'edge_field', the field of the world"
        levels = self.background.levels if isinstance(self.background, CurtainBackground) else None
        if levels is not None and not levels.fits:
            wanted = "'Pa' or 'hPa'" if levels.of == "pressure" else "'m' or 'km'"
            yield "background.levels.unit", f"{levels.of} in '{levels.unit}'; expected {wanted}"

    def _estimation_faults(self) -> Iterator[tuple[str, str]]:
        for i, chosen in enumerate(self.inversion.estimate):
            key, mismatch = f"inversion.estimate.{i}", chosen.what == "mismatch"
            if mismatch != bool(chosen.causes):
                yield key, "causes are for 'mismatch', which needs them; expected the names of random errors"
            if (mismatch and chosen.sectors) or (not mismatch and chosen.sites):
                known, other = ("sites", "sectors") if mismatch else ("sectors", "sites")
                yield key, f"'{chosen.what}' is of {known}, expected no {other}"
        if self.inversion.student_t and self.inversion.estimate:
            yield (
                "inversion.student_t",
                "cannot be combined with inversion.estimate so far; expected one of them",
            )

    def _lidar_faults(self) -> Iterator[tuple[str, str]]:
        data, key = self.observations, "observations.planes"
        labels = [plane.label for plane in data.planes]
        if len(set(labels)) < len(labels):
            yield key, f"labels {', '.join(labels)}; expected each once"
        if data.planes and self.origin != "files":
            yield key, f"is superfluous with inputs from {self.origin}: a plane acts on the cells of a grid"
        if data.planes and any(part.duration_h is not None for part in data.random):
            yield key, "cannot be combined with random errors that have a duration_h so far"
        mixing, key = data.mixing, "observations.mixing"
        if mixing is not None and (mixing.file is None) != (self.origin == "a world"):
            yield (
                f"{key}.file",
                f"{'is missing' if mixing.file is None else 'is superfluous'} with inputs from {self.origin}",
            )
        if isinstance(mixing, MixingInflation) and self.origin == "responses":
            yield key, "role 'inflate' needs the met of our own footprints; expected 'filter'"
        if self.inversion.student_t and (data.planes or isinstance(mixing, MixingInflation)):
            yield "inversion.student_t", "cannot be combined with planes or role 'inflate' so far"

    @property
    def origin(self) -> str:
        """Where the inputs come from: "a world", "responses" or "files"."""
        if self.world is not None:
            return "a world"
        return "responses" if isinstance(self.transport, s.Response) else "files"

    @property
    def grid_kind(self) -> str:
        """How the grid is found: "explicit", "borrowed" from the prior, or "regions" where there is none."""
        kinds = {s.ExplicitGrid: "explicit", s.BorrowedGrid: "borrowed", type(None): "regions"}
        return kinds[type(self.grid)]

    def section(self, name: str) -> object:
        """Return a section, by dotted name, as JSON can hold it."""
        return TypeAdapter(Any).dump_python(self._part(name), mode="json")

    def files(self, name: str) -> Sequence[Path]:
        """Return the input files that a section names."""
        return list(paths_of(self._part(name)))

    def _part(self, name: str) -> Any:
        part: Any = self
        for step in name.split("."):
            part = getattr(part, step)
        return part


_NEEDED: dict[str, dict[str, bool]] = {
    "a world": {
        "observations.sources": False,
        "prior.inventory": False,
        "met": False,
        "grid": False,
        "regions": False,
    },
    "responses": {
        "observations.sources": True,
        "prior.inventory": True,
        "met": False,
        "grid": False,
        "regions": False,
    },
    "files": {"observations.sources": True, "prior.inventory": True, "met": True, "grid": True},
}
"""Which sections must (True) and must not (False) be there, by where the inputs come from."""


class Read(Section):
    """A configuration as read from a file.

    sha256 is that of its values: layout and comments do not count.
    """

    path: Path
    config: Config
    values: dict[str, Any]
    sha256: str


def read_config(path: Path, day: date | None = None) -> Read:
    """Return the checked configuration of a YAML file.

    Parameters
    ----------
    day : first day of the results in place of the configured one; the period keeps its length

    Raises
    ------
    ConfigError
        Listing all faults with their lines, if any is about the configuration itself.
    DataError
        If all that is wrong is that input files are missing.
    """
    source = read_source(path)
    faults = list(source.faults)
    config = None
    if isinstance(source.values, dict):
        try:
            config = Config.model_validate(source.values, context={"folder": path.resolve().parent})
        except ValidationError as error:
            faults += [fault_of(detail, Config, source) for detail in error.errors()]
        else:
            found = config.contradictions()
            faults += [Fault(source.line(tuple(key.split("."))), key, what) for key, what in found]
    elif not faults:
        faults.append(Fault(1, "", "is not a mapping; expected sections such as 'run' and 'transport'"))
    if faults or config is None:
        raise _error(path, faults)
    values = json.loads(json.dumps(source.values, default=str))
    if day is not None:
        config, values = _moved(config, values, day)
    return Read(path=path, config=config, values=values, sha256=sha256_json(values))


def _moved(config: Config, values: dict[str, Any], day: date) -> tuple[Config, dict[str, Any]]:
    """Return the configuration and its values with the period, and that of the data, moved to another day."""
    shift = day - config.run.start.date()

    def move(section: Section, given: dict[str, Any]) -> dict[str, Any]:
        moved = {n: v + shift for n in ("start", "end") if (v := getattr(section, n)) is not None}
        given |= {n: f"{v:%Y-%m-%dT%H:%M:%S}" for n, v in moved.items()}
        return moved

    run = config.run.model_copy(update=move(config.run, values["run"]))
    data, chosen = config.observations, config.observations.selection
    written = values.get("observations", {}).get("selection", {})
    data = data.model_copy(update={"selection": chosen.model_copy(update=move(chosen, written))})
    return config.model_copy(update={"run": run, "observations": data}), values


def _error(path: Path, faults: Sequence[Fault]) -> ConfigError | DataError:
    lines = [f"{path}: {fault}" for fault in sorted(faults, key=lambda f: f.line)]
    kind = DataError if all(fault.missing for fault in faults) else ConfigError
    return kind("\n".join(lines))
