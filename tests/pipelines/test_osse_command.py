"""`metroflux osse`: the table of networks, and towers that do not stand yet."""

import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from inversion.problem import take_data
from inversion.solver import solve
from metroflux import worlds
from metroflux.errors import ConfigError, DataError
from metroflux.parallel import serial
from pipelines.config import read_config
from pipelines.osse_command import Experiment, Tower, osse_command, with_towers
from pipelines.problem_command import pose
from products.totals import make_totals


def _run(config, wanted, output):
    screen = StringIO()
    osse_command(config, wanted, output, None, 1, Console(file=screen, width=120))
    return screen.getvalue()


def test_the_table_of_a_tower_left_out_is_the_run_without_its_data(responses, tmp_path):
    said = _run(responses, Experiment(30, 2, (("A",),), ()), tmp_path / "osse.csv")
    assert "as configured" in said
    assert "without A" in said
    table = pd.read_csv(tmp_path / "osse.csv")
    posed = pose(read_config(responses), None, serial, Console(file=StringIO()))
    left = take_data(posed.problem, np.flatnonzero(posed.problem.site != "A"))
    whole, alone = (make_totals(solve(p), posed.regions, posed.periods) for p in (posed.problem, left))
    for kind, column, want in (
        ("total", "sd", alone),
        ("removal", "sd_without", alone),
        ("removal", "sd", whole),
    ):
        rows = table[(table.kind == kind) & (table.network == "without A")]
        expected = [float(want.posterior_sd.sel(region=r, sector="total", period=p))
                    for r, p in zip(rows.region, rows.period, strict=True)]  # fmt: skip
        np.testing.assert_allclose(rows[column], expected, rtol=1e-10)


def test_without_draws_only_the_exact_ranking_is_made(responses, tmp_path):
    _run(responses, Experiment(0, 1, (), ()), tmp_path / "osse.json")
    rows = json.loads((tmp_path / "osse.json").read_text())
    assert {row["kind"] for row in rows} == {"removal"}
    first = [r["sd_without"] for r in rows if (r["region"], r["period"]) == ("domain", "run")]
    assert first == sorted(first, reverse=True)
    assert all(r["variance_without_over_with"] >= 1 - 1e-12 for r in rows)


def test_towers_cannot_be_added_to_responses_of_another_model(responses, tmp_path):
    with pytest.raises(ConfigError, match="expected transport: particles"):
        _run(responses, Experiment(0, 1, (), (Tower("N", -41, 174, 50),)), tmp_path / "osse.csv")


@pytest.mark.parametrize("text", ["N", "N,1,2", "N,1,2,x", "N,99,2,5", "N,1,2,-5", ",1,2,5", "N/A,1,2,5"])
def test_towers_that_say_too_little_are_refused(text):
    with pytest.raises(ConfigError, match="expected"):
        Tower.parse(text)


def test_a_new_tower_has_the_hours_and_errors_of_the_one_nearest_in_height():
    selected = worlds.build(worlds.CitySettings(cells=12, days=1, lidar=False)).observations
    more = with_towers(selected, [Tower("NEW", 47.9, 15.1, 42.0)])
    new = more.isel(obs=more.site.values == "NEW")
    heights = selected.inlet.values
    model = selected.site.values[np.argmin(np.abs(heights - 42.0))]
    old = selected.isel(obs=selected.site.values == model)
    assert len(set(more.datum_id.values)) == more.sizes["obs"]
    np.testing.assert_array_equal(new.time, old.time)
    np.testing.assert_array_equal(new.random_sd, old.random_sd)
    np.testing.assert_array_equal(new.shared_column, old.shared_column)
    assert set(new.inlet.values) == {42.0}
    with pytest.raises(DataError, match="NEW exists already"):
        with_towers(more, [Tower("NEW", 47.9, 15.1, 42.0)])


@pytest.mark.slow
def test_a_tower_added_to_a_world_is_followed_and_lowers_the_variance(config, tmp_path):
    tower = Tower("NEW", 47.9, 15.05, 40.0)
    _run(config, Experiment(2, 1, (), (tower,)), tmp_path / "osse.csv")
    table = pd.read_csv(tmp_path / "osse.csv")
    first = table[(table.kind == "total") & (table.region == "domain") & (table.period == "run")]
    sd = dict(zip(first.network, first.sd, strict=True))
    assert sd["with NEW"] < sd["as configured"]
    removed = table[(table.kind == "removal") & (table.site == "NEW") & (table.region == "domain")]
    assert removed.sd_without.iloc[0] == pytest.approx(sd["as configured"], rel=1e-9)
