"""Files of a background field for tests, and what of them is needed."""

import numpy as np
import xarray as xr

from metroflux.grid import Grid
from observations.curtain import extent_of
from observations.curtain_file import CurtainMapping, Extent
from observations.levels import Vertical

GRID = Grid("EPSG:32650", 350e3, 4300e3, 50e3, 50e3, 4, 4)
START = np.datetime64("2024-06-01T00", "ns")
ALTITUDE = Vertical("z", "altitude", "m")
MAPPING = CurtainMapping("co2", "co2", vertical=ALTITUDE)
AXES = {
    "time": START - np.timedelta64(6, "h") + np.arange(5) * np.timedelta64(6, "h"),
    "z": np.array([0.0, 500.0, 2000.0, 6000.0, 12000.0]),
    "lat": np.arange(35.0, 46.0),
    "lon": np.arange(110.0, 124.0, 2.0),
}


def needed() -> Extent:
    met = xr.Dataset(coords={"time": [START - np.timedelta64(6, "h")], "x": GRID.x, "y": GRID.y})
    return extent_of(met, GRID, START - np.timedelta64(1, "D"), START + np.timedelta64(6, "h"))


def write(path, values, dims=("time", "z", "lat", "lon"), units="ppm", **axes):
    ds = xr.Dataset({"co2": (dims, values, {"units": units})}, {n: (AXES | axes)[n] for n in dims})
    ds.to_netcdf(path)
    return path


def random_field(dims=("time", "z", "lat", "lon")):
    return np.random.default_rng(3).uniform(405, 425, [AXES[n].size for n in dims])
