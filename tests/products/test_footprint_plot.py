"""Drawn footprints: one picture a receptor, never one of nothing."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from metroflux.grid import Grid
from products.footprint_plot import MOST, draw_footprints

GRID = Grid("EPSG:32633", 450e3, 5_700e3, 2e3, 2e3, 20, 15)


def made(count=2):
    foot = np.zeros((count, 3, 15, 20), dtype=np.float32)
    foot[:, :, 5:9, 4:11] = np.random.default_rng(1).random((count, 3, 4, 7))
    names = np.array([f"tower/{n}: 10 m" for n in range(count)])
    return xr.Dataset(
        {
            "foot": (("receptor", "lag", "y", "x"), foot),
            "reason": ("receptor", np.full(count, "ok", dtype="<U20")),
            "foot_sum_sd": ("receptor", np.full(count, 0.1)),
        },
        coords=GRID.coords().coords,
    ).assign_coords(
        datum_id=("receptor", names),
        time=("receptor", np.full(count, np.datetime64("2024-06-01T12:00", "ns"))),
        lag=("lag", np.arange(3)),
    )


def test_one_picture_a_receptor_and_their_mean(tmp_path):
    files = draw_footprints(made(), tmp_path / "foot")
    names = ["foot-tower_0__10_m.png", "foot-tower_1__10_m.png", "foot-mean.png"]
    assert [path.name for path in files] == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_of_many_receptors_only_the_mean_is_drawn(tmp_path):
    assert [path.name for path in draw_footprints(made(MOST + 1), tmp_path / "foot")] == ["foot-mean.png"]


def test_an_empty_footprint_is_left_out_and_all_empty_is_an_error(tmp_path):
    ds = made()
    ds.foot[0] = 0.0
    ds.reason[0] = "it left"
    assert [path.name for path in draw_footprints(ds, tmp_path / "foot")] == ["foot-tower_1__10_m.png"]
    ds.reason[1] = "it left"
    with pytest.raises(DataError, match="none has anything to draw: it left"):
        draw_footprints(ds, tmp_path / "foot")
