"""The footprints of a run: kept from run to run, kept small, told how far they are."""

import json

import numpy as np
import pytest
import xarray as xr

from metroflux.parallel import serial
from metroflux.provenance import Stamp, code_sha256
from pipelines import stages
from pipelines.config import read_config
from pipelines.dask_mapper import open_mapper
from pipelines.engine import Engine
from pipelines.footprint_codec import FOOTPRINTS
from pipelines.run import WORK, status
from pipelines.store import CODECS, Store
from pipelines.watch import Silent, json_log
from transport.footprint_store import FootprintStore


class Told(Silent):
    """Keeps the lines of progress."""

    def __init__(self):
        self.lines = []

    def tell(self, text):
        self.lines.append(text)


def traced(config, folder, mapper=serial, watch=None):
    """Execute the stages up to the footprints in a new folder; return the dataset."""
    read = read_config(config)
    store = Store(folder, stages.STORED)
    engine = Engine(read.config, store, mapper, code_sha256(), Stamp("r", "c"), watch or Silent())
    for stage in stages.plan(read.config):
        engine.execute(stage)
        if stage.name == "footprints":
            return engine.result("footprints")
    raise AssertionError


def with_store(config, folder, more=""):
    path = config.with_name("stored.yaml")
    path.write_text(
        config.read_text().replace("seed: 3}", f"seed: 3{more}}}") + f"store: {{path: {folder}}}\n"
    )
    return path


@pytest.mark.slow
def test_workers_fill_one_store_and_another_run_takes_the_same_bits_from_it(config, tmp_path):
    plain = traced(config, tmp_path / "plain")
    stored, count, told = with_store(config, tmp_path / "kept", ", batch: 5"), plain.sizes["receptor"], Told()
    with open_mapper(2) as mapper:
        first = traced(stored, tmp_path / "first", mapper, told)
    assert f"of {count} receptors" in told.lines[0]
    assert "from the store" not in told.lines[0]

    def idle(function, common, items):
        assert not items
        return iter(())

    second = traced(stored, tmp_path / "second", idle)
    for found in (first, second):
        xr.testing.assert_identical(found, plain)
    assert FootprintStore(tmp_path / "kept").usage().footprints == count


def test_kept_footprints_are_read_back_to_the_bit_and_are_smaller(tmp_path):
    rng = np.random.default_rng(3)
    foot = rng.random((6, 5, 40, 30)).astype(np.float32)
    foot[rng.random(foot.shape) < 0.98] = 0.0
    ds = xr.Dataset(
        {"foot": (("receptor", "lag", "y", "x"), foot, {"units": "m2 s mol-1"}),
         "reason": ("receptor", ["ok"] * 5 + ["none"])},
        coords={"receptor": list("abcdef"), "lag": ("lag", np.arange(5), {"units": "h"}),
                "y": np.arange(40.0), "x": np.arange(30.0)},
        attrs={"title": "made up"},
    )  # fmt: skip
    FOOTPRINTS.save(ds, tmp_path / "a.foot")
    CODECS[0].save(ds, tmp_path / "a.nc")
    xr.testing.assert_identical(FOOTPRINTS.load(tmp_path / "a.foot"), ds)
    assert (tmp_path / "a.foot" / "foot.zip").stat().st_size < (tmp_path / "a.nc").stat().st_size
    assert FOOTPRINTS.fits(ds)
    assert not FOOTPRINTS.fits(ds.drop_vars("foot"))


def test_status_of_a_running_run_tells_its_progress(tmp_path):
    from filelock import FileLock

    (tmp_path / WORK).mkdir()
    (tmp_path / WORK / "run.json").write_text(json.dumps({"run_id": "r1"}))
    from pipelines.watch import log

    with json_log(tmp_path / "run.log.jsonl", "r1"):
        log("stage done", stage="met", seconds=1.0, reused=False)
        log("progress", text="3 of 9 batches, 50 s left", batches=3.0)
        with FileLock(tmp_path / ".lock", timeout=0):
            assert status(tmp_path)["progress"] == "3 of 9 batches, 50 s left"
    assert status(tmp_path)["progress"] == ""
