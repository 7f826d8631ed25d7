"""Conversion to the SI units that metroflux uses inside, and back at the edges.

Only spellings listed here are accepted: an unknown unit is an error, never a guess.
"""

import math

from metroflux.constants import MOLAR_MASS, SECONDS_PER_YEAR
from metroflux.errors import DataError

MOLE_FRACTION = {
    "mol mol-1": 1.0, "mol/mol": 1.0, "1": 1.0,
    "1e-6": 1e-6, "1e-9": 1e-9, "1e-12": 1e-12,
    "mmol mol-1": 1e-3,
    "umol mol-1": 1e-6, "micromol mol-1": 1e-6, "µmol mol-1": 1e-6, "μmol mol-1": 1e-6, "umol/mol": 1e-6,
    "µmol mol⁻¹": 1e-6, "μmol mol⁻¹": 1e-6, "ppm": 1e-6,
    "nmol mol-1": 1e-9, "nanomol mol-1": 1e-9, "nmol/mol": 1e-9, "nmol mol⁻¹": 1e-9, "ppb": 1e-9,
    "pmol mol-1": 1e-12, "ppt": 1e-12,
}  # fmt: skip
"""Mole-fraction units and their factor to mol mol-1."""

_KILOGRAMS = {"kg": 1.0, "g": 1e-3, "t": 1e3, "kt": 1e6, "Mt": 1e9, "Tg": 1e9, "Gg": 1e6}
_SECONDS = {"s": 1.0, "h": 3600.0, "d": 86400.0, "yr": SECONDS_PER_YEAR}
_SQUARE_METRES = {"m-2": 1.0, "km-2": 1e-6}

FILL_LIMIT = 1e30
"""No physical quantity here exceeds it: a larger magnitude is an undeclared fill value such as 1e36."""


def mole_fraction_factor(unit: str) -> float:
    """Return the factor from `unit` to mol mol-1.

    Raises
    ------
    DataError
        If the unit is not one of `MOLE_FRACTION`.

    >>> mole_fraction_factor("ppb")
    1e-09
    """
    try:
        return MOLE_FRACTION[unit.strip()]
    except KeyError:
        known = ", ".join(sorted(MOLE_FRACTION))
        raise DataError(f"unit '{unit}' is not a mole fraction; expected one of: {known}") from None


def emission_rate_factor(unit: str) -> float:
    """Return the factor from a mass rate such as 'Tg yr-1' or 't d-1' to kg s-1.

    >>> round(emission_rate_factor("Tg yr-1"), 4)
    31.6881
    """
    mass, _, rate = unit.strip().partition(" ")
    time = rate.removesuffix("-1")
    if mass not in _KILOGRAMS or not rate.endswith("-1") or time not in _SECONDS:
        raise DataError(
            f"unit '{unit}' is not a mass rate; expected for example 'kg s-1', 't d-1', 'Tg yr-1'"
        )
    return _KILOGRAMS[mass] / _SECONDS[time]


def flux_factor(unit: str, species: str) -> float:
    """Return the factor from a surface flux unit to mol m-2 s-1.

    Accepts `[u|n]mol m-2 s-1` and mass fluxes such as 'kg m-2 s-1', 'kg/m2/s', 't km-2 yr-1' of `species`
    (of the species itself: carbon mass is refused, because it looks the same and is 3.66 times smaller).

    >>> flux_factor("umol m-2 s-1", "co2")
    1e-06
    """
    text = unit.strip().replace("kg/m2/s", "kg m-2 s-1")
    moles = {"mol m-2 s-1": 1.0, "umol m-2 s-1": 1e-6, "nmol m-2 s-1": 1e-9}
    if text in moles:
        return moles[text]
    parts = text.split()
    if len(parts) == 3 and parts[1] in _SQUARE_METRES:
        return emission_rate_factor(f"{parts[0]} {parts[2]}") * _SQUARE_METRES[parts[1]] / molar_mass(species)
    raise DataError(
        f"unit '{unit}' is not a surface flux; expected 'mol m-2 s-1', 'kg m-2 s-1', 't km-2 yr-1' or alike"
    )


def molar_mass(species: str) -> float:
    """Return the molar mass of a species, kg mol-1."""
    try:
        return MOLAR_MASS[species.lower()]
    except KeyError:
        raise DataError(f"species '{species}' is unknown; expected one of: {', '.join(MOLAR_MASS)}") from None


def is_fill(value: float) -> bool:
    """Tell whether a number is not finite or so large that it can only be a fill value.

    >>> is_fill(9.97e36), is_fill(4.2e-4)
    (True, False)
    """
    return not math.isfinite(value) or abs(value) > FILL_LIMIT
