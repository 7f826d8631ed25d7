"""How numbers are shown: units outside SI, and text that cannot turn into a formula."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from metroflux.errors import DataError
from metroflux.units import emission_rate_factor, flux_factor

_SHORT = np.timedelta64(60, "D")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SYMBOL = {"co2": "CO₂", "ch4": "CH₄"}


@dataclass(frozen=True)
class Shown:
    """A unit for readers.

    factor : multiplies the SI value
    plain : for tables and files, ASCII; typeset : for figures and pages
    """

    factor: float
    plain: str
    typeset: str


def emission_unit(totals: xr.Dataset) -> Shown:
    """Return t d-1 for runs under 60 days and t yr-1 above, of the gas named in `species`."""
    bounds = totals["period_bounds"].values
    time = "d-1" if bounds.max() - bounds.min() < _SHORT else "yr-1"
    return emission_unit_per(str(totals.attrs["species"]), time)


def emission_unit_per(species: str, time: str) -> Shown:
    """Return tonnes of the gas per time; `time` is "d-1" or "yr-1".

    >>> emission_unit_per("co2", "d-1").plain
    't CO2 d-1'
    """
    factor = 1.0 / emission_rate_factor(f"t {time}")
    typeset = f"t {symbol(species)} {time.replace('-1', '⁻¹')}"
    return Shown(factor, f"t {species.upper()} {time}", typeset)


def flux_unit(species: str) -> Shown:
    """Return umol m-2 s-1 for CO2 and nmol m-2 s-1 for CH4."""
    plain, typeset = {
        "co2": ("umol m-2 s-1", "µmol m⁻² s⁻¹"),
        "ch4": ("nmol m-2 s-1", "nmol m⁻² s⁻¹"),
    }[species.lower()]
    return Shown(1.0 / flux_factor(plain, species), plain, typeset)


def symbol(species: str) -> str:
    """Return the chemical formula as typeset."""
    try:
        return _SYMBOL[species.lower()]
    except KeyError:
        raise DataError(f"species '{species}' is unknown; expected one of: {', '.join(_SYMBOL)}") from None


def defuse(text: str) -> str:
    """Return text that a spreadsheet will not run, with nothing hidden: an apostrophe is put in front.

    >>> defuse("=cmd()"), defuse("Centre")
    ("'=cmd()", 'Centre')
    """
    return "'" + text if text.startswith(_FORMULA) else text
