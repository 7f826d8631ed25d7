"""The background from a field of a file: against a slow twin, closed forms, and files as they come."""

import numpy as np
import pytest
import xarray as xr
from curtain_files import ALTITUDE, AXES, GRID, MAPPING, needed, random_field, write
from pyproj import Transformer
from scipy.interpolate import RegularGridInterpolator

from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel, components
from observations.atmosphere import standard_altitude
from observations.background import MethodError
from observations.curtain import from_curtain
from observations.curtain_file import CurtainMapping, read_curtain
from observations.ends import ends_of
from observations.levels import Vertical

ERROR = MethodError(0.8e-6, 24.0, 1.0, "global model")


@pytest.fixture
def ends(make_observations, make_footprints):
    """Observations and the end points of 60 particles of each, as (observations, ends)."""
    ds = make_observations(sites=("A",), hours=6)
    rng, shape = np.random.default_rng(7), (6, 60)
    points = {
        "end_x": rng.uniform(360e3, 540e3, shape),
        "end_y": rng.uniform(4310e3, 4490e3, shape),
        "end_height": rng.uniform(0, 5000, shape),
        "end_hours": rng.uniform(0, 6, shape),
    }
    points["end_x"][:, 50:] = np.nan  # empty slots
    footprints = make_footprints(ds.datum_id.values, ds.time_bounds.values[:, 1], **points)
    return ds, ends_of(ds, footprints)


def terrain(slope: float = 0.0) -> xr.DataArray:
    """Ground rising eastward from 200 m."""
    x, y = GRID.x_edges, GRID.y_edges
    height = 200.0 + slope * (x - x[0]) + np.zeros((y.size, 1))
    return xr.DataArray(height.astype(np.float32), coords={"y": y, "x": x}, dims=("y", "x"))


def background(path, ends, mapping=MAPPING, ground=None, error=ERROR):
    observations, points = ends
    paths = path if isinstance(path, list) else [path]
    field = read_curtain(paths, mapping, needed())
    return from_curtain(observations, points, GRID, terrain() if ground is None else ground, field, error)


def places(points, ground=200.0):
    """Time (h from the field's start), altitude, latitude, longitude of each point, one by one."""
    to_degrees = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True)
    for row, column in zip(*np.nonzero(points.used), strict=True):
        x, y, z = (float(getattr(points, n)[row, column]) for n in ("x", "y", "height"))
        lon, lat = to_degrees.transform(x, y)
        yield (
            row,
            ((points.time[row, column] - AXES["time"][0]) / np.timedelta64(1, "h"), z + ground, lat, lon),
        )


def twin(values, points, dims=("time", "z", "lat", "lon"), ground=200.0):
    """Mean and standard error of the mean of each datum, mol mol-1, a point at a time."""
    hours = (AXES["time"] - AXES["time"][0]) / np.timedelta64(1, "h")
    read = RegularGridInterpolator([(AXES | {"time": hours})[n] for n in dims], values)
    keep = [("time", "z", "lat", "lon").index(n) for n in dims]
    found = [[] for _ in range(len(points.datum_id))]
    for row, place in places(points, ground):
        found[row].append(read([place[k] for k in keep])[0] * 1e-6)
    mean = np.array([np.mean(one) for one in found])
    return mean, np.array([np.std(one, ddof=1) / np.sqrt(len(one)) for one in found])


@pytest.mark.parametrize(
    "dims", [("time", "z", "lat", "lon"), ("time", "z", "lat"), ("time", "lat"), ("lat", "lon")]
)
def test_a_field_of_any_axes_is_read_at_each_end_point_as_by_a_slow_twin(tmp_path, ends, dims):
    values = random_field(dims)
    mapping = CurtainMapping(
        "co2",
        "co2",
        longitude="lon" if "lon" in dims else None,
        time="time" if "time" in dims else None,
        vertical=ALTITUDE if "z" in dims else None,
    )
    got = background(write(tmp_path / "f.nc", values, dims), ends, mapping)
    mean, sampling = twin(values, ends[1], dims)
    assert got.background.values == pytest.approx(mean, rel=1e-11)  # degrees of two transformers
    [part] = components(got)[0]
    assert part.name == "background-sampling"
    assert part.sd == pytest.approx(sampling, rel=1e-8)
    assert got.attrs["end_points_beyond_field"] == 0


def test_order_turn_and_unit_of_the_axes_do_not_matter(tmp_path, ends):
    values = random_field()
    plain = background(write(tmp_path / "a.nc", values), ends)
    dims = ("lon", "lat", "time", "z")
    turned = write(
        tmp_path / "b.nc",
        values.transpose(3, 2, 0, 1)[:, ::-1, :, ::-1] * 1e3,
        dims,
        "ppb",
        lon=AXES["lon"] - 360,
        lat=AXES["lat"][::-1],
        z=AXES["z"][::-1] / 1000,
    )
    mapping = CurtainMapping("co2", "co2", vertical=Vertical("z", "altitude", "km"))
    assert background(turned, ends, mapping).background.values == pytest.approx(
        plain.background.values, rel=1e-12
    )


def test_a_constant_field_gives_its_value_and_no_sampling_error(tmp_path, ends):
    got = background(write(tmp_path / "f.nc", np.full(random_field().shape, 412.0)), ends)
    assert got.background.values == pytest.approx(np.full(6, 412e-6), rel=1e-14)
    assert got.random_sd.values == pytest.approx(np.zeros((6, 1)), abs=1e-18)


def test_levels_above_sea_level_are_met_above_the_terrain_of_the_met(tmp_path, ends):
    rising = np.broadcast_to(400 + 2e-3 * AXES["z"][None, :, None, None], random_field().shape)
    path, ground = write(tmp_path / "f.nc", rising), terrain(slope=0.01)
    points = ends[1]
    used = points.used
    height = np.where(used, points.height, 0).sum(axis=1) / used.sum(axis=1)
    below = np.where(used, 200 + 0.01 * (points.x - GRID.west), 0).sum(axis=1) / used.sum(axis=1)
    by_altitude = background(path, ends, ground=ground)
    assert by_altitude.background.values == pytest.approx((400 + 2e-3 * (height + below)) * 1e-6, rel=1e-9)
    above_ground = CurtainMapping("co2", "co2", vertical=Vertical("z", "height", "m"))
    by_height = background(path, ends, above_ground, ground)
    assert by_height.background.values == pytest.approx((400 + 2e-3 * height) * 1e-6, rel=1e-9)


def test_pressure_levels_lie_at_their_standard_altitude(tmp_path, ends):
    pressure = np.array([1050.0, 850.0, 500.0, 250.0])
    altitude = standard_altitude(pressure * 100)
    values = np.broadcast_to(400 + 2e-3 * altitude[None, :, None, None], (5, 4, 11, 7))
    path = write(tmp_path / "f.nc", values, z=pressure)
    got = background(path, ends, CurtainMapping("co2", "co2", vertical=Vertical("z", "pressure", "hPa")))
    height = np.where(ends[1].used, ends[1].height, 0).sum(axis=1) / ends[1].used.sum(axis=1)
    assert got.background.values == pytest.approx((400 + 2e-3 * (height + 200)) * 1e-6, rel=1e-9)


@pytest.mark.parametrize("boundaries", [False, True])
def test_levels_that_vary_with_time_and_place_are_read_column_by_column(tmp_path, ends, boundaries):
    rng = np.random.default_rng(5)
    edges = np.linspace(-2000, 9000, 9) + rng.uniform(-200, 200, (5, 11, 7, 1))
    edges = edges.transpose(0, 3, 1, 2)
    centres = (edges[:, 1:] + edges[:, :-1]) / 2
    ds = xr.Dataset(
        {
            "co2": (("time", "lev", "lat", "lon"), 400 + 2e-3 * centres, {"units": "ppm"}),
            "gph": (
                ("time", "edge" if boundaries else "lev", "lat", "lon"),
                edges if boundaries else centres,
            ),
        },
        {n: AXES[n] for n in ("time", "lat", "lon")},
    )
    ds.isel(time=[0, 1]).to_netcdf(tmp_path / "a.nc")
    ds.isel(time=[2, 3, 4]).to_netcdf(tmp_path / "b.nc")
    mapping = CurtainMapping("co2", "co2", vertical=Vertical("gph", "altitude", "m"))
    got = background([tmp_path / "a.nc", tmp_path / "b.nc"], ends, mapping)
    height = np.where(ends[1].used, ends[1].height, 0).sum(axis=1) / ends[1].used.sum(axis=1)
    assert got.background.values == pytest.approx((400 + 2e-3 * (height + 200)) * 1e-6, rel=1e-9)


def test_a_mean_stands_for_its_middle_and_holds_to_its_own_ends(tmp_path, ends):
    rise = 400 + np.arange(5)[:, None, None, None] + np.zeros(random_field().shape)
    path = write(tmp_path / "f.nc", rise, time=AXES["time"])
    mapping = CurtainMapping("co2", "co2", vertical=ALTITUDE, averaging_h=6.0, label="start")
    got = background(path, ends, mapping)
    points = ends[1]
    hours = (points.time - AXES["time"][0]) / np.timedelta64(1, "h")
    assert (hours[points.used] < 3).any()
    hours = np.maximum(hours, 3.0)  # before the middle of the first mean
    wanted = np.array([(400 + (h[u] - 3) / 6).mean() for h, u in zip(hours, points.used, strict=True)])
    assert got.background.values == pytest.approx(wanted * 1e-6, rel=1e-9)
    late = write(tmp_path / "late.nc", rise, time=AXES["time"] + np.timedelta64(3, "h"))
    with pytest.raises(DataError, match=r"covers 2024-05-31T21:00 .* expected .*when particles may come in"):
        background(late, ends, mapping)


def test_end_points_beyond_the_field_are_counted_by_axis(tmp_path, ends):
    values = random_field()[:, :3, :, :4]
    path = write(tmp_path / "f.nc", values, z=AXES["z"][:3], lon=AXES["lon"][:4])
    got, points = background(path, ends), ends[1]
    over = (points.height + 200 > 2000)[points.used]
    lon, _ = GRID.to_lonlat(points.x[points.used], points.y[points.used])
    assert got.attrs["end_points_beyond_level"] == pytest.approx(over.mean())
    assert got.attrs["end_points_beyond_lon"] == pytest.approx((lon > 116).mean())
    assert got.attrs["end_points_beyond_lat"] == 0
    assert got.attrs["end_points_beyond_field"] == pytest.approx((over | (lon > 116)).mean())


def test_the_error_of_the_field_is_one_cause_forgotten_over_its_time(tmp_path, ends):
    got = background(write(tmp_path / "f.nc", random_field()), ends)
    shared = components(got)[1]
    assert {(s.cause, s.traceable_to) for s in shared} == {("background", "global model")}
    columns = np.stack([s.column for s in shared], axis=1)
    hours = np.arange(6)
    wanted = 0.8e-6**2 * np.exp(-np.abs(hours[:, None] - hours) / 24.0)
    assert columns @ columns.T == pytest.approx(wanted, rel=1e-9)
    assert ErrorModel.from_datasets(got).diagonal == pytest.approx(got.random_sd.values[:, 0] ** 2)


def test_levels_above_something_unknown_are_refused(tmp_path, ends):
    observations, points = ends
    field = read_curtain([write(tmp_path / "f.nc", random_field())], MAPPING, needed())
    del field.level.attrs["above"]
    with pytest.raises(DataError, match="'above' of 'level' to be 'ground' or 'sea level'"):
        from_curtain(observations, points, GRID, terrain(), field, ERROR)
