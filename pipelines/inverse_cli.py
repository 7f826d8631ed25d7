"""The commands about the inverse problem itself: problem, solve, osse. No logic of their own."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.arguments import CORES, OUT, ConfigFile, Workers

inverse = typer.Typer()
RunOfIt = Annotated[
    Path | None, typer.Option("--run", metavar="RUN", help="run of it, whose stages need no repeating")
]


@inverse.command()
def problem(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NC", help="file to write")],
    run_folder: RunOfIt = None,
    workers: Workers = CORES,
) -> None:
    """Write the inverse problem of a configuration as a file that `solve` takes (docs/problem.md)."""
    from pipelines.problem_command import problem_command

    problem_command(config, output, run_folder, workers, OUT)


@inverse.command()
def solve(
    file: Annotated[Path, typer.Argument(metavar="PROBLEM", help="problem, netCDF (docs/problem.md)")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NC", help="file to write")],
    memory_gb: Annotated[float, typer.Option(min=0, help="most memory for the solution, GB")] = 4.0,
) -> None:
    """Solve an inverse problem of your own: posterior, diagnostics, totals with their budget."""
    from pipelines.problem_command import solve_command

    solve_command(file, output, memory_gb, OUT)
