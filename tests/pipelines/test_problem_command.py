"""The problem of a configuration, written to a file and solved from there, is the run's own."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from pipelines import stages
from pipelines.config import read_config
from pipelines.engine import Engine
from pipelines.problem_command import problem_command, solve_command
from pipelines.run import WORK
from pipelines.store import Store
from pipelines.watch import Silent


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


def test_the_file_of_a_response_problem_gives_the_numbers_of_its_run(responses, tmp_path):
    equal(responses, tmp_path)


@pytest.mark.realdata
def test_new_zealand_by_file_gives_the_numbers_of_its_run(data_dir, tmp_path):
    equal(Path(__file__).parents[2] / "configs" / "new_zealand.yaml", tmp_path)


def test_a_file_without_wanted_totals_gives_that_of_all(responses, tmp_path):
    console = Console(file=StringIO())
    problem_command(responses, tmp_path / "p.nc", None, 1, console)
    ds = xr.load_dataset(tmp_path / "p.nc")
    ds.drop_vars([n for n in ds.variables if str(n).startswith("total_")]).to_netcdf(tmp_path / "q.nc")
    results = []
    for name in ("p", "q"):
        solve_command(tmp_path / f"{name}.nc", tmp_path / f"{name}_post.nc", 4.0, console)
        results.append(xr.load_dataset(tmp_path / f"{name}_post.nc", group="totals"))
    whole, alone = results[0].isel(region=[0], period=[0]), results[1]
    assert list(alone.region.values) == ["domain"]
    np.testing.assert_allclose(alone.posterior_sd, whole.posterior_sd, rtol=1e-12)


def test_bounded_fluxes_come_as_a_group_and_none_is_negative(responses, tmp_path):
    console = Console(file=StringIO())
    problem_command(responses, tmp_path / "p.nc", None, 1, console)
    solve_command(tmp_path / "p.nc", tmp_path / "post.nc", 4.0, console, "bounded")
    found = xr.load_dataset(tmp_path / "post.nc", group="bounded")
    assert float(xr.load_dataset(tmp_path / "post.nc").flux.min()) < 0
    bound = found.at_bound.values == 1
    assert bound.any()
    assert np.all(found.flux.values[bound] == 0)
    rounding = 1e-12 * float(found.flux.max())
    assert np.all(found.flux.values[~bound] >= -rounding)
    assert np.all(found.flux_mean.values >= -rounding)


def test_lognormal_fluxes_need_a_positive_prior(responses, tmp_path):
    console = Console(file=StringIO())
    problem_command(responses, tmp_path / "p.nc", None, 1, console)
    with pytest.raises(DataError, match="prior fluxes with uncertainty are not positive"):
        solve_command(tmp_path / "p.nc", tmp_path / "post.nc", 4.0, console, "lognormal")
    assert not (tmp_path / "post.nc").exists()
    ds = xr.load_dataset(tmp_path / "p.nc")
    ds.assign(flux=np.abs(ds.flux).assign_attrs(ds.flux.attrs)).to_netcdf(tmp_path / "q.nc")
    solve_command(tmp_path / "q.nc", tmp_path / "post.nc", 4.0, console, "lognormal")
    found = xr.load_dataset(tmp_path / "post.nc", group="lognormal")
    assert float(found.flux.min()) > 0
    assert np.all(found.flux_mean.values > found.flux.values)


def test_a_folder_that_holds_no_run_is_refused(responses, tmp_path):
    with pytest.raises(ConfigError, match="no run here"):
        problem_command(responses, tmp_path / "p.nc", tmp_path / "none", 1, Console(file=StringIO()))


def test_stages_done_in_a_run_are_not_done_again(responses, tmp_path, monkeypatch):
    run, console = tmp_path / "run", Console(file=StringIO())
    (run / WORK).mkdir(parents=True)
    problem_command(responses, tmp_path / "first.nc", run, 1, console)
    monkeypatch.setattr(Engine, "_make", lambda *_: pytest.fail("a stage was done again"))
    problem_command(responses, tmp_path / "second.nc", run, 1, console)
    first, second = (xr.load_dataset(tmp_path / f"{name}.nc") for name in ("first", "second"))
    xr.testing.assert_identical(first, second)
