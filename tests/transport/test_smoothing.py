"""Smoothing: the sum stays, the width is as stated, a slow twin agrees."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError, DataError
from transport.footprints import FootprintSettings, compute_footprints
from transport.smoothing import Smoothing, gaussian, kernel_width, smooth, spread


def layer_of(shape, cells):
    layer = np.zeros(shape)
    for (j, i), value in cells.items():
        layer[j, i] = value
    return layer


def dense_twin(layer, width, reach):
    """Return the layer spread by full matrices whose columns sum to 1."""
    for axis in (0, 1):
        kernel = gaussian(width[axis], reach)
        size = layer.shape[axis]
        far = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        matrix = np.where(far < kernel.size, kernel[np.minimum(far, kernel.size - 1)], 0.0)
        matrix /= matrix.sum(axis=0)
        layer = np.moveaxis(np.tensordot(matrix, layer, (1, axis)), 0, axis)
    return layer


@pytest.mark.parametrize("width", [(0.05, 0.05), (0.7, 1.3), (3.0, 2.0), (40.0, 40.0)])
def test_separable_convolution_equals_its_dense_form(rng, width):
    layer = np.where(rng.random((23, 31)) < 0.05, rng.random((23, 31)), 0.0)
    found = spread(layer, np.array(width), 4.0)
    np.testing.assert_allclose(found, dense_twin(layer, width, 4.0), rtol=1e-12, atol=1e-15)
    assert found.sum() == pytest.approx(layer.sum(), rel=1e-12)


@pytest.mark.parametrize("place", [(0, 0), (0, 17), (39, 39), (20, 20)])
def test_nothing_leaves_at_the_edge_or_in_a_corner(place):
    found = spread(layer_of((40, 40), {place: 2.5}), np.array([5.0, 5.0]), 4.0)
    assert found.sum() == pytest.approx(2.5, rel=1e-12)
    assert found.min() >= 0


def test_far_from_the_edge_the_variance_grows_by_that_of_the_kernel():
    found = spread(layer_of((201, 201), {(100, 100): 1.0}), np.array([6.0, 9.0]), 6.0)
    place = np.arange(201) - 100
    # 1/12: the kernel is integrated over cells
    assert found.sum(axis=1) @ place**2 == pytest.approx(36 + 1 / 12, rel=1e-6)
    assert found.sum(axis=0) @ place**2 == pytest.approx(81 + 1 / 12, rel=1e-6)


def test_width_is_that_of_stilt():
    # two spots 0.4 degrees apart in x at 6 h: variance 0.04 square degrees
    layer = layer_of((50, 50), {(25, 5): 1.0, (25, 45): 1.0})
    cell = 0.01 * 111_195.0
    found = kernel_width(layer, 0.25, np.array([cell, cell]), Smoothing(classes=1000))
    assert found / 111_195.0 == pytest.approx(0.06 * 0.04**0.25 * 0.25**0.5, rel=1e-3)
    doubled = kernel_width(layer, 0.25, np.array([cell, cell]), Smoothing(factor=2.0, classes=1000))
    assert doubled == pytest.approx(2 * found, rel=1e-3)


def test_smoothing_keeps_every_hours_sum_and_widens_with_age(make_met, make_points, wide_grid):
    raw = compute_footprints(make_met(), make_points((10.0, 30.0), hours=4.0), wide_grid, FootprintSettings())
    found = smooth(raw, Smoothing(factor=3.0))
    sums = [ds.foot.sum(("y", "x"), dtype=np.float64) for ds in (raw, found)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-6)
    assert (found.foot > 0).sum() > 2 * (raw.foot > 0).sum()
    width = found.kernel_sd.values[:, :4]
    assert (np.diff(width, axis=1) > 0).all()
    with pytest.raises(DataError, match="they are smoothed"):
        smooth(found)


def test_factor_zero_changes_nothing(make_met, make_points, wide_grid):
    raw = compute_footprints(make_met(), make_points(), wide_grid, FootprintSettings())
    same = smooth(raw, Smoothing(factor=0.0))
    xr.testing.assert_identical(same.drop_vars("kernel_sd"), raw)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"factor = -1"):
        Smoothing(factor=-1)
