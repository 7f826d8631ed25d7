"""Rows that act on the flux itself, such as the emission through a plane, beside the mole fractions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array, vstack

from inversion.problem import Floats, Problem
from metroflux.errors import DataError
from metroflux.schema import check
from metroflux.uncertainty import ErrorModel

CAUSE = "direct flux"
"""Line of the budget of what is a row's own error."""


def with_direct_rows(problem: Problem, rows: xr.Dataset, names: Sequence[str] = ()) -> Problem:
    """Return the problem with rows y = sum of weight x cell area x flux of all sectors, at its end.

    A row acts on the flux interval that holds the middle of its time. The solution does not depend on its
    unit: it is scaled to the median standard uncertainty of the mole fractions, so that C stays well scaled.

    Parameters
    ----------
    names : of the first columns of U, as the data's `shared` has them: a shared error of the rows that has
        the name of one is that one; without names, causes which the problem has too are refused

    Raises
    ------
    DataError
        If the cells differ, a datum_id is there already, a row lies outside of the flux intervals, has no
        error of its own or a cause of the problem, or random errors of the problem are correlated in time.
    """
    check(rows, "direct_fluxes", "direct rows")
    labels, within = rows.datum_id.values.astype(str), _within(problem, rows)
    _refuse(problem, rows, within, both=not names)
    scale = np.median(np.sqrt(problem.errors.variance)) / _sd(rows)
    flat = (rows.weight.values * problem.coords.cell_area.values).reshape(labels.size, -1) * scale[:, None]
    H = csr_array((within[:, :, None] * flat[:, None, :]).reshape(labels.size, -1))
    more = np.zeros(labels.size)
    return replace(
        problem,
        datum_id=np.append(problem.datum_id, labels),
        site=np.append(problem.site, labels),
        time=np.append(problem.time, rows.time_bounds.values[:, 0]),
        mole_fraction=np.append(problem.mole_fraction, rows.emission.values * scale),
        background=np.append(problem.background, more),
        H=csr_array(vstack([problem.H, H])),
        errors=_errors(problem.errors, rows, scale, names),
        parameters=tuple(replace(p, column=np.append(p.column, more)) for p in problem.parameters),
    )


def _within(problem: Problem, rows: xr.Dataset) -> npt.NDArray[np.bool_]:
    """Return which flux interval holds the middle of each row, shape (row, flux_time)."""
    begin, end = rows.time_bounds.values.T
    middle, bounds = begin + (end - begin) // 2, problem.coords.flux_time_bounds.values
    inside: npt.NDArray[np.bool_] = (bounds[:, 0] <= middle[:, None]) & (middle[:, None] < bounds[:, 1])
    return inside


def _refuse(problem: Problem, rows: xr.Dataset, within: npt.NDArray[np.bool_], *, both: bool) -> None:
    labels, shape = rows.datum_id.values.astype(str), problem.coords.cell_area.shape
    common = ", ".join(sorted(set(_causes(rows)) & set(problem.errors.causes)))
    faults = [
        text
        for wrong, text in (
            (rows.weight.shape[1:] != shape, f"cells {rows.weight.shape[1:]}, expected {shape}"),
            (bool(set(labels) & set(problem.datum_id)), "a datum_id is in the problem already"),
            (not within.any(axis=1).all(), "a time outside of the flux intervals"),
            (not (rows.emission_sd.values > 0).all(), "a row without an error of its own"),
            (both and bool(common), f"causes of the problem too ({common})"),
            (bool(problem.errors.correlated), "random errors correlated in time"),
        )
        if wrong
    ]
    if faults:
        raise DataError(f"direct rows {', '.join(labels)}: {'; '.join(faults)}")


def _sd(rows: xr.Dataset) -> Floats:
    """Return the standard uncertainty of each row, all causes, mol s-1."""
    return np.sqrt(rows.emission_sd.values**2 + np.sum(rows.emission_shared.values**2, axis=1))


def _errors(errors: ErrorModel, rows: xr.Dataset, scale: Floats, names: Sequence[str]) -> ErrorModel:
    """Return R with the rows below; a shared error of a known name goes on in its own column."""
    columns, own = rows.emission_shared.values * scale[:, None], (rows.emission_sd.values * scale) ** 2
    known = {name: i for i, name in enumerate(names)}
    at = [known.get(name) for name in rows.shared.values.tolist()]
    new = [j for j, i in enumerate(at) if i is None]
    n, rank = errors.columns.shape
    U = np.zeros((n + own.size, rank + len(new)))
    U[:n, :rank], U[n:, rank:] = errors.columns, columns[:, new]
    for j, i in enumerate(at):
        if i is not None:
            U[n:, i] = columns[:, j]
    random = {name: np.append(variance, np.zeros(own.size)) for name, variance in errors.random.items()}
    random[CAUSE] = np.append(np.zeros(n), own)
    added, origin = _causes(rows), rows.shared_traceable_to.values.tolist()
    return replace(
        errors,
        random=random,
        columns=U,
        causes=errors.causes + tuple(added[j] for j in new),
        traceable_to=errors.materials + tuple(origin[j] for j in new),
    )


def _causes(rows: xr.Dataset) -> list[str]:
    return [str(cause) for cause in rows.shared_cause.values]


def apart(diagnostics: xr.Dataset, rows: xr.Dataset) -> xr.Dataset:
    """Return the diagnostics with what is of direct rows, in mol s-1, under dimension `direct` of its own.

    chi2, DOFS and evidence stay those of all data together.
    """
    labels = rows.datum_id.values
    mine = np.isin(diagnostics.datum_id.values, labels)
    rest = diagnostics.isel(obs=~mine, site_name=~np.isin(diagnostics.site_name.values, labels))
    own = diagnostics.isel(obs=mine)
    back = _sd(rows) / own.observation_sd.values
    found = {
        f"direct_{new}": (
            "direct", own[old].values * back, {"units": "mol s-1", "long_name": own[old].attrs["long_name"]}
        )
        for new, old in _SHOWN.items()
    }  # fmt: skip
    return rest.assign(found).assign_coords(
        direct=("direct", own.datum_id.values), direct_time=("direct", own.time.values)
    )


_SHOWN = {
    "emission": "mole_fraction",
    "prior": "prior_mole_fraction",
    "posterior": "posterior_mole_fraction",
    "sd": "observation_sd",
    "loo_residual": "loo_residual",
    "loo_sd": "loo_sd",
}
"""Variables of direct rows and those of the diagnostics that hold them."""
