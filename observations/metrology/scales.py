"""Calibration scales: a directed graph of published conversions, each with its range and uncertainty."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from metroflux.errors import ConfigError, DataError
from metroflux.units import mole_fraction_factor

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """One conversion y = c0 + c1 x + c2 x2, rising over its range; it is also walked backward.

    source, target : canonical names of scales
    coefficients : c0, c1, c2 in `unit`
    sd : standard uncertainty of y, `unit`; None: none is published, so the user must state one
    relative_sd : further standard uncertainty as a share of y
    valid : least and greatest x, `unit`
    reference : who published it
    """

    source: str
    target: str
    coefficients: tuple[float, float, float]
    unit: str
    valid: tuple[float, float]
    reference: str
    sd: float | None = None
    relative_sd: float = 0.0

    def __post_init__(self) -> None:
        _, c1, c2 = self.coefficients
        slopes = [c1 + 2 * c2 * x for x in self.valid]
        if not self.valid[0] < self.valid[1] or min(slopes) <= 0:
            raise ConfigError(
                f"scale conversion {self.name}: slope {min(slopes):g} over {self.valid[0]:g} to "
                f"{self.valid[1]:g} {self.unit}; expected a rising conversion over a range"
            )
        if (self.sd is not None and self.sd < 0) or self.relative_sd < 0:
            raise ConfigError(f"scale conversion {self.name}: a negative sd; expected 0 or more")

    @property
    def name(self) -> str:
        """Source and target as text."""
        return f"{self.source} -> {self.target}"


@dataclass(frozen=True)
class Step:
    """An edge as walked: forward, or backward from target to source."""

    edge: Edge
    forward: bool

    def limits(self) -> tuple[float, float]:
        """Return the least and greatest value that this step may be given, mol mol-1."""
        factor = mole_fraction_factor(self.edge.unit)
        ends = np.array(self.edge.valid)
        low, high = ends if self.forward else _polynomial(self.edge.coefficients, ends)
        return float(low * factor), float(high * factor)

    def value(self, x: Floats) -> Floats:
        """Return the converted mole fractions, mol mol-1."""
        factor = mole_fraction_factor(self.edge.unit)
        given = x / factor
        if self.forward:
            return _polynomial(self.edge.coefficients, given) * factor
        return _inverse(self.edge.coefficients, given) * factor

    def slope(self, x: Floats) -> Floats:
        """Return the derivative of the converted value."""
        _, c1, c2 = self.edge.coefficients
        source = (x if self.forward else self.value(x)) / mole_fraction_factor(self.edge.unit)
        rise = c1 + 2 * c2 * source
        return rise if self.forward else 1.0 / rise

    def sd(self, x: Floats, unstated: float | None) -> Floats:
        """Return the standard uncertainty that the step adds to its result, mol mol-1.

        Raises
        ------
        ConfigError
            If none is published and `unstated`, mol mol-1, is None.
        """
        edge = self.edge
        absolute = unstated if edge.sd is None else edge.sd * mole_fraction_factor(edge.unit)
        if absolute is None:
            raise ConfigError(
                f"scale conversion {edge.name} ({edge.reference}) has no published uncertainty; expected "
                f"`unstated_sd`, the standard uncertainty that you assign to it (0 if you neglect it)"
            )
        target = self.value(x) if self.forward else x
        at_target = np.hypot(absolute, edge.relative_sd * np.abs(target))
        return at_target if self.forward else at_target * self.slope(x)


def _polynomial(coefficients: tuple[float, float, float], x: Floats) -> Floats:
    c0, c1, c2 = coefficients
    return c0 + x * (c1 + c2 * x)


def _inverse(coefficients: tuple[float, float, float], y: Floats) -> Floats:
    """Return the root on the rising branch, in the form that loses no digits when c2 is small."""
    c0, c1, c2 = coefficients
    return 2 * (y - c0) / (c1 + np.sqrt(c1**2 + 4 * c2 * (y - c0)))


ALIASES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({
    "WMO CO2 X2007": ("co2", ("WMO X2007", "X2007", "WMO-CO2-X2007", "NOAA X2007")),
    "WMO CO2 X2019": ("co2", ("WMO X2019", "X2019", "WMO-CO2-X2019", "NOAA X2019")),
    "CMDL83": ("ch4", ("NOAA83", "CMDL 83", "NOAA CMDL83", "NOAA/CMDL83")),
    "WMO CH4 X2004": ("ch4", ("WMO X2004", "X2004", "NOAA04", "NOAA 2004", "NOAA 2004 CH4")),
    "WMO CH4 X2004A": ("ch4", ("WMO X2004A", "X2004A", "NOAA04A", "NOAA 2004A", "NOAA 2004A CH4",
                               "NOAA-2004A")),
    "TU-1987": ("ch4", ("TU", "TU1987", "Tohoku", "Tohoku University", "TU-87")),
    "NIES gravimetric": ("ch4", ("NIES", "NIES CH4 gravimetric")),
    "WMO SF6 X2006": ("sf6", ("WMO X2006", "X2006", "NOAA-2006")),
    "WMO SF6 X2014": ("sf6", ("WMO X2014", "X2014", "NOAA-2014")),
    "SIO-05": ("sf6", ("SIO05", "SIO 2005", "SIO-2005")),
    "WMO N2O X2006A": ("n2o", ("WMO X2006A", "X2006A", "NOAA-2006A", "NOAA 2006A N2O")),
    "WMO CO X2014A": ("co", ("WMO X2014A", "X2014A", "NOAA 2014A CO")),
})  # fmt: skip
"""Canonical name -> species and the spellings found in file headers."""

_GLOBALVIEW = "GLOBALVIEW-CH4, NOAA ESRL, table 1"
EDGES = (
    Edge("WMO CO2 X2007", "WMO CO2 X2019", (-0.142, 1.00079, 0.0), "ppm", (250.0, 800.0),
         "Hall et al. 2021, doi 10.5194/amt-14-3015-2021"),
    Edge("CMDL83", "WMO CH4 X2004", (0.0, 1.0124, 0.0), "ppb", (300.0, 3000.0),
         "Dlugokencky et al. 2005; " + _GLOBALVIEW),
    Edge("TU-1987", "WMO CH4 X2004", (0.0, 1.0003, 0.0), "ppb", (300.0, 3000.0), _GLOBALVIEW),
    Edge("NIES gravimetric", "WMO CH4 X2004", (0.0, 0.997, 0.0), "ppb", (300.0, 3000.0), _GLOBALVIEW,
         sd=0.0, relative_sd=0.0001),
    # NOAA: "uncertainty of +- 0.01 ppt", valid above 2 ppt, only approximate above 10 ppt
    Edge("WMO SF6 X2006", "WMO SF6 X2014", (3.5831e-2, 0.97748, 2.6821e-3), "ppt", (2.0, 10.0),
         "NOAA GML 2014, SF6 scale page", sd=0.01),
    Edge("SIO-05", "WMO SF6 X2014", (0.0, 1.002, 0.0), "ppt", (0.1, 100.0), "Guillevic et al. 2018"),
)  # fmt: skip
"""Published conversions. Ranges that are not published are those of the standards' mole fractions."""

REFUSED: Mapping[frozenset[str], str] = MappingProxyType({
    frozenset({"WMO CH4 X2004", "WMO CH4 X2004A"}):
        "there is no published conversion (each standard was reassigned on its own); ask the operator for "
        "the data reprocessed on the wanted scale, or give an edge with your own uncertainty",
})  # fmt: skip
"""Pairs that must not be joined even by way of others, and what to do instead."""


@dataclass(frozen=True)
class Scales:
    """The graph: published edges and those that the user adds, such as a national scale."""

    edges: tuple[Edge, ...] = EDGES

    def with_edges(self, edges: Sequence[Edge]) -> "Scales":
        """Return the graph with more edges; names may be spelled as in headers."""
        return Scales((*self.edges, *edges))

    def canonical(self, text: str, species: str) -> str:
        """Return the one name of a scale that a header spells in some way.

        Raises
        ------
        DataError
            If the scale is unknown for the species.
        """
        wanted = _key(text)
        own = {name for edge in self.edges for name in (edge.source, edge.target)}
        known = {name: (name, *spellings) for name, (gas, spellings) in ALIASES.items() if gas == species}
        known |= {name: (name,) for name in own if name not in ALIASES}
        for name, spellings in known.items():
            if wanted in map(_key, spellings):
                return name
        raise DataError(f"scale '{text}' is unknown for {species}; known: {', '.join(sorted(known))}")

    def path(self, source: str, target: str) -> list[Step]:
        """Return the conversions from one canonical scale to another in the order they are applied.

        Raises
        ------
        DataError
            If no chain of conversions joins them; the message says what to do.
        """
        direct = {frozenset({e.source, e.target}) for e in self.edges}
        pair = frozenset({source, target})
        if pair in REFUSED and pair not in direct:
            raise DataError(f"scale {source} -> {target} is refused: {REFUSED[pair]}")
        queue: deque[tuple[str, list[Step]]] = deque([(source, [])])
        seen = {source}
        while queue:
            here, steps = queue.popleft()
            if here == target:
                return steps
            for edge in self.edges:
                forward = edge.source == here
                there = edge.target if forward else edge.source
                if here in (edge.source, edge.target) and there not in seen:
                    seen.add(there)
                    queue.append((there, [*steps, Step(edge, forward)]))
        raise DataError(
            f"no conversion leads from scale {source} to {target}; give an edge with its uncertainty, or ask "
            f"the operator for data on {target}"
        )

    def convert(self, values: Floats, source: str, target: str) -> Floats:
        """Return mole fractions, mol mol-1, carried from one canonical scale to another.

        Raises
        ------
        DataError
            If a value lies outside the range of a conversion, or there is none.

        >>> x = Scales().convert(np.array([400e-6]), "WMO CO2 X2007", "WMO CO2 X2019")
        >>> round(float(x[0]) * 1e6, 3)
        400.174
        """
        for step in self.path(source, target):
            refuse_outside(step, values)
            values = step.value(values)
        return values


def refuse_outside(step: Step, values: Floats) -> None:
    """Stop at a value, mol mol-1, for which a conversion is not published."""
    low, high = step.limits()
    slack = 1e-12 * high  # the ends themselves are inside, whatever their rounding
    bad = np.flatnonzero((values < low - slack) | (values > high + slack))
    if bad.size:
        factor, unit = mole_fraction_factor(step.edge.unit), step.edge.unit
        raise DataError(
            f"scale conversion {step.edge.name}: {bad.size} values outside {low / factor:g} to "
            f"{high / factor:g} {unit}, first {values[bad[0]] / factor:g} {unit}"
        )


def _key(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
