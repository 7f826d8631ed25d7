"""The page docs/data-model.md says what the schema says."""

from pathlib import Path

import pytest

from metroflux.schema import SCHEMAS

PAGE = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    return PAGE.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("name", SCHEMAS)
def test_page_lists_every_variable_with_its_units(name):
    rows = {line.split("`")[1]: line for line in section(name).splitlines() if line.startswith("| `")}
    assert set(rows) == set(SCHEMAS[name])
    for variable, spec in SCHEMAS[name].items():
        assert f"| {spec.units or '–'} |" in rows[variable]
        assert ("may be NaN" in rows[variable]) == spec.missing
