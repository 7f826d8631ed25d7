"""The part of the command line about files of observations. No logic of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.arguments import OUT
from pipelines.metrology_cli import comparisons

files = typer.Typer(help="Look at files of observations.", no_args_is_help=True)
files.add_typer(comparisons)


class MixingBy(StrEnum):
    """What tells the mixing height."""

    variance = "variance"
    aerosol = "aerosol"


@files.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="file of observations")],
    form: Annotated[
        str, typer.Option("--format", help="auto: recognised by its content; else a reader's name")
    ] = "auto",
    species: Annotated[str | None, typer.Option(help="only this gas")] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="draw each gas into a PNG in the current folder")
    ] = False,
) -> None:
    """Tell what a file of observations holds, what of it would be used, dropped and why."""
    from pipelines.inspect_command import inspect_file

    inspect_file(file, form, species, plot, OUT)


@files.command()
def profiles(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="files of one Doppler lidar")],
    site: Annotated[str, typer.Option(help="name of the lidar")],
    height: Annotated[float, typer.Option(min=0, metavar="M", help="of the lidar above the ground")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NC", help="file to write")],
    place: Annotated[
        str | None, typer.Option(metavar="LON,LAT", help="degrees, where the files do not say")
    ] = None,
    method: Annotated[
        MixingBy, typer.Option(help="mixing height by the variance of w or the edge of the aerosol")
    ] = MixingBy.variance,
    window_h: Annotated[
        float, typer.Option(metavar="H", help="vertical rays of so many hours tell one mixing height")
    ] = 1.0,
    velocity_sd: Annotated[
        float | None,
        typer.Option(min=0, metavar="M/S", help="sd of one ray; without it from the spread about the fit"),
    ] = None,
) -> None:
    """Put the files of a Doppler lidar together: wind and mixing height over time, each with its sd."""
    from pipelines.profiles_command import Lidar, place_of, profiles_command, settings_of

    lidar = Lidar(site, height, place_of(place))
    profiles_command(paths, output, lidar, settings_of(method.value, window_h, velocity_sd), OUT)
