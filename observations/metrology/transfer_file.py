"""Comparisons with a travelling cylinder as a JSON file, with the term of each cause.

`{"format": "metroflux comparison 1", "unit": "mol mol-1", "comparisons": [...]}`: each has the fields of
`Transfer`; a result is `{"label", "value", "terms": {cause: sensitivity x standard uncertainty}}`.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from metroflux.errors import DataError
from metroflux.time import parse
from observations.metrology.comparison import Comparison, Result
from observations.metrology.travelling import Transfer

FORMAT = "metroflux comparison 1"
UNIT = "mol mol-1"


def transfer_text(found: Sequence[Transfer]) -> str:
    """Return the text of a file; numbers come back to the bit."""
    listed = [{**asdict(t), "start": str(t.start)[:19], "end": str(t.end)[:19]} for t in found]
    content = {"format": FORMAT, "unit": UNIT, "comparisons": listed}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def read_transfers(path: Path) -> list[Transfer]:
    """Return the comparisons of a file.

    Raises
    ------
    DataError
        If it cannot be read, is not of this format, or a field is absent or not what it should be.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}); expected a comparison") from None
    except (ValueError, RecursionError) as fault:
        raise DataError(f"{path}: not JSON ({fault}); expected a comparison") from None
    said = (content.get("format"), content.get("unit")) if isinstance(content, dict) else (None, None)
    if said != (FORMAT, UNIT):
        raise DataError(f"{path}: format '{said[0]}', unit '{said[1]}'; expected '{FORMAT}', '{UNIT}'")
    listed = content.get("comparisons")
    if not isinstance(listed, list) or not listed:
        raise DataError(f"{path}: no list of comparisons; expected one or more")
    return [_transfer(one, f"{path}: comparison {i + 1}") for i, one in enumerate(listed)]


def _transfer(one: Any, where: str) -> Transfer:
    moved = _field(one, "moved", dict | None, where)
    return Transfer(
        species=_field(one, "species", str, where),
        scale=_field(one, "scale", str, where),
        tank=_field(one, "tank", str, where),
        start=_time(one, "start", where),
        end=_time(one, "end", where),
        runs=_field(one, "runs", int, where),
        measured=_result(_field(one, "measured", dict, where), f"{where}: measured"),
        certified=_result(_field(one, "certified", dict, where), f"{where}: certified"),
        moved=None if moved is None else _moved(moved, f"{where}: moved"),
        beyond=_field(one, "beyond", bool, where),
    )


def _result(one: dict[str, Any], where: str) -> Result:
    terms = _field(one, "terms", dict, where)
    return Result(
        _field(one, "label", str, where),
        _number(one, "value", where),
        {name: _number(terms, name, f"{where}: terms") for name in terms},
    )


def _moved(one: dict[str, Any], where: str) -> Comparison:
    label, reference = (_field(one, name, str, where) for name in ("label", "reference"))
    names = ("value", "reference_value", "sd", "covariance")
    return Comparison(label, reference, *(_number(one, name, where) for name in names))


def _time(one: Any, name: str, where: str) -> np.datetime64:
    return parse(_field(one, name, str, where), f"{where}: {name}")


def _number(one: Any, name: str, where: str) -> float:
    given = _field(one, name, int | float, where)
    if not abs(given) <= sys.float_info.max:  # NaN, infinity, or an integer of hundreds of digits
        raise DataError(f"{where}: {name} is {str(given)[:20]}; expected a finite number")
    return float(given)


def _field(one: Any, name: str, kind: Any, where: str) -> Any:
    if not isinstance(one, dict):
        raise DataError(f"{where} is {one!r}; expected an object with the field '{name}'")
    if name not in one:
        raise DataError(f"{where}: no field '{name}'")
    value = one[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = getattr(kind, "__name__", str(kind))
        raise DataError(f"{where}: {name} is {value!r}; expected {wanted}")
    return value
