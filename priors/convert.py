"""Units of inventories to mol m-2 s-1, with the trap of carbon mass."""

import re

from metroflux.constants import M_CARBON
from metroflux.errors import DataError
from metroflux.units import emission_rate_factor, flux_factor, molar_mass

_NAMES = {"co2": "carbon_dioxide", "ch4": "methane"}
_SPACED = {"mol/m2/s": "mol m-2 s-1", "umol/m2/s": "umol m-2 s-1", "nmol/m2/s": "nmol m-2 s-1"}


def surface_flux_factor(unit: str, species: str, carbon_mass: bool) -> float:
    """Return the factor from a surface flux unit to mol m-2 s-1.

    carbon_mass : masses are of the carbon in the species, 12 and not 44 grams a mole of CO2; must be said,
    and must not contradict the unit

    >>> round(surface_flux_factor("kg C m-2 s-1", "co2", True), 3)
    83.257
    """
    bare = _without_species(unit, species, carbon_mass)
    factor = flux_factor(_SPACED.get(bare, bare), species)
    return factor * _carbon_correction(bare, species, carbon_mass)


def emission_factor(unit: str, species: str, carbon_mass: bool) -> float:
    """Return the factor from a mass rate such as 'Tg CO2 yr-1' to mol s-1.

    >>> round(emission_factor("t CO2 d-1", "co2", False), 6)
    0.26299
    """
    bare = _without_species(unit, species, carbon_mass)
    factor = emission_rate_factor(bare) / molar_mass(species)
    return factor * _carbon_correction(bare, species, carbon_mass)


def refuse_other_species(attrs: dict[str, object], species: str) -> None:
    """Raise a DataError if the species is unknown or a variable's attributes name another one."""
    molar_mass(species)
    name = str(attrs.get("standard_name", ""))
    for other, word in _NAMES.items():
        if other != species.lower() and (word in name or str(attrs.get("species", "")).lower() == other):
            found = f"standard_name '{name}', species '{attrs.get('species', '')}'"
            raise DataError(f"is of {other} ({found}), expected {species}")


def _without_species(unit: str, species: str, carbon_mass: bool) -> str:
    """Return the unit without the name of what is weighed, 'kg C m-2 s-1' -> 'kg m-2 s-1'."""
    molar_mass(species)
    words = unit.split()
    named = next((word for word in words if word.lower() == species.lower()), None)
    carbon = next((word for word in words if re.fullmatch(r"[A-Za-z]{0,2}C|carbon", word)), None)
    if carbon and not carbon_mass and "mol" not in unit:
        raise DataError(
            f"unit '{unit}' is of carbon mass; expected carbon_mass to be set, or mass of {species}"
        )
    if named and carbon_mass:
        raise DataError(f"unit '{unit}' is of {species} mass, but carbon_mass is set")
    kept = [word for word in words if word not in (named, "C", "carbon")]
    return " ".join(word[:-1] if word == carbon else word for word in kept)


def _carbon_correction(unit: str, species: str, carbon_mass: bool) -> float:
    if not carbon_mass:
        return 1.0
    if "mol" in unit:
        raise DataError(f"unit '{unit}' counts moles, but carbon_mass is set; expected a mass")
    return molar_mass(species) / M_CARBON
