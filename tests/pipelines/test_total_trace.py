"""A total traced to what it rests on: parts that sum to its variance, cause by cause those of its budget."""

import json

import pytest
from rich.console import Console

from metroflux.errors import ConfigError, DataError
from observations.metrology.trace import render
from pipelines.run import WORK, Options, run
from pipelines.stages import STORED
from pipelines.store import Store
from pipelines.total_trace import trace_total
from pipelines.tracing import Asked, observations_of, trace_command


def totals_of(folder):
    stages = json.loads((folder / "manifest.json").read_text())["stages"]
    (key,) = [stage["key"] for stage in stages if stage["stage"] == "totals"]
    return Store(folder / WORK, STORED).get("totals", key, "totals")


def by_cause(branches):
    """Return the variance of each cause; what follows a colon is whose it is."""
    found = {}
    for branch in branches:
        name = branch.text.partition(",")[0]
        found[name] = found.get(name, 0.0) + branch.sd**2
    return found


def test_the_tree_of_a_total_is_its_budget_with_errors_random_shared_in_time_and_solved(responses, tmp_path):
    folder = tmp_path / "run"
    run(responses, folder, Options())
    totals, data = totals_of(folder), observations_of(folder)
    assert totals.sizes["period"] > 2
    for region in ("both", "sea"):
        for period in ("run", str(totals.period.values[1])):
            one = totals.sel(region=region, period=period, sector="total")
            tree = trace_total(folder, data, region, period)
            assert tree.value == pytest.approx(float(one.posterior), rel=1e-12)
            assert tree.root.sd == pytest.approx(float(one.posterior_sd), rel=1e-9)
            parts = by_cause(tree.root.children)
            budget = dict(zip(one.cause.values, one.budget.values, strict=True))
            assert parts.pop("prior inventory") == pytest.approx(budget.pop("prior"), rel=1e-9)
            assert set(parts) == {name for name, value in budget.items() if value > 0}
            for name, variance in parts.items():
                assert variance == pytest.approx(budget[name], rel=1e-9), name
    assert "u = " in render(tree)


def test_what_cannot_be_traced_is_refused(responses, tmp_path):
    folder = tmp_path / "run"
    run(responses, folder, Options())
    data = observations_of(folder)
    with pytest.raises(ConfigError, match="no region 'nowhere'; expected one of"):
        trace_total(folder, data, "nowhere", "run")
    with pytest.raises(ConfigError, match="no period '1999'; expected one of run"):
        trace_total(folder, data, "both", "1999")
    with pytest.raises(DataError, match="no finished run"):
        trace_total(tmp_path, data, "both", "run")
    with pytest.raises(ConfigError, match="expected one of: a DATUM_ID"):
        Asked(datum_id="a", total="both")
    with pytest.raises(ConfigError, match="expected one of: a DATUM_ID"):
        Asked()


def test_the_tree_of_a_total_is_drawn(responses, tmp_path):
    folder, out = tmp_path / "run", Console(record=True, width=200)
    run(responses, folder, Options())
    trace_command(folder, Asked(total="both"), tmp_path / "tree.svg", out)
    said = out.export_text()
    assert "total of both, 2011-01-01T00:00 to 2011-05-01T00:00" in said
    assert "prior inventory" in said
    assert "prior inventory" in (tmp_path / "tree.svg").read_text(encoding="utf-8")
