from dataclasses import replace

import numpy as np
import pytest

from metroflux import schema
from metroflux.errors import DataError
from metroflux.uncertainty import ErrorModel
from observations.components import Group, NetworkErrors, cross_section, group, with_network_errors
from observations.dataset import FLAG_MEANINGS, Columns, build, column_ids, tower_ids


def columns(**changes):
    start = np.array(["2024-06-01T00", "2024-06-01T01"], "datetime64[ns]")
    base = Columns(
        start=start,
        end=start + np.timedelta64(1, "h"),
        site=np.array(["A", "A"]),
        species=np.array(["co2", "co2"]),
        inlet=np.array([30.0, np.nan]),
        latitude=np.array([40.0, 40.0]),
        longitude=np.array([116.0, 116.0]),
        mole_fraction=np.array([4.1e-4, np.nan]),
        flag=np.zeros(2, dtype=np.int64),
        n_samples=np.zeros(2, dtype=np.int64),
    )
    return replace(base, **changes)


def test_the_flag_table_is_written_as_cf_asks_and_missing_values_get_a_flag():
    base = columns()
    ds = build(base, tower_ids(base.site, base.species, base.inlet, base.start), [], [], "WMO CO2 X2019", "t")
    assert ds.flag.attrs["flag_meanings"].split() == list(FLAG_MEANINGS)
    assert ds.flag.attrs["flag_values"].tolist() == list(range(len(FLAG_MEANINGS)))
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "missing"]
    assert ds.attrs["scale"] == "WMO CO2 X2019"
    assert ds.datum_id.values.tolist() == ["A:co2:30:2024-06-01T00:00:00", "A:co2:nan:2024-06-01T01:00:00"]


def test_soundings_of_the_same_second_keep_distinct_ids():
    base = columns()
    same = np.repeat(base.start[:1], 2)
    assert column_ids(base.site, base.species, same).tolist() == [
        "A:co2:column:2024-06-01T00:00:00:0",
        "A:co2:column:2024-06-01T00:00:00:1",
    ]


def test_all_faults_are_named_at_once():
    bad = columns(
        latitude=np.array([40.0, 95.0]),
        longitude=np.array([np.nan, 0.0]),
        end=np.array(["2024-05-31", "2024-06-02"], "datetime64[ns]"),
        flag=np.array([0, 99]),
        n_samples=np.array([-1, 0]),
    )
    with pytest.raises(DataError) as caught:
        build(bad, np.array(["same", "same"]), [], [], "s", "file.csv")
    message = str(caught.value)
    for word in ("file.csv", "end", "latitude", "longitude", "flag", "n_samples", "'same'"):
        assert word in message


def test_no_rows_and_unequal_columns_are_refused():
    none = Columns(**{name: getattr(columns(), name)[:0] for name in Columns.__dataclass_fields__})
    with pytest.raises(DataError, match="no rows"):
        build(none, np.array([], dtype=str), [], [], "s", "f")
    with pytest.raises(DataError, match="shapes"):
        build(columns(inlet=np.array([1.0])), np.array(["a", "b"]), [], [], "s", "f")


def test_two_tanks_common_to_four_sites_set_the_uncertainty_of_the_annual_mean(make_observations):
    # observations.md: 4 sites x 8760 h on common tanks: 0.0568 ppm, not the 0.00036 ppm of a diagonal R
    ds = make_observations(sites=("A", "B", "C", "D"), hours=8760)
    n = ds.sizes["obs"]
    mean = np.full(n, 1 / n)
    shared = with_network_errors(ds, NetworkErrors(scale=0.0568e-6, repeatability=0.0674e-6))
    model = ErrorModel.from_datasets(shared)
    parts = model.budget(mean)
    assert np.sqrt(sum(parts.values())) == pytest.approx(0.0568e-6, rel=1e-3)
    assert np.sqrt(parts["repeatability"]) == pytest.approx(0.00036e-6, rel=1e-2)


def test_groups_partition_the_data_and_share_nothing_between_them(make_observations):
    ds = make_observations(hours=48)
    parts = group(ds, Group("bg", "background", ("site", "day")), 2e-7)
    assert [p.name for p in parts][:2] == ["bg:A:2024-06-01", "bg:A:2024-06-02"]
    stacked = np.stack([p.column for p in parts])
    assert np.array_equal((stacked != 0).sum(axis=0), np.ones(96))
    assert np.array_equal(stacked.sum(axis=0), np.full(96, 2e-7))


def test_site_calibration_does_not_correlate_sites_but_the_scale_does(make_observations):
    ds = with_network_errors(
        make_observations(hours=1),
        NetworkErrors(scale=3e-8, site_calibration=4e-8, repeatability=5e-8, representativeness=12e-8),
    )
    schema.check(ds, "observations")
    dense = ErrorModel.from_datasets(ds).dense()
    assert dense[0, 1] == pytest.approx(9e-16)
    assert dense[0, 0] == pytest.approx((9 + 16 + 25 + 144) * 1e-16)


def test_cross_section_error_is_proportional_to_the_mole_fraction(make_observations):
    ds = make_observations(hours=2)
    part = cross_section(ds, 0.02)
    assert np.allclose(part.column, 0.02 * 400e-6, rtol=1e-15)
