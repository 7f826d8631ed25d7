"""The solution as a configuration wants it: hyperparameters estimated, errors Student-t, or plain."""

from collections.abc import Iterator

from inversion.estimate import estimate
from inversion.hyper import Hyperparameter
from inversion.mixture import Posterior, integrate
from inversion.problem import Problem
from inversion.robust import student_t
from inversion.solver import solve
from metroflux.parallel import Mapper
from pipelines.sections import Estimated, Inversion


def hyperparameters(problem: Problem, chosen: Inversion) -> list[Hyperparameter]:
    """Return the hyperparameters that a configuration asks for."""
    return [h for part in chosen.estimate for h in _expand(problem, part)]


def _expand(problem: Problem, chosen: Estimated) -> Iterator[Hyperparameter]:
    names = _names(problem, chosen)
    for of in ((n,) for n in names) if chosen.each else (names,):
        yield Hyperparameter(chosen.what, of, chosen.causes, chosen.spread, chosen.low, chosen.high)


def _names(problem: Problem, chosen: Estimated) -> tuple[str, ...]:
    if chosen.what == "mismatch":
        return chosen.sites or tuple(sorted(set(problem.site)))
    stated = zip(problem.sectors, problem.prior_errors, strict=True)
    return chosen.sectors or tuple(
        name for name, error in stated if chosen.what == "prior_sd" or getattr(error, chosen.what) > 0
    )


def solved(problem: Problem, chosen: Inversion, mapper: Mapper) -> Posterior:
    """Return the solution, with hyperparameters estimated and integrated where that is asked for."""
    limit = chosen.memory_gb * 1e9
    wanted = hyperparameters(problem, chosen)
    if chosen.student_t is not None:
        problem = student_t(problem, chosen.student_t, mapper).problem
    if not wanted:
        return solve(problem, mapper, limit)
    return integrate(problem, estimate(problem, wanted, mapper), chosen.points, mapper, limit)
