import os
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from observations.dataset import Columns, build, tower_ids

sys.path.insert(0, str(Path(__file__).parent))  # helpers of tests: curtain_files


@pytest.fixture
def data_root():
    root = os.environ.get("METROFLUX_DATA")
    if not root:
        pytest.skip("METROFLUX_DATA is not set: no real data")
    return Path(root)


@pytest.fixture
def make_observations():
    def make(sites=("A", "B"), hours=24, species="co2", mole_fraction=400e-6):
        start = np.datetime64("2024-06-01T00", "ns") + np.arange(hours) * np.timedelta64(1, "h")
        site = np.repeat(np.array(sites), hours)
        n = site.size
        columns = Columns(
            start=np.tile(start, len(sites)),
            end=np.tile(start, len(sites)) + np.timedelta64(1, "h"),
            site=site,
            species=np.full(n, species),
            inlet=np.full(n, 30.0),
            latitude=np.full(n, 40.0),
            longitude=np.full(n, 116.0),
            mole_fraction=np.full(n, mole_fraction),
            flag=np.zeros(n, dtype=np.int64),
            n_samples=np.full(n, 60),
        )
        ids = tower_ids(columns.site, columns.species, columns.inlet, columns.start)
        return build(columns, ids, [], [], "WMO CO2 X2019", "test")

    return make


@pytest.fixture
def make_footprints():
    """Footprints that hold end points only, each (receptor, particle): m, m, m, hours."""

    def make(datum_id, time, end_x, end_y, end_height, end_hours):
        n = len(datum_id)
        ends = {
            name: (("receptor", "particle"), np.asarray(values, dtype=np.float32), {"units": units})
            for name, values, units in (
                ("end_x", end_x, "m"),
                ("end_y", end_y, "m"),
                ("end_height", end_height, "m"),
                ("end_hours", end_hours, "h"),
            )
        }
        return xr.Dataset(
            {
                "datum_id": ("receptor", np.asarray(datum_id, dtype=str)),
                "foot": (
                    ("receptor", "lag", "y", "x"),
                    np.zeros((n, 1, 1, 1), dtype=np.float32),
                    {"units": "m2 s mol-1"},
                ),
                "outside": (("receptor", "edge"), np.zeros((n, 5)), {"units": "1"}),
                "foot_sum_sd": ("receptor", np.zeros(n), {"units": "m2 s mol-1"}),
                "reason": ("receptor", np.full(n, "ok")),
                **ends,
            },
            coords={
                "receptor": [f"r{i}" for i in range(n)],
                "time": ("receptor", np.asarray(time, dtype="datetime64[ns]")),
                "lag": ("lag", [0], {"units": "h"}),
                "edge": ["west", "east", "south", "north", "top"],
                "y": ("y", [0.0], {"units": "m"}),
                "x": ("x", [0.0], {"units": "m"}),
                "spatial_ref": ((), 0),
            },
        )

    return make
