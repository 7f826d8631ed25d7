"""Emissions through a plane beside mole fractions: the solver against the problem with dense matrices."""

import numpy as np
import pytest
import xarray as xr

from inversion.direct import with_direct_rows
from inversion.solver import solve
from metroflux.errors import DataError


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
