# ruff: noqa: E501 - lines of real formats are long
"""Damaged files of every text format: a typed error or a dataset that keeps the contract, nothing else.

METROFLUX_FUZZ sets how many mutations each reader gets (here 120, to keep time); 10,000 is the full count:
METROFLUX_FUZZ=10000 pytest tests/observations/test_obs_fuzz_formats.py -k <reader>.
"""

import os
import random
import time
import warnings

import numpy as np
import pytest

from metroflux import schema
from metroflux.errors import MetrofluxError
from observations.columns import ColumnMapping, read_columns
from observations.dataset import TruncatedFileWarning
from observations.edits import read_edits
from observations.flux_lidar.halo import read_background, read_halo
from observations.formats.series import Supplement
from observations.recognise import read
from observations.table import Site, TableMapping, read_table

COUNT = int(os.environ.get("METROFLUX_FUZZ", "120"))
ANYWHERE = Site(40.0, 116.0)

ICOS = """# PARAMETER: CO2
# TOTAL LINES: 14
# HEADER LINES: 10
# LATITUDE: 51.9975 N
# LONGITUDE: 2.5 W
# TIME INTERVAL: hourly
# MEASUREMENT UNIT: µmol.mol-¹
# TIME ZONE: UTC
# MEASUREMENT SCALE: 115: WMO CO2 X2019; 530: Unknown
#Site;SamplingHeight;Year;Month;Day;Hour;Minute;co2;Stdev;NbPoints;Flag;InstrumentId
A;90.0;2021;02;26;00;00;410.5;0.3;49;O;115
A;90.0;2021;02;26;01;00;411.5;0.3;49;O;530
A;90.0;2021;02;26;02;00;-999.990;-9.990;0;N;82
A;90.0;2021;02;26;03;00;413.5;0.3;49;U;115
"""
CITIES = """# TOTAL LINES: 16
# HEADER LINES: 13
# STATION CODE: TUMR
# LATITUDE: 48.150733
# LONGITUDE: 11.569168
# SAMPLING HEIGHTS: 31.06 m agl
# PARAMETER: co2
# TIME INTERVAL: hourly
# MEASUREMENT UNIT: µmol/mol
# TIME ZONE: Central European Time (UTC+1)
# MEASUREMENT SCALE: WMO-CO2-X2019
#   - Times are UTC+0; values are reported at the middle of the averaging interval.
#Datetime;Year;Month;Day;Hour;Minute;Second;DecimalDate;co2;NbPoints;Stdev;Flag;OriginalFlag
2024-07-30 09:30:00;2024;7;30;9;30;0;2024.579167;422.46863;8;11.083736;K;389
2024-07-30 10:30:00;2024;7;30;10;30;0;2024.579281;425.91275;33;3.6109574;O;0
2024-07-30 11:30:00;2024;7;30;11;30;0;2024.579395;425.9;60;3.6;O;0
"""
NOAA = """# number_of_header_lines: 2
# data_fields: sample_site_code sample_year sample_month sample_day sample_hour sample_minute sample_seconds \
sample_id sample_method parameter_formula analysis_group_abbr analysis_value analysis_uncertainty \
analysis_flag analysis_instrument analysis_year analysis_month analysis_day analysis_hour analysis_minute \
analysis_seconds sample_latitude sample_longitude sample_altitude sample_elevation sample_intake_height \
event_number
SCS 1991 07 05 17 00 00 3254-66 T ch4 CCGG 1713.210 2.400 ... CS 1991 08 13 14 30 00 6.05 107.98 20.0 0.0 20.0 1
SCS 1991 07 05 17 00 00 3254-66 T ch4 CCGG 1710.440 2.400 ... CS 1991 08 13 14 47 00 6.05 107.98 20.0 0.0 20.0 1
SCS 1991 07 13 15 05 00 3258-66 T ch4 CCGG -999.990 -999.990 N.. CS 1991 08 14 13 06 00 6.03 107.05 20.0 0.0 20.0 2
"""
WDCGG = """# header_lines : 14
# site_gaw_id : SYO
# dataset_parameter : ch4
# dataset_selection_tag : event
# dataset_time_zone : UTC
# dataset_end_date : 1986-02-16T06:00:00Z
# scale_1_code : 3
# scale_1_name : WMO CH4 X2004A
# value:_FillValue : -999.999
# value:units : ppb
# value_unc:_FillValue : -999.999
# nvalue:_FillValue : -9
# intake_height:_FillValue : -999.999
# site_gaw_id year month day hour minute second value value_unc nvalue latitude longitude intake_height QCflag \
scale
SYO 1986 01 25 18 00 00 1618.24 4.59 -9 -69.0 39.575 3.0 3 3
SYO 1986 01 25 18 00 00 1616.36 4.59 1 -69.0 39.575 3.0 1 3
SYO 1986 02 16 06 00 00 1603.8 -999.999 -9 -69.0 39.575 -999.999 2 3
"""
GCWERKS = """Created: 28 Sep 20 07:34 GMT
     -      -         -    -       ch4     ch4   ch4       co2     co2   co2
  date   time      type port         C   stdev     N         C   stdev     N
140130 110930       air    9       nan     nan   nan       nan     nan   nan
140130 111230       air    9   1959.55   0.790    26    409.55   0.055    26
140130 111330       air    9   1961.27   0.789    26    409.73   0.043    26
140130 111430       std    9   1961.15   0.575    25    409.70   0.034    25
"""
AGAGE = """Created:  1 Feb 21 21:06 GMT
shangdianzi-medusa
 Scale:  -- -- -- -- -- -- -- -- -- -- -- -- SIO-12 -- SIO-05 --
  Unit:  -- -- -- -- -- -- -- -- -- -- -- -- ppt -- ppt --
  Year yyyy mm dd hh mi ryyy rm rd rh ri Inlet Standard NF3 Flag SF6 Flag
2018.041914 2018 01 16 07 10 2018 01 16 07 39 ASM SDZ170911001 nan --B- nan --B-
2018.042161 2018 01 16 09 20 2018 01 16 09 49 ASM SDZ170911001 2.172 --P- 9.743 --B-
2018.042409 2018 01 16 11 30 2018 01 16 11 59 ASM SDZ170911001 2.077 --B- 9.8 F-B-
"""
PRECISIONS = """# Created:  1 Feb 21 21:06 GMT
# Standard reported (area or height) CONCENTRATION standard deviations with 3-sigma filter
#
#             NF3           SF6
# Date          s   n         s   n
 180116   0.02777   7   0.04499   7
 180117   0.06193   8   0.03676   8
 180118   0.05049  11       nan   0
"""
ICOS_PLAIN = """Site Year Month Day Hour Minute Date co2 Stdev NbPoints Flag QualityId LastModifiedYear AutoDescriptiveFlag
TTA 2011 03 29 23 59 2011.241094 -999.990 -9.990 0 N 38938 2015 too windy
TTA 2011 03 30 08 52 2011.242108 401.645 0.087 13 U 38881 2015
TTA 2011 03 30 17 42 2011.243116 397.473 0.082 14 O 38881 2015
"""
BEACO2N = """local_timestamp,datetime,node_id,epoch,julian_day,co2_ppm,co2_ppm_QC_level
2021-07-15 04:00:00,2021-07-15 11:00:00,175,1626346800.0,196.4,-999,
2021-07-15 05:00:00,2021-07-15 12:00:00,175,1626350400.0,196.5,410.7,1a
2021-07-15 06:00:00,2021-07-15 13:00:00,175,1626354000.0,196.5,408.7,1a
"""
EM27 = """UTC, LocalTime, spectrum, JulianDate, gndP, gndT, latdeg, londeg, XAIR, XCO2
2017-06-08 05:46:19, 2017-06-08 08:46:19, 170608.BIN, 2457912.74050, 998.86, 287.25, 67.36, 26.63, 1.0, 4.05953e+02
2017-06-08 06:39:32, 2017-06-08 09:39:32, 170608.BIN, 2457912.77746, 998.72, 287.25, 67.36, 26.63, 1.0, 4.06075e+02
"""
PROFFAST1 = """JulianDate,HHMMSS_ID,SX,gndP,gndT,latdeg,londeg,altim,XAIR,XCO2
2459732.71851,051433,SN,998.2,294.07,48.148,16.438,180.0,1.00337,418.162
2459732.71902,051517,SN,998.2,294.07,48.148,16.438,180.0,1.00321,0.0
"""
TABLE = "time,mole_fraction,sd,n\n2024-06-01 00:00,420.5,0.1,60\n2024-06-01 01:00,-999,0.1,0\n"
SOUNDINGS = (
    "value,uncertainty,time,latitude_center,longitude_center,obs_kernel,ref_profile,qa_value\n"
    + '1860,20,2022-12-07 03:44:25,-23,148,"[0.7, 1.0]","[9e36]",1\n' * 2
)
EDITS = "site,instrument,start,end,reason,who,when\nA,*,2024-06-01,2024-06-02,pump,M. Li,2024-07-02\n"
MAPPING = TableMapping("co2", "ppm", {"A": ANYWHERE}, sd={"noise": "sd"}, n_samples="n", missing=("-999",))


def by_format(name, gas):
    return lambda path: read(path, name, Supplement(species=gas, anywhere=ANYWHERE))


def by_precisions(path):
    """Read the AGAGE seed with the damaged precisions beside it."""
    data = path.with_suffix(".C")
    data.write_text(AGAGE)
    return read(data, "agage-text", Supplement("sf6", anywhere=ANYWHERE, uncertainty_file=path))


def by_icos_plain(path):
    given = Supplement("co2", anywhere=ANYWHERE, scale="WMO CO2 X2019", averaging_s=60.0)
    return read(path, "icos-plain", given)


READERS = {
    "icos": (ICOS, by_format("icos", "co2")),
    "icos-plain": (ICOS_PLAIN, by_icos_plain),
    "agage-precisions": (PRECISIONS, by_precisions),
    "icos-cities": (CITIES, by_format("icos-cities", "co2")),
    "noaa-event": (NOAA, by_format("noaa-event", "ch4")),
    "wdcgg": (WDCGG, by_format("wdcgg", "ch4")),
    "gcwerks": (GCWERKS, lambda path: read(path, "gcwerks", Supplement("ch4", {"BSD": ANYWHERE}))),
    "agage-text": (AGAGE, by_format("agage-text", "sf6")),
    "beaco2n": (BEACO2N, by_format("beaco2n", "co2")),
    "em27": (EM27, by_format("em27", "co2")),
    "proffast1": (PROFFAST1, by_format("em27", "co2")),
    "table": (TABLE, lambda path: read_table(path, MAPPING)),
    "columns": (SOUNDINGS, lambda path: read_columns(path, ColumnMapping())),
    "edits": (EDITS, read_edits),
}
WORDS = [
    b"1e36", b"-999.99", b"nan", b"inf", b"-inf", b"1e400", b"", b"0", b"-1", b"99999999999999999999", b"1_0",
    b"0x1p3", "٤٢٠".encode(), b"\xff\xfe", b"\x00", b'"', b"[", b"#", b";", b",", b" ", b"\n", b"\r\n", b"\t",
    b"9999", b"0001", b"02-30", b"2024-13-01", b"Unknown", b"\xc2\xb5", b"e", b".", b"--", b"1e-320",
]  # fmt: skip


def mutate(text, dice):
    """Return a file with up to four kinds of damage: words, bytes, lines, cuts."""
    data = text.encode("utf-8")
    for _ in range(dice.randint(1, 4)):
        at, kind = dice.randrange(len(data) + 1), dice.randrange(8)
        if kind < 3:
            data = data[:at] + dice.choice(WORDS) + data[at + dice.choice([0, 1, 3, 8]) :]
        elif kind == 3:
            data = data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        elif kind == 4:
            data = data[:at] + data[at + dice.randint(1, 40) :]
        elif kind == 5:
            data = data[:at] if dice.random() < 0.3 else data
        else:
            lines = data.split(b"\n")
            n, m = dice.randrange(len(lines)), dice.randrange(len(lines))
            if kind == 6:
                lines.insert(n, lines[m])
            else:
                lines[n], lines[m] = lines[m], lines[n]
            data = b"\n".join(lines)
    return data


def check(ds):
    """Stop if a dataset that came of a damaged file breaks the contract or hides anything."""
    schema.check(ds, "observations")
    used = ds.flag.values == 0
    values = ds.mole_fraction.values
    assert np.isfinite(values[used]).all()
    assert (values[used] >= 0).all()
    assert (ds.flag.values[np.isnan(values)] != 0).all()
    assert np.isfinite(ds.random_sd.values).all()
    assert (np.abs(ds.latitude.values) <= 90).all()
    years = ds.time_bounds.values.astype("datetime64[Y]").astype(int) + 1970
    assert ((years >= 1899) & (years <= 2201)).all()


def attempt(reader, data, path):
    """Read a file of these bytes; return the dataset, or None for a typed error."""
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", TruncatedFileWarning)
        try:
            return reader(path)
        except MetrofluxError:
            return None


@pytest.mark.parametrize("name", READERS)
@pytest.mark.timeout(0 if COUNT > 2000 else 120)
def test_a_damaged_file_is_a_typed_error_or_a_valid_dataset(name, tmp_path):
    text, reader = READERS[name]
    dice = random.Random(f"metroflux {name}")
    path, read_well, slowest = tmp_path / "file.csv", 0, 0.0
    for _ in range(COUNT):
        data = mutate(text, dice)
        began = time.process_time()
        ds = attempt(reader, data, path)
        slowest = max(slowest, time.process_time() - began)
        if ds is not None and name != "edits":
            check(ds)
        read_well += ds is not None
    print(f"{name}: {COUNT} mutations, {read_well} read, slowest {slowest * 1e3:.0f} ms")  # noqa: T201
    assert slowest < 5
    # a mutator that always destroys the file would prove nothing
    assert 0.02 * COUNT < read_well < COUNT


@pytest.mark.parametrize(
    "name", [name for name in READERS if name not in ("edits", "columns", "agage-precisions")]
)
def test_a_file_cut_inside_a_line_is_never_silently_shorter(name, tmp_path):
    text, reader = READERS[name]
    data, path = text.encode("utf-8"), tmp_path / "file.csv"
    whole = attempt(reader, data, path).sizes["obs"]
    last_line = data.rstrip(b"\n").rfind(b"\n") + 1
    # within the last field a cut cannot be told from a shorter number
    last_field = last_line + max(data[last_line:].rstrip().rfind(mark) for mark in (b";", b",", b" "))
    path.write_bytes(data)
    for at in range(last_line + 1, last_field, 3):
        path.write_bytes(data[:at])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                ds = reader(path)
            except MetrofluxError:
                continue
        told = any(issubclass(w.category, TruncatedFileWarning) for w in caught)
        assert told or ds.sizes["obs"] == whole


HALO = """Filename:\tX.hpl
System ID:\t7
Number of gates:\t3
Range gate length (m):\t30.0
Gate length (pts):\t10
No. of rays in file:\t1
Scan type:\tStare
Start time:\t20240101 23:59:58.00
****
23.999400   0.00  90.00
  0 0.4500 1.500000  1.0E-6
  1 0.5500 1.500000  1.0E-6
  2 0.6500 1.500000  1.0E-6
0.000600   0.00  90.00
  0 0.4500 1.500000  1.0E-6
  1 0.5500 1.500000  1.0E-6
  2 0.6500 1.500000  1.0E-6
"""
NOISE = "610890.000000\n14318556.375000\n16794008.750000\n16789466.250000\n"


@pytest.mark.timeout(0 if COUNT > 2000 else 120)
@pytest.mark.parametrize(("name", "text"), [("X.hpl", HALO), ("Background_010124-000000.txt", NOISE)])
def test_a_damaged_lidar_file_is_a_typed_error_or_possible_numbers(name, text, tmp_path):
    dice, read_well = random.Random(f"metroflux {name}"), 0
    reader = read_halo if name == "X.hpl" else read_background
    for _ in range(COUNT):
        found = attempt(reader, mutate(text, dice), tmp_path / name)
        read_well += found is not None
        if name == "X.hpl" and found is not None:
            assert not (np.abs(found.velocity) > 1e4).any()
            assert abs(found.time - np.datetime64("2024-01-02")).max() < np.timedelta64(200 * 366, "D")
        elif found is not None:
            assert (np.isfinite(found[1]) & (found[1] >= 0)).all()
    print(f"{name}: {COUNT} mutations, {read_well} read")  # noqa: T201
    assert 0.02 * COUNT < read_well < COUNT
