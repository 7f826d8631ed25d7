"""The errors of metroflux, each with the exit code of the command line.

Exit codes: 0 ok, 2 configuration, 3 data, 4 held by the quality gate, 1 anything else.
"""


class MetrofluxError(Exception):
    """Base of all errors that metroflux raises on purpose."""

    exit_code = 1


class ConfigError(MetrofluxError):
    """The configuration is wrong: the message names file, line and key."""

    exit_code = 2


class DataError(MetrofluxError):
    """Input data are missing or wrong: the message names file, field, value and expectation."""

    exit_code = 3


class SchemaError(DataError):
    """A dataset does not keep the contract between stages: the message lists every fault."""


class ArchiveError(MetrofluxError):
    """The archive refused a write or could not be read."""


class HeldError(MetrofluxError):
    """The quality gate held the run: archived, not published."""

    exit_code = 4
