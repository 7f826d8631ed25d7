"""Footprints of other models: read as they are, conserved on the way to the grid and back."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from priors.cells import EqualAreaPlane, LonLatCells, derive_bounds, source_area
from transport.footprints import FootprintSettings, compute_footprints
from transport.interchange.lonlat import Axes, Known, Releases, footprints_lonlat, to_grid, to_lonlat
from transport.interchange.paris import read_paris, read_time_resolved
from transport.interchange.read import read_footprints
from transport.interchange.stilt import read_stilt, write_stilt
from transport.jacobian import build_jacobian

GRID = Grid("EPSG:32631", 350e3, 5_750e3, 10e3, 10e3, 30, 24)
START = np.datetime64("2024-06-01T00:00", "ns")


def synthetic(lags=3, minute=0, lat=(51.9, 0.2, 10), lon=(0.8, 0.3, 14)):
    """Return two random footprints inside GRID."""
    rng = np.random.default_rng(7)
    foot = rng.random((2, lags, lat[2], lon[2])) ** 4
    time = START + np.array([6 * 60 + minute, 9 * 60 + minute]) * np.timedelta64(1, "m")
    at = [np.array([a, a]) for a in (52.5, 1.5, 30.0)]
    older = np.arange(lags) + 1.0
    axes = Axes(
        lon[0] + lon[1] * np.arange(lon[2]),
        lat[0] + lat[1] * np.arange(lat[2]),
        np.stack([older - 1, older], axis=1),
    )
    return footprints_lonlat(foot, axes, Releases(time, np.full(2, 3600.0), *at, "made"), Known(), "test")


def flux_in_cells(flux, cells):
    """Return the mean by area of a piecewise constant flux in each cell: a slow twin, by points."""
    m = 60
    share = (np.arange(m) + 0.5) / m
    plane = EqualAreaPlane.around(GRID)
    lon = cells.lon_bounds[:, :1] + np.diff(cells.lon_bounds) * share
    lat = cells.lat_bounds[:, :1] + np.diff(cells.lat_bounds) * share
    out = np.zeros(cells.shape)
    for j in range(cells.shape[0]):
        weight = np.cos(np.radians(lat[j]))
        for i in range(cells.shape[1]):
            x, y = GRID.to_xy(*np.meshgrid(lon[i], lat[j]))
            col, row = np.floor((x - GRID.west) / GRID.dx), np.floor((y - GRID.south) / GRID.dy)
            inside = (col >= 0) & (col < GRID.nx) & (row >= 0) & (row < GRID.ny)
            values = np.where(
                inside, flux[np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)], 0
            )
            out[j, i] = (values * weight[:, None]).sum() / (weight.sum() * m)
    assert source_area(cells, plane).shape == out.shape
    return out


def test_mole_fraction_is_the_same_on_the_source_cells_and_on_the_grid(rng):
    source = synthetic()
    flux = rng.random(GRID.shape)
    gridded = to_grid(source, GRID)
    there = flux_in_cells(flux, LonLatCells(source.lon_bounds.values, source.lat_bounds.values))
    y_source = (source.foot.values * there).sum(axis=(1, 2, 3))
    y_grid = (gridded.foot.values.astype(np.float64) * flux).sum(axis=(1, 2, 3))
    # points, 60 x 60 a cell, leave 1/60 of a boundary cell undecided; averaged over 140 cells 1e-3
    np.testing.assert_allclose(y_grid, y_source, rtol=1e-3)


def test_sum_is_kept_on_the_grid_and_beside_it():
    source = synthetic(lat=(51.5, 0.2, 22))
    gridded = to_grid(source, GRID)
    total = gridded.foot.sum(("lag", "y", "x"), dtype=np.float64) + gridded.off_grid
    np.testing.assert_allclose(total, source.foot.sum(("lag", "lat", "lon"), dtype=np.float64), rtol=1e-6)
    assert (gridded.off_grid > 0.01).all()


def test_footprint_wholly_beside_the_grid_says_so():
    far = synthetic(lon=(20.0, 0.3, 14))
    gridded = to_grid(far, GRID)
    assert not gridded.foot.any()
    assert set(gridded.reason.values) == {"all of its sensitivity falls beside the flux grid"}


def test_grid_to_lonlat_keeps_the_sum(make_met, make_points, wide_grid):
    ours = compute_footprints(make_met(), make_points((10.0, 30.0)), wide_grid, FootprintSettings())
    lon, lat = wide_grid.to_lonlat([-205e3, 205e3], [-205e3, 205e3])
    for shrink in (1.0, 0.2):  # all of it, and a part
        edges = [np.mean(a) + shrink * 0.55 * np.ptp(a) * np.linspace(-1, 1, 30) for a in (lon, lat)]
        cells = LonLatCells(*[np.stack([e[:-1], e[1:]], axis=1) for e in edges])
        found = to_lonlat(ours, cells)
        total = found.foot.sum(("lag", "lat", "lon"), dtype=np.float64) + found.off_grid
        want = ours.foot.sum(("lag", "y", "x"), dtype=np.float64) + ours.off_grid
        np.testing.assert_allclose(total, want, rtol=1e-6)
        assert (found.datum_id.values == ours.datum_id.values).all()


@pytest.mark.parametrize("minute", [0, 20])
def test_stilt_file_written_is_read_back(tmp_path, minute):
    source = synthetic(minute=minute)
    files = write_stilt(source, tmp_path)
    for n, path in enumerate(files):
        with xr.open_dataset(path) as raw:
            assert raw.foot.dims == ("time", "lat", "lon")
            assert raw.foot.attrs["units"] == "ppm (umol-1 m2 s)"
            # the first hour ends at the full hour after the receptor
            assert raw.time.values[-1] == START + np.timedelta64(5 + 3 * n + (minute > 0), "h")
        back, one = read_stilt(path), source.isel(receptor=[n])
        np.testing.assert_array_equal(back.foot.values, one.foot.values)
        np.testing.assert_allclose(back.lag_bounds.values, one.lag_bounds.values)
        for name in ("time", "duration", "release_latitude", "release_height", "lon", "lat"):
            np.testing.assert_allclose(back[name].values.astype(float), one[name].values.astype(float))
    with pytest.raises(DataError, match="expected new files"):
        write_stilt(source, tmp_path)


def test_stilt_r_file_is_placed_by_its_name_and_hours_without_particles_are_zero(tmp_path):
    path = tmp_path / "202406010630_1.5_52.5_30_foot.nc"
    lat, lon = 52.0 + 0.1 * np.arange(3), 1.0 + 0.1 * np.arange(4)
    release = np.datetime64("2024-06-01T06:30", "ns")
    times = release - np.array([4, 2, 1]) * np.timedelta64(1, "h")  # nothing in the third hour back
    foot = np.arange(36.0).reshape(3, 3, 4)
    attrs = {"units": "ppm (umol-1 m2 s)"}
    xr.Dataset(
        {"foot": (("time", "lat", "lon"), foot, attrs)}, coords={"time": times, "lat": lat, "lon": lon}
    ).to_netcdf(path)
    read = read_stilt(path)
    assert read.time.values[0] == release
    assert float(read.release_height[0]) == 30.0
    np.testing.assert_array_equal(read.foot.values[0], [foot[2], foot[1], np.zeros((3, 4)), foot[0]])
    # STILT's hours start at the receptor's minute: 0.5 h before the full hour
    np.testing.assert_array_equal(read.lag_bounds.values[0], [0.5, 1.5])


def test_pystilt_file_is_placed_by_its_attribute(tmp_path):
    release = np.datetime64("2024-06-01T06:00", "ns")
    receptor = '{"kind": "point", "time": "2024-06-01T06:00:00", "altitude_ref": "agl", "longitude": 1.5, '
    attrs = {"units": "ppm m2 s umol-1", "stilt_receptor": receptor + '"latitude": 52.5, "altitude": 30.0}'}
    foot = np.arange(12.0).reshape(1, 3, 4)
    axes = {"lat": 52.0 + 0.1 * np.arange(3), "lon": 1.0 + 0.1 * np.arange(4)}
    ds = xr.Dataset({"foot": (("time", "lat", "lon"), foot, attrs)}, coords=axes)
    path = tmp_path / "any.nc"
    ds.assign_coords(time=[release - np.timedelta64(1, "h")]).to_netcdf(path)
    read = read_stilt(path)
    np.testing.assert_array_equal(read.foot.values[0], foot)
    assert [float(read[f"release_{n}"][0]) for n in ("latitude", "longitude", "height")] == [52.5, 1.5, 30.0]
    ds.assign_coords(time=[release]).to_netcdf(path)  # time-integrated
    with pytest.raises(DataError, match="or `hours`"):
        read_stilt(path)
    np.testing.assert_array_equal(read_stilt(path, hours=24.0).lag_bounds.values, [[0.0, 24.0]])


def test_unknown_units_and_missing_hours_are_refused(tmp_path):
    source = synthetic(lags=1).isel(receptor=[0])
    path = write_stilt(source, tmp_path)[0]
    with xr.open_dataset(path) as ds:
        bad = ds.load()
    bad.foot.attrs["units"] = "s m3 kg-1"
    bad.to_netcdf(tmp_path / "bad.nc")
    with pytest.raises(DataError, match=r"bad\.nc: 'foot' has units 's m3 kg-1'"):
        read_stilt(tmp_path / "bad.nc")
    bad.attrs = {}
    bad.foot.attrs["units"] = "ppm (umol-1 m2 s)"
    bad.to_netcdf(tmp_path / "unnamed.nc")
    with pytest.raises(DataError, match="expected `receptor`"):
        read_stilt(tmp_path / "unnamed.nc")


def test_jacobian_takes_an_integrated_footprint_only_inside_one_interval():
    source = synthetic(lags=1)
    bounds = np.array([[0.0, 5.0]])
    gridded = to_grid(source.assign_coords(lag_bounds=(("lag", "bounds"), bounds)), GRID)
    hour = np.timedelta64(1, "h")
    whole = build_jacobian(gridded, START + np.array([0, 24]) * hour)
    assert float(whole.sensitivity.sum()) == pytest.approx(float(gridded.foot.sum()), rel=1e-5)
    with pytest.raises(DataError, match="several flux intervals"):
        build_jacobian(gridded, START + np.array([0, 3, 24]) * hour)
    with pytest.raises(DataError, match="outside the flux intervals"):
        build_jacobian(gridded.isel(receptor=[0]), START + np.array([6, 24]) * hour)


SAMPLES = {
    "footprints/stilt_jungfraujoch_2012-12-08T18.nc": ("foot", None, 240.0),
    "footprints/MHD-10magl_FLEXPART_ECMWFHRES_TEST_inert_201809.nc": ("srr", 720.0, 720.0),
    "footprints/MHD-10magl_NAME_UKV_TEST_inert_PARIS-format_201301.nc": ("srr", 720.0, 720.0),
    "footprints/THW-column_NAME_UMG_EUROPE_TEST_inert_202304.nc": ("srr", 720.0, 720.0),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SAMPLES)
def test_integrated_footprints_of_real_files_are_read_exactly(name, data_dir):
    variable, hours, reach = SAMPLES[name]
    path = data_dir / name
    read = read_footprints(path, hours)
    with xr.open_dataset(path, decode_timedelta=False) as raw:
        np.testing.assert_array_equal(read.foot.values[:, 0], raw[variable].values.astype(np.float32))
        seconds = 0 if variable == "foot" else 3600  # the PARIS label is the start of an hour
        assert (read.time.values == raw.time.values + np.timedelta64(seconds, "s")).all()
    np.testing.assert_array_equal(read.lag_bounds.values, [[0.0, reach]])


@pytest.mark.realdata
def test_time_resolved_footprints_of_a_real_file_are_read_exactly(data_dir):
    path = data_dir / "uk_tacolneston/TAC-100magl_UKV_co2_TEST_201407.nc"
    read = read_time_resolved(path, 720.0)
    with xr.open_dataset(path) as raw:
        want = raw.fp_HiTRes.transpose("time", "H_back", "lat", "lon").values.astype(np.float32)
    whole = np.isfinite(want).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(read.foot.values, want[whole])
    assert len(read.attrs["left_out"].split(", ")) == (~whole).sum() == 36
    np.testing.assert_array_equal(read.lag_bounds.values[[0, 1, -1]], [[0, 2], [2, 4], [26, 720]])
    integrated = read_paris(path, 720.0)
    assert integrated.sizes["receptor"] == 73
    assert read_footprints(path, 720.0).sizes["lag"] == 14


@pytest.mark.realdata
def test_real_footprints_go_onto_a_projected_grid_with_their_sum(data_dir):
    source = read_footprints(data_dir / "footprints/THW-column_NAME_UMG_EUROPE_TEST_inert_202304.nc", 720.0)
    grid = Grid("EPSG:32630", 500e3, 5_550e3, 20e3, 20e3, 20, 20)
    gridded = to_grid(source, grid)
    assert float(gridded.foot.sum()) > 0.1
    total = gridded.foot.sum(("lag", "y", "x"), dtype=np.float64) + gridded.off_grid
    np.testing.assert_allclose(total, source.foot.sum(("lag", "lat", "lon"), dtype=np.float64), rtol=1e-6)


def test_bounds_are_not_guessed_for_one_cell():
    with pytest.raises(DataError, match="not guessed"):
        derive_bounds(np.array([1.0]), "longitude")
