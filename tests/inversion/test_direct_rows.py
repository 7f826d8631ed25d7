"""Emissions through a plane beside mole fractions: the solver against the problem with dense matrices."""

import numpy as np
import pytest
import xarray as xr

from inversion.diagnostics import diagnose
from inversion.direct import apart, with_direct_rows
from inversion.solver import solve
from metroflux.errors import DataError
from metroflux.schema import check


def planes(prior, shift=0):
    """Two planes behind one cell, that share a cause, in the second flux interval."""
    shape = prior.cell_area.shape
    weight = np.zeros((2, *shape))
    weight[(slice(None), *(0,) * len(shape))] = 1.0
    bounds = prior.flux_time_bounds.values[1] + np.timedelta64(shift, "D")
    scale = float(prior.cell_area.values.ravel()[0]) * 1e-6
    rate = {"units": "mol s-1"}
    return xr.Dataset(
        {
            "time_bounds": (("obs", "bounds"), np.array([bounds, bounds])),
            "emission": ("obs", scale * np.array([2.0, 3.0]), rate),
            "emission_sd": ("obs", scale * np.array([0.3, 0.4]), rate),
            "emission_shared": (("obs", "shared"), scale * np.array([[0.2], [0.25]]), rate),
            "weight": (("obs", "y", "x"), weight, {"units": "1"}),
        },
        coords={
            "datum_id": ("obs", ["P1", "P2"]),
            "shared": ["lidar-cross-section"],
            "shared_cause": ("shared", ["lidar"]),
            "shared_traceable_to": ("shared", ["HITRAN"]),
        },
    )


def test_rows_on_the_flux_give_the_posterior_of_the_dense_problem(inputs_of, twin_of):
    inputs = inputs_of(1)
    rows, twin = planes(inputs.prior), twin_of(inputs)
    problem = inputs.assemble()
    found = solve(with_direct_rows(problem, rows)).flux
    field = np.zeros((2, twin.times, twin.cells))
    field[:, 1] = (rows.weight.values * inputs.prior.cell_area.values).reshape(2, -1)
    row = np.hstack([np.tile(field.reshape(2, -1), twin.sectors), np.zeros((2, len(inputs.parameters)))])
    H, n = np.vstack([twin.H, row]), len(twin.R)
    R = np.zeros((n + 2, n + 2))
    R[:n, :n] = twin.R
    R[n:, n:] = (
        np.diag(rows.emission_sd.values**2) + rows.emission_shared.values @ rows.emission_shared.values.T
    )
    d = np.append(twin.y, rows.emission.values) - H @ twin.x_a
    x = twin.x_a + twin.B @ H.T @ np.linalg.solve(H @ twin.B @ H.T + R, d)
    np.testing.assert_allclose(found.ravel(), x[: twin.flux_size], rtol=1e-6, atol=1e-12)
    assert not np.allclose(found.ravel(), twin.x[: twin.flux_size], rtol=1e-3)


def correlation(R):
    sd = np.sqrt(np.diag(R))
    return R / np.outer(sd, sd)


def test_a_cross_section_behind_rows_and_gates_is_one_error(inputs_of, twin_of):
    """Against the dense problem in which one column of U runs through both kinds of data."""
    inputs = inputs_of(1)
    twin, problem = twin_of(inputs), inputs.assemble()
    names = [f"c{i}" for i in range(problem.errors.columns.shape[1])]
    rows = planes(inputs.prior)
    rows = rows.assign_coords(shared=("shared", [names[1]]))
    found = with_direct_rows(problem, rows, names).errors
    R = np.zeros((len(twin.R) + 2,) * 2)
    n = len(twin.R)
    R[:n, :n] = twin.R
    R[n:, n:] = (
        np.diag(rows.emission_sd.values**2) + rows.emission_shared.values @ rows.emission_shared.values.T
    )
    R[:n, n:] = np.outer(problem.errors.columns[:, 1], rows.emission_shared.values[:, 0])
    R[n:, :n] = R[:n, n:].T
    np.testing.assert_allclose(correlation(found.dense()), correlation(R), atol=1e-12)
    assert found.causes == problem.errors.causes
    other = with_direct_rows(problem, rows.assign_coords(shared=("shared", ["another"])), names).errors
    assert not other.dense()[:n, n:].any()
    assert other.traceable_to[-1] == "HITRAN"


def test_diagnostics_of_rows_stand_apart_in_their_own_unit(inputs_of):
    inputs = inputs_of(1)
    rows = planes(inputs.prior)
    solution = solve(with_direct_rows(inputs.assemble(), rows))
    whole = diagnose(solution)
    fit = check(apart(whole, rows), "diagnostics")
    n = len(inputs.assemble().datum_id)
    assert fit.sizes["obs"] == n
    assert not set(fit.site_name.values) & {"P1", "P2"}
    np.testing.assert_allclose(fit.direct_emission.values, rows.emission.values, rtol=1e-12)
    assert fit.direct_emission.attrs["units"] == "mol s-1"
    area = inputs.prior.cell_area.values.ravel()[0]
    model = solution.flux.sum(axis=0)[1, 0] * area
    np.testing.assert_allclose(fit.direct_posterior.values, [model, model], rtol=1e-6)
    sd = np.hypot(rows.emission_sd.values, rows.emission_shared.values[:, 0])
    np.testing.assert_allclose(fit.direct_sd.values, sd, rtol=1e-12)
    assert float(fit.chi2) == float(whole.chi2)
    per_hour = rows.copy()
    for name in ("emission", "emission_sd", "emission_shared", "weight"):
        per_hour[name] = rows[name].copy(data=3600 * rows[name].values)
    again = diagnose(solve(with_direct_rows(inputs.assemble(), per_hour)))
    np.testing.assert_allclose(again.condition_number, whole.condition_number, rtol=1e-9)


def test_rows_that_do_not_fit_are_refused(inputs_of):
    inputs = inputs_of(1)
    problem = inputs.assemble()
    with pytest.raises(DataError, match="outside of the flux intervals"):
        with_direct_rows(problem, planes(inputs.prior, 1000))
    rows = planes(inputs.prior)
    with pytest.raises(DataError, match=r"cells .* a row without an error"):
        with_direct_rows(problem, rows.isel(x=slice(1)).assign(emission_sd=rows.emission_sd * 0))
    once = with_direct_rows(problem, rows)
    with pytest.raises(
        DataError, match=r"datum_id is in the problem already; causes of the problem too \(lidar\)"
    ):
        with_direct_rows(once, rows)
