"""Nested footprints: nothing lost, nothing twice."""

import numpy as np
import pytest

from metroflux.errors import ConfigError
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.nested import compute_nested


def test_inner_and_outer_together_are_the_whole_and_agree_cell_by_cell(make_met, make_points, wide_grid):
    met, receptors = make_met(), make_points((10.0, 30.0), hours=4.0)
    inner = Grid(wide_grid.crs, -30e3, -20e3, 2e3, 2e3, 20, 20)
    nested = compute_nested(met, receptors, (wide_grid, inner), FootprintSettings())
    whole = compute_footprints(met, receptors, wide_grid, FootprintSettings())
    both = nested.outer.foot.sum(dtype=np.float64) + nested.inner.foot.sum(dtype=np.float64)
    assert float(both) == pytest.approx(float(whole.foot.sum(dtype=np.float64)), rel=1e-6)
    fine = nested.inner.foot.values.reshape(2, -1, 4, 5, 4, 5).sum(axis=(3, 5))
    np.testing.assert_allclose(fine, whole.foot.values[:, :, 18:22, 17:21], rtol=1e-5, atol=1e-9)
    assert not nested.outer.foot.values[:, :, 18:22, 17:21].any()
    assert int(nested.outer.covered.sum()) == 16
    assert (nested.outer.foot.sum(("lag", "y", "x")) > 0).all()


def test_an_inner_grid_off_the_lines_or_beyond_is_refused(make_met, make_points, wide_grid):
    wrong = Grid(wide_grid.crs, -31e3, 190e3, 2e3, 2e3, 20, 20)
    with pytest.raises(
        ConfigError, match=r"y from 190000 to 230000 m reaches beyond .*x from -31000 .* not on lines"
    ):
        compute_nested(make_met(), make_points(), (wide_grid, wrong), FootprintSettings())
