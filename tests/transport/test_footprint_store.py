"""Footprints kept from run to run: the same bits, only what is missing is computed, damage is found."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError
from metroflux.parallel import serial
from metroflux.provenance import sha256_dataset
from transport.footprint_store import FootprintStore, receptor_keys
from transport.footprints import FootprintSettings, compute_footprints, footprint_batches
from transport.sparse import add_dense, to_sparse

SETTINGS = FootprintSettings(batch=2)


def several(make_points, ends=(4.0, 2.75, 3.5), **options):
    parts = [make_points((10.0, 50.0), end=end, duration=900.0, particles=100, **options) for end in ends]
    names = [f"r{end}-{n}" for end in ends for n in range(2)]
    return xr.concat(parts, "receptor").assign_coords(
        receptor=("receptor", names), datum_id=("receptor", [f"d-{n}" for n in names])
    )


def counting(counted):
    def mapper(function, common, items):
        counted.extend(len(item) for item in items)
        yield from serial(function, common, items)

    return mapper


def test_with_a_store_the_bits_are_those_without_and_a_second_time_nothing_is_computed(
    make_met, make_points, wide_grid, tmp_path
):
    met, receptors, store, counted = make_met(), several(make_points), FootprintStore(tmp_path), []
    plain = compute_footprints(met, receptors, wide_grid, SETTINGS)
    for expected in (6, 0):
        counted.clear()
        kept = compute_footprints(met, receptors, wide_grid, SETTINGS, counting(counted), store)
        assert sum(counted) == expected
        assert sha256_dataset(kept) == sha256_dataset(plain)
    assert store.usage().footprints == 6


def test_a_shifted_period_computes_only_the_receptors_that_are_new(
    make_met, make_points, wide_grid, tmp_path
):
    store, counted, longer = FootprintStore(tmp_path), [], make_met(6)
    night = make_met(4)
    compute_footprints(night, several(make_points), wide_grid, SETTINGS, store=store)
    # a day later: the met reaches further, some receptors are those of yesterday, in other batches
    receptors = several(make_points, (3.5, 4.0, 5.0, 5.5))
    got = compute_footprints(
        longer, receptors, wide_grid, FootprintSettings(batch=3), counting(counted), store
    )
    assert sum(counted) == 4
    plain = compute_footprints(longer, receptors, wide_grid, SETTINGS)
    assert sha256_dataset(got) == sha256_dataset(plain)


def test_a_key_holds_all_that_decides_a_footprint_and_nothing_else(make_met, make_points, wide_grid):
    met, receptors = make_met(6), several(make_points)
    keys = partial(receptor_keys, met, receptors, wide_grid)
    base = keys(SETTINGS)
    assert len(set(base)) == 6
    assert keys(FootprintSettings(batch=9)) == base
    assert receptor_keys(met.chunk(time=1), receptors, wide_grid, SETTINGS) == base
    assert receptor_keys(met.isel(time=slice(0, 5)), receptors, wide_grid, SETTINGS) == base
    wider = receptors.pad(point=(0, 1), constant_values={"weight": 0.0, "x": np.nan})
    assert receptor_keys(met, wider, wide_grid, SETTINGS) == base

    def changed(**variables):
        return receptors.assign({n: receptors[n].copy(data=v) for n, v in variables.items()})

    others = [
        keys(replace(SETTINGS, estimator="half")),
        keys(replace(SETTINGS, early_step=0.09)),
        receptor_keys(met, receptors, replace(wide_grid, nx=39), SETTINGS),
        receptor_keys(met, changed(seed=receptors.seed.values + 1), wide_grid, SETTINGS),
        receptor_keys(met, changed(particles=receptors.particles.values + 1), wide_grid, SETTINGS),
        receptor_keys(met, changed(hours=receptors.hours.values - 0.5), wide_grid, SETTINGS),
    ]
    for other in others:
        assert not set(other) & set(base)
    met["t"][3, 0, 0, 0] += 0.5  # of the hour 3 only, and in one point
    different = [a != b for a, b in zip(base, keys(SETTINGS), strict=True)]
    assert different == [True, True, True, True, True, True]
    met["t"][3, 0, 0, 0] -= 0.5
    met["u"][4, 0, 0, 0] += 0.5  # after the receptors of 2.75 h
    different = [a != b for a, b in zip(base, keys(SETTINGS), strict=True)]
    assert different == [True, True, False, False, True, True]


@pytest.mark.parametrize("damage", ["bit", "short", "gone", "record"])
def test_a_damaged_batch_is_named_and_computed_again(
    make_met, make_points, wide_grid, tmp_path, caplog, damage
):
    met, receptors, store, counted = make_met(), several(make_points), FootprintStore(tmp_path), []
    plain = compute_footprints(met, receptors, wide_grid, SETTINGS, store=store)
    victim = sorted(tmp_path.glob("*.zip"))[0]
    data = victim.read_bytes()
    {
        "bit": lambda: victim.write_bytes(data[:300] + bytes([data[300] ^ 1]) + data[301:]),
        "short": lambda: victim.write_bytes(data[:-50]),
        "gone": victim.unlink,
        "record": lambda: victim.with_suffix(".json").write_text('{"keys": ["a'),
    }[damage]()
    again = compute_footprints(met, receptors, wide_grid, SETTINGS, counting(counted), store)
    assert sum(counted) == 2
    assert victim.stem in caplog.text
    assert "computed again" in caplog.text
    assert sha256_dataset(again) == sha256_dataset(plain)


def test_several_writers_at_one_time_leave_a_whole_store(make_met, make_points, wide_grid, tmp_path):
    met, receptors, store = make_met(), several(make_points), FootprintStore(tmp_path)
    one = partial(compute_footprints, met, receptors, wide_grid, SETTINGS, serial, store)
    with ThreadPoolExecutor(3) as pool:
        found = {sha256_dataset(f.result()) for f in [pool.submit(one) for _ in range(3)]}
    assert len(found) == 1
    counted = []
    compute_footprints(met, receptors, wide_grid, SETTINGS, counting(counted), store)
    assert not counted
    assert not list(tmp_path.glob(".tmp-*"))


def test_killed_in_the_middle_it_loses_at_most_one_batch(make_met, make_points, wide_grid, tmp_path):
    store, counted = FootprintStore(tmp_path / "store"), []
    made = tmp_path / "inputs"
    made.mkdir()
    met, receptors = make_met(), several(make_points)
    met.to_netcdf(made / "met.nc")
    receptors.to_netcdf(made / "receptors.nc")
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(made), str(store.folder)])
    deadline = time.monotonic() + 120
    while len(list(store.folder.glob("*.json"))) < 2:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    again = compute_footprints(met, receptors, wide_grid, SETTINGS, counting(counted), store)
    assert sum(counted) == 2  # the third batch of two, in which it hung
    assert sha256_dataset(again) == sha256_dataset(
        compute_footprints(met, receptors, wide_grid, FootprintSettings(batch=5))
    )


KILLED = """
import sys, time
from pathlib import Path
import xarray as xr
from metroflux.grid import Grid
from transport import footprints as f
from transport.footprint_store import FootprintStore
made, store = Path(sys.argv[1]), FootprintStore(Path(sys.argv[2]))
met = xr.open_dataset(made / "met.nc").load()
receptors = xr.open_dataset(made / "receptors.nc", decode_timedelta=False).load()
crs = "+proj=tmerc +lat_0=50 +lon_0=10 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
grid = Grid(crs, -200e3, -200e3, 10e3, 10e3, 40, 40)
def hanging(function, common, items):
    for n, item in enumerate(items):
        if n == 2:
            time.sleep(600)
        yield function(common, item)
f.compute_footprints(met, receptors, grid, f.FootprintSettings(batch=2), hanging, store)
"""


def test_batches_say_what_is_left_and_whether_they_were_there(make_met, make_points, wide_grid, tmp_path):
    met, store = make_met(), FootprintStore(tmp_path)
    compute_footprints(met, several(make_points, (4.0,)), wide_grid, SETTINGS, store=store)
    batches = list(footprint_batches(met, several(make_points), wide_grid, SETTINGS, serial, store))
    assert [(b.reused, b.left, b.rows.size) for b in batches] == [(True, 2, 2), (False, 1, 2), (False, 0, 2)]
    assert [b.cpu_seconds > 0 for b in batches] == [False, True, True]


def test_pruning_removes_what_is_older_and_nothing_else(make_met, make_points, wide_grid, tmp_path):
    met, store, counted = make_met(), FootprintStore(tmp_path), []
    compute_footprints(met, several(make_points), wide_grid, SETTINGS, store=store)
    old = sorted(tmp_path.glob("*.json"))[0]
    orphan = tmp_path / ".tmp-x.zip"
    orphan.touch()
    for path in (old, old.with_suffix(".zip"), orphan):
        os.utime(path, (time.time() - 40 * 86400,) * 2)
    assert store.usage().oldest == pytest.approx(40, abs=0.1)
    kept = store.prune(30)
    assert (kept.footprints, kept.batches) == (4, 2)
    assert not old.with_suffix(".zip").exists()
    assert not orphan.exists()
    compute_footprints(met, several(make_points), wide_grid, SETTINGS, counting(counted), store)
    assert sum(counted) == 2
    with pytest.raises(ConfigError, match="expected an existing store"):
        FootprintStore(tmp_path / "none").prune(30)


def test_sparse_and_dense_are_the_same_to_the_bit():
    rng = np.random.default_rng(1)
    foot = rng.standard_normal((3, 4, 5, 6)).astype(np.float32)
    foot[rng.random(foot.shape) < 0.8] = 0.0
    foot[0, 0, 0, 0], foot[1] = -0.0, 0.0
    sparse = to_sparse(foot)
    back = np.zeros_like(foot)
    for n in range(3):
        add_dense(sparse, n, back[n])
    assert back.tobytes() == foot.tobytes()
    assert sparse["pointer"][2] == sparse["pointer"][1]
