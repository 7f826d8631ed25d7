"""DIAL against stacks: simulated scans of a known plume, a CAMPD file written here, coverage of zeta."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from rich.console import Console

from metroflux.constants import MOLAR_MASS
from metroflux.errors import ConfigError, DataError
from observations.flux_lidar.plane import PlaneSettings, plane_flux
from observations.flux_lidar.simulator import Scene, simulate_scan
from observations.metrology.against_stacks import Passage, against_stacks
from observations.metrology.cems import SHORT_TON, StackErrors, stack
from pipelines.plane_command import compare_plane_command

SCENE = Scene(
    np.arange(300.0, 1201.0, 30.0), np.arange(0.25, 15.0, 0.5), emission=900.0, background=420e-6,
    cross_section=7e-27, photons=1e9,
)  # fmt: skip
RATE = SCENE.emission * MOLAR_MASS["co2"]
START = np.datetime64("2024-06-01T04:10", "ns")
HOUR = np.timedelta64(3600, "s")
ERRORS = StackErrors(flow_sd=0.07, random_sd=0.03)
TRUE = PlaneSettings(
    speed=5.0, speed_sd=0.06, angle=20.0, angle_sd=4.0, background=420e-6, background_sd=0.4e-6,
    cross_section_sd=0.03,
)  # fmt: skip


def scan_at(hour, rng, believed=1.0):
    """Return a scan of CO2 that begins ten minutes after the hour; the lidar errs by `believed`."""
    ds = simulate_scan(SCENE, 0.0, rng)
    times = START + hour * HOUR + np.arange(ds.sizes["time"]) * np.timedelta64(20, "s")
    wrong = ds.assign(mole_fraction=ds.mole_fraction / believed, cross_section_sd=ds.cross_section_sd + 0.03)
    return wrong.assign_coords(time=times).assign_attrs(species="co2", traceable_to="line")


def one_campaign(rng, scans=4):
    """Draw every error as stated: one cross-section, one flow meter, the rest anew for each scan and hour."""
    believed, flow = 1.0 + 0.03 * rng.standard_normal(), 1.0 + 0.07 * rng.standard_normal()
    passages = []
    for i in range(scans):
        speed, turn, ground = rng.standard_normal(3) * (0.06, 4.0, 0.4e-6)
        seen = replace(
            TRUE, speed=5.0 * (1 + speed), angle=20.0 + turn, background=420e-6 / believed + ground
        )
        ds = scan_at(i, rng, believed)
        flux = plane_flux(ds, seen, f"P{i}")
        passages.append(Passage(flux, "co2", ds.time.values[0], ds.time.values[-1]))
    hours = START.astype("datetime64[h]").astype("datetime64[ns]") + np.arange(scans) * HOUR
    rate = RATE * flow * (1 + 0.03 * rng.standard_normal(scans))
    return against_stacks(passages, [stack("U1", hours, rate, np.full(scans, 60.0), ERRORS)], "co2")


def test_zeta_is_beyond_2_in_5_percent_of_campaigns_for_one_scan_and_for_the_mean():
    """300 campaigns of 4 scans; 4.55 % expected, limits of three binomial sd."""
    n, alone, together, naive = 300, 0, 0, 0
    for seed in range(n):
        pairs, mean = one_campaign(np.random.default_rng(seed))
        alone += abs(pairs[0].zeta) > 2
        together += abs(mean.zeta) > 2
        naive += abs(mean.difference) > 2 * np.sqrt(sum(c.sd**2 for c in pairs)) / len(pairs)
    print(f"|zeta| > 2: {alone} of {n} scans, {together} means; as if independent {naive}")  # noqa: T201
    limit = 3 * np.sqrt(0.0455 * 0.9545 / n)
    assert abs(alone / n - 0.0455) < limit
    assert abs(together / n - 0.0455) < limit
    assert naive / n > 0.0455 + limit  # averaging the shared errors out would find faults that are not there


def test_a_scan_over_the_turn_of_the_hour_takes_both_hours(rng):
    first = np.datetime64("2024-06-01T04:55", "ns")
    flux = plane_flux(scan_at(0, rng), TRUE, "P")
    over = Passage(flux, "co2", first, first + np.timedelta64(600, "s"))
    assert [str(t)[:16] for t in over.hours] == ["2024-06-01T04:00", "2024-06-01T06:00"]
    hours = np.datetime64("2024-06-01T04", "ns") + np.arange(2) * HOUR
    reported = stack("U1", hours, np.array([30.0, 50.0]), np.full(2, 60.0), ERRORS)
    ((one,), _) = against_stacks([over], [reported], "co2")
    assert one.reference_value == pytest.approx(40.0, rel=1e-12)


@pytest.fixture
def config(tmp_path, rng):
    """Two scans in two hours, two units that emit 1 to 3, local time six hours behind."""
    planes = []
    for i in (0, 1):
        scan_at(i, rng).to_netcdf(tmp_path / f"scan{i}.nc")
        wind = {"speed": 5.0, "speed_sd": 0.06, "direction": 290.0, "direction_sd": 4.0}
        around = {"value": 420.0, "sd": 0.4, "unit": "ppm", "by_lidar": True}
        planes.append(
            {"file": f"scan{i}.nc", "label": f"P{i}", "wind": wind, "background": around, "averaging_s": 20}
        )
    records = [
        {"facilityName": "P", "orisCode": "1", "unitId": unit, "opDate": "2024-05-31", "opHour": str(hour),
         "opTime": "1.00", "co2Mass": str(share * RATE * 3600 / SHORT_TON), "co2MassMeasureFlg": "Measured"}
        for unit, share in (("1", 0.25), ("2", 0.75))
        for hour in (22, 23)
    ]  # fmt: skip
    (tmp_path / "cems.json").write_text(json.dumps(records))
    cems = {"file": "cems.json", "zone": "-06:00", "flow_sd": 0.07, "random_sd": 0.03}
    path = tmp_path / "planes.yaml"
    path.write_text(yaml.safe_dump({"planes": planes, "cems": cems}))
    return path


def test_compare_plane_prints_each_plane_and_the_mean_in_kilograms(config, tmp_path):
    console = Console(record=True, width=160)
    compare_plane_command(config, tmp_path / "planes.csv", console)
    rows = list(csv.DictReader((tmp_path / "planes.csv").read_text().splitlines()))
    assert [r["result"] for r in rows] == ["P0", "P1", "mean of 2"]
    assert rows[0]["reference"] == "P-1-1 + P-1-2"
    for row in rows:  # wind and stacks are as they truly are: what is left is shot noise, 1 % of 40 kg s-1
        assert abs(float(row["difference"])) < 0.03 * RATE
        assert row["verdict"] == "agree"
    # 6 % wind, 4 degrees, 3 % cross-section; 7 % on each flow meter, 3 % an hour, in parts of 1 and 3
    plane = RATE * np.sqrt(0.06**2 + (np.tan(np.radians(20)) * np.radians(4)) ** 2 + 0.03**2)
    stacks = RATE * np.hypot(0.25, 0.75) * np.hypot(0.07, 0.03)
    area_noise = 0.1 * float(rows[0]["sd"])  # shot noise and background, less than a tenth of the variance
    assert float(rows[0]["sd"]) == pytest.approx(np.hypot(plane, stacks), abs=2 * area_noise)
    assert "mean of 2" in console.export_text()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"cems.units": ["P-1-9"]}, ConfigError, "no P-1-9 in .*; it has P-1-1, P-1-2"),
        ({"cems.zone": "UTC"}, DataError, "0 good hours of 1"),
        ({"cems.zone": "America/Chicago"}, ConfigError, r"line \d+: cems.zone: String should match"),
        ({"cems.flow_sd": 0}, ConfigError, "not perfect"),
        ({"cems.flow_sd": 7}, ConfigError, r"line \d+: cems.flow_sd: Input should be less than 1"),
        ({"planes.0.label": "P1"}, ConfigError, "labels P1, P1; expected each once"),
        ({"planes.0.file": "scan1.nc"}, DataError, "used twice: .* in plane P0 and plane P1"),
        ({"planes.0.wind.speed": 0}, ConfigError, "planes.0.wind.speed: Input should be greater than 0"),
        ({"planes.0.background.by_lidars": True}, ConfigError, "did you mean 'by_lidar'"),
        ({"planes": []}, ConfigError, "planes: "),
    ],
)
def test_a_wrong_comparison_is_refused_with_its_place(config, change, kind, message):
    values = yaml.safe_load(config.read_text())
    for key, value in change.items():
        *parents, last = [int(k) if k.isdigit() else k for k in key.split(".")]
        at = values
        for parent in parents:
            at = at[parent]
        at[last] = value
    config.write_text(yaml.safe_dump(values))
    with pytest.raises(kind, match=message):
        compare_plane_command(config, None, Console(quiet=True))


def test_another_gas_is_refused(config, rng, tmp_path):
    scan_at(0, rng).assign_attrs(species="ch4").to_netcdf(tmp_path / "methane.nc")
    values = yaml.safe_load(config.read_text())
    values["planes"][0]["file"] = "methane.nc"
    config.write_text(yaml.safe_dump(values))
    with pytest.raises(DataError, match=r"methane\.nc: species 'ch4'; expected 'co2'"):
        compare_plane_command(config, None, Console(quiet=True))
