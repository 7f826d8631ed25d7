"""A solution in one netCDF file: plain arrays in groups, no pickle, exact to the bit."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from inversion.problem import Problem, covariances
from inversion.settings import Parameter, PriorError
from metroflux.correlated import SiteCorrelated
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel

Floats = npt.NDArray[np.float64]
LAYOUT = "metroflux solution 2"
_STATE = ("sector", "flux_time", "cell")
_DIMS = {"gram": ("obs", "obs_2"), "lower": ("obs", "obs_2"), "flux": _STATE, "flux_sd": _STATE,
         "averaging_kernel_diagonal": _STATE}  # fmt: skip


def write(path: Path, problem: Problem, arrays: dict[str, Floats], condition: float) -> None:
    """Write a problem and the arrays of its solution; the file appears only when complete."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    groups = {
        "coords": problem.coords,
        "data": data_of(problem),
        "prior": prior_of(problem),
        "solution": xr.Dataset({name: (_DIMS[name], values) for name, values in arrays.items()}),
    }
    try:
        xr.Dataset(attrs={"layout": LAYOUT, "condition": condition}).to_netcdf(part, engine="netcdf4")
        for name, ds in groups.items():
            ds.to_netcdf(part, mode="a", group=name, engine="netcdf4", encoding=encoding_of(ds))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> tuple[Problem, dict[str, Floats], float]:
    """Return what `write` was given.

    Raises
    ------
    DataError
        If the file is not a solution of this layout.
    """
    try:
        attrs = read_group(path, None).attrs
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be read ({fault}); expected a saved solution") from None
    if attrs.get("layout") != LAYOUT:
        raise DataError(f"{path}: layout is {attrs.get('layout')!r}, expected {LAYOUT!r}")
    solution = read_group(path, "solution")
    arrays = {name: solution[name].values for name in _DIMS}
    return (
        problem_of(read_group(path, "coords"), read_group(path, "data"), read_group(path, "prior")),
        arrays,
        attrs["condition"],
    )


def data_of(problem: Problem) -> xr.Dataset:
    """Return data, H, errors and parameters as plain arrays."""
    random, parameters, fading = problem.errors.random, problem.parameters, problem.errors.correlated
    n = len(problem.datum_id)
    design = _columns([p.column for p in parameters], n)
    return xr.Dataset({
        "datum_id": ("obs", problem.datum_id),
        "site": ("obs", problem.site),
        "time": ("obs", problem.time),
        "mole_fraction": ("obs", problem.mole_fraction),
        "background": ("obs", problem.background),
        "random": ("random", _text(random)),
        "random_variance": (("obs", "random"), _columns(list(random.values()), n)),
        "shared_cause": ("shared", _text(problem.errors.causes)),
        "shared_column": (("obs", "shared"), problem.errors.columns),
        "shared_traceable_to": ("shared", _text(problem.errors.materials)),
        "correlated": ("correlated", _text(part.cause for part in fading)),
        "correlated_duration": ("correlated", np.array([part.duration for part in fading])),
        "correlated_sd": (("obs", "correlated"), _columns([part.sd for part in fading], n)),
        "correlated_time": (("obs", "correlated"), _columns([part.time for part in fading], n)),
        "parameter": ("parameter", _text(p.name for p in parameters)),
        "parameter_cause": ("parameter", _text(p.cause for p in parameters)),
        "parameter_unit": ("parameter", _text(p.unit for p in parameters)),
        "parameter_sd": ("parameter", np.array([p.sd for p in parameters], dtype=np.float64)),
        "parameter_column": (("obs", "parameter"), design),
        "row_start": ("obs_edge", problem.H.indptr),
        "column": ("nonzero", problem.H.indices),
        "sensitivity": ("nonzero", problem.H.data),
    })  # fmt: skip


def prior_of(problem: Problem) -> xr.Dataset:
    """Return the prior and how its errors are correlated as plain arrays."""
    errors = problem.prior_errors
    ds = xr.Dataset({
        "sector": ("sector", _text(problem.sectors)),
        "flux": (_STATE, problem.flux),
        "flux_sd": (_STATE, np.stack([c.sd for c in problem.covariances])),
        "length": ("sector", np.array([e.length for e in errors], dtype=np.float64)),
        "duration": ("sector", np.array([e.duration for e in errors], dtype=np.float64)),
        "form": ("sector", _text(e.form for e in errors)),
        "length_y": ("sector", _optional(e.length_y for e in errors)),
        "per_axis": ("sector", np.array([int(e.per_axis) for e in errors])),
        "hour_duration": ("sector", _optional(e.hour_duration for e in errors)),
    })  # fmt: skip
    given = {f"correlation_{i}": (("cell", "cell_2"), e.correlation)
             for i, e in enumerate(errors) if e.correlation is not None}  # fmt: skip
    masks = {f"mask_{i}": ("cell", e.mask) for i, e in enumerate(errors) if e.mask is not None}
    return ds.assign(given).assign(masks)


def prior_error(prior: xr.Dataset, i: int) -> PriorError:
    """Return how the errors of one sector are correlated."""

    def given(name: str) -> float | None:
        return None if np.isnan(prior[name][i]) else float(prior[name][i])

    return PriorError(
        float(prior.length[i]),
        float(prior.duration[i]),
        str(prior.form.values[i]),  # type: ignore[arg-type]
        prior[f"correlation_{i}"].values if f"correlation_{i}" in prior else None,
        given("length_y"),
        bool(prior.per_axis[i]),
        given("hour_duration"),
        prior[f"mask_{i}"].values if f"mask_{i}" in prior else None,
    )


def _errors(data: xr.Dataset) -> ErrorModel:
    site = data.site.values
    return ErrorModel(
        {str(name): data.random_variance.values[:, i] for i, name in enumerate(data.random.values)},
        data.shared_column.values,
        tuple(map(str, data.shared_cause.values)),
        tuple(
            SiteCorrelated(str(cause), data.correlated_sd.values[:, i], float(data.correlated_duration[i]),
                           site, data.correlated_time.values[:, i])
            for i, cause in enumerate(data.correlated.values)
        ),
        tuple(map(str, data.shared_traceable_to.values)),
    )  # fmt: skip


def problem_of(coords: xr.Dataset, data: xr.Dataset, prior: xr.Dataset) -> Problem:
    """Return the problem that `data_of` and `prior_of` tell of."""
    errors = tuple(prior_error(prior, i) for i in range(prior.sizes["sector"]))
    parameters = tuple(
        Parameter(str(name), str(data.parameter_cause.values[i]), data.parameter_column.values[:, i],
                  float(data.parameter_sd[i]), str(data.parameter_unit.values[i]))
        for i, name in enumerate(data.parameter.values)
    )  # fmt: skip
    ids, cells = data.datum_id.values, prior.sizes["flux_time"] * prior.sizes["cell"]
    H = csr_array(
        (data.sensitivity.values, data.column.values, data.row_start.values), shape=(len(ids), cells)
    )
    return Problem(
        datum_id=ids,
        site=data.site.values,
        time=data.time.values,
        mole_fraction=data.mole_fraction.values,
        background=data.background.values,
        H=H,
        errors=_errors(data),
        sectors=tuple(map(str, prior.sector.values)),
        flux=prior.flux.values,
        covariances=covariances(coords, prior.flux_sd.values, errors),
        prior_errors=errors,
        parameters=parameters,
        coords=coords,
        unseen=tuple(map(str, ids[np.diff(H.indptr) == 0])),
    )


def read_group(path: Path, group: str | None = None) -> xr.Dataset:
    """Return a group of a netCDF file, in memory, with text as text."""
    with xr.open_dataset(path, group=group, engine="netcdf4") as opened:
        ds = opened.load()
    text = {str(name): ds[name].astype(str) for name in ds.variables if ds[name].dtype.kind in "OT"}
    return ds.assign({n: v for n, v in text.items() if n not in ds.coords}).assign_coords(
        {n: v for n, v in text.items() if n in ds.coords}
    )


def encoding_of(ds: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return how to write a dataset exactly: no fill values, times in ns."""
    plain: dict[str, Any] = {"_FillValue": None}
    time = {"units": "nanoseconds since 1970-01-01", "dtype": "int64"}
    return {
        str(n): time if ds[n].dtype.kind == "M" else plain for n in ds.variables if ds[n].dtype.kind in "fM"
    }


def _text(names: Any) -> npt.NDArray[np.str_]:
    listed = list(names)
    return np.array(listed, dtype=str) if listed else np.empty(0, dtype="<U1")


def _columns(parts: list[Floats], length: int) -> Floats:
    return np.stack(parts, axis=1) if parts else np.zeros((length, 0))


def _optional(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
