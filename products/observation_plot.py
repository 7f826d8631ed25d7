"""A drawing of observations over time: used ones, and the others by their flag."""

from pathlib import Path

import matplotlib.dates as mdates
import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_PANELS = 8
_INK, _TEAL = "#1d2733", "#0f7f93"
_OTHER = ("#d98a1f", "#b5422c", "#7a5ea8", "#98a3ae", "#4f7d3a", "#c0739f", "#6b7785")


def draw_observations(observations: xr.Dataset, factor: float, unit: str, path: Path) -> Path:
    """Draw the mole fractions of a dataset over time, a panel for each site and inlet; return the PNG.

    A datum that would not be used keeps its value in the drawing, in the colour of its flag, within the range
    of the used ones: a fill value must not flatten them.

    Parameters
    ----------
    factor : from mol mol-1 to `unit`
    """
    labels = np.array(
        [f"{s} {h:g} m" if np.isfinite(h) else s
         for s, h in zip(observations.site.values.tolist(), observations.inlet.values, strict=True)]
    )  # fmt: skip
    every = list(dict.fromkeys(labels.tolist()))
    names = every[:_PANELS]
    figure = Figure(figsize=(9.2, 0.8 + 2.0 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    meanings = str(observations.flag.attrs["flag_meanings"]).split()
    for place, name in zip(axes, names, strict=True):
        rows = observations.isel(obs=np.flatnonzero(labels == name))
        values, flag = rows.mole_fraction.values * factor, rows.flag.values
        for value in np.unique(flag):
            chosen = flag == value
            colour = _TEAL if value == 0 else _OTHER[(int(value) - 1) % len(_OTHER)]
            place.plot(rows.time.values[chosen], values[chosen], ".", ms=3, color=colour,
                       label=f"{meanings[int(value)]} ({chosen.sum()})")  # fmt: skip
        if (flag == 0).any():
            low, high = values[flag == 0].min(), values[flag == 0].max()
            margin = 0.25 * (high - low) or 0.01 * abs(high) or 1.0
            place.set_ylim(low - margin, high + margin)
        place.set_title(name, loc="left", fontsize=9.5, color=_INK, parse_math=False)
        place.set_ylabel(unit, fontsize=8.5)
        place.legend(fontsize=7.5, frameon=False, ncols=4, loc="upper left")
    if len(every) > len(names):
        figure.suptitle(f"the first {len(names)} of {len(every)} sites and inlets", fontsize=9.5, color=_INK)
    axes[-1].xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes[-1].xaxis.get_major_locator()))
    figure.savefig(path, dpi=120)
    return path
