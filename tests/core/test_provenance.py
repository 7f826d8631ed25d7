"""Equal things hash alike wherever and whenever they are hashed; different things do not."""

import datetime as dt
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.provenance import Stamp, code_sha256, sha256_dataset, sha256_file, sha256_json


def sample() -> xr.Dataset:
    return xr.Dataset(
        {
            "value": (("obs", "part"), np.arange(6.0).reshape(3, 2), {"units": "m"}),
            "site": ("obs", ["a", "bb", "c"]),
        },
        coords={"time": ("obs", np.arange(3).astype("datetime64[ns]"))},
    )


def test_a_file_hashes_as_sha256_of_its_bytes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    # the one-block example of FIPS 180-4
    assert sha256_file(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.nc: cannot be read .*expected an input file"):
        sha256_file(tmp_path / "absent.nc")


def test_the_order_of_keys_does_not_count_but_that_of_lists_does():
    assert sha256_json({"a": 1, "b": {"c": 2, "d": 3}}) == sha256_json({"b": {"d": 3, "c": 2}, "a": 1})
    assert sha256_json([1, 2]) != sha256_json([2, 1])


def test_json_hash_is_the_same_in_another_process():
    value = {"path": "p", "when": "2022-12-07 03:44:00", "number": "7"}
    code = (
        "import datetime as dt, numpy as np; from pathlib import Path; from metroflux.provenance import *;"
        "print(sha256_json({'when': dt.datetime(2022, 12, 7, 3, 44), 'path': Path('p'), "
        "'number': np.int64(7)}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == sha256_json(value)
    assert sha256_json(value) == hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("value", [{"a", "b"}, np.zeros(2000), object(), dt.timedelta(hours=1)])
def test_what_has_no_stable_text_is_refused(value):
    with pytest.raises(TypeError, match="has no stable text"):
        sha256_json({"key": value})


def test_dataset_hash_survives_the_round_trip_through_netcdf(tmp_path):
    sample().to_netcdf(tmp_path / "d.nc")
    with xr.open_dataset(tmp_path / "d.nc") as back:
        assert sha256_dataset(back) == sha256_dataset(sample())


def test_dataset_hash_ignores_attributes_memory_layout_and_room_for_text():
    ds = sample().assign_attrs(title="other")
    ds = ds.assign(value=(("obs", "part"), np.asfortranarray(ds.value.values)), site=ds.site.astype("<U9"))
    assert sha256_dataset(ds) == sha256_dataset(sample())


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign(value=ds.value + 1e-12),
        lambda ds: ds.assign(value=ds.value.astype("float32")),
        lambda ds: ds.rename(value="other"),
        lambda ds: ds.transpose("part", "obs"),
        lambda ds: ds.isel(obs=[1, 0, 2]),
        lambda ds: ds.assign(site=("obs", ["a", "bb", "d"])),
        lambda ds: ds.assign(site=("obs", ["ab", "b", "c"])),
        lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(1, "ns")),
    ],
)
def test_dataset_hash_sees_every_change_of_content(change):
    assert sha256_dataset(change(sample())) != sha256_dataset(sample())


def test_code_hash_is_stable():
    assert code_sha256() == code_sha256()
    assert len(code_sha256()) == 64


def test_stamp_writes_every_attribute_the_archive_asks_for(tmp_path):
    stamp = Stamp("run-1", "c" * 64, {"prior": "p" * 64}, "a laboratory")
    stamped = stamp.apply(sample(), "prior", "A prior")
    assert set(schema.ATTRIBUTES) <= set(stamped.attrs)
    assert json.loads(stamped.attrs["input_ids"]) == {"prior": "p" * 64}
    assert stamped.attrs["Conventions"] == "CF-1.8, ACDD-1.3"
    assert "run-1" in stamped.attrs["history"]
    xr.testing.assert_equal(stamped, sample())
    stamped.to_netcdf(tmp_path / "s.nc")
    with xr.open_dataset(Path(tmp_path / "s.nc")) as back:
        assert back.attrs == stamped.attrs
