"""ARL packed files (synthetic, written by arlmet): two maps, sigma and pressure levels."""

import sys

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS

from metroflux import schema
from metroflux.constants import R_DRY
from metroflux.errors import ConfigError, DataError
from transport.meteorology.arl import arl
from transport.meteorology.cfmet import CFReader
from transport.meteorology.cube import Target, read_met

T, PS, LEVELS = 285.0, 980.0, (10.0, 50.0, 300.0, 1000.0)
N = 31
SIGMA = np.array([0.995, 0.98, 0.95, 0.9, 0.8, 0.7, 0.5])


def arl_file(folder, hour=0, latlon=False, pressure=False, humid="SPHU"):
    """Write one time: isothermal, 10 m/s along the grid's x, an airless humidity."""
    arlmet = pytest.importorskip("arlmet", reason="the optional package arlmet is not installed")
    if latlon:
        projection = arlmet.Projection(90.0, 0.0, 0.25, 0.25, 0.0, 0.0, 0.0, 1.0, 1.0, 46.0, 8.0)
    else:
        projection = arlmet.Projection(90.0, 11.0, 50.0, 11.0, 12.0, 0.0, 50.0, 16.0, 16.0, 50.0, 11.0)
    grid = arlmet.Grid(projection, N, N)
    level = PS * SIGMA if pressure else SIGMA
    axis = (arlmet.PressureAxis if pressure else arlmet.SigmaAxis)(
        levels=[1013.0 if pressure else 1.0, *level]
    )
    y, x = grid.dims
    volume, plane = ("time", "level", y, x), ("time", y, x)
    value = {
        "UWND": 10.0, "VWND": 0.0, "TEMP": T, "WWND": 0.0, "PRSS": PS, "SHGT": 200.0, "T02M": T, "U10M": 6.0,
        "V10M": 0.0, "PBLH": 900.0, "USTR": 0.35, "SHTF": 80.0, "LHTF": 20.0, "RGHS": 0.2,
        humid: 0.0,
    }  # fmt: skip
    lifted = ("UWND", "VWND", "TEMP", "WWND", humid)
    ds = xr.Dataset({
        n: (volume if n in lifted else plane,
            np.broadcast_to(v, (1, level.size, N, N) if n in lifted else (1, N, N)))
        for n, v in value.items()
    })  # fmt: skip
    ds = ds.assign_coords(
        time=[np.datetime64(f"2024-06-01T{hour:02d}", "ns")], level=np.arange(1, level.size + 1),
        **dict(grid.calculate_coords()),
    )  # fmt: skip
    from arlmet.xarray._coords import grid_to_coord

    ds = ds.assign_coords(arl_grid=grid_to_coord(grid))
    ds.attrs["source"] = "TEST"
    path = folder / f"arl{hour}.bin"
    arlmet.write_dataset(ds, path, vertical_axis=axis)
    return path


@pytest.mark.parametrize("pressure", [False, True])
@pytest.mark.parametrize("humid", ["SPHU", "RELH"])
def test_an_isothermal_file_has_its_heights_and_winds_along_the_grid(tmp_path, pressure, humid):
    paths = [arl_file(tmp_path, hour, pressure=pressure, humid=humid) for hour in (0, 1)]
    met = schema.check(read_met(CFReader(arl()), paths, LEVELS), "met")
    scale = R_DRY * T / 9.80665
    expected = 100.0 * PS * np.exp(-np.array(LEVELS) / scale)
    np.testing.assert_allclose(met.p.values[0, :, 3, 3], expected, rtol=1e-3)
    assert met.sizes["x"] == N
    assert float(met.x[1] - met.x[0]) == pytest.approx(12000.0)
    np.testing.assert_allclose(met.u.values[:, -1], 10.0, rtol=2e-3)
    np.testing.assert_allclose(met.v.values[:, -1], 0.0, atol=1e-2)
    assert float(met.mixing_height.mean()) == pytest.approx(900.0, rel=1e-3)
    assert float(met.sensible_heat_flux.mean()) == pytest.approx(80.0, rel=1e-3)


def test_a_longitude_latitude_file_is_brought_to_the_map(tmp_path):
    paths = [arl_file(tmp_path, hour, latlon=True) for hour in (0, 1)]
    crs = CRS("+proj=lcc +lat_1=48 +lat_2=52 +lat_0=50 +lon_0=11 +R=6371200 +units=m")
    met = read_met(CFReader(arl()), paths, LEVELS, Target(crs, 25e3))
    np.testing.assert_allclose(np.hypot(met.u.values[:, -1], met.v.values[:, -1]), 10.0, rtol=2e-3)


def test_without_the_package_and_with_a_file_of_another_kind_the_error_says_so(tmp_path, monkeypatch):
    text = tmp_path / "text.bin"
    text.write_text("not ARL")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "arlmet", None)
        with pytest.raises(ConfigError, match=r"install metroflux\[arl\]"):
            read_met(CFReader(arl()), [text], LEVELS)
    pytest.importorskip("arlmet", reason="the optional package arlmet is not installed")
    with pytest.raises(DataError, match=r"text\.bin: cannot be read as an ARL file"):
        read_met(CFReader(arl()), [text], LEVELS)
