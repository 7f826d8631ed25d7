"""WRF reader: a small file of known content, refusals by name, the real Bowen Basin files."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Proj

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.met import check_same_crs, to_lonlat
from transport.meteorology.cube import Target, read_met
from transport.meteorology.wrf import WRFReader, read_wrf, wrf_crs
from transport.receptors import ReceptorSettings, make_receptors

MAPS = {
    1: {"TRUELAT1": 30.0, "TRUELAT2": 60.0, "MOAD_CEN_LAT": 45.0, "STAND_LON": 5.0},
    2: {"TRUELAT1": 60.0, "TRUELAT2": 0.0, "MOAD_CEN_LAT": 60.0, "STAND_LON": 5.0},
    3: {"TRUELAT1": 0.0, "TRUELAT2": 0.0, "MOAD_CEN_LAT": 5.0, "STAND_LON": 5.0},
}
LEVELS = (10.0, 50.0, 200.0, 500.0)
NX, NZ, STEP = 4, 8, 5000.0


def wrf_file(path: Path, hour: int = 0, kind: int = 1, slope: float = 0.01) -> Path:
    """Write a WRF file: a slope to the east, air moving along it, one temperature gradient."""
    attributes = MAPS[kind] | {"MAP_PROJ": kind, "DX": STEP, "DY": STEP}
    crs = wrf_crs(attributes)
    offsets = STEP * np.arange(NX)
    south = to_lonlat(crs, 0.0, 0.0)[1] if kind != 3 else 0.0
    x, y = np.meshgrid(1000.0 + offsets, (2000.0 if south < 89 else -3.0e6) + offsets)
    lon, lat = to_lonlat(crs, x, y)
    terrain = np.broadcast_to(100.0 + slope * offsets, (NX, NX))
    scale = np.sqrt(Proj(crs).get_factors(lon, lat).areal_scale)  # terrain rises faster on the ground
    faces = terrain + np.linspace(0.0, 1600.0, NZ + 1)[:, None, None]
    middle = 0.5 * (faces[1:] + faces[:-1])
    pressure = 1e5 * np.exp(-middle / 8000.0)
    volume, faced = ("bottom_top", "south_north", "west_east"), "bottom_top_stag"
    ones = np.ones((NZ, NX, NX))
    fields = {
        "U": ((*volume[:2], "west_east_stag"), np.full((NZ, NX, NX + 1), 10.0)),
        "V": ((volume[0], "south_north_stag", volume[2]), np.full((NZ, NX + 1, NX), -2.0)),
        "W": ((faced, *volume[1:]), np.broadcast_to(10.0 * slope * scale + 0.02, (NZ + 1, NX, NX))),
        "PH": ((faced, *volume[1:]), 0.0 * faces), "PHB": ((faced, *volume[1:]), 9.80665 * faces),
        "P": (volume, 0.0 * ones), "PB": (volume, pressure), "T": (volume, 2.0 * ones),
        "QVAPOR": (volume, 0.01 * ones),
        "HGT": (volume[1:], terrain), "UST": (volume[1:], 0.3 * ones[0]),
        "HFX": (volume[1:], 100.0 * ones[0]), "LH": (volume[1:], 0.0 * ones[0]),
        "PBLH": (volume[1:], 800.0 * ones[0]), "ZNT": (volume[1:], 0.1 * ones[0]),
        "XLAT": (volume[1:], lat), "XLONG": (volume[1:], lon),
    }  # fmt: skip
    ds = xr.Dataset({n: (("Time", *d), v[None].astype(np.float32)) for n, (d, v) in fields.items()})
    ds["Times"] = (("Time", "DateStrLen"), np.array([list(f"2024-06-01_{hour:02d}:00:00")], dtype="S1"))
    ds.attrs = attributes
    ds.to_netcdf(path)
    return path


@pytest.fixture
def two(tmp_path):
    return [wrf_file(tmp_path / f"{hour}.nc", hour) for hour in (0, 1)]


def test_air_that_follows_the_terrain_has_no_velocity_through_it(two):
    met = read_met(WRFReader(), two, LEVELS, Target(vertical="file"))
    lowest = 100.0  # m, first mass level: below it w falls linearly to zero at the ground
    expected = 0.02 * np.minimum(met.level.values / lowest, 1.0)
    np.testing.assert_allclose(met.w.values.mean(axis=(0, 2, 3)), expected, atol=5e-5)
    # the map's scale changes between the points where slope and wind meet
    assert np.ptp(met.w.values, axis=(0, 2, 3)).max() < 2e-4


def test_fields_have_their_closed_forms(two):
    met = read_wrf(two[::-1], LEVELS)  # the order of files does not matter
    theta, level, p = 302.0, met.level.values[:, None, None], met.p.values[0]
    kappa = 287.0561 / 1004.7
    np.testing.assert_allclose(met.t.values[0], theta * (p / 1e5) ** kappa, rtol=2e-4)
    whole = 1e5 * np.exp(-(met.terrain.values[None] + level) / 8000.0)
    np.testing.assert_allclose(p[2:], whole[2:], rtol=1e-5)  # between mass levels ln p is linear: exact
    np.testing.assert_allclose(met.q.values, 0.01 / 1.01, rtol=1e-5)
    virtual = met.t * (1 + 0.608 * met.q)
    np.testing.assert_allclose(met.rho, met.p / (287.0561 * virtual), rtol=1e-4)
    ratio = np.log(10 / 0.1) / np.log(100 / 0.1)  # unstable profiles are steeper near the ground
    assert ratio < float(met.u[0, 0, 0, 0]) / 10.0 < 1.0
    expected = -0.4 * 9.80665 * (100.0 / (float(met.rho[0, 0, 0, 0]) * 1004.7)) / (302.0 * 0.3**3)
    assert float(met.inverse_obukhov[0, 0, 0]) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kind", MAPS)
def test_every_supported_map_is_recovered_from_its_latitudes(tmp_path, kind):
    met = read_wrf([wrf_file(tmp_path / f"{hour}.nc", hour, kind) for hour in (0, 1)], LEVELS)
    assert float(met.x[0]) == pytest.approx(1000.0, abs=5.0)  # float32 latitude and longitude
    assert np.diff(met.x) == pytest.approx(np.full(NX - 1, STEP))
    schema.check(met, "met")


def test_a_longitude_latitude_run_is_brought_to_a_map(tmp_path):
    def degrees(ds):
        lon, lat = np.meshgrid(5.0 + 0.5 * np.arange(NX), 45.0 + 0.5 * np.arange(NX))
        ds["XLONG"].values[0], ds["XLAT"].values[0] = lon, lat
        return ds.assign_attrs(MAP_PROJ=6, POLE_LAT=90.0)

    paths = [wrf_file(tmp_path / f"{hour}.nc", hour, slope=0.0) for hour in (0, 1)]
    for path in paths:
        changed(path, degrees)
    with pytest.raises(DataError, match=r"0\.nc: a longitude-latitude grid; state the projection"):
        read_wrf(paths, LEVELS)
    crs = CRS("+proj=lcc +lat_1=44 +lat_2=47 +lat_0=45 +lon_0=5.75 +R=6370000 +units=m")
    met = read_met(WRFReader(), paths, LEVELS, Target(crs, 20e3))
    assert met.sizes["x"] >= 5
    np.testing.assert_allclose(np.hypot(met.u[:, -1], met.v[:, -1]), np.hypot(10.0, 2.0), rtol=1e-5)
    assert np.ptp(met.v.values[0, -1]) > 0.1  # the same wind has another direction on the map


def test_a_shifted_target_crs_moves_the_axes_only(two):
    own = read_wrf(two, LEVELS)
    text = "+proj=lcc +lat_1=30 +lat_2=60 +lat_0=44 +lon_0=5 +x_0=5e5 +R=6370000 +units=m"
    moved = read_wrf(two, LEVELS, crs=CRS(text))
    assert float(moved.x[0] - own.x[0]) == pytest.approx(5e5, abs=0.01)
    assert np.array_equal(moved.u, own.u)
    check_same_crs(moved, text)
    for other in ("+proj=lcc +lat_1=30 +lat_2=60 +lon_0=6 +R=6370000", "EPSG:32632"):
        with pytest.raises(DataError, match="more than a shift"):
            read_wrf(two, LEVELS, crs=CRS(other))


def test_rotated_and_unknown_maps_are_refused():
    assert wrf_crs({"MAP_PROJ": 6, "POLE_LAT": 90.0}).is_geographic
    with pytest.raises(DataError, match="POLE_LAT = 40; a rotated one is not supported"):
        wrf_crs({"MAP_PROJ": 6, "POLE_LAT": 40.0})
    with pytest.raises(DataError, match="MAP_PROJ = 203 is not supported"):
        wrf_crs(MAPS[1] | {"MAP_PROJ": 203})
    with pytest.raises(DataError, match="no global attribute 'STAND_LON'"):
        wrf_crs({"MAP_PROJ": 1, "TRUELAT1": 1, "TRUELAT2": 2, "MOAD_CEN_LAT": 3})


def changed(path, change):
    with xr.open_dataset(path) as ds:
        new = change(ds.load())
    new.to_netcdf(path)


def nan_in(name):
    def change(ds):
        ds[name][0, 1, 1] = np.nan
        return ds

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda ds: ds.drop_vars("HFX"),
            r"^\S*1\.nc at 2024-06-01T01:00: neither friction velocity with heat flux nor a temperature at",
        ),
        (
            lambda ds: ds.drop_vars("PBLH"),
            r"^\S*1\.nc at 2024-06-01T01:00: mixing height: the bulk Richardson number stays below",
        ),
        (lambda ds: ds.drop_vars("HGT"), r"1\.nc: no variable HGT"),
        (lambda ds: ds.drop_vars("ZNT"), r"1\.nc: no variable ZNT; state a roughness"),
        (nan_in("PBLH"), r"1\.nc: 'PBLH' is nan at index \(1, 1\)"),
        (nan_in("QVAPOR"), r"1\.nc: 'QVAPOR' is nan"),
        (lambda ds: ds.assign(T=ds["T"] * 0 + 9.97e36), r"1\.nc: 'T' is 9\.9\d*e\+36"),
        (lambda ds: ds.assign(UST=ds.UST * 0), r"1\.nc at 2024-06-01T01:00: friction velocity is 0"),
        (lambda ds: ds.assign(HGT=ds.HGT + 5), r"1\.nc: map, grid points or terrain differ from"),
        (lambda ds: ds.assign(XLAT=ds.XLAT * 1.01), r"1\.nc: XLAT, XLONG leave the regular map grid"),
    ],
)
def test_a_faulty_file_is_refused_by_name(two, change, message):
    changed(two[1], change)
    with pytest.raises(DataError, match=message):
        read_wrf(two, LEVELS)


def test_a_stated_roughness_replaces_an_absent_one(two):
    for path in two:
        changed(path, lambda ds: ds.drop_vars("ZNT"))
    assert float(read_wrf(two, LEVELS, roughness=0.3).z0.mean()) == pytest.approx(0.3)


def test_files_times_and_levels_are_checked(two, tmp_path):
    with pytest.raises(DataError, match=r"no such file: .*absent\.nc"):
        read_wrf([*two, tmp_path / "absent.nc"], LEVELS)
    with pytest.raises(DataError, match="the list of files is empty"):
        read_wrf([], LEVELS)
    with pytest.raises(DataError, match=r"gap in time from .*1\.nc at .*T01:00 to .*3\.nc at .*T03:00"):
        read_wrf([*two, wrf_file(tmp_path / "3.nc", 3)], LEVELS)
    with pytest.raises(DataError, match="expected each time once"):
        read_wrf([*two, wrf_file(tmp_path / "again.nc", 1)], LEVELS)
    for wrong in ((50.0, 10.0), (0.0, 10.0), (10.0,)):
        with pytest.raises(DataError, match="levels = "):
            read_wrf(two, wrong)
    with pytest.raises(DataError, match="level 5000 m is above the highest model level"):
        read_wrf(two, (10.0, 5000.0))
    text = tmp_path / "text.nc"
    text.write_text("not netCDF")
    with pytest.raises(DataError, match=r"text\.nc: cannot be opened"):
        read_wrf([text], LEVELS)


@pytest.fixture(scope="module")
def data():
    if "METROFLUX_DATA" not in os.environ:
        pytest.skip("METROFLUX_DATA is not set: no real files")
    return Path(os.environ["METROFLUX_DATA"])


@pytest.fixture(scope="module")
def bowen(data):
    with xr.open_dataset(data / "bowen_basin_ch4" / "prior-emissions.nc") as prior:
        crs, x, y = CRS.from_cf(prior.lambert_conformal.attrs), prior.x.values, prior.y.values
    met = read_wrf(sorted((data / "bowen_basin_ch4" / "wrf").glob("*.nc")), crs=crs)
    return met, Grid(crs.to_wkt(), x[0] - 5e3, y[0] - 5e3, 10e3, 10e3, x.size, y.size)


@pytest.mark.realdata
def test_bowen_met_lies_on_the_grid_of_its_prior(bowen):
    met, grid = bowen
    assert met.sizes["time"] == 13
    assert met.x.values[2:12] == pytest.approx(grid.x, abs=3.0)  # float32 latitude and longitude
    assert met.y.values[2:12] == pytest.approx(grid.y, abs=3.0)
    check_same_crs(met, grid.crs)


@pytest.mark.realdata
def test_bowen_met_agrees_with_what_wrf_itself_diagnoses(bowen, data):
    met, _ = bowen
    with xr.open_dataset(
        data / "bowen_basin_ch4" / "wrf" / "WRFOUT_d01_2022-12-07T0300Z.nc", decode_times=False
    ) as wrf:
        u10, v10, rmol = wrf.U10.values[0], wrf.V10.values[0], wrf.RMOL.values[0]
        ground = wrf.PSFC.values[0]
    speed = np.hypot(met.u.values[3, 0], met.v.values[3, 0])
    assert np.median(speed / np.hypot(u10, v10)) == pytest.approx(1.0, abs=0.02)
    assert np.median(met.inverse_obukhov.values[3] / rmol) == pytest.approx(1.0, abs=0.03)
    assert np.median(met.p.values[3, 0] / ground) == pytest.approx(np.exp(-10.0 / 8800.0), rel=1e-3)


@pytest.mark.slow
@pytest.mark.realdata
def test_bowen_receptors_have_finite_footprints(bowen):
    met, grid = bowen
    when = np.datetime64("2022-12-07T03:44:25", "ns")
    x, y = np.meshgrid(grid.x[[3, 6]], grid.y[[4, 7]])
    lon, lat = to_lonlat(CRS(grid.crs), x.ravel(), y.ravel())
    n, layers = 4, 12
    kernel = np.full((n, layers), 1.0)
    kernel[2:] = np.nan  # two columns, two towers
    share = np.where(np.isnan(kernel), np.nan, 1.0 / layers)
    text = np.array(["a", "b", "c", "d"])
    observations = xr.Dataset({
        "mole_fraction": ("obs", np.full(n, 1.85e-6), {"units": "mol mol-1"}),
        "flag": ("obs", np.zeros(n, int)), "n_samples": ("obs", np.ones(n, int)),
        "averaging_kernel": (("obs", "layer"), kernel, {"units": "1"}),
        "pressure_weight": (("obs", "layer"), share, {"units": "1"}),
        "random_sd": (("obs", "random"), np.full((n, 1), 1e-8), {"units": "mol mol-1"}),
        "shared_column": (("obs", "shared"), np.zeros((n, 0)), {"units": "mol mol-1"}),
    }).assign_coords(
        datum_id=("obs", text), time=("obs", np.full(n, when)),
        time_bounds=(("obs", "bounds"), np.full((n, 2), when)), site=("obs", text),
        species=("obs", np.full(n, "ch4")), inlet=("obs", [np.nan, np.nan, 10.0, 10.0], {"units": "m"}),
        latitude=("obs", lat, {"units": "degrees_north"}), longitude=("obs", lon, {"units": "degrees_east"}),
        random=("random", ["noise"]), shared=("shared", np.empty(0, "<U1")),
        shared_cause=("shared", np.empty(0, "<U1")), shared_traceable_to=("shared", np.empty(0, "<U1")),
    )  # fmt: skip
    settings = ReceptorSettings(particles=240, hours=6.0, seed=1, column_top=6000.0, stop_at_met_start=True)
    receptors = make_receptors(observations, met, settings)
    foot = compute_footprints(met, receptors, grid, FootprintSettings())
    total = foot.foot.sum(("lag", "y", "x")).values
    assert foot.sizes["lag"] == 4
    assert (foot.reason == "ok").all()
    # a column holds about a tenth to a third of the sensitivity of the air at the ground
    assert np.all((total[:2] > 0.001) & (total[:2] < 0.5 * total[2:].min()))
    assert np.all(foot.foot_sum_sd.values < 0.3 * total)
    with pytest.raises(DataError, match=r"a needs 2022-12-06T21:44 to 2022-12-07T03:44, the met covers"):
        make_receptors(observations, met, ReceptorSettings(particles=240, hours=6.0, seed=1))


@pytest.mark.realdata
def test_a_wrf_file_without_surface_layer_or_mixing_height_gets_them_derived(data):
    path = data / "met" / "wrf_gulf" / "mercator_sample.nc"
    with pytest.raises(DataError, match=r"mercator_sample\.nc: no variable ZNT; state a roughness"):
        read_wrf([path])
    levels = (20.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 5000.0)
    met = read_wrf([path], levels, roughness=2e-4)  # open sea
    assert met.sizes["time"] == 4
    assert "bulk Richardson" in met.mixing_height.method
    assert "Monin-Obukhov" in met.ustar.method
    assert "Monin-Obukhov" in met.sensible_heat_flux.method
    with xr.open_dataset(path, decode_times=False) as wrf:
        u10, v10 = wrf.U10.values, wrf.V10.values
    # a neutral sea: u* is 3 to 5 % of the wind at 10 m (drag coefficient 1 to 2 parts in a thousand)
    ratio = met.ustar.values / np.hypot(u10, v10)
    windy = np.hypot(u10, v10) > 5.0
    assert np.percentile(ratio[windy], 5) > 0.03
    assert np.percentile(ratio[windy], 95) < 0.05
    # marine and hurricane boundary layers
    assert 300.0 < np.median(met.mixing_height) < 2000.0
