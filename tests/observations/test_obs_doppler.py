"""Doppler lidar: files of three makers, wind within its stated sd at the stated rate, mixing height."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom, t

from metroflux.errors import ConfigError, DataError
from observations.dataset import TruncatedFileWarning
from observations.flux_lidar.halo import read_background, read_halo, times
from observations.flux_lidar.mixing import cannot_say
from observations.flux_lidar.netcdf import read_arm, read_windcube
from observations.flux_lidar.rays import Rays
from observations.flux_lidar.wind import FitSettings, fit, fit_wind, to_profiles

HEADER = """Filename:\tX.hpl
System ID:\t7
Number of gates:\t{gates}
Range gate length (m):\t30.0
Gate length (pts):\t10
No. of rays in file:\t{rays}
Scan type:\t{scan}
Start time:\t{start}
Data line 2: Range Gate  Doppler (m/s)  Intensity (SNR + 1)  Beta (m-1 sr-1)
****
"""


def hpl(tmp_path, hours, azimuths, scan="VAD", rays=4, start="20240101 23:59:58.00", gates=6):
    path = tmp_path / "X.hpl"
    body = ""
    for hour, azimuth in zip(hours, azimuths, strict=True):
        body += f"{hour:.6f} {azimuth:6.2f} 60.00\n"
        speed = 5 * np.sin(np.radians(azimuth)) * 0.5
        body += "".join(f"{g:3d} {speed:.4f} 1.500000  1.0E-6\n" for g in range(gates))
    path.write_text(HEADER.format(gates=gates, rays=rays, scan=scan, start=start) + body)
    return path


def test_hours_roll_at_midnight_and_the_first_ray_may_precede_the_header(tmp_path):
    rays = read_halo(hpl(tmp_path, [23.9990, 23.9999, 0.0001, 0.0002], [0, 90, 180, 270]))
    assert rays.time.astype("datetime64[s]").astype(str).tolist() == [
        "2024-01-01T23:59:56", "2024-01-01T23:59:59", "2024-01-02T00:00:00", "2024-01-02T00:00:00"
    ]  # fmt: skip
    early = times(np.array([23.9995, 0.001]), np.datetime64("2024-03-01T00:00:02", "ns"))
    assert early.astype("datetime64[D]").astype(str).tolist() == ["2024-02-29", "2024-03-01"]
    late = times(np.array([24.0005]), np.datetime64("2024-03-01T00:00:02", "ns"))
    assert late.astype("datetime64[s]").astype(str).tolist() == ["2024-03-01T00:00:01"]


def test_a_scan_with_missing_rays_is_refused(tmp_path):
    whole = fit_wind(read_halo(hpl(tmp_path, [1, 1.01, 1.02, 1.03], [0, 90, 180, 270])), FitSettings(), "X")
    assert whole.wind[0] == pytest.approx([5, 0, 0], abs=1e-9)
    with pytest.raises(DataError, match="3 rays, the file announces 4 for each VAD"):
        fit_wind(read_halo(hpl(tmp_path, [1, 1.01, 1.02], [0, 90, 180])), FitSettings(), "X")


def test_rays_on_one_side_give_no_wind_and_blind_gates_are_left_out(tmp_path):
    path = hpl(tmp_path, [1, 1.01, 1.02, 1.03], [0, 20, 40, 60])
    one_sided = fit_wind(read_halo(path), FitSettings(), "X")
    assert np.isnan(one_sided.wind).all()
    assert one_sided.height == pytest.approx(np.array([105, 135, 165]) * np.sin(np.pi / 3))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("Start time:\t", "Start time:\tx"), "does not match format"),
        (("System ID", "Sys"), "without System ID"),
        (("****", ""), "its end"),
        (("  1 ", "  x "), "could not convert|not counted"),
        (("  2 ", "  7 "), "not counted from 0"),
    ],
)
def test_broken_halo_files_are_data_errors(tmp_path, change, what):
    path = hpl(tmp_path, [1.0], [0])
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataError, match=what):
        read_halo(path)


def test_a_file_cut_within_a_ray_keeps_whole_rays_and_warns(tmp_path):
    path = hpl(tmp_path, [1.0, 1.1], [0, 90])
    path.write_text("\n".join(path.read_text().splitlines()[:-2]))
    with pytest.warns(TruncatedFileWarning, match="1 whole rays of 6 gates"):
        assert read_halo(path).time.size == 1


@pytest.fixture
def samples():
    root = os.environ.get("METROFLUX_DATA")
    if not root:
        pytest.skip("METROFLUX_DATA is not set: no real data")
    return Path(root) / "observations"


@pytest.mark.realdata
def test_six_real_halo_files_are_read_and_the_empty_one_is_refused(samples):
    found = {}
    for path in sorted((samples / "lidar_halo").rglob("*.hpl")):
        if path.name != "empty.hpl":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TruncatedFileWarning)
                found[path.name.split("-2")[0] + path.stem[-3:]] = read_halo(path)
    assert {n: (r.scan, r.velocity.shape) for n, r in found.items()} == {
        "eriswil_11": ("Stare", (2, 250)), "eriswil_12": ("Stare", (1, 250)),
        "hyytiala_23": ("Stare", (1, 320)),
        "soverato110": ("VAD", (2, 400)),
        "warsaw_04": ("Stare", (2, 333)), "warsaw_18": ("Stare", (1, 3000)),
    }  # fmt: skip
    assert found["warsaw_04"].remarks == ("spectral width not declared in the header, but present",)
    assert found["warsaw_04"].width[0, 3] == 6.2299
    assert str(found["eriswil_11"].time[0])[:21] == "2022-12-14T11:00:17.9"  # header: 11:00:18.99
    assert found["warsaw_18"].distance[0, [0, 1]].tolist() == [45, 48]
    with pytest.raises(DataError, match="empty"):
        read_halo(samples / "lidar_halo/xfail/empty.hpl")
    with pytest.raises(DataError, match="2 rays, the file announces 6"):
        fit_wind(found["soverato110"], FitSettings(), "soverato")


@pytest.mark.realdata
def test_both_background_layouts_are_read(samples):
    found = [read_background(path) for path in sorted((samples / "lidar_halo").rglob("Background*.txt"))]
    assert [v.size for _, v in found] == [250, 250, 400]
    assert found[2][1][[0, 1, -1]].tolist() == [575587.333333, 14902110.166667, 21124641.5]
    assert str(found[2][0]) == "2023-08-15T12:28:11.000000000"


def test_a_background_with_other_text_is_refused(tmp_path):
    path = tmp_path / "Background_010124-000000.txt"
    path.write_text("1.000000\nnan\n")
    with pytest.raises(DataError, match="not only numbers"):
        read_background(path)
    path.rename(other := tmp_path / "Background.txt")
    with pytest.raises(DataError, match="no time in its name"):
        read_background(other)


@pytest.mark.realdata
def test_the_arm_scan_has_overlapping_gates_and_a_wind(samples):
    rays = read_arm(next((samples / "lidar_arm").iterdir()))
    assert rays.distance[0, [0, 1, -1]].tolist() == [15, 18, 12012]
    noise = rays.signal[:, 2500:] - rays.signal[:, 2500:].mean(axis=1, keepdims=True)
    ratio = [np.mean(noise[:, k:] * noise[:, :-k]) / np.mean(noise**2) for k in (5, 10)]
    assert ratio == pytest.approx([0.5, 0.0], abs=0.01)  # ten samples a gate: half shared at five apart
    found = fit_wind(rays, FitSettings(), "sgp")
    known = np.isfinite(found.wind_sd)
    assert known.sum() > 100
    assert np.median(found.wind_sd[known]) < 1.0


def scan(wind, sd, rng, count=12, elevation=60.0, gates=3):
    az, el = np.arange(count) * 360.0 / count, np.full(count, elevation)
    a, e = np.radians(az), np.radians(el)
    along = wind[0] * np.sin(a) * np.cos(e) + wind[1] * np.cos(a) * np.cos(e) + wind[2] * np.sin(e)
    velocity = along[:, None] + sd * rng.standard_normal((count, gates))
    blank = np.full(velocity.shape, np.nan)
    distance = np.broadcast_to(100.0 + 30.0 * np.arange(gates), velocity.shape)
    time = np.datetime64("2024-01-01", "ns") + np.arange(count) * np.timedelta64(5, "s")
    return Rays(
        "X", "VAD", time, az, el, distance, velocity, np.ones(velocity.shape), blank, blank, 30.0, count
    )


@pytest.mark.parametrize("sd_from", ["residuals", "instrument"])
def test_the_wind_of_a_synthetic_scan_lies_within_its_stated_sd_at_the_stated_rate(sd_from):
    rng, truth = np.random.default_rng(1), np.array([4.0, -2.0, 0.3])
    settings = FitSettings(sd_from=sd_from, velocity_sd=0.5 / 1.25)
    found = fit_wind(scan(truth, 0.5, rng, gates=2000), settings, "X")
    for component in (0, 1, 2):
        error = (found.wind[:, component] - truth[component]) / np.sqrt(
            found.covariance[:, component, component]
        )
        for p in (0.6827, 0.95):
            inside = int((np.abs(error) <= t.ppf(0.5 + p / 2, found.degrees_of_freedom)).sum())
            low, high = binom.interval(0.999, 2000, p)
            assert low <= inside <= high, (component, p, inside)


def test_weights_reproduce_generalised_least_squares():
    rng = np.random.default_rng(2)
    design, sd = rng.standard_normal((6, 3)), rng.uniform(0.2, 2.0, 6)
    y = rng.standard_normal(6)
    V = np.diag(sd**2)
    cov = np.linalg.inv(design.T @ np.linalg.inv(V) @ design)
    wind, got, _ = fit(design, y, sd, "instrument")
    assert got == pytest.approx(cov)
    assert wind == pytest.approx(cov @ design.T @ np.linalg.inv(V) @ y)


def test_three_beams_need_the_sd_of_the_instrument():
    rays = scan([3.0, 1.0, 0.0], 0.0, np.random.default_rng(0), count=3)
    assert np.isnan(fit_wind(rays, FitSettings(), "X").wind).all()
    found = fit_wind(rays, FitSettings("instrument", 0.2), "X")
    assert found.wind[0] == pytest.approx([3, 1, 0], abs=1e-9)
    with pytest.raises(ConfigError, match="velocity_sd"):
        FitSettings("instrument")


def test_scans_become_profiles_that_keep_the_contract():
    found = fit_wind(scan([3.0, 1.0, 0.0], 0.1, np.random.default_rng(0)), FitSettings(), "X")
    ds = to_profiles([found], [cannot_say("night")], "L1", (116.0, 40.0, 12.0))
    assert ds.height.values == pytest.approx(found.height + 12)
    assert np.isnan(ds.mixing_height.values).all()


def windcube(path, **changed):
    """A file in the maker's layout: a DBS sweep of 4 slanted rays and one up, a range for each."""
    az, el = np.array([0.0, 90, 180, 270, 0]), np.array([75.0, 75, 75, 75, 90])
    a, e = np.radians(az), np.radians(el)
    height = np.array([100.0, 150.0])
    velocity = (6 * np.sin(a) * np.cos(e) - 3 * np.cos(a) * np.cos(e))[:, None] + np.zeros(2)
    velocity[2, 1] = 9.9
    status = np.ones((5, 2), dtype="i4")
    status[2, 1] = 0
    xr.Dataset(
        {"sweep_group_name": ("sweep", np.array(["Sweep_1"], dtype=object)),
         "time_reference": ((), "2024-05-01T00:00:00Z"), "latitude": ((), 40.0), "longitude": ((), 116.0),
         "altitude": ((), 50.0)}, attrs={"instrument_name": "WLS100S-1"},
    ).to_netcdf(path)  # fmt: skip
    two = ("time", "gate_index")
    xr.Dataset(
        {"time": ("time", np.arange(5.0), {"units": "seconds since time_reference"}),
         "azimuth": ("time", az), "elevation": ("time", el), "range": (two, height / np.sin(e)[:, None]),
         "radial_wind_speed": (two, velocity, {"units": changed.get("units", "m s-1")}),
         "radial_wind_speed_status": (two, status), "cnr": (two, np.full((5, 2), -10.0), {"units": "dB"})}
    ).to_netcdf(path, group=changed.get("group", "Sweep_1"), mode="a")  # fmt: skip
    return path


def test_a_windcube_dbs_is_read_by_group_and_gives_its_wind(tmp_path):
    (rays,) = read_windcube(windcube(tmp_path / "w.nc"))
    assert np.isnan(rays.velocity[2, 1])  # rejected by the maker's status
    assert rays.place == (116.0, 40.0, 50.0)
    assert str(rays.time[1]) == "2024-05-01T00:00:01.000000000"
    found = fit_wind(rays, FitSettings(), "w")
    assert found.wind[0] == pytest.approx([6, -3, 0], abs=1e-9)
    assert found.height == pytest.approx([100, 150])
    with pytest.raises(DataError, match="expected rays in m s-1"):
        read_windcube(windcube(tmp_path / "k.nc", units="km h-1"))
    with pytest.raises(DataError, match="group 'Sweep_1'"):
        read_windcube(windcube(tmp_path / "g.nc", group="Other"))
