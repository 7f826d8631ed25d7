"""The configuration page says what the code accepts."""

from pathlib import Path

import pipelines.reference

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_page_is_the_one_made_from_the_code():
    assert PAGE.read_text(encoding="utf-8") == pipelines.reference.page()


def test_every_key_has_a_meaning():
    rows = [line.split(" | ") for line in pipelines.reference.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row[0] for row in rows if not row[2].strip(" |")] == []
