"""Time and peak memory of the exact solver: python -m benchmarks.inversion [CASE ...] from the repository.

Each case runs in its own process, so that its peak memory is its own.
"""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.sparse import csr_array

from benchmarks.explicit import dense, kronecker
from inversion.covariance import Covariance, GridCorrelation, TimeCorrelation
from inversion.diagnostics import diagnose
from inversion.gram import GramInputs, gram
from inversion.problem import PriorError, Problem
from inversion.rows import SlicedRows
from inversion.solver import GIB, condition, estimate_memory, solve
from inversion.threads import one_thread
from inversion.window import Window, take_data
from metroflux.correlated import SiteCorrelated
from metroflux.parallel import serial
from metroflux.uncertainty import ErrorModel

Floats = npt.NDArray[np.float64]
SITES = 7
LENGTH, DURATION = 10e3, 2 * 86400.0


@dataclass(frozen=True)
class Case:
    """Sizes of one problem.

    window : flux times that each datum sees
    plume : cells along each side of the square it sees in each
    hours : length of a flux time
    """

    data: int
    sectors: int
    times: int
    side: int
    window: int
    plume: int
    hours: float = 1.0


def make_problem(case: Case, seed: int = 0) -> Problem:
    """Return a random problem of these sizes; data in order of time, seven sites in turn."""
    rng = np.random.default_rng(seed)
    cells, n = case.side**2, case.data
    shape = (case.sectors, case.times, cells)
    middle = (np.arange(case.times) + 0.5) * case.hours * 3600
    space = GridCorrelation((case.side, case.side), (2000.0, 2000.0), LENGTH)
    site = np.array([f"s{i % SITES}" for i in range(n)])
    seconds = np.linspace(0, case.times * case.hours * 3600, n)
    return Problem(
        datum_id=np.array([f"d{i}" for i in range(n)]),
        site=site,
        time=np.datetime64("2024-01-01", "ns") + (seconds * 1e9).astype("timedelta64[ns]"),
        mole_fraction=rng.normal(4.2e-4, 3e-6, n),
        background=np.full(n, 4.2e-4),
        H=_jacobian(rng, case),
        errors=_errors(rng, site, seconds),
        sectors=tuple(f"sector {s}" for s in range(case.sectors)),
        flux=np.zeros(shape),
        covariances=tuple(
            Covariance(rng.uniform(0.5e-6, 1e-6, shape[1:]), TimeCorrelation(middle, DURATION), space)
            for _ in range(case.sectors)
        ),
        prior_errors=(PriorError(LENGTH, DURATION),) * case.sectors,
        parameters=(),
        coords=xr.Dataset(),
        unseen=(),
    )


def _errors(rng: np.random.Generator, site: npt.NDArray[np.str_], seconds: Floats) -> ErrorModel:
    """Return repeatability, a tank per site and one scale for all, and transport error that fades in 6 h."""
    n = site.size
    tanks = 2e-7 * (site[:, None] == np.unique(site)) * rng.normal(1, 0.1, (n, 1))
    return ErrorModel(
        {"repeatability": np.full(n, 2.5e-13)},
        np.hstack([tanks, np.full((n, 1), 1e-7)]),
        ("calibration",) * tanks.shape[1] + ("scale",),
        (SiteCorrelated("transport", np.full(n, 1e-6), 6 * 3600.0, site, seconds),),
        (*(f"tank {k}" for k in range(tanks.shape[1])), "WMO CO2 X2019"),
    )


def _jacobian(rng: np.random.Generator, case: Case) -> csr_array:
    """Return one square plume somewhere on the grid per datum and flux time."""
    n, wide = case.data, case.plume
    last = np.linspace(case.window, case.times, n).astype(int)
    times = (last[:, None] - case.window + np.arange(case.window)).astype(np.int32)
    corner = rng.integers(0, case.side - wide + 1, (2, n, case.window)).astype(np.int32)
    inside = (np.arange(wide)[:, None] * case.side + np.arange(wide)).ravel().astype(np.int32)
    origin = times * np.int32(case.side**2) + corner[0] * np.int32(case.side) + corner[1]
    columns = (origin[:, :, None] + inside).ravel()
    start = np.arange(n + 1, dtype=np.int32) * np.int32(case.window * wide**2)
    values = rng.exponential(0.01, columns.size)
    return csr_array((values, columns, start), shape=(n, case.times * case.side**2))


class Clock:
    """CPU seconds and peak memory, step by step."""

    def __init__(self) -> None:
        self.before, self.started, self.parts = _peak(), time.process_time(), list[str]()
        self.total = 0.0

    def lap(self, what: str) -> float:
        """Note the CPU time since the last lap."""
        spent = time.process_time() - self.started
        self.parts.append(f"{what} {spent:.2f} s")
        self.started, self.total = time.process_time(), self.total + spent
        return spent

    def line(self) -> str:
        """Return what was noted."""
        return (
            f"{', '.join(self.parts)}; in all {self.total:.1f} s of CPU; peak {_peak():.2f} GiB, "
            f"{self.before:.2f} with the problem alone"
        )


def every_sd(case: Case) -> str:
    """Solve for the mean and the sd of every flux, with diagnostics and some totals."""
    problem = make_problem(case)
    clock = Clock()
    solution = solve(problem)
    clock.lap("mean and every sd")
    peak = _peak()
    diagnose(solution)
    clock.lap("diagnostics")
    periods = np.vstack([np.eye(case.times), np.ones(case.times)])
    result = solution.totals(np.random.default_rng(1).uniform(0, 1, (8, case.side**2)), periods)
    clock.lap(f"{result.prior.size} totals with budget")
    estimate = estimate_memory(problem) / GIB
    return f"{clock.line()}; {peak:.2f} GiB up to every sd; estimate {estimate:.2f} GiB beside the problem"


def totals_only(case: Case) -> str:
    """Solve for the mean and fifty totals with their budget: ten regions, five periods."""
    problem = make_problem(case)
    estimate = estimate_memory(problem, every_sd=False)
    clock = Clock()
    found = condition(problem, memory_limit=24 * GIB)
    clock.lap("K and its factor")
    mean = found.flux
    clock.lap("mean")
    periods = np.kron(np.eye(5), np.ones(case.times // 5))
    regions = np.kron(np.eye(10), np.ones(case.side**2 // 10))
    result = found.totals(regions, periods)
    clock.lap("50 totals with budget")
    worst = np.abs(result.budget.sum(axis=-1) / result.posterior_variance - 1).max()
    return (
        f"{clock.line()}; estimate {estimate / GIB:.2f} GiB beside the problem; condition number "
        f"{found.factor.condition:.3g}; budget sums to the variance within {worst:.1e}; rms change "
        f"{np.sqrt(np.mean(mean**2)):.2e} mol m-2 s-1"
    )


def other_forms(case: Case) -> str:
    """Compare K with the explicit forms in one process: Kronecker at this size, dense at a smaller one."""
    small = Case(case.data, 1, 24, 20, 12, 10)
    lines = []
    for name, form, size in (("Kronecker", kronecker, case), ("dense", dense, small)):
        problem = make_problem(size)
        rows, prior = SlicedRows.from_csr(problem.H, size.times), problem.covariances
        with one_thread():
            gram(GramInputs.of(rows, prior), serial)  # compiles
            clock = Clock()
            ours = gram(GramInputs.of(rows, prior), serial)
            fast = clock.lap("ours")
            theirs = form(rows, prior[0])
            slow = clock.lap(f"{name} form")
        apart = np.abs(ours - theirs).max() / np.abs(theirs).max()
        lines.append(
            f"{name} form at {size.data} x ({size.side} x {size.side}) x {size.times}: {slow:.2f} s, ours "
            f"{fast:.2f} s, {slow / fast:.0f} times faster, relative difference {apart:.1e}, "
            f"peak {_peak():.2f} GiB"
        )
    return "; ".join(lines)


def appended(case: Case) -> str:
    """Append the last twelfth of the data to the window of the others, drop as many, and solve anew."""
    problem, new = make_problem(case), case.data // 12
    tail = np.arange(case.data)
    first, last = take_data(problem, tail[:-new]), take_data(problem, tail[new:])
    condition(take_data(problem, tail[:50]))  # compiles
    window = Window.of(first, memory_limit=24 * GIB)
    clock = Clock()
    window = window.append(problem, memory_limit=24 * GIB)
    cheap = clock.lap(f"append {new} to {case.data - new}")
    fresh = condition(problem, memory_limit=24 * GIB)
    dear = clock.lap("solve anew")
    apart = [_apart(window.now.flux, fresh.flux)]
    del fresh
    clock.lap("two means")
    window = window.drop(new)
    clock.lap(f"drop the oldest {new}")
    apart.append(_apart(window.now.flux, condition(last, memory_limit=24 * GIB).flux))
    return (
        f"{clock.line()}; appending {dear / cheap:.1f} times cheaper; means differ by {apart[0]:.1e} after "
        f"appending and {apart[1]:.1e} after dropping, of the largest change"
    )


def _apart(ours: Floats, theirs: Floats) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


CASES: dict[str, tuple[Case, Callable[[Case], str]]] = {
    "500 x 5 x 201,600": (Case(500, 5, 56, 60, 9, 33, 3.0), every_sd),
    "2,000 x 20,000": (Case(2000, 1, 8, 50, 8, 25), every_sd),
    "2,000 x 20,000 dense": (Case(2000, 1, 8, 50, 8, 50), every_sd),
    "other forms": (Case(600, 1, 168, 50, 24, 25), other_forms),
    "append 500 to 5,500": (Case(6000, 1, 720, 50, 24, 16), appended),
    "5,000 x 7,200,000": (Case(5000, 1, 720, 100, 24, 32), totals_only),
    "20,000 x 7,200,000": (Case(20000, 1, 720, 100, 24, 32), totals_only),
}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        case, measure = CASES[name]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(f"{name}: {pool.submit(measure, case).result()}", flush=True)
