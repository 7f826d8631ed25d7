"""Whatever a log, a certificate, a tanks table or a stack file holds: finite numbers or a typed error.

METROFLUX_FUZZ=10000 tries as many damaged files of each kind.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metroflux.errors import MetrofluxError
from observations.metrology.cems import StackErrors, read_campd
from observations.metrology.certificates import COLUMNS, read_tanks
from observations.metrology.dcc import standard_of
from observations.metrology.picarro import read_log
from observations.metrology.transfer_file import read_transfers

TRIES = int(os.environ.get("METROFLUX_FUZZ", "50"))
PIECES = [
    ";",
    ",",
    "\n",
    "1e36",
    "-999.99",
    "nan",
    "inf",
    '"',
    "[",
    "<",
    "9" * 400,
    "&a;",
    "null",
    "0",
    "-",
    " ",
]

LOG = "DATE TIME ALARM_STATUS INST_STATUS species MPVPosition CO2 CO2_dry h2o_reported\n" + "".join(
    f"2024-06-01 00:00:0{i} 0 963 {(1, 3)[i % 2]}.0 1.0 400.{i} 405.{i} 1.2\n" for i in range(8)
)
TANKS = ",".join(COLUMNS) + (
    "\nC1,T1,co2,400.00,ppm,0.14,2,WMO CO2 X2019,2024-01-01,2027-01-01,P1,0.10"
    "\nC2,T2,co2,450.00,ppm,0.18,2,WMO CO2 X2019,2024-01-01,,,\n"
)
STACK = (
    '[{"facilityName":"P","orisCode":"1","unitId":"1","opDate":"2019-01-01","opHour":"0","opTime":"1.00",'
    '"co2Mass":"10.0","co2MassMeasureFlg":"Measured"},{"facilityName":"P","orisCode":"1","unitId":"1",'
    '"opDate":"2019-01-01","opHour":"1","opTime":"0.50","co2Mass":null,"co2MassMeasureFlg":"Substitute"}]'
)
DCC = (
    '<dcc:digitalCalibrationCertificate xmlns:dcc="https://ptb.de/dcc" xmlns:si="https://ptb.de/si" '
    'schemaVersion="3.2.1"><dcc:administrativeData><dcc:coreData><dcc:uniqueIdentifier>G</dcc:uniqueIdentifier>'
    "<dcc:endPerformanceDate>2024-02-01</dcc:endPerformanceDate></dcc:coreData></dcc:administrativeData>"
    '<dcc:measurementResults><dcc:result><dcc:quantity refType="co2"><si:real><si:value>420.15</si:value>'
    "<si:unit>\\micro\\mole\\per\\mole</si:unit><si:expandedUnc><si:uncertainty>0.14</si:uncertainty>"
    "<si:coverageFactor>2</si:coverageFactor></si:expandedUnc></si:real></dcc:quantity></dcc:result>"
    "</dcc:measurementResults></dcc:digitalCalibrationCertificate>"
)

COMPARISON = (
    '{"format": "metroflux comparison 1", "unit": "mol mol-1", "comparisons": [{"species": "co2", '
    '"scale": "S", "tank": "T9", "start": "2024-06-17T00:25:55", "end": "2024-06-17T12:25:55", "runs": 2, '
    '"measured": {"label": "TWR", "value": 0.000425, "terms": {"parent:P": 5e-08, "run": 2e-09}}, '
    '"certified": {"label": "C", "value": 0.0004251, "terms": {"parent:P": 5e-08}}, "moved": null, '
    '"beyond": false}]}'
)


def comparison_numbers(path):
    found = read_transfers(path)
    results = [r for t in found for r in (t.measured, t.certified)]
    return [np.array([r.value, *r.terms.values()]) for r in results]


def log_numbers(path):
    log = read_log(path, "co2")
    return [log.wet, log.water]


def tank_numbers(path):
    return [np.array([[s.value, s.sd, s.k, s.parent_sd, s.own_sd] for s in read_tanks(path)])]


def stack_numbers(path):
    return [u.rate[u.flag == 0] for u in read_campd(path, "-06:00", StackErrors(0.07, 0.02))]


def certificate_numbers(path):
    tank = standard_of(path, "co2", "co2", "scale", "")
    return [np.array([tank.value, tank.sd, tank.k])]


READERS = {
    "log": (LOG, log_numbers),
    "tanks": (TANKS, tank_numbers),
    "stack": (STACK, stack_numbers),
    "certificate": (DCC, certificate_numbers),
    "comparison": (COMPARISON, comparison_numbers),
}


def read(text, function):
    """Return whether the file was read; every number must then be finite."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(text.encode("utf-8", "replace"))
        try:
            found = function(path)
        except MetrofluxError:
            return False
    assert all(np.isfinite(numbers).all() for numbers in found)
    return True


@pytest.mark.parametrize("kind", READERS)
def test_the_undamaged_file_is_read(kind):
    assert read(*READERS[kind])


# a table that breaks off in its last line is read without it, and warned of
@pytest.mark.filterwarnings("ignore::observations.dataset.TruncatedFileWarning")
@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=TRIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_gives_finite_numbers_or_a_typed_error(kind, data):
    text, function = READERS[kind]
    for _ in range(data.draw(st.integers(1, 3))):
        at, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 8))
        piece = data.draw(st.one_of(st.text(max_size=4), st.sampled_from(PIECES)))
        text = text[:at] + piece + text[at + length :]
    read(text, function)
