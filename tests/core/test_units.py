"""Every accepted spelling against the same quantity worked out by hand; everything else is refused."""

import math

import pytest

from metroflux.constants import SECONDS_PER_YEAR
from metroflux.errors import DataError
from metroflux.units import (
    MOLE_FRACTION,
    emission_rate_factor,
    flux_factor,
    is_fill,
    molar_mass,
    mole_fraction_factor,
)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (420e-6, "mol mol-1"), (420e-6, "mol/mol"), (420e-6, "1"), (0.42, "mmol mol-1"), (420.0, "ppm"),
        (420.0, "umol mol-1"), (420.0, "micromol mol-1"), (420.0, "\u00b5mol mol-1"),
        (420.0, "\u03bcmol mol-1"),
        (420.0, "umol/mol"), (420.0, "\u00b5mol mol\u207b\u00b9"), (420.0, "\u03bcmol mol\u207b\u00b9"),
        (420e3, "ppb"), (420e3, "nmol mol-1"), (420e3, "nanomol mol-1"), (420e3, "nmol/mol"),
        (420e3, "nmol mol\u207b\u00b9"), (420e6, "ppt"), (420e6, "pmol mol-1"),
        (420.0, "1e-6"), (420e3, "1e-9"), (420e6, "1e-12"),
    ],
)  # fmt: skip
def test_420_ppm_in_every_spelling_is_the_same_mole_fraction(value, unit):
    assert value * mole_fraction_factor(f" {unit} ") == pytest.approx(420e-6, rel=1e-15)


def test_every_listed_spelling_is_tried_above():
    tried = {
        unit for _, unit in test_420_ppm_in_every_spelling_is_the_same_mole_fraction.pytestmark[0].args[1]
    }
    assert tried == set(MOLE_FRACTION)


@pytest.mark.parametrize("unit", ["", "ppmv wet", "PPM", "%", "mg m-3", "ppbb", "umol"])
def test_unknown_mole_fractions_are_refused(unit):
    with pytest.raises(DataError, match="is not a mole fraction; expected one of"):
        mole_fraction_factor(unit)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1.0, "kg s-1"), (1e3, "g s-1"), (3.6, "t h-1"), (86.4, "t d-1"), (0.0864, "kt d-1"),
        (0.0864, "Gg d-1"),
        (365.25 * 86400 * 1e-9, "Mt yr-1"), (365.25 * 86400 * 1e-9, "Tg yr-1"), (365.25 * 86.4, "t yr-1"),
    ],
)  # fmt: skip
def test_one_kilogram_per_second_in_every_rate(value, unit):
    assert value * emission_rate_factor(unit) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    "unit", ["kg", "kg s", "kg/s", "lb s-1", "kg s-2", "t month-1", "kg s-1 m-2", "tC yr-1"]
)
def test_unknown_rates_are_refused(unit):
    with pytest.raises(DataError, match="is not a mass rate"):
        emission_rate_factor(unit)


@pytest.mark.parametrize(("species", "mass"), [("co2", 0.0440095), ("ch4", 0.0160425)])
def test_one_mole_per_square_metre_and_second_in_every_flux(species, mass):
    for value, unit in [
        (1.0, "mol m-2 s-1"), (1e6, "umol m-2 s-1"), (1e9, "nmol m-2 s-1"), (mass, "kg m-2 s-1"),
        (mass, "kg/m2/s"), (mass * 1e3, "g m-2 s-1"), (mass * 1e3 * SECONDS_PER_YEAR, "t km-2 yr-1"),
        (mass * 86400e3, "g m-2 d-1"), (mass * 3600, "kg m-2 h-1"),
    ]:  # fmt: skip
        assert value * flux_factor(unit, species) == pytest.approx(1.0, rel=1e-14), unit


def test_molar_mass_follows_from_the_atoms():
    # IUPAC 2021 abridged atomic weights C 12.011, O 15.999, H 1.008, g mol-1; rounded there to 1 mg
    assert molar_mass("CO2") == pytest.approx((12.011 + 2 * 15.999) * 1e-3, abs=2e-6)
    assert molar_mass("ch4") == pytest.approx((12.011 + 4 * 1.008) * 1e-3, abs=2e-6)


@pytest.mark.parametrize(
    "unit", ["kg C m-2 s-1", "kgC m-2 s-1", "gC m-2 d-1", "g C m-2 d-1", "tC km-2 yr-1", "mol C m-2 s-1"]
)
def test_carbon_mass_is_refused(unit):
    with pytest.raises(DataError, match="is not a"):
        flux_factor(unit, "co2")


@pytest.mark.parametrize("unit", ["", "kg m-2", "kg s-1", "kg cm-2 s-1", "mol m-2 h-1", "W m-2", "kg m-2 s"])
def test_unknown_fluxes_are_refused(unit):
    with pytest.raises(DataError, match="is not a"):
        flux_factor(unit, "co2")


def test_unknown_species_is_refused():
    with pytest.raises(DataError, match="'n2o' is unknown; expected one of: co2, ch4"):
        flux_factor("kg m-2 s-1", "n2o")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e36, -1e36, 9.96921e36])
def test_fill_values_are_recognised(value):
    assert is_fill(value)


@pytest.mark.parametrize("value", [0.0, -999.99, 4.2e-4, 1e29])
def test_numbers_are_no_fill_values(value):
    assert not is_fill(value)
