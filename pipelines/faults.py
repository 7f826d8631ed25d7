"""Say what pydantic complains of in the words of the file: line, key, value, expectation."""

import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from pipelines.source import Fault, Path_, Source

Models = tuple[type[BaseModel], ...]
Loc = Sequence[str | int]


def fault_of(detail: ErrorDetails, root: type[BaseModel], source: Source) -> Fault:
    """Return one complaint about `source`, read as `root`, as a fault with its line."""
    path, holders = _walk(root, detail["loc"])
    if detail["type"] == "extra_forbidden":
        message = f"unknown key; {_nearest(str(path[-1]), holders)}"
    else:
        message = detail["msg"] + _found(detail) + _expected(path, holders)
    return Fault(source.line(path), ".".join(map(str, path)), message, detail["type"] == "missing_file")


def _nearest(key: str, holders: Models) -> str:
    known = sorted({name for model in holders for name in _fields(model)})
    near = difflib.get_close_matches(key, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"expected one of: {', '.join(known)}"


def _found(detail: ErrorDetails) -> str:
    plain = isinstance(detail["input"], str | int | float) and detail["type"] != "missing_file"
    return f", found {detail['input']!r}" if plain else ""


def _expected(path: Path_, holders: Models) -> str:
    fields = [_fields(model).get(str(path[-1])) for model in holders] if path else []
    told = sorted({field.description for field in fields if field is not None and field.description})
    return f"; expected: {' or '.join(told)}" if told else ""


def _fields(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the fields of a section by their spelling in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _walk(annotation: Any, loc: Loc, path: Path_ = (), holders: Models = ()) -> tuple[Path_, Models]:
    """Return the path in the file of a location, and the sections that may hold its last key.

    pydantic's location also names which member of a union it tried; that is no key of the file.
    """
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if not loc:
        return path, holders
    members = [a for a in get_args(annotation) if a is not types.NoneType]
    if get_origin(annotation) in (Union, types.UnionType):
        if len(members) == 1:
            return _walk(members[0], loc, path, holders)
        return _walk(_member(members, str(loc[0])), loc[1:], path, holders)
    step, rest = loc[0], loc[1:]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = _fields(annotation).get(str(step))
        return _walk(field.annotation if field else None, rest, (*path, step), (annotation,))
    inner = members[1] if get_origin(annotation) is dict else members[0] if members else None
    return _walk(inner, rest, (*path, step) if step != "[key]" else path, holders)


def _member(members: Sequence[Any], tag: str) -> Any:
    """Return the member of a union that pydantic calls `tag`."""
    return next((member for member in members if tag in _tags(member)), None)


def _tags(member: Any) -> list[object]:
    if get_origin(member) is Annotated:
        tags = [note.tag for note in get_args(member)[1:] if isinstance(note, Tag)]
        return [*tags, *_tags(get_args(member)[0])]
    if isinstance(member, type) and issubclass(member, BaseModel):
        literal = [f.annotation for f in member.model_fields.values() if get_origin(f.annotation) is Literal]
        return [member.__name__, *(value for a in literal for value in get_args(a))]
    return []
