"""Remote calibration: a certified cylinder goes to an analyser, or its valve is opened from afar.

The analyser measures it as if it were air; the result is a comparison with the laboratory that certified it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metroflux.errors import DataError
from metroflux.time import Times
from observations.metrology.analysis import Analysis
from observations.metrology.certificates import Standard, valid_for
from observations.metrology.comparison import (
    Comparison,
    Equivalence,
    Result,
    combination,
    compare,
    equivalence,
    mean,
)
from observations.metrology.drift import walk
from observations.metrology.runs import Runs
from observations.metrology.tanks import certified, measured

COLUMNS = (
    "tank", "laboratory", "start", "end", "runs", "measured", "measured_sd", "certified", "certified_sd",
    "covariance", "difference", "difference_sd", "e_n", "zeta", "detectable", "verdict", "moved", "moved_sd",
    "beyond",
)  # fmt: skip
"""Columns of the table of comparisons; mole fractions in mol mol-1, uncertainties standard ones."""


@dataclass(frozen=True)
class Transfer:
    """A cylinder as one analyser measured it, and as it was certified, mol mol-1.

    start, end : first and last run, UTC
    runs : in the mean
    measured, certified : with their causes; certified is the value at the time of the runs
    moved : certificate after the journey minus the one before it; None while there is none after it
    beyond : whether the cylinder lies outside the standards of the analyser
    """

    species: str
    scale: str
    tank: str
    start: np.datetime64
    end: np.datetime64
    runs: int
    measured: Result
    certified: Result
    moved: Comparison | None
    beyond: bool

    @property
    def comparison(self) -> Comparison:
        """The analyser against the certificate."""
        return compare(self.measured, self.certified)

    @property
    def difference(self) -> Result:
        """Measured minus certified with its causes: what is common to several analysers keeps its name."""
        return combination((self.measured, self.certified), (1.0, -1.0), self.measured.label)


def transfers(analysis: Analysis, runs: Runs, standards: Sequence[Standard]) -> tuple[Transfer, ...]:
    """Return the comparison of each tank, the mean over its runs.

    Raises
    ------
    DataError
        If a tank has no valid certificate, or the one after the journey is on another scale.
    """
    results, found = np.array(measured(analysis, runs), dtype=object), []
    for tank in dict.fromkeys(runs.tank.tolist()):
        rows = runs.tank == tank
        times, own = runs.time[rows], mean(list(results[rows]), results[rows][0].label)
        (before,) = valid_for(standards, [tank], times[0], times[-1])
        after = _after(standards, before, times[-1])
        found.append(
            Transfer(
                species=before.species,
                scale=before.scale,
                tank=tank,
                start=times[0],
                end=times[-1],
                runs=times.size,
                measured=own,
                certified=underway(before, after, times, own.label),
                moved=compare(certified(after), certified(before)) if after else None,
                beyond=bool(analysis.beyond(np.array([own.value]))[0]),
            )
        )
    return tuple(found)


def _after(standards: Sequence[Standard], before: Standard, last: np.datetime64) -> Standard | None:
    later = [s for s in standards if s.tank == before.tank and s.valid_from >= last]
    if not later:
        return None
    after = min(later, key=lambda s: s.valid_from)
    if np.isnat(before.valid_from) or after.scale != before.scale:
        raise DataError(
            f"tank {before.tank}: certificates {before.certificate} (from {before.valid_from}, "
            f"{before.scale}) and {after.certificate} ({after.scale}); expected two days and one scale, to "
            "interpolate between"
        )
    return after


def underway(before: Standard, after: Standard | None, times: Times, label: str) -> Result:
    """Return the certified value of a cylinder at the times of its runs, their mean.

    Between two certificates it is interpolated. Where the cylinder was in between is not known: a walk tied
    to both certificates whose sd halfway is |change| / sqrt(12), that of a value anywhere between the two
    (GUM 4.3.7); analysers that saw the cylinder at one time share it. Without a certificate after the journey
    the value is held, and no drift is in the budget.

    Parameters
    ----------
    label : of the analyser
    """
    if after is None:
        return certified(before)
    share = (times - before.valid_from) / (after.valid_from - before.valid_from)
    gone, journey = float(share.mean()), f"{before.certificate} to {after.certificate}"
    between = combination((certified(before), certified(after)), (1.0 - gone, gone), journey)
    scale = abs(after.value - before.value) / np.sqrt(3.0)  # variance halfway: a quarter of its square
    columns, rest = walk(share, np.zeros(share.size, dtype=bool))
    name = f"cylinder-drift:{before.tank}:{journey}"
    drift = {f"{name}:{m + 1}": float(term) for m, term in enumerate(scale * columns.mean(axis=0))}
    drift[f"{name}:{label}"] = float(scale * rest.mean())
    return Result(journey, between.value, {**between.terms, **{n: t for n, t in drift.items() if t}})


def degrees(found: Sequence[Transfer]) -> dict[str, tuple[list[Transfer], Equivalence]]:
    """Return by tank what its analysers found and their degrees of equivalence.

    What is combined is measured minus certified: it does not move with the cylinder, and a certificate
    common to all changes no degree.

    Raises
    ------
    DataError
        If gases or scales differ, a tank has one analyser only, or an analyser has a tank twice.
    """
    for name in ("species", "scale"):
        kinds = sorted({str(getattr(t, name)) for t in found})
        if len(kinds) > 1:
            raise DataError(f"comparisons of {name} {', '.join(kinds)}; expected one")
    together = {}
    for tank in dict.fromkeys(t.tank for t in found):
        one = [t for t in found if t.tank == tank]
        labels = [t.measured.label for t in one]
        if len(set(labels)) < max(len(labels), 2):
            raise DataError(f"tank {tank}: measured by {', '.join(labels)}; expected two or more, each once")
        together[tank] = (one, equivalence([t.difference for t in one]))
    return together


def frame(found: Sequence[Transfer]) -> pd.DataFrame:
    """Return the table of comparisons."""
    rows = []
    for t in found:
        c, moved = t.comparison, (t.moved.difference, t.moved.sd) if t.moved else (np.nan, np.nan)
        rows.append(
            (t.tank, t.measured.label, t.start, t.end, t.runs, t.measured.value, t.measured.sd,
             t.certified.value, t.certified.sd, c.covariance, c.difference, c.sd, c.e_n, c.zeta, c.detectable,
             c.verdict, *moved, t.beyond)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
