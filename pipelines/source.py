"""Read YAML safely: plain values only, the line of every key kept, all faults listed at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

Path_ = tuple[str | int, ...]

LARGEST = 1_000_000
"""A configuration is a page of text: a larger file, bytes, is a mistake or an attack."""

MOST = 20_000
"""Values after aliases are written out: nested aliases can make a page into a million million values."""

DEEPEST = 20
"""Levels of nesting; the configuration has six. Deeper text would exhaust the parser's stack."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a configuration.

    line : in the file, from 1
    key : dotted name of the place, empty for the file as a whole
    message : what is wrong and what was expected
    missing : whether the fault is an absent input file and not the configuration itself
    """

    line: int
    key: str
    message: str
    missing: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.key + ': ' if self.key else ''}{self.message}"


@dataclass(frozen=True)
class Source:
    """A configuration as written: plain values, and the line of each."""

    values: object
    lines: dict[Path_, int]
    faults: tuple[Fault, ...]

    def line(self, path: Path_) -> int:
        """Return the line of a key, or of the nearest section around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_source(path: Path) -> Source:
    """Read a YAML file of mappings, lists, text, numbers, truths and dates.

    Tags, several documents, keys given twice, keys that are not text, and aliases that blow up are faults.
    A file that cannot be parsed gives one fault and no values.
    """
    try:
        text = path.read_bytes()
    except OSError as fault:
        return _broken(1, f"cannot be read ({fault.strerror}); expected a YAML file")
    if len(text) > LARGEST:
        return _broken(1, f"has {len(text)} bytes; expected a configuration below {LARGEST}")
    try:
        events = list(_event_faults(text))
        root = None if events else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        return _broken(mark.line + 1 if mark else 1, f"not YAML: {fault.problem or fault}")
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        return _broken(1, f"not YAML: {' '.join(str(fault).split())}")
    if events or root is None:
        return Source(None, {}, tuple(events) or (Fault(1, "", "is empty; expected a configuration"),))
    lines: dict[Path_, int] = {}
    faults: list[Fault] = []
    try:
        values = _values(root, (), lines, faults)
    except OverflowError as fault:
        return _broken(1, str(fault))
    return Source(values, lines, tuple(faults))


def _broken(line: int, message: str) -> Source:
    return Source(None, {}, (Fault(line, "", message),))


def _event_faults(text: bytes) -> Iterator[Fault]:
    """Yield what YAML allows and a configuration does not: it can hide code, loops or blow-up."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield Fault(line, "", "a second document; expected one")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                yield Fault(line, "", f"nested deeper than {DEEPEST} levels")
                return
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if tag:
            yield Fault(line, "", f"tag '{tag}' is refused; a configuration holds plain values only")


def _values(node: yaml.Node, path: Path_, lines: dict[Path_, int], faults: list[Fault]) -> object:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > MOST or len(path) > DEEPEST:
        raise OverflowError(f"more than {MOST} values or {DEEPEST} levels after aliases are written out")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, faults)
    if isinstance(node, yaml.SequenceNode):
        return [_values(item, (*path, i), lines, faults) for i, item in enumerate(node.value)]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as fault:  # for example the date 2022-13-45
        faults.append(Fault(node.start_mark.line + 1, _dotted(path), f"'{node.value}': {fault}"))
        return None


def _mapping(
    node: yaml.MappingNode, path: Path_, lines: dict[Path_, int], faults: list[Fault]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            faults.append(Fault(line, _dotted(path), "a key that is not text"))
            continue
        name = str(key.value)
        if name in values:
            first = lines[(*path, name)]
            faults.append(Fault(line, _dotted((*path, name)), f"given twice, first in line {first}"))
            continue
        lines[(*path, name)] = line
        values[name] = _values(value, (*path, name), lines, faults)
    return values


def _dotted(path: Path_) -> str:
    return ".".join(map(str, path))
