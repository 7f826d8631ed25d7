"""What the command line prints: the plan, the outcome on one screen, the state of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from pipelines.run import Outcome

PLACES = (
    "viewer/index.html", "report.html", "totals.csv", "maps",
    "posterior.nc", "diagnostics.nc", "truth.nc", "manifest.json",
)  # fmt: skip


def show_plan(config: Path, console: Console) -> None:
    """Print the stages of a configuration and what each reads."""
    from pipelines.config import read_config
    from pipelines.stages import plan

    read = read_config(config)
    table = Table("stage", "from", "makes", title=f"{read.config.run.name}: stages", title_justify="left")
    for stage in plan(read.config):
        table.add_row(stage.name, ", ".join(stage.inputs), ", ".join(stage.outputs))
    console.print(table)


def show_outcome(outcome: Outcome, console: Console) -> None:
    """Print the result on one screen: totals with interval, fit, where the files are."""
    summary = outcome.summary
    table = Table(show_header=False, box=None, padding=(0, 1))
    for label, text in summary_lines(summary):
        table.add_row(f"[bold]{label}[/]", escape(text))
    table.add_row("", "")
    for name in PLACES:
        if (outcome.folder / name).exists():
            table.add_row("", escape(str(outcome.folder / name)))
    colour = "yellow" if outcome.reasons else "green"
    state = "held" if outcome.reasons else "published"
    console.print(Panel(table, title=f"{escape(outcome.run_id)}: {state}", border_style=colour, expand=False))


def summary_lines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return label and text of each line of the summary."""
    unit = summary["unit"]
    lines = [
        ("before", _interval(summary["prior"], summary["prior_sd"], unit)),
        ("after", _interval(summary["posterior"], summary["posterior_sd"], unit)),
    ]
    if "truth" in summary:
        z = (summary["posterior"] - summary["truth"]) / summary["posterior_sd"]
        lines.append(("truth", f"{summary['truth']:,.4g} {unit} ({abs(z):.1f} standard uncertainties away)"))
    fit = f"chi2 per observation {summary['chi2_per_observation']:.2f}, DOFS {summary['dofs']:.1f}"
    return [*lines, ("fit", f"{fit}, {summary['observations']} observations")]


def _interval(mean: float, sd: float, unit: str) -> str:
    half = 1.96 * sd
    return f"{mean:,.4g} {unit}, 95 % interval {mean - half:,.4g} to {mean + half:,.4g}"


def show_status(state: Mapping[str, Any], console: Console) -> None:
    """Print how far a run is."""
    console.print(f"{state['run_id']}: {state['status']}", markup=False, highlight=False)
    for stage in state["stages"]:
        reused = "  reused" if stage["reused"] else ""
        console.print(
            f"  {stage['stage']:<18} {stage['seconds']:8.1f} s{reused}", markup=False, highlight=False
        )
    if state.get("progress"):
        console.print(f"  now: {state['progress']}", markup=False, highlight=False)
    for reason in state.get("reasons", ()):
        console.print(f"held: {reason}", markup=False, highlight=False)
