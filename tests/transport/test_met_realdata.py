"""Real met end to end: ERA5 on a projected grid and WRF over 12 hours give usable footprints."""

import json

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.met import crs_of, open_met
from transport.meteorology.balance import LIMIT
from transport.meteorology.cfmet import CFReader
from transport.meteorology.cube import Target, read_met
from transport.meteorology.era5 import era5_pressure_levels
from transport.meteorology.store import build_met
from transport.meteorology.wrf import WRFReader

pytestmark = pytest.mark.realdata
ROUGHNESS = 0.3  # m, mixed land; the ERA5 sample has none


@pytest.fixture(scope="module")
def era5_files(data_dir):
    return sorted((data_dir / "met" / "era5_utm32").glob("*.nc"))


@pytest.fixture(scope="module")
def era5(era5_files):
    return read_met(CFReader(era5_pressure_levels(roughness=ROUGHNESS, cut_margin=True)), era5_files)


def test_era5_sample_becomes_a_cube_without_its_missing_margin(era5):
    schema.check(era5, "met")
    assert (era5.sizes["time"], era5.sizes["y"], era5.sizes["x"]) == (3, 27, 16)
    assert era5.ustar.attrs["method"].startswith("sqrt(stress / density)")
    assert "no latent heat flux" in era5.inverse_obukhov.attrs["method"]
    assert float(era5.sensible_heat_flux.max()) < 0.0  # a May night over land: heat flows down
    assert float(era5.rho[:, 0].min()) > 0.8


def test_era5_wind_and_temperature_near_the_ground_are_those_of_the_file(era5, era5_files):
    with xr.open_dataset(era5_files[1]) as ds:
        there = ds.isel(time=0).sel(y=era5.y, x=era5.x)
        speed = np.hypot(there["10u"], there["10v"]).values
        warm, ground = there["2t"].values, there["sp"].values
    np.testing.assert_allclose(np.hypot(era5.u[1, 0], era5.v[1, 0]), speed, atol=1e-4)
    assert 0.0 < np.median(era5.t.values[1, 0] - warm) < 1.0  # K, between 2 and 10 m on a calm night
    np.testing.assert_allclose(era5.p.values[1, 0] / ground, np.exp(-10.0 / 8300.0), rtol=2e-4)


def test_height_of_a_pressure_level_agrees_with_the_barometric_formula(era5):
    t, p, q = (era5[n].values.astype(float).mean((0, 2, 3)) for n in ("t", "p", "q"))
    z, low, high = era5.level.values, 5, 20
    warm = t * (1.0 + 0.608 * q)
    thickness = np.trapezoid(287.0561 * warm[low : high + 1] / 9.80665, -np.log(p[low : high + 1]))
    assert thickness == pytest.approx(z[high] - z[low], rel=2e-3)


def test_converted_winds_conserve_mass_and_the_files_own_do_less(era5, era5_files, data_dir):
    wrf = sorted((data_dir / "bowen_basin_ch4" / "wrf").glob("*.nc"))[:3]
    for reader, paths in (
        (CFReader(era5_pressure_levels(roughness=ROUGHNESS, cut_margin=True)), era5_files),
        (WRFReader(), wrf),
    ):
        balanced = json.loads(read_met(reader, paths).attrs["mass_balance"])
        own = json.loads(read_met(reader, paths, target=Target(vertical="file")).attrs["mass_balance"])
        assert balanced["residual"] < 0.1 * LIMIT  # what is left is the density's change with time
        assert own["residual"] > 10.0 * balanced["residual"]


def receptors(met, grid, hours, when, places=2):
    """Return towers of 10 and 60 m at some places in the middle of the grid."""
    x, y = np.meshgrid(np.linspace(grid.x[3], grid.x[-4], places), np.linspace(grid.y[3], grid.y[-4], places))
    x, y = np.tile(x.ravel(), 2), np.tile(y.ravel(), 2)
    height = np.repeat([10.0, 60.0], x.size // 2)
    n, point = x.size, ("receptor", "point")
    ids = [f"r{k}" for k in range(n)]
    return xr.Dataset({
        "x": (point, x[:, None], {"units": "m"}), "y": (point, y[:, None], {"units": "m"}),
        "height": (point, height[:, None], {"units": "m"}),
        "weight": (point, np.ones((n, 1)), {"units": "1"}),
        "duration": ("receptor", np.full(n, 600.0), {"units": "s"}),
        "hours": ("receptor", np.full(n, hours), {"units": "h"}),
        "particles": ("receptor", np.full(n, 200)), "seed": ("receptor", 100 + np.arange(n)),
    }).assign_coords(
        receptor=("receptor", ids), datum_id=("receptor", ids),
        time=("receptor", np.full(n, when)),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("case", "hours"), [("bowen", 12.0), ("era5", 2.0)])
def test_real_met_gives_finite_footprints_and_no_particle_in_the_ground_or_at_a_lid(
    data_dir, tmp_path, case, hours
):
    if case == "bowen":
        reader, paths = WRFReader(), sorted((data_dir / "bowen_basin_ch4" / "wrf").glob("*.nc"))
    else:
        reader = CFReader(era5_pressure_levels(roughness=ROUGHNESS, cut_margin=True))
        paths = sorted((data_dir / "met" / "era5_utm32").glob("*.nc"))
    met = open_met(build_met(reader, paths, tmp_path))
    step = float(met.x[1] - met.x[0])
    grid = Grid(
        crs_of(met).to_wkt(),
        float(met.x[0]),
        float(met.y[0]),
        step,
        step,
        met.sizes["x"] - 1,
        met.sizes["y"] - 1,
    )
    foot = compute_footprints(
        met, receptors(met, grid, hours, met.time.values[-1]), grid, FootprintSettings()
    )
    assert (foot.reason == "ok").all()
    total = foot.foot.sum(("lag", "y", "x")).values
    assert np.all(np.isfinite(foot.foot)) and np.all(total > 0.0)  # noqa: PT018
    assert np.all(foot.foot_sum_sd.values < 0.5 * total)
    height = foot.end_height.values
    assert np.all(height >= 0.0)
    lid = met.mixing_height.isel(time=0).interp(x=foot.end_x, y=foot.end_y).values
    inside = np.isfinite(lid)
    at_lid = np.mean(np.abs(height[inside] / lid[inside] - 1.0) < 0.02)
    assert at_lid < 0.1  # a lid that holds particles would show most of them within 2 % of it
    top = np.mean(height > 0.98 * float(met.level[-1]))
    assert top < 0.01
