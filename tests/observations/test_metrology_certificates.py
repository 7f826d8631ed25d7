"""Certificates: PTB's own examples, a gas mixture, hostile XML, and the tanks CSV."""

from dataclasses import replace

import numpy as np
import pytest

from metroflux.errors import DataError
from observations.metrology.certificates import COLUMNS, Standard, covariance, read_tanks, valid_for
from observations.metrology.dcc import read_dcc, standard_of
from observations.metrology.revision import describe

GAS = """<?xml version="1.0" encoding="utf-8"?>
<dcc:digitalCalibrationCertificate xmlns:dcc="https://ptb.de/dcc" xmlns:si="https://ptb.de/si"
    schemaVersion="3.2.1">
  <dcc:administrativeData>
    <dcc:coreData><dcc:uniqueIdentifier>GAS-0042</dcc:uniqueIdentifier>
      <dcc:endPerformanceDate>2024-02-01</dcc:endPerformanceDate></dcc:coreData>
    <dcc:items><dcc:item><dcc:identifications><dcc:identification>
      <dcc:value>CB12345</dcc:value></dcc:identification></dcc:identifications></dcc:item></dcc:items>
  </dcc:administrativeData>
  <dcc:measurementResults><dcc:measurementResult><dcc:results><dcc:result><dcc:data>
    <dcc:quantity refType="co2"><dcc:name><dcc:content lang="en">CO2 in air</dcc:content></dcc:name>
      <si:real><si:value>420.15</si:value><si:unit>\\micro\\mole\\per\\mole</si:unit>UNCERTAINTY</si:real>
    </dcc:quantity>
  </dcc:data></dcc:result></dcc:results></dcc:measurementResult></dcc:measurementResults>
</dcc:digitalCalibrationCertificate>
"""
OLD = """<si:expandedUnc><si:uncertainty>0.14</si:uncertainty><si:coverageFactor>2</si:coverageFactor>
<si:coverageProbability>0.95</si:coverageProbability></si:expandedUnc>"""
NEW = """<si:measurementUncertaintyUnivariate><si:expandedMU><si:valueExpandedMU>0.14</si:valueExpandedMU>
<si:coverageFactor>2</si:coverageFactor></si:expandedMU></si:measurementUncertaintyUnivariate>"""
PLAIN = """<si:measurementUncertaintyUnivariate><si:standardMU><si:valueStandardMU>0.07</si:valueStandardMU>
</si:standardMU></si:measurementUncertaintyUnivariate>"""


@pytest.fixture
def gas(tmp_path):
    def make(uncertainty=OLD, **replacements):
        text = GAS.replace("UNCERTAINTY", uncertainty)
        for old, new in replacements.values():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "gas.xml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize("uncertainty", [OLD, NEW, PLAIN])
def test_both_generations_of_uncertainty_give_the_same_standard(gas, uncertainty):
    tank = standard_of(gas(uncertainty), "co2", "co2", "WMO CO2 X2019", "X2019-primary")
    assert (tank.certificate, tank.tank, tank.parent) == ("GAS-0042", "CB12345", "X2019-primary")
    assert tank.value == pytest.approx(420.15e-6, rel=1e-14)
    assert tank.sd == pytest.approx(0.07e-6, rel=1e-14)
    assert tank.valid_from == np.datetime64("2024-02-01")


@pytest.mark.realdata
def test_one_coverage_factor_and_one_uncertainty_hold_for_the_whole_list(data_dir):
    folder = data_dir / "observations" / "dcc"
    temperature = read_dcc(folder / "dcc_gp_temperature_typical_v12.xml")
    assert temperature.identifier == "GP_DCC_temperature_typical_1.2"
    error = next(q for q in temperature.quantities if q.kind == "basic_measurementError")
    assert error.unit == r"\kelvin"
    np.testing.assert_array_equal(error.value, [0.072, 0.089, 0.107, -0.009, -0.084])
    np.testing.assert_allclose(error.sd, np.full(5, 0.061 / 2), rtol=1e-15)
    np.testing.assert_array_equal(error.k, np.full(5, 2.0))
    humidity = read_dcc(folder / "dcc_gp_humidity_v1.0.xml")
    error = next(q for q in humidity.quantities if q.kind == "basic_measurementError")
    np.testing.assert_allclose(error.sd, np.array([6, 8, 10, 11, 10, 8, 6]) / 2000, rtol=1e-15)
    assert error.name == "Measurement error"


@pytest.mark.realdata
def test_limits_and_conditions_are_not_taken_for_results(data_dir):
    quantities = read_dcc(data_dir / "observations/dcc/dcc_gp_temperature_typical_v12.xml").quantities
    kinds = [q.kind for q in quantities]
    assert kinds == ["basic_referenceValue", "basic_measuredValue", "basic_measurementError"]
    assert quantities[0].sd is None


@pytest.mark.realdata
def test_another_schema_is_refused(data_dir):
    with pytest.raises(DataError, match=r"schema version '2\.4\.0'; expected 3\.x\.y"):
        read_dcc(data_dir / "observations/dcc/siliziumkugel_wrong_schema.xml")


@pytest.mark.parametrize("uncertainty", [OLD, NEW])
def test_a_missing_coverage_factor_is_refused(gas, uncertainty):
    without = uncertainty.replace("<si:coverageFactor>2</si:coverageFactor>", "")
    with pytest.raises(DataError, match="line 12: an expanded uncertainty without a coverage factor"):
        read_dcc(gas(without))


EXTERNAL = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
LAUGHS = (
    "<!DOCTYPE x ["
    + '<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {new} "{"&" + old + ";" * 1}{("&" + old + ";") * 9}">'
        for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)


@pytest.mark.parametrize(("dtd", "entity"), [(EXTERNAL, "&secret;"), (LAUGHS, "&j;"), (LAUGHS, "")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_and_billion_laughs_are_refused(tmp_path, dtd, entity, encoding):
    text = GAS.replace("UNCERTAINTY", OLD).replace("CB12345", f"CB{entity}")
    text = text.replace("?>\n", f"?>\n{dtd}\n", 1).replace('encoding="utf-8"', f'encoding="{encoding}"')
    path = tmp_path / "hostile.xml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=r"DOCTYPE|not XML"):
        read_dcc(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("420.15", "many", "expected numbers"),
        ("420.15", "nan", "expected finite numbers"),
        ("420.15", "420 421", "2 values|0.14|one value"),
        (r"\micro\mole\per\mole", r"\kelvin", "not a mole fraction"),
        ('refType="co2"', 'refType="ch4"', "0 quantities 'co2'; expected one value; it has ch4"),
        (">0.14<", ">-0.14<", "none below 0"),
        (">2<", ">0.5<", "coverage factor 0.5; expected at least 1"),
        ("GAS-0042", "", "no uniqueIdentifier"),
        ("2024-02-01", "01.02.2024", "endPerformanceDate"),
        ("dcc:result>", "dcc:other>", "no quantity"),
        ("digitalCalibrationCertificate", "somethingElse", "root is"),
        ("</dcc:administrativeData>", "", "not XML"),
    ],
)
def test_wrong_certificates_are_refused_with_the_reason(gas, old, new, message):
    with pytest.raises(DataError, match=message):
        standard_of(gas(OLD, swap=(old, new)), "co2", "co2", "scale", "")


HEADER = ",".join(COLUMNS)
ROWS = [
    "C1,T1,co2,400.00,ppm,0.14,2,WMO CO2 X2019,2024-01-01,2027-01-01,P1,0.10",
    "C2,T2,co2,450.00,ppm,0.18,2,WMO CO2 X2019,2024-01-01,,P1,0.10",
    "C3,T3,co2,425.00,ppm,0.16,2,WMO CO2 X2019,2024-01-01,,,",
]


def tanks(tmp_path, rows):
    path = tmp_path / "tanks.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_tanks_of_one_parent_share_its_error_and_no_other(tmp_path):
    got = read_tanks(tanks(tmp_path, ROWS))
    assert [s.sd for s in got] == pytest.approx([0.07e-6, 0.09e-6, 0.08e-6], rel=1e-14)
    expected = np.diag([0.07**2, 0.09**2, 0.08**2])
    expected[0, 1] = expected[1, 0] = 0.05**2
    np.testing.assert_allclose(covariance(got), expected * 1e-12, rtol=1e-12)


def test_digital_certificates_of_one_parent_share_its_error_too(gas):
    one = standard_of(gas(), "co2", "co2", "WMO CO2 X2019", "P1", 0.05e-6)
    other = replace(one, certificate="GAS-0043", tank="CB2")
    assert covariance([one, other])[0, 1] == pytest.approx(0.05e-6**2, rel=1e-12)
    assert one.sd == pytest.approx(0.07e-6, rel=1e-14)
    with pytest.raises(DataError, match="without a parent"):
        standard_of(gas(), "co2", "co2", "WMO CO2 X2019", "", 0.05e-6)


def test_methane_is_shown_in_a_unit_that_shows_its_uncertainty():
    tank = Standard(
        "C", "T", "ch4", 1950e-9, 0.2e-9, 2.0, "WMO CH4 X2004A", *[np.datetime64("NaT", "ns")] * 2
    )
    assert describe(tank) == "C: (1950.000 ± 0.400) nmol mol-1, k = 2, WMO CH4 X2004A"


def test_a_tank_certified_again_has_the_certificate_of_its_time(tmp_path):
    again = (
        ROWS[0]
        .replace("C1", "C9")
        .replace("400.00", "400.10")
        .replace("2024-01-01,2027-01-01", "2027-01-01,")
    )
    got = read_tanks(tanks(tmp_path, [ROWS[0], again]))
    for year, name in ((2025, "C1"), (2028, "C9")):
        days = np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-02-01")
        assert [s.certificate for s in valid_for(got, ["T1"], *days)] == [name]
    with pytest.raises(DataError, match=r"C1 of tank T1 is valid .*C9 of tank T1 is valid .*expected one"):
        valid_for(got, ["T1"], np.datetime64("2026-12-01"), np.datetime64("2027-02-01"))


def test_a_certificate_must_cover_its_use(tmp_path):
    got = read_tanks(tanks(tmp_path, ROWS))
    names = ["T2", "T1"]
    chosen = valid_for(got, names, np.datetime64("2024-06-01"), np.datetime64("2025-01-01"))
    assert [s.tank for s in chosen] == names
    with pytest.raises(DataError, match=r"C1 of tank T1 is valid from 2024-01-01.* to 2027"):
        valid_for(got, names, np.datetime64("2024-06-01"), np.datetime64("2028-01-01"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",2,WMO", ",,WMO", "no coverage_factor in line 2"),
        (",2,WMO", ",0,WMO", "coverage_factor 0 in line 2; expected at least 1"),
        ("ppm", "ppq", "'ppq' is not a mole fraction"),
        ("0.14", "-0.14", "C1 of tank T1: standard uncertainty -7e-08"),
        ("P1,0.10", "P1,0.30", "uncertainty of the parent 1.5e-07"),
        ("P1,0.10", ",0.10", "without a parent"),
        ("2024-01-01", "01/02/2024", "not a time"),
        ("C1", "C2", "certificate ids C2"),
        ("C1,T1", "C1,T2", r"tank T2 \(co2\) is certified more than once"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, old, new, message):
    with pytest.raises(DataError, match=message):
        read_tanks(tanks(tmp_path, [ROWS[0].replace(old, new), ROWS[1]]))


def test_a_standard_needs_a_positive_uncertainty():
    nat = np.datetime64("NaT", "ns")
    with pytest.raises(DataError, match="expected a positive one"):
        Standard("C", "T", "co2", 400e-6, 0.0, 2.0, "s", nat, nat)
