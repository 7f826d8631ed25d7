"""Physical constants and molar masses, each with its source, in SI units."""

GRAVITY = 9.80665
"""Standard acceleration of gravity, m s-2 (CGPM 1901)."""

VON_KARMAN = 0.4
"""Von Karman constant (Hogstrom 1996)."""

GAS_CONSTANT = 8.314462618
"""Molar gas constant, J mol-1 K-1 (CODATA 2018)."""

M_AIR = 0.0289647
"""Molar mass of dry air, kg mol-1 (Picard et al. 2008, CIPM-2007, 400 umol mol-1 CO2)."""

R_DRY = GAS_CONSTANT / M_AIR
"""Specific gas constant of dry air, J kg-1 K-1."""

CP_DRY = 1004.7
"""Specific heat of dry air at constant pressure, J kg-1 K-1 (Stull 1988)."""

MOLAR_MASS = {"co2": 0.0440095, "ch4": 0.0160425}
"""Molar mass of each species, kg mol-1 (IUPAC 2021 conventional atomic weights)."""

M_CARBON = 0.012011
"""Molar mass of carbon, kg mol-1 (IUPAC 2021 conventional atomic weight)."""

SECONDS_PER_YEAR = 365.25 * 86400.0
"""Length of the Julian year, s: the year of every rate shown per year."""
