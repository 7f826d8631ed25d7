"""`metroflux trace`: what a datum, or the mean of a site, rests on."""

from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from observations.dataset import GOOD
from observations.metrology.files import read_observations
from observations.metrology.trace import render, trace_datum, trace_mean


def trace_command(
    dataset: Path, datum_id: str | None, mean_of: str | None, plot: Path | None, out: Console
) -> None:
    """Print the tree of a datum, or of the mean of the good data of a site, and draw it if asked.

    Raises
    ------
    ConfigError
        If not exactly one of datum and mean is asked for, or the plot is neither SVG nor PNG.
    """
    if (datum_id is None) == (mean_of is None):
        raise ConfigError("trace: expected a DATUM_ID, or --mean with a site (or 'all')")
    if plot is not None and plot.suffix not in (".svg", ".png"):
        raise ConfigError(f"--plot '{plot}'; expected a file that ends in .svg or .png")
    ds = observations_of(dataset)
    if datum_id is not None:
        tree = trace_datum(ds, datum_id)
    else:
        chosen = np.ones(ds.sizes["obs"], dtype=bool) if mean_of == "all" else ds.site.values == mean_of
        tree = trace_mean(ds, chosen & (ds.flag.values == GOOD))
    out.print(render(tree), markup=False, highlight=False, soft_wrap=True)
    if plot is not None:
        from products.trace_plot import draw_trace

        draw_trace(tree, plot)
        out.print(str(plot), markup=False, highlight=False, soft_wrap=True)


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
