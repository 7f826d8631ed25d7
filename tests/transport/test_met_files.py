"""Met files of any kind: found by content, mixed or unknown ones refused."""

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.grid import Grid
from transport.footprints import FootprintSettings, compute_footprints
from transport.met import crs_of, to_lonlat
from transport.meteorology.open import read_met_files
from transport.receptor_table import read_receptor_table
from transport.receptors import ReceptorSettings

PRESSURES = np.array([200.0, 300.0, 500.0, 700.0, 850.0, 925.0, 975.0, 1000.0])  # hPa


def era5(path, hour, west=7.0, east=15.5, split=False):
    """Write ERA5-like files (synthetic) in longitude and latitude: isothermal, flat, wind from the west."""
    lat, lon = np.arange(54.0, 46.0, -0.5), np.arange(west, east, 0.5)
    names = ("valid_time", "pressure_level", "latitude", "longitude")
    volume, plane = (1, PRESSURES.size, lat.size, lon.size), (1, lat.size, lon.size)
    fields = {
        "u": (volume, 8.0, "m s**-1"), "v": (volume, 0.0, "m s**-1"), "t": (volume, 280.0, "K"),
        "q": (volume, 0.0, "kg kg**-1"), "w": (volume, 0.0, "Pa s**-1"), "sp": (plane, 1.013e5, "Pa"),
        "z": (plane, 0.0, "m**2 s**-2"), "t2m": (plane, 280.0, "K"), "u10": (plane, 5.0, "m s**-1"),
        "v10": (plane, 0.0, "m s**-1"), "blh": (plane, 700.0, "m"), "zust": (plane, 0.4, "m s**-1"),
        "ishf": (plane, -50.0, "W m**-2"), "fsr": (plane, 0.2, "m"),
    }  # fmt: skip
    data = {
        n: (names if len(size) == 4 else (names[0], *names[2:]), np.full(size, value), {"units": units})
        for n, (size, value, units) in fields.items()
    }
    ds = xr.Dataset(data).assign_coords(
        valid_time=[np.datetime64(f"2024-06-01T{hour:02d}", "ns")],
        pressure_level=("pressure_level", PRESSURES, {"units": "hPa"}),
        latitude=("latitude", lat, {"units": "degrees_north"}),
        longitude=("longitude", lon, {"units": "degrees_east"}),
    )
    encoding = {"valid_time": {"units": "hours since 1900-01-01"}}
    surface = ds.drop_dims("pressure_level")
    files = {f"era{hour}.nc": ds}
    if split:
        levels = ds.drop_vars(list(surface.data_vars))
        files = {f"levels{hour}.nc": levels, f"surface{hour}.nc": surface}
    for name, part in files.items():
        part.to_netcdf(path / name, encoding=encoding)
    return [path / name for name in files]


def two(path, **options):
    return [file for hour in (0, 1) for file in era5(path, hour, **options)]


@pytest.mark.parametrize("split", [False, True])
def test_era5_in_degrees_comes_onto_a_map_about_the_domain(tmp_path, split):
    met = read_met_files(two(tmp_path, split=split), (10.0, 49.0, 12.0, 51.0))
    schema.check(met, "met")
    lon, lat = to_lonlat(crs_of(met), float(met.x.mean()), float(met.y.mean()))
    assert float(lon) == pytest.approx(11.0, abs=0.5)
    assert float(lat) == pytest.approx(50.0, abs=0.5)
    assert 45e3 < float(met.x[1] - met.x[0]) < 65e3
    # the domain and its margin, less what the rectangle of the map cuts off
    assert float(met.y[-1] - met.y[0]) > 350e3


def test_era5_in_degrees_gives_footprints_upwind(tmp_path):
    met = read_met_files(two(tmp_path), (10.0, 49.0, 12.0, 51.0))
    table = tmp_path / "receptors.csv"
    table.write_text("time,latitude,longitude,height\n2024-06-01T01:00,50,11,10\n")
    receptors = read_receptor_table(table, met, ReceptorSettings(particles=100, hours=1.0, seed=1))
    grid = Grid(crs_of(met).to_wkt(), -50e3, -50e3, 5e3, 5e3, 20, 20)
    foot = compute_footprints(met, receptors, grid, FootprintSettings()).foot.sum(("receptor", "lag", "y"))
    assert float(foot.sum()) > 0.1
    assert float((foot * foot.x).sum() / foot.sum()) < -2e3  # wind from the west


def test_half_the_globe_needs_a_domain(tmp_path):
    files = two(tmp_path, west=-60.0, east=60.0)
    with pytest.raises(ConfigError, match="--domain"):
        read_met_files(files)
    assert read_met_files(files, (10.0, 49.0, 12.0, 51.0)).sizes["time"] == 2


def test_mixed_and_unknown_files_are_refused(tmp_path):
    other = tmp_path / "other.nc"
    xr.Dataset({"flux": ("x", [1.0])}).to_netcdf(other)
    text = tmp_path / "note.txt"
    text.write_text("no met")
    with pytest.raises(DataError, match=r"other\.nc, .*note\.txt is of no known kind"):
        read_met_files([other, text])
    with pytest.raises(DataError, match="no such file"):
        read_met_files([tmp_path / "absent.nc"])


def test_wrf_and_era5_together_are_refused(tmp_path):
    wrf = tmp_path / "wrf.nc"
    xr.Dataset({"Times": ("Time", [b"2024-06-01_00:00:00"])}, attrs={"MAP_PROJ": 1}).to_netcdf(wrf)
    with pytest.raises(DataError, match=r"several kinds \(era5, wrf\)"):
        read_met_files([wrf, *era5(tmp_path, 0)])


@pytest.mark.realdata
def test_projected_era5_and_wrf_are_found_by_content(data_dir):
    era = sorted((data_dir / "met" / "era5_utm32").glob("*.nc"))
    assert read_met_files(era, roughness=0.3).sizes["time"] == 3
    wrf = sorted((data_dir / "bowen_basin_ch4" / "wrf").glob("*.nc"))[:2]
    assert read_met_files(wrf).sizes["time"] == 2
