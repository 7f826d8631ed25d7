"""Whatever a text file holds: a valid dataset without silent NaN, or a typed error."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metroflux import schema
from metroflux.errors import MetrofluxError
from observations.columns import ColumnMapping, read_columns
from observations.dataset import TruncatedFileWarning
from observations.formats.icos import read_icos
from observations.table import Site, TableMapping, read_table

MAPPING = TableMapping(
    species="co2",
    unit="ppm",
    sites={"A": Site(40.0, 116.0)},
    sd={"noise": "sd"},
    n_samples="n",
    missing=("-999",),
)
HEADER = """# PARAMETER: CO2
# TOTAL LINES: 14
# HEADER LINES: 10
# LATITUDE: 51.9975 N
# LONGITUDE: 2.5 W
# TIME INTERVAL: hourly
# MEASUREMENT UNIT: µmol.mol-¹
# TIME ZONE: UTC
# MEASUREMENT SCALE: WMO CO2 X2019
#Site;SamplingHeight;Year;Month;Day;Hour;Minute;co2;Stdev;NbPoints;Flag;InstrumentId
"""
SEED = HEADER + "".join(f"A;90.0;2021;02;26;{h:02d};00;41{h}.5;0.3;49;O;115\n" for h in range(4))
SOUNDINGS = (
    "value,uncertainty,time,latitude_center,longitude_center,obs_kernel,ref_profile,qa_value\n"
    + '1860,20,2022-12-07 03:44:25,-23,148,"[0.7, 1.0]","[9e36]",1\n' * 2
)

number = st.sampled_from(
    ["420.5", "-999", "", "nan", "inf", "1e36", "-1", "4,2", "x", "1e400", "0x1p3", "٤٢٠"]
)
stamp = st.sampled_from(
    ["2024-06-01 00:00", "2024-06-01T01:00Z", "", "9999-01-01", "0001-01-01", "noon", "1717200000"]
)
row = st.tuples(stamp, number, number, number).map(",".join)
tables = st.lists(row, max_size=4).map(lambda rows: "\n".join(["time,mole_fraction,sd,n", *rows]))


def read(reader, text, name):
    """Read a text file of this content; return the dataset or None for a typed error."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedFileWarning)
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8", newline="")
        try:
            ds = reader(path)
        except MetrofluxError:
            return None
    schema.check(ds, "observations")
    used = ds.flag.values == 0
    assert np.isfinite(ds.mole_fraction.values[used]).all()
    assert (ds.mole_fraction.values[used] > 0).all()
    return ds


@st.composite
def mutations(draw, seed):
    """Replace up to three short pieces of a valid file by other text."""
    text = seed
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 8))
        piece = draw(
            st.one_of(st.text(max_size=4), st.sampled_from([";", "\n", "1e36", "-999.99", "#", '"', "["]))
        )
        text = text[:at] + piece + text[at + length :]
    return text.encode("utf-8", "replace").decode("utf-8")


@settings(max_examples=60, deadline=None)
@given(st.one_of(tables, st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace").decode("utf-8"))))
def test_any_table_is_a_valid_dataset_or_a_typed_error(text):
    read(lambda path: read_table(path, MAPPING), text, "a.csv")


@settings(max_examples=80, deadline=None)
@given(mutations(SEED))
def test_a_damaged_icos_file_is_a_valid_dataset_or_a_typed_error(text):
    read(read_icos, text, "a.CO2")


@settings(max_examples=60, deadline=None)
@given(mutations(SOUNDINGS))
def test_damaged_soundings_are_a_valid_dataset_or_a_typed_error(text):
    read(lambda path: read_columns(path, ColumnMapping()), text, "a.csv")


def test_the_undamaged_seeds_are_read():
    assert read(read_icos, SEED, "a.CO2").sizes["obs"] == 4
    assert read(lambda path: read_columns(path, ColumnMapping()), SOUNDINGS, "a.csv").sizes["obs"] == 2
