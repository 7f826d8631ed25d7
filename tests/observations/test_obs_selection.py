import numpy as np
import pytest

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from observations.components import NetworkErrors, with_network_errors
from observations.dataset import LOW_QUALITY, MISSING, SUSPECT
from observations.selection import Selection, select


def test_nothing_is_lost_between_kept_and_dropped(make_observations):
    ds = make_observations()
    ds.flag.values[:5] = [SUSPECT, MISSING, LOW_QUALITY, SUSPECT, 0]
    ds.mole_fraction.values[1] = np.nan
    kept, dropped = select(ds, Selection(sites=("A",), hours=(0, 12)))
    assert kept.sizes["obs"] + dropped["count"].sum() == ds.sizes["obs"]
    assert dropped.to_dict("records") == [
        {"site": "A", "reason": "flag low_quality", "count": 1},
        {"site": "A", "reason": "flag missing", "count": 1},
        {"site": "A", "reason": "flag suspect", "count": 2},
        {"site": "A", "reason": "outside local hours", "count": 12},
        {"site": "B", "reason": "other site", "count": 24},
    ]


@pytest.mark.parametrize(
    ("hours", "zone", "expected"),
    [
        ((12, 16), "UTC", [12, 13, 14, 15]),
        ((12, 16), "+08:00", [4, 5, 6, 7]),
        ((12, 16), "Asia/Shanghai", [4, 5, 6, 7]),
        ((22, 2), "UTC", [0, 1, 22, 23]),
    ],
)
def test_local_hours_are_those_of_the_zone(make_observations, hours, zone, expected):
    kept, _ = select(make_observations(sites=("A",)), Selection(hours=hours, zone=zone))
    assert sorted(kept.time.dt.hour.values.tolist()) == expected


def test_an_interval_that_reaches_out_of_the_period_is_dropped(make_observations):
    period = Selection(start=np.datetime64("2024-06-01T02"), end=np.datetime64("2024-06-01T05:30"))
    kept, dropped = select(make_observations(sites=("A",)), period)
    assert kept.time.dt.hour.values.tolist() == [2, 3, 4]
    assert dropped["reason"].tolist() == ["outside the period"]


def test_error_components_stay_with_their_data(make_observations):
    ds = with_network_errors(
        make_observations(), NetworkErrors(scale=1e-8, site_calibration=3e-8, repeatability=2e-8)
    )
    kept, _ = select(ds, Selection(sites=("B",), hours=(6, 8)))
    schema.check(kept, "observations")
    assert kept.shared.values.tolist() == ["scale:co2", "site-calibration:A:co2", "site-calibration:B:co2"]
    assert kept.shared_column.values.tolist() == [[1e-8, 0.0, 3e-8]] * 2


def test_an_accepted_flag_is_kept_used_and_recorded(make_observations):
    ds = make_observations(sites=("A",))
    ds.flag.values[3] = SUSPECT
    kept, dropped = select(ds, Selection(accept_flags=("suspect",)))
    assert kept.sizes["obs"] == 24
    assert dropped.empty
    assert not kept.flag.values.any()
    assert kept.attrs["accepted_flags"] == "suspect"
    assert ds.flag.values[3] == SUSPECT


def test_an_empty_selection_says_why(make_observations):
    ds = make_observations()
    ds.flag.values[:] = SUSPECT
    with pytest.raises(
        DataError, match=r"none of 48 observations of A, B .*; dropped by flag suspect: 24, other site: 24"
    ):
        select(ds, Selection(sites=("A",)))


def test_settings_that_make_no_sense_are_config_errors(make_observations):
    with pytest.raises(ConfigError, match="flags missing cannot be accepted"):
        select(make_observations(), Selection(accept_flags=("missing",)))
    with pytest.raises(ConfigError, match="local hours 12 to 12"):
        select(make_observations(), Selection(hours=(12, 12)))
    with pytest.raises(ConfigError, match="time zone"):
        select(make_observations(), Selection(hours=(12, 13), zone="Nowhere"))
