"""`metroflux calibrate` and `metroflux trace` from a log on disk to the printed tree."""

import csv
import json

import numpy as np
import pytest
import xarray as xr
import yaml
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import ErrorModel
from observations.metrology.certificates import COLUMNS
from observations.metrology.err_corr import from_err_corr, to_err_corr
from observations.metrology.files import read_observations
from observations.metrology.transfer_file import read_transfers
from pipelines.calibration import Calibration, calibrate_command
from pipelines.own_config import read_own
from pipelines.scales import on_scale
from pipelines.sources import Scale
from pipelines.tracing import Asked, trace_command
from pipelines.transfer_command import equivalence_command

TANKS = (
    ",".join(COLUMNS)
    + """
C1,T1,co2,400.00,ppm,0.14,2,WMO CO2 X2019,2024-01-01,2027-01-01,X2019-L3,0.10
C2,T2,co2,450.00,ppm,0.18,2,WMO CO2 X2019,2024-01-01,,X2019-L3,0.10
C3,T3,co2,425.00,ppm,0.16,2,WMO CO2 X2019,2024-01-01,,,
"""
)
HEADER = "DATE TIME ALARM_STATUS INST_STATUS species MPVPosition CO2 CO2_dry h2o_reported\n"


def write_log(path, rng):
    """Six hours, a row of CO2 and of water every 5 s; 10 minutes of each tank at the start and after 5 h."""
    time = np.datetime64("2024-06-01T00:00:00", "ms") + np.arange(0, 6 * 3600, 5) * np.timedelta64(1, "s")
    seconds = np.arange(0, 6 * 3600, 5) % 18000
    port = np.where(seconds < 1800, 1 + seconds // 600, 10)
    dry = np.choose(np.minimum(port - 1, 3), [400.0, 450.0, 425.0, 430.0]) + rng.normal(0, 0.03, port.size)
    water = np.where(port == 10, 1.2, 0.0)
    wet = dry * (1 - 0.012 * water - 2.674e-4 * water**2)
    lines = [HEADER]
    for t, p, w, d, h in zip(time, port, wet, dry, water, strict=True):
        for species, later in ((1, 0), (3, 1)):
            day, clock = str(t + np.timedelta64(later, "s")).split("T")
            lines.append(f"{day} {clock} 0 963 {species}.0 {p}.0 {w:.6f} {d:.6f} {h:.4f}\n")
    path.write_text("".join(lines))


@pytest.fixture
def config(tmp_path, rng):
    write_log(tmp_path / "one-DataLog_User.dat", rng)
    (tmp_path / "tanks.csv").write_text(TANKS)
    values = {
        "species": "co2",
        "place": {"site": "TWR", "latitude": 40, "longitude": 116, "analyser": "CFADS9999"},
        "logs": "*DataLog_User.dat",
        "tanks": "tanks.csv",
        "ports": {"standards": {1: "T1", 2: "T2"}, "target": {3: "T3"}, "air": {10: 30}},
        "water": {"a_sd": 3e-5, "b_sd": 5e-6},
        "drift_sd": 0.02,
    }
    path = tmp_path / "calibration.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def printed(function, *arguments):
    console = Console(record=True, width=160)
    function(*arguments, console)
    return console.export_text()


def test_calibrate_writes_observations_checks_and_a_plot_and_trace_reads_them(config, tmp_path):
    text = printed(calibrate_command, config, tmp_path / "out")
    assert "T3" in text
    assert "yes" in text
    ds = read_observations(tmp_path / "out/observations.nc")
    assert ds.sizes["obs"] == 6
    np.testing.assert_allclose(ds.mole_fraction[1:5], 430e-6, atol=0.02e-6)
    assert (tmp_path / "out/calibration.png").stat().st_size > 10_000
    assert (tmp_path / "out/checks.csv").read_text().startswith("time,tank,count,value,certified,bias")
    datum = str(ds.datum_id.values[2])
    tree = printed(trace_command, tmp_path / "out/observations.nc", Asked(datum), tmp_path / "tree.svg")
    for word in ("analyser: CFADS9999", "cylinder T1", "k = 2", "reference material: X2019-L3", "drift"):
        assert word in tree
    assert "X2019-L3" in (tmp_path / "tree.svg").read_text(encoding="utf-8")
    mean = printed(trace_command, tmp_path / "out/observations.nc", Asked(mean_of="TWR"), None)
    assert "mean of 6 data" in mean


def test_calibrated_errors_survive_both_files(config, tmp_path):
    printed(calibrate_command, config, tmp_path / "out")
    ds = read_observations(tmp_path / "out/observations.nc")
    back = from_err_corr(to_err_corr(ds))
    np.testing.assert_array_equal(
        ErrorModel.from_datasets(back).dense(), ErrorModel.from_datasets(ds).dense()
    )


def changed(config, name, **change):
    path = config.parent / name
    path.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | change))
    return path


@pytest.fixture
def compared(config, tmp_path, rng):
    """Two towers that measured the cylinder T3, which came back with a certificate 0.05 ppm higher."""
    tanks = TANKS.replace("C3,T3,co2,425.00,ppm,0.16,2,WMO CO2 X2019,2024-01-01,,",
                          "C3,T3,co2,425.00,ppm,0.16,2,WMO CO2 X2019,2024-01-01,2024-12-01,")  # fmt: skip
    (tmp_path / "tanks.csv").write_text(tanks + "C4,T3,co2,425.05,ppm,0.16,2,WMO CO2 X2019,2024-12-01,,,\n")
    ports = {"standards": {1: "T1", 2: "T2"}, "travelling": {3: "T3"}, "air": {10: 30}}
    text = ""
    for site in ("AAA", "BBB"):
        place = {"site": site, "latitude": 40, "longitude": 116, "analyser": f"S-{site}"}
        write_log(tmp_path / f"{site}-DataLog_User.dat", rng)
        path = changed(config, f"{site}.yaml", ports=ports, place=place, logs=f"{site}-*.dat")
        text += printed(calibrate_command, path, tmp_path / site)
    return text


def test_a_travelling_cylinder_gives_a_comparison_with_its_causes(compared, tmp_path):
    assert "AAA (S-AAA)" in compared
    assert "moved +0.050" in compared
    (row,) = csv.DictReader((tmp_path / "AAA/comparison.csv").read_text().splitlines())
    assert row["verdict"] == "agree"
    assert abs(float(row["difference"])) < 0.05e-6
    (one,) = read_transfers(tmp_path / "AAA/comparison.json")
    assert one.comparison.sd == pytest.approx(float(row["difference_sd"]), rel=1e-12)
    assert {"certificate:C1", "parent:X2019-L3"} <= set(one.measured.terms)
    assert {"certificate:C3", "certificate:C4"} <= set(one.certified.terms)


def test_equivalence_combines_what_several_towers_found(compared, tmp_path):
    files = [tmp_path / site / "comparison.json" for site in ("AAA", "BBB")]
    text = printed(equivalence_command, files, tmp_path / "degrees.csv")
    assert "consistent" in text
    rows = list(csv.DictReader((tmp_path / "degrees.csv").read_text().splitlines()))
    assert [row["laboratory"] for row in rows] == ["AAA (S-AAA)", "BBB (S-BBB)"]
    # two alike: each is half of their difference from the mean
    degrees = [float(row["degree"]) for row in rows]
    differences = [float(row["difference"]) for row in rows]
    assert degrees == pytest.approx([(differences[0] - differences[1]) / 2 * s for s in (1, -1)], rel=0.2)
    assert abs(degrees[0]) > 1e-11
    with pytest.raises(DataError, match=r"measured by AAA \(S-AAA\); expected two or more"):
        printed(equivalence_command, files[:1], None)
    with pytest.raises(
        DataError, match=r"measured by AAA \(S-AAA\), AAA \(S-AAA\); expected two or more, each"
    ):
        printed(equivalence_command, [files[0], files[0]], None)
    with pytest.raises(DataError, match="not JSON"):
        printed(equivalence_command, [tmp_path / "AAA/comparison.csv"], None)


def test_a_curve_is_asked_for_in_the_configuration(config, tmp_path):
    ports = {"standards": {1: "T1", 2: "T2", 3: "T3"}, "air": {10: 30}}
    curved = changed(config, "curve.yaml", ports=ports, response={"degree": 2})
    assert "1 calibrations" not in printed(calibrate_command, curved, tmp_path / "curve")
    ds = read_observations(tmp_path / "curve/observations.nc")
    np.testing.assert_allclose(ds.mole_fraction[1:5], 430e-6, atol=0.02e-6)
    with pytest.raises(DataError, match="expected 3 or more per event"):
        calibrate_command(changed(config, "two.yaml", response={"degree": 2}), tmp_path, Console(quiet=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": {"degree": 3}}, r"line \d+: response.degree: Input should be 1 or 2"),
        ({"drift_sd": -1}, r"calibration\.yaml: line \d+: drift_sd"),
        ({"drifts": 1}, "did you mean 'drift_sd'"),
        ({"logs": "*.nothing"}, "no file matches"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_line(config, change, message):
    with pytest.raises(ConfigError, match=message):
        read_own(changed(config, "calibration.yaml", **change), Calibration)


def test_trace_wants_a_datum_or_a_mean(config, tmp_path):
    printed(calibrate_command, config, tmp_path / "out")
    path = tmp_path / "out/observations.nc"
    for datum, site in ((None, None), ("x", "TWR")):
        with pytest.raises(ConfigError, match="expected one of: a DATUM_ID"):
            Asked(datum, site)
    with pytest.raises(ConfigError, match=r"a\.gif'; expected a file that ends in \.svg or \.png"):
        printed(trace_command, path, Asked("x"), tmp_path / "a.gif")
    with pytest.raises(DataError, match="no datum 'TWR:x'"):
        printed(trace_command, path, Asked("TWR:x"), None)
    with pytest.raises(DataError, match="mean of 0 data"):
        printed(trace_command, path, Asked(mean_of="XXX"), None)
    with pytest.raises(DataError, match="no observations of a run in it"):
        printed(trace_command, tmp_path, Asked("x"), None)
    kept = tmp_path / "run" / ".work" / "data-1" / "observations.nc"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(path.read_bytes())
    assert "mean of 6 data" in printed(trace_command, tmp_path / "run", Asked(mean_of="all"), None)
    (tmp_path / "bad.nc").write_text("text")
    with pytest.raises(DataError, match="cannot be read as netCDF"):
        printed(trace_command, tmp_path / "bad.nc", Asked("x"), None)


def test_the_configured_scale_is_reached_by_a_national_edge(config, tmp_path):
    printed(calibrate_command, config, tmp_path / "out")
    ds = read_observations(tmp_path / "out/observations.nc")
    edge = {"source": "NIM CO2", "target": "WMO CO2 X2019", "coefficients": (0, 1.001, 0), "unit": "ppm",
            "sd": 0.04, "valid": (300, 600), "reference": "comparison 5"}  # fmt: skip
    got = on_scale(ds, Scale.model_validate({"target": "NIM CO2", "edges": [edge]}))
    np.testing.assert_allclose(got.mole_fraction, ds.mole_fraction / 1.001, rtol=1e-12)
    assert "comparison 5" in got.shared_traceable_to.values
    assert json.loads(got.attrs["traceability"])
    assert isinstance(got, xr.Dataset)
