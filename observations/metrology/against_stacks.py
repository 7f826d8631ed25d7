"""Plane fluxes of a flux lidar against what stacks report of themselves over the same hours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metroflux.constants import MOLAR_MASS
from metroflux.errors import DataError
from observations.metrology.cems import HOUR, Stack
from observations.metrology.comparison import Comparison, Result, combination, paired


@dataclass(frozen=True)
class Passage:
    """A flux through a plane, mol s-1, and the begin and end of its scan, UTC."""

    flux: Result
    species: str
    begin: np.datetime64
    end: np.datetime64

    @property
    def hours(self) -> tuple[np.datetime64, np.datetime64]:
        """Begin and end of the whole hours that the scan touches."""
        last = self.end - np.timedelta64(1, "ns")  # an end on the hour does not touch the next
        first, last = (t.astype("datetime64[h]").astype("datetime64[ns]") for t in (self.begin, last))
        return first, last + HOUR


def against_stacks(
    passages: Sequence[Passage], stacks: Sequence[Stack], species: str
) -> tuple[list[Comparison], Comparison]:
    """Return each plane against the sum of the stacks over its hours, kg s-1, and the mean of all.

    A scan takes minutes, the stacks report hours: how far the emission moves within an hour belongs in
    `random_sd` of the stacks.

    Raises
    ------
    DataError
        If there is no plane or stack, a plane is of another gas, or too few hours are good.
    """
    wrong = [f"{p.flux.label} ({p.species})" for p in passages if p.species != species]
    if wrong or not passages or not stacks:
        raise DataError(
            f"planes {', '.join(wrong) or len(passages)}, {len(stacks)} stacks; expected one or more of "
            f"each, of {species}"
        )
    pairs = []
    for passage in passages:
        reported = [stack.mean(*passage.hours) for stack in stacks]
        label = " + ".join(stack.name for stack in stacks)
        mass = combination([passage.flux], [MOLAR_MASS[species]], passage.flux.label)
        pairs.append((mass, combination(reported, [1.0] * len(reported), label)))
    return paired(pairs)
