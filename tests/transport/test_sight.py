"""Lines of sight: gates of lidars, slant columns, and species that share particles."""

import numpy as np
import pytest
import xarray as xr
from pyproj import Geod

import transport.footprints as footprints_module
from metroflux import schema
from metroflux.errors import DataError
from observations.flux_lidar.dial import gates
from observations.flux_lidar.simulator import Scene, simulate_scan
from transport.footprints import FootprintSettings, compute_footprints
from transport.jacobian import build_jacobian
from transport.met import crs_of, to_lonlat
from transport.receptor_table import read_receptor_table
from transport.receptors import ReceptorSettings, make_receptors
from transport.sight import GATE_POINTS, Sight, gate_ranges

SETTINGS = ReceptorSettings(particles=200, hours=2.0, seed=5)
END = np.datetime64("2024-06-01T04:00", "ns")
NAN = np.nan
SHARE = [0.1] * 10


def observe(met, columns=None, place=(0.0, 0.0), **sight):
    """Return one instantaneous observation per value of a field, 20 m above ground unless said."""
    n = max(np.size(v) for v in sight.values()) if sight else 1
    lon, lat = (float(a) for a in to_lonlat(crs_of(met), *place))
    text, empty = np.array([f"d{k}" for k in range(n)]), np.empty(0, "<U1")
    species = sight.pop("species", np.full(n, "co2"))
    inlet = np.full(n, sight.pop("inlet", 20.0))
    ds = xr.Dataset({
        "mole_fraction": ("obs", np.full(n, 4e-4), {"units": "mol mol-1"}),
        "flag": ("obs", np.zeros(n, int)), "n_samples": ("obs", np.ones(n, int)),
        "random_sd": (("obs", "random"), np.full((n, 1), 1e-7), {"units": "mol mol-1"}),
        "shared_column": (("obs", "shared"), np.zeros((n, 0)), {"units": "mol mol-1"}),
    }).assign_coords(
        datum_id=("obs", text), time=("obs", np.full(n, END)), site=("obs", text), species=("obs", species),
        time_bounds=(("obs", "bounds"), np.full((n, 2), END)), inlet=("obs", inlet, {"units": "m"}),
        latitude=("obs", np.full(n, lat), {"units": "degrees_north"}),
        longitude=("obs", np.full(n, lon), {"units": "degrees_east"}),
        random=("random", ["noise"]), shared=("shared", empty),
        shared_cause=("shared", empty), shared_traceable_to=("shared", empty),
    )  # fmt: skip
    for name, value in sight.items():
        unit = "m" if name in ("range", "gate_length") else "degree"
        ds[name] = ("obs", np.full(n, value, dtype=float), {"units": unit})
    if columns is not None:
        for name in ("averaging_kernel", "pressure_weight"):
            ds[name] = (("obs", "layer"), np.array([columns] * n), {"units": "1"})
        ds["averaging_kernel"] = ds.averaging_kernel * 0.0 + 1.0
        ds["averaging_kernel"].attrs["units"] = "1"
    return schema.check(ds, "observations")


@pytest.mark.parametrize("elevation", [-0.3, 2.0, 40.0, 89.0])
@pytest.mark.parametrize("azimuth", [0.0, 77.0, 200.0])
def test_a_line_of_sight_agrees_with_geodesics(azimuth, elevation):
    sight = Sight(8.55, 47.4, 500.0, azimuth, elevation)
    distance = np.array([100.0, 3000.0, 15000.0])
    lon, lat, altitude = sight.at(distance)
    geod = Geod(ellps="WGS84")
    forward, _, across = geod.inv(np.full(3, 8.55), np.full(3, 47.4), lon, lat)
    np.testing.assert_allclose((forward - azimuth + 180) % 360 - 180, 0.0, atol=1e-3)
    up, radius = np.radians(elevation), 6_371_000.0
    rise = np.sqrt((radius + 500) ** 2 + distance**2 + 2 * (radius + 500) * distance * np.sin(up)) - radius
    np.testing.assert_allclose(altitude, rise, atol=0.15)  # m: the sphere's curvature is 0.5 % off
    angle = np.arctan2(distance * np.cos(up), radius + 500 + distance * np.sin(up))
    np.testing.assert_allclose(across, radius * angle, rtol=5e-3)
    np.testing.assert_allclose(sight.distance_to(altitude), distance, rtol=2e-3) if elevation > 0 else None


def test_a_gate_overhead_lies_over_the_instrument_and_its_weights_sum_to_one(make_met):
    met = make_met()
    gate = make_receptors(
        observe(met, azimuth=123.0, elevation=90.0, range=300.0, gate_length=50.0), met, SETTINGS
    )
    np.testing.assert_allclose(gate.x.values, 0.0, atol=1e-3)
    np.testing.assert_allclose(gate.y.values, 0.0, atol=1e-3)
    np.testing.assert_allclose(gate.height.values[0], 320.0 + np.array([-20, -10, 0, 10, 20]), atol=1e-3)
    assert float(gate.weight.sum()) == pytest.approx(1.0, rel=1e-12)
    assert np.count_nonzero(gate.weight) == GATE_POINTS


def test_a_gate_with_an_averaging_kernel_sees_the_air_where_the_kernel_does(make_met):
    met = make_met()
    seen = observe(met, azimuth=90.0, elevation=30.0, range=2000.0, gate_length=50.0)
    kernel = np.array([[0.0, 0.3, 0.8, -0.1]])
    seen = seen.assign(gate_kernel=(("obs", "true_range"), kernel, {"units": "1"})).assign_coords(
        true_range=("true_range", [1000.0, 1900.0, 2000.0, 2100.0], {"units": "m"})
    )
    gate = make_receptors(seen, met, SETTINGS)
    assert gate.weight.values[0, :3].tolist() == [0.3, 0.8, -0.1]
    assert not gate.weight.values[0, 3:].any()
    for k, distance in enumerate((1900.0, 2000.0, 2100.0)):
        alone = observe(met, azimuth=90.0, elevation=30.0, range=distance, gate_length=0.0)
        there = make_receptors(alone, met, SETTINGS)
        for name in ("x", "y", "height"):
            np.testing.assert_allclose(gate[name].values[0, k], there[name].values[0, 0], atol=1e-6)


def test_a_gate_of_no_length_is_a_tower_there(make_met):
    met = make_met()
    gate = make_receptors(
        observe(met, azimuth=90.0, elevation=30.0, range=2000.0, gate_length=0.0), met, SETTINGS
    )
    used = gate.weight.values[0] != 0
    assert gate.weight.values[0][used].tolist() == [1.0]
    assert gate.x.values[0, 0] == pytest.approx(2000 * np.cos(np.pi / 6), abs=1.0)
    assert gate.y.values[0, 0] == pytest.approx(0.0, abs=1.0)
    assert gate.height.values[0, 0] == pytest.approx(20.0 + 1000.0, abs=0.5)
    there = (float(gate.x[0, 0]), float(gate.y[0, 0]))
    tower = make_receptors(observe(met, place=there, inlet=float(gate.height[0, 0])), met, SETTINGS)
    for name in ("x", "y", "height", "weight"):
        np.testing.assert_allclose(gate[name].values[0, 0], tower[name].values[0, 0], atol=1e-5)


def test_heights_of_gates_follow_the_terrain_and_a_beam_into_it_is_refused(make_met):
    met = make_met()
    met["terrain"] = met.terrain + (0.01 * met.x).astype(np.float32)
    west = make_receptors(observe(met, azimuth=270.0, elevation=0.0, range=5000.0), met, SETTINGS)
    assert west.height.values[0, 0] == pytest.approx(20.0 + 50.0 + 5000**2 / (2 * 6.371e6), abs=0.1)
    with pytest.raises(DataError, match=r"d0: the line of sight is 28 m under the met's ground at 5000 m"):
        make_receptors(observe(met, azimuth=90.0, elevation=0.0, range=5000.0), met, SETTINGS)


def test_a_slant_column_at_the_zenith_is_the_upright_one(make_met):
    met = make_met()
    upright = make_receptors(observe(met, columns=SHARE), met, SETTINGS)
    zenith = make_receptors(observe(met, columns=SHARE, azimuth=40.0, elevation=90.0), met, SETTINGS)
    for name in ("x", "y", "height", "weight"):
        np.testing.assert_allclose(zenith[name].values, upright[name].values, atol=1e-3)


def test_a_slant_column_leans_to_the_sun_with_the_same_heights_and_weights(make_met):
    met = make_met()
    upright = make_receptors(observe(met, columns=SHARE), met, SETTINGS).isel(receptor=0)
    slant = make_receptors(observe(met, columns=SHARE, azimuth=180.0, elevation=30.0), met, SETTINGS)
    slant = slant.isel(receptor=0)
    np.testing.assert_allclose(slant.height.values, upright.height.values, atol=1e-6)
    np.testing.assert_allclose(slant.weight.values, upright.weight.values)
    used = upright.weight.values != 0
    lean = (upright.height.values[used] - 20.0) * np.tan(np.radians(60.0))
    np.testing.assert_allclose(-slant.y.values[used], lean, rtol=5e-3)  # the earth's curvature is 0.3 % of it
    np.testing.assert_allclose(slant.x.values[used], 0.0, atol=5.0)


def test_species_with_one_place_and_time_share_particles_and_keep_their_rows(
    make_met, wide_grid, monkeypatch
):
    met = make_met()
    observations = observe(met, species=np.array(["co2", "ch4", "co2"]), inlet=[20.0, 20.0, 60.0])
    receptors = make_receptors(observations, met, SETTINGS)
    ids = receptors.receptor.values
    assert ids[0] == ids[1] != ids[2]
    released, real = [], footprints_module.release
    monkeypatch.setattr(
        footprints_module, "release", lambda r: released.append(r.sizes["receptor"]) or real(r)
    )
    foot = compute_footprints(met, receptors, wide_grid, FootprintSettings())
    assert sum(released) == 2
    jacobian = build_jacobian(foot, END + np.array([-4, 0]) * np.timedelta64(1, "h"))
    start, values = jacobian.row_start.values, jacobian.sensitivity.values
    assert jacobian.datum_id.values.tolist() == ["d0", "d1", "d2"]
    np.testing.assert_array_equal(values[start[0] : start[1]], values[start[1] : start[2]])
    assert values[: start[1]].sum() > 0


def test_lines_of_sight_that_lack_something_are_refused_by_name(make_met):
    met = make_met()
    for sight, text in (
        ({"range": 100.0}, "'range' without azimuth and elevation, for: d0"),
        ({"elevation": 10.0}, "'azimuth' and 'elevation' need each other, for: d0"),
        ({"elevation": 10.0, "azimuth": 0.0}, "without range or averaging kernel, for: d0"),
        ({"elevation": 95.0, "azimuth": 0.0, "range": 50.0}, "elevation = 95"),
        ({"elevation": 9.0, "azimuth": 0.0, "range": 5.0, "gate_length": 20.0}, r"d0: range = 5 m, gate"),
    ):
        with pytest.raises(DataError, match=text):
            make_receptors(observe(met, **sight), met, SETTINGS)
    both = observe(met, columns=SHARE, elevation=10.0, azimuth=0.0, range=10.0)
    with pytest.raises(DataError, match="expected a gate or a column"):
        make_receptors(both, met, SETTINGS)
    with pytest.raises(DataError, match="expected above the horizon"):
        make_receptors(observe(met, columns=SHARE, elevation=-1.0, azimuth=0.0), met, SETTINGS)


def test_a_table_has_gates_and_layers_of_slant_columns(make_met, tmp_path):
    met = make_met()
    lon, lat = (float(a) for a in to_lonlat(crs_of(met), 0.0, 0.0))
    head = "receptor,time,latitude,longitude,height,azimuth,elevation,range,gate_length,weight"
    rows = (f"gate,2024-06-01T04:00,{lat},{lon},20,90,30,2000,100,",
            f"slant,2024-06-01T04:00,{lat},{lon},500,0,45,,,0.4",
            f"slant,2024-06-01T04:00,{lat},{lon},1500,0,45,,,0.6")  # fmt: skip
    path = tmp_path / "receptors.csv"
    path.write_text("\n".join((head, *rows)))
    found = read_receptor_table(path, met, SETTINGS)
    same = make_receptors(
        observe(met, azimuth=90.0, elevation=30.0, range=2000.0, gate_length=100.0), met, SETTINGS
    )
    for name in ("x", "y", "height", "weight"):
        np.testing.assert_allclose(found[name].values[0], same[name].values[0], atol=1e-6)
    assert found.weight.values[1].tolist() == [0.4, 0.6, 0.0, 0.0, 0.0]
    np.testing.assert_allclose(found.y.values[1, :2], [500.0, 1500.0], rtol=2e-3)
    path.write_text(head + "\n" + rows[0].replace(",90,30,", ",,30,"))
    with pytest.raises(DataError, match="line 2, 'elevation': needs 'azimuth'"):
        read_receptor_table(path, met, SETTINGS)


def test_points_of_a_gate_are_even():
    distance, weight = gate_ranges(1000.0, 100.0)
    assert weight @ distance == pytest.approx(1000.0)
    assert weight @ (distance - 1000.0) ** 2 == pytest.approx(100.0**2 / 12, rel=0.05)


def test_the_gates_of_a_dial_scan_become_receptors_at_their_heights(make_met):
    met = make_met()
    lon, lat = (float(a) for a in to_lonlat(crs_of(met), 0.0, 0.0))
    scan = simulate_scan(
        Scene(np.arange(300.0, 451.0, 50.0), np.array([5.0, 30.0])), 0.03, np.random.default_rng(0)
    )
    scan = scan.assign(
        latitude=((), lat, {"units": "degrees_north"}), longitude=((), lon, {"units": "degrees_east"}),
        time=np.full(2, END),
    )  # fmt: skip
    found = make_receptors(gates(scan, "L1", 20.0, 0.0), met, SETTINGS)
    middle = found.height.values.mean(axis=1).reshape(2, 3)
    expected = 20.0 + np.array([325.0, 375.0, 425.0]) * np.sin(np.radians([[5.0], [30.0]]))
    np.testing.assert_allclose(middle, expected, atol=0.1)
