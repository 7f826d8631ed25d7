"""Bars with intervals: the picture of fluxes where only regions are known, not their shapes."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from metroflux.units import molar_mass
from products.show import emission_unit_per
from products.totals import COVERAGE

_INK, _GREY, _TEAL = "#1d2733", "#9aa5b1", "#0f7f93"


def draw_bars(one: xr.Dataset) -> Figure:
    """Draw the emission of each region before and after the observations, with 95 % intervals.

    Parameters
    ----------
    one : fields of one period and one sector, dims (region)
    """
    species = str(one.attrs["species"])
    unit = emission_unit_per(species, "yr-1")
    scale = one["cell_area"].values * molar_mass(species) * unit.factor / 1e6
    order = np.argsort(one["posterior"].values * scale)
    at = np.arange(order.size)
    figure = Figure(
        figsize=(7.4, 1.7 + (0.34 if order.size <= 12 else 0.27) * order.size), dpi=160, layout="constrained"
    )
    axes = figure.add_subplot()
    for name, colour, shift, text in (
        ("prior", _GREY, 0.17, "before the observations (prior)"),
        ("posterior", _TEAL, -0.17, "after the observations (posterior)"),
    ):
        value = (one[name].values * scale)[order]
        half = COVERAGE * (one[f"{name}_sd"].values * scale)[order]
        axes.barh(at + shift, value, height=0.3, color=colour, alpha=0.45, linewidth=0)
        axes.errorbar(
            value, at + shift, xerr=half, fmt="o", color=colour, markersize=4, linewidth=1.6, label=text
        )
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_yticks(at, [str(r) for r in one["region"].values[order]], parse_math=False)
    axes.set_ylim(-0.6, order.size - 0.4)
    axes.tick_params(labelsize=8.5, color=_INK, labelcolor=_INK, length=0, axis="y")
    axes.tick_params(labelsize=8.5, color=_INK, labelcolor=_INK, axis="x")
    axes.grid(axis="x", color="#dfe4e9", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(f"net flux to the air, M{unit.typeset}; line: 95 % interval", fontsize=9.5, color=_INK)
    figure.legend(fontsize=8.5, frameon=False, labelcolor=_INK, loc="outside lower center", ncols=2)
    start, end = (pd.Timestamp(v) for v in one["period_bounds"].values)
    axes.set_title(
        f"{order.size} regions, mean of {start:%Y-%m-%d} to {end:%Y-%m-%d}",
        loc="left",
        fontsize=9,
        color="#5b6673",
    )
    figure.suptitle(
        "Emission of each region before and after the observations",
        x=0.02,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=_INK,
    )
    return figure
