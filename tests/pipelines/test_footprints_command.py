"""metroflux footprints: one call from met and a table to a file, the same for any number of threads."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from metroflux import schema, worlds
from metroflux.errors import ConfigError, DataError
from pipelines.cli import cli
from pipelines.footprint_grid import Domain, choose_layout, parse_domain, parse_resolution
from transport.met import crs_of, to_lonlat


@pytest.fixture(scope="module")
def met():
    world = worlds.build(worlds.CitySettings(cells=10, days=1, flux_hours=24, towers=1, lidar=False))
    return world.met.isel(time=slice(0, 7))


@pytest.fixture(scope="module")
def centre(met):
    return [float(a) for a in to_lonlat(crs_of(met), float(met.x.mean()), float(met.y.mean()))]


@pytest.fixture(scope="module")
def store(met, tmp_path_factory):
    path = tmp_path_factory.mktemp("met") / "met.zarr"
    met.to_zarr(path, zarr_format=3, consolidated=False)
    return path


@pytest.fixture
def table(met, centre, tmp_path):
    lon, lat = centre
    times = [np.datetime_as_string(met.time.values[k], unit="m") for k in (5, 6)]
    rows = [f"{name},{time},{lat + d},{lon},{z}" for name, time, d, z in
            (("a", times[0], 0.0, 10), ("b", times[1], 0.02, 30), ("b", times[1], 0.02, 60))]  # fmt: skip
    path = tmp_path / "receptors.csv"
    path.write_text("receptor,time,latitude,longitude,height\n" + "\n".join(rows) + "\n")
    return path


def call(*arguments):
    done = CliRunner().invoke(cli, ["footprints", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_met_and_a_table_become_footprints_in_one_file(store, table, tmp_path):
    output = tmp_path / "foot.nc"
    shown = call("--met", store, "--receptors", table, "--output", output, "--hours", 3, "--particles", 200)
    with xr.open_dataset(output, decode_timedelta=False) as ds:
        ds = ds.load()
    schema.check(ds, "footprints")
    assert all(name in ds.attrs for name in schema.ATTRIBUTES)
    assert ds.datum_id.values.tolist() == ["a", "b"]
    assert ds.release_height.values.tolist() == [10.0, 45.0]
    assert "2, 2 with a footprint; 200 particles each" in shown
    assert not list(tmp_path.glob("*.part"))


def test_the_result_is_the_same_for_any_number_of_threads(store, table, tmp_path):
    found = []
    for threads in (1, 3):
        output = tmp_path / f"{threads}.nc"
        call("--met", store, "--receptors", table, "-o", output, "--hours", 2, "--particles", 100,
             "--threads", threads, "--resolution", "3km")  # fmt: skip
        with xr.open_dataset(output) as ds:
            found.append(ds.foot.values.tobytes())
    assert found[0] == found[1]


def test_degrees_give_longitude_and_latitude_with_the_sum_kept(store, table, centre, tmp_path):
    lon, lat = centre
    box = f"{lon - 0.2:.4f},{lat - 0.15:.4f},{lon + 0.2:.4f},{lat + 0.15:.4f}"
    common = ("--met", store, "--receptors", table, "--hours", 3, "--particles", 200, "--smooth", 0)
    call(
        *common, "-o", tmp_path / "deg.nc", "--domain", box, "--resolution", "0.02", "--stilt", tmp_path / "s"
    )
    call(*common, "-o", tmp_path / "m.nc", "--domain", box, "--resolution", "500m")
    with (
        xr.open_dataset(tmp_path / "deg.nc", decode_timedelta=False) as deg,
        xr.open_dataset(tmp_path / "m.nc") as m,
    ):
        schema.check(deg.load(), "footprints_lonlat")
        assert (deg.sizes["lon"], deg.sizes["lat"]) == (20, 15)
        sums = [ds.foot.sum(d, dtype=np.float64) + ds.off_grid
                for ds, d in ((deg, ("lag", "lat", "lon")), (m, ("lag", "y", "x")))]  # fmt: skip
        np.testing.assert_allclose(sums[0], sums[1], rtol=1e-6)
        assert np.isfinite(deg.release_latitude).all()
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["a_foot.nc", "b_foot.nc"]


def test_footprints_that_exist_are_drawn_without_met(store, table, tmp_path):
    output = tmp_path / "foot.nc"
    call("--met", store, "--receptors", table, "-o", output, "--hours", 2, "--particles", 100)
    shown = call("--plot", "--output", output)
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == ["foot-a.png", "foot-b.png", "foot-mean.png"]
    assert "foot-mean.png" in shown
    assert all((tmp_path / name).stat().st_size > 10_000 for name in names)


@pytest.mark.parametrize(
    ("options", "fault", "message"),
    [
        (("--resolution", "fine"), ConfigError, r"--resolution 'fine'; expected"),
        (("--domain", "1,2,3"), ConfigError, r"--domain '1,2,3'; expected W,S,E,N"),
        (("--domain", "170,10,171,11"), ConfigError, "lies outside the met"),
        (("--estimator", "thin"), ConfigError, "expected growing or half"),
        (("--hours", 30), DataError, "a needs .* the met covers"),
        (("--stilt", "files"), ConfigError, "expected --resolution in degrees"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(store, table, tmp_path, options, fault, message):
    output = tmp_path / "foot.nc"
    with pytest.raises(fault, match=message):
        call("--met", store, "--receptors", table, "-o", output, "--hours", 2, "--particles", 20, *options)
    assert not output.exists()


def test_a_missing_table_exits_2_and_met_of_no_known_kind_exits_3(table, tmp_path):
    for arguments, code, message in (
        (("--met", str(table)), 2, "--receptors missing"),
        (("--met", str(table), "--receptors", str(table)), 3, "is of no known kind"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", "footprints", *arguments, "-o", str(tmp_path / "f.nc")],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == code
        assert message in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "size", "degrees"),
    [
        ("1000", 1000, False),
        ("1.5km", 1500, False),
        ("0.01", 0.01, True),
        ("20deg", 20, True),
        ("5m", 5, False),
    ],
)
def test_cell_sizes_are_degrees_or_metres(text, size, degrees):
    found = parse_resolution(text)
    assert (found.size, found.degrees) == (size, degrees)


def test_a_domain_across_the_date_line_is_given_beyond_180():
    assert parse_domain("170,-20,190,-10") == Domain(170, -20, 190, -10)


def test_without_domain_and_resolution_the_grid_is_the_mets(met):
    layout = choose_layout(met, None, None)
    assert layout.cells is None
    assert (layout.grid.nx, layout.grid.ny) == (met.sizes["x"] - 1, met.sizes["y"] - 1)
    assert layout.grid.west == float(met.x[0])


@pytest.mark.realdata
@pytest.mark.slow
def test_wrf_files_of_the_bowen_basin_give_footprints_in_one_call(data_dir, tmp_path):
    table = tmp_path / "receptors.csv"
    table.write_text("time,latitude,longitude,height\n2022-12-07T10:00,-23.2,148.6,10\n")
    files = sorted((data_dir / "bowen_basin_ch4" / "wrf").glob("*.nc"))
    output = tmp_path / "foot.nc"
    call("--met", *files, "--receptors", table, "-o", output, "--hours", 8, "--resolution", "2km",
         "--particles", 200)  # fmt: skip
    with xr.open_dataset(output) as ds:
        assert set(ds.reason.values) == {"ok"}
        assert float(ds.foot.sum()) > 0.1
