import numpy as np
import pandas as pd
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.grid import Grid
from observations.dataset import FLAG_MEANINGS
from observations.lidar import DialMapping, compare_mixing_height, read_dial, read_profiles

MAPPING = DialMapping("L1", 40.0, 116.0, "ch4", "ppb", 600.0, 0.02, "HITRAN2020")
TIMES = np.array(["2024-06-01T00:00", "2024-06-01T00:10"], "datetime64[ns]")


def dial_csv(tmp_path):
    path = tmp_path / "dial.csv"
    path.write_text(
        "time,height,mole_fraction,mole_fraction_sd\n2024-06-01T00:00,100,1950,92\n2024-06-01T00:00,145,,\n"
        "2024-06-01T00:10,100,1960,92\n2024-06-01T00:10,145,1970,120\n"
    )
    return path


def test_gates_become_observations_at_their_height(tmp_path):
    ds = read_dial(dial_csv(tmp_path), MAPPING)
    schema.check(ds, "observations")
    assert ds.inlet.values.tolist() == [100, 145, 100, 145]
    assert ds.datum_id.values[3] == "L1:ch4:145:2024-06-01T00:10:00"
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "missing", "good", "good"]
    assert ds.random_sd.values[:, 0] == pytest.approx([92e-9, 0, 92e-9, 120e-9])
    assert ds.shared_column.values[:, 0] == pytest.approx([39e-9, 0, 39.2e-9, 39.4e-9])
    assert ds.shared_traceable_to.values.tolist() == ["HITRAN2020"]
    assert (np.diff(ds.time_bounds.values, axis=1) == np.timedelta64(600, "s")).all()


def test_a_netcdf_profile_gives_the_same_gates_as_the_csv(tmp_path):
    values = {"mole_fraction": [[1950, np.nan], [1960, 1970]], "mole_fraction_sd": [[92, np.nan], [92, 120]]}
    variables = {name: (("time", "height"), v, {"units": "ppb"}) for name, v in values.items()}
    path = tmp_path / "dial.nc"
    xr.Dataset(variables, coords={"time": TIMES, "height": [100.0, 145.0]}).to_netcdf(path)
    xr.testing.assert_identical(read_dial(path, MAPPING), read_dial(dial_csv(tmp_path), MAPPING))


def profiles_csv(tmp_path, **changes):
    rows = pd.DataFrame({
        "site": "L1", "time": np.repeat(TIMES.astype(str), 2), "height": [100, 200] * 2,
        "latitude": 40.0, "longitude": 116.0, "u": 1.0, "v": 2.0, "wind_sd": 0.1,
        "mixing_height": np.repeat([500.0, 700.0], 2), "mixing_height_sd": 50.0,
    } | changes)  # fmt: skip
    path = tmp_path / "wind.csv"
    rows.to_csv(path, index=False)
    return path


def test_profiles_are_the_same_from_csv_and_netcdf(tmp_path):
    ds = read_profiles(profiles_csv(tmp_path))
    assert ds.mixing_height.values.tolist() == [[500, 700]]
    assert ds.u.shape == (1, 2, 2)
    path = tmp_path / "wind.nc"
    ds.to_netcdf(path)
    xr.testing.assert_equal(read_profiles(path), ds)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"mixing_height": [500.0, 600.0, 700.0, 700.0]}, "mixing_height.*differs within one site and time"),
        ({"latitude": [40.0, 40.0, 40.0, 41.0]}, "differs within one site"),
        ({"height": 100}, "occurs twice"),
        ({"u": "calm"}, "'u' is not a number"),
        ({"u": 1e36}, "fill value"),
        ({"time": "noon"}, "times cannot be read"),
    ],
)
def test_broken_profiles_are_data_errors(tmp_path, changes, what):
    with pytest.raises(DataError, match=what):
        read_profiles(profiles_csv(tmp_path, **changes))


def test_missing_and_foreign_profile_files_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_profiles(tmp_path / "none.nc")
    other = tmp_path / "other.nc"
    xr.Dataset({"a": ("t", [1.0])}).to_netcdf(other)
    with pytest.raises(DataError, match="profiles: 'site' is missing"):
        read_profiles(other)


@pytest.fixture
def make_met():
    def make(mixing_height):
        """A met cube around the lidar site whose mixing height is `mixing_height(hour, y, x)`."""
        grid = Grid("EPSG:32650", 4e5, 4.4e6, 1e4, 1e4, 20, 6)
        time = np.datetime64("2024-06-01T00", "ns") + np.arange(2) * np.timedelta64(1, "h")
        sizes = {"time": 2, "level": 2, "y": 6, "x": 20}
        ds = grid.coords().assign_coords(time=time, level=("level", [10.0, 100.0], {"units": "m"}))
        for name, want in schema.SCHEMAS["met"].items():
            if name not in ds.variables:
                zeros = np.zeros([sizes[d] for d in want.dims], dtype=np.float32)
                ds[name] = (want.dims, zeros, {"units": want.units})
        hour, y, x = np.meshgrid([0.0, 1.0], ds.y, ds.x, indexing="ij")
        ds["mixing_height"] = (("time", "y", "x"), mixing_height(hour, y, x).astype("f4"), {"units": "m"})
        return ds

    return make


def test_mixing_height_of_the_model_is_compared_at_the_lidar(tmp_path, make_met):
    profiles = read_profiles(profiles_csv(tmp_path))
    met = make_met(lambda hour, y, x: 600 + 300 * hour + 1e-3 * (x - 414_000))
    x, _ = Grid.from_dataset(met).to_xy(116.0, 40.0)
    expected = np.array([600.0, 650.0]) + 1e-3 * (float(x) - 414_000) - [500, 700]
    got = compare_mixing_height(profiles, met).iloc[0]
    assert got["count"] == 2
    assert got["bias_m"] == pytest.approx(expected.mean(), abs=0.01)
    assert got["sd_m"] == pytest.approx(expected.std(ddof=1), rel=1e-4)
    assert got["lidar_sd_m"] == 50


def test_times_without_a_lidar_height_or_outside_the_met_do_not_count(tmp_path, make_met):
    met = make_met(lambda hour, y, x: 600 + 0 * hour)
    profiles = read_profiles(profiles_csv(tmp_path, mixing_height=np.repeat([500.0, np.nan], 2)))
    row = compare_mixing_height(profiles, met).iloc[0]
    assert (row["count"], row["bias_m"]) == (1, pytest.approx(100))
    later = profiles.assign_coords(time=profiles.time + np.timedelta64(1, "D"))
    row = compare_mixing_height(later, met).iloc[0]
    assert row["count"] == 0
    assert np.isnan(row["bias_m"])
    far = profiles.assign_coords(longitude=("site", [10.0], {"units": "degrees_east"}))
    with pytest.raises(DataError, match=r"'L1' .* outside the met domain"):
        compare_mixing_height(far, met)
