"""What was taken for the hyperparameters, estimated or fixed by the configuration, as a dataset."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from inversion.estimate import Estimate
from inversion.hyper import KINDS, Hyperparameter, Kind, mismatch_causes
from inversion.problem import Problem

FIXED = "fixed by configuration"
_UNIT: dict[Kind, str] = {"prior_sd": "1", "length": "m", "duration": "s", "mismatch": "1"}
_TEXT = {
    "hyperparameter_value": "value at the maximum of the evidence and its prior, or as fixed",
    "hyperparameter_stated": "value that the configuration states",
    "hyperparameter_sd": "standard uncertainty of the value, 0 where fixed or at a limit",
}


@dataclass(frozen=True)
class _Row:
    """One hyperparameter of one sector or one component of R; index of what was estimated, or None."""

    kind: Kind
    name: str
    value: float
    estimated: int | None


def hyperparameters(problem: Problem, found: Estimate | None = None) -> xr.Dataset:
    """Return the table of hyperparameters; every sector and random error has its rows, fixed or not.

    problem : at the estimate; the multipliers of sd ("prior_sd", "mismatch") count from what is stated
    """
    chosen = () if found is None else found.chosen
    rows = [*_sector_rows(problem, chosen), *_mismatch_rows(problem, chosen)]
    theta = [0.0 if found is None or r.estimated is None else float(found.theta[r.estimated]) for r in rows]
    value = np.array([r.value if r.kind in ("length", "duration") else np.exp(t)
                      for r, t in zip(rows, theta, strict=True)])  # fmt: skip
    values = {
        "hyperparameter_value": value,
        "hyperparameter_stated": value * np.exp(-np.array(theta)),
        "hyperparameter_sd": value * [_log_sd(r, found) for r in rows],
    }
    text = {
        "hyperparameter": [f"{r.kind}: {r.name}" for r in rows],
        "hyperparameter_unit": [_UNIT[r.kind] for r in rows],
        "hyperparameter_status": [_status(r, found) for r in rows],
    }
    dim = "hyperparameter"
    return xr.Dataset(
        {name: (dim, v, {"long_name": _TEXT[name]}) for name, v in values.items()},
        coords={name: (dim, np.array(v, dtype=str)) for name, v in text.items()},
    )


def _sector_rows(problem: Problem, chosen: tuple[Hyperparameter, ...]) -> Iterator[_Row]:
    for name, setting in zip(problem.sectors, problem.prior_errors, strict=True):
        stated = {"prior_sd": 1.0, "length": setting.length, "duration": setting.duration}
        for kind in KINDS[:3]:
            at = [i for i, h in enumerate(chosen) if h.kind == kind and name in h.of]
            yield _Row(kind, name, stated[kind], at[0] if at else None)


def _mismatch_rows(problem: Problem, chosen: tuple[Hyperparameter, ...]) -> Iterator[_Row]:
    sites = sorted(set(problem.site))
    for cause in mismatch_causes(problem.errors):
        left = set(sites)
        for i, h in enumerate(chosen):
            if h.kind == "mismatch" and cause in h.causes:
                left -= set(h.of)
                yield _Row("mismatch", _place(cause, h.of, sites), 1.0, i)
        if left:
            yield _Row("mismatch", _place(cause, tuple(sorted(left)), sites), 1.0, None)


def _place(cause: str, of: tuple[str, ...], sites: list[str]) -> str:
    return cause if set(of) == set(sites) else f"{cause} at {', '.join(of)}"


def _log_sd(row: _Row, found: Estimate | None) -> float:
    if found is None or row.estimated is None:
        return 0.0
    return float(np.sqrt(found.covariance[row.estimated, row.estimated]))


def _status(row: _Row, found: Estimate | None) -> str:
    if found is None or row.estimated is None:
        return FIXED
    side = found.at_limit[row.estimated]
    return f"estimated, at its {side} limit" if side else "estimated"
