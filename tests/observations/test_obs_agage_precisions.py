"""AGAGE precisions: the random error of a .C file, from the file beside it, by day."""

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.dataset import FLAG_MEANINGS, TruncatedFileWarning
from observations.formats.agage_precisions import read_precisions
from observations.formats.series import Supplement
from observations.recognise import read
from observations.table import Site

SDZ = {"shangdianzi": Site(40.65, 117.12)}
TEXT = """# Created:  1 Feb 21 21:06 GMT
# Standard reported (area or height) CONCENTRATION standard deviations with 3-sigma filter
#
#             NF3           SF6
# Date          s   n         s   n
 180117   0.06193   8   0.03676   8
 180116   0.02777   7   0.04499   7
 991231       nan   0   0.04000   1
 180118   0.05000   9   0.00000   9
"""
DATA = """Created:  1 Feb 21 21:06 GMT
shangdianzi-medusa
 Scale:  -- -- -- -- -- -- -- -- -- -- -- -- SIO-05 --
  Unit:  -- -- -- -- -- -- -- -- -- -- -- -- ppt --
  Year yyyy mm dd hh mi ryyy rm rd rh ri Inlet Standard SF6 Flag
2018.0 2018 01 16 23 50 2018 01 16 07 39 ASM SDZ170911001 9.7 --B-
2018.0 2018 01 17 00 05 2018 01 16 09 49 ASM SDZ170911001 9.8 --P-
2018.0 2018 01 19 11 30 2018 01 16 11 59 ASM SDZ170911001 9.9 --B-
"""


def write(tmp_path, text=TEXT):
    path = tmp_path / "sdz.precisions.C"
    path.write_text(text)
    return path


def test_each_datum_gets_the_standard_deviation_of_its_day_and_none_on_other_days(tmp_path):
    data = tmp_path / "sdz.C"
    data.write_text(DATA)
    given = Supplement(sites=SDZ, uncertainty_file=write(tmp_path))
    ds = read(data, given=given)
    assert ds.random.values.tolist() == ["repeatability"]
    assert ds.random_sd.values[:, 0] == pytest.approx([0.04499e-12, 0.03676e-12, 0.0], rel=1e-12)
    assert [FLAG_MEANINGS[f] for f in ds.flag.values] == ["good", "good", "uncertainty_missing"]
    assert read(data, given=Supplement(sites=SDZ)).sizes["random"] == 0


def test_days_are_in_order_and_one_measurement_or_a_zero_is_no_standard_deviation(tmp_path):
    found = read_precisions(write(tmp_path))
    assert found.day.astype(str).tolist() == ["1999-12-31", "2018-01-16", "2018-01-17", "2018-01-18"]
    assert list(found.sd) == ["nf3", "sf6"]
    np.testing.assert_array_equal(found.sd["sf6"], [np.nan, 0.04499, 0.03676, np.nan])


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("# Date          s   n         s   n", "# Day s n s n", "no header line '# Date s n ...'"),
        ("s   n         s   n\n", "s   n\n", "2 gases, but not an 's' and an 'n' of each"),
        ("NF3           SF6", "SF6   SF6", "a gas is named more than once"),
        (" 180117 ", " 180116 ", "1 days are there twice"),
        (" 180117 ", " 180140 ", "times cannot be read"),
        (" 180117 ", " 18-1-17 ", "'Date' is not six digits in 1 rows, first line 6: '18-1-17'"),
        ("0.06193", "-0.0619", "'nf3 s' is -0.0619; expected none below 0"),
        ("0.06193   8", "0.06193   ten", "'nf3 n' is not a number"),
        ("0.06193   8", "0.06193   1e36", "'nf3 n' is outside 0 to 2.14748e\\+09 measurements"),
        ("0.06193   8", "0.06193", "line 7 has 5 fields, expected 4"),
    ],
)
def test_a_precisions_file_out_of_the_format_is_a_data_error(tmp_path, old, new, what):
    assert old in TEXT
    with pytest.raises(DataError, match=what):
        read_precisions(write(tmp_path, TEXT.replace(old, new, 1)))


def test_a_precisions_file_that_breaks_off_is_told(tmp_path):
    path = write(tmp_path, TEXT.rstrip()[:-4])
    with pytest.warns(TruncatedFileWarning, match="line 9 breaks off and is left out"):
        found = read_precisions(path)
    assert found.day.size == 3


def test_a_gas_without_any_standard_deviation_and_another_format_are_refused(tmp_path):
    found = read_precisions(write(tmp_path))
    with pytest.raises(DataError, match="no cf4; the file has: nf3, sf6"):
        found.at("cf4", found.day.astype("datetime64[ns]"))
    with pytest.raises(
        DataError, match="no standard deviation of sf6 on any day of 2018-01-18 to 2018-01-18"
    ):
        found.at("sf6", np.array(["2018-01-18T12"], "datetime64[ns]"))
    data = tmp_path / "sdz.C"
    data.write_text(DATA)
    with pytest.raises(
        DataError, match="uncertainty_file is given, but noaa-event takes none; expected agage"
    ):
        read(data, "noaa-event", Supplement(uncertainty_file=write(tmp_path)))


@pytest.mark.realdata
def test_shangdianzi_takes_its_sf6_repeatability_of_the_day_from_the_file_beside(data_root):
    folder = data_root / "observations/agage"
    beside = folder / "shangdianzi-medusa.18.precisions.C"
    given = Supplement("sf6", SDZ, uncertainty_file=beside)
    ds = read(folder / "shangdianzi-medusa.18.C", given=given)
    good = ds.flag.values == 0
    assert good.sum() == 5
    # 16 January: 0.04499 ppt by 7 measurements of the standard
    assert ds.random_sd.values[good, 0] == pytest.approx(np.full(5, 0.04499e-12), rel=1e-12)
    found = read_precisions(beside)
    assert (len(found.sd), found.day.size, found.count["sf6"][0]) == (61, 6, 7)
    with pytest.raises(DataError, match="no standard deviation of pfc-116 on any day of 2018-01-16"):
        read(folder / "shangdianzi-medusa.18.C", given=Supplement("pfc-116", SDZ, uncertainty_file=beside))
