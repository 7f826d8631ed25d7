"""`metroflux problem` and `metroflux solve`: the inverse problem of a configuration, and any, as a file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xarray as xr
from rich.console import Console

from inversion.diagnostics import diagnose
from inversion.positive import Positive, positive_fluxes
from inversion.problem import Problem
from inversion.problem_file import read_problem, write_problem
from inversion.solver import solve
from inversion.storage import encoding_of
from metroflux.errors import ConfigError, DataError
from metroflux.parallel import Mapper, serial
from metroflux.provenance import Stamp, code_sha256
from metroflux.schema import check
from pipelines import stages
from pipelines.config import Read, read_config
from pipelines.dask_mapper import open_mapper
from pipelines.engine import Engine, Job, Stage
from pipelines.manifest import hash_inputs, require_one_role
from pipelines.model import problem_of
from pipelines.results import wanted
from pipelines.run import WORK
from pipelines.store import Store
from pipelines.watch import Bars
from products.periods import Period
from products.totals import make_totals


@dataclass(frozen=True)
class Posed:
    """The inverse problem of a configuration, and the totals that its run would make.

    regions : schema "regions"
    """

    problem: Problem
    regions: xr.Dataset
    periods: tuple[Period, ...]


def pose(
    read: Read, run: Path | None, mapper: Mapper, console: Console, plan: tuple[Stage, ...] | None = None
) -> Posed:
    """Carry out the stages before the inversion and return the problem.

    run : folder of a run of the same configuration, whose stages are used where they are done

    Raises
    ------
    ConfigError
        If the folder holds no run.
    DataError
        If a datum has two roles.
    """
    require_one_role(read.config, hash_inputs(read))
    every = plan or stages.plan(read.config)
    names = [stage.name for stage in every]
    before, inversion = every[: names.index("inversion")], every[names.index("inversion")]
    with _work(run) as folder:
        engine = Engine(
            read.config, Store(folder, stages.STORED), mapper, code_sha256(),
            Stamp("problem", read.sha256), Bars(console),
        )  # fmt: skip
        for stage in before:
            engine.execute(stage)
        space = [name for name in ("outlines", "grid") if name in engine.makers]
        inputs = {name: engine.result(name) for name in (*inversion.inputs, *space)}
        job = Job(read.config, mapper, mapper, inputs, engine.stamp)
        problem = problem_of(job)
        totals = Job(read.config, mapper, mapper, inputs | {"posterior": problem.coords}, engine.stamp)
        return Posed(problem, *wanted(totals))


@contextmanager
def _work(run: Path | None) -> Iterator[Path]:
    if run is None:
        with TemporaryDirectory() as folder:
            yield Path(folder)
    elif (run / WORK).is_dir():
        yield run / WORK
    else:
        raise ConfigError(f"{run}: no run here; expected {WORK}/")


def problem_command(config: Path, output: Path, run: Path | None, workers: int, console: Console) -> None:
    """Write the inverse problem of a configuration."""
    read = read_config(config)
    with open_mapper(workers, None) as mapper:
        posed = pose(read, run, mapper, console)
    write_problem(output, posed.problem, _totals_wanted(posed))
    n, sectors, times, cells = posed.problem.shape
    text = f"{output}: {n} data, {sectors} x {times} x {cells} fluxes (sectors, flux times, cells)"
    console.print(text, markup=False, highlight=False)


def solve_command(
    path: Path, output: Path, memory_gb: float, console: Console, positive: Positive | None = None
) -> None:
    """Solve the problem of a file and write posterior, diagnostics and totals with their budget.

    positive : also write fluxes that cannot be negative, as a group of that name
    """
    problem, ds = read_problem(path)
    solution = solve(problem, serial, memory_gb * 1e9)
    totals = make_totals(solution, *_wanted(ds, problem.coords, path))
    fit = diagnose(solution)
    groups = {"diagnostics": fit, "totals": totals}
    if positive is not None:
        groups[positive] = positive_fluxes(solution, positive)
    part = output.with_name(output.name + ".part")
    posterior = solution.posterior().drop_encoding()
    posterior.to_netcdf(part, engine="netcdf4", encoding=encoding_of(posterior))
    for name, group in groups.items():
        plain = group.drop_encoding()
        plain.to_netcdf(part, mode="a", group=name, engine="netcdf4", encoding=encoding_of(plain))
    part.replace(output)
    for text in _lines(groups, output):
        console.print(text, markup=False, highlight=False)


def _totals_wanted(posed: Posed) -> xr.Dataset:
    weight = posed.regions.weight.values.reshape(posed.regions.sizes["region"], -1)
    bounds = np.array([[p.start, p.end] for p in posed.periods], dtype="datetime64[ns]")
    return xr.Dataset({
        "total_region": ("total_region", posed.regions.region.values.astype(str)),
        "total_weight": (("total_region", "cell"), weight),
        "total_period": ("total_period", np.array([p.name for p in posed.periods])),
        "total_period_bounds": (("total_period", "bounds"), bounds),
    })  # fmt: skip


def _wanted(ds: xr.Dataset, coords: xr.Dataset, path: Path) -> tuple[xr.Dataset, list[Period]]:
    """Return the totals that a file asks for: without any, of all and the whole time."""
    area = coords.cell_area
    if "total_region" in ds.variables:
        names, weight = ds.total_region.values, ds.total_weight.values
        periods = zip(ds.total_period.values, ds.total_period_bounds.values, strict=True)
        chosen = [Period(str(name), a, b) for name, (a, b) in periods]
    else:
        bounds = coords.flux_time_bounds.values
        names, weight = np.array(["domain"]), np.ones((1, area.size))
        chosen = [Period("run", bounds[0, 0], bounds[-1, 1])]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: 'total_region' has a name twice, expected each once")
    dims = ("source_region",) if area.dims == ("region",) else area.dims
    regions = xr.Dataset(
        {"weight": (("region", *dims), weight.reshape(len(names), *area.shape), {"units": "1"})},
        coords={"region": names.astype(str)},
    )
    return check(regions, "regions", str(path)), chosen


def _lines(groups: Mapping[str, xr.Dataset], output: Path) -> Iterator[str]:
    fit, one = groups["diagnostics"], groups["totals"].isel(region=0, period=0).sel(sector="total")
    what = f"{one.region.item()}, {one.period.item()}"
    yield f"{what}: prior {one.prior.item():.6g} +- {one.prior_sd.item():.3g} kg s-1"
    yield f"{what}: posterior {one.posterior.item():.6g} +- {one.posterior_sd.item():.3g} kg s-1"
    yield (
        f"chi2 per datum {fit.chi2_per_observation.item():.3f}, DOFS {fit.dofs.item():.2f}, condition number "
        f"{fit.condition_number.item():.3g}"
    )
    yield f"{output}: posterior; groups {', '.join(groups)}"
