"""Footprints: conservation, the same bits however they are batched, reasons, refusals."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.constants import M_AIR
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.kernels.state import Target
from transport.met import open_met
from transport.particles import MetTimes, fly, release

SETTINGS = FootprintSettings()


def varied(met):
    """Return the met with wind and mixing height that change in place and time."""
    rng = np.random.default_rng(2)
    for name, size in (("u", 1.0), ("v", 1.0), ("mixing_height", 200.0)):
        met[name] = met[name] + (size * rng.standard_normal(met[name].shape)).astype(np.float32)
        met[name].attrs["units"] = "m" if name == "mixing_height" else "m s-1"
    return met


@pytest.mark.parametrize("estimator", ["growing", "half"])
def test_footprint_sums_to_the_residence_of_its_particles(make_met, make_points, wide_grid, estimator):
    met, receptors = make_met(), make_points((10.0, 200.0), duration=1800.0)
    flight = release(receptors)
    target = Target(
        np.zeros((2, 3, *wide_grid.shape)), np.zeros(2), np.zeros(2, np.int64),
        np.array([wide_grid.west, wide_grid.south]), np.array([wide_grid.dx, wide_grid.dy]),
    )  # fmt: skip
    fly(flight, MetTimes(met), target, FootprintSettings(estimator).rules())
    for r in range(2):
        residence = flight.particles.deposited[flight.particles.receptor == r].sum()
        assert residence > 0
        assert target.foot[r].sum() == pytest.approx(residence, rel=1e-12)
    assert not target.off_grid.any()


def test_grid_and_its_outside_together_do_not_depend_on_the_grid(make_met, make_points, wide_grid):
    met, receptors = make_met(), make_points(hours=4.0)
    small = Grid(wide_grid.crs, -20e3, -10e3, 5e3, 5e3, 4, 4)
    whole, part = (compute_footprints(met, receptors, grid, SETTINGS) for grid in (wide_grid, small))
    total = part.foot.sum(dtype=np.float64) + part.off_grid.sum()
    assert float(total) == pytest.approx(float(whole.foot.sum(dtype=np.float64)), rel=1e-6)  # float32 storage
    assert float(part.off_grid[0]) > 0


def test_in_well_mixed_air_an_hour_of_footprint_is_air_mass_over_column(make_met, make_points, wide_grid):
    h, n = 600.0, 40
    levels = (5.0, *np.linspace(20.0, 2000.0, 100))
    met = make_met(3, mixing_height=h, ustar=0.3, inverse_obukhov=-0.05, levels=levels)
    heights = 2 * h * (np.arange(n) + 0.5) / n  # air above that does not come down in three hours
    density = np.exp(-heights / 8500.0)
    receptors = make_points(hours=3.0, end=3.0, particles=4000).isel(point=np.zeros(n, int))
    receptors["height"][0], receptors["weight"][0] = heights, density / density.sum()
    expected = 3600.0 * M_AIR / (1.2 * density.mean() * 2 * h)
    for estimator in ("growing", "half"):
        foot = compute_footprints(met, receptors, wide_grid, FootprintSettings(estimator))
        hourly = foot.foot.sum(("y", "x")).values[0]
        error = float(foot.foot_sum_sd[0]) / np.sqrt(3)  # of one hour, were hours independent
        assert hourly == pytest.approx(np.full(3, expected), abs=3 * error + 0.01 * expected)


def test_both_estimators_agree_after_the_first_hour(make_met, make_points, wide_grid):
    met = make_met(4, mixing_height=800.0, ustar=0.3, inverse_obukhov=-0.05)
    receptors = make_points(hours=4.0, particles=2000)
    sums = [
        compute_footprints(met, receptors, wide_grid, FootprintSettings(e)).foot.sum(("y", "x")).values[0]
        for e in ("growing", "half")
    ]
    assert sums[0][1:].sum() == pytest.approx(sums[1][1:].sum(), rel=0.08)
    assert sums[1][0] < 0.8 * sums[0][0]  # what STILT's layer loses near the receptor


def test_wind_carries_the_footprint_upwind_hour_by_hour(make_met, make_points, wide_grid):
    met = make_met(4, wind=(5.0, 0.0))
    foot = compute_footprints(met, make_points(hours=4.0, particles=500), wide_grid, SETTINGS)
    x = [float((foot.foot[0, k] * foot.x).sum() / foot.foot[0, k].sum()) for k in range(4)]
    assert np.all(np.diff(x) < -10e3)
    assert np.all(np.diff(x) > -5.0 * 3600 * 1.5)
    assert x[0] < 0


def same_bits(a, b):
    for name in ("foot", "off_grid", "outside", "foot_sum_sd", "end_x", "end_y", "end_height", "end_hours"):
        assert a[name].values.tobytes() == b[name].values.tobytes(), name
    assert (a.reason.values == b.reason.values).all()


def in_threads(workers, function, common, items):
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(partial(function, common), items)


def test_bits_do_not_depend_on_batch_or_workers(make_met, make_points, wide_grid):
    met = varied(make_met())
    parts = [make_points((10.0, 50.0, 300.0), end=end, duration=900.0) for end in (4.0, 2.75, 3.5)]
    receptors = xr.concat(parts, "receptor").assign_coords(
        receptor=("receptor", [f"r{n}" for n in range(9)]), datum_id=("receptor", [f"d{n}" for n in range(9)])
    )
    whole = compute_footprints(met, receptors, wide_grid, FootprintSettings(batch=9))
    for size in (1, 7):
        same_bits(whole, compute_footprints(met, receptors, wide_grid, FootprintSettings(batch=size)))
    for workers in (1, 4):
        mapper = partial(in_threads, workers)
        same_bits(whole, compute_footprints(met, receptors, wide_grid, FootprintSettings(batch=2), mapper))
    one = receptors.isel(receptor=[4])
    alone = compute_footprints(met, one, wide_grid, SETTINGS)
    lags = alone.sizes["lag"]
    assert alone.foot.values[0].tobytes() == whole.foot.values[4, :lags].tobytes()


def test_a_lazily_opened_cube_gives_the_same_bits(make_met, make_points, wide_grid, tmp_path):
    met, receptors = varied(make_met()), make_points()
    met.to_zarr(tmp_path / "met.zarr", consolidated=False, zarr_format=3)
    lazy = open_met(tmp_path / "met.zarr")
    assert lazy.u.chunks is not None
    same_bits(*(compute_footprints(m, receptors, wide_grid, SETTINGS) for m in (met, lazy)))


def test_only_the_hours_on_the_way_are_read(make_met, make_points, wide_grid):
    met = make_met(hours=6)
    whole = compute_footprints(met, make_points(hours=1.5, end=4.0), wide_grid, SETTINGS)
    for name in ("u", "mixing_height"):
        met[name][[0, 1, 5, 6]] = np.nan  # reading any of these would be refused
    same_bits(whole, compute_footprints(met, make_points(hours=1.5, end=4.0), wide_grid, SETTINGS))


def test_an_absent_or_foreign_store_is_refused_by_name(make_met, tmp_path):
    with pytest.raises(DataError, match=r"none\.zarr: no such met cube"):
        open_met(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(DataError, match=r"empty\.zarr: cannot be opened as zarr"):
        open_met(tmp_path / "empty.zarr")
    make_met().drop_vars(["w", "z0"]).to_zarr(tmp_path / "part.zarr", consolidated=False, zarr_format=3)
    with pytest.raises(DataError, match=r"part\.zarr: met cube without w, z0"):
        open_met(tmp_path / "part.zarr")


def test_two_receptors_of_one_content_have_one_footprint(make_met, make_points, wide_grid):
    receptors = make_points((10.0, 10.0))
    receptors = receptors.assign_coords(receptor=("receptor", ["same", "same"]))
    foot = compute_footprints(make_met(), receptors, wide_grid, SETTINGS)
    assert foot.foot.values[0].tobytes() == foot.foot.values[1].tobytes()
    assert list(foot.datum_id.values) == list(receptors.datum_id.values)


def test_stated_uncertainty_is_the_spread_over_seeds(make_met, make_points, wide_grid):
    n = 160
    receptors = make_points((10.0,) * n, hours=1.0, particles=100)
    foot = compute_footprints(make_met(), receptors, wide_grid, SETTINGS)
    spread = foot.foot.sum(("lag", "y", "x"), dtype=np.float64).values.std(ddof=1)
    stated = np.sqrt(np.mean(foot.foot_sum_sd.values**2))
    assert stated == pytest.approx(spread, rel=3 / np.sqrt(2 * (n - 1)))  # three sd of a sample sd


def test_end_points_account_for_every_particle(make_met, make_points, wide_grid):
    met = make_met(wind=(-20.0, 0.0), half_width=100e3)
    grid = Grid(wide_grid.crs, -50e3, -50e3, 10e3, 10e3, 10, 10)
    foot = compute_footprints(met, make_points(hours=4.0, duration=3600.0), grid, SETTINGS)
    schema.check(foot, "footprints")
    ended_early = foot.end_hours.values[0] < 4.0 - 1e-4
    assert float(foot.outside[0].sum()) == pytest.approx(ended_early.mean())
    assert float(foot.outside.sel(edge="east")[0]) > 0.5
    gone = foot.end_x.values[0][ended_early]
    assert np.all((gone > 100e3 - 1) & (gone < 103e3))


def test_an_empty_footprint_says_why(make_met, make_points, wide_grid):
    met = make_met(mixing_height=200.0)
    aside = Grid(wide_grid.crs, 100e3, 100e3, 10e3, 10e3, 2, 2)
    high = compute_footprints(met, make_points((3000.0,)), wide_grid, SETTINGS)
    assert "no particle came near the ground" in str(high.reason[0].item())
    beside = compute_footprints(met, make_points(), aside, SETTINGS)
    assert "beside the flux grid" in str(beside.reason[0].item())
    blown = compute_footprints(
        make_met(wind=(80.0, 0.0), mixing_height=200.0, half_width=50e3), make_points((3000.0,)),
        Grid(wide_grid.crs, -50e3, -50e3, 10e3, 10e3, 10, 10), SETTINGS,
    )  # fmt: skip
    assert "left the met domain (west)" in str(blown.reason[0].item())
    none = make_points()
    none["weight"][:] = 0.0
    nothing = compute_footprints(met, none, wide_grid, SETTINGS)
    assert "no release point" in str(nothing.reason[0].item())
    for empty in (high, beside, blown, nothing):
        assert float(empty.foot.sum()) == 0.0
        assert np.isfinite(empty.outside.values).all()


def test_receptors_outside_the_met_are_all_named(make_met, make_points, wide_grid):
    far = make_points((10.0, 20_000.0), hours=9.0, place=(900e3, 0.0))
    with pytest.raises(DataError) as fault:
        compute_footprints(make_met(), far, wide_grid, SETTINGS)
    for text in ("datum-r0-10 needs 2024-05-31T19:00", "covers 2024-06-01T00:00 to 2024-06-01T04:00",
                 "datum-r1-20000 has x = 900000 m", "height = 20000 m"):  # fmt: skip
        assert text in str(fault.value)


def test_unusable_met_and_settings_are_refused_by_name(make_met, make_points, wide_grid):
    met = make_met()
    met["ustar"][2, 1, 1] = 0.0
    with pytest.raises(DataError, match="'ustar' is 0"):
        compute_footprints(met, make_points(), wide_grid, SETTINGS)
    met = make_met()
    met["u"][2] = np.nan
    with pytest.raises(DataError, match="'u' is nan"):
        compute_footprints(met, make_points(), wide_grid, SETTINGS)
    with pytest.raises(DataError, match="not evenly spaced"):
        compute_footprints(make_met().isel(x=[0, 1, 3]), make_points(), wide_grid, SETTINGS)
    with pytest.raises(DataError, match="crs"):
        compute_footprints(make_met(), make_points(), Grid("EPSG:32633", 0, 0, 1e3, 1e3, 2, 2), SETTINGS)
    with pytest.raises(DataError, match="expected >= 2 each"):
        compute_footprints(make_met(), make_points(particles=1), wide_grid, SETTINGS)
    with pytest.raises(ConfigError, match="estimator 'thin'"):
        FootprintSettings(estimator="thin")
    with pytest.raises(ConfigError, match="batch = 0"):
        FootprintSettings(batch=0)
