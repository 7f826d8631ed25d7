import numpy as np
import pytest
import xarray as xr

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import ErrorModel, Random, attach, components
from observations.background import BackgroundError, constant, from_edge_field, from_series
from observations.dataset import SUSPECT

EDGES = {"height": [0.0, 1000.0, 3000.0], "y": [-5e4, 5e4], "x": [-5e4, 0.0, 5e4]}


def make_field(function, times=("2024-06-01T00", "2024-06-01T06", "2024-06-01T12")):
    time = np.array(times, "datetime64[ns]")
    hours = (time - np.datetime64("2024-06-01")) / np.timedelta64(1, "h")
    grid = np.meshgrid(hours, *EDGES.values(), indexing="ij")
    coords = {"time": time} | {n: (n, np.array(v), {"units": "m"}) for n, v in EDGES.items()}
    values = (("time", "height", "y", "x"), function(*grid), {"units": "mol mol-1"})
    return xr.Dataset({"mole_fraction": values}, coords=coords)


def linear(hour, height, y, x):
    return 400e-6 + 1e-8 * hour + 2e-10 * height + 3e-12 * y - 4e-12 * x


@pytest.fixture
def ends(make_observations, make_footprints):
    """Two observations with 50 end points each inside the field, as (observations, footprints)."""
    ds = make_observations(sites=("A",), hours=6).isel(obs=[4, 5])
    rng = np.random.default_rng(1)
    shape = (2, 50)
    points = {
        "end_x": rng.uniform(-5e4, 5e4, shape),
        "end_y": rng.uniform(-5e4, 5e4, shape),
        "end_height": rng.uniform(0, 3000, shape),
        "end_hours": rng.uniform(0, 4, shape),
    }
    return ds, make_footprints(ds.datum_id.values, ds.time_bounds.values[:, 1], **points)


def test_a_field_linear_in_all_directions_is_sampled_exactly(ends):
    ds, footprints = ends
    got = from_edge_field(ds, footprints, make_field(linear), BackgroundError())
    hour = np.array([[5.0], [6.0]]) - footprints.end_hours.values
    values = linear(hour, footprints.end_height.values, footprints.end_y.values, footprints.end_x.values)
    assert got.background.values == pytest.approx(values.mean(axis=1), rel=1e-12)
    sampling = {p.name: p.sd for p in components(got)[0]}["background-sampling"]
    assert sampling == pytest.approx(values.std(axis=1, ddof=1) / np.sqrt(50), rel=1e-4)
    assert got.attrs["end_points_beyond_field"] == 0


def test_a_uniform_field_gives_its_value_and_no_sampling_error(ends):
    ds, footprints = ends
    got = from_edge_field(ds, footprints, make_field(lambda h, *_: np.full(h.shape, 4e-4)), BackgroundError())
    assert got.background.values == pytest.approx([4e-4, 4e-4], rel=1e-14)
    assert got.random_sd.values == pytest.approx(np.zeros((2, 1)), abs=1e-18)


def test_end_points_beyond_the_field_take_its_edge_and_are_counted(ends):
    ds, footprints = ends
    footprints.end_x.values[:, :5] = 9e4
    footprints.end_height.values[:, 5:10] = 8000
    field = make_field(linear)
    got = from_edge_field(ds, footprints, field, BackgroundError())
    edge = footprints.copy(deep=True)
    edge.end_x.values[:, :5] = 5e4
    edge.end_height.values[:, 5:10] = 3000
    assert np.array_equal(got.background, from_edge_field(ds, edge, field, BackgroundError()).background)
    assert got.attrs["end_points_beyond_field"] == pytest.approx(0.2)


def test_empty_particle_slots_do_not_count(ends, make_footprints):
    ds, footprints = ends
    half = footprints.isel(particle=slice(0, 25))
    for name in ("end_x", "end_y", "end_height", "end_hours"):
        footprints[name].values[:, 25:] = np.nan
    field = make_field(linear)
    with_slots = from_edge_field(ds, footprints, field, BackgroundError())
    assert with_slots.background.values == pytest.approx(
        from_edge_field(ds, half, field, BackgroundError()).background
    )


def test_end_weights_count_points_as_often_as_they_say(ends):
    ds, footprints = ends
    weights = np.zeros((2, 50))
    weights[:, :2] = [3.0, 1.0]
    got = from_edge_field(
        ds,
        footprints.assign(end_weight=(("receptor", "particle"), weights, {"units": "1"})),
        make_field(linear),
        BackgroundError(),
    )
    hour = np.array([[5.0], [6.0]]) - footprints.end_hours.values
    values = linear(hour, footprints.end_height.values, footprints.end_y.values, footprints.end_x.values)
    assert got.background.values == pytest.approx((3 * values[:, 0] + values[:, 1]) / 4, rel=1e-12)


def test_end_times_outside_the_field_are_refused_unless_it_has_one_time(ends):
    ds, footprints = ends
    with pytest.raises(DataError, match="outside its times"):
        from_edge_field(
            ds, footprints, make_field(linear, ("2024-06-01T05", "2024-06-01T06")), BackgroundError()
        )
    one = from_edge_field(ds, footprints, make_field(linear, ("2024-06-01T00",)), BackgroundError())
    assert one.background.values == pytest.approx([4e-4, 4e-4], rel=1e-2)


def test_a_receptor_without_enough_end_points_or_absent_is_named(ends):
    ds, footprints = ends
    footprints.end_x.values[1, 1:] = np.nan
    with pytest.raises(DataError, match=f"fewer than two end points, first '{ds.datum_id.values[1]}'"):
        from_edge_field(ds, footprints, make_field(linear), BackgroundError())
    with pytest.raises(DataError, match=f"not in it, first '{ds.datum_id.values[1]}'"):
        from_edge_field(ds, footprints.isel(receptor=[0]), make_field(linear), BackgroundError())


def test_observations_may_be_in_another_order_than_the_receptors(ends):
    ds, footprints = ends
    field = make_field(linear)
    forward = from_edge_field(ds, footprints, field, BackgroundError()).background.values
    backward = from_edge_field(ds.isel(obs=[1, 0]), footprints, field, BackgroundError()).background.values
    assert np.array_equal(forward, backward[::-1])


def test_the_shared_part_of_a_constant_background_does_not_average_away(make_observations):
    ds = make_observations()
    background = constant(ds, 4.2e-4, BackgroundError(random=3e-7, shared=1e-6, by=("day",)))
    assert background.background.values == pytest.approx(np.full(48, 4.2e-4))
    mean = np.full(48, 1 / 48)
    parts = ErrorModel.from_datasets(background).budget(mean)
    # the random and the shared part have one cause, "background"
    assert np.sqrt(sum(parts.values())) == pytest.approx(np.sqrt(1e-12 + 9e-14 / 48))
    with pytest.raises(ConfigError, match="shared by year"):
        constant(ds, 4.2e-4, BackgroundError(shared=1e-6, by=("year",)))


def test_a_series_is_matched_by_datum_and_its_sd_is_shared(make_observations):
    ds = make_observations(hours=2)
    series = attach(
        make_observations(hours=2, mole_fraction=390e-6), [Random("baseline", np.full(4, 3e-7))], []
    )
    part = attach(make_observations(hours=2, mole_fraction=1e-6), [Random("model", np.full(4, 2e-7))], [])
    got = from_series(ds, series.isel(obs=[3, 2, 1, 0]), BackgroundError(shared=4e-7), (part,))
    assert got.background.values == pytest.approx(np.full(4, 391e-6))
    assert got.shared_column.values[:, 0] == pytest.approx(np.full(4, 5e-7))
    assert got.random_sd.values[:, 0] == pytest.approx(np.full(4, 2e-7))
    assert got.shared_cause.values.tolist() == ["background"]


def test_a_series_that_is_flagged_or_lacks_a_datum_is_refused(make_observations):
    ds = make_observations(hours=2)
    series = make_observations(hours=2)
    with pytest.raises(DataError, match="1 of 4 observations are not in it"):
        from_series(ds, series.isel(obs=[0, 1, 2]), BackgroundError())
    series.flag.values[2] = SUSPECT
    with pytest.raises(DataError, match="1 values for observations are flagged"):
        from_series(ds, series, BackgroundError())
