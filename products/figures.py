"""Figures of the scientists' report, as SVG inside the page."""

import base64
import io
from typing import Any

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

INK, SOFT, GREY, TEAL, AMBER = "#1d2733", "#5b6673", "#98a3ae", "#0f7f93", "#d98a1f"
_MANY = 4000


def site_series(diagnostics: xr.Dataset, factor: float, unit: str) -> str:
    """Draw observed, prior and posterior mole fractions of each site over time; return a data address.

    Parameters
    ----------
    factor : from mol mol-1 to `unit`
    """
    names = [str(n) for n in diagnostics["site_name"].values]
    figure = Figure(figsize=(9.2, 0.6 + 1.75 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for place, name in zip(axes, names, strict=True):
        _one_site(place, diagnostics.isel(obs=np.flatnonzero(diagnostics["site"].values == name)), factor)
        place.set_title(name, loc="left", fontsize=9.5, fontweight="bold", color=INK, parse_math=False)
        place.set_ylabel(unit, fontsize=8.5, color=SOFT)
        _plain(place)
    axes[-1].xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes[-1].xaxis.get_major_locator()))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=3, fontsize=8.5, frameon=False, labelcolor=INK
    )
    return _address(figure)


def innovation_histogram(diagnostics: xr.Dataset) -> str:
    """Draw the innovations over their standard uncertainty, and the normal distribution expected of them."""
    scaled = diagnostics["innovation"].values / diagnostics["innovation_sd"].values
    figure = Figure(figsize=(4.6, 3.0), layout="constrained")
    axes = figure.add_subplot()
    reach = max(4.0, float(np.ceil(np.abs(scaled).max())))
    axes.hist(
        scaled,
        bins=np.linspace(-reach, reach, 41).tolist(),
        density=True,
        color=TEAL,
        alpha=0.55,
        linewidth=0,
        label=f"{scaled.size} observations",
    )
    at = np.linspace(-reach, reach, 200)
    axes.plot(
        at, np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi), color=INK, linewidth=1.3, label="expected, N(0, 1)"
    )
    axes.set_xlabel("innovation / its standard uncertainty", fontsize=9, color=SOFT)
    axes.set_ylabel("density", fontsize=9, color=SOFT)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    _plain(axes)
    return _address(figure)


def budget_bars(causes: list[str], shares: Floats) -> str:
    """Draw the share of each cause in the variance of a total, the largest first; shares are 0 to 1."""
    order = np.argsort(shares)
    figure = Figure(figsize=(4.6, 0.9 + 0.36 * len(causes)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(np.arange(len(causes)), 100 * shares[order], color=TEAL, alpha=0.75, height=0.62)
    axes.set_yticks(np.arange(len(causes)), [causes[i] for i in order], parse_math=False)
    for at, i in enumerate(order):
        axes.text(100 * shares[i] + 1, at, f"{100 * shares[i]:.1f} %", va="center", fontsize=8.5, color=INK)
    axes.set_xlim(0, max(100 * float(shares.max()) * 1.18, 1.0))
    axes.set_xlabel("share of the posterior variance, %", fontsize=9, color=SOFT)
    _plain(axes)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    return _address(figure)


def _one_site(axes: Any, data: xr.Dataset, factor: float) -> None:
    order = np.argsort(data["time"].values, kind="stable")
    when = data["time"].values[order]
    raster = when.size > _MANY
    gaps = np.flatnonzero(np.diff(when) > _usual_step(when) * 1.5) + 1
    for name, colour, text in (
        ("prior_mole_fraction", GREY, "prior"),
        ("posterior_mole_fraction", TEAL, "posterior"),
    ):
        axes.plot(
            np.insert(when, gaps, np.datetime64("NaT")),
            np.insert(data[name].values[order] * factor, gaps, np.nan),
            color=colour,
            linewidth=1.1,
            marker="_",
            markersize=4,
            label=text,
            rasterized=raster,
        )
    axes.plot(
        when,
        data["mole_fraction"].values[order] * factor,
        "o",
        color=AMBER,
        markersize=2.6,
        label="observed",
        zorder=3,
        rasterized=raster,
    )


def _usual_step(when: npt.NDArray[np.datetime64]) -> np.timedelta64:
    """Return the median time between data at different times: a line is not drawn over longer gaps."""
    steps = np.diff(np.unique(when))
    return np.median(steps) if steps.size else np.timedelta64(0, "ns")


def _plain(axes: Any) -> None:
    axes.grid(color="#e6eaed", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, color=GREY, labelcolor=SOFT)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)


def _address(figure: Figure) -> str:
    """Return the figure as a data address; the same figure gives the same bytes."""
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "metroflux", "svg.fonttype": "path"}):
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
