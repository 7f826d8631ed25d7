"""Flux fields as they are drawn: means over periods, with the exact uncertainty of each cell.

The sum over sectors and the mean over a period have correlated parts, so their standard uncertainty cannot be
had from the posterior's per-sector, per-time values; it is asked from the solution, cell by cell.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from products.periods import Period, time_weights
from products.totals import Solution

_NAMES = ("prior", "prior_sd", "posterior", "posterior_sd", "change_sd")
_TEXT = {
    "prior": "prior flux",
    "prior_sd": "standard uncertainty of the prior flux",
    "posterior": "posterior flux",
    "posterior_sd": "standard uncertainty of the posterior flux",
    "change_sd": "standard uncertainty of posterior minus prior flux",
}


def make_fields(
    solution: Solution,
    prior: xr.Dataset,
    periods: Sequence[Period],
    sectors: bool = True,
    chunk: int = 64,
) -> xr.Dataset:
    """Return the mean flux of every cell over each period, mol m-2 s-1, dims (period, sector, *space).

    Parameters
    ----------
    prior : the prior or posterior of the solution, for its coordinates and species
    sectors : whether to keep each sector, or only the last one, "total", the sum
    chunk : cells asked from the solution at a time; bounds memory, does not change the result
    """
    if "species" not in prior.attrs:
        raise DataError("fields: no attribute 'species'; expected 'co2' or 'ch4'")
    space = prior["cell_area"].dims
    cells = prior["cell_area"].size
    weights = time_weights(periods, prior["flux_time_bounds"].values)
    parts = [_cells(solution, first, min(first + chunk, cells), cells, weights) for first in range(0, cells, chunk)]
    keep = slice(None) if sectors else slice(-1, None)
    shape = prior["cell_area"].shape
    values = np.concatenate(parts, axis=1)[:, :, :, keep]
    names = [*map(str, prior["sector"].values), "total"][keep]
    attrs = {"units": "mol m-2 s-1"} | ({"grid_mapping": "spatial_ref"} if "spatial_ref" in prior.coords else {})
    found = xr.Dataset(
        {
            name: (
                ("period", "sector", *space),
                np.moveaxis(values[i], 0, 2).reshape(len(periods), len(names), *shape),
                attrs | {"long_name": _TEXT[name]},
            )
            for i, name in enumerate(_NAMES)
        },
        coords={
            "period": ("period", np.array([p.name for p in periods], dtype=str)),
            "period_bounds": (
                ("period", "bounds"),
                np.array([[p.start, p.end] for p in periods], dtype="datetime64[ns]"),
            ),
            "sector": ("sector", np.array(names)),
        },
        attrs={"species": prior.attrs["species"]},
    )
    on_space = {n: v for n, v in prior.coords.items() if set(v.dims) <= {*space, "bounds"}}
    return found.assign_coords(on_space).assign_coords(cell_area=prior["cell_area"])


def uncertainty_reduction(fields: xr.Dataset) -> xr.DataArray:
    """Return 1 - posterior sd / prior sd, 0 to 1; 0 where the prior had none."""
    before = fields["prior_sd"]
    return xr.where(before > 0, 1 - fields["posterior_sd"] / before.where(before > 0, 1.0), 0.0)


def _cells(solution: Solution, first: int, last: int, cells: int, weights: np.ndarray) -> np.ndarray:
    """Return the five moments of cells first to last, shape (5, cell, period, sector + 1)."""
    pick = np.zeros((last - first, cells))
    pick[np.arange(last - first), np.arange(first, last)] = 1.0
    got = solution.totals(pick, weights)
    return np.stack([
        got.prior_mean, np.sqrt(got.prior_variance),
        got.posterior_mean, np.sqrt(got.posterior_variance), np.sqrt(got.change_variance),
    ])  # fmt: skip
