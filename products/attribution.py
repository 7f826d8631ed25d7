"""What a total rests on: reference materials, and sectors that the data cannot tell apart."""

from itertools import combinations

import numpy as np
import xarray as xr

CONFUSED = -0.5
"""Posterior correlation of two sectors below which a shift from one to the other is hardly seen."""


def materials(run: xr.Dataset) -> list[dict[str, str]]:
    """Return the share of the first total's variance that rests on each material, the largest first.

    run : totals of one period; empty where no shared error is traced to anything
    """
    if "traceability" not in run:
        return []
    shares = run["traceability"].values[0, -1]
    names = run["material"].values.astype(str)
    return [{"name": names[i], "percent": f"{100 * shares[i]:.2g}"} for i in np.argsort(-shares)]


def confused(run: xr.Dataset) -> list[dict[str, str]]:
    """Return the pairs of sectors of the first region that the data cannot tell apart, the worst first."""
    if "sector_covariance" not in run:
        return []
    covariance, names = run["sector_covariance"].values[0], run["part"].values.astype(str)
    sd = np.sqrt(np.diag(covariance))
    pairs = [(i, j) for i, j in combinations(range(names.size), 2) if sd[i] > 0 and sd[j] > 0]
    found = sorted((covariance[i, j] / (sd[i] * sd[j]), i, j) for i, j in pairs)
    return [
        {"first": names[i], "second": names[j], "correlation": f"{r:.2f}".replace("-", "\u2212")}
        for r, i, j in found
        if r < CONFUSED
    ]
