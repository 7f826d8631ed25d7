"""ICOS data outside of its text files with header: netCDF in OpenGHG's layout, and older exports."""

import numpy as np
import pytest
import xarray as xr

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, TruncatedFileWarning
from observations.formats.series import Supplement
from observations.recognise import read, recognise
from observations.table import Site

PLAIN = """Site Year Month Day Hour Minute Date co2 Stdev NbPoints Flag QualityId LastModifiedYear \
LastModifiedMonth LastModifiedDay LastModifiedHour LastModifiedMinute AutoDescriptiveFlag \
ManualDescriptiveFlag
"""
ROWS = (
    "TTA 2011 03 29 23 59 2011.241094 -999.990 -9.990 0 N 38938 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 52 2011.242108 401.645 0.087 13 U 38881 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 53 2011.242108 401.745 0.097 14 O 38881 2015 10 29 14 43 too windy, says auto",
    "TTA 2011 03 30 08 54 2011.242108 402.645 0.087 13 R 38881 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 55 2011.242108 403.645 0.087 13 K 38881 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 56 2011.242108 404.645 0.087 13 H 38881 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 57 2011.242108 -999.99 -9.99 0 O 38881 2015 10 29 14 43  ",
    "TTA 2011 03 30 08 58 2011.242108 401.645 -9.990 1 U 38881 2015 10 29 14 43  ",
)
PLACE = {"TTA": Site(56.555, -2.986)}


def plain(tmp_path, rows=ROWS, header=PLAIN, name="tta.co2.1minute.222m.min.dat"):
    path = tmp_path / name
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def meanings(ds):
    return [FLAG_MEANINGS[flag] for flag in ds.flag.values]


def read_plain(path, **given):
    return read(path, given=Supplement(**{"sites": PLACE, "scale": "WMO CO2 X2007"} | given))


def test_older_exports_keep_u_o_and_r_and_say_why_of_the_others(tmp_path):
    ds = read_plain(plain(tmp_path))
    assert ds.attrs["format"] == "icos-plain"
    assert meanings(ds) == [
        "rejected_by_provider",
        "good",
        "good",
        "good",
        "rejected_by_provider",
        "rejected_by_provider",
        "missing",
        "uncertainty_missing",
    ]
    assert ds.mole_fraction.values[1] == pytest.approx(401.645e-6, rel=1e-15)
    assert ds.random_sd.values[1, 0] == pytest.approx(0.087e-6, rel=1e-15)
    assert ds.n_samples.values[:3].tolist() == [0, 13, 14]
    assert ds.datum_id.values[1] == "TTA:co2:222:2011-03-30T08:52:00"
    assert str(ds.time_bounds.values[1, 1]) == "2011-03-30T08:53:00.000000000"


def test_an_older_export_without_a_scale_gives_nothing_to_use_until_one_is_given(tmp_path):
    ds = read_plain(plain(tmp_path), scale=None)
    assert ds.attrs["scale"] == "unknown"
    assert "good" not in meanings(ds)
    assert meanings(ds).count("unknown_scale") == 3
    accepted = read_plain(plain(tmp_path), scale=None, accept_unknown_scale=True)
    assert meanings(accepted).count("good") == 3


def test_the_interval_is_given_or_named_and_never_the_gap_between_rows(tmp_path):
    nameless = plain(tmp_path, name="export.txt")
    with pytest.raises(DataError, match=r"neither the file nor its name.* says how long .* give averaging_s"):
        read_plain(nameless)
    ds = read_plain(nameless, averaging_s=60.0)
    assert np.isnan(ds.inlet.values).all()
    hourly = read_plain(plain(tmp_path, name="tta.co2.hourly.222m.dat", rows=ROWS[:2]))
    assert np.all(np.diff(hourly.time_bounds.values, axis=1) == np.timedelta64(1, "h"))


@pytest.mark.parametrize(
    ("rows", "header", "what"),
    [
        ((), PLAIN, "without data rows"),
        ((ROWS[1].replace("401.645", "1e36"),), PLAIN, "first 1e\\+36; another unit"),
        ((ROWS[1].replace("401.645", "0.401645"),), PLAIN, "all 1 values of co2 are outside 200 to 5000 ppm"),
        (
            (ROWS[1].replace("401.645", "many"),),
            PLAIN,
            "'co2' is not a number in 1 rows, first line 2: 'many'",
        ),
        ((ROWS[1].replace(" 03 30 ", " 02 30 "),), PLAIN, "times cannot be read"),
        ((ROWS[1], ROWS[1]), PLAIN, "more than once"),
        ((ROWS[1][:40], *ROWS[1:]), PLAIN, "line 3 has 17 fields, expected 8"),
        (ROWS, PLAIN.replace("co2", "sf6"), "the unit of sf6 is not known; expected one of: co2"),
        (ROWS, PLAIN.replace("QualityId", "Flag"), "a column is named more than once"),
    ],
)
def test_an_older_export_out_of_the_format_is_a_data_error(tmp_path, rows, header, what):
    with pytest.raises(DataError, match=what):
        read_plain(plain(tmp_path, rows, header))


def test_an_older_export_that_breaks_off_is_told(tmp_path):
    path = plain(tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:-30], encoding="utf-8")
    with pytest.warns(TruncatedFileWarning, match="line 9 breaks off and is left out"):
        ds = read_plain(path)
    assert ds.sizes["obs"] == len(ROWS) - 1


def netcdf(tmp_path, attrs=None, units="unknown", comment="beginning of sampling period", **columns):
    hours = np.datetime64("2017-12-13T01", "ns") + np.arange(4) * np.timedelta64(1, "h")
    data = {
        "co2": np.array([419.5, 416.2, np.nan, 415.2]),
        "co2_variability": np.array([1.0, 1.4, 0.7, np.nan]),
        "co2_number_of_observations": np.array([5, 12, 0, 12]),
        "flag": np.array(["O", "K", "U", "R"]),
    } | columns
    ds = xr.Dataset({name: ("time", values) for name, values in data.items()}, coords={"time": hours})
    ds["co2"].attrs["units"] = ds["co2_variability"].attrs["units"] = units
    ds["time"].attrs["comment"] = f"Time stamp corresponds to {comment}."
    said = {"species": "co2", "units": "µmol mol-1", "site": "toh", "network": "ICOS", "inlet": "147m",
            "station_latitude": "51.8088", "station_longitude": "10.535",
            "calibration_scale": "WMO CO2 X2019",
            "sampling_period": "NOT_SET", "sampling_period_unit": "s"} | (attrs or {})  # fmt: skip
    path = tmp_path / "file.nc"
    ds.assign_attrs({name: text for name, text in said.items() if text}).to_netcdf(path)
    return path


def test_an_icos_netcdf_gives_its_unit_for_the_whole_file_and_a_flag_for_each_row(tmp_path):
    path = netcdf(tmp_path)
    assert recognise(path).name == "icos-netcdf"
    ds = read(path)
    assert meanings(ds) == ["good", "rejected_by_provider", "missing", "uncertainty_missing"]
    assert ds.mole_fraction.values[0] == pytest.approx(419.5e-6, rel=1e-15)
    assert ds.random_sd.values[0, 0] == pytest.approx(1.0e-6, rel=1e-15)
    assert ds.n_samples.values.tolist() == [5, 12, 0, 12]
    assert ds.attrs["scale"] == "WMO CO2 X2019"
    assert (ds.latitude.values[0], ds.longitude.values[0], ds.inlet.values[0]) == (51.8088, 10.535, 147.0)


@pytest.mark.parametrize(
    ("comment", "attrs", "bounds"),
    [
        ("beginning of sampling period", {}, ("2017-12-13T01:00", "2017-12-13T02:00")),
        ("middle of sampling period", {}, ("2017-12-13T00:30", "2017-12-13T01:30")),
        ("end of sampling period", {"sampling_period": "600"}, ("2017-12-13T00:50", "2017-12-13T01:00")),
    ],
)
def test_an_icos_netcdf_stamps_what_it_says(tmp_path, comment, attrs, bounds):
    found = read(netcdf(tmp_path, attrs, comment=comment)).time_bounds.values[0]
    assert [str(time)[:16] for time in found] == list(bounds)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"attrs": {"network": "DECC"}}, "'network' is 'DECC', expected ICOS, whose flags are known"),
        ({"attrs": {"inlet": "", "site": ""}}, "no attribute 'site'; no attribute 'inlet'"),
        ({"attrs": {"units": ""}}, "units of co2, co2_variability and the file: none; expected one"),
        ({"units": "nmol mol-1"}, "'nmol mol-1', 'nmol mol-1', 'umol mol-1'; expected one"),
        ({"attrs": {"units": "percent"}}, "unit 'percent' is not a mole fraction"),
        ({"attrs": {"sampling_period": "60", "sampling_period_unit": "minutes"}}, "is '60 minutes'"),
        ({"comment": "the hour"}, "does not say which part of the sampling period"),
        ({"attrs": {"species": "ch4"}}, "no variable ch4"),
        ({"co2": np.full(4, 1e36)}, "all 3 values of co2 are outside"),
    ],
)  # fmt: skip
def test_an_icos_netcdf_that_leaves_a_thing_open_is_refused(tmp_path, changes, what):
    with pytest.raises(DataError, match=what):
        read(netcdf(tmp_path, **changes))


@pytest.mark.realdata
def test_torfhaus_of_unknown_scale_is_used_once_the_scale_is_given(data_root):
    path = data_root / "observations/icos/test_toh_co2_147m.nc"
    ds = read(path, given=Supplement(scale="WMO CO2 X2019"))
    assert set(ds.flag.values) == {0}
    assert ds.attrs["scale"] == "WMO CO2 X2019"
    assert ds.random_sd.values[0, 0] == pytest.approx(1.04400003e-6, rel=1e-9)
    assert ds.n_samples.values[:2].tolist() == [5, 12]
    # the same datum as by the generic reader
    assert ds.datum_id.values[0] == "TOH:co2:147:2017-12-13T01:00:00"


@pytest.mark.realdata
def test_angus_has_52_usable_minutes_of_56_once_place_and_scale_are_given(data_root):
    path = data_root / "observations/icos/tta.co2.1minute.222m.min.dat"
    ds = read_plain(path)
    assert ds.sizes["obs"] == 56
    assert meanings(ds).count("good") == 52
    good = ds.isel(obs=ds.flag.values == 0)
    assert good.mole_fraction.values[[0, -1]] == pytest.approx([401.645e-6, 414.626e-6], rel=1e-12)
    assert good.random_sd.values[-1, 0] == pytest.approx(0.065e-6, rel=1e-12)
    assert good.n_samples.values[0] == 13
    assert np.all(np.diff(ds.time_bounds.values, axis=1) == np.timedelta64(60, "s"))
