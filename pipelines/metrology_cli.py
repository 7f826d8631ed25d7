"""The part of the command line that compares results: sites, travelling cylinders, lidar and stacks."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.arguments import OUT, ConfigFile

comparisons = typer.Typer()


@comparisons.command()
def compare(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="observations that metroflux wrote, or a run")
    ],
    sites: Annotated[list[str] | None, typer.Argument(metavar="[SITE]...", help="default: all")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="CSV", help="also write it")
    ] = None,
) -> None:
    """Compare sites over their common hours, with the errors that they share: E_n, zeta."""
    from pipelines.compare_command import compare_sites

    compare_sites(dataset, tuple(sites or ()), output, OUT)


@comparisons.command()
def equivalence(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="comparison.json of each `metroflux calibrate`")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="CSV", help="also write it, in mol mol-1")
    ] = None,
) -> None:
    """Combine what several analysers found for one travelling cylinder: degrees of equivalence, chi2."""
    from pipelines.transfer_command import equivalence_command

    equivalence_command(files, output, OUT)


@comparisons.command()
def compare_plane(
    config: ConfigFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="CSV", help="also write it, in kg s-1")
    ] = None,
) -> None:
    """Compare plane fluxes of a DIAL with the hourly data of stacks: E_n, zeta, and the mean of all."""
    from pipelines.plane_command import compare_plane_command

    compare_plane_command(config, output, OUT)
