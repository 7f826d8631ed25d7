"""Sharing cells of a projected grid out to degrees: areas are true, the sum stays, the slow way agrees."""

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import EqualAreaPlane, Lattice, LonLatCells, source_area
from priors.regrid import conservative_weights
from transport.interchange.shares import Shares

UTM = Grid("EPSG:32616", 400e3, 4300e3, 1000.0, 1112.0, 40, 30)


def cells(west, south, step, count, north_first=False):
    x, y = (start + step * np.arange(count + 1) for start in (west, south))
    lat = np.stack([y[:-1], y[1:]], axis=1)
    return LonLatCells(np.stack([x[:-1], x[1:]], axis=1), lat[::-1] if north_first else lat)


def dense(shares, grid):
    shape = (grid.nx * grid.ny, shares.shape[0] * shares.shape[1])
    return csr_array((shares.share, shares.cell, shares.start), shape=shape).toarray()


@pytest.mark.parametrize(
    ("step", "count", "north_first"), [(0.01, 70, False), (0.04, 20, True), (0.003, 60, False)]
)
def test_shares_are_those_of_the_polygons(step, count, north_first):
    target = cells(-88.17, 38.83, step, count, north_first)
    plane = EqualAreaPlane.around(UTM)
    weights = conservative_weights(target, UTM) @ diags_array(source_area(target, plane).ravel())
    expected = (diags_array(1.0 / Lattice.of(UTM).areas(plane).ravel()) @ weights).toarray()
    # the polygons have eight pieces a side, these two: centimetres of a kilometre
    np.testing.assert_allclose(dense(Shares.between(UTM, target), UTM), expected, atol=1e-5)


def test_every_footprint_is_shared_out_or_beside(rng):
    shares = Shares.between(UTM, cells(-88.0, 38.9, 0.02, 10))
    foot = np.where(rng.random((3, *UTM.shape)) < 0.2, rng.random((3, *UTM.shape)), 0.0).astype(np.float32)
    out, beside = shares(foot)
    total = foot.sum(axis=(1, 2), dtype=np.float64)
    np.testing.assert_allclose(out.sum(axis=(1, 2), dtype=np.float64) + beside, total, rtol=1e-6)
    assert np.all(beside > 0.1 * total)


def test_a_grid_wholly_inside_loses_nothing():
    shares = Shares.between(UTM, cells(-89.0, 38.0, 0.05, 60))
    assert np.diff(shares.start).min() >= 1
    _, beside = shares(np.ones((1, *UTM.shape), np.float32))
    assert abs(float(beside[0])) < 1e-9 * UTM.nx * UTM.ny


def test_a_grid_about_a_pole_is_refused():
    polar = Grid("EPSG:3413", -50e3, -50e3, 10e3, 10e3, 10, 10)
    with pytest.raises(DataError, match="no pole inside"):
        Shares.between(polar, cells(0.0, 85.0, 0.5, 8))
