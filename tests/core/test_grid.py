"""The flux grid against closed forms of the sphere and the ellipsoid."""

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Geod

from metroflux.errors import DataError
from metroflux.grid import Grid

UTM = Grid("EPSG:32633", west=372_000.0, south=5_802_000.0, dx=2000.0, dy=1000.0, nx=5, ny=3)


def zone_area(lat: np.ndarray, crs: CRS) -> np.ndarray:
    """Return the area between the equator and latitude (rad), per radian of longitude (Snyder 1987)."""
    a, b = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
    e = np.sqrt(1 - (b / a) ** 2)
    s = np.sin(lat)
    if e == 0:
        return a**2 * s
    return b**2 / 2 * (s / (1 - (e * s) ** 2) + np.arctanh(e * s) / e)


@pytest.mark.parametrize("crs", ["+proj=merc +R=6370000 +units=m", "+proj=merc +ellps=WGS84 +units=m"])
@pytest.mark.parametrize("south", [-6_000_000.0, 0.0, 6_500_000.0])
def test_cell_area_equals_the_zone_between_parallels(crs, south):
    # on a Mercator grid cells are bounded by meridians and parallels: their area is a difference of zones
    grid = Grid(crs, west=1e6, south=south, dx=4000.0, dy=3000.0, nx=2, ny=4)
    lon, lat = (np.radians(v) for v in grid.to_lonlat(np.full(5, grid.west), grid.y_edges))
    lon_east, _ = grid.to_lonlat(grid.west + grid.dx, grid.south)
    zones = np.diff(zone_area(lat, CRS.from_user_input(crs))) * (np.radians(lon_east) - lon[0])
    # the polygon's sides are geodesics through three points of each side: 4 km bends by less than 1e-6
    np.testing.assert_allclose(grid.cell_area, np.repeat(zones[:, None], 2, axis=1), rtol=1e-6)


def test_cell_area_on_an_equal_area_projection_is_dx_dy():
    grid = Grid("EPSG:6933", west=1e6, south=5e6, dx=3000.0, dy=2000.0, nx=3, ny=2)
    np.testing.assert_allclose(grid.cell_area, 6e6, rtol=1e-6)


def test_cell_area_follows_the_scale_factor_of_utm():
    # at its central meridian UTM shrinks lengths by 0.9996 (EPSG guidance 7-2), so true areas are larger;
    # 500 m off the meridian adds less than 1e-8, a 1 km cell's bend less still
    grid = Grid("EPSG:32633", west=499_500.0, south=5_800_000.0, dx=1000.0, dy=1000.0, nx=1, ny=1)
    np.testing.assert_allclose(grid.cell_area, 1e6 / 0.9996**2, rtol=1e-7)


def test_cells_add_up_to_the_polygon_around_them():
    grid = Grid("EPSG:32633", west=400_000.0, south=5_800_000.0, dx=5000.0, dy=5000.0, nx=4, ny=3)
    along_x, along_y = np.linspace(grid.west, 420_000.0, 401), np.linspace(grid.south, 5_815_000.0, 301)
    x = np.concatenate([along_x, np.full(301, 420_000.0), along_x[::-1], np.full(301, grid.west)])
    y = np.concatenate([np.full(401, grid.south), along_y, np.full(401, 5_815_000.0), along_y[::-1]])
    outline, _ = Geod(ellps="WGS84").polygon_area_perimeter(*grid.to_lonlat(x, y))
    # a geodesic leaves a straight line of the map by (length / earth radius)^2: (2.5 / 6371)^2 = 1.5e-7
    assert grid.cell_area.sum() == pytest.approx(outline, rel=1.5e-7)


def test_xy_and_lonlat_are_inverse(rng):
    x, y = rng.uniform(3e5, 6e5, 50), rng.uniform(5.7e6, 5.9e6, 50)
    back = UTM.to_xy(*UTM.to_lonlat(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-6)  # a micrometre


def test_centres_lie_midway_between_edges():
    np.testing.assert_array_equal(UTM.x, (UTM.x_edges[:-1] + UTM.x_edges[1:]) / 2)
    np.testing.assert_array_equal(UTM.y, (UTM.y_edges[:-1] + UTM.y_edges[1:]) / 2)


@pytest.mark.parametrize("shape", [(5, 3), (1, 3), (5, 1), (1, 1)])
def test_grid_survives_the_round_trip_through_netcdf(tmp_path, shape):
    grid = Grid("EPSG:32633", 372_000.0, 5_802_000.0, 2000.0, 1000.0, *shape)
    grid.coords().to_netcdf(tmp_path / "grid.nc")
    with xr.open_dataset(tmp_path / "grid.nc", decode_coords="all") as ds:
        back = Grid.from_dataset(ds)
        np.testing.assert_array_equal(ds.cell_area, grid.cell_area)
    assert CRS.from_user_input(back.crs) == CRS.from_user_input(grid.crs)
    assert (back.west, back.south, back.dx, back.dy) == (grid.west, grid.south, grid.dx, grid.dy)
    assert back.shape == grid.shape
    np.testing.assert_allclose(back.cell_area, grid.cell_area, rtol=1e-14)


def test_coordinates_are_cf():
    ds = UTM.coords()
    assert ds.x.attrs["standard_name"] == "projection_x_coordinate"
    assert ds.cell_area.attrs["grid_mapping"] == "spatial_ref"
    assert ds.spatial_ref.attrs["grid_mapping_name"] == "transverse_mercator"
    np.testing.assert_array_equal(ds.x_bounds[:, 1] - ds.x_bounds[:, 0], 2000.0)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_descending_coordinates_are_refused(axis):
    with pytest.raises(DataError, match=f"{axis} is not evenly spaced and ascending"):
        Grid.from_dataset(UTM.coords().isel({axis: slice(None, None, -1)}))


@pytest.mark.parametrize("axis", ["x", "y"])
def test_uneven_coordinates_are_refused(axis):
    ds = UTM.coords()
    values = ds[axis].values.copy()
    values[-1] += 1.0
    with pytest.raises(DataError, match=f"{axis} is not evenly spaced"):
        Grid.from_dataset(ds.assign_coords({axis: values}))


def test_undefined_coordinates_are_refused():
    ds = UTM.coords()
    with pytest.raises(DataError, match="x is not evenly spaced"):
        Grid.from_dataset(ds.assign_coords(x=np.full(5, np.nan)))


def test_one_column_without_bounds_is_refused():
    ds = UTM.coords().isel(x=[0]).drop_vars("x_bounds")
    with pytest.raises(DataError, match="no x_bounds"):
        Grid.from_dataset(ds)


def test_missing_coordinates_are_named_together():
    with pytest.raises(DataError, match="no x, y, spatial_ref"):
        Grid.from_dataset(xr.Dataset())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nx": 0}, "expected all positive"),
        ({"dy": -1.0}, "expected all positive"),
        ({"dx": float("nan")}, "expected all positive"),
        ({"west": float("nan")}, "expected finite"),
        ({"dx": float("inf")}, "expected finite"),
        ({"crs": "EPSG:4326"}, "not projected in metres"),
        ({"crs": "EPSG:2263"}, "not projected in metres"),  # New York, US survey feet
        ({"crs": "EPSG:nowhere"}, "unknown"),
    ],
)
def test_impossible_grids_are_refused(change, message):
    wanted = {"crs": "EPSG:32633", "west": 0.0, "south": 0.0, "dx": 1.0, "dy": 1.0, "nx": 1, "ny": 1}
    with pytest.raises(DataError, match=message):
        Grid(**(wanted | change))
