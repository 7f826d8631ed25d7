"""Hyperparameters: multipliers of what the configuration states of the prior's and the data's errors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from inversion.problem import Problem, covariances
from inversion.settings import PriorError
from metroflux.uncertainty import ErrorModel

Floats = npt.NDArray[np.float64]
Kind = Literal["prior_sd", "length", "duration", "mismatch"]
KINDS: tuple[Kind, ...] = ("prior_sd", "length", "duration", "mismatch")


@dataclass(frozen=True)
class Hyperparameter:
    """One multiplier exp(theta) of stated values; theta has the prior N(0, spread^2), cut off at the limits.

    kind : what is multiplied: prior sd, length or duration of sectors, or the sd of the model-data mismatch
    of : the sectors or, for a mismatch, the sites it is common to
    causes : for a mismatch, the random components of R that it multiplies
    spread : prior sd of the multiplier's natural logarithm, 1
    low, high : limits of the multiplier, 1
    """

    kind: Kind
    of: tuple[str, ...]
    causes: tuple[str, ...] = ()
    spread: float = 1.0
    low: float = 0.1
    high: float = 10.0

    @property
    def name(self) -> str:
        """Unique id, such as "length: traffic"."""
        return f"{self.kind}: {', '.join((*self.causes, *self.of))}"


def hyperparameter_faults(problem: Problem, chosen: Sequence[Hyperparameter]) -> Iterator[str]:
    """Yield what is wrong with the choice of hyperparameters for a problem."""
    used: set[tuple[str, str]] = set()
    for h in chosen:
        known = set(problem.site) if h.kind == "mismatch" else set(problem.sectors)
        unknown = [name for name in h.of if name not in known]
        if unknown or not h.of:
            found = ", ".join(unknown) or "nothing"
            yield f"'{h.name}': {found}, expected some of {', '.join(sorted(known))}"
            continue
        yield from _value_faults(problem, h)
        parts = {(h.kind, f"{cause} {name}") for name in h.of for cause in h.causes or ("",)}
        if parts & used:
            yield f"'{h.name}': {sorted(parts & used)[0][1].strip()} is estimated twice"
        used |= parts


def _value_faults(problem: Problem, h: Hyperparameter) -> Iterator[str]:
    if not (0 < h.low < 1 < h.high < np.inf and 0 < h.spread < np.inf):
        yield (
            f"'{h.name}': low {h.low:g}, high {h.high:g}, spread {h.spread:g}; expected 0 < low < 1 < high "
            "and a positive spread"
        )
    if h.kind == "mismatch":
        known = mismatch_causes(problem.errors)
        absent = [c for c in h.causes if c not in known]
        if absent or not h.causes:
            found = ", ".join(known)
            yield f"'{h.name}': random error {', '.join(absent) or 'not named'}, expected some of {found}"
    for name, error in zip(problem.sectors, problem.prior_errors, strict=True):
        if name in h.of and h.kind in ("length", "duration") and getattr(error, h.kind) == 0:
            yield f"'{h.name}': the {h.kind} of '{name}' is 0, expected a positive one to start from"


def scaled(problem: Problem, chosen: Sequence[Hyperparameter], theta: Floats) -> Problem:
    """Return the problem with its stated values multiplied by exp(theta)."""
    sd = np.stack([c.sd for c in problem.covariances])
    settings = list(problem.prior_errors)
    for h, value in zip(chosen, np.exp(theta), strict=True):
        at = [problem.sectors.index(name) for name in h.of] if h.kind != "mismatch" else []
        for s in at:
            if h.kind == "prior_sd":
                sd[s] *= value
            elif h.kind == "duration":
                settings[s] = replace(settings[s], duration=settings[s].duration * float(value))
            else:
                settings[s] = _stretch(settings[s], float(value))
    return replace(
        problem,
        covariances=covariances(problem.coords, sd, settings),
        prior_errors=tuple(settings),
        errors=_scale_errors(problem, chosen, theta),
    )


def mismatch_causes(errors: ErrorModel) -> tuple[str, ...]:
    """Return the random errors of R, those correlated in time included."""
    return (*errors.random, *(part.cause for part in errors.correlated))


def _stretch(setting: PriorError, value: float) -> PriorError:
    length_y = None if setting.length_y is None else setting.length_y * value
    return replace(setting, length=setting.length * value, length_y=length_y)


def _scale_errors(problem: Problem, chosen: Sequence[Hyperparameter], theta: Floats) -> ErrorModel:
    random, correlated = dict(problem.errors.random), list(problem.errors.correlated)
    for h, value in zip(chosen, np.exp(theta), strict=True):
        if h.kind == "mismatch":
            factor = np.where(np.isin(problem.site, h.of), value, 1.0)
            random = {c: v * factor**2 if c in h.causes else v for c, v in random.items()}
            correlated = [replace(p, sd=p.sd * factor) if p.cause in h.causes else p for p in correlated]
    return replace(problem.errors, random=random, correlated=tuple(correlated))


def mismatch_slope(problem: Problem, h: Hyperparameter, rest: Floats) -> float:
    """Return the sum over all entries of rest times dR/dtheta of a mismatch; rest has shape (obs, obs)."""
    at = np.flatnonzero(np.isin(problem.site, h.of))
    own = np.diag(rest)[at]
    total = sum(2 * float(own @ problem.errors.random[c][at]) for c in h.causes if c in problem.errors.random)
    for part in problem.errors.correlated:
        if part.cause in h.causes:  # errors of different sites are independent
            total += 2 * float(np.vdot(rest[np.ix_(at, at)], part.take(at).dense()))
    return total
