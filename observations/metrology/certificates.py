"""Certified standards: what a certificate says of a tank, and how the errors of several tanks go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metroflux import time
from metroflux.errors import DataError
from metroflux.units import mole_fraction_factor
from observations import raw

Floats = npt.NDArray[np.float64]

COLUMNS = ("certificate", "tank", "species", "value", "unit", "expanded_uncertainty", "coverage_factor",
           "scale", "valid_from", "valid_until", "parent", "parent_expanded_uncertainty")  # fmt: skip
"""Header of a tanks CSV; an empty `valid_until`, `parent` or parent uncertainty means none."""
_NUMBERS = ("value", "expanded_uncertainty", "coverage_factor", "parent_expanded_uncertainty")


@dataclass(frozen=True)
class Standard:
    """One certified mole fraction of one tank.

    certificate : id of the certificate
    tank : id of the cylinder
    value, sd : mole fraction and its standard uncertainty, mol mol-1
    k : coverage factor of the certificate
    scale : calibration scale
    valid_from, valid_until : UTC; NaT where not limited
    parent : id of the standard that the value was assigned from; empty: none stated
    parent_sd : the part of `sd` that comes from the parent, common to all tanks of one parent, mol mol-1
    """

    certificate: str
    tank: str
    species: str
    value: float
    sd: float
    k: float
    scale: str
    valid_from: np.datetime64
    valid_until: np.datetime64
    parent: str = ""
    parent_sd: float = 0.0

    def __post_init__(self) -> None:
        checks = (
            (self.value > 0, f"value {self.value:g} mol mol-1, expected a positive one"),
            (self.sd > 0, f"standard uncertainty {self.sd:g} mol mol-1, expected a positive one"),
            (self.k >= 1, f"coverage factor {self.k:g}, expected at least 1"),
            (
                0 <= self.parent_sd <= self.sd,
                f"uncertainty of the parent {self.parent_sd:g} mol mol-1, expected at most that of the tank",
            ),
            (
                bool(self.parent) or self.parent_sd == 0,
                "an uncertainty of the parent without a parent; expected its id",
            ),
        )
        faults = [text for fine, text in checks if not fine]
        if faults:
            raise DataError(f"certificate {self.certificate} of tank {self.tank}: " + "; ".join(faults))

    @property
    def own_sd(self) -> float:
        """The part of `sd` that is the tank's alone, mol mol-1."""
        return float(np.sqrt(self.sd**2 - self.parent_sd**2))


def covariance(standards: Sequence[Standard]) -> Floats:
    """Return the covariance of the certified values, (mol mol-1)2: tanks of one parent share its error."""
    common = np.array([s.parent_sd for s in standards])
    parents = np.array([s.parent for s in standards])
    same = (parents[:, None] == parents[None, :]) & (parents != "")[:, None]
    return np.diag([s.own_sd**2 for s in standards]) + np.where(same, np.outer(common, common), 0.0)


def valid_for(
    standards: Sequence[Standard], tanks: Sequence[str], start: np.datetime64, end: np.datetime64
) -> list[Standard]:
    """Return the certificate of each tank that holds over the whole period of its use.

    Raises
    ------
    DataError
        If a tank has no certificate, none that is valid, or two.
    """
    absent = [tank for tank in tanks if tank not in {s.tank for s in standards}]
    if absent:
        known = ", ".join(dict.fromkeys(s.tank for s in standards))
        raise DataError(f"tank {', '.join(absent)} has no certificate; certified: {known or 'none'}")
    found, faults = [], []
    for tank in tanks:
        own = [s for s in standards if s.tank == tank]
        valid = [s for s in own if not (s.valid_from > start or s.valid_until < end)]
        found += valid[:1]
        if len(valid) != 1:
            faults += [
                f"certificate {s.certificate} of tank {tank} is valid from {s.valid_from} to {s.valid_until}"
                for s in own
            ]
    if faults:
        raise DataError("; ".join(faults) + f"; expected one that covers {start} to {end}")
    return found


def read_tanks(path: Path) -> list[Standard]:
    """Return the standards of a tanks CSV with the columns COLUMNS.

    Raises
    ------
    DataError
        If the file, a number, a unit or a date is wrong, a coverage factor is missing, or a tank is certified
        twice for a gas over one time.
    """
    table = raw.read_raw(path, COLUMNS)
    number = {name: raw.numbers(table, name) for name in _NUMBERS}
    for name in _NUMBERS[:3]:
        lacking = np.flatnonzero(np.isnan(number[name]))
        if lacking.size:
            raise DataError(f"{path}: no {name} in {table.row(int(lacking[0]))}; expected a number")
    k = number["coverage_factor"]
    if (k < 1).any():
        where = table.row(int(np.argmax(k < 1)))
        raise DataError(f"{path}: coverage_factor {k.min():g} in {where}; expected at least 1")
    found = [
        _standard({n: str(table.columns[n][row]).strip() for n in COLUMNS},
                  {n: float(values[row]) for n, values in number.items()}, f"{path}: {table.row(row)}")
        for row in range(k.size)
    ]  # fmt: skip
    _refuse_twice(path, found)
    return found


def _standard(text: Mapping[str, str], number: Mapping[str, float], where: str) -> Standard:
    """Return the standard of one row."""
    factor = mole_fraction_factor(text["unit"])
    k, common = number["coverage_factor"], number["parent_expanded_uncertainty"]
    return Standard(
        certificate=text["certificate"],
        tank=text["tank"],
        species=text["species"],
        value=number["value"] * factor,
        sd=number["expanded_uncertainty"] * factor / k,
        k=k,
        scale=text["scale"],
        valid_from=_date(text["valid_from"], where),
        valid_until=_date(text["valid_until"], where),
        parent=text["parent"],
        parent_sd=0.0 if np.isnan(common) else common * factor / k,
    )


def _date(text: str, where: str) -> np.datetime64:
    return time.parse(text, where) if text else np.datetime64("NaT", "ns")


def _refuse_twice(path: Path, standards: Sequence[Standard]) -> None:
    names = [s.certificate for s in standards]
    again = sorted({name for name in names if names.count(name) > 1})
    if again or "" in names:
        raise DataError(f"{path}: certificate ids {', '.join(again) or 'empty'}; expected each once")
    twice = sorted(
        {
            f"{one.tank} ({one.species})"
            for one, other in combinations(standards, 2)
            if (one.tank, one.species) == (other.tank, other.species)
            and not (one.valid_until <= other.valid_from or other.valid_until <= one.valid_from)
        }
    )
    if twice:
        raise DataError(
            f"{path}: tank {', '.join(twice)} is certified more than once over one time; expected the valid "
            "row, or a valid_until that is no later than the next valid_from"
        )
