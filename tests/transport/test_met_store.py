"""The cube on disk: one store per day, one chunk per time, built once, complete or not there."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from pyproj import CRS

from metroflux.errors import DataError
from transport.met import open_met
from transport.meteorology.balance import LIMIT, continuity, mass_balance
from transport.meteorology.columns import RawState
from transport.meteorology.cube import Target, read_met
from transport.meteorology.reader import Frame, Hour, MetReader
from transport.meteorology.store import build_met, met_key

LEVELS = (10.0, 100.0, 500.0)
CRS_TEXT = "+proj=lcc +lat_1=48 +lat_2=52 +lat_0=50 +lon_0=11 +R=6371229 +units=m"


class TextReader:
    """A format of its own: a text file with one number, the hours since 2024-06-01, in each line."""

    def __init__(self, broken: int = -1) -> None:
        self.broken, self.read = broken, 0

    def describe(self) -> dict[str, object]:
        return {"reader": "text"}

    def catalogue(self, paths):
        x = 1e4 * np.arange(6.0)
        frames = [Frame(CRS(CRS_TEXT), x, x[:5], np.zeros((5, 6)), str(paths[0]))]
        start = np.datetime64("2024-06-01T00", "ns")
        return frames, [
            Hour(start + int(line) * np.timedelta64(1, "h"), ((path, n),))
            for path in paths
            for n, line in enumerate(path.read_text().split())
        ]

    def state(self, frame, hour, wanted):
        self.read += 1
        if self.read == self.broken:
            raise DataError(f"{hour}: broken")
        z = np.array([5.0, 50.0, 400.0, 900.0])[:, None, None] * np.ones((5, 6))
        flat, wind = np.ones((5, 6)), np.broadcast_to(1e-4 * frame.x, z.shape)
        return RawState(
            u=wind, v=0 * z, w=0 * z, t=280.0 + 0 * z, q=0 * z, p=1e5 * np.exp(-z / 8000.0), height=z,
            ustar=0.3 * flat, z0=0.1 * flat, mixing_height=500.0 * flat + hour.parts[0][1],
            sensible=50.0 * flat, latent=0.0 * flat, methods={"ustar": "made up"},
        )  # fmt: skip


def hours(path: Path, *values: int) -> Path:
    path.write_text("\n".join(map(str, values)))
    return path


@pytest.fixture
def file(tmp_path) -> Path:
    return hours(tmp_path / "met.txt", *range(20, 29))


def test_the_reader_of_these_tests_keeps_the_protocol():
    reader: MetReader = TextReader()
    assert reader.describe()


def test_a_stored_cube_equals_the_one_in_memory_and_has_a_store_per_day(file, tmp_path):
    folder = build_met(TextReader(), [file], tmp_path / "cubes", LEVELS)
    assert sorted(p.name for p in folder.glob("*.zarr")) == ["2024-06-01.zarr", "2024-06-02.zarr"]
    opened = open_met(folder)
    xr.testing.assert_equal(opened.load(), read_met(TextReader(), [file], LEVELS))
    assert opened.ustar.attrs["method"] == "made up"
    assert json.loads(opened.attrs["mass_balance"])["verdict"] == "ok"
    array = zarr.open_group(folder / "2024-06-01.zarr", mode="r")["u"]
    assert array.chunks == (1, 3, 5, 6)


def test_a_cube_is_built_once_and_its_address_depends_on_files_levels_and_target(file, tmp_path):
    first = build_met(TextReader(), [file], tmp_path / "cubes", LEVELS)
    idle = TextReader(broken=1)
    assert build_met(idle, [file], tmp_path / "cubes", LEVELS) == first
    assert idle.read == 0
    keys = {
        met_key(TextReader(), [file], LEVELS),
        met_key(TextReader(), [hours(tmp_path / "other.txt", 1, 2)], LEVELS),
        met_key(TextReader(), [file], (10.0, 100.0)),
        met_key(TextReader(), [file], LEVELS, Target(vertical="file")),
        met_key(TextReader(), [file], LEVELS, Target(CRS(CRS_TEXT))),
    }
    assert len(keys) == 5


def test_a_build_that_fails_leaves_nothing_and_the_next_one_completes(file, tmp_path):
    with pytest.raises(DataError, match=r"met\.txt at 2024-06-02T00:00: broken"):
        build_met(TextReader(broken=5), [file], tmp_path / "cubes", LEVELS)
    assert list((tmp_path / "cubes").iterdir()) == []
    assert open_met(build_met(TextReader(), [file], tmp_path / "cubes", LEVELS)).sizes["time"] == 9


def test_a_lost_day_is_named(file, tmp_path):
    folder = build_met(TextReader(), [file], tmp_path / "cubes", LEVELS)
    (folder / "2024-06-02.zarr").rename(tmp_path / "away.zarr")
    with pytest.raises(DataError, match=r"gap: 5 times of the cube are missing, the first 2024-06-02T00:00"):
        open_met(folder)


def test_a_gap_in_the_files_is_named(tmp_path):
    paths = [hours(tmp_path / "a.txt", 0, 1), hours(tmp_path / "b.txt", 4)]
    with pytest.raises(DataError, match=r"gap in time from .*a\.txt at .*T01:00 to .*b\.txt at .*T04:00"):
        build_met(TextReader(), paths, tmp_path / "cubes", LEVELS)


def test_upward_wind_by_continuity_has_its_closed_form(file):
    # u = 1e-4 s-1 x in air of density rho(z): w = -1e-4 s-1 times the column's mass below, over rho
    met = read_met(TextReader(), [file], LEVELS)
    rho = met.rho.values[0, :, 2, 2]
    u = met.u.values[0, :, 2, 2] / met.x.values[2]  # the lowest levels follow the surface-layer profile
    assert u[2] == pytest.approx(1e-4, rel=1e-3)
    below = np.append(u[0] * rho[0], 0.5 * (u[1:] * rho[1:] + u[:-1] * rho[:-1]))
    expected = -np.cumsum(np.diff(LEVELS, prepend=0.0) * below) / rho
    np.testing.assert_allclose(met.w.values[0, :, 2, 2], expected, rtol=1e-3)


def test_mass_balance_tells_winds_that_balance_from_winds_that_do_not(file):
    met = read_met(TextReader(), [file], LEVELS)
    good, bad = mass_balance(met), mass_balance(met.assign(w=met.w * 0))
    assert good["residual"] < 1e-3 * LIMIT
    assert good["verdict"] == "ok"
    assert bad["residual"] == pytest.approx(bad["divergence"], rel=1e-5)
    assert bad["divergence"] == pytest.approx(1e-4, rel=0.15)
    assert bad["verdict"] == "poor"


def test_continuity_of_a_flow_around_a_centre_is_at_rest():
    x = 1e3 * np.arange(-5.0, 6.0)
    u, v = np.broadcast_arrays(-1e-3 * x[:, None], 1e-3 * x)
    fields = {
        "u": u[None] + np.zeros((2, 1, 1)),
        "v": v[None] + np.zeros((2, 1, 1)),
        "rho": np.ones((2, 11, 11)),
    }
    w = continuity(fields, np.array([10.0, 100.0]), x, x, np.ones((11, 11)))
    assert np.abs(w).max() < 1e-12
