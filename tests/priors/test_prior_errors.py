"""Prior uncertainty: relative and floor, per sector and where."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.build import Inventory, make_prior
from priors.errors import with_sd

GRID = Grid("EPSG:32632", 600_000.0, 5_250_000.0, 2_000.0, 2_000.0, 3, 2)
EDGES = np.array(["2022-01-01", "2022-01-02", "2022-01-03"], dtype="datetime64[ns]")


@pytest.fixture
def prior() -> xr.Dataset:
    """Return a prior of two sectors, one of them with uptake."""
    rng = np.random.default_rng(8)
    flux = {"fossil": rng.random((2, 2, 3)), "biosphere": -rng.random((2, 2, 3))}
    return make_prior(GRID.coords(), flux, EDGES, "co2", Inventory("test"))


def test_sd_is_the_root_of_the_summed_squares(prior: xr.Dataset) -> None:
    sd = with_sd(prior, {"fossil": 0.3, "biosphere": 0.8}, {"fossil": 0.0, "biosphere": 0.1}).flux_sd.values
    np.testing.assert_allclose(sd[0], 0.3 * prior.flux.values[0])
    np.testing.assert_allclose(sd[1], np.hypot(0.8 * prior.flux.values[1], 0.1))


def test_a_floor_may_hold_in_part_of_the_map_only(prior: xr.Dataset) -> None:
    land = xr.DataArray([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]], dims=("y", "x"))
    sd = with_sd(prior, 0.0, 2.0, land).flux_sd.values
    np.testing.assert_array_equal(sd, np.broadcast_to(2 * land.values, sd.shape))
    by_sector = xr.concat([land, 0 * land], "sector")
    sd = with_sd(prior, 0.0, 2.0, by_sector).flux_sd.values
    np.testing.assert_array_equal(sd[0], np.broadcast_to(2 * land.values, sd[0].shape))
    assert not sd[1].any()


def test_all_faults_come_at_once(prior: xr.Dataset) -> None:
    with pytest.raises(DataError) as raised:
        with_sd(
            prior, {"fosil": 0.3, "biosphere": -1.0}, np.nan, xr.DataArray(np.ones((3, 2)), dims=("x", "y"))
        )
    for part in (
        "relative: unknown sectors fosil (the prior has fossil, biosphere)",
        "relative: nothing given for fossil",
        "relative: biosphere is -1.0",
        "floor: fossil is nan",
        "floor_share: dims",
    ):
        assert part in str(raised.value)


def test_no_uncertainty_anywhere_is_refused(prior: xr.Dataset) -> None:
    with pytest.raises(DataError, match="prior sd: zero everywhere"):
        with_sd(prior, 0.0)
    with pytest.raises(DataError, match="outside 0 to 1"):
        with_sd(prior, 1.0, 1.0, xr.DataArray(np.full((2, 3), 2.0), dims=("y", "x")))


def test_a_prior_with_nan_or_fill_is_refused(prior: xr.Dataset) -> None:
    for value, fault in ((np.nan, "'flux' has 1 NaN"), (1e36, "'flux' has 1 values beyond")):
        broken = prior.copy(deep=True)
        broken.flux[0, 1, 1, 2] = value
        with pytest.raises(DataError, match=rf"{fault}.*sector=0, flux_time=1, y=1, x=2"):
            with_sd(broken, 0.5)


def test_edges_and_areas_must_make_sense() -> None:
    flux = {"a": np.ones((1, 2, 3))}
    with pytest.raises(DataError, match="flux_time_edges"):
        make_prior(GRID.coords(), flux, EDGES[1::-1], "co2", Inventory("test"))
    coords = GRID.coords()
    coords["cell_area"] = coords["cell_area"] * 0
    with pytest.raises(DataError, match="cell_area: 6 not positive"):
        make_prior(coords, flux, EDGES[:2], "co2", Inventory("test"))
