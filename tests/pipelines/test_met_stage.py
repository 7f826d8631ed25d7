"""The met of a run: kept as one zarr store per day, opened where it is needed, never held as a whole."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from metroflux.errors import ArchiveError
from metroflux.grid import Grid
from pipelines import stages
from pipelines.met import MET_CUBE, MetFromFiles
from pipelines.store import Store
from transport.footprints import FootprintSettings, compute_footprints
from transport.meteorology.columns import RawState
from transport.meteorology.cube import Target, read_met
from transport.meteorology.reader import Frame, Hour
from transport.meteorology.wrf import WRFReader

KEY = "k" * 64
LEVELS = (10.0, 50.0, 200.0, 1000.0, 3000.0)
METRES = CRS("+proj=tmerc +lat_0=50 +lon_0=10 +ellps=WGS84 +units=m")
START = np.datetime64("2024-06-01T00", "ns")
SIDE = 40


class Steady:
    """The same weather at every hour of `hours`; no file is read."""

    def __init__(self, hours: int) -> None:
        self.hours = hours

    def describe(self) -> dict[str, object]:
        return {"reader": "steady", "hours": self.hours}

    def catalogue(self, paths):
        x = 5e3 * np.arange(SIDE)
        frames = [Frame(METRES, x, x, np.zeros((SIDE, SIDE)), "steady")]
        return frames, [Hour(START + k * np.timedelta64(1, "h"), ((paths[0], k),)) for k in range(self.hours)]

    def state(self, frame, hour, wanted):
        z = np.array([5.0, 50.0, 400.0, 1500.0, 4000.0])[:, None, None] * np.ones((SIDE, SIDE))
        flat = np.ones((SIDE, SIDE))
        return RawState(
            u=3.0 + 0 * z, v=0 * z, w=0 * z, t=285.0 + 0 * z, q=0 * z, p=1e5 * np.exp(-z / 8000.0), height=z,
            ustar=0.3 * flat, z0=0.1 * flat, mixing_height=800.0 * flat,
            sensible=50.0 * flat, latent=0.0 * flat,
        )  # fmt: skip


def receptor(hour: int) -> xr.Dataset:
    """Return one receptor in the middle, followed two hours back from `hour`."""
    point, middle = ("receptor", "point"), 2.5e3 * SIDE
    places = {"x": (middle, "m"), "y": (middle, "m"), "height": (20.0, "m"), "weight": (1.0, "1")}
    data = {name: (point, np.array([[value]]), {"units": unit}) for name, (value, unit) in places.items()}
    return xr.Dataset(
        data
        | {
            "duration": ("receptor", [0.0], {"units": "s"}),
            "hours": ("receptor", [2.0], {"units": "h"}),
            "particles": ("receptor", np.array([20])),
            "seed": ("receptor", np.array([7])),
        }
    ).assign_coords(
        receptor=("receptor", ["r"]),
        datum_id=("receptor", ["d"]),
        time=("receptor", [START + hour * np.timedelta64(1, "h")]),
    )


GRID = Grid(crs=METRES.to_string(), west=0.0, south=0.0, dx=5e3, dy=5e3, nx=SIDE, ny=SIDE)


def kept(hours: int, folder: Path) -> xr.Dataset:
    nothing = folder / "none"
    folder.mkdir()
    nothing.touch()
    store = Store(folder / "work", stages.STORED)
    store.keep(
        "met", KEY, {"met": MetFromFiles(Steady(hours), (nothing,), LEVELS, Target(None, None, "rescale"))}
    )
    assert store.has("met", KEY)
    met = store.get("met", KEY, "met")
    assert isinstance(met, xr.Dataset)
    return met


def peak_of_reading(met: xr.Dataset) -> int:
    tracemalloc.start()
    try:
        compute_footprints(met, receptor(met.sizes["time"] - 1), GRID, FootprintSettings())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_met_of_a_run_is_kept_by_day_and_read_only_where_it_is_needed(tmp_path):
    met = kept(50, tmp_path / "run")
    assert all(v.chunks is not None for v in met.data_vars.values() if "time" in v.dims)
    assert len(list(tmp_path.glob("run/work/met-*/met.cube/*/*.zarr"))) == 3
    twin = read_met(Steady(50), (tmp_path / "run" / "none",), LEVELS, Target(None, None, "rescale"))
    xr.testing.assert_equal(met.load(), twin)


@pytest.mark.slow
def test_memory_of_building_and_of_a_batch_does_not_grow_with_the_period(tmp_path):
    peaks = {}
    peak_of_reading(kept(3, tmp_path / "warm"))  # what is loaded once is not counted
    for hours in (6, 36):
        tracemalloc.start()
        met = kept(hours, tmp_path / f"h{hours}")
        building = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        peaks[hours] = (building, peak_of_reading(met), met.nbytes)
    short, long = peaks[6], peaks[36]
    assert long[2] > 5 * short[2]
    growth = 0.05 * (long[2] - short[2])  # names and hashes of chunks may grow, fields do not
    assert long[0] - short[0] < growth
    assert long[1] - short[1] < growth


def test_cube_is_absent_or_one_to_its_codec(tmp_path):
    with pytest.raises(ArchiveError, match="0 met cubes; expected one"):
        MET_CUBE.load(tmp_path)


@pytest.mark.realdata
def test_footprints_of_the_kept_cube_equal_those_of_the_cube_in_memory(data_dir, tmp_path):
    files = tuple(sorted((data_dir / "bowen_basin_ch4" / "wrf").glob("*.nc"))[:4])
    met = read_met(WRFReader(), files)
    store = Store(tmp_path, stages.STORED)
    store.keep("met", KEY, {"met": MetFromFiles(WRFReader(), files, tuple(met.level.values), Target())})
    lazy = store.get("met", KEY, "met")
    x, y = (float(met[axis].values.mean()) for axis in ("x", "y"))
    here = receptor(0).assign_coords(time=("receptor", met.time.values[-1:]))
    here["x"].values[:], here["y"].values[:] = x, y
    crs = CRS.from_cf(met.spatial_ref.attrs).to_wkt()
    grid = Grid(crs=crs, west=x - 5e4, south=y - 5e4, dx=1e4, dy=1e4, nx=10, ny=10)
    settings = FootprintSettings()
    first, second = (compute_footprints(cube, here, grid, settings) for cube in (met, lazy))
    assert float(first.foot.sum()) > 0
    xr.testing.assert_identical(first, second)
