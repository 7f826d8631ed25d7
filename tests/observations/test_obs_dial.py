"""DIAL: retrieval, plane flux within its interval at the stated rate, one role for a datum."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import DataError
from metroflux.roles import check_roles
from observations.components import Group, along_range
from observations.flux_lidar.dial import air_density, gates, noise, number_density, ray_ids, read_dial_scan
from observations.flux_lidar.plane import (
    Plane,
    PlaneSettings,
    angle_to_normal,
    cell_areas,
    direct_rows,
    emission,
    plane_flux,
)
from observations.flux_lidar.simulator import Scene, simulate_fluxes, simulate_scan

SCENE = Scene(np.arange(300.0, 1201.0, 30.0), np.arange(0.25, 15.0, 0.5))
SETTINGS = PlaneSettings(
    speed=5.0, speed_sd=0.06, angle=20.0, angle_sd=4.0, background=1.95e-6, background_sd=8e-9,
    cross_section_sd=0.03,
)  # fmt: skip


def test_a_gate_of_45_m_at_a_signal_to_noise_of_500_has_an_sd_of_92_ppb():
    counts = np.full((1, 2), 500.0**2)
    sd, correlation = noise(counts, counts, 1.9e-23, 45.0)
    air = 6.02214076e23 * air_density(np.array(101325.0), np.array(288.15))
    assert float(sd[0, 0] / air) == pytest.approx(92e-9, rel=0.01)
    assert correlation[0, 0] == 0  # the last gate has no next one


def test_without_noise_the_retrieval_returns_the_truth():
    bright = replace(SCENE, photons=1e30)
    value, _, _ = bright.retrieve(*bright.echoes((), np.random.default_rng(0)))
    assert value == pytest.approx(SCENE.truth(), rel=1e-9)


def test_noise_and_its_correlation_are_those_of_repetition():
    value, sd, correlation = SCENE.retrieve(*SCENE.echoes((4000,), np.random.default_rng(1)))
    assert value.std(axis=0) == pytest.approx(sd[0], rel=0.06)
    away = value[:, 5] - value[:, 5].mean(axis=0)
    found = (away[:, 1:] * away[:, :-1]).mean(axis=0) / (away[:, 1:].std(axis=0) * away[:, :-1].std(axis=0))
    assert found == pytest.approx(correlation[0, 5, :-1], abs=0.06)


@pytest.mark.parametrize("by_lidar", [True, False])
def test_the_plane_flux_lies_within_its_interval_in_93_to_97_percent_of_1000_draws(by_lidar):
    flux, terms = simulate_fluxes(
        SCENE, replace(SETTINGS, background_by_lidar=by_lidar), 1000, np.random.default_rng(7)
    )
    sd = np.sqrt(sum(t**2 for t in terms.values()))
    inside = float(np.mean(np.abs(flux - SCENE.emission) <= 1.96 * sd))
    assert 0.93 <= inside <= 0.97
    noise_only = float(np.mean(np.abs(flux - SCENE.emission) <= 1.96 * terms["lidar-noise"]))
    assert noise_only < 0.6  # without the common terms the interval is an illusion


def test_neighbouring_gates_share_an_echo_and_their_noise_cancels_in_the_sum():
    rng = np.random.default_rng(3)
    value, sd, correlation = SCENE.retrieve(*SCENE.echoes((1500,), rng))
    area = cell_areas(SCENE.middle, SCENE.elevation, SCENE.gate_length)
    flux, terms = emission(Plane(value, sd, correlation, np.array(41.0), area), SETTINGS)
    assert flux.std() == pytest.approx(np.median(terms["lidar-noise"]), rel=0.06)
    alone = emission(Plane(value, sd, 0 * correlation, np.array(41.0), area), SETTINGS)[1]["lidar-noise"]
    assert np.median(alone) > 3 * flux.std()


def test_terms_are_the_derivatives_of_the_flux():
    value = SCENE.truth()
    area = cell_areas(SCENE.middle, SCENE.elevation, SCENE.gate_length)
    cold = replace(SETTINGS, background_by_lidar=False)

    def flux(settings, x=value, air=41.0):
        return float(emission(Plane(x, 0 * x, 0 * x, np.array(air), area), settings)[0])

    q, terms = flux(cold), emission(Plane(value, 0 * value, 0 * value, np.array(41.0), area), cold)[1]
    step = 1e-4
    assert flux(replace(cold, speed=5 * (1 + step))) - q == pytest.approx(terms["wind-speed"] * step / 0.06)
    changed = flux(replace(cold, background=1.95e-6 + 1e-12)) - q
    assert changed == pytest.approx(terms["background"] * 1e-12 / 8e-9)
    assert flux(cold, value * (1 + step)) - q == pytest.approx(terms["lidar-cross-section"] * step / 0.03)
    assert flux(cold, value / (1 + step), 41.0 * (1 + step)) - q == pytest.approx(
        terms["air-density"] * step / cold.density_sd
    )


def test_the_angle_to_the_normal_gives_the_wind_through_the_plane(rng):
    for direction, azimuth in rng.uniform(-360.0, 720.0, (200, 2)):
        wind, ray = np.radians(direction), np.radians(azimuth)
        through = np.sin(wind) * np.cos(ray) - np.cos(wind) * np.sin(ray)  # u x plane, for a speed of 1
        angle = angle_to_normal(direction, azimuth)
        assert abs(angle) <= 90
        assert np.cos(np.radians(angle)) == pytest.approx(abs(through), abs=1e-12)


def test_a_simulated_file_is_read_and_its_plane_flux_is_near_the_truth(tmp_path):
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(11))
    scan.to_netcdf(tmp_path / "scan.nc")
    again = read_dial_scan(tmp_path / "scan.nc")
    assert len(again.attrs["provenance"]) == 64
    found = plane_flux(again, SETTINGS, "P1")
    assert abs(found.value - SCENE.emission) < 3 * found.sd
    assert "lidar-cross-section:simulated line" in found.terms
    assert "wind-speed:P1" in found.terms
    seen = gates(again, "L1", 2.0, 20.0)
    assert seen.sizes["obs"] == scan.mole_fraction.size
    assert {"azimuth", "elevation", "range", "gate_length"} <= set(seen.variables)
    assert seen.mole_fraction.values == pytest.approx(scan.mole_fraction.values.ravel())


def test_the_error_of_slanted_gates_is_correlated_along_the_range():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0)).isel(time=slice(0, 1))
    seen = gates(scan, "L1", 2.0, 20.0)
    parts = along_range(seen, Group("interference", "lidar", ("site", "hour")), 1e-8, 100.0)
    columns = np.stack([part.column for part in parts], axis=1)
    apart = np.abs(scan["range"].values[:, None] - scan["range"].values)
    assert columns @ columns.T == pytest.approx(1e-16 * np.exp(-apart / 100.0))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda ds: ds.drop_vars("pressure"), "'pressure' is missing"),
        (lambda ds: ds.assign(random_sd=ds.random_sd * 0), "random_sd is not above 0"),
        (lambda ds: ds.assign_attrs(species="ch4").drop_attrs(deep=False), "no attribute species"),
        (lambda ds: ds.isel(range=slice(None, None, -1)), "range does not rise"),
    ],
)
def test_broken_dial_files_are_data_errors(tmp_path, change, what):
    change(simulate_scan(SCENE, 0.03, np.random.default_rng(0))).to_netcdf(tmp_path / "scan.nc")
    with pytest.raises(DataError, match=what):
        read_dial_scan(tmp_path / "scan.nc")


def test_a_plane_with_a_hole_or_a_turn_is_refused():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0))
    hole = scan.assign(mole_fraction=scan.mole_fraction.where(scan["range"] > 400))
    with pytest.raises(DataError, match="cells missing"):
        plane_flux(hole, SETTINGS, "P1")
    turn = scan.assign(azimuth=scan.azimuth + np.arange(scan.sizes["time"]))
    with pytest.raises(DataError, match="azimuths over 29 degrees"):
        plane_flux(turn, SETTINGS, "P1")


def test_a_plane_toward_north_may_have_azimuths_on_both_sides_of_zero():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0))
    north = scan.assign(azimuth=(scan.azimuth + np.tile([359.98, 0.02], scan.sizes["time"] // 2)) % 360)
    assert plane_flux(north, SETTINGS, "P1").value == plane_flux(scan, SETTINGS, "P1").value


def test_direct_rows_share_the_cross_section_and_the_mean_keeps_it():
    rng = np.random.default_rng(2)
    results = [plane_flux(simulate_scan(SCENE, 0.03, rng), SETTINGS, name) for name in ("P1", "P2")]
    when = dict.fromkeys(
        ("P1", "P2"), (np.datetime64("2024-06-01T04", "ns"), np.datetime64("2024-06-01T05", "ns"))
    )
    cell = xr.DataArray([[0.0, 1.0]], dims=("y", "x"))
    rows = direct_rows(results, when, {"P1": cell, "P2": cell})
    schema.check(rows, "direct_fluxes")
    assert rows.shared.values.tolist() == ["lidar-cross-section:simulated line"]
    R = np.diag(rows.emission_sd.values**2) + rows.emission_shared.values @ rows.emission_shared.values.T
    assert np.sqrt(np.diag(R)) == pytest.approx([r.sd for r in results])
    area, sd = 1e6, 4e-6  # one facility cell: posterior of a flux with a prior, closed form against rows
    H = rows.weight.values.reshape(2, -1)[:, 1:] * area
    gain = sd**2 * H.T @ np.linalg.inv(H @ H.T * sd**2 + R)
    posterior = float(np.squeeze(gain @ rows.emission.values))
    w = np.linalg.solve(R, np.ones(2))
    mean, variance = w @ rows.emission.values / w.sum(), 1 / w.sum()
    assert posterior * area == pytest.approx(mean * (sd * area) ** 2 / ((sd * area) ** 2 + variance))


def test_one_datum_has_one_role():
    check_roles({"profile gates": ["scan-1"], "plane flux": ["scan-2"], "mixing height": ["stare-1"]})
    with pytest.raises(DataError, match="used twice: scan-1 in profile gates and plane flux"):
        check_roles({"profile gates": ["scan-1"], "plane flux": ["scan-1"]})
    with pytest.raises(DataError, match=r"CEMS-7 in prior\.inventory and validation"):
        check_roles({"prior.inventory": ["CEMS-7", "CEMS-7"], "validation": ["CEMS-7"]})


def test_a_ray_is_the_same_measurement_in_another_file():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0))
    again = simulate_scan(SCENE, 0.03, np.random.default_rng(1)).isel(time=slice(5, 9))
    assert set(ray_ids(again)) < set(ray_ids(scan))
    assert len(set(ray_ids(scan))) == scan.sizes["time"]
    assert not set(ray_ids(scan.assign_attrs(species="co2"))) & set(ray_ids(scan))
    with pytest.raises(DataError, match=r"ch4 ray at 40\.0000, 116\.0000, .* and 3 more in gates and plane"):
        check_roles({"gates": ray_ids(scan), "plane": ray_ids(again)})


def test_an_averaging_kernel_goes_with_each_gate_and_must_sum_to_one():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0))
    n = scan.sizes["range"]
    kernel = np.broadcast_to(np.eye(n), (scan.sizes["time"], n, n)).copy()
    dims = ("time", "range", "true_range")
    sharp = scan.assign(averaging_kernel=(dims, kernel, {"units": "1"}))
    with pytest.raises(DataError, match="without true_range"):
        gates(sharp, "L1", 2.0, 20.0)
    ranges = ("true_range", scan["range"].values, {"units": "m"})
    seen = gates(sharp.assign_coords(true_range=ranges), "L1", 2.0, 20.0)
    np.testing.assert_array_equal(seen.gate_kernel.values @ seen.true_range.values, seen["range"].values)
    half = scan.assign(averaging_kernel=(dims, 0.5 * kernel, {"units": "1"})).assign_coords(true_range=ranges)
    with pytest.raises(DataError, match=r"sum to 1 \+- 0\.5"):
        gates(half, "L1", 2.0, 20.0)


def test_lidars_of_different_spectroscopy_do_not_share_the_cross_section():
    scan = simulate_scan(SCENE, 0.03, np.random.default_rng(0))
    other = scan.assign_attrs(traceable_to="another line")
    names = [set(plane_flux(s, SETTINGS, "P").terms) for s in (scan, other)]
    assert names[0] ^ names[1] == {
        "lidar-cross-section:simulated line",
        "lidar-cross-section:another line",
    }
    (gate,) = gates(other, "L", 2.0, 20.0).shared.values.tolist()
    assert gate in names[1]


def test_a_density_of_nothing_is_zero():
    ones = np.ones((1, 3))
    assert number_density(ones, ones, 1e-23, 30.0).tolist() == [[0.0, 0.0]]
