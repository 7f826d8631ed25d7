"""Backgrounds from a record, from their section of a configuration."""

import numpy as np
import pytest
import xarray as xr
from pydantic import TypeAdapter

from metroflux.errors import DataError
from metroflux.uncertainty import components
from observations.table import Site, TableMapping, read_table
from pipelines.air import Background
from pipelines.backgrounds import from_record, wind_at
from pipelines.results import beyond

ERROR = {"sd": 0.5, "unit": "ppm", "duration_h": 12}


@pytest.fixture
def tables(tmp_path):
    def make(site: str, base: float) -> xr.Dataset:
        path = tmp_path / f"{site}.csv"
        hours = np.datetime64("2024-06-01T00") + np.arange(48)
        rows = [f"{t}:00,{base + 0.01 * i},0.1" for i, t in enumerate(hours)]
        path.write_text("\n".join(["time,mole_fraction,sd", *rows]))
        mapping = TableMapping("co2", "ppm", {site: Site(40.0, 116.0, 30.0)}, sd={"noise": "sd"})
        return read_table(path, mapping)

    return make("CEN", 420.0), make("NOR", 410.0)


def section(tmp_path, **values):
    source = {
        "reader": "table",
        "file": "NOR.csv",
        "unit": "ppm",
        "sites": {"NOR": {"latitude": 40, "longitude": 116}},
    }
    given = {"record": source, "error": ERROR} | values
    return TypeAdapter(Background).validate_python(given, context={"folder": tmp_path})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"kind": "quantile", "quantile": 0.5, "window_h": 24}, 410.24),
        ({"kind": "curve", "degree": 1, "harmonics": 0}, 410.24),
        (
            {"kind": "upwind", "wind": "wind.csv", "sectors": [{"site": "NOR", "begin": 270, "end": 90}]},
            410.24,
        ),
    ],
)
def test_each_kind_is_made_from_its_section(tables, tmp_path, values, expected):
    (tmp_path / "wind.csv").write_text("time,direction\n2024-06-01T23:30,10\n2024-06-02T00:30,350\n")
    observed, record = tables
    got = from_record(observed.isel(obs=[24]), record, section(tmp_path, **values))
    assert got.background.values[0] * 1e6 == pytest.approx(expected, abs=1e-9)
    method = [s for s in components(got)[1] if s.name.startswith("background-method")]
    assert method[0].column[0] == pytest.approx(0.5e-6)


def test_a_time_without_wind_is_told(tmp_path):
    path = tmp_path / "wind.csv"
    path.write_text("time,direction\n2024-06-01T00:00,10\n2024-06-01T06:00,\n")
    with pytest.raises(DataError, match="no wind within 1 h of 2024-06-01T06"):
        wind_at(path, np.array(["2024-06-01T00", "2024-06-01T06"], "datetime64[ns]"))
    path.write_text("time,direction\n2024-06-01T00:00,400\n")
    with pytest.raises(DataError, match="outside 0 to 360 degrees"):
        wind_at(path, np.array(["2024-06-01T00"], "datetime64[ns]"))


def test_the_report_says_how_many_particles_ended_beyond_the_field_of_the_background():
    assert beyond(xr.Dataset(attrs={"end_points_beyond_field": 0.0314})) == (
        "3.1% of the particles ended beyond the field of the background: they took its edge.",
    )
    assert beyond(xr.Dataset()) == ()
