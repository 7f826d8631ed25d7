"""The shared vocabulary of metroflux: grid, units, time, schema, errors, uncertainty, provenance, archive."""

from metroflux._guard import refuse_foreign_rooms

__version__ = "0.1.0"

refuse_foreign_rooms()
