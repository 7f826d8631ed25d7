"""Sections of meteorology: each makes its reader, each refuses what it cannot mean."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError
from pyproj import CRS

from metroflux.errors import ConfigError
from pipelines.met import levels_of, reader_of, target_of
from pipelines.weather import Met
from transport.met import DEFAULT_LEVELS
from transport.meteorology.arl import arl
from transport.meteorology.cfmet import CFMet, CFReader
from transport.meteorology.cube import Target
from transport.meteorology.era5 import era5_model_levels, era5_pressure_levels
from transport.meteorology.wrf import WRFReader

AREA = (7.0, 46.0, 15.0, 52.0)


@pytest.fixture
def section(tmp_path):
    (tmp_path / "a.nc").touch()
    return lambda **keys: TypeAdapter(Met).validate_python(
        {"files": str(tmp_path / "*.nc"), **keys}, context={"folder": tmp_path}
    )


def test_each_section_makes_its_reader(section):
    assert reader_of(section(reader="wrf", roughness=0.1)) == WRFReader(0.1)
    era5 = section(reader="era5", area=AREA, step=9000, cut_margin=True)
    assert reader_of(era5) == CFReader(era5_pressure_levels(area=AREA, cut_margin=True))
    assert reader_of(section(reader="era5", on="model")) == CFReader(era5_model_levels())
    assert reader_of(section(reader="arl", fluxes="down")) == CFReader(arl(fluxes="down"))
    names = {"u": "ua", "v": "va", "t": ("ta", "temp"), "q": "hus"}
    plain = CFMet({"u": ("ua",), "v": ("va",), "t": ("ta", "temp"), "q": ("hus",)}, level=("plev",))
    plain = replace(plain, y=("y",), x=("x",))
    assert reader_of(section(reader="cf", variables=names, level="plev")) == CFReader(plain)


def test_levels_and_target_are_those_of_the_section_and_the_flux_grid(section):
    assert levels_of(section(reader="wrf")) == DEFAULT_LEVELS
    assert levels_of(section(reader="wrf", levels=(10, 50))) == (10.0, 50.0)
    crs = CRS("EPSG:32633")
    assert target_of(section(reader="wrf", vertical="file"), "EPSG:32633") == Target(crs, None, "file")
    assert target_of(section(reader="era5", step=5000), "EPSG:32633") == Target(crs, 5000.0, "continuity")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reader": "grib"}, "'wrf', 'era5', 'arl', 'cf'"),
        ({"reader": "wrf", "step": 1000}, "step"),
        ({"reader": "era5", "on": "sigma"}, "'pressure' or 'model'"),
        ({"reader": "era5", "step": 0}, "greater than 0"),
        ({"reader": "cf"}, "variables"),
    ],
)
def test_what_a_section_cannot_mean_is_refused(section, keys, message):
    with pytest.raises(ValidationError, match=message):
        section(**keys)


def test_an_unknown_quantity_is_refused_with_those_that_exist(section):
    with pytest.raises(ConfigError, match=r"unknown \['wind'\].*expected some of u, v"):
        reader_of(section(reader="cf", variables={"wind": "ff", "u": "u", "v": "v", "t": "t", "q": "q"}))
