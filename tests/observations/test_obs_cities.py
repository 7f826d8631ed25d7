"""ICOS Cities files, whose header contradicts itself about the zone and whose stamps are in the middle."""

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, TruncatedFileWarning
from observations.recognise import read, recognise

HEADER = """# TITLE: co2 - continuous time series from low and mid cost sensors
# TOTAL LINES: {total}
# HEADER LINES: 18
# STATION CODE: TUMR
# LATITUDE: 48.150733
# LONGITUDE: 11.569168
# ALTITUDE: 511.39 m asl
# SAMPLING HEIGHTS: 31.06 m agl
# PARAMETER: co2
# TIME INTERVAL: {step}
# MEASUREMENT UNIT: µmol/mol
# TIME ZONE: {zone}
# MEASUREMENT SCALE: WMO-CO2-X2019
# COMMENT:
#   - {remark}
#   - Time-averaged values are reported at the {part} of the averaging interval.
#
#Datetime;Year;Month;Day;Hour;Minute;Second;DecimalDate;co2;NbPoints;Stdev;Flag;OriginalFlag
"""
CENTRAL = "Central European Time (UTC+1), Central European Summer Time (UTC+2)"
ROWS = (
    "2024-07-30 09:30:00;2024;7;30;9;30;0;2024.579167;422.46863;8;11.083736;K;389",
    "2024-07-30 10:30:00;2024;7;30;10;30;0;2024.579281;425.91275;33;3.6109574;O;0",
    "2024-07-30 11:30:00;2024;7;30;11;30;0;2024.579395;;;;O;0",
    "2024-07-30 12:30:00;2024;7;30;12;30;0;2024.579509;424.5;59;;O;0",
)


def write(tmp_path, rows=ROWS, **changes):
    words = {"total": 18 + len(rows), "step": "hourly", "zone": CENTRAL, "remark": "Times are UTC+0",
             "part": "middle"} | changes  # fmt: skip
    path = tmp_path / "site.csv"
    path.write_text(HEADER.format(**words) + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_remark_decides_the_zone_and_the_stamp_is_the_middle(tmp_path):
    path = write(tmp_path)
    assert recognise(path).name == "icos-cities"
    ds = read(path)
    assert str(ds.time_bounds.values[1, 0]) == "2024-07-30T10:00:00.000000000"
    assert str(ds.time_bounds.values[1, 1]) == "2024-07-30T11:00:00.000000000"
    assert ds.mole_fraction.values[1] == pytest.approx(425.91275e-6, rel=1e-12)
    assert ds.random_sd.values[1, 0] == pytest.approx(3.6109574e-6, rel=1e-12)
    assert ds.n_samples.values.tolist() == [8, 33, 0, 59]
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == [
        "rejected_by_provider", "good", "missing", "uncertainty_missing"
    ]  # fmt: skip
    assert ds.attrs["scale"] == "WMO-CO2-X2019"
    assert ds.datum_id.values[1] == "TUMR:co2:31.06:2024-07-30T10:00:00"
    assert (ds.latitude.values[0], ds.longitude.values[0]) == (48.150733, 11.569168)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"remark": "Times are local"}, "'TIME ZONE' is 'Central European Time"),
        ({"remark": "Times are UTC+2"}, "'TIME ZONE' is 'Central European Time"),
        ({"part": "discretion"}, "do not say which part of the averaging interval"),
        ({"step": "3-hourly"}, "'TIME INTERVAL' is '3-hourly', expected hourly or 1 minute"),
    ],
)
def test_a_header_that_leaves_time_open_is_refused(tmp_path, changes, what):
    with pytest.raises(DataError, match=what):
        read(write(tmp_path, **changes))


def test_a_zone_that_is_utc_needs_no_remark(tmp_path):
    assert read(write(tmp_path, zone="UTC +0", remark="none")).sizes["obs"] == 4


def test_a_line_that_breaks_off_is_left_out_with_a_warning_and_told_in_the_dataset(tmp_path):
    path = write(tmp_path, total=9000)
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    with pytest.warns(TruncatedFileWarning) as caught:
        ds = read(path)
    assert len(caught) == 2
    assert ds.sizes["obs"] == 3
    assert ds.attrs["truncated"] == (
        "truncated: 22 lines of the 9000 that its header says; truncated: line 22 breaks off and is left out"
    )


def test_one_minute_files_have_neither_stdev_nor_points(tmp_path):
    path = write(tmp_path, step="1 minute", rows=())
    text = path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    text = text.replace("co2;NbPoints;Stdev;Flag;OriginalFlag", "co2;h2o;Flag")
    rows = "".join(f"2024-07-30 09:{m:02d}:30;2024;7;30;9;{m};30;2024.5;42{m}.5;1.2;{f}\n"
                   for m, f in enumerate("UHC"))  # fmt: skip
    path.write_text(text.replace("TOTAL LINES: 18", "TOTAL LINES: 21") + rows, encoding="utf-8")
    ds = read(path)
    assert ds.sizes["random"] == 0
    assert ds.flag.values.tolist() == [0, 1, 1]
    assert np.all(np.diff(ds.time_bounds.values, axis=1) == np.timedelta64(60, "s"))
    assert str(ds.time.values[0]) == "2024-07-30T09:00:00.000000000"


def test_icos_files_with_the_station_zone_in_the_header_are_read_as_utc(tmp_path):
    # near-real-time files of Hohenpeissenberg: 'TIME ZONE: UTC +1' and 'Times are UTC'
    lines = [
        "# TITLE: CO2 - NRT", "# TOTAL LINES: 14", "# HEADER LINES: 12", "# LATITUDE: 47.8011 N",
        "# LONGITUDE: 11.0246 E", "# PARAMETER: CO2", "# TIME INTERVAL: hourly",
        "# MEASUREMENT UNIT: umol.mol-¹", "# TIME ZONE: UTC +1", "# MEASUREMENT SCALE: 1516: WMO CO2 X2019",
        "#   - Times are UTC",
        "#Site;SamplingHeight;Year;Month;Day;Hour;Minute;DecimalDate;co2;Stdev;NbPoints;Flag;InstrumentId",
        "HPB;50;2024;04;01;00;00;2024.2;429.440;0.592;8;U;1516",
        "HPB;50;2024;04;02;12;00;2024.2;-999.990;-9.990;0;N;1516",
    ]  # fmt: skip
    path = tmp_path / "nrt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ds = read(path)
    assert str(ds.time.values[0]) == "2024-04-01T00:00:00.000000000"
    assert ds.instrument.values.tolist() == ["1516", "1516"]
    lines[10] = "#   - no word of it"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="'TIME ZONE' is 'UTC \\+1', expected UTC"):
        read(path)
