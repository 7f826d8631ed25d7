"""The problem of a configuration, written to a file and solved from there, is the run's own."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from metroflux.errors import ConfigError
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from pipelines import stages
from pipelines.config import read_config
from pipelines.engine import Engine
from pipelines.problem_command import problem_command, solve_command
from pipelines.store import Store
from pipelines.watch import Silent

CONFIG = """
run: {name: small, species: co2, start: 2011-01-01, end: 2011-05-01, flux_hours: month}
observations:
  sources:
    - {reader: table, file: towers.nc, unit: ppm, time: time, site: site, scale: none,
       sd: {within-hour: sd}, sites: {A: {latitude: -41, longitude: 174, inlet: 10},
                                      B: {latitude: -45, longitude: 170, inlet: 10}}}
  random: [{name: transport, sd: 2.0, unit: ppm, duration_h: 12}]
  shared: [{name: offset, cause: calibration, sd: 0.1, unit: ppm, by: [site]}]
transport: {model: response, file: towers.nc, response: response, inlet: {A: 10, B: 10}}
prior:
  inventory: {reader: regional, file: towers.nc, sector: land, emission: prior, emission_sd: prior_sd,
              area: region_area, area_units: m2, time: month}
  errors: {land: {stated: true, length_km: 0, duration_h: 1000}}
background:
  kind: constant
  value: 390
  error: {random: 0.3, unit: ppm}
  parameters: [{name: bg, by: [site], sd: 0.5, unit: ppm}]
products: {periods: [run, month], groups: {both: [north, south]}}
"""


def towers() -> xr.Dataset:
    rng, n = np.random.default_rng(0), 80
    regions, months = ["north", "south", "sea"], np.arange("2011-01", "2011-05", dtype="datetime64[M]")
    time = np.datetime64("2011-01-10T01", "ns") + np.arange(n) * np.timedelta64(31, "h")
    response = rng.exponential(0.01, (n, 3, 4))
    response *= np.arange(4) <= time.astype("datetime64[M]").astype(int)[:, None, None] - months[0].astype(
        int
    )
    rate = {"units": "Tg CO2 yr-1"}
    return xr.Dataset(
        {
            "mole_fraction": ("obs", 391 + rng.normal(0, 2, n), {"units": "ppm"}),
            "sd": ("obs", rng.uniform(0.1, 0.4, n), {"units": "ppm"}),
            "site": ("obs", np.array(["A", "B"])[np.arange(n) % 2]),
            "time": ("obs", time),
            "response": (("obs", "region", "month"), response, {"units": "umol mol-1 (Tg CO2 yr-1)-1"}),
            "prior": (("region", "month"), rng.normal(0, 50, (3, 4)), rate),
            "prior_sd": (("region", "month"), rng.uniform(20, 60, (3, 4)), rate),
            "region_area": ("region", np.array([1e11, 1.5e11, 9e11]), {"units": "m2"}),
        },
        coords={"region": regions, "month": months.astype("datetime64[ns]")},
    )


def small(folder: Path) -> Path:
    towers().to_netcdf(folder / "towers.nc")
    path = folder / "small.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def of_a_run(path: Path, folder: Path) -> dict[str, xr.Dataset]:
    """Return what `metroflux run` makes, up to the totals."""
    read = read_config(path)
    engine = Engine(
        read.config, Store(folder, stages.STORED), serial, "code", Stamp("r", read.sha256), Silent()
    )
    for stage in stages.plan(read.config):
        engine.execute(stage)
        if stage.name == "totals":
            break
    return {name: engine.result(name) for name in ("posterior", "diagnostics", "totals")}


def equal(config: Path, folder: Path) -> None:
    console = Console(file=StringIO())
    problem_command(config, folder / "p.nc", None, 1, console)
    solve_command(folder / "p.nc", folder / "post.nc", 4.0, console)
    for name, want in of_a_run(config, folder / "run").items():
        group = None if name == "posterior" else name
        with xr.open_dataset(folder / "post.nc", group=group) as found:
            for variable in found.data_vars:
                ours, theirs = found[variable].values, want[variable].values
                if theirs.dtype.kind == "f":
                    scale = np.abs(theirs).max(initial=0)
                    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10 * scale, err_msg=variable)
                else:
                    assert (ours.astype(str) == theirs.astype(str)).all(), variable


def test_the_file_of_a_response_problem_gives_the_numbers_of_its_run(tmp_path):
    equal(small(tmp_path), tmp_path)


@pytest.mark.realdata
def test_new_zealand_by_file_gives_the_numbers_of_its_run(data_dir, tmp_path):
    equal(Path(__file__).parents[2] / "configs" / "new_zealand.yaml", tmp_path)


def test_a_file_without_wanted_totals_gives_that_of_all(tmp_path):
    console = Console(file=StringIO())
    problem_command(small(tmp_path), tmp_path / "p.nc", None, 1, console)
    ds = xr.load_dataset(tmp_path / "p.nc")
    ds.drop_vars([n for n in ds.variables if str(n).startswith("total_")]).to_netcdf(tmp_path / "q.nc")
    results = []
    for name in ("p", "q"):
        solve_command(tmp_path / f"{name}.nc", tmp_path / f"{name}_post.nc", 4.0, console)
        results.append(xr.load_dataset(tmp_path / f"{name}_post.nc", group="totals"))
    whole, alone = results[0].isel(region=[0], period=[0]), results[1]
    assert list(alone.region.values) == ["domain"]
    np.testing.assert_allclose(alone.posterior_sd, whole.posterior_sd, rtol=1e-12)


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no run here"):
        problem_command(small(tmp_path), tmp_path / "p.nc", tmp_path / "none", 1, Console(file=StringIO()))
