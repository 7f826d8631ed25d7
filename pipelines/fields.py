"""The kinds of values that a configuration holds: sections, input files, instants, names."""

import glob
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

DATA = "METROFLUX_DATA"
"""Environment variable that names the folder of real data."""


class Section(BaseModel):
    """A section of the configuration: fixed after reading, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_timedelta="float")


def _utc(value: object) -> object:
    """Refuse bare numbers, which pydantic takes as seconds since 1970: 2011 is a year."""
    if isinstance(value, bool | int | float):
        raise PydanticCustomError("not_a_time", "{value} is a number, not a time", {"value": value})
    return value


def _assume_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


Instant = Annotated[datetime, BeforeValidator(_utc), AfterValidator(_assume_utc)]
"""A time; UTC unless it carries an offset."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""A name that is safe in a file name: letters, digits, hyphen and underscore."""

Text = Annotated[str, Field(min_length=1, max_length=500)]


def to_numpy(instant: datetime) -> np.datetime64:
    """Return an instant as the rest of metroflux holds it.

    >>> to_numpy(datetime(2022, 12, 7, 3, 44, tzinfo=UTC))
    np.datetime64('2022-12-07T03:44:00.000000000')
    """
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "ns")


def expand(text: str, folder: Path) -> Path:
    """Return the path that a configuration in `folder` means by `text`.

    `${METROFLUX_DATA}` at the start stands for the folder of real data; no other variable is expanded.

    Raises
    ------
    PydanticCustomError
        If the variable is not set, another one is named, or `..` leads out of the folder of data.
    """
    head, _, tail = text.partition("/")
    if head == f"${{{DATA}}}":
        base = os.environ.get(DATA)
        if not base:
            raise PydanticCustomError(
                "unset_variable", f"{DATA} is not set; expected the folder of real data"
            )
        if ".." in Path(tail).parts:
            raise PydanticCustomError("path_escape", "'..' leads out of the folder of real data")
        return Path(base).resolve() / tail
    if "$" in text or text.startswith("~"):
        raise PydanticCustomError("not_expanded", f"only ${{{DATA}}}/ at the start of a path is expanded")
    return folder / text


def _folder(info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder


def _existing(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_path", "expected the path of a file, as text")
    path = expand(value, _folder(info))
    if not path.is_file():
        raise PydanticCustomError("missing_file", "no such file: {path}", {"path": str(path)})
    return path


def _matching(value: object, info: ValidationInfo) -> tuple[Path, ...]:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_path", "expected a path or a pattern with *, as text")
    pattern = expand(value, _folder(info))
    found = sorted(p for p in map(Path, glob.glob(str(pattern))) if p.is_file())
    if not found:
        raise PydanticCustomError("missing_file", "no file matches: {path}", {"path": str(pattern)})
    return tuple(found)


def _writable(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_path", "expected the path of a folder, as text")
    if ".." in Path(value).parts:
        raise PydanticCustomError(
            "path_escape", "'..' is refused where files are written; write the path out"
        )
    return expand(value, _folder(info))


InputFile = Annotated[Path, BeforeValidator(_existing)]
"""A file that exists; relative to the folder of the configuration."""

InputFiles = Annotated[tuple[Path, ...], BeforeValidator(_matching)]
"""All files that match a pattern, sorted by name."""

OutputFolder = Annotated[Path, BeforeValidator(_writable)]
"""A folder to write to; relative to the folder of the configuration."""


def paths_of(value: object) -> Iterator[Path]:
    """Yield every path in a section, in the order of its fields."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from paths_of(getattr(value, name))
    elif isinstance(value, dict):
        yield from (path for item in value.values() for path in paths_of(item))
    elif isinstance(value, list | tuple):
        yield from (path for item in value for path in paths_of(item))


def seeds(values: object, path: str = "") -> dict[str, int]:
    """Return every seed of a configuration by its dotted name.

    >>> seeds({"world": {"seed": 1, "truth_seed": 2}})
    {'world.seed': 1, 'world.truth_seed': 2}
    """
    if not isinstance(values, dict):
        return {}
    found: dict[str, int] = {}
    for key, value in values.items():
        name = f"{path}.{key}".lstrip(".")
        found |= {name: value} if key.endswith("seed") and isinstance(value, int) else seeds(value, name)
    return found
