"""The commands about the inverse problem itself: problem, solve, osse. No logic of their own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.arguments import CORES, OUT, ConfigFile, Workers

inverse = typer.Typer()


class PositiveFluxes(StrEnum):
    """How fluxes are kept from being negative."""

    bounded = "bounded"
    lognormal = "lognormal"


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
    positive: Annotated[
        PositiveFluxes | None,
        typer.Option(help="also write fluxes that cannot be negative"),
    ] = None,
) -> None:
    """Solve an inverse problem of your own: posterior, diagnostics, totals with their budget."""
    from pipelines.problem_command import solve_command

    solve_command(file, output, memory_gb, OUT, None if positive is None else positive.value)


@inverse.command()
def osse(
    config: ConfigFile,
    draws: Annotated[int, typer.Option(min=0, help="truths drawn; 0: only the exact ranking")] = 100,
    without: Annotated[
        list[str] | None, typer.Option(metavar="SITE[,SITE]", help="a network without these; repeatable")
    ] = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="NAME,LAT,LON,HEIGHT", help="a network with it; repeatable")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="table to write, .csv or .json")
    ] = Path("osse.csv"),
    seed: Annotated[int, typer.Option(help="of truths and errors")] = 1,
    run_folder: RunOfIt = None,
    workers: Workers = CORES,
) -> None:
    """Observing-system experiment: bias, coverage, skill and information of networks, before they stand."""
    from pipelines.osse_command import Experiment, Tower, osse_command

    left_out = tuple(tuple(s.strip() for s in group.split(",")) for group in without or ())
    wanted = Experiment(draws, seed, left_out, tuple(Tower.parse(text) for text in add or ()))
    osse_command(config, wanted, output, run_folder, workers, OUT)
