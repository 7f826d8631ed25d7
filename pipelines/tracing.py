"""`metroflux trace`: what a datum, the mean of a site, or a total of a run rests on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from observations.dataset import GOOD
from observations.metrology.files import read_observations
from observations.metrology.trace import Tree, render, trace_datum, trace_mean


@dataclass(frozen=True)
class Asked:
    """What is traced, one of three.

    mean_of : a site, or "all"; total : region and period of a run, "domain:run"
    """

    datum_id: str | None = None
    mean_of: str | None = None
    total: str | None = None

    def __post_init__(self) -> None:
        if [self.datum_id, self.mean_of, self.total].count(None) != 2:
            raise ConfigError(
                "trace: expected one of: a DATUM_ID, --mean SITE (or 'all'), --total REGION[:PERIOD]"
            )


def trace_command(dataset: Path, asked: Asked, plot: Path | None, out: Console) -> None:
    """Print the tree of a datum, of the mean of the good data of a site or of a total; draw it if asked.

    Raises
    ------
    ConfigError
        If the plot is neither SVG nor PNG, or a total is asked of what is no run.
    """
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise ConfigError(f"--plot '{plot}'; expected a file that ends in .svg or .png")
    tree = _tree(dataset, asked)
    out.print(render(tree), markup=False, highlight=False, soft_wrap=True)
    if plot is not None:
        from products.trace_plot import draw_trace

        draw_trace(tree, plot)
        out.print(str(plot), markup=False, highlight=False, soft_wrap=True)


def _tree(dataset: Path, asked: Asked) -> Tree:
    ds = observations_of(dataset)
    if asked.datum_id is not None:
        return trace_datum(ds, asked.datum_id)
    if asked.total is not None:
        from pipelines.total_trace import trace_total

        region, _, period = asked.total.partition(":")
        return trace_total(dataset, ds, region, period or "run")
    everything = asked.mean_of == "all"
    chosen = np.ones(ds.sizes["obs"], dtype=bool) if everything else ds.site.values == asked.mean_of
    return trace_mean(ds, chosen & (ds.flag.values == GOOD))


def observations_of(dataset: Path) -> xr.Dataset:
    """Return the observations of a file that metroflux wrote, or those that a run used."""
    return read_observations(_of_run(dataset) if dataset.is_dir() else dataset)


def _of_run(run: Path) -> Path:
    """Return the observations that a run solved with."""
    found = sorted(run.glob(".work/*/observations.nc"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise DataError(
            f"{run}: no observations of a run in it; expected the folder of a run, or a netCDF file"
        )
    return found[-1]
