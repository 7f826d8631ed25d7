"""What a total of a run rests on: from the city back to reference materials, as a tree with uncertainties."""

import json
from pathlib import Path
from typing import cast

import numpy as np
import xarray as xr

from inversion.mixture import Mixture, Posterior
from inversion.problem import Floats, Problem
from inversion.solution import Solution
from inversion.totals import respond
from metroflux.errors import ConfigError, DataError
from metroflux.units import molar_mass
from observations.metrology.trace import Parts, Tree, tree_of
from pipelines.run import WORK
from pipelines.stages import STORED
from pipelines.store import Store
from products.periods import Period, time_weights
from products.words import reading_unit


def trace_total(run: Path, observations: xr.Dataset, region: str, period: str) -> Tree:
    """Return what the total of a region and period rests on, all sectors together.

    The parts are those of the posterior variance, k' R k by cause and material with k = C^-1 H B w, and the
    prior's; they sum to it.

    Raises
    ------
    ConfigError
        If the run has no such region or period, or its hyperparameters were estimated.
    DataError
        If the folder is no finished run, or the parts do not sum to the variance of the total.
    """
    store, keys = Store(run / WORK, STORED), _keys(run)
    totals, regions = (
        cast(xr.Dataset, store.get("totals", keys["totals"], n)) for n in ("totals", "regions")
    )
    solution = _solution(cast(Posterior, store.get("inversion", keys["inversion"], "solution")), run)
    for name, wanted in (("region", region), ("period", period)):
        known = totals[name].values.astype(str).tolist()
        if wanted not in known:
            raise ConfigError(f"{run}: no {name} '{wanted}'; expected one of {', '.join(known)}")
    one = totals.sel(region=region, period=period, sector="total")
    bounds = one.period_bounds.values
    gain = _gain(solution, regions.weight.sel(region=region).values, Period(period, bounds[0], bounds[1]))
    parts = _parts(solution.problem, gain) | {("prior inventory", ""): float(one.budget.sel(cause="prior"))}
    variance = float(one.posterior_sd) ** 2
    if abs(sum(parts.values()) - variance) > 1e-6 * variance:
        raise DataError(f"{run}: parts sum to {sum(parts.values()):g} kg2 s-2; expected {variance:g}")
    days = f"{str(bounds[0])[:16]} to {str(bounds[1])[:16]}"
    root = tree_of(observations, gain[: observations.sizes["obs"]] != 0, parts, f"total of {region}, {days}")
    unit = reading_unit(totals)[0]
    return Tree(root, float(one.posterior), unit.factor, unit.plain)


def _keys(run: Path) -> dict[str, str]:
    try:
        stages = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["stages"]
    except (OSError, ValueError, KeyError):
        raise DataError(f"{run}: no finished run; expected a folder with manifest.json") from None
    return {stage["stage"]: stage["key"] for stage in stages}


def _solution(found: Posterior, run: Path) -> Solution:
    if isinstance(found, Mixture):
        raise ConfigError(f"{run}: hyperparameters were estimated; its totals are not traced so far")
    return found


def _gain(solution: Solution, share: Floats, period: Period) -> Floats:
    """Return k = C^-1 H B w of a total, kg s-1 for each unit of a datum, shape (obs,)."""
    coords = solution.problem.coords
    space = share.ravel() * coords.cell_area.values.ravel() * molar_mass(str(coords.attrs["species"]))
    time = time_weights([period], coords.flux_time_bounds.values)
    return solution.factor.solve(respond(solution.problem, space[None], time).data[:, 0, -1, 0])


def _parts(problem: Problem, gain: Floats) -> Parts:
    """Return the variance that each error brings into the total, kg2 s-2."""
    errors = problem.errors
    parts: Parts = {(name, ""): float(np.sum(gain**2 * v)) for name, v in errors.random.items()}
    for part in errors.correlated:
        parts[part.cause, ""] = parts.get((part.cause, ""), 0.0) + float(gain @ (part @ gain))
    shared = zip(errors.causes, errors.materials, errors.columns.T @ gain, strict=True)
    own = (
        (f"{p.cause}, solved", "", a)
        for p, a in zip(problem.parameters, problem.scaled_design.T @ gain, strict=True)
    )
    for cause, material, amount in (*shared, *own):
        parts[cause, material] = parts.get((cause, material), 0.0) + float(amount) ** 2
    return parts
