"""metroflux footprints at scale: the store, a kill in the middle, a nested grid, bad input, progress."""

import os
import signal
import subprocess
import sys
import time

import netCDF4
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from metroflux import schema, worlds
from metroflux.errors import ConfigError, DataError
from pipelines.cli import cli
from pipelines.progress import followed
from pipelines.watch import Paced
from transport.met import crs_of, to_lonlat
from transport.sparse import Batch


@pytest.fixture(scope="module")
def met():
    world = worlds.build(worlds.CitySettings(cells=10, days=1, flux_hours=24, towers=1, lidar=False))
    return world.met.isel(time=slice(0, 7))


@pytest.fixture(scope="module")
def centre(met):
    return [float(a) for a in to_lonlat(crs_of(met), float(met.x.mean()), float(met.y.mean()))]


@pytest.fixture
def cube(met, tmp_path):
    path = tmp_path / "met.zarr"
    met.to_zarr(path, zarr_format=3, consolidated=False)
    return path


@pytest.fixture
def table(met, centre, tmp_path):
    return write_table(tmp_path / "receptors.csv", met, centre, 6)


def write_table(path, met, centre, count, hour=6):
    lon, lat = centre
    time = np.datetime_as_string(met.time.values[hour], unit="m")
    rows = [f"{time},{lat + 0.002 * n},{lon},{10 + n}" for n in range(count)]
    path.write_text("time,latitude,longitude,height\n" + "\n".join(rows) + "\n")
    return path


def call(*arguments):
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def footprints(*arguments):
    return call("footprints", *arguments, "--hours", 2, "--particles", 60)


def arrays(path):
    with netCDF4.Dataset(path) as file:
        return {
            name: v[:].tobytes() if v.dtype is not str else v[:].tolist()
            for name, v in file.variables.items()
        }


@pytest.mark.slow
def test_with_a_store_the_file_is_the_same_and_a_second_call_computes_nothing(cube, table, tmp_path):
    plain, kept = tmp_path / "plain.nc", tmp_path / "kept.nc"
    footprints("--met", cube, "--receptors", table, "-o", plain)
    for shown in ("", "6 of 6 receptors were there"):
        out = footprints("--met", cube, "--receptors", table, "-o", kept, "--store", tmp_path / "s",
                         "--threads", 3 if shown else 1)  # fmt: skip
        assert shown in " ".join(out.split())
        assert arrays(kept) == arrays(plain)
    with netCDF4.Dataset(kept) as file:
        assert file["foot"].coordinates == "cell_area datum_id lat lon time"
    told = call("store", tmp_path / "s")
    assert "6 footprints in 1 batches" in " ".join(told.split())
    assert "removed 6" in call("store", tmp_path / "s", "--prune-older-than", 0)
    with pytest.raises(ConfigError, match="no footprints here"):
        call("store", tmp_path / "s")


@pytest.mark.slow
def test_killed_in_the_middle_it_resumes_through_the_store_to_the_same_bits(cube, met, centre, tmp_path):
    table = write_table(tmp_path / "many.csv", met, centre, 70)
    plain, resumed, store = tmp_path / "plain.nc", tmp_path / "resumed.nc", tmp_path / "store"
    options = ["--met", str(cube), "--receptors", str(table), "--hours", "4", "--particles", "200"]
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "footprints",
            *options,
            "-o",
            str(resumed),
            "--store",
            str(store),
        ]
    )
    deadline = time.monotonic() + 200
    while not list((store / "footprints").glob("*.json")):
        assert child.poll() is None, "done before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not resumed.exists()
    out = call("footprints", *options, "-o", resumed, "--store", store)
    assert "of 70 receptors were there" in " ".join(out.split())
    call("footprints", *options, "-o", plain, "--threads", 2)
    assert arrays(resumed) == arrays(plain)


def test_a_nested_grid_keeps_the_sum_and_has_a_file_of_its_own(cube, table, centre, tmp_path):
    lon, lat = centre
    box = f"{lon - 0.03:.4f},{lat - 0.02:.4f},{lon + 0.03:.4f},{lat + 0.02:.4f}"
    common = ("--met", cube, "--receptors", table, "--resolution", "2km")
    for smooth in (0, 1):
        footprints(*common, "-o", tmp_path / "whole.nc", "--smooth", smooth)
        footprints(*common, "-o", tmp_path / "out.nc", "--smooth", smooth, "--nest", box,
                   "--nest-resolution", "250m")  # fmt: skip
        whole, outer, inner = (
            xr.open_dataset(tmp_path / name, decode_timedelta=False).load()
            for name in ("whole.nc", "out.nc", "out-inner.nc")
        )
        for ds in (outer, inner):
            schema.check(ds, "footprints")
        sums = [ds.foot.sum(("lag", "y", "x"), dtype=np.float64).values for ds in (whole, outer, inner)]
        assert sums[1] + sums[2] == pytest.approx(sums[0], rel=1e-6)
        assert (sums[2] > 0.2 * sums[0]).all()
        assert float(inner.x[1] - inner.x[0]) == pytest.approx(250.0)
        assert int(outer.covered.sum()) * 64 == inner.sizes["x"] * inner.sizes["y"]
        inside = outer.foot.where(outer.covered == 1, 0.0).sum()
        assert float(inside) == 0.0 if smooth == 0 else float(inside) >= 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nest", "1,2,3,4"), "--nest and --nest-resolution: one without the other"),
        (("--nest", "BOX", "--nest-resolution", "300m"), "outer cells of 2000 m are not 2, 3, "),
        (
            ("--nest", "BOX", "--nest-resolution", "0.01deg"),
            "expected --resolution and --nest-resolution in m",
        ),
        (("--nest", "10,1,11,2", "--nest-resolution", "250m"), "lies outside the met"),
    ],
)
def test_a_nest_that_cannot_be_is_refused(cube, table, centre, tmp_path, options, message):
    lon, lat = centre
    box = f"{lon - 0.03:.4f},{lat - 0.02:.4f},{lon + 0.03:.4f},{lat + 0.02:.4f}"
    options = [box if word == "BOX" else word for word in options]
    with pytest.raises(ConfigError, match=message):
        footprints("--met", cube, "--receptors", table, "--resolution", "2km", *options,
                   "-o", tmp_path / "out.nc")  # fmt: skip
    assert not list(tmp_path.glob("out*"))


def spoilt(met, how):
    match how:
        case "gap":
            return met.isel(time=[0, 1, 2, 3, 5, 6])
        case "nan":
            u = met.u.copy(deep=True)
            u[5, 2, 1, 1] = np.nan
            return met.assign(u=u)
        case "levels":
            return met.isel(level=[0, 2, 1, *range(3, met.sizes["level"])])
        case "negative":
            return met.assign(mixing_height=met.mixing_height * -1)
    return met


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("gap", r"met\.zarr: gap in time from .*T03:00 to .*T05:00; expected every 60 minutes"),
        ("nan", r"met\.zarr.* at .*T05:00.*: 'u' is nan at index .*, expected finite"),
        ("levels", r"met\.zarr: 'level' is not ascending"),
        ("negative", r"met\.zarr.*: 'mixing_height' is -.*, expected finite and positive"),
    ],
)
def test_met_that_cannot_be_used_is_refused_by_file_field_and_value(met, table, tmp_path, how, message):
    path = tmp_path / "met.zarr"
    spoilt(met, how).to_zarr(path, zarr_format=3, consolidated=False)
    with pytest.raises(DataError, match=message):
        footprints("--met", path, "--receptors", table, "-o", tmp_path / "out.nc")
    assert not list(tmp_path.glob("out*"))
    assert not list(tmp_path.glob(".met-*"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{end},{lat},-100,10", r"\d+T\d+:00_-100_.* has x = .* m, the met covers"),
        ("2031-01-01T00:00,{lat},{lon},10", "needs 2030-12-31T22:00 to 2031-01-01T00:00, the met covers"),
        ("{end},{lat},{lon},90000", "has height = 90000 m, the met covers 0 to"),
        ("{end},95,{lon},10", r"line 2, 'latitude': 95, expected -90 to 90"),
        ("{end},{lat},{lon},nan", r"line 2, 'height': nan, expected 0 to 100000"),
        ("yesterday,{lat},{lon},10", r"line 2, 'time'.*yesterday"),
    ],
)
def test_a_receptor_that_cannot_be_is_named_with_what_was_expected(cube, met, centre, tmp_path, row, message):
    table = tmp_path / "wrong.csv"
    end = np.datetime_as_string(met.time.values[6], unit="m")
    table.write_text(
        "time,latitude,longitude,height\n" + row.format(end=end, lat=centre[1], lon=centre[0]) + "\n"
    )
    with pytest.raises(DataError, match=message):
        footprints("--met", cube, "--receptors", table, "-o", tmp_path / "out.nc")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--particles", "0"), "--particles"),
        (("--hours", "0"), "hours = 0"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_no_particles_hours_or_threads_is_refused(cube, table, tmp_path, options, message):
    done = CliRunner().invoke(
        cli,
        ["footprints", "--met", str(cube), "--receptors", str(table), "-o", str(tmp_path / "o.nc"), *options],
    )
    assert done.exit_code != 0
    told = " ".join((done.output + str(done.exception)).replace("│", " ").split())
    assert message in told
    assert not (tmp_path / "o.nc").exists()


def test_progress_tells_what_is_done_what_it_costs_and_how_long_the_rest_takes():
    def batch(size, left, cpu, reused=False):
        return Batch(np.arange(size), {}, reused, cpu, left)

    now = [0.0]

    def arriving():
        yield batch(2, 3, 0.0, reused=True)
        now[0] = 10.0
        yield batch(4, 1, 6.0)
        now[0] = 30.0
        yield batch(4, 0, 10.0)

    lines = []
    list(followed(arriving(), 10, lambda text, _: lines.append(text), lambda: now[0]))
    assert lines == [
        "1 of 4 batches, 2 of 10 receptors (2 from the store)",
        "2 of 3 batches, 6 of 10 receptors (2 from the store), 1.50 CPU s per receptor, 10 s left",
        "3 of 3 batches, 10 of 10 receptors (2 from the store), 2.00 CPU s per receptor",
    ]


def test_lines_of_progress_come_now_and_then():
    lines, now = [], [0.0]
    paced = Paced(lambda text, _: lines.append(text), 10.0, lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        paced(f"at {second}", {})
    assert lines == ["at 0", "at 10", "at 20"]
