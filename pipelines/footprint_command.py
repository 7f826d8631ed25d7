"""`metroflux footprints`: from what was typed to what is printed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from metroflux.errors import ConfigError
from pipelines.footprint_grid import parse_resolution
from pipelines.footprints import Made, Request, inner_path, make_footprints, open_footprints
from pipelines.progress import Tell
from pipelines.watch import Paced
from transport.footprint_store import FootprintStore

_SHOWN = 5  # reasons of empty footprints on the screen; the file has all


@dataclass(frozen=True)
class Options:
    """The options of the command, as typed."""

    met: tuple[Path, ...]
    receptors: Path | None
    output: Path
    particles: int
    hours: float
    domain: str | None
    resolution: str | None
    seed: int
    threads: int
    smooth: float
    estimator: str
    stilt: Path | None
    plot: bool
    roughness: float | None = None
    turbulence: str = "similarity"
    mesoscale: float = 0.0
    store: Path | None = None
    nest: str | None = None
    nest_resolution: str | None = None


def footprint_command(options: Options, out: Console, err: Console) -> None:
    """Compute, write, draw and tell what the options ask for.

    Raises
    ------
    ConfigError
        If options lack or contradict each other.
    """
    if options.met or options.receptors is not None or not (options.plot or options.stilt):
        _show(options, _make(options, err), out)
    if options.plot or options.stilt:
        with open_footprints(options.output) as footprints:
            _draw(options, footprints, out)


def _show(options: Options, made: tuple[Made, ...], out: Console) -> None:
    for one, path in zip(made, (options.output, inner_path(options.output)), strict=False):
        out.print(_screen(options, one, path))


def _draw(options: Options, footprints: xr.Dataset, out: Console) -> None:
    if options.stilt is not None:
        from transport.interchange.stilt import write_stilt

        if "lon" not in footprints.dims:
            raise ConfigError(
                "--stilt: the footprints are not in longitude and latitude; expected such a file"
            )
        files = write_stilt(footprints, options.stilt)
        out.print(
            f"{len(files)} STILT files in {options.stilt}", markup=False, highlight=False, soft_wrap=True
        )
    if options.plot:
        from products.footprint_plot import draw_footprints

        for path in draw_footprints(footprints, options.output.with_suffix("")):
            out.print(str(path), markup=False, highlight=False, soft_wrap=True)


def _make(options: Options, err: Console) -> tuple[Made, ...]:
    lacking = [n for n, given in (("--met", options.met), ("--receptors", options.receptors)) if not given]
    if lacking:
        raise ConfigError(f"footprints: {' and '.join(lacking)} missing; see metroflux footprints --help")
    if options.estimator not in ("growing", "half"):
        raise ConfigError(f"--estimator '{options.estimator}'; expected growing or half")
    if options.turbulence not in ("similarity", "hanna_1982"):
        raise ConfigError(f"--turbulence '{options.turbulence}'; expected similarity or hanna_1982")
    if options.stilt and (options.resolution is None or not parse_resolution(options.resolution).degrees):
        raise ConfigError(
            "--stilt: its files are in longitude and latitude; expected --resolution in degrees"
        )
    assert options.receptors is not None  # noqa: S101 - said above
    request = Request(
        met=options.met, receptors=options.receptors, output=options.output, particles=options.particles,
        hours=options.hours, domain=options.domain, resolution=options.resolution, seed=options.seed,
        threads=options.threads, smoothing=options.smooth,
        roughness=options.roughness, store=options.store, nest=options.nest,
        nest_resolution=options.nest_resolution, mesoscale=options.mesoscale,
        estimator="half" if options.estimator == "half" else "growing",
        turbulence="hanna_1982" if options.turbulence == "hanna_1982" else "similarity",
    )  # fmt: skip
    with _progress(err) as tell:
        return make_footprints(request, tell)


@contextmanager
def _progress(err: Console) -> Iterator[Tell]:
    """Give what shows progress: a bar in a terminal, else a line now and then."""
    if not err.is_terminal:
        yield Paced(lambda text, _: err.print(text, markup=False, highlight=False, soft_wrap=True))
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading the met", total=None)

        def tell(text: str, figures: dict[str, float]) -> None:
            done, total = figures["receptors"], figures["receptors_total"]
            bar.update(task, description=text, completed=done, total=total)

        yield tell


def _screen(options: Options, made: Made, path: Path) -> Panel:
    """Return the summary on one screen."""
    table = Table(show_header=False, box=None, padding=(0, 1))
    for label, text in _lines(options, made):
        table.add_row(f"[bold]{label}[/]", escape(text))
    return Panel(table, title=escape(str(path)), border_style="green", expand=False)


def _lines(options: Options, made: Made) -> list[tuple[str, str]]:
    ds, grid = made.footprints, made.layout.grid
    reason = ds.reason.values.astype(str)
    count, empty = reason.size, np.flatnonzero(reason != "ok")
    cells = made.layout.cells
    shape = f"{grid.nx} x {grid.ny} cells of {grid.dx:,.0f} m, the met's projection"
    if cells is not None:
        size = float(cells.lon_bounds[0, 1] - cells.lon_bounds[0, 0])
        shape = (
            f"{cells.shape[1]} x {cells.shape[0]} cells of {size:g} degrees, "
            f"counted in cells of {grid.dx:,.0f} x {grid.dy:,.0f} m"
        )
    total = made.totals
    lines = [
        ("receptors", f"{count}, {count - empty.size} with a footprint; {options.particles} particles each"),
        ("grid", f"{shape}; {ds.sizes['lag']} hours"),
    ]
    if empty.size < count:
        seen = total > 0
        error = np.median(100 * ds.foot_sum_sd.values[seen] / total[seen])
        lines.append(
            (
                "sum",
                f"{total[seen].mean():.4g} m2 s mol-1 (ppm per umol m-2 s-1), Monte-Carlo sd {error:.1f} %",
            )
        )
    lines.append(("lost", _lost(ds, total)))
    lines += [("empty", f"{ds.datum_id.values[n]}: {reason[n]}") for n in empty[:_SHOWN]]
    if empty.size > _SHOWN:
        lines.append(("", f"and {empty.size - _SHOWN} more"))
    timing = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in made.seconds.items())
    if made.reused:
        lines.append(("store", f"{made.reused} of {count} receptors were there"))
    return [*lines, ("time", f"{timing}; {made.seconds['particles'] / count:.3f} s per receptor")]


def _lost(ds: xr.Dataset, total: np.ndarray) -> str:
    """Return how many particles left the met, and how much sensitivity fell beside the grid."""
    share = ds.outside.mean("receptor")
    parts = [
        f"{100 * float(s):.1f} % {e}" for e, s in zip(ds.edge.values, share.values, strict=True) if s > 0
    ]
    beside = float(ds.off_grid.sum())
    everything = float(total.sum()) + beside
    off = 100 * beside / everything if everything > 0 else 0.0
    edges = ", ".join(parts) or "none"
    return f"particles over the met's edges: {edges}; sensitivity beside the grid {off:.1f} %"


def tend_store(folder: Path, days: float | None, out: Console) -> None:
    """Print what a store holds, after removing what is older than some days.

    Raises
    ------
    ConfigError
        If there is no store.
    """
    kept = next((f for f in (folder / "footprints", folder) if any(f.glob("*.json"))), None)
    if kept is None:
        raise ConfigError(f"{folder}: no footprints here; expected the folder of --store or store.path")
    held = FootprintStore(kept)
    before = held.usage()
    usage = before if days is None else held.prune(days)
    out.print(
        f"{kept}: {usage.footprints} footprints in {usage.batches} batches, {usage.size / 1e6:.1f} MB, "
        f"oldest {usage.oldest:.1f} days; removed {before.footprints - usage.footprints}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
