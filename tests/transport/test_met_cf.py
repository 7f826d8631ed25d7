"""CF and ERA5 readers on an isothermal atmosphere whose heights, densities and winds are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from metroflux import schema
from metroflux.constants import R_DRY
from metroflux.errors import ConfigError, DataError
from transport.met import to_lonlat
from transport.meteorology.cfmet import CFMet, CFReader
from transport.meteorology.columns import above_ground, hypsometric
from transport.meteorology.cube import Target, read_met
from transport.meteorology.era5 import era5_model_levels, era5_pressure_levels

R, G, T = R_DRY, 9.80665, 280.0
SCALE = R * T / G  # m, of the isothermal dry atmosphere
LEVELS = (10.0, 50.0, 200.0, 500.0, 1500.0)
PRESSURES = np.array([600.0, 700.0, 800.0, 850.0, 900.0, 925.0, 950.0, 975.0, 1000.0])  # hPa
CRS_TEXT = "+proj=lcc +lat_1=48 +lat_2=52 +lat_0=50 +lon_0=11 +R=6371229 +units=m"


def era5_file(folder: Path, hour: int = 0, kind: str = "pressure", projected: bool = False) -> Path:
    """Write an ERA5-like file (synthetic): isothermal, a plateau that rises to the north, wind from the west.

    The lowest pressure levels lie in the ground in the north, as they do in ERA5.
    """
    y, x = (200e3 - 20e3 * np.arange(21.0), 20e3 * np.arange(21.0) - 200e3) if projected else (
        np.arange(54.0, 46.0, -0.5), np.arange(7.0, 15.5, 0.5)
    )  # fmt: skip
    terrain = np.broadcast_to(np.linspace(800.0, 100.0, y.size)[:, None], (y.size, x.size))
    sp = 1.01325e5 * np.exp(-terrain / SCALE)
    if kind == "pressure":
        level, names = PRESSURES, ("valid_time", "pressure_level", "latitude", "longitude")
    else:
        level, names = np.arange(20.0, 41.0), ("time", "hybrid", "latitude", "longitude")
    if projected:
        names = (*names[:2], "y", "x")
    volume, plane = (1, level.size, y.size, x.size), (1, y.size, x.size)
    fields = {
        "u": (volume, 8.0, "m s**-1"), "v": (volume, 0.0, "m s**-1"), "t": (volume, T, "K"),
        "q": (volume, 0.0, "kg kg**-1"), "w": (volume, 0.0, "Pa s**-1"),
        "sp": (plane, sp, "Pa"), "z": (plane, G * terrain, "m**2 s**-2"), "t2m": (plane, T, "K"),
        "u10": (plane, 5.0, "m s**-1"), "v10": (plane, 0.0, "m s**-1"), "blh": (plane, 700.0, "m"),
        "zust": (plane, 0.4, "m s**-1"), "ishf": (plane, -50.0, "W m**-2"), "fsr": (plane, 0.2, "m"),
        "slhf": (plane, -3600.0 * 100.0, "J m**-2"),
    }  # fmt: skip
    data = {
        name: (
            names if len(size) == 4 else (names[0], *names[2:]),
            np.broadcast_to(value, size),
            {"units": units},
        )
        for name, (size, value, units) in fields.items()
    }
    axes = ("m", "m") if projected else ("degrees_north", "degrees_east")
    ds = xr.Dataset(data).assign_coords({
        names[0]: [np.datetime64(f"2024-06-01T{hour:02d}", "ns")],
        names[1]: (names[1], level, {"units": "hPa"} if kind == "pressure" else {"units": "1"}),
        names[2]: (names[2], y, {"units": axes[0]}), names[3]: (names[3], x, {"units": axes[1]}),
    })  # fmt: skip
    if projected:
        ds["mapping"] = ((), 0, {"proj_params": CRS_TEXT})
        ds["u"].attrs["grid_mapping"] = "mapping"
    if kind == "model":
        a, b = coefficients()
        ds = ds.assign(hyai=("half", a, {"units": "Pa"}), hybi=("half", b, {"units": "1"}))
    path = folder / f"{kind}{hour}.nc"
    ds.to_netcdf(path, encoding={names[0]: {"units": "hours since 1900-01-01"}})
    return path


def coefficients():
    """Return a and b of 41 half levels: pressure at the top, sigma at the ground (synthetic, not L137)."""
    s = np.linspace(0.0, 1.0, 41) ** 0.7
    return 2e4 * (1.0 - s) + 3e3 * s * (1.0 - s), s**1.5


def two(folder, **options):
    return [era5_file(folder, hour, **options) for hour in (1, 0)]


LATLON = Target(CRS(CRS_TEXT), 20e3)


@pytest.mark.parametrize("kind", ["pressure", "model"])
def test_heights_and_density_are_those_of_the_isothermal_atmosphere(tmp_path, kind):
    mapping = era5_pressure_levels() if kind == "pressure" else era5_model_levels()
    met = read_met(CFReader(mapping), two(tmp_path, kind=kind), LEVELS, LATLON)
    schema.check(met, "met")
    whole = (met.terrain.values + np.array(LEVELS)[:, None, None])[None]
    # between file points the terrain is linear, the surface pressure not: 20 m in 800 m
    np.testing.assert_allclose(
        met.p.values, np.broadcast_to(1.01325e5 * np.exp(-whole / SCALE), met.p.shape), rtol=2e-4
    )
    # the level at 10 m follows the surface layer, heated at 50 W m-2 here
    np.testing.assert_allclose(met.t.values, T, rtol=3e-3)
    np.testing.assert_allclose(met.t.values[:, 2:], T, rtol=3e-4)
    np.testing.assert_allclose(met.rho.values, met.p.values / (R * met.t.values), rtol=1e-4)
    assert float(met.mixing_height.min()) == float(met.mixing_height.max()) == pytest.approx(700.0)


def test_a_west_wind_is_turned_to_the_map_and_keeps_its_speed(tmp_path):
    met = read_met(CFReader(era5_pressure_levels()), two(tmp_path), LEVELS, LATLON)
    np.testing.assert_allclose(np.hypot(met.u[:, -1], met.v[:, -1]), 8.0, rtol=1e-5)
    x, y = np.meshgrid(met.x, met.y)
    lon, lat = to_lonlat(CRS(CRS_TEXT), x, y)
    lon_2, lat_2 = to_lonlat(CRS(CRS_TEXT), x + 1e-2 * met.u.values[0, -1], y + 1e-2 * met.v.values[0, -1])
    assert np.abs(lat_2 - lat).max() < 1e-3 * np.abs(lon_2 - lon).max()  # it stays on its parallel
    assert np.all(lon_2 > lon)


def test_ecmwf_fluxes_count_downward_and_sums_are_of_an_hour(tmp_path):
    met = read_met(CFReader(era5_pressure_levels()), two(tmp_path), LEVELS, LATLON)
    assert float(met.sensible_heat_flux[0, 0, 0]) == pytest.approx(50.0)
    rho = float(met.rho[0, 0, 0, 0])
    buoyancy = 50.0 / (rho * 1004.7) + 0.608 * T * 100.0 / (rho * 2.5e6)
    expected = -0.4 * G * buoyancy / (T * 0.4**3)
    assert float(met.inverse_obukhov[0, 0, 0]) == pytest.approx(expected, rel=2e-3)


def test_coefficients_of_a_table_equal_those_of_the_file(tmp_path):
    paths = two(tmp_path, kind="model")
    own = read_met(CFReader(era5_model_levels()), paths, LEVELS, LATLON)
    table = tmp_path / "levels.csv"
    table.write_text("a,b\n" + "\n".join(f"{a:.17g},{b:.17g}" for a, b in zip(*coefficients(), strict=True)))
    for path in paths:
        rewrite(path, lambda ds: ds.drop_vars(["hyai", "hybi"]))
    with pytest.raises(DataError, match="no hybrid coefficients"):
        read_met(CFReader(era5_model_levels()), paths, LEVELS, LATLON)
    again = read_met(CFReader(era5_model_levels(table)), paths, LEVELS, LATLON)
    xr.testing.assert_equal(own, again)


def test_surface_fields_may_lie_in_files_of_their_own(tmp_path):
    paths = two(tmp_path)
    whole = read_met(CFReader(era5_pressure_levels()), paths, LEVELS, LATLON)
    parts = []
    for path in paths:
        with xr.open_dataset(path) as ds:
            volume = ["u", "v", "t", "q", "w"]
            for kind, part in (("levels", ds[volume]), ("surface", ds.drop_vars(volume))):
                parts.append(tmp_path / f"{kind}_{path.name}")
                part.to_netcdf(parts[-1])
    xr.testing.assert_equal(read_met(CFReader(era5_pressure_levels()), parts, LEVELS, LATLON), whole)


def test_a_projected_file_with_earth_winds_gets_them_turned(tmp_path):
    met = read_met(CFReader(era5_pressure_levels()), two(tmp_path, projected=True), LEVELS)
    assert met.sizes["x"] == 21
    np.testing.assert_allclose(np.hypot(met.u[:, -1], met.v[:, -1]), 8.0, rtol=1e-5)
    assert (
        float(met.v[0, -1, 0, 0]) * float(met.v[0, -1, 0, -1]) < 0.0
    )  # west and east of the central meridian
    with pytest.raises(DataError, match="keeps its points; expected no step"):
        read_met(CFReader(era5_pressure_levels()), two(tmp_path, projected=True), LEVELS, LATLON)


def test_omega_of_resting_pressure_surfaces_is_the_slope_of_the_terrain(tmp_path):
    """Where omega is 0 air stays on pressure surfaces, which are flat here: it goes through the terrain's."""
    mapping = replace(era5_pressure_levels(), wind="grid")
    paths = two(tmp_path, projected=True)
    for path in paths:
        rewrite(path, lambda ds: ds.assign(v=ds.v * 0.0 + 3.0))
    met = read_met(CFReader(mapping), paths, LEVELS, Target(vertical="file"))
    slope = 700.0 / 400e3  # the ground rises northward
    np.testing.assert_allclose(met.w.values[:, -1, 5:-5, 5:-5], -3.0 * slope, rtol=0.05)


def rewrite(path, change):
    with xr.open_dataset(path) as ds:
        new = change(ds.load())
    new.to_netcdf(path)


def hole(ds):
    ds["t"][0, 3, 2, 2] = np.nan
    return ds


def shuffled(ds):
    return ds.isel(pressure_level=[1, 0, *range(2, PRESSURES.size)])


def in_units(name, units):
    return lambda ds: ds.assign({name: ds[name].assign_attrs(units=units)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hole, r"pressure1\.nc: 't' is nan at index"),
        (shuffled, r"pressure1\.nc: 'pressure_level' is not monotonic"),
        (lambda ds: ds.drop_vars("q"), r"pressure1\.nc at 2024-06-01T01:00: no variable q for 'q'"),
        (lambda ds: ds.drop_vars("sp"), r"pressure1\.nc at .*: no variable sp for 'surface_pressure'"),
        (lambda ds: ds.drop_vars("fsr"), r"pressure1\.nc at .*: no roughness length"),
        (in_units("t", "degC"), r"pressure1\.nc: 't' has units 'degC'; expected for t: K"),
        (in_units("sp", "bar"), r"pressure1\.nc: 'sp' has units 'bar'"),
        (in_units("ishf", "W"), r"pressure1\.nc: 'ishf' has units 'W'"),
        (lambda ds: ds.drop_vars(["zust", "t2m"]), r"pressure1\.nc at .*: neither friction velocity"),
        (lambda ds: ds.assign(blh=ds.blh * 0), r"met at 2024-06-01T01.*'mixing_height' is 0"),
        (
            lambda ds: ds.isel(longitude=slice(1, None)),
            r"pressure0\.nc: axes differ from those of .*pressure1\.nc",
        ),
        (lambda ds: ds.assign_coords(valid_time=ds.valid_time + np.timedelta64(60, "m")), None),
    ],
)
def test_a_faulty_file_is_named_with_its_field(tmp_path, change, message):
    paths = two(tmp_path)
    if message is None:
        paths.append(era5_file(tmp_path, 2))
        rewrite(paths[0], change)  # the hour between is now a second 02:00
        message = r"pressure2\.nc: time 2024-06-01T02.* is also in .*pressure1\.nc"
    else:
        rewrite(paths[0], change)
    with pytest.raises(DataError, match=message):
        read_met(CFReader(era5_pressure_levels()), paths, LEVELS, LATLON)


def test_a_gap_in_time_is_named(tmp_path):
    paths = [*two(tmp_path), era5_file(tmp_path, 4)]
    with pytest.raises(
        DataError, match=r"gap in time from .*1\.nc at .*T01:00 to .*4\.nc at .*T04:00; expected every 60"
    ):
        read_met(CFReader(era5_pressure_levels()), paths, LEVELS, LATLON)


def test_missing_edges_are_cut_only_if_said_so(tmp_path):
    paths = two(tmp_path, projected=True)

    def margin(ds):
        bare = (ds.x < ds.x[-1]) & (ds.y > ds.y[-1])
        return ds.assign({n: ds[n].where(bare) for n in ds.data_vars if "x" in ds[n].dims})

    for path in paths:
        rewrite(path, margin)
    with pytest.raises(DataError, match="cut_margin leaves out missing edges"):
        read_met(CFReader(era5_pressure_levels()), paths, LEVELS)
    met = read_met(CFReader(era5_pressure_levels(cut_margin=True)), paths, LEVELS)
    assert (met.sizes["y"], met.sizes["x"]) == (20, 20)
    for path in paths:
        rewrite(path, lambda ds: ds.assign(sp=ds.sp.where((ds.x != ds.x[9]) | (ds.y != ds.y[9]))))
    with pytest.raises(DataError, match="missing values inside the file"):
        read_met(CFReader(era5_pressure_levels(cut_margin=True)), paths, LEVELS)


def test_longitudes_are_read_over_the_seam_of_a_global_file(tmp_path):
    paths = two(tmp_path)
    for path in paths:
        rewrite(
            path, lambda ds: ds.assign_coords(longitude=ds.longitude.assign_attrs(units="degrees_east") + 0.0)
        )
    part = read_met(CFReader(era5_pressure_levels(area=(8.0, 47.0, 14.0, 53.0))), paths, LEVELS, LATLON)
    turned = era5_pressure_levels(area=(8.0 + 360.0, 47.0, 14.0 + 360.0, 53.0))
    xr.testing.assert_allclose(read_met(CFReader(turned), paths, LEVELS, LATLON), part)
    with pytest.raises(DataError, match="expected at least 2 x 2"):
        read_met(CFReader(era5_pressure_levels(area=(100.0, 47.0, 101.0, 53.0))), paths, LEVELS, LATLON)


def test_a_longitude_latitude_file_needs_a_map(tmp_path):
    with pytest.raises(DataError, match="state the projection"):
        read_met(CFReader(era5_pressure_levels()), two(tmp_path), LEVELS)


def test_a_mapping_of_unknown_quantities_is_refused():
    with pytest.raises(ConfigError, match=r"unknown \['wind'\], absent \['q', 't', 'v'\]"):
        CFMet(variables={"u": ("u",), "wind": ("ff",)})


def test_levels_in_the_ground_go_and_columns_keep_their_length():
    p = np.array([1e5, 9e4, 8e4, 7e4])[:, None, None] * np.ones((1, 1, 2))
    ground = np.array([[1.02e5, 9.5e4]])
    height = hypsometric(p, np.full_like(p, T), np.zeros_like(p), ground)
    np.testing.assert_allclose(height, SCALE * np.log(ground / p))  # exact, negative in the ground
    cut = above_ground({"height": height, "p": p}, 0.0, "here")
    assert cut["p"][0].tolist() == [[1e5, 9e4]]
    assert cut["p"][-1].tolist() == [[7e4, 7e4]]
    assert cut["height"][-1, 0, 1] == pytest.approx(height[-1, 0, 1] + 1.0)
