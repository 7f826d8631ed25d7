"""Configurations of commands that stand beside a run."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from metroflux.errors import ConfigError
from pipelines.faults import fault_of
from pipelines.fields import Section
from pipelines.source import read_source

Own = TypeVar("Own", bound=Section)


def read_own(path: Path, root: type[Own]) -> Own:
    """Return the checked configuration of one command.

    Raises
    ------
    ConfigError
        Listing all faults with their lines.
    """
    source = read_source(path)
    faults = list(source.faults)
    if not faults:
        try:
            return root.model_validate(source.values, context={"folder": path.resolve().parent})
        except ValidationError as error:
            faults = [fault_of(detail, root, source) for detail in error.errors()]
    raise ConfigError("\n".join(f"{path}: {fault}" for fault in sorted(faults, key=lambda f: f.line)))
