"""What it costs to leave out shared calibration errors: python -m benchmarks.calibration [PROBLEM.nc].

The problem is that of the demo as shipped, `metroflux problem configs/demo.yaml -o PROBLEM.nc`, made here if
no file is given. 200 truths are drawn from the prior and observed with all errors; the interval of the total
of domain and period is computed with all errors known, with the calibration errors left out, and with them
taken for independent errors of each datum. Then the same where an offset common to all data is solved too.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from inversion.problem import Parameter, Problem
from inversion.problem_file import read_problem
from inversion.simulate import Coverage, coverage
from metroflux.uncertainty import ErrorModel
from pipelines.problem_command import problem_command

DRAWS = 200
SEED = 2024
THREE_SD = 3 * np.sqrt(0.95 * 0.05 / DRAWS)
"""Three binomial standard deviations of the share of draws inside a 95 % interval."""
OFFSET_SD = 0.4e-6
CAUSE = "calibration"
DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"


def beliefs(errors: ErrorModel) -> dict[str, ErrorModel]:
    """Return what an analyst may believe of errors whose calibration part is shared."""
    shared = np.array([cause == CAUSE for cause in errors.causes])
    left_out = replace(
        errors,
        columns=errors.columns[:, ~shared],
        causes=tuple(np.array(errors.causes)[~shared].tolist()),
        traceable_to=tuple(np.array(errors.materials)[~shared].tolist()),
    )
    scattered = {CAUSE: np.sum(errors.columns[:, shared] ** 2, axis=1)}
    return {
        "all errors": errors,
        "calibration left out": left_out,
        "calibration taken as random": replace(left_out, random=left_out.random | scattered),
    }


def coverages(problem: Problem, weight: np.ndarray) -> Mapping[str, Coverage]:
    """Return the coverage of the total under each belief, all from the same draws.

    weight : of each flux time in the total
    """
    believed = beliefs(problem.errors)
    return dict(zip(believed, coverage(problem, weight, DRAWS, SEED, list(believed.values())), strict=True))


def with_offset(problem: Problem) -> Problem:
    """Return the problem with an offset of the background, common to all data, solved too."""
    offset = Parameter("offset", "background", np.ones(len(problem.datum_id)), OFFSET_SD)
    return replace(problem, parameters=(*problem.parameters, offset))


def posed(path: Path) -> tuple[Problem, np.ndarray]:
    """Return the problem of a file that `metroflux problem` wrote, and the weights of its whole period."""
    problem, ds = read_problem(path)
    begin, end = ds.total_period_bounds.values[ds.total_period.values.tolist().index("run")]
    times = problem.coords.flux_time.values
    return problem, ((begin <= times) & (times < end)).astype(np.float64)


def _demo() -> tuple[Problem, np.ndarray]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "problem.nc"
        problem_command(DEMO, path, None, 1, Console(stderr=True))
        return posed(path)


def main() -> None:
    """Print a table of coverages."""
    problem, weight = posed(Path(sys.argv[1])) if len(sys.argv) > 1 else _demo()
    print(f"{problem.shape[0]} data, {problem.shape[3]} cells, {DRAWS} draws; 95 % +- three binomial sd: "
          f"{100 * (0.95 - THREE_SD):.1f} to {100 * (0.95 + THREE_SD):.1f} %")  # fmt: skip
    for name, one in (("as shipped", problem), ("offset solved, sd 0.4 ppm", with_offset(problem))):
        start = time.process_time()
        for what, got in coverages(one, weight).items():
            print(f"{name:28s} {what:28s} {100 * got.inside / DRAWS:5.1f} %   mean z2 {got.mean_square:.2f}")
        print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
