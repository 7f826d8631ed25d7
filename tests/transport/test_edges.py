"""The background of NAME footprints from where particles left: real files, a twin, closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from metroflux.uncertainty import components
from observations.background import MethodError
from observations.dataset import Columns, build
from transport.interchange.edges import edge_background, read_edge_field, read_edge_shares
from transport.interchange.paris import read_paris

AUGUST = np.datetime64("2014-08-01", "ns")
ERROR = MethodError(0.6e-6, 48.0, traceable_to="CAMS")
ALONG = {"n": "lon", "e": "lat", "s": "lon", "w": "lat"}
AXES = {"height": [500.0, 1500.0], "lat": [50.0, 50.5, 51.0], "lon": [-1.0, 0.0, 1.0, 2.0]}
COUNT = 1000


def observed(datum_id, start):
    n = len(datum_id)
    columns = Columns(
        start, start + np.timedelta64(1, "h"), np.full(n, "TAC"), np.full(n, "co2"), np.full(n, 100.0),
        np.full(n, 52.5), np.full(n, 1.1), np.full(n, 4e-4), np.zeros(n, np.int64), np.ones(n, np.int64),
    )  # fmt: skip
    return build(columns, np.asarray(datum_id), [], [], "WMO CO2 X2007", "test")


def observations_of(shares):
    return observed(shares.datum_id, shares.time)


def write_shares(path, counts, missing=()):
    """counts : by side (time, height, along), particles that left there of COUNT."""
    hours = len(counts["n"])
    ds = xr.Dataset(coords={n: np.array(v, np.float32) for n, v in AXES.items()})
    ds["fp"] = (("time", "lat", "lon"), np.ones((hours, 3, 4), np.float32), {"units": "m2 s mol-1"})
    ds["release_lat"] = ds["release_lon"] = ("time", np.zeros(hours))
    for side, along in ALONG.items():
        share = counts[side].astype(np.float32) / COUNT
        share[list(missing)] = np.nan
        ds[f"particle_locations_{side}"] = (("height", along, "time"), share.transpose(1, 2, 0))
    start = np.datetime64("2014-07-01", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    ds["time"] = ("time", start, {"label": "left", "period": "1.0 hours"})
    ds.attrs["site"] = "TAC"
    ds.to_netcdf(path)
    return path


def write_air(path, function, times=("2014-07-01",), units="mol mol-1"):
    """function of time index, height, lat and lon of an edge's cells."""
    ds = xr.Dataset(coords=AXES | {"time": np.array(times, "datetime64[ns]")})
    fixed = {"n": 52.0, "s": 49.0, "e": 3.0, "w": -2.0}
    for side, along in ALONG.items():
        t, height, x = np.meshgrid(np.arange(len(times)), AXES["height"], AXES[along], indexing="ij")
        lat, lon = (fixed[side] + 0 * x, x) if along == "lon" else (x, fixed[side] + 0 * x)
        ds[f"vmr_{side}"] = (("time", "height", along), function(t, height, lat, lon), {"units": units})
    ds.to_netcdf(path)
    return path


@pytest.fixture
def counts():
    """Two footprints; 900 and 700 of their particles left through the edges."""
    rng = np.random.default_rng(2)
    cells = {side: 2 * len(AXES[along]) for side, along in ALONG.items()}
    drawn = [rng.multinomial(n, np.full(28, 1 / 28)) for n in (900, 700)]
    parts = np.split(np.array(drawn), np.cumsum(list(cells.values()))[:-1], axis=1)
    return {s: p.reshape(2, 2, len(AXES[ALONG[s]])) for s, p in zip(cells, parts, strict=True)}


@pytest.fixture
def real(data_dir):
    folder = data_dir / "uk_tacolneston"
    field = read_edge_field(folder / "co2_EUROPE_201407.nc", "co2", AUGUST, "mol mol-1")
    return folder / "TAC-100magl_UKV_co2_TEST_201407.nc", field


@pytest.mark.realdata
def test_real_shares_times_real_air_is_the_sum_cell_by_cell(real):
    path, field = real
    shares = read_edge_shares(path)
    data = observations_of(shares)
    got = edge_background(data, shares, field, ERROR, particles=17_000, least=0.03)
    with xr.open_dataset(path) as leaving, xr.open_dataset(path.with_name("co2_EUROPE_201407.nc")) as air:
        for row in (0, 30, 72):
            total, weighted = 0.0, 0.0
            for side, along in ALONG.items():
                share = leaving[f"particle_locations_{side}"].isel(time=row)
                for cell in np.argwhere(share.transpose("height", along).values > 0):
                    one = share.transpose("height", along)[tuple(cell)]
                    place = {"height": float(one.height), along: float(one[along])}
                    value = air[f"vmr_{side}"].sel(place, method="nearest", tolerance=0.01)
                    total += float(one)
                    weighted += float(one) * float(value)
            assert got.background.values[row] == pytest.approx(weighted / total, rel=1e-12)
            assert got.edge_share.values[row] == pytest.approx(total, rel=1e-12)
    values = np.concatenate([v.ravel() for v in field.edges.values.values()])
    assert values.min() < got.background.values.min() < got.background.values.max() < values.max()
    # the file is cut to 12 of 391 and of 293 cells of each edge, so most that left is not in it
    assert (got.edge_share.values > 0.03).all()
    assert (got.edge_share.values < 0.054).all()


@pytest.mark.realdata
def test_real_shares_are_those_of_the_footprints_and_too_few_to_be_taken_for_all(real):
    path, field = real
    shares, footprints = read_edge_shares(path), read_paris(path, hours=720)
    assert shares.datum_id.tolist() == footprints.datum_id.values.tolist()
    got = edge_background(observations_of(shares), shares, field, ERROR, 17_000, least=0.0)
    assert got.edge_share.values == pytest.approx(footprints.outside.values[:, :4].sum(axis=1), rel=1e-6)
    with pytest.raises(
        DataError, match=r"73 of 73 data have less than 0.5 in all, first 'TAC-100magl-.* 0.0332"
    ):
        edge_background(observations_of(shares), shares, field, ERROR, 17_000)


@pytest.mark.realdata
def test_constant_air_comes_back_whatever_the_shares(real):
    path, field = real
    shares = read_edge_shares(path)
    flat = {side: np.full_like(v, 395e-6) for side, v in field.edges.values.items()}
    constant = replace(field, edges=replace(field.edges, values=flat))
    got = edge_background(observations_of(shares), shares, constant, ERROR, 17_000, least=0.03)
    assert got.background.values == pytest.approx(np.full(73, 395e-6), rel=1e-15)
    assert components(got)[0][0].sd == pytest.approx(np.zeros(73), abs=1e-20)


def test_the_mean_and_its_error_are_those_of_the_particles_one_by_one(tmp_path, counts):
    shares = read_edge_shares(write_shares(tmp_path / "s.nc", counts))
    air = write_air(tmp_path / "a.nc", lambda t, z, lat, lon: (400 + z / 500 + lat + 3 * lon) * 1e-6)
    field = read_edge_field(air, "co2", AUGUST)
    got = edge_background(observations_of(shares), shares, field, ERROR, COUNT)
    assert got.edge_share.values == pytest.approx([0.9, 0.7], rel=1e-6)  # float32 in the file
    for row in range(2):
        each = [np.repeat(field.edges.values[s][0].ravel(), counts[s][row].ravel()) for s in ALONG]
        particles = np.concatenate(each)
        assert got.background.values[row] == pytest.approx(particles.mean(), rel=1e-8)
        error = particles.std(ddof=1) / np.sqrt(particles.size)
        assert components(got)[0][0].sd[row] == pytest.approx(error, rel=1e-4)
    assert {(s.cause, s.traceable_to) for s in components(got)[1]} == {("background", "CAMS")}


def test_the_air_is_that_of_the_period_of_the_datum(tmp_path, counts):
    shares = read_edge_shares(write_shares(tmp_path / "s.nc", counts))
    times = ("2014-06-30T12", "2014-07-01T01")
    air = write_air(tmp_path / "a.nc", lambda t, *_: 400e-6 + 1e-6 * t, times)
    end = np.datetime64("2014-07-01T02", "ns")
    data = observations_of(shares)
    got = edge_background(data, shares, read_edge_field(air, "co2", end), ERROR, COUNT)
    assert got.background.values == pytest.approx([400e-6, 401e-6])
    early = read_edge_field(air, "co2", np.datetime64("2014-07-01T01:30", "ns"))
    late = replace(shares, time=shares.time + np.timedelta64(1, "h"))
    with pytest.raises(
        DataError, match=r"holds from 2014-06-30T12.* to 2014-07-01T01:30.*; expected 2014-07-01T02"
    ):
        edge_background(data, late, early, ERROR, COUNT)


def test_a_time_without_shares_is_named_and_its_datum_refused(tmp_path, counts):
    shares = read_edge_shares(write_shares(tmp_path / "s.nc", counts, missing=[1]))
    assert shares.left_out == ("2014-07-01T01:00",)
    whole = read_edge_shares(write_shares(tmp_path / "w.nc", counts))
    field = read_edge_field(write_air(tmp_path / "a.nc", lambda t, *_: 400e-6 + 0.0 * t), "co2", AUGUST)
    with pytest.raises(
        DataError, match=r"1 of 2 observations are not in it, first 'TAC-2014-07-01T02:00:00'"
    ):
        edge_background(observations_of(whole), shares, field, ERROR, COUNT)


def test_cells_that_the_air_does_not_have_are_refused(tmp_path, counts):
    shares = read_edge_shares(write_shares(tmp_path / "s.nc", counts))
    field = read_edge_field(write_air(tmp_path / "a.nc", lambda t, *_: 400e-6 + 0.0 * t), "co2", AUGUST)
    moved = replace(shares, edges=replace(shares.edges, lon=shares.edges.lon + 0.1))
    with pytest.raises(DataError, match=r"4 of 4 values of 'lon' of the shares are not in it, first -0.9"):
        edge_background(observations_of(shares), moved, field, ERROR, COUNT)


@pytest.mark.parametrize(
    ("value", "units", "message"),
    [
        (
            400.0,
            "mol mol-1",
            r"'vmr_n': 8 values missing or not within .* of co2; the first is 400 mol mol-1",
        ),
        (np.nan, "ppm", r"'vmr_n': 8 values missing"),
        (1e36, "ppm", r"'vmr_n': 8 values missing"),
        (400.0, "kg kg-1", r"'vmr_n': unit 'kg kg-1' is not a mole fraction"),
    ],
)
def test_air_that_cannot_be_is_refused(tmp_path, value, units, message):
    path = write_air(tmp_path / "a.nc", lambda t, *_: value + 0.0 * t, units=units)
    with pytest.raises(DataError, match=message) as fault:
        read_edge_field(path, "co2", AUGUST)
    assert str(path) in str(fault.value)


def test_files_without_edges_or_with_impossible_shares_are_refused(tmp_path, counts):
    path = write_shares(tmp_path / "s.nc", {side: 3 * n for side, n in counts.items()})
    with pytest.raises(DataError, match=r"s\.nc: shares from 0, in all up to 2\.7; expected 0 to 1"):
        read_edge_shares(path)
    with xr.open_dataset(path) as ds:
        ds.drop_vars("particle_locations_e").to_netcdf(tmp_path / "t.nc")
    with pytest.raises(DataError, match=r"t\.nc: no variable particle_locations_e; expected the four edges"):
        read_edge_shares(tmp_path / "t.nc")
    with pytest.raises(DataError, match=r"do not rise to the end 2014-07-01"):
        read_edge_field(
            write_air(tmp_path / "a.nc", lambda t, *_: 4e-4 + 0.0 * t),
            "co2",
            AUGUST - np.timedelta64(31, "D"),
        )
