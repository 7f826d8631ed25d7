"""An inverse problem as one flat netCDF file that anyone can write: docs/problem.md."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from inversion.checks import RESERVED_CAUSE, RESERVED_SECTOR, parameter_faults, prior_error_faults
from inversion.problem import Problem
from inversion.settings import Parameter
from inversion.storage import data_of, encoding_of, prior_error, prior_of, problem_of, read_group
from metroflux.datasets import Variable
from metroflux.errors import DataError
from metroflux.schema import faults

LAYOUT = "metroflux problem 1"
_STATE = ("sector", "flux_time", "cell")
_MOLE, _SQUARE, _FLUX = "mol mol-1", "mol2 mol-2", "mol m-2 s-1"
SPEC = {
    "datum_id": Variable(("obs",), kind="U"),
    "site": Variable(("obs",), kind="U"),
    "time": Variable(("obs",), kind="M"),
    "mole_fraction": Variable(("obs",), _MOLE),
    "background": Variable(("obs",), _MOLE, optional=True),
    "sensitivity": Variable(("nonzero",), "m2 s mol-1"),
    "column": Variable(("nonzero",), kind="i"),
    "row_start": Variable(("obs_edge",), kind="i", optional=True),
    "row": Variable(("nonzero",), kind="i", optional=True),
    "random": Variable(("random",), kind="U"),
    "random_variance": Variable(("obs", "random"), _SQUARE),
    "shared_cause": Variable(("shared",), kind="U", optional=True),
    "shared_column": Variable(("obs", "shared"), _MOLE, optional=True),
    "shared_traceable_to": Variable(("shared",), kind="U", optional=True),
    "correlated": Variable(("correlated",), kind="U", optional=True),
    "correlated_sd": Variable(("obs", "correlated"), _MOLE, optional=True),
    "correlated_duration": Variable(("correlated",), "s", optional=True),
    "correlated_time": Variable(("obs", "correlated"), "s", optional=True),
    "parameter": Variable(("parameter",), kind="U", optional=True),
    "parameter_cause": Variable(("parameter",), kind="U", optional=True),
    "parameter_unit": Variable(("parameter",), kind="U", optional=True),
    "parameter_sd": Variable(("parameter",), optional=True),
    "parameter_column": Variable(("obs", "parameter"), optional=True),
    "flux_time": Variable(("flux_time",), kind="M"),
    "flux_time_bounds": Variable(("flux_time", "bounds"), kind="M"),
    "sector": Variable(("sector",), kind="U"),
    "flux": Variable(_STATE, _FLUX),
    "flux_sd": Variable(_STATE, _FLUX),
    "length": Variable(("sector",), "m"),
    "duration": Variable(("sector",), "s"),
    "form": Variable(("sector",), kind="U", optional=True),
    "length_y": Variable(("sector",), "m", missing=True, optional=True),
    "per_axis": Variable(("sector",), kind="i", optional=True),
    "hour_duration": Variable(("sector",), "s", missing=True, optional=True),
    "total_region": Variable(("total_region",), kind="U", optional=True),
    "total_weight": Variable(("total_region", "cell"), "1", optional=True),
    "total_period": Variable(("total_period",), kind="U", optional=True),
    "total_period_bounds": Variable(("total_period", "bounds"), kind="M", optional=True),
}
_TOGETHER = (
    ("shared_cause", "shared_column", "shared_traceable_to"),
    ("correlated", "correlated_sd", "correlated_duration", "correlated_time"),
    ("parameter", "parameter_cause", "parameter_unit", "parameter_sd", "parameter_column"),
    ("total_region", "total_weight", "total_period", "total_period_bounds"),
)
"""Variables that are there all or none."""


def write_problem(path: Path, problem: Problem, totals: xr.Dataset) -> None:
    """Write a problem, and the weights of the totals that are wanted of it (`total_...`, or nothing)."""
    coords = problem.coords
    ds = xr.merge([data_of(problem), prior_of(problem), totals], combine_attrs="drop")
    ds = ds.drop_vars([name for name in ds.variables if 0 in ds[name].shape and name in _optional()])
    ds = ds.assign_coords(coords.coords).assign({n: coords[n] for n in coords.data_vars})
    for name, want in SPEC.items():
        if name in ds.variables and want.units is not None:
            ds[name].attrs["units"] = want.units
    ds.attrs = coords.attrs | {"layout": LAYOUT}
    part = path.with_name(path.name + ".part")
    ds.drop_encoding().to_netcdf(part, engine="netcdf4", encoding=encoding_of(ds))
    part.replace(path)


def read_problem(path: Path) -> tuple[Problem, xr.Dataset]:
    """Return the problem of a file, and the dataset of all that it holds.

    Raises
    ------
    DataError
        Naming file, variable, value and expectation of all that is wrong, as far as it can be read.
    """
    try:
        ds = read_group(path)
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read ({fault}); expected a netCDF file") from None
    for check in (_layout_faults, _value_faults, _setting_faults):
        found = list(check(ds))
        if found:
            raise DataError(f"{path}: " + "; ".join(found))
        ds = _completed(ds) if check is _layout_faults else ds
    return problem_of(_coords(ds), ds, ds), ds


def _optional() -> set[str]:
    return {name for name, want in SPEC.items() if want.optional}


def _layout_faults(ds: xr.Dataset) -> Iterator[str]:
    if ds.attrs.get("layout") != LAYOUT:
        yield f"attribute layout is {ds.attrs.get('layout')!r}, expected {LAYOUT!r}"
    if not str(ds.attrs.get("species", "")):
        yield "attribute species is missing, expected the gas, such as 'co2'"
    yield from faults(ds, SPEC)
    for group in _TOGETHER:
        absent = [name for name in group if name not in ds.variables]
        if 0 < len(absent) < len(group):
            yield f"no {', '.join(absent)}, expected them with {group[0]}"
    if ("row" in ds) == ("row_start" in ds):
        yield "expected either 'row_start' (CSR) or 'row' (COO) beside 'column'"
    if "cell_area" not in ds.variables:
        yield "'cell_area' is missing, expected m2 over (y, x) or (region)"
    elif {"cell"} <= set(ds.sizes) and ds.cell_area.size != ds.sizes["cell"]:
        yield f"'cell_area' has {ds.cell_area.size} cells, expected the {ds.sizes['cell']} of dimension cell"


def _completed(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with what it may leave out, and H in rows."""
    n, sectors = ds.sizes["obs"], ds.sizes["sector"]
    text, nothing = np.empty(0, dtype="<U1"), np.zeros((n, 0))
    plain = {
        "background": ("obs", np.zeros(n)),
        "form": ("sector", np.full(sectors, "exponential")),
        "length_y": ("sector", np.full(sectors, np.nan)),
        "per_axis": ("sector", np.zeros(sectors, dtype=np.int64)),
        "hour_duration": ("sector", np.full(sectors, np.nan)),
        "shared_cause": ("shared", text),
        "shared_column": (("obs", "shared"), nothing),
        "shared_traceable_to": ("shared", text),
        "correlated": ("correlated", text),
        "correlated_sd": (("obs", "correlated"), nothing),
        "correlated_duration": ("correlated", np.empty(0)),
        "correlated_time": (("obs", "correlated"), nothing),
        "parameter": ("parameter", text),
        "parameter_cause": ("parameter", text),
        "parameter_unit": ("parameter", text),
        "parameter_sd": ("parameter", np.empty(0)),
        "parameter_column": (("obs", "parameter"), nothing),
    }
    ds = ds.assign({name: value for name, value in plain.items() if name not in ds.variables})
    return _by_row(ds) if "row" in ds else ds


def _by_row(ds: xr.Dataset) -> xr.Dataset:
    """Return the dataset with its triplets sorted by row, and `row_start` in place of `row`."""
    order = np.lexsort((ds.column.values, ds.row.values))
    start = np.searchsorted(ds.row.values[order], np.arange(ds.sizes["obs"] + 1))
    return ds.isel(nonzero=order).assign(row_start=("obs_edge", start)).drop_vars("row")


def _value_faults(ds: xr.Dataset) -> Iterator[str]:
    ids, names = ds.datum_id.values, [str(s) for s in ds.sector.values]
    yield from _matrix_faults(ds)
    for what, key in (("datum_id", [ids]), ("site, time, mole_fraction and background", [
        ds[n].values for n in ("site", "time", "mole_fraction", "background")])):  # fmt: skip
        seen: dict[tuple[object, ...], int] = {}
        for i, row in enumerate(zip(*key, strict=True)):
            if row in seen:
                yield f"obs={seen[row]} and obs={i} ('{ids[i]}') have the same {what}, expected each once"
                break
            seen[row] = i
    variance = ds.random_variance.values
    if (variance < 0).any():
        i, k = np.argwhere(variance < 0)[0]
        yield f"'random_variance' is {variance[i, k]:g} at obs={i}, random={k}, expected 0 or more"
    elif (variance.sum(axis=1) <= 0).any():
        i = int(np.argmax(variance.sum(axis=1) <= 0))
        yield f"'random_variance' of obs={i} ('{ids[i]}') sums to 0, expected a positive variance"
    sd = ds.flux_sd.values
    for k, name in enumerate(names):
        if (sd[k] < 0).any():
            yield f"'flux_sd' of sector '{name}' is {sd[k].min():g} somewhere, expected 0 or more"
        elif not sd[k].any():
            yield f"'flux_sd' of sector '{name}' is 0 everywhere, expected an uncertainty in some cell"
    if len(set(names)) < len(names) or RESERVED_SECTOR in names:
        yield f"'sector' is {names}, expected distinct names other than '{RESERVED_SECTOR}'"
    causes = {*ds.random.values, *ds.shared_cause.values, *ds.correlated.values}
    if RESERVED_CAUSE in causes:
        yield f"an error has the cause '{RESERVED_CAUSE}', which is the line of the fluxes in the budget"
    for name in ("correlated_sd", "correlated_duration"):
        least = ds[name].values.min(initial=np.inf)
        if least < 0 or (name == "correlated_duration" and least == 0):
            yield f"'{name}' is {least:g} somewhere, expected a positive value"
    if (ds.cell_area.values <= 0).any():
        yield f"'cell_area' is {ds.cell_area.values.min():g} m2 somewhere, expected more than 0"


def _matrix_faults(ds: xr.Dataset) -> Iterator[str]:
    n, size, columns = ds.sizes["obs"], ds.sizes["flux_time"] * ds.sizes["cell"], ds.column.values
    if columns.size and not 0 <= columns.min() <= columns.max() < size:
        yield f"'column' runs from {columns.min()} to {columns.max()}, expected within 0 to {size - 1}"
    start = ds.row_start.values
    if start.size != n + 1 or (start[0], start[-1]) != (0, columns.size) or (np.diff(start) < 0).any():
        yield f"rows of H: expected {n + 1} ascending edges from 0 to {columns.size}, 'row' below {n}"
    bounds = ds.flux_time_bounds.values
    if (np.diff(bounds, axis=1) <= np.timedelta64(0)).any() or (bounds[1:, 0] < bounds[:-1, 1]).any():
        yield "'flux_time_bounds' overlap or do not ascend"


def _setting_faults(ds: xr.Dataset) -> Iterator[str]:
    names = [str(s) for s in ds.sector.values]
    yield from prior_error_faults(ds, {name: prior_error(ds, i) for i, name in enumerate(names)})
    columns = ds.parameter_column.values.T
    parts = zip(ds.parameter.values, ds.parameter_cause.values, columns, ds.parameter_sd.values, strict=True)
    yield from parameter_faults([Parameter(str(n), str(c), g, float(sd)) for n, c, g, sd in parts], ds)


def _coords(ds: xr.Dataset) -> xr.Dataset:
    """Return what of the file tells of time and space."""
    dims = {"flux_time", "bounds", *ds.cell_area.dims}
    kept = [str(n) for n in ds.variables if n in ("flux_time", "flux_time_bounds") or (
        n not in SPEC and set(ds[n].dims) <= dims)]  # fmt: skip
    attrs = {k: v for k, v in ds.attrs.items() if k != "layout"}
    out = ds.reset_coords()[kept].set_coords(kept)
    out.attrs = attrs
    return out
