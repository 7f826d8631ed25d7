import warnings

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, TruncatedFileWarning
from observations.formats.icos import read_icos
from observations.formats.series import Supplement

HEADER = """# PARAMETER: {species}
# TOTAL LINES: {total}
# HEADER LINES: 10
# LATITUDE: 51.9975 N
# LONGITUDE: {longitude}
# TIME INTERVAL: hourly
# MEASUREMENT UNIT: {unit}
# TIME ZONE: {zone}
# MEASUREMENT SCALE: {scale}
#Site;SamplingHeight;Year;Month;Day;Hour;Minute;DecimalDate;{column};Stdev;NbPoints;Flag;InstrumentId
"""
ROWS = (
    "RGL;90.0;2021;02;26;12;00;2021.1;2045.790;9.801;49;O;115",
    "RGL;90.0;2021;02;26;13;00;2021.1;2013.880;17.607;49;U;115",
    "RGL;90.0;2021;02;26;14;00;2021.1;1987.810;2.719;49;R;530",
    "RGL;90.0;2021;02;26;15;00;2021.1;-999.990;-9.990;0;N;82",
    "RGL;90.0;2021;02;26;16;00;2021.1;1950.000;1.0;49;K;115",
    "RGL;90.0;2021;02;26;17;00;2021.1;1950.000;1.0;49;H;115",
    "RGL;90.0;2021;02;26;18;00;2021.1;-999.99;-9.99;;O;115",
    "RGL;90.0;2021;02;26;19;00;2021.1;1951.000;-9.990;1;O;115",
)


def write(tmp_path, rows=ROWS, **changes):
    words = {
        "species": "CH4",
        "column": "ch4",
        "total": 10 + len(rows),
        "longitude": "-2.5399 E",
        "unit": "nmol.mol-¹",
        "zone": "UTC +0",
        "scale": "530: Unknown; 115: WMO X2004A",
    } | changes
    path = tmp_path / "sample.CH4"
    path.write_text(HEADER.format(**words) + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def meanings(ds):
    return [FLAG_MEANINGS[f] for f in ds.flag.values]


def test_flags_scales_and_missing_values_each_keep_their_own_reason(tmp_path):
    ds = read_icos(write(tmp_path))
    assert meanings(ds) == [
        "good",
        "good",
        "unknown_scale",
        "rejected_by_provider",
        "rejected_by_provider",
        "rejected_by_provider",
        "missing",
        "uncertainty_missing",
    ]
    assert ds.attrs["scale"] == "WMO CH4 X2004A"
    assert np.isnan(ds.mole_fraction.values[[3, 6]]).all()
    assert ds.mole_fraction.values[0] == pytest.approx(2045.790e-9, rel=1e-15)
    assert ds.random_sd.values[1, 0] == pytest.approx(17.607e-9, rel=1e-15)


def test_an_unknown_scale_is_used_only_when_accepted_and_then_said(tmp_path):
    ds = read_icos(write(tmp_path), Supplement(accept_unknown_scale=True))
    assert meanings(ds)[2] == "good"
    assert ds.attrs["scale"] == "WMO CH4 X2004A and unknown"


def test_one_scale_for_all_instruments_is_understood(tmp_path):
    ds = read_icos(write(tmp_path, scale="WMO CH4 X2004A"))
    assert meanings(ds)[2] == "good"
    assert ds.attrs["scale"] == "WMO CH4 X2004A"


def test_rows_on_two_scales_are_refused(tmp_path):
    with pytest.raises(DataError, match="WMO CH4 X2004, WMO CH4 X2004A"):
        read_icos(write(tmp_path, scale="530: WMO X2004; 115: WMO X2004A"))


def test_a_truncated_file_is_read_with_a_typed_warning(tmp_path):
    path = write(tmp_path, total=27189)
    with pytest.warns(TruncatedFileWarning, match="18 lines of the 27189"):
        ds = read_icos(path)
    assert ds.sizes["obs"] == 8


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"unit": "ppbv"}, "'ppbv' is not a mole fraction"),
        ({"unit": "µmol mol⁻¹"}, "another unit"),
        ({"zone": "UTC +1"}, "'TIME ZONE' is 'UTC \\+1'"),
        ({"longitude": "-2.5 W"}, "'LONGITUDE' is '-2.5 W'"),
        ({"total": 12}, "18 lines, but 'TOTAL LINES' says 12"),
        ({"total": "many"}, "'TOTAL LINES' is 'many'"),
        ({"species": "C14"}, "'PARAMETER' is 'c14'"),
        ({"column": "co2"}, "no column ch4; the file has: Site"),
        ({"rows": ()}, "without data rows"),
        (
            {"rows": (ROWS[0].replace("2045.790", "1e36"),)},
            "all 1 values of ch4 are outside .* first 1e\\+36; another unit",
        ),
        ({"rows": (ROWS[0].replace("2045.790", "-99.99"),)}, "first -99.99; another unit"),
        ({"rows": (ROWS[0], ROWS[0])}, "more than once"),
        ({"rows": (ROWS[0] + ";1",)}, "has 14 fields, expected 13"),
        ({"rows": (ROWS[0].replace(";02;26;", ";02;30;"),)}, "times cannot be read"),
        ({"scale": "ship: WMO X2004A"}, "'MEASUREMENT SCALE' is"),
    ],
)
def test_a_header_or_row_out_of_the_format_is_a_data_error(tmp_path, changes, what):
    with pytest.raises(DataError, match=what):
        read_icos(write(tmp_path, **changes))


def test_other_files_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_icos(tmp_path / "none.CH4")
    other = tmp_path / "other.csv"
    other.write_text("time,co2\n1,2\n")
    with pytest.raises(DataError, match="expected an ICOS ATC file"):
        read_icos(other)


@pytest.mark.realdata
def test_ridge_hill_has_13_usable_hours_of_49(data_root):
    path = data_root / "observations/icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
    with pytest.warns(TruncatedFileWarning, match="94 lines of the 27189"):
        ds = read_icos(path)
    assert ds.sizes["obs"] == 49
    good = ds.isel(obs=ds.flag.values == 0)
    assert good.sizes["obs"] == 13
    assert good.datum_id.values[0] == "RGL:ch4:90:2021-02-26T12:00:00"
    assert good.mole_fraction.values[[0, -1]] == pytest.approx([2045.79e-9, 2001.63e-9], rel=1e-12)
    assert good.n_samples.values[5] == 37
    assert np.all(ds.time_bounds.values[:, 1] - ds.time_bounds.values[:, 0] == np.timedelta64(1, "h"))
    assert (ds.latitude.values[0], ds.longitude.values[0]) == (51.9975, -2.5399)
    assert ds.attrs["scale"] == "WMO CH4 X2004A"


@pytest.mark.realdata
def test_ridge_hill_is_unchanged_by_accepting_an_instrument_without_rows(data_root):
    path = data_root / "observations/icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        assert read_icos(path).identical(read_icos(path, Supplement(accept_unknown_scale=True)))
