"""A calibration on paper: air with its uncertainty, and the target tank against its certificate."""

from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, SOFT, TEAL, AMBER = "#1d2733", "#5b6673", "#0f7f93", "#d98a1f"


def draw_calibration(
    observations: xr.Dataset, checks: pd.DataFrame, shown: tuple[float, str], path: Path
) -> None:
    """Draw the calibrated hours with k = 2 and the bias of the target runs with the WMO goal.

    Parameters
    ----------
    checks : as observations.metrology.tanks.check_targets gives
    shown : factor from mol mol-1 and its unit
    """
    factor, unit = shown
    figure = Figure(figsize=(9.2, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    air, budget, bias = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
    _air(air, observations, factor)
    _budget(budget, observations, factor)
    _bias(bias, checks, factor)
    for place, label in ((air, f"dry mole fraction,\n{unit}"), (budget, f"u by cause,\n{unit}"),
                         (bias, f"target bias,\n{unit}")):  # fmt: skip
        place.set_ylabel(label, fontsize=9, color=SOFT)
        place.spines[["top", "right"]].set_visible(False)
        place.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    bias.xaxis.set_major_formatter(mdates.ConciseDateFormatter(bias.xaxis.get_major_locator()))
    air.set_title(
        f"{observations.site.values[0]}, scale {observations.attrs['scale']}", loc="left", color=INK
    )
    figure.savefig(path, dpi=130)


def _air(place: Any, ds: xr.Dataset, factor: float) -> None:
    variance = (ds.random_sd.values**2).sum(axis=1) + (ds.shared_column.values**2).sum(axis=1)
    wide = 2 * np.sqrt(variance) * factor
    for inlet in np.unique(ds.inlet.values):
        rows = ds.inlet.values == inlet
        place.errorbar(
            ds.time.values[rows], ds.mole_fraction.values[rows] * factor, wide[rows], fmt=".", ms=3, lw=0.7,
            color=TEAL, label=f"air at {inlet:g} m, k = 2",
        )  # fmt: skip


def _budget(place: Any, ds: xr.Dataset, factor: float) -> None:
    causes = ds.shared_cause.values.astype(str)
    order = np.argsort(ds.time.values, kind="stable")
    for cause in dict.fromkeys(causes.tolist()):
        sd = np.sqrt((ds.shared_column.values[:, causes == cause] ** 2).sum(axis=1))
        place.plot(ds.time.values[order], sd[order] * factor, lw=1.0, label=cause)
    for number, name in enumerate(ds.random.values.astype(str)):
        place.plot(
            ds.time.values[order], ds.random_sd.values[order, number] * factor, lw=1.0, ls=":", label=name
        )
    place.set_ylim(bottom=0)


def _bias(place: Any, checks: pd.DataFrame, factor: float) -> None:
    place.axhline(0, color=SOFT, lw=0.8)
    if checks.empty:
        place.plot([], [], label="no target tank")
        return
    goal = float(checks.goal.iloc[0]) * factor
    place.axhspan(-goal, goal, color=AMBER, alpha=0.15, lw=0, label="WMO/GAW goal")
    for tank, rows in checks.groupby("tank"):
        place.errorbar(
            rows.time, rows.bias * factor, 2 * rows.bias_sd * factor, fmt="o", ms=4, color=INK,
            label=f"{tank}, k = 2",
        )  # fmt: skip
