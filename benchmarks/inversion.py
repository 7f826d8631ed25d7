"""Time and peak memory of the exact solver: python -m benchmarks.inversion from the repository.

Each case runs in its own process, so that its peak memory is its own.
"""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from inversion.covariance import Covariance, GridCorrelation, TimeCorrelation
from inversion.diagnostics import diagnose
from inversion.problem import PriorError, Problem
from inversion.solver import GIB, estimate_memory, solve
from metroflux.uncertainty import ErrorModel


@dataclass(frozen=True)
class Case:
    """Sizes of one problem.

    window : flux times that each datum sees; density : share of cells it sees in each
    hours : length of a flux time
    """

    name: str
    data: int
    sectors: int
    times: int
    side: int
    window: int
    density: float
    hours: float


CASES = (
    Case("demo", 500, 5, 56, 60, 9, 0.3, 3.0),
    Case("2,000 x 20,000", 2000, 1, 8, 50, 8, 1.0, 1.0),
)


def make_problem(case: Case, seed: int = 0) -> Problem:
    """Return a random problem of these sizes; data in order of time."""
    rng = np.random.default_rng(seed)
    cells, n = case.side**2, case.data
    H = _jacobian(rng, case)
    shape = (case.sectors, case.times, cells)
    time_correlation = TimeCorrelation(np.arange(case.times) * case.hours * 3600, 2 * 86400.0)
    space = GridCorrelation((case.side, case.side), (2000.0, 2000.0), 10e3)
    covariances = tuple(Covariance(rng.uniform(0.5e-6, 1e-6, shape[1:]), time_correlation, space)
                        for _ in range(case.sectors))  # fmt: skip
    errors = ErrorModel({"random": np.full(n, 1e-12)}, np.full((n, 1), 2e-7), ("calibration",))
    return Problem(
        datum_id=np.array([f"d{i}" for i in range(n)]),
        site=np.array([f"s{i % 6}" for i in range(n)]),
        time=np.datetime64("2024-01-01", "ns") + np.arange(n) * np.timedelta64(1, "m"),
        mole_fraction=rng.normal(4.2e-4, 3e-6, n),
        background=np.full(n, 4.2e-4),
        H=H,
        errors=errors,
        sectors=tuple(f"sector {s}" for s in range(case.sectors)),
        flux=np.zeros(shape),
        covariances=covariances,
        prior_errors=(PriorError(10e3, 2 * 86400.0),) * case.sectors,
        parameters=(),
        coords=xr.Dataset(),
        unseen=(),
    )


def _jacobian(rng: np.random.Generator, case: Case) -> csr_array:
    cells, each = case.side**2, int(case.density * case.side**2)
    last = np.linspace(case.window, case.times, case.data).astype(int)
    columns = np.empty((case.data, case.window, each), dtype=np.int32)
    for i, end in enumerate(last):
        for k, t in enumerate(range(end - case.window, end)):
            columns[i, k] = t * cells + np.sort(rng.choice(cells, each, replace=False))
    start = np.arange(case.data + 1, dtype=np.int32) * case.window * each
    values = rng.exponential(0.01, columns.size)
    return csr_array((values, columns.ravel(), start), shape=(case.data, case.times * cells))


def measure(case: Case) -> str:
    """Solve one case and return a line of figures."""
    problem = make_problem(case)
    before = _peak()
    lines = []
    started = time.process_time()
    solution = solve(problem)
    lines.append(f"mean and every sd {time.process_time() - started:.1f} s")
    started = time.process_time()
    diagnose(solution)
    lines.append(f"diagnostics {time.process_time() - started:.1f} s")
    started = time.process_time()
    periods = np.vstack([np.eye(case.times), np.ones(case.times)])
    regions = np.random.default_rng(1).uniform(0, 1, (8, case.side**2))
    result = solution.totals(regions, periods)
    lines.append(f"{result.prior.size} totals with budget {time.process_time() - started:.1f} s")
    memory = (
        f"peak {_peak():.2f} GiB ({before:.2f} before), estimate {estimate_memory(problem) / GIB:.2f} GiB"
    )
    return f"{case.name}: {', '.join(lines)} of CPU; {memory}"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


if __name__ == "__main__":
    for one in CASES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(measure, one).result())
