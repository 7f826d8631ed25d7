"""Time is UTC, and nothing that can be read in two ways is read at all."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from metroflux.errors import DataError
from metroflux.time import bounds, intervals, month_edges, parse, seconds

HOUR = np.timedelta64(1, "h")


def ns(text: str) -> np.datetime64:
    return np.datetime64(text, "ns")


@pytest.mark.parametrize(
    "value",
    [
        "2022-12-07T03:44:00Z",
        "2022-12-07 03:44",
        " 2022-12-07T03:44 ",
        "2022-12-07T14:44+11:00",
        "2022-12-06T22:44:00-05:00",
        dt.datetime(2022, 12, 7, 3, 44),
        dt.datetime(2022, 12, 7, 3, 44, tzinfo=dt.UTC),
        dt.datetime(2022, 12, 7, 13, 44, tzinfo=ZoneInfo("Australia/Brisbane")),
        pd.Timestamp("2022-12-07 04:44", tz="Europe/Berlin"),
        np.datetime64("2022-12-07T03:44", "s"),
    ],
)
def test_one_instant_in_every_zone_is_the_same_utc(value):
    assert parse(value, "start") == ns("2022-12-07T03:44")
    assert parse(value, "start").dtype == "datetime64[ns]"


def test_both_hours_of_the_clock_change_stay_apart():
    # Berlin, 2022-10-30: 02:30 comes twice, first at +02:00, then at +01:00
    berlin = ZoneInfo("Europe/Berlin")
    first = parse(dt.datetime(2022, 10, 30, 2, 30, tzinfo=berlin, fold=0), "start")
    second = parse(dt.datetime(2022, 10, 30, 2, 30, tzinfo=berlin, fold=1), "start")
    assert first == parse("2022-10-30T02:30+02:00", "start") == ns("2022-10-30T00:30")
    assert second - first == HOUR


@pytest.mark.parametrize(("day", "hours"), [("2022-03-27", 23), ("2022-10-30", 25), ("2022-07-01", 24)])
def test_a_local_day_has_its_true_length(day, hours):
    start = pd.Timestamp(day, tz="Europe/Berlin")
    edges = intervals(parse(start, "start"), parse(start + pd.DateOffset(days=1), "end"), HOUR)
    assert edges.size == hours + 1
    np.testing.assert_array_equal(seconds(edges), 3600.0)


@pytest.mark.parametrize(
    "value",
    ["07/12/2022", "7 Dec 2022", "now", "today", "yesterday", "20221207", "2022", "03:44", "2022-13-01"],
)
def test_text_that_is_not_iso_is_refused(value):
    with pytest.raises(DataError, match=r"start: .*is not a time; expected ISO 8601"):
        parse(value, "start")


@pytest.mark.parametrize("value", [20221207, 1670384640.0, np.int64(1670384640), True])
def test_a_number_is_no_time(value):
    with pytest.raises(DataError, match="a number without a unit"):
        parse(value, "start")


@pytest.mark.parametrize("value", ["2300-01-01", "1600-01-01"])
def test_a_year_beyond_64_bit_nanoseconds_is_refused(value):
    with pytest.raises(DataError, match="without overflow"):
        parse(value, "start")


@pytest.mark.parametrize("value", [None, "", pd.NaT, np.datetime64("NaT")])
def test_no_time_is_refused(value):
    with pytest.raises(DataError, match="start: no time given"):
        parse(value, "start")


@pytest.mark.parametrize("end", ["2022-12-07", "2022-12-06", "NaT"])
def test_an_empty_period_is_refused(end):
    with pytest.raises(DataError, match="is empty; expected the end after the start"):
        intervals(ns("2022-12-07"), np.datetime64(end, "ns"), HOUR)


def test_a_broken_step_is_refused():
    with pytest.raises(DataError, match="not a whole number of steps of 7 hours"):
        intervals(ns("2022-12-07"), ns("2022-12-08"), np.timedelta64(7, "h"))


@pytest.mark.parametrize("step", [0, -1])
def test_a_step_that_does_not_advance_is_refused(step):
    with pytest.raises(DataError, match="expected a positive one"):
        intervals(ns("2022-12-07"), ns("2022-12-08"), np.timedelta64(step, "h"))


def test_intervals_fill_the_period_without_gaps():
    edges = intervals(ns("2022-12-07"), ns("2022-12-08"), np.timedelta64(6, "h"))
    both = bounds(edges)
    assert (both[0, 0], both[-1, 1]) == (ns("2022-12-07"), ns("2022-12-08"))
    np.testing.assert_array_equal(both[1:, 0], both[:-1, 1])
    assert seconds(edges).sum() == 86400.0


def test_coarse_times_give_the_same_intervals():
    coarse = intervals(np.datetime64("2022-12-07", "D"), np.datetime64("2022-12-08", "D"), HOUR)
    np.testing.assert_array_equal(coarse, intervals(ns("2022-12-07"), ns("2022-12-08"), HOUR))
    assert coarse.dtype == "datetime64[ns]"


def test_month_edges_know_leap_years():
    edges = month_edges(np.array(["2023-12-01", "2024-01-01", "2024-02-01"], dtype="datetime64[ns]"))
    np.testing.assert_array_equal(seconds(edges) / 86400, [31, 31, 29])
