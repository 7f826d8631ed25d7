"""`metroflux calibrate`: a configuration of its own, and what is written of an analyser's log."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from rich.console import Console
from rich.table import Table

from metroflux.errors import ConfigError
from metroflux.provenance import sha256_file
from metroflux.units import mole_fraction_factor
from observations.dataset import SUSPECT
from observations.metrology.analysis import Place, Settings
from observations.metrology.calibration import Calibrated, calibrate
from observations.metrology.certificates import Standard, read_tanks
from observations.metrology.dcc import standard_of
from observations.metrology.files import write_observations
from observations.metrology.picarro import read_logs
from observations.metrology.runs import Ports
from observations.metrology.trace import shown
from observations.metrology.transfer_file import transfer_text
from observations.metrology.travelling import frame
from observations.metrology.water import WaterCorrection, published
from pipelines.fields import InputFile, InputFiles, Name, Section, Text
from pipelines.own_config import read_own
from pipelines.sections import NotNegative, Positive, Unit
from pipelines.transfer_command import transfer_table
from products.table import write_whole


class AnalyserPlace(Section):
    """Where the analyser stands."""

    site: Name = Field(description="name of the site")
    latitude: float = Field(ge=-90, le=90, description="degrees north")
    longitude: float = Field(ge=-180, le=360, description="degrees east")
    analyser: Text = Field(description="serial number")


class Valves(Section):
    """What is connected to each position of the valve."""

    standards: dict[int, Text] = Field(description="port -> tank that calibrates")
    target: dict[int, Text] = Field(default={}, description="port -> tank that checks and never calibrates")
    travelling: dict[int, Text] = Field(
        default={},
        description="port -> tank of a comparison, measured as air; tanks may have a later certificate",
    )
    air: dict[int, NotNegative] = Field(min_length=1, description="port -> inlet height, m above ground")


class Water(Section):
    """Correction to dry air, dry = wet / (1 + a H + b H2) with H in %."""

    a: float | None = Field(default=None, description="coefficient, %-1; none: as published for the gas")
    b: float | None = Field(default=None, description="coefficient, %-2; none: as published for the gas")
    a_sd: NotNegative = Field(description="standard uncertainty of a, %-1")
    b_sd: NotNegative = Field(description="standard uncertainty of b, %-2")
    traceable_to: Text = Field(default="Rella et al. 2013", description="experiment that gave them")


class Response(Section):
    """Form of the analysis function (ISO 6143)."""

    degree: Literal[1, 2] = Field(default=1, description="1, a line, or 2, a curve")


class Certificate(Section):
    """One Digital Calibration Certificate (XML)."""

    file: InputFile = Field(description="XML file")
    quantity: Text = Field(description="refType of the quantity that is the certified mole fraction")
    scale: Text = Field(description="calibration scale")
    parent: str = Field(default="", description="id of the reference material behind it")
    parent_sd: NotNegative = Field(
        default=0.0,
        description="its part of the standard uncertainty, common to tanks of one parent, in `unit`",
    )


class Calibration(Section):
    """The configuration of `metroflux calibrate`."""

    species: Literal["co2", "ch4"] = Field(description="gas")
    place: AnalyserPlace = Field(description="analyser and site")
    logs: InputFiles = Field(description="Picarro DataLog_User files")
    tanks: InputFile | None = Field(default=None, description="tanks CSV")
    certificates: tuple[Certificate, ...] = Field(default=(), description="further certificates, XML")
    ports: Valves = Field(description="valve positions")
    water: Water = Field(description="water correction")
    response: Response = Field(default=Response(), description="form of the analysis function")
    unit: Unit = Field(default="ppm", description="unit of run_sd, drift_sd and parent_sd")
    flush_s: NotNegative = Field(default=120.0, description="beginning of each run that is not used, s")
    event_gap_h: Positive = Field(default=2.0, description="pause that separates two calibrations, h")
    run_sd: NotNegative = Field(default=0.0, description="sd from run to run beyond the scatter, in `unit`")
    drift_sd: NotNegative = Field(
        description="random walk of the analyser, in `unit` per square root of a day"
    )


def calibrate_command(config: Path, output: Path, out: Console) -> None:
    """Calibrate the logs of a configuration; write observations, checks, comparisons, plot; show them."""
    from products.calibration_plot import draw_calibration

    chosen = read_own(config, Calibration)
    done = calibrate_logs(chosen)
    output.mkdir(parents=True, exist_ok=True)
    inputs = [*chosen.logs, *([chosen.tanks] if chosen.tanks else []), *(c.file for c in chosen.certificates)]
    ids = " ".join(f"{path.name}:{sha256_file(path)}" for path in inputs)
    write_observations(done.observations.assign_attrs(input_ids=ids), output / "observations.nc")
    done.checks.to_csv(output / "checks.csv", index=False)
    factor, unit = shown(chosen.species)
    draw_calibration(done.observations, done.checks, (factor, unit), output / "calibration.png")
    out.print(_screen(done, factor, unit))
    names = ["observations.nc", "checks.csv", "calibration.png"]
    if done.transfers:
        write_whole(output / "comparison.csv", frame(done.transfers).to_csv(index=False))
        write_whole(output / "comparison.json", transfer_text(done.transfers))
        names += ["comparison.csv", "comparison.json"]
        out.print(transfer_table(done.transfers))
    for name in names:
        out.print(str(output / name), markup=False, highlight=False, soft_wrap=True)


def calibrate_logs(chosen: Calibration) -> Calibrated:
    """Return what the library makes of a configuration."""
    factor = mole_fraction_factor(chosen.unit)
    settings = Settings(
        chosen.species, _water(chosen), chosen.flush_s, chosen.event_gap_h, chosen.run_sd * factor,
        chosen.drift_sd * factor, chosen.response.degree,
    )  # fmt: skip
    valves = chosen.ports
    ports = Ports(valves.standards, valves.target, valves.air, valves.travelling)
    wet = read_logs(chosen.logs, chosen.species)
    return calibrate(wet, ports, _standards(chosen), settings, Place(**chosen.place.model_dump()))


def _water(chosen: Calibration) -> WaterCorrection:
    given = chosen.water
    if given.a is None and given.b is None:
        return published(chosen.species, given.a_sd, given.b_sd)
    if given.a is None or given.b is None:
        raise ConfigError("water: a or b alone; expected both, or neither for the published ones")
    return WaterCorrection(given.a, given.b, given.a_sd, given.b_sd, given.traceable_to)


def _standards(chosen: Calibration) -> list[Standard]:
    tanks = read_tanks(chosen.tanks) if chosen.tanks else []
    factor = mole_fraction_factor(chosen.unit)
    return tanks + [
        standard_of(c.file, c.quantity, chosen.species, c.scale, c.parent, c.parent_sd * factor)
        for c in chosen.certificates
    ]


def _screen(done: Calibrated, factor: float, unit: str) -> Table:
    """Return the checks of the target tank, and the fit in the title."""
    ds, fit = done.observations, done.fit
    title = (
        f"{ds.sizes['obs']} hours; {fit.coefficients.shape[0]} calibrations; largest misfit "
        f"{abs(fit.residual).max():.2f} u (ISO 6143: below 2); chi2 {fit.chi2:.2f} for {fit.freedom}; "
        f"{int((ds.flag.values == SUSPECT).sum())} hours beyond the standards, flagged suspect"
    )
    table = Table(title=title)
    for head in ("target run", "tank", f"bias, {unit}", "u", "E_n", "WMO goal", "within"):
        table.add_column(head)
    for row in done.checks.to_dict("records"):
        table.add_row(
            str(row["time"])[:16], str(row["tank"]), f"{row['bias'] * factor:+.3f}",
            f"{row['bias_sd'] * factor:.3f}", f"{row['e_n']:+.2f}", f"{row['goal'] * factor:g}",
            "yes" if row["within"] else "NO",
        )  # fmt: skip
    return table
