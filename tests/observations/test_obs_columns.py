import csv
import json

import numpy as np
import pytest

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import components
from observations.columns import ColumnMapping, read_columns
from observations.dataset import FLAG_MEANINGS

NAMES = [
    "value",
    "uncertainty",
    "time",
    "latitude_center",
    "longitude_center",
    "obs_kernel",
    "ref_profile",
    "qa_value",
]
FILL = json.dumps([9.969209968386869e36] * 4)


def write(tmp_path, **changes):
    row = dict(
        zip(
            NAMES,
            ["1860", "20", "2022-12-07 03:44:25", "-23", "148", "[0.7, 1.0, 1.1]", FILL, "1"],
            strict=True,
        )
    )
    path = tmp_path / "soundings.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*row])
        writer.writeheader()
        writer.writerow(row)
        writer.writerow(row | {k: v for k, v in changes.items() if v is not None})
    return path


def test_layer_0_is_at_the_surface_and_weights_sum_to_one(tmp_path):
    ds = read_columns(write(tmp_path), ColumnMapping(bias_sd=5.0))
    schema.check(ds, "observations")
    assert ds.averaging_kernel.values[0].tolist() == [1.1, 1.0, 0.7]
    assert ds.pressure_weight.values.sum(axis=1).tolist() == pytest.approx([1, 1], rel=1e-15)
    same = read_columns(write(tmp_path), ColumnMapping(layer_order="surface-first"))
    assert same.averaging_kernel.values[0].tolist() == [0.7, 1.0, 1.1]
    random, shared = components(ds)
    assert [(r.name, r.sd[0]) for r in random] == [("retrieval", pytest.approx(20e-9))]
    assert [(s.name, s.column[0]) for s in shared] == [("retrieval-bias", pytest.approx(5e-9))]


def test_that_the_prior_profile_is_fill_and_unused_is_said(tmp_path):
    ds = read_columns(write(tmp_path), ColumnMapping())
    assert ds.attrs["prior_profile"] == "'ref_profile', 2 rows: only fill values"
    assert "enhancement only" in ds.attrs["column_model"]


def test_low_quality_soundings_are_flagged(tmp_path):
    ds = read_columns(write(tmp_path, qa_value="0.4"), ColumnMapping())
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "low_quality"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"value": "9.96e36"}, "'value'.*line 3"),
        ({"value": "1.86"}, "another unit"),
        ({"uncertainty": "-1"}, "'uncertainty' is outside 0"),
        ({"obs_kernel": "[0.7, 1.0]"}, "line 3 has 2 numbers, expected 3"),
        ({"obs_kernel": "__import__('os')"}, "expected a JSON list"),
        ({"obs_kernel": "[0.7, true, 1.0]"}, "expected a JSON list"),
        ({"obs_kernel": "[0.7, NaN, 1.0]"}, "'obs_kernel' has fill values"),
        ({"obs_kernel": "[0.7, 1e36, 1.0]"}, "'obs_kernel' has fill values"),
        ({"obs_kernel": "[1" + "0" * 400 + ", 1, 1]"}, "beyond any float"),
        ({"obs_kernel": "[" * 100_000}, "expected a JSON list"),
        ({"latitude_center": "1e36"}, "latitude"),
        ({"latitude_center": ""}, "latitude"),
        ({"time": "yesterday"}, "times cannot be read"),
    ],
)
def test_a_broken_sounding_is_a_data_error(tmp_path, changes, what):
    with pytest.raises(DataError, match=what):
        read_columns(write(tmp_path, **changes), ColumnMapping())


def test_mappings_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match="no column kernel; the file has: value, uncertainty"):
        read_columns(write(tmp_path), ColumnMapping(kernel="kernel"))
    with pytest.raises(ConfigError, match="layer_order 'up'"):
        read_columns(write(tmp_path), ColumnMapping(layer_order="up"))
    with pytest.raises(DataError, match=r"expected a file \*\.csv"):
        read_columns(tmp_path / "a.nc", ColumnMapping())


@pytest.mark.realdata
def test_bowen_basin_soundings(data_root):
    ds = read_columns(data_root / "bowen_basin_ch4/tropomi_2022-12-07.csv", ColumnMapping())
    assert ds.sizes == {"obs": 165, "bounds": 2, "random": 1, "shared": 0, "layer": 12}
    assert (ds.flag.values == 0).all()
    assert ds.mole_fraction.values[0] == pytest.approx(1861.8511352539062e-9, rel=1e-15)
    assert str(ds.time.values.min()) == "2022-12-07T03:44:25.000000000"
    assert ds.datum_id.values[164].endswith(":164")
    assert "165 rows: only fill values" in ds.attrs["prior_profile"]


@pytest.mark.realdata
def test_bowen_basin_kernels_fall_from_the_surface_to_the_stratosphere(data_root):
    # a short-wave infrared methane kernel is about 1 near the surface and well below 1 at the top
    kernel = read_columns(
        data_root / "bowen_basin_ch4/tropomi_2022-12-07.csv", ColumnMapping()
    ).averaging_kernel
    profile = kernel.mean("obs").values
    assert 1.0 < profile[0] < 1.1
    assert profile[-1] < 0.75
    assert (np.diff(profile[3:]) < 0).all()
    # equal weights are the file's own: with them every kernel sums to 1 (largest deviation found: 2.5e-8)
    assert (kernel / 12).sum("layer").values == pytest.approx(np.ones(165), abs=1e-7)
