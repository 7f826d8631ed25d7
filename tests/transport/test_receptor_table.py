"""Receptors of a CSV table: what is read, and every fault by line and column."""

import numpy as np
import pytest

from metroflux.errors import DataError
from transport.met import to_lonlat
from transport.receptor_table import read_receptor_table, with_releases
from transport.receptors import ReceptorSettings

HEAD = "time,latitude,longitude,height"
ONE = "2024-06-01,1,1"
SETTINGS = ReceptorSettings(particles=100, hours=2.0, seed=1)


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "receptors.csv"
        path.write_text(text)
        return path

    return put


def centre(met):
    from transport.met import crs_of

    return [float(a) for a in to_lonlat(crs_of(met), 0.0, 0.0)]


def test_a_table_becomes_receptors(make_met, write):
    met = make_met()
    lon, lat = centre(met)
    rows = (f"2024-06-01T03:00,{lat},{lon},10", "", f"2024-06-01 04:00Z,{lat},{lon},30")
    path = write("\n".join((HEAD, *rows)))
    found = read_receptor_table(path, met, SETTINGS)
    np.testing.assert_allclose(found.x.values, 0.0, atol=1e-3)
    assert found.height.values.ravel().tolist() == [10.0, 30.0]
    assert found.weight.values.tolist() == [[1.0], [1.0]]
    assert found.particles.values.tolist() == [100, 100]
    assert found.time.values[1] == np.datetime64("2024-06-01T04:00")
    assert len(set(found.receptor.values)) == len(set(found.seed.values)) == 2


def test_rows_of_one_id_are_points_of_one_receptor(make_met, write):
    met = make_met()
    lon, lat = centre(met)
    rows = [f"{r},2024-06-01T03:00,{lat},{lon},{z},{w},600" for r, z, w in
            (("a", 10, ""), ("b", 20, 0.7), ("a", 50, ""), ("b", 40, -0.2), ("c", 5, ""))]  # fmt: skip
    found = read_receptor_table(
        write("receptor,time,latitude,longitude,height,weight,duration\n" + "\n".join(rows)), met, SETTINGS
    )
    assert found.datum_id.values.tolist() == ["a", "b", "c"]
    assert found.weight.values.tolist() == [[0.5, 0.5], [0.7, -0.2], [1.0, 0.0]]
    assert np.isnan(found.height.values[2, 1])
    assert found.duration.values.tolist() == [600.0] * 3
    placed = with_releases(found[["receptor"]], found, met)
    assert placed.release_height.values.tolist() == [30.0, 30.0, 5.0]


def test_every_fault_is_named_by_line_and_column(make_met, write):
    path = write("time,latitude,longitude,height\nnow,1,2,3\n2024-06-01,91,x,3\n2024-06-01,1,2\n")
    with pytest.raises(DataError) as caught:
        read_receptor_table(path, make_met(), SETTINGS)
    text = str(caught.value)
    for part in ("line 2, 'time'", "line 3, 'latitude': 91, expected -90 to 90", "line 3, 'longitude': 'x'",
                 "line 4: 3 fields, expected 4"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,latitude,longitude,hight\n1,1,1,1", "no column 'height'; unknown column 'hight'"),
        (HEAD + "\n", "no rows"),
        (f"receptor,{HEAD}\na,{ONE},1\na,2024-06-02,1,1,2", "another time than line 2"),
        (f"{HEAD}\n{ONE},1\n{ONE},1", "line 3: the same point as line 2"),
        (f"receptor,{HEAD},weight\na,{ONE},1,0.5\na,{ONE},2,", "line 3, 'weight'"),
    ],
)
def test_wrong_tables_are_refused(make_met, write, text, message):
    with pytest.raises(DataError, match=message):
        read_receptor_table(write(text), make_met(), SETTINGS)


def test_a_receptor_outside_the_met_is_refused_by_its_name(make_met, write):
    path = write("receptor,time,latitude,longitude,height\nfar,2024-06-01T03:00,-60,10,10\n")
    with pytest.raises(DataError, match="far has y"):
        read_receptor_table(path, make_met(), SETTINGS)
