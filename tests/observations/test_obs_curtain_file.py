"""Fields of files: what is read of them, and what is refused."""

import numpy as np
import pytest
import xarray as xr
from curtain_files import ALTITUDE, AXES, GRID, MAPPING, START, needed, random_field, write

from metroflux.errors import DataError
from metroflux.grid import Grid
from observations.curtain import extent_of
from observations.curtain_file import CurtainMapping, Extent, read_curtain
from observations.levels import Vertical


def _fill(values):
    values[2, 1, 4, 3] = 1e36
    return values


def _hole(values):
    values[2, 1, 4, 3] = np.nan
    return values


def test_an_area_over_the_date_line_is_read_whole(tmp_path):
    lon = np.arange(-180.0, 181.0, 5)  # 180 is there twice
    away = np.abs(lon) - 180.0  # degrees from the date line, negative to both sides
    values = np.broadcast_to(400 + away, (5, 5, 11, lon.size))
    path = write(tmp_path / "f.nc", values, lon=lon)
    extent = Extent(START, START + np.timedelta64(3, "h"), 178.0, 183.0, 38.0, 41.0)
    field = read_curtain([path], MAPPING, extent)
    assert field.lon.values.tolist() == [175, 180, 185]
    assert field.mole_fraction.values[0, 0, 0] == pytest.approx(np.array([395, 400, 395]) * 1e-6)


def test_what_is_needed_is_the_met_a_cell_wider_and_not_before_it():
    extent = needed()
    x, y = GRID.west - GRID.dx / 2, GRID.south - GRID.dy / 2  # of points half a cell inside
    lon, lat = GRID.to_lonlat([x, x + 5 * GRID.dx, x], [y, y, y + 5 * GRID.dy])
    assert (extent.west, extent.south) == pytest.approx((min(lon), min(lat)), abs=0.02)
    assert extent.north == pytest.approx(lat[2], abs=0.02)  # edges bend
    assert extent.start == START - np.timedelta64(6, "h")
    far = Grid("EPSG:32660", 700e3, 0.0, 50e3, 50e3, 4, 4)  # over the date line
    met = xr.Dataset(coords={"time": [START], "x": far.x, "y": far.y})
    over = extent_of(met, far, START, START)
    assert 178 < over.west < 180 < over.east < 182


def test_only_the_times_and_the_area_needed_are_read(tmp_path):
    first, second = random_field()[:2], random_field()[2:]
    paths = [
        write(tmp_path / "b.nc", second, time=AXES["time"][2:]),
        write(tmp_path / "a.nc", first, time=AXES["time"][:2]),
    ]
    extent = Extent(START + np.timedelta64(1, "h"), START + np.timedelta64(7, "h"), 115.0, 117.5, 39.5, 39.9)
    field = read_curtain(paths, MAPPING, extent)
    assert field.time.values.tolist() == AXES["time"][1:4].tolist()
    assert field.lon.values.tolist() == [114, 116, 118]
    assert field.lat.values.tolist() == [39, 40]


@pytest.mark.parametrize(
    ("change", "mapping", "message"),
    [
        ({}, {"variable": "ch4"}, "no variable ch4; the file has: co2, lat, lon, time, z"),
        ({}, {"latitude": "rlat"}, "no variable rlat"),
        ({"units": "kg kg-1"}, {}, "'co2': unit 'kg kg-1' is not a mole fraction"),
        ({"units": "mol mol-1"}, {}, r"not within 0.0002 to 0.005 mol mol-1, .*the first is 4\d\d.*unit"),
        ({}, {"unit": "ppb"}, "not within 200000 to 5e"),
        ({"values": _fill(random_field())}, {}, r"1 of \d+ needed values are missing"),
        ({"values": _hole(random_field())}, {}, r"1 of \d+ needed values are missing"),
        ({}, {"vertical": None}, "expected no dimensions but time, lat, lon; its levels are not mapped"),
        ({}, {"longitude": None}, "expected no dimensions but time, lat and one of levels"),
        ({}, {"time": "co2"}, "'co2' has dims .*; expected one of those of"),
        ({}, {"vertical": Vertical("z", "pressure", "hPa")}, "'z' in hPa: pressure 0 to .*Pa; expected"),
        ({"z": AXES["z"] / 1000}, {}, "'z' in m lie at 0 to 12 m; .*is it another unit"),
        ({"z": AXES["z"] * [1, 1, -1, 1, 1]}, {}, "levels neither rise nor fall all the way"),
        ({"time": AXES["time"] + np.timedelta64(4, "D")}, {}, "covers 2024-06-04T18:00 to 2024-06-05T18:00"),
        ({"time": AXES["time"][[0, 1, 1, 2, 3]]}, {}, "the time 2024-06-01T00:00.* is there twice"),
        ({"lat": AXES["lat"] - 30}, {}, "'lat' is 5 to 15; expected some of 38.6.* to 40.8"),
        ({"lon": AXES["lon"] - 90}, {}, "'lon' is 20 to 32; expected some of 114.9.* to 117.8"),
    ],
)  # fmt: skip
def test_a_field_that_is_not_what_was_mapped_is_refused_by_name_and_value(tmp_path, change, mapping, message):
    path = write(tmp_path / "f.nc", **({"values": random_field()} | change))
    chosen = CurtainMapping(**({"species": "co2", "variable": "co2", "vertical": ALTITUDE} | mapping))
    with pytest.raises(DataError, match=message) as fault:
        read_curtain([path], chosen, needed())
    assert str(path) in str(fault.value)


def test_files_whose_axes_differ_or_that_are_no_netcdf_are_refused(tmp_path):
    values = random_field()
    one = write(tmp_path / "a.nc", values[:2], time=AXES["time"][:2])
    two = write(tmp_path / "b.nc", values[2:], time=AXES["time"][2:], lon=AXES["lon"] + 0.5)
    with pytest.raises(DataError, match="the files do not have the same axes"):
        read_curtain([one, two], MAPPING, needed())
    (tmp_path / "c.nc").write_text("no netCDF")
    with pytest.raises(DataError, match=r"c\.nc: cannot be read as netCDF"):
        read_curtain([tmp_path / "c.nc"], MAPPING, needed())
