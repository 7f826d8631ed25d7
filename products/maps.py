"""Maps on paper: one PNG per quantity, in the projection of the grid, without any download."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cartopy.crs as ccrs
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from metroflux.errors import DataError
from metroflux.grid import Grid
from products import colours
from products.bars import draw_bars
from products.fields import uncertainty_reduction
from products.places import Outline, Site, project
from products.show import flux_unit, symbol

Floats = npt.NDArray[np.float64]

INK = "#1d2733"
_SIMPLER = 0.01  # cells: districts share edges, which must stay on one another
_MARKERS = {"tower": "^", "lidar": "D", "column": "o"}
_WORDS = {"tower": "tower", "lidar": "lidar", "column": "column"}


@dataclass(frozen=True)
class Layer:
    """One quantity to draw.

    values : shape (y, x), in the unit of `label`
    note : the line under the title; {days} is put in
    low, high : ends of the colour bar; values beyond are drawn in the end colour and the bar gets an arrow
    """

    name: str
    title: str
    values: Floats
    label: str
    colours: ListedColormap
    low: float
    high: float
    note: str = "Mean of {days}, sum of all sectors"


def draw_maps(
    fields: xr.Dataset,
    out_dir: Path,
    sites: Sequence[Site] = (),
    outlines: Sequence[Outline] = (),
    footprint_sum: xr.DataArray | None = None,
) -> list[Path]:
    """Draw the mean over the first period of the sum of sectors; return the files written.

    On a grid: maps of prior, posterior, change, posterior sd, uncertainty reduction and, if given, the summed
    footprint (y, x) in m2 s mol-1. In region space, where no polygons are known: one figure of bars.

    Parameters
    ----------
    fields : from `products.fields.mean_fields`
    outlines : the user's boundaries; nothing is fetched
    """
    if "total" not in fields["sector"].values:
        raise DataError("maps: the fields have no sector 'total'; expected the sum of sectors")
    one = fields.sel(sector="total").isel(period=0)
    out_dir.mkdir(parents=True, exist_ok=True)
    if "region" in one.dims:
        return [_save(draw_bars(one), out_dir / "regions.png")]
    layers = _layers(one)
    if footprint_sum is not None:
        layers.append(_footprint_layer(footprint_sum))
    grid = Grid.from_dataset(one)
    days = _days(one)
    return [
        _save(_figure(layer, grid, days, sites, outlines), out_dir / f"{layer.name}.png") for layer in layers
    ]


def _layers(one: xr.Dataset) -> list[Layer]:
    species = str(one.attrs["species"])
    unit, gas = flux_unit(species), symbol(species)
    prior, posterior = one["prior"].values * unit.factor, one["posterior"].values * unit.factor
    change, sd = posterior - prior, one["posterior_sd"].values * unit.factor
    top, swing = _top(np.stack([prior, posterior])), _top(np.abs(change))
    signed = min(prior.min(), posterior.min()) < -0.02 * top
    palette = colours.diverging() if signed else colours.sequential()
    low = -top if signed else 0.0
    flux = f"{gas} flux, {unit.typeset}"
    return [
        Layer("prior", f"{gas} emission before the observations (prior)", prior, flux, palette, low, top),
        Layer(
            "posterior",
            f"{gas} emission after the observations (posterior)",
            posterior,
            flux,
            palette,
            low,
            top,
        ),
        Layer(
            "change",
            f"What the observations changed in {gas}",
            change,
            f"posterior − prior, {unit.typeset}",
            colours.diverging(),
            -swing,
            swing,
        ),
        Layer(
            "posterior_sd",
            f"Standard uncertainty of the posterior {gas} flux",
            sd,
            f"standard uncertainty (1σ), {unit.typeset}",
            colours.doubt(),
            0.0,
            _top(sd),
        ),
        Layer(
            "uncertainty_reduction",
            "How much the observations narrowed the uncertainty",
            100 * uncertainty_reduction(one).values,
            "uncertainty reduction, 1 − sd / prior sd, %",
            colours.information(),
            0.0,
            _percent_top(100 * uncertainty_reduction(one).values),
        ),
    ]


def _footprint_layer(footprint_sum: xr.DataArray) -> Layer:
    values = np.log10(np.maximum(footprint_sum.values.astype(np.float64), 1e-12))
    high = float(np.ceil(values.max()))
    return Layer(
        "footprint_sum",
        "Where the observations look (sum of all footprints)",
        values,
        "log₁₀ of footprint sum / (m² s mol⁻¹)",
        colours.information(),
        high - 4,
        high,
        "All observations used, {days}",
    )


def _figure(
    layer: Layer, grid: Grid, days: str, sites: Sequence[Site], outlines: Sequence[Outline]
) -> Figure:
    west, east = grid.x_edges[[0, -1]]
    south, north = grid.y_edges[[0, -1]]
    height = 6.2 * float(np.clip((north - south) / (east - west), 0.45, 1.8)) + 0.9
    figure = Figure(figsize=(7.4, height), dpi=160, layout="constrained")
    axes = figure.add_subplot(projection=_projection(grid))
    axes.set_extent((west, east, south, north), crs=axes.projection)
    drawn = axes.pcolormesh(
        grid.x_edges,
        grid.y_edges,
        layer.values,
        cmap=layer.colours,
        norm=Normalize(layer.low, layer.high),
        rasterized=True,
    )
    _draw_outlines(axes, outlines, grid)
    _draw_sites(axes, sites, grid)
    _frame(axes, grid)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.86, aspect=32, pad=0.025, extend=_extend(layer))
    bar.set_label(layer.label, color=INK, fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5, color=INK, labelcolor=INK)
    bar.outline.set_linewidth(0.5)
    axes.set_title(layer.title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=22)
    axes.text(0, 1.018, layer.note.format(days=days), transform=axes.transAxes, fontsize=9, color="#5b6673")
    return figure


def _projection(grid: Grid) -> Any:
    """Return the grid's projection, with bounds from the grid: the CRS may not state an area of use."""
    projection = ccrs.Projection(grid.crs)
    (west, east), (south, north) = grid.x_edges[[0, -1]], grid.y_edges[[0, -1]]
    margin = 0.5 * max(east - west, north - south)
    projection.bounds = (west - margin, east + margin, south - margin, north + margin)
    projection.threshold = margin / 100
    return projection


def _draw_outlines(axes: Any, outlines: Sequence[Outline], grid: Grid) -> None:
    for outline in outlines:
        for ring in project(outline.rings, grid, _SIMPLER * grid.dx):
            axes.plot(ring[:, 0], ring[:, 1], color="white", linewidth=1.6, alpha=0.55, zorder=3)
            axes.plot(ring[:, 0], ring[:, 1], color="#3c4856", linewidth=0.6, zorder=3.1)


def _draw_sites(axes: Any, sites: Sequence[Site], grid: Grid) -> None:
    inside = []
    for site in sites:
        x, y = grid.to_xy(site.longitude, site.latitude)
        if grid.x_edges[0] <= x <= grid.x_edges[-1] and grid.y_edges[0] <= y <= grid.y_edges[-1]:
            inside.append((site, float(x), float(y)))
    for kind in sorted({(s.kind, s.withheld) for s, _, _ in inside}):
        at = np.array([(x, y) for s, x, y in inside if (s.kind, s.withheld) == kind])
        face = "white" if kind[1] else "#14a0b8"
        axes.scatter(at[:, 0], at[:, 1], marker=_MARKERS[kind[0]], s=105, color="white", zorder=4.9)
        axes.scatter(
            at[:, 0],
            at[:, 1],
            marker=_MARKERS[kind[0]],
            s=50,
            facecolor=face,
            edgecolor=INK,
            linewidth=0.9,
            zorder=5,
            label=_WORDS[kind[0]] + (", withheld" if kind[1] else ""),
        )
    if inside:
        axes.legend(
            loc="lower right",
            fontsize=8,
            framealpha=0.9,
            edgecolor="none",
            handletextpad=0.3,
            borderpad=0.5,
            labelcolor=INK,
        )


def _frame(axes: Any, grid: Grid) -> None:
    lines = axes.gridlines(
        draw_labels={"left": "y", "bottom": "x"}, linewidth=0.4, color="#5b6673", alpha=0.35
    )
    lines.xlabel_style = lines.ylabel_style = {"size": 8, "color": INK}
    for label in ("x", "y"):
        setattr(lines, f"{label}padding", 4)
    axes.spines["geo"].set_linewidth(0.6)
    width = grid.x_edges[-1] - grid.x_edges[0]
    length = _nice_length(0.22 * width)
    x = grid.x_edges[0] + 0.035 * width
    y = grid.y_edges[0] + 0.04 * (grid.y_edges[-1] - grid.y_edges[0])
    for colour, thick in (("white", 5), (INK, 2.2)):
        axes.plot([x, x + length], [y, y], color=colour, linewidth=thick, solid_capstyle="butt", zorder=6)
    axes.text(
        x + length / 2,
        y + 0.012 * width,
        f"{length / 1e3:g} km",
        ha="center",
        va="bottom",
        fontsize=8,
        color=INK,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.2},
    )


def _nice_length(limit: float) -> float:
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step * power for step in (1, 2, 5) if step * power <= limit))


def _top(values: Floats) -> float:
    """Return the end of the colour bar: the 99.5th percentile, so that one plant does not blank the city."""
    top = float(np.percentile(np.abs(values), 99.5))
    return top if top > 0 else 1.0


def _percent_top(values: Floats) -> float:
    return float(min(100.0, max(10.0, 10 * np.ceil(values.max() / 10))))


def _extend(layer: Layer) -> str:
    below, above = layer.values.min() < layer.low - 1e-9, layer.values.max() > layer.high + 1e-9
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        bool(below), bool(above)
    ]


def _days(one: xr.Dataset) -> str:
    start, end = (pd.Timestamp(v) for v in one["period_bounds"].values)
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    part.replace(path)
    return path
