"""Footprints of elevated sources: residence in their cell and layer, exactly; Monte-Carlo sd; faults."""

import numpy as np
import pytest
import xarray as xr

from metroflux.constants import M_AIR
from metroflux.errors import DataError
from transport.elevated import point_response, source_footprints
from transport.footprints import FootprintSettings, compute_footprints

SETTINGS = FootprintSettings()


def everywhere(make_sources, grid, edges):
    """Return a source in each cell and layer between the edges."""
    x, y, k = np.meshgrid(grid.x, grid.y, np.arange(len(edges) - 1), indexing="ij")
    low, high = np.array(edges)[k.ravel()], np.array(edges)[k.ravel() + 1]
    return make_sources(x.ravel(), y.ravel(), low, high)


def test_layers_that_cover_the_column_hold_all_of_the_time(make_met, make_points, make_sources, wide_grid):
    met = make_met(scale_height=1e12, wind=(6.0, -2.0))
    receptors = make_points((10.0, 200.0), hours=3.0, particles=100)
    sources = everywhere(make_sources, wide_grid, [0.0, 30.0, 200.0, 900.0, 6400.0])
    foot = source_footprints(met, receptors, sources, wide_grid, SETTINGS)
    depth = sources.top - sources.bottom
    seconds = (foot.foot.sum("lag") * depth.values).sum("source") * 1.2 / M_AIR
    np.testing.assert_allclose(seconds, 3 * 3600.0, rtol=1e-6)


def test_the_lower_half_of_the_mixed_layer_is_the_footprint_of_half_the_mixing_height(
    make_met, make_points, make_sources, wide_grid
):
    met, receptors = make_met(mixing_height=800.0), make_points((10.0, 100.0), hours=3.0, particles=100)
    sources = everywhere(make_sources, wide_grid, [0.0, 400.0])
    ours = source_footprints(met, receptors, sources, wide_grid, SETTINGS)
    surface = compute_footprints(met, receptors, wide_grid, FootprintSettings(estimator="half"))
    values = ours.foot.values.reshape(2, ours.sizes["lag"], wide_grid.nx, wide_grid.ny).swapaxes(2, 3)
    assert values.sum() > 0
    np.testing.assert_allclose(values, surface.foot, rtol=1e-6)  # the footprint is kept in float32


def test_several_sources_share_a_cell_and_batches_share_the_bits(
    make_met, make_points, make_sources, wide_grid
):
    met, receptors = make_met(), make_points((10.0, 50.0, 90.0), hours=3.0, particles=120)
    sources = make_sources([-5e3] * 3, [5e3] * 3, [0.0, 50.0, 0.0], [50.0, 100.0, 100.0])
    foot = source_footprints(met, receptors, sources, wide_grid, SETTINGS)
    low, high, both = foot.foot.sum("lag").values.T
    assert np.all(low > 0)
    np.testing.assert_allclose(both, 0.5 * (low + high), rtol=1e-6)
    alone = source_footprints(met, receptors, sources, wide_grid, FootprintSettings(batch=1))
    xr.testing.assert_identical(foot, alone)
    rate = point_response(foot)
    np.testing.assert_allclose(rate.values[:, 0], low / wide_grid.cell_area[20, 19])


def test_stated_sd_of_a_source_is_the_spread_over_seeds(make_met, make_points, make_sources, wide_grid):
    seeds = 60
    receptors = make_points((20.0,) * seeds, hours=2.0, particles=200)
    sources = make_sources([-5e3, -15e3], [5e3, 5e3], [50.0, 0.0], [150.0, 100.0])
    foot = source_footprints(make_met(), receptors, sources, wide_grid, SETTINGS)
    spread = foot.foot.sum("lag").std("receptor", ddof=1).values
    stated = np.sqrt((foot.foot_sd**2).mean("receptor")).values
    np.testing.assert_allclose(stated / spread, 1.0, atol=3 / np.sqrt(2 * seeds))


def test_faults_of_sources_are_listed_together(make_met, make_points, make_sources, wide_grid):
    sources = make_sources([0.0, 9e6, 0.0], [0.0] * 3, [50.0, 50.0, 80.0], [9000.0, 100.0, 70.0])
    with pytest.raises(
        DataError, match=r"3 point source faults.*'s0' emits from 50 to 9000 m.*'s1' at x = 9e\+06"
    ):
        source_footprints(make_met(), make_points(), sources, wide_grid, SETTINGS)
