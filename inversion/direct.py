"""Rows that act on the flux itself, such as the emission through a plane, beside the mole fractions."""

from dataclasses import replace

import numpy as np
import xarray as xr
from scipy.sparse import csr_array, vstack

from inversion.problem import Floats, Problem
from metroflux.errors import DataError
from metroflux.schema import check
from metroflux.uncertainty import ErrorModel

CAUSE = "direct flux"
"""Line of the budget of what is a row's own error."""


def with_direct_rows(problem: Problem, rows: xr.Dataset) -> Problem:
    """Return the problem with rows y = sum of weight x cell area x flux of all sectors, mol s-1, at its end.

    A row acts on the flux interval that holds the middle of its time. Its values stand in mol s-1 among mole
    fractions: the solution does not depend on the unit of a row. Its errors are independent of all others,
    so that a cause which data of the problem share too must not be among them.

    Raises
    ------
    DataError
        If the cells differ, a datum_id is there already, a row lies outside of the flux intervals, has no
        error of its own or a cause of the problem, or random errors of the problem are correlated in time.
    """
    check(rows, "direct_fluxes", "direct rows")
    names, causes = rows.datum_id.values.astype(str), tuple(map(str, rows.shared_cause.values))
    both = ", ".join(sorted(set(causes) & set(problem.errors.causes)))
    area = problem.coords.cell_area.values
    middle = rows.time_bounds.values[:, 0] + np.diff(rows.time_bounds.values, axis=1)[:, 0] // 2
    bounds = problem.coords.flux_time_bounds.values
    within = (bounds[:, 0] <= middle[:, None]) & (middle[:, None] < bounds[:, 1])
    faults = [
        text
        for wrong, text in (
            (rows.weight.shape[1:] != area.shape, f"cells {rows.weight.shape[1:]}, expected {area.shape}"),
            (bool(set(names) & set(problem.datum_id)), "a datum_id is in the problem already"),
            (not within.any(axis=1).all(), "a time outside of the flux intervals"),
            (not (rows.emission_sd.values > 0).all(), "a row without an error of its own"),
            (bool(both), f"causes of the problem too ({both})"),
            (bool(problem.errors.correlated), "random errors correlated in time"),
        )
        if wrong
    ]
    if faults:
        raise DataError(f"direct rows {', '.join(names)}: {'; '.join(faults)}")
    flat = (rows.weight.values * area).reshape(names.size, -1)
    H = csr_array((within[:, :, None] * flat[:, None, :]).reshape(names.size, -1))
    more = np.zeros(names.size)
    return replace(
        problem,
        datum_id=np.append(problem.datum_id, names),
        site=np.append(problem.site, names),
        time=np.append(problem.time, rows.time_bounds.values[:, 0]),
        mole_fraction=np.append(problem.mole_fraction, rows.emission.values),
        background=np.append(problem.background, more),
        H=csr_array(vstack([problem.H, H])),
        errors=_errors(problem.errors, rows.emission_sd.values, rows.emission_shared.values, causes),
        parameters=tuple(replace(p, column=np.append(p.column, more)) for p in problem.parameters),
    )


def _errors(errors: ErrorModel, sd: Floats, columns: Floats, causes: tuple[str, ...]) -> ErrorModel:
    """Return R with the independent block of the rows below."""
    old, new = errors.columns.shape, columns.shape
    U = np.zeros((old[0] + new[0], old[1] + new[1]))
    U[: old[0], : old[1]], U[old[0] :, old[1] :] = errors.columns, columns
    random = {name: np.append(variance, np.zeros(sd.size)) for name, variance in errors.random.items()}
    random[CAUSE] = np.append(np.zeros(old[0]), sd**2)
    materials = (*errors.materials, *("not stated",) * new[1])
    return replace(errors, random=random, columns=U, causes=errors.causes + causes, traceable_to=materials)
