"""The reference of the configuration, made from the descriptions of its fields: docs/configuration.md."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipelines.config import Config

INTRODUCTION = """# Configuration

One YAML file describes a run. A key that is not listed here is refused by name, line and likely spelling; all
faults are told at once. Paths are relative to the file; `${METROFLUX_DATA}` is the folder of real data.
Examples: [demo](../configs/demo.yaml), [Bowen Basin](../configs/bowen_basin.yaml),
[New Zealand](../configs/new_zealand.yaml).

Made from the code by `python -m pipelines.reference > docs/configuration.md`; a test holds it equal.
"""


def page() -> str:
    """Return docs/configuration.md."""
    sections = [INTRODUCTION, "## The file\n", *_table(Config)]
    seen: list[type[BaseModel]] = []
    _collect(Config, seen)
    for model in seen:
        purpose = (model.__doc__ or "").strip().splitlines()[0]
        sections += [f"\n## {model.__name__}\n", f"{purpose}\n", *_table(model)]
    return "\n".join(sections) + "\n"


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        linked = ", ".join(f"[{m.__name__}](#{m.__name__.lower()})" for m in _models(field.annotation))
        meaning = f"{field.description or ''}{f' ({linked})' if linked else ''}".replace("|", "\\|")
        yield f"| `{field.alias or name}` | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "see there"
    return "–" if value in (None, "", (), {}) else f"`{value}`"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections named anywhere in a type, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in get_args(annotation):
        found += [model for model in _models(part) if model not in found]
    return found


def _collect(model: type[BaseModel], seen: list[type[BaseModel]]) -> None:
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            if inner not in seen:
                seen.append(inner)
                _collect(inner, seen)


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
