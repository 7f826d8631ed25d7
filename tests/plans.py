"""What holds for the stages of any configuration."""

from collections.abc import Sequence

from pipelines.engine import Stage


def require_fit(plan: Sequence[Stage]) -> None:
    """Assert that each stage gets what it needs from those before, and that nothing is made twice."""
    made: set[str] = set()
    for step in plan:
        assert set(step.inputs) <= made, step.name
        assert not set(step.outputs) & made, step.name
        made |= set(step.outputs)
    assert {"products", "reasons", "summary", "posterior"} <= made
    names = [step.name for step in plan]
    assert len(names) == len(set(names))
