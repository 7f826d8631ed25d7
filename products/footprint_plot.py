"""Footprints on paper: where and when the air of a receptor was near the ground; nothing is fetched."""

import re
from pathlib import Path
from typing import Any

import cartopy.crs as ccrs
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from metroflux.errors import DataError
from metroflux.grid import Grid
from products import colours

Floats = npt.NDArray[np.float64]

INK, SOFT, TEAL, AMBER = "#1d2733", "#5b6673", "#0f7f93", "#d98a1f"
MOST = 12
"""Receptors drawn one by one; of more only their mean is drawn."""

_DECADES = 4
_LEVELS = (0.5, 0.9)  # shares of the sum inside the contours
_UNIT = "m² s mol⁻¹"


def draw_footprints(footprints: xr.Dataset, stem: Path) -> list[Path]:
    """Draw each receptor's footprint (up to `MOST`), and the mean of several; return the files.

    footprints : dataset `footprints` or `footprints_lonlat`
    stem : files are <stem>-<datum_id>.png and <stem>-mean.png

    Raises
    ------
    DataError
        If there is nothing to draw: the reasons of the empty footprints are told.
    """
    ok = np.flatnonzero(footprints.reason.values == "ok")
    if ok.size == 0:
        reasons = "; ".join(sorted(set(footprints.reason.values.astype(str).tolist())))
        raise DataError(f"footprints: none has anything to draw: {reasons}")
    chosen = ok if ok.size <= MOST else ok[:0]
    files = [_save(_one(footprints, int(n)), _name(stem, footprints, int(n))) for n in chosen]
    if ok.size > 1:
        files.append(_save(_mean(footprints, ok), stem.with_name(f"{stem.name}-mean.png")))
    return files


def _name(stem: Path, footprints: xr.Dataset, n: int) -> Path:
    safe = re.sub(r"[^\w.+-]", "_", str(footprints.datum_id.values[n]))
    return stem.with_name(f"{stem.name}-{safe}.png")


def _one(footprints: xr.Dataset, n: int) -> Figure:
    one = footprints.isel(receptor=n)
    values = one.foot.values.astype(np.float64)
    text = f"{np.datetime_as_string(one.time.values, unit='m').replace('T', ' ')} UTC"
    if "release_height" in one.variables and np.isfinite(one.release_height):
        text += f", {float(one.release_height):g} m above ground"
    text += f"; sum {values.sum():.3g}"
    if "foot_sum_sd" in one.variables and np.isfinite(one.foot_sum_sd):
        text += f" ± {float(one.foot_sum_sd):.2g}"
    return _figure(footprints, values, str(one.datum_id.values), f"{text} {_UNIT}", np.array([n]))


def _mean(footprints: xr.Dataset, rows: npt.NDArray[np.intp]) -> Figure:
    values: Floats = np.asarray(np.mean(footprints.foot.values[rows], axis=0, dtype=np.float64))
    note = f"of {rows.size} receptors; sum {values.sum():.3g} {_UNIT}"
    empty = footprints.sizes["receptor"] - rows.size
    if empty:
        note += f"; {empty} empty footprints left out"
    return _figure(footprints, values, "Mean footprint", note, rows)


def _figure(
    footprints: xr.Dataset, values: Floats, title: str, note: str, rows: npt.NDArray[np.intp]
) -> Figure:
    """Return the figure: map of the sum over hours above, sum of each hour below; values (lag, y, x)."""
    projection, x, y = _frame(footprints)
    tall = 6.0 * float(np.clip((y[-1] - y[0]) / (x[-1] - x[0]), 0.45, 1.6))
    figure = Figure(figsize=(7.4, tall + 2.4), dpi=150, layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=[tall + 0.9, 1.5])
    upper, lower = halves
    axes = upper.add_subplot(projection=projection)
    axes.set_extent((x[0], x[-1], y[0], y[-1]), crs=projection)
    _map(axes, upper, x, y, values.sum(axis=0))
    _releases(axes, footprints.isel(receptor=rows), projection)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=22, parse_math=False)
    axes.text(0, 1.018, note, transform=axes.transAxes, fontsize=9, color=SOFT, parse_math=False)
    _hours(lower.add_subplot(), footprints, values.sum(axis=(1, 2)))
    return figure


def _frame(footprints: xr.Dataset) -> tuple[Any, Floats, Floats]:
    """Return the projection of the drawing and the edges of the cells in it."""
    if "lon" in footprints.dims:
        edges = [
            np.append(footprints[b].values[:, 0], footprints[b].values[-1, 1])
            for b in ("lon_bounds", "lat_bounds")
        ]
        return ccrs.PlateCarree(central_longitude=0.0), edges[0], edges[1]
    grid = Grid.from_dataset(footprints)
    projection = ccrs.Projection(grid.crs)
    x, y = grid.x_edges, grid.y_edges
    margin = 0.5 * max(x[-1] - x[0], y[-1] - y[0])
    projection.bounds = (x[0] - margin, x[-1] + margin, y[0] - margin, y[-1] + margin)
    projection.threshold = margin / 100
    return projection, x, y


def _map(axes: Any, figure: Any, x: Floats, y: Floats, total: Floats) -> None:
    high = float(np.log10(total.max()))
    with np.errstate(divide="ignore"):
        shown = np.where(total > 0, np.log10(np.maximum(total, 10 ** (high - _DECADES - 2))), np.nan)
    shown[shown < high - _DECADES] = np.nan
    drawn = axes.pcolormesh(
        x, y, shown, cmap=colours.information(), norm=Normalize(high - _DECADES, high), rasterized=True
    )
    if min(total.shape) > 2:
        _contours(axes, x, y, total)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.86, aspect=30, pad=0.025)
    bar.set_label(f"log₁₀ of footprint / ({_UNIT}), sum of all hours", color=INK, fontsize=9)
    bar.ax.tick_params(labelsize=8.5, color=INK, labelcolor=INK)
    bar.outline.set_linewidth(0.5)
    lines = axes.gridlines(draw_labels={"left": "y", "bottom": "x"}, linewidth=0.4, color=SOFT, alpha=0.35)
    lines.xlabel_style = lines.ylabel_style = {"size": 8, "color": INK}
    axes.spines["geo"].set_linewidth(0.6)


def _contours(axes: Any, x: Floats, y: Floats, total: Floats) -> None:
    """Draw the smallest areas that hold half and nine tenths of the sum."""
    falling = np.sort(total, axis=None)[::-1]
    share = np.cumsum(falling) / falling.sum()
    limits = sorted({float(falling[np.searchsorted(share, level)]) for level in _LEVELS})
    middle = [(edge[1:] + edge[:-1]) / 2 for edge in (x, y)]
    axes.contour(*middle, total, levels=limits, colors=AMBER, linewidths=1.0)
    axes.plot([], [], color=AMBER, linewidth=1.0, label="50 % and 90 % of the sum")


def _releases(axes: Any, rows: xr.Dataset, projection: Any) -> None:
    if "release_latitude" not in rows.variables or not np.isfinite(rows.release_latitude).any():
        return
    lon, lat = rows.release_longitude.values, rows.release_latitude.values
    if "lon" in rows.dims:
        x, y = lon + 360 * np.round((float(rows.lon.mean()) - lon) / 360), lat
    else:
        x, y = Grid.from_dataset(rows).to_xy(lon, lat)
    axes.plot(x, y, "^", color="white", markersize=10, transform=projection, zorder=4, linestyle="none")
    axes.plot(
        x,
        y,
        "^",
        color=INK,
        markersize=6.5,
        transform=projection,
        zorder=5,
        linestyle="none",
        label="receptor",
    )
    axes.legend(loc="lower right", fontsize=8, framealpha=0.9, edgecolor="none", labelcolor=INK)


def _hours(axes: Any, footprints: xr.Dataset, hourly: Floats) -> None:
    """Draw the sum of each lag over the hours it covers, as a density per hour."""
    lag = footprints.lag.values.astype(np.float64)
    bounds = (
        footprints.lag_bounds.values if "lag_bounds" in footprints.variables else np.stack([lag, lag + 1], 1)
    )
    width = bounds[:, 1] - bounds[:, 0]
    axes.bar(
        bounds[:, 0],
        hourly / width,
        width=width,
        align="edge",
        color=TEAL,
        alpha=0.75,
        edgecolor="white",
        linewidth=0.4,
    )
    axes.set_xlim(0, bounds.max())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("hours before the receptor's time (rounded up to the hour)", fontsize=9, color=SOFT)
    axes.set_ylabel(f"{_UNIT}\nper hour", fontsize=9, color=SOFT)
    axes.tick_params(labelsize=8.5, color=SOFT, labelcolor=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})
    return path
