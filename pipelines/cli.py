"""The command line: reads arguments, calls one function, prints what came of it. No logic of its own."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from metroflux.errors import HeldError, MetrofluxError
from pipelines.arguments import CORES, ERR, OUT, ConfigFile, Workers
from pipelines.inverse_cli import inverse
from pipelines.observations_cli import files

cli = typer.Typer(
    help="Urban greenhouse-gas emissions from atmospheric measurements, with traceable uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(files, name="observations")
cli.add_typer(inverse)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="folder of a run")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="URL", help="existing Dask cluster, such as tcp://host:8786")
]
Resume = Annotated[bool, typer.Option("--resume", help="continue an interrupted run")]


def app() -> None:
    """Run the command line; an error is one message and its exit code, without a traceback."""
    try:
        cli(standalone_mode=True)
    except Exception as fault:
        if os.environ.get("METROFLUX_DEBUG"):
            raise
        ERR.print(f"[bold red]{type(fault).__name__}[/]", highlight=False)
        ERR.print(str(fault), markup=False, highlight=False, soft_wrap=True)
        if not isinstance(fault, MetrofluxError):
            ERR.print("This was not foreseen; 'metroflux --debug ...' shows where.", highlight=False)
        raise SystemExit(getattr(fault, "exit_code", 1)) from None


@cli.callback()
def _common(debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False) -> None:
    if debug:
        os.environ["METROFLUX_DEBUG"] = "1"


@cli.command()
def run(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
    resume: Resume = False,
    workers: Workers = CORES,
    scheduler: Scheduler = None,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="first day of the results, in place of the configured one"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the stages and stop")] = False,
) -> None:
    """Run a configuration: maps, totals, report and page into a folder."""
    if dry_run:
        from pipelines.screen import show_plan

        show_plan(config, OUT)
        return
    from pipelines.launch import launch
    from pipelines.run import Options
    from pipelines.screen import show_outcome

    outcome = launch(config, output, Options(resume, workers, scheduler, date and date.date()), OUT)
    show_outcome(outcome, OUT)
    if outcome.reasons:
        raise HeldError("held, not published: " + "; ".join(outcome.reasons))


@cli.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")] = Path(
        "runs/demo"
    ),
    resume: Resume = False,
    workers: Workers = CORES,
) -> None:
    """Run the synthetic city, whose true emissions are known."""
    from pipelines.launch import demo_config

    run(demo_config(), output, resume, workers)


@cli.command()
def validate(config: ConfigFile) -> None:
    """Check a configuration and list every fault with its line."""
    from pipelines.config import read_config

    read = read_config(config)
    OUT.print(f"{config}: ok ({read.config.run.name}, config {read.sha256[:12]})", highlight=False)


@cli.command()
def status(run_folder: RunFolder) -> None:
    """Tell how far a run is, or how it ended."""
    from pipelines.run import status as status_of
    from pipelines.screen import show_status

    show_status(status_of(run_folder), OUT)


@cli.command()
def view(
    run_folder: RunFolder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port on this machine; 0: any")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="do not open a browser")] = False,
) -> None:
    """Serve the page of a run on this machine only, and open it."""
    from pipelines.view import serve_folder

    serve_folder(run_folder, port, not no_open, OUT)


@cli.command()
def doctor() -> None:
    """Check the installation, the machine and the folders."""
    from pipelines.doctor import examine

    if not examine(OUT):
        raise SystemExit(1)


@cli.command()
def serve(
    config: ConfigFile,
    cron: Annotated[str, typer.Option(help="schedule, UTC, such as '0 2 * * *'")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder above the runs")] = Path("runs"),
    workers: Workers = CORES,
    days_ago: Annotated[
        int | None,
        typer.Option(min=0, help="each run's period begins so many days before its day; none: as configured"),
    ] = None,
) -> None:
    """Run a configuration on a schedule, with a Prefect server on this machine unless one is configured."""
    from pipelines.config import read_config

    read_config(config)
    from pipelines.serve import Schedule, serve_forever

    serve_forever(config, Schedule(cron, days_ago), output, workers, OUT)


@cli.command()
def calibrate(
    config: ConfigFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the results")],
) -> None:
    """Calibrate an analyser's raw logs with certificates: hourly observations, checks of the target tank."""
    from pipelines.calibration import calibrate_command

    calibrate_command(config, output, OUT)


@cli.command()
def trace(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="observations that metroflux wrote, or a run")
    ],
    datum_id: Annotated[str | None, typer.Argument(metavar="[DATUM_ID]", help="one datum")] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="SITE", help="the mean of the good data of a site, or of 'all'")
    ] = None,
    total: Annotated[
        str | None, typer.Option(metavar="REGION[:PERIOD]", help="a total of a run, such as domain")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="also draw it, as .svg or .png")] = None,
) -> None:
    """Tell what a datum, a mean or a total rests on: analysers, tanks, certificates, reference material."""
    from pipelines.tracing import Asked, trace_command

    trace_command(dataset, Asked(datum_id, mean, total), plot, OUT)


@cli.command()
def footprints(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]...", help="further met files")
    ] = None,
    met: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILES...", help="WRF, ERA5 or ARL files, or one met cube (zarr); several may follow"
        ),
    ] = None,
    receptors: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="columns time (UTC), latitude, longitude, height (m above ground); optional receptor (rows "
            "of one id are its points), weight (of a point), duration (s, averaging before time)",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NC", help="file to write")] = Path(
        "foot.nc"
    ),
    particles: Annotated[int, typer.Option(min=2, help="per receptor")] = 1000,
    hours: Annotated[float, typer.Option(help="how far back particles are followed")] = 24.0,
    domain: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="degrees; without it the area of the met")
    ] = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            metavar="DEG|M",
            help="cell size: 1000m or 1km gives a grid in the met's projection, 0.01deg one in longitude and "
            "latitude; a bare number is degrees below 10, else metres; without it the met's spacing",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="of all random numbers")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="the result is the same for any number")] = 1,
    smooth: Annotated[float, typer.Option(min=0, help="width of the kernel over STILT's; 0: none")] = 1.0,
    estimator: Annotated[str, typer.Option(help="growing, or half: the layer of STILT")] = "growing",
    turbulence: Annotated[
        str, typer.Option(help="similarity, or hanna_1982: as in FLEXPART, only to compare with such models")
    ] = "similarity",
    mesoscale: Annotated[
        float, typer.Option(min=0, max=1, help="slow wind fluctuations: their sd over the grid wind's")
    ] = 0.0,
    roughness: Annotated[
        float | None, typer.Option(metavar="M", help="roughness length where the met has none")
    ] = None,
    stilt: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="also write STILT's files; needs degrees")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="keep footprints and met here; what is there is not computed"),
    ] = None,
    nest: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="also a fine grid here, in a file of its own")
    ] = None,
    nest_resolution: Annotated[
        str | None, typer.Option(metavar="M", help="cell size of the fine grid, such as 250m")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="draw PNGs beside the output; without --met: of the existing one")
    ] = False,
) -> None:
    """Compute footprints of receptors from met files, without a configuration."""
    from pipelines.footprint_command import Options, footprint_command

    given = (*(met or ()), *(files or ()))
    options = Options(
        given, receptors, output, particles, hours, domain, resolution, seed, threads, smooth, estimator,
        stilt, plot, roughness, turbulence, mesoscale, store, nest, nest_resolution,
    )  # fmt: skip
    footprint_command(options, OUT, ERR)


@cli.command()
def store(
    folder: Annotated[Path, typer.Argument(metavar="STORE", help="folder of kept footprints")],
    prune_older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="remove what was made longer ago")
    ] = None,
) -> None:
    """Tell how much a store of footprints holds, or remove what is old."""
    from pipelines.footprint_command import tend_store

    tend_store(folder, prune_older_than, OUT)


if __name__ == "__main__":
    app()
