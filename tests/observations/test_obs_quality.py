"""Quality control flags and never deletes; each rule finds what it is for and leaves the rest."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError, DataError
from observations.conditions import local_influence, met_conditions
from observations.dataset import CAVITY_PRESSURE, FLAG_MEANINGS, SUSPECT
from observations.edits import apply_edits, read_edits
from observations.quality import Rules, control, outside
from observations.selection import Selection, select
from observations.spikes import SpikeFilter, spikes

HEADER = "site,instrument,start,end,reason,who,when\n"
HOUR = np.timedelta64(1, "h")


def meanings(ds):
    return [FLAG_MEANINGS[f] for f in ds.flag.values]


def edits(tmp_path, *rows):
    path = tmp_path / "edits.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_an_edit_flags_the_data_it_overlaps_and_says_who_and_why(make_observations, tmp_path):
    ds = make_observations(hours=4)
    path = edits(
        tmp_path,
        "A,*,2024-06-01T01:30,2024-06-01T03:00,pump broken,M. Li,2024-07-02",
        "C,*,2024-06-01,2024-06-02,not our site,M. Li,2024-07-02",
    )
    out, table = apply_edits(ds, read_edits(path))
    assert meanings(out)[:4] == ["good", "rejected_by_operator", "rejected_by_operator", "good"]
    assert set(meanings(out)[4:]) == {"good"}
    assert table["count"].tolist() == [2, 0]
    assert table["who"].tolist() == ["M. Li", "M. Li"]
    assert np.array_equal(out.mole_fraction, ds.mole_fraction)
    assert out.sizes == ds.sizes
    assert "2 data" in out.attrs["manual_edits"]
    _, dropped = select(out, Selection())
    assert dropped.to_dict("records") == [
        {"site": "A", "reason": "flag rejected_by_operator: pump broken (M. Li)", "count": 2}
    ]


def test_an_edit_of_one_instrument_leaves_the_others(make_observations, tmp_path):
    ds = make_observations(sites=("A",), hours=2)
    path = edits(tmp_path, "A,115,2024-06-01,2024-06-02,leak,M. Li,2024-07-02")
    with pytest.raises(DataError, match="do not say their instrument, but an edit is of '115'"):
        apply_edits(ds, read_edits(path))
    known = ds.assign_coords(instrument=("obs", np.array(["115", "530"])))
    assert meanings(apply_edits(known, read_edits(path))[0]) == ["rejected_by_operator", "good"]


def test_edits_that_cannot_be_audited_are_refused_all_at_once(tmp_path):
    path = edits(
        tmp_path,
        "A,*,2024-06-02,2024-06-01,leak,M. Li,2024-07-02",
        "A,*,2024-06-01,2024-06-02,,,2024-07-02",
        "A,*,2024-06-01,2024-06-02,leak,M. Li,2024-05-01",
    )
    with pytest.raises(DataError) as caught:
        read_edits(path)
    for fault in ("'end' is not after 'start' in line 2", "'reason' is empty in line 3",
                  "'who' is empty in line 3", "'when' is before the data of line 4"):  # fmt: skip
        assert fault in str(caught.value)
    path.write_text("site,start,end,reason,who,when\nA,2024-06-01,2024-06-02,leak,M. Li,2024-07-02\n")
    with pytest.raises(DataError, match="no column instrument"):
        read_edits(path)


def test_hampel_finds_spikes_and_leaves_a_diurnal_cycle_with_its_noise(rng):
    n = 24 * 60
    times = np.datetime64("2024-06-01", "ns") + np.arange(n) * np.timedelta64(60, "s")
    hours = np.arange(n) / 60
    clean = 420e-6 + 20e-6 * np.sin(2 * np.pi * hours / 24) + 0.3e-6 * rng.standard_normal(n)
    chosen = SpikeFilter(window=1800.0, threshold=6.0, floor=0.1e-6)
    assert spikes(times, clean, chosen).sum() == 0
    at = rng.choice(n, 20, replace=False)
    spiky = clean.copy()
    spiky[at] += 15e-6
    assert np.flatnonzero(spikes(times, spiky, chosen)).tolist() == sorted(at.tolist())


def test_hampel_equals_its_slow_twin_of_sorted_windows(rng):
    minutes = np.cumsum(rng.integers(1, 9, 300))
    times = np.datetime64("2024-06-01", "ns") + minutes * np.timedelta64(60, "s")
    values = 2e-6 + 1e-8 * rng.standard_t(2, 300)
    chosen = SpikeFilter(window=3600.0, threshold=3.0, minimum=5)
    slow = []
    for m, value in zip(minutes, values, strict=True):
        near = sorted(v for k, v in zip(minutes, values, strict=True) if abs(k - m) <= 30)
        half = len(near) // 2
        middle = near[half] if len(near) % 2 else (near[half - 1] + near[half]) / 2
        away = sorted(abs(v - middle) for v in near)
        mad = away[half] if len(near) % 2 else (away[half - 1] + away[half]) / 2
        slow.append(len(near) >= 5 and abs(value - middle) > 3 * 1.4826 * mad)
    found = spikes(times, values, chosen)
    assert found.tolist() == slow
    assert 0 < found.sum() < 60


def test_a_datum_with_few_neighbours_is_not_judged():
    times = np.datetime64("2024-06-01", "ns") + np.arange(4) * HOUR
    assert not spikes(times, np.array([1.0, 1.0, 9.0, 1.0]), SpikeFilter(7 * 3600.0, minimum=5)).any()


def test_a_spike_is_judged_by_good_data_of_its_own_inlet_only(make_observations):
    ds = make_observations(hours=24)
    ds.mole_fraction.values[:24] += 1e-9 * np.arange(24)
    ds.mole_fraction.values[5] = 500e-6
    ds.mole_fraction.values[30] = 500e-6
    ds.flag.values[30] = SUSPECT
    out = control(ds, Rules(spikes=SpikeFilter(window=12 * 3600.0, floor=1e-7)))
    assert [meanings(out)[n] for n in (4, 5, 6, 30)] == ["good", "spike", "good", "suspect"]
    assert (out.flag.values != 0).sum() == 2


def test_flagged_data_are_no_neighbours(make_observations):
    ds = make_observations(sites=("A",), hours=24)
    bad = np.arange(24) % 3 != 0
    ds.mole_fraction.values[bad] = 900e-6
    ds.flag.values[bad] = SUSPECT
    out = control(ds, Rules(spikes=SpikeFilter(window=24 * 3600.0, floor=1e-7, minimum=3)))
    assert "spike" not in meanings(out)


def test_data_after_a_gap_and_after_a_change_of_inlet_are_flagged_and_no_others(make_observations):
    ds = make_observations(sites=("A",), hours=10)
    later = ds.isel(obs=[0, 1, 2, 6, 7, 8])
    out = control(later, Rules(warm_up=(2 * 3600.0, 3600.0)))
    assert meanings(out) == ["good", "good", "good", "warm_up", "good", "good"]
    ds.inlet.values[:] = [10, 10, 10, 30, 30, 30, 10, 10, 10, 10]
    out = control(ds, Rules(flush=7200.0))
    assert [n for n, word in enumerate(meanings(out)) if word == "flush"] == [3, 4, 6, 7]


def test_range_and_cavity_pressure_flag_what_leaves_their_limits(make_observations):
    ds = make_observations(sites=("A",), hours=4)
    ds.mole_fraction.values[:] = [390e-6, 410e-6, 700e-6, 430e-6]
    out = control(ds, Rules(limits=(395e-6, 600e-6)))
    assert meanings(out) == ["out_of_range", "good", "out_of_range", "good"]
    torr = np.array([140.0, 140.1, 140.0, np.nan])
    out = outside(out, torr, (139.9, 140.1), CAVITY_PRESSURE, "not 140 Torr")
    assert meanings(out) == ["out_of_range", "good", "out_of_range", "cavity_pressure"]


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (Rules(limits=(2.0, 1.0)), "expected ascending"),
        (Rules(warm_up=(0.0, 1.0)), "expected positive times"),
        (Rules(flush=-1.0), "expected a positive time"),
        (Rules(spikes=SpikeFilter(window=0.0)), "expected positive ones"),
    ],
)
def test_rules_that_make_no_sense_are_config_errors(make_observations, rules, what):
    with pytest.raises(ConfigError, match=what):
        control(make_observations(), rules)


def conditions(ds, **values):
    return xr.Dataset(
        {name: ("obs", np.asarray(value, dtype=float)) for name, value in values.items()},
        coords={"datum_id": ds.datum_id.variable},
    )


def test_selection_by_the_air_drops_with_a_reason_each_and_what_is_unknown(make_observations):
    ds = make_observations(sites=("A",), hours=5)  # inlet 30 m
    air = conditions(
        ds,
        mixing_height=[200, 120, np.nan, 500, 500],
        wind_speed=[4, 4, 4, 1, 4],
        local_influence=[0.1, 0.1, 0.1, 0.1, 0.9],
    )
    limits = Selection(mixing_above_inlet=100.0, min_wind=2.0, max_local_influence=0.5)
    kept, dropped = select(ds, limits, air)
    assert kept.time.dt.hour.values.tolist() == [0]
    assert dropped.set_index("reason")["count"].to_dict() == {
        "local influence too great": 1,
        "mixing height too near the inlet": 1,
        "mixing height unknown": 1,
        "wind too weak": 1,
    }
    with pytest.raises(DataError, match="limit on wind speed is set, but it is not known"):
        select(ds, Selection(min_wind=2.0))
    with pytest.raises(DataError, match="not of the same data"):
        select(ds, Selection(min_wind=2.0), air.isel(obs=[1, 0, 2, 3, 4]))


def met_cube(times):
    x = np.array([-20e3, 0.0, 20e3])
    grid = xr.Dataset(coords={"x": ("x", x, {"units": "m"}), "y": ("y", x, {"units": "m"})})
    crs = "+proj=aeqd +lat_0=40 +lon_0=116"
    shape = ("time", "y", "x")
    hour = np.arange(times.size, dtype=float)
    height = np.broadcast_to(100.0 + 100.0 * hour[:, None, None], (times.size, 3, 3))
    speed = np.array([2.0, 8.0])[None, :, None, None] * np.ones((times.size, 2, 3, 3))
    from pyproj import CRS

    return grid.assign(
        mixing_height=(shape, height),
        u=(("time", "level", "y", "x"), 0.6 * speed),
        v=(("time", "level", "y", "x"), 0.8 * speed),
    ).assign_coords(
        time=times, level=("level", [25.0, 200.0]), spatial_ref=((), 0, CRS.from_user_input(crs).to_cf())
    )


def test_conditions_are_those_of_the_middle_of_the_interval_at_the_inlet(make_observations):
    ds = make_observations(sites=("A",), hours=4)
    times = ds.time.values[:4]
    found = met_conditions(ds, met_cube(times))
    # 100 m at the hour, rising 100 m an hour; the last interval ends after the met
    assert found.mixing_height.values == pytest.approx([150, 250, 350, np.nan], nan_ok=True)
    assert found.wind_speed.values[:3] == pytest.approx([2, 2, 2])
    ds.longitude.values[:] = 100.0
    with pytest.raises(DataError, match="A lie outside the met domain"):
        met_conditions(ds, met_cube(times))


def test_local_influence_is_the_share_of_the_footprint_near_the_site(make_observations, make_footprints):
    ds = make_observations(sites=("A",), hours=2)
    ends = np.zeros((2, 1))
    foot = make_footprints(ds.datum_id.values, ds.time.values, ends, ends, ends, ends)
    x = np.array([-10e3, 0.0, 10e3])
    values = np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])[:, None, None, :]
    from pyproj import CRS

    crs = CRS.from_user_input("+proj=aeqd +lat_0=40 +lon_0=116").to_cf()
    sensitivity = np.repeat(values / 3, 3, axis=2).astype(np.float32)
    wide = foot.drop_vars(["foot", "x", "y", "spatial_ref"]).assign(
        foot=(("receptor", "lag", "y", "x"), sensitivity, {"units": "m2 s mol-1"})
    )
    wide = wide.assign_coords(
        x=("x", x, {"units": "m"}), y=("y", x, {"units": "m"}), spatial_ref=((), 0, crs)
    )
    share = local_influence(ds, wide, 5e3).local_influence.values
    assert share == pytest.approx([3 / 12, np.nan], nan_ok=True)
    assert local_influence(ds, wide, 1e6).local_influence.values[0] == pytest.approx(1.0)
    with pytest.raises(DataError, match="1 data have no footprint"):
        local_influence(ds, wide.isel(receptor=[0]), 5e3)
