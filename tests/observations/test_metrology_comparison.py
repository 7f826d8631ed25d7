"""Comparisons against numbers by hand and Monte Carlo; stacks against the CAMPD sample."""

import json

import numpy as np
import pytest

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import Random, Shared, attach
from observations.dataset import GOOD, MISSING, REJECTED_BY_PROVIDER, SUSPECT
from observations.metrology.cems import SHORT_TON, StackErrors, read_campd, stack
from observations.metrology.comparison import (
    Result,
    compare,
    covariance,
    equivalence,
    mean,
    paired,
    table,
    towers,
)

ERRORS = StackErrors(flow_sd=0.07, random_sd=0.02, traceable_to="RATA 2018")


def test_independent_results_give_the_textbook_scores():
    got = compare(Result("lab", 10.5, {"a": 0.3}), Result("ref", 10.0, {"b": 0.4}))
    assert got.sd == pytest.approx(0.5, rel=1e-14)
    assert got.zeta == pytest.approx(1.0, rel=1e-14)
    assert got.e_n == pytest.approx(0.5 / np.hypot(2 * 0.3, 2 * 0.4), rel=1e-14)
    assert got.verdict == "agree"


def test_a_shared_standard_leaves_the_difference_and_so_sharpens_the_verdict():
    shared = {"tank": 0.4}
    got = compare(Result("lab", 10.5, {"a": 0.1, **shared}), Result("ref", 10.0, {"b": 0.1, **shared}))
    assert got.covariance == pytest.approx(0.16, rel=1e-14)
    assert got.sd == pytest.approx(np.sqrt(0.1**2 + 0.4**2 + 0.1**2 + 0.4**2 - 2 * 0.16), rel=1e-12)
    assert got.verdict == "differ"
    apart = compare(Result("lab", 10.5, {"a": 0.1, "t1": 0.4}), Result("ref", 10.0, {"b": 0.1, "t2": 0.4}))
    assert apart.verdict == "agree"


def test_the_mean_of_pairs_keeps_what_each_side_shares():
    """Ten pairs: the flow meter and the cross-section stay whole, the rest falls by the root of ten."""
    pairs = [
        (
            Result(f"P{i}", 41.0, {"cross-section": 1.2, f"wind:{i}": 2.0}),
            Result("stack", 40.0, {"flow-meter": 2.8, f"hour:{i}": 0.8}),
        )
        for i in range(10)
    ]
    each, together = paired(pairs)
    assert each[0].sd == pytest.approx(np.sqrt(1.2**2 + 2**2 + 2.8**2 + 0.8**2), rel=1e-12)
    assert together.difference == pytest.approx(1.0, rel=1e-12)
    assert together.sd == pytest.approx(np.sqrt(1.2**2 + 2.8**2 + (2**2 + 0.8**2) / 10), rel=1e-12)


def test_results_that_share_every_error_are_refused():
    with pytest.raises(DataError, match="share every error"):
        compare(Result("x", 1.0, {"a": 0.1}), Result("y", 2.0, {"a": 0.1}))


def test_degrees_of_equivalence_have_the_spread_of_repeated_comparisons(rng):
    true = [Result(n, 0.0, {n: s, "tank": t}) for n, s, t in (("a", 1, 0.5), ("b", 2, 0.5), ("c", 1.5, 0.0))]
    draws = rng.multivariate_normal(np.zeros(3), covariance(true), size=4000)
    got = [equivalence([Result(r.label, v, r.terms) for r, v in zip(true, x, strict=True)]) for x in draws]
    # the sd of a sample sd of n normal draws is sd / sqrt(2 n): five of them
    stated = got[0].degree_sd
    assert np.all(np.abs(np.std([g.degree for g in got], axis=0) - stated) < 5 * stated / np.sqrt(8000))
    assert np.std([g.value for g in got]) == pytest.approx(got[0].sd, rel=5 / np.sqrt(8000))
    assert np.mean([g.p < 0.05 for g in got]) == pytest.approx(0.05, abs=5 * np.sqrt(0.05 * 0.95 / 4000))
    assert got[0].pair_sd[0, 1] == pytest.approx(np.sqrt(1 + 4), rel=1e-12)


def test_without_covariance_the_degree_has_the_difference_of_the_variances():
    results = [Result("a", 1.0, {"a": 1.0}), Result("b", 2.0, {"b": 2.0})]
    got = equivalence(results)
    assert got.value == pytest.approx((1.0 * 1 + 2.0 / 4) / 1.25, rel=1e-12)
    assert got.degree_sd**2 == pytest.approx(np.array([1.0, 4.0]) - got.sd**2, rel=1e-12)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([Result("a", 1.0, {"a": 1.0})], "1 results; expected two"),
        ([Result("a", 1.0, {"t": 1.0}), Result("b", 1.0, {"t": 1.0})], "covariance is singular"),
    ],
)
def test_what_has_no_equivalence_is_refused(results, message):
    with pytest.raises(DataError, match=message):
        equivalence(results)


@pytest.fixture
def pair(make_observations):
    ds = make_observations()
    ds.mole_fraction.values[24:] += 0.4e-6
    first = np.arange(48) < 24
    return attach(
        ds,
        [Random("noise", np.full(48, 0.1e-6))],
        [
            Shared("scale", "calibration", np.full(48, 0.5e-6)),
            Shared("tank-A", "calibration", np.where(first, 0.1e-6, 0.0)),
            Shared("tank-B", "calibration", np.where(first, 0.0, 0.1e-6)),
        ],
    )


def test_a_tower_is_compared_with_a_tower_without_their_common_scale(pair):
    got = towers(pair, "B", "A")
    assert got.difference == pytest.approx(0.4e-6, rel=1e-9)
    assert got.sd == pytest.approx(np.sqrt(2 * 0.1**2 + 2 * 0.1**2 / 24) * 1e-6, rel=1e-9)
    shown = table([got], 1e6)
    assert shown.verdict.tolist() == ["differ"]
    assert shown["difference"][0] == pytest.approx(0.4, rel=1e-9)


def test_only_hours_that_both_measured_count(pair):
    pair.flag.values[:12], pair.flag.values[24 + 6 : 24 + 12] = SUSPECT, SUSPECT
    pair.mole_fraction.values[24:30] = 9e-4
    assert towers(pair, "B", "A").difference == pytest.approx(0.4e-6, rel=1e-9)
    pair.flag.values[24:] = SUSPECT
    with pytest.raises(DataError, match="no good hour in common"):
        towers(pair, "B", "A")


def test_lidar_against_stack_keeps_the_flow_meter_however_many_hours():
    start = np.datetime64("2024-06-01", "ns") + np.arange(240) * np.timedelta64(1, "h")
    cems = stack("U1", start, np.full(240, 40.0), np.full(240, 60.0), ERRORS)
    mean = cems.mean(start[0], start[-1] + np.timedelta64(1, "h"))
    assert mean.sd == pytest.approx(40 * np.hypot(0.07, 0.02 / np.sqrt(240)), rel=1e-12)
    dial = Result("DIAL", 44.0, {"line-list": 1.2, "wind": 2.0, "noise": 1.0})
    assert compare(dial, mean).e_n == pytest.approx(4 / (2 * np.hypot(mean.sd, dial.sd)), rel=1e-12)


def test_the_random_part_of_two_hours_averages_out_and_of_one_hour_does_not():
    start = np.datetime64("2024-06-01", "ns") + np.arange(3) * np.timedelta64(1, "h")
    cems = stack("U1", start, np.full(3, 40.0), np.full(3, 60.0), ERRORS)
    hours = [cems.mean(t, t + np.timedelta64(1, "h")) for t in start]
    assert mean(hours[:2], "mean").sd == pytest.approx(40 * np.hypot(0.07, 0.02 / np.sqrt(2)), rel=1e-12)
    assert mean([hours[0], hours[0]], "mean").sd == pytest.approx(40 * np.hypot(0.07, 0.02), rel=1e-12)
    both = mean([cems.mean(start[0], start[2]), hours[1]], "overlapping")
    assert both.sd == pytest.approx(40 * np.hypot(0.07, 0.02 * np.hypot(0.25, 0.75)), rel=1e-12)


def test_an_hour_needs_45_valid_minutes():
    start = np.datetime64("2024-06-01", "ns") + np.arange(4) * np.timedelta64(1, "h")
    got = stack("U1", start, np.array([1.0, 2, np.nan, 4]), np.array([45.0, 44.9, 60, 60]), ERRORS)
    assert got.flag.tolist() == [GOOD, SUSPECT, MISSING, GOOD]
    with pytest.raises(DataError, match="2 good hours of 4"):
        got.mean(start[0], start[0] + np.timedelta64(4, "h"))


@pytest.mark.realdata
def test_campd_sample_gives_kilograms_per_second_in_utc(data_dir):
    path = data_dir / "observations/cems/campd_hourly_AL_barry_unit4_20190101_sample.json"
    (unit,) = read_campd(path, "-06:00", ERRORS)
    assert unit.name == "Barry-3-4"
    assert str(unit.start[0])[:13] == "2019-01-01T06"
    np.testing.assert_allclose(unit.rate, np.array([168.7, 168.2, 168.8]) * SHORT_TON / 3600, rtol=1e-14)
    assert unit.flag.tolist() == [GOOD] * 3
    assert unit.rate[0] == pytest.approx(42.51, abs=0.01)


RECORD = {"facilityName": "P", "orisCode": "1", "unitId": "1", "opDate": "2019-01-01", "opHour": "0",
          "opTime": "1.00", "co2Mass": "10.0", "co2MassMeasureFlg": "Measured"}  # fmt: skip


def written(tmp_path, records):
    path = tmp_path / "cems.json"
    path.write_text(records if isinstance(records, str) else json.dumps(records))
    return path


def test_filled_in_and_half_hours_are_not_used(tmp_path):
    records = [
        RECORD,
        RECORD | {"opHour": "1", "co2MassMeasureFlg": "Substitute"},
        RECORD | {"opHour": "2", "opTime": "0.50"},
        RECORD | {"opHour": "3", "co2Mass": None},
        RECORD | {"unitId": "2"},
    ]
    units = read_campd(written(tmp_path, records), "UTC", ERRORS)
    assert [u.name for u in units] == ["P-1-1", "P-1-2"]
    assert units[0].flag.tolist() == [GOOD, REJECTED_BY_PROVIDER, SUSPECT, MISSING]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ("{", "not JSON"),
        ("{}", "expected a list of hourly records"),
        ([{k: v for k, v in RECORD.items() if k != "opTime"}], "records without opTime"),
        ([RECORD | {"co2Mass": "many"}], "co2Mass is 'many'"),
        ([RECORD | {"opTime": None}], "opTime is null"),
        ([RECORD | {"opTime": "1.5"}], "valid minutes outside 0 to 60"),
        ([RECORD | {"co2Mass": "-1"}], "a rate below 0"),
        ([RECORD, RECORD], "1 hours are given twice"),
        ([RECORD | {"opDate": "01/01/2019"}], "times cannot be read"),
    ],
)
def test_wrong_stack_data_are_refused(tmp_path, records, message):
    with pytest.raises(DataError, match=message):
        read_campd(written(tmp_path, records), "UTC", ERRORS)


def test_a_zone_with_summer_time_is_refused(tmp_path):
    """It was taken, and moved every hour of a summer by one."""
    with pytest.raises(ConfigError, match="zone 'America/Chicago'; expected a fixed offset"):
        read_campd(written(tmp_path, [RECORD]), "America/Chicago", ERRORS)


def test_a_perfect_flow_meter_is_refused():
    with pytest.raises(ConfigError, match="not perfect"):
        StackErrors(0.0, 0.01)
