"""Tanks measured as if they were air, as results to compare with their certificates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from metroflux.time import Times
from observations.metrology.analysis import Analysis, Seen
from observations.metrology.certificates import Standard
from observations.metrology.comparison import Result, compare
from observations.metrology.revision import certificate_parts
from observations.metrology.runs import Runs

GOALS = {"co2": 0.1e-6, "ch4": 2e-9, "n2o": 0.1e-9, "co": 2e-9, "sf6": 0.02e-12}
"""Network compatibility goals of WMO/GAW, mol mol-1 (GAW report 255, 2020; CO2: northern hemisphere)."""
CHECKS = ("time", "tank", "count", "value", "certified", "bias", "bias_sd", "e_n", "goal", "within")
"""Columns of the table of checks; mole fractions in mol mol-1."""


def measured(analysis: Analysis, runs: Runs) -> list[Result]:
    """Return each run of a tank as a result: its value, and the terms of all that the analyser rests on."""
    seen = Seen(runs.response, runs.scatter**2, runs.time, runs.slopes)
    values, errors = analysis.value(seen), analysis.errors(seen)
    own = np.hypot(analysis.gain(seen) * runs.sd, errors.drift_rest)
    label = f"{analysis.place.site} ({analysis.place.analyser})"
    found = []
    for i, when in enumerate(_seconds(runs.time)):
        terms = {s.name: float(s.column[i]) for s in errors.shared if s.column[i] != 0}
        terms[f"run:{analysis.analyser}:{when}"] = float(own[i])
        found.append(Result(label, float(values[i]), terms))
    return found


def certified(standard: Standard) -> Result:
    """Return a certified value as a result: the tank's own error, and that of its parent."""
    parts = certificate_parts((standard,), np.ones((1, 1)))
    return Result(standard.certificate, standard.value, {p.name: float(p.column[0]) for p in parts})


def check_targets(analysis: Analysis, targets: Runs | None, known: Mapping[str, Standard]) -> pd.DataFrame:
    """Return the bias of each target run against its certificate, its uncertainty, and the WMO goal.

    The uncertainty has in it what target and standards share, such as a parent: there it cancels.
    """
    if targets is None:
        return pd.DataFrame(columns=list(CHECKS))
    goal, rows = GOALS.get(analysis.settings.species, np.nan), []
    for i, result in enumerate(measured(analysis, targets)):
        tank = str(targets.tank[i])
        found = compare(result, certified(known[tank]))
        rows.append(
            (targets.time[i], tank, int(targets.count[i]), result.value, known[tank].value, found.difference,
             found.sd, found.e_n, goal, abs(found.difference) <= goal)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CHECKS))


def _seconds(times: Times) -> list[str]:
    return [str(time)[:19] for time in times]
