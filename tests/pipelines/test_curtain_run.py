"""The Bowen Basin with a curtain: real weather and columns, a field made here, stages read back."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Transformer

from metroflux.parallel import serial
from metroflux.provenance import Stamp
from metroflux.uncertainty import components
from observations.atmosphere import standard_altitude
from pipelines import stages
from pipelines.config import read_config
from pipelines.engine import Engine
from pipelines.store import Store
from pipelines.watch import Silent

BOWEN = Path(__file__).parents[2] / "configs" / "bowen_basin.yaml"
CONSTANT = "  kind: constant\n  value: 1860\n  error: {random: 0, unit: ppb}\n"
CURTAIN = """  kind: curtain
  files: field.nc
  variable: ch4
  levels: {variable: plev, of: pressure, unit: hPa}
  error: {sd: 6, unit: ppb, duration_h: 24, traceable_to: the test}
"""
AXES = {
    "time": np.array(["2022-12-06T21", "2022-12-07T03", "2022-12-07T09"], "datetime64[ns]"),
    "plev": np.array([1050.0, 850.0, 500.0, 250.0, 10.0]),
    "lat": np.arange(-15.0, -31.0, -1.0),
    "lon": np.arange(0.0, 360.0, 2.0),
}


def carried_out(folder: Path, background: str) -> Engine:
    """Return the engine of a run up to the solution; what another run in the folder has made is used."""
    text = BOWEN.read_text("utf-8").replace("particles: 600", "particles: 60")
    assert CONSTANT in text
    path = folder / "bowen.yaml"
    path.write_text(text.replace(CONSTANT, background), "utf-8")
    read = read_config(path)
    store = Store(folder / "work", stages.STORED)
    engine = Engine(read.config, store, serial, "code", Stamp("r", read.sha256), Silent())
    for stage in stages.plan(read.config):
        engine.execute(stage)
        if stage.name == "inversion":
            break
    return engine


def write(folder: Path, function) -> None:
    altitude = standard_altitude(AXES["plev"] * 100)
    hours = (AXES["time"] - AXES["time"][0]) / np.timedelta64(1, "h")
    grid = np.meshgrid(hours, altitude, AXES["lat"], AXES["lon"], indexing="ij")
    field = xr.Dataset({"ch4": (tuple(AXES), function(*grid), {"units": "ppb"})}, AXES)
    field.to_netcdf(folder / "field.nc")


@pytest.mark.slow
@pytest.mark.realdata
def test_a_run_from_files_with_a_curtain_is_that_of_a_constant_or_of_a_twin(data_dir, tmp_path):
    constant = carried_out(tmp_path, CONSTANT)
    write(tmp_path, lambda hours, z, lat, lon: 1860.0 + 0 * z)
    curtain = carried_out(tmp_path, CURTAIN)
    assert {"met", "footprints", "jacobian"} <= {done.stage for done in curtain.done if done.reused}
    want, got = (engine.result("background") for engine in (constant, curtain))
    assert got.background.values == pytest.approx(want.background.values, rel=2e-15)  # the mean's rounding
    shared = components(got)[1]
    assert {(s.cause, s.traceable_to) for s in shared} == {("background", "the test")}
    assert sum(s.column**2 for s in shared) == pytest.approx(np.full(got.sizes["obs"], 36e-18))

    def sloping(hours, z, lat, lon):
        return 1860.0 + 0.5 * hours - 2e-3 * z + 1.5 * lat + 0.7 * lon

    write(tmp_path, sloping)
    curtain = carried_out(tmp_path, CURTAIN)
    ends, met, got = (curtain.result(name) for name in ("footprints", "met", "background"))
    crs = CRS.from_cf(ends.spatial_ref.attrs)
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    row = int(np.flatnonzero(ends.datum_id.values == got.datum_id.values[7])[0])
    values, counts = [], []
    for p in np.flatnonzero(np.isfinite(ends.end_x.values[row])):
        x, y, z, age = (float(ends[f"end_{n}"].values[row, p]) for n in ("x", "y", "height", "hours"))
        inside = {n: np.clip(v, *met[n].values[[0, -1]]) for n, v in (("x", x), ("y", y))}
        ground = float(met.terrain.interp(inside))
        hours = (ends.time.values[row] - AXES["time"][0]) / np.timedelta64(1, "h") - age
        lon, lat = to_degrees.transform(x, y)
        values.append(sloping(hours, z + ground, lat, lon))
        counts.append(float(ends.end_weight.values[row, p]))
    assert got.background.values[7] == pytest.approx(np.average(values, weights=counts) * 1e-9, rel=1e-9)
    assert got.attrs["end_points_beyond_field"] == 0
