from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from metroflux import schema
from metroflux.errors import ConfigError, DataError
from observations.dataset import FLAG_MEANINGS
from observations.table import Site, TableMapping, read_table

PLACE = {"A": Site(40.0, 116.0, 30.0)}
PLAIN = TableMapping(species="co2", unit="ppm", sites=PLACE)


def write(tmp_path, text, name="towers.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_ppm_becomes_mol_per_mol_and_hours_are_labelled_at_their_start(tmp_path):
    path = write(tmp_path, "time,mole_fraction,sd,n\n2024-06-01 00:00,420.5,0.3,12\n2024-06-01 01:00,,,\n")
    ds = read_table(path, replace(PLAIN, sd={"noise": "sd"}, n_samples="n", scale="WMO CO2 X2019"))
    schema.check(ds, "observations")
    assert ds.mole_fraction.values[0] == pytest.approx(420.5e-6, rel=1e-15)
    assert ds.random_sd.values[:, 0].tolist() == pytest.approx([0.3e-6, 0.0], rel=1e-12)
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "missing"]
    assert ds.n_samples.values.tolist() == [12, 0]
    assert ds.time_bounds.values[0].astype(str).tolist() == [
        "2024-06-01T00:00:00.000000000",
        "2024-06-01T01:00:00.000000000",
    ]


@pytest.mark.parametrize(
    ("zone", "stamp", "label", "start"),
    [
        ("+08:00", "2024-06-01 08:00", "start", "2024-06-01T00:00"),
        ("Asia/Shanghai", "2024-06-01 08:00", "end", "2024-05-31T23:00"),
        ("Europe/Berlin", "2024-01-01 13:30", "middle", "2024-01-01T12:00"),
        ("UTC", "2024-06-01T08:00:00+08:00", "start", "2024-06-01T00:00"),
    ],
)
def test_stamps_become_the_utc_start_of_the_interval(tmp_path, zone, stamp, label, start):
    path = write(tmp_path, f"time,mole_fraction\n{stamp},420\n")
    ds = read_table(path, replace(PLAIN, zone=zone, label=label))
    assert str(ds.time.values[0])[:16] == start


def test_an_hour_that_the_clock_change_repeats_is_refused(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-10-27 02:30,420\n")
    with pytest.raises(DataError, match="fixed offset"):
        read_table(path, replace(PLAIN, zone="Europe/Berlin"))


def test_a_stamp_with_an_offset_contradicts_a_declared_zone(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-06-01T00:00:00+08:00,420\n")
    with pytest.raises(DataError, match="own offset"):
        read_table(path, replace(PLAIN, zone="+08:00"))


@pytest.mark.parametrize("fill", ["1e36", "9.969209968386869e+36", "-999.99", "-9999", "0"])
def test_an_undeclared_fill_value_is_an_error_naming_file_field_row_and_value(tmp_path, fill):
    path = write(tmp_path, f"time,mole_fraction\n2024-06-01 00:00,420\n2024-06-01 01:00,{fill}\n")
    with pytest.raises(DataError) as caught:
        read_table(path, PLAIN)
    message = str(caught.value)
    for word in (str(path), "'mole_fraction'", "line 3", f"{float(fill):g}"):
        assert word in message


def test_a_declared_missing_value_is_missing_in_any_spelling(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-06-01 00:00,420\n2024-06-01 01:00,-999.990\n")
    ds = read_table(path, replace(PLAIN, missing=("-999.99", "n/a")))
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "missing"]


def test_ppb_declared_for_values_in_ppm_is_refused_as_implausible(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-06-01 00:00,420\n")
    with pytest.raises(DataError, match="another unit"):
        read_table(path, replace(PLAIN, unit="ppb"))
    with pytest.raises(DataError, match="'ppmv' is not a mole fraction"):
        read_table(path, replace(PLAIN, unit="ppmv"))


def test_a_wrong_column_name_lists_the_existing_columns(tmp_path):
    path = write(tmp_path, "when,co2\n2024-06-01 00:00,420\n")
    with pytest.raises(DataError, match="no column time, mole_fraction; the file has: when, co2"):
        read_table(path, PLAIN)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "0 lines"),
        ("time,mole_fraction\n", "1 lines"),
        ("time,mole_fraction\n2024-06-01,420,7\n", "line 2 has 3 fields"),
        ("time,mole_fraction\n2024-06-01,42O\n", "not a number"),
        ("time,mole_fraction\n2024-06-01,1_000\n", "not a number"),
        ("time,mole_fraction\n2024-06-01,inf\n", "not a number"),
        ("time,mole_fraction\n01.06.2024,420\n", "times cannot be read"),
        ("time,mole_fraction\n2024-06-01,420\n2024-06-01,421\n", "more than once"),
        ("time,mole_fraction,time\n2024-06-01,420,2\n", "more than once in the header"),
    ],
)
def test_a_broken_table_is_a_data_error(tmp_path, text, what):
    with pytest.raises(DataError, match=what):
        read_table(write(tmp_path, text), PLAIN)


def test_a_missing_file_and_a_binary_file_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv", PLAIN)
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"time,\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(binary, PLAIN)
    fake = write(tmp_path, "no netCDF", "fake.nc")
    with pytest.raises(DataError, match=r"fake\.nc: cannot be read as netCDF"):
        read_table(fake, PLAIN)


def test_provider_flags_reject_and_rejected_rows_may_hold_anything_but_fill(tmp_path):
    path = write(tmp_path, "time,mole_fraction,q\n2024-06-01 00:00,420,O\n2024-06-01 01:00,-7,K\n")
    flagged = replace(PLAIN, flag="q", good_flags=("O",))
    assert [FLAG_MEANINGS[f] for f in read_table(path, flagged).flag.values] == [
        "good",
        "rejected_by_provider",
    ]
    with pytest.raises(ConfigError, match="good_flags"):
        read_table(path, replace(PLAIN, flag="q"))


def test_a_datum_without_its_declared_uncertainty_is_flagged(tmp_path):
    path = write(tmp_path, "time,mole_fraction,sd\n2024-06-01 00:00,420,\n2024-06-01 01:00,421,0.2\n")
    ds = read_table(path, replace(PLAIN, sd={"noise": "sd"}))
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["uncertainty_missing", "good"]
    negative = write(tmp_path, "time,mole_fraction,sd\n2024-06-01 00:00,420,-9.99\n")
    with pytest.raises(DataError, match="'sd' is outside 0"):
        read_table(negative, replace(PLAIN, sd={"noise": "sd"}))


def test_sites_need_a_place(tmp_path):
    path = write(tmp_path, "time,mole_fraction,site\n2024-06-01 00:00,420,B\n")
    with pytest.raises(DataError, match="sites B have no place; the mapping lists: A"):
        read_table(path, replace(PLAIN, site="site"))
    with pytest.raises(ConfigError, match="must list one site"):
        read_table(path, replace(PLAIN, sites={}))


def test_places_can_be_columns(tmp_path):
    path = write(
        tmp_path, "time,mole_fraction,lat,lon,h\n2024-06-01,420,39.5,117,80\n2024-06-01,421,39.5,117,140\n"
    )
    ds = read_table(path, replace(PLAIN, latitude="lat", longitude="lon", inlet="h"))
    assert ds.inlet.values.tolist() == [80, 140]
    assert ds.latitude.values.tolist() == [39.5, 39.5]
    assert ds.longitude.values.tolist() == [117, 117]


def netcdf(tmp_path, units, value=420.0, time=None):
    path = tmp_path / "towers.nc"
    time = np.array(["2024-06-01"], "datetime64[ns]") if time is None else time
    xr.Dataset({"time": ("obs", time), "mole_fraction": ("obs", [value], {"units": units})}).to_netcdf(path)
    return path


def test_a_netcdf_that_says_another_unit_is_refused(tmp_path):
    assert read_table(netcdf(tmp_path, "umol mol-1"), PLAIN).mole_fraction.values[0] == pytest.approx(420e-6)
    with pytest.raises(DataError, match="in 'ppb' by the file, but 'ppm' is declared"):
        read_table(netcdf(tmp_path, "ppb"), PLAIN)
    with pytest.raises(DataError, match="in 'K' by the file"):
        read_table(netcdf(tmp_path, "K"), PLAIN)


def test_a_netcdf_fill_value_of_1e36_is_refused_and_a_declared_one_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"row 0: 1e\+36"):
        read_table(netcdf(tmp_path, "ppm", 1e36), PLAIN)
    ds = read_table(netcdf(tmp_path, "ppm", 1e36), replace(PLAIN, missing=("1e36",)))
    assert FLAG_MEANINGS[int(ds.flag[0])] == "missing"


def test_netcdf_times_without_units_are_refused(tmp_path):
    with pytest.raises(DataError, match="expected text or CF times"):
        read_table(netcdf(tmp_path, "ppm", time=np.array([1717200000])), PLAIN)


def test_a_gas_without_a_known_range_must_declare_one(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-06-01 00:00,0.01\n")
    with pytest.raises(ConfigError, match="plausible"):
        read_table(path, replace(PLAIN, species="sf6", unit="ppb"))
    assert read_table(path, replace(PLAIN, species="sf6", unit="ppb", plausible=(0, 1))).sizes["obs"] == 1


def test_an_unknown_zone_and_label_are_config_errors(tmp_path):
    path = write(tmp_path, "time,mole_fraction\n2024-06-01 00:00,420\n")
    with pytest.raises(ConfigError, match="time zone 'Mars/Olympus'"):
        read_table(path, replace(PLAIN, zone="Mars/Olympus"))
    with pytest.raises(ConfigError, match="label 'left'"):
        read_table(path, replace(PLAIN, label="left"))
