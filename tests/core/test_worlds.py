"""The synthetic city keeps its promises: reproducible, mass consistent, and wrong in the known ways only."""

import numpy as np
import pytest

from metroflux.constants import MOLAR_MASS, SECONDS_PER_YEAR
from metroflux.errors import DataError
from metroflux.provenance import sha256_dataset
from metroflux.worlds import CitySettings, World, build
from metroflux.worlds.emissions import MISSING_PLANT_TOTAL

SMALL = CitySettings(cells=20, days=1, towers=2)


@pytest.fixture(scope="module")
def world() -> World:
    return build(SMALL)


def annual_totals(world: World) -> tuple[dict[str, float], dict[str, float]]:
    """Prior and true totals by sector, Mt per year."""
    scale = MOLAR_MASS["co2"] * SECONDS_PER_YEAR * 1e-9

    def totals(ds):
        rate = (ds.flux.mean("flux_time") * ds.cell_area).sum(("y", "x")) * scale
        return {str(s): float(rate.sel(sector=s)) for s in ds.sector.values}

    return totals(world.prior), totals(world.truth)


def test_same_settings_give_the_same_world_to_the_bit(world):
    again = build(SMALL)
    for name in (
        "met",
        "prior",
        "truth",
        "observations",
        "profiles",
        "background_field",
        "true_background_field",
    ):
        assert sha256_dataset(getattr(again, name)) == sha256_dataset(getattr(world, name)), name


def test_another_seed_gives_other_weather(world):
    other = build(CitySettings(seed=2, cells=20, days=1, towers=2))
    assert not np.array_equal(other.met.u.values, world.met.u.values)


def test_wind_conserves_mass(world):
    """The swirl is the curl of a stream function: its centred differences cancel in the interior."""
    met, step = world.met.astype(np.float64), float(world.met.x[1] - world.met.x[0])
    du = np.gradient(met.u.values, step, axis=3)[:, :, 2:-2, 2:-2]
    dv = np.gradient(met.v.values, step, axis=2)[:, :, 2:-2, 2:-2]
    assert np.abs(du).max() > 1e-6
    assert np.abs(du + dv).max() < 1e-9
    assert np.all(met.w.values == 0.0)


def test_density_and_pressure_are_hydrostatic(world):
    column = world.met.isel(time=0, y=0, x=0).astype(np.float64)
    slope = np.gradient(column.p.values, column.level.values, edge_order=2)
    np.testing.assert_allclose(slope[5:-1], -9.80665 * column.rho.values[5:-1], rtol=5e-3)


def test_known_truth_differs_from_the_inventory_as_stated(world):
    prior, true = annual_totals(world)
    share = (20 * 2000.0 / 120_000.0) ** 2
    assert true["traffic"] / prior["traffic"] == pytest.approx(1.25, rel=1e-12)
    assert true["power"] / prior["power"] == pytest.approx(0.9, rel=1e-12)
    assert true["biosphere"] == prior["biosphere"]
    assert true["industry"] - prior["industry"] == pytest.approx(MISSING_PLANT_TOTAL * share, rel=2e-3)


def test_drawn_truths_spread_as_the_stated_uncertainty():
    """z = (truth - prior) / sd over distant cells and many seeds has unit variance (some 300 d.o.f.)."""
    z = []
    for seed in range(25):
        world = build(CitySettings(seed=seed, cells=20, days=1, towers=1, lidar=False, truth="drawn"))
        some = {"sector": 1, "flux_time": 3, "y": slice(None, None, 6), "x": slice(None, None, 6)}
        z.append(((world.truth.flux - world.prior.flux) / world.prior.flux_sd).isel(some).values)
    assert np.mean(np.square(z)) == pytest.approx(1.0, abs=0.25)


def test_world_without_lidar_has_no_lidar_data():
    world = build(CitySettings(cells=10, days=1, towers=1, lidar=False))
    assert set(world.observations.site.values) == {"CEN"}
    assert world.profiles.sizes["site"] == 0


def test_wrong_settings_are_refused_all_at_once():
    with pytest.raises(DataError, match=r"cells = 3.*days = 0.*truth = 'x'"):
        CitySettings(cells=3, days=0, truth="x")
