"""Quality control and selection by the air, from the configuration to the table of dropped data."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metroflux.errors import ConfigError
from metroflux.parallel import serial
from metroflux.provenance import Stamp
from observations.conditions import local_influence
from pipelines.choosing import choose
from pipelines.config import read_config
from pipelines.engine import Job
from pipelines.inputs import build_world
from pipelines.run import Options, run
from pipelines.stages import STORED, plan
from pipelines.store import Store

QUALITY = """
observations:
  quality:
    edits: edits.csv
    limits: [300, 900]
    spikes: {window_s: 21600, floor: 0.1}
  selection: {mixing_above_inlet: 300, min_wind: 0.5}
"""
EDITS = """site,instrument,start,end,reason,who,when
CEN,*,2024-03-04,2024-03-04T06:00,pump broken,M. Li,2024-04-02
"""


def job(config, inputs):
    return Job(config, serial, serial, inputs, Stamp("tiny", "0" * 64))


@pytest.fixture
def chosen(config):
    config.write_text(config.read_text() + QUALITY)
    (config.parent / "edits.csv").write_text(EDITS)
    return read_config(config).config


def test_edits_and_weather_reach_the_table_of_dropped_data(chosen):
    world = build_world(job(chosen, {}))
    out = choose(job(chosen, {"data": world["data"], "met": world["met"]}))
    dropped = pd.DataFrame(out["dropped"])
    reasons = dropped.groupby("reason")["count"].sum()
    assert reasons["flag rejected_by_operator: pump broken (M. Li)"] == 6
    assert reasons["mixing height too near the inlet"] > 0
    in_period = dropped[dropped["reason"] != "outside the period"]["count"].sum()
    outside = dropped[dropped["reason"] == "outside the period"]["count"].sum()
    assert out["selected"].sizes["obs"] + in_period + outside == world["data"].sizes["obs"]


def test_the_met_is_an_input_of_the_selection_only_where_it_is_needed(chosen, config):
    def inputs(read):
        return next(stage.inputs for stage in plan(read) if stage.name == "selection")

    assert inputs(chosen) == ("data", "met")
    config.write_text(config.read_text().replace("selection: {mixing_above_inlet: 300, min_wind: 0.5}", ""))
    assert inputs(read_config(config).config) == ("data",)


def test_the_edits_are_a_file_of_the_selection_so_that_a_change_of_them_counts(chosen, config):
    section = next(stage.sections for stage in plan(chosen) if stage.name == "selection")
    assert "observations.quality" in section
    assert list(chosen.files("observations.quality")) == [config.parent / "edits.csv"]


@pytest.mark.realdata
def test_selection_by_the_air_is_refused_where_there_is_no_met():
    if not os.environ.get("METROFLUX_DATA"):
        pytest.skip("METROFLUX_DATA is not set: no real data")
    read = read_config(Path(__file__).parents[2] / "configs" / "new_zealand.yaml").config
    selection = read.observations.selection.model_copy(update={"min_wind": 2.0})
    observations = read.observations.model_copy(update={"selection": selection})
    found = dict(read.model_copy(update={"observations": observations}).contradictions())
    assert "needs met" in found["observations.selection"]


@pytest.mark.slow
def test_data_that_see_the_nearest_streets_are_left_out_after_their_footprints_and_resume(config, tmp_path):
    limit = "\nobservations: {selection: {hours: [11, 14], local_influence: {radius_km: 4, most: 0.75}}}\n"
    config.write_text(config.read_text() + limit)
    names = [stage.name for stage in plan(read_config(config).config)]
    assert names.index("footprints") < names.index("local influence") < names.index("jacobian")
    outcome = run(config, tmp_path / "out", Options())
    store = Store(tmp_path / "out" / ".work", STORED)
    found = {d.stage: d.key for d in outcome.done}
    every = store.get("footprints", found["footprints"], "footprints before")
    kept = store.get("local influence", found["local influence"], "footprints")
    candidates = store.get("selection", found["selection"], "selected before")
    share = local_influence(candidates, every, 4e3).local_influence.values
    assert 0 < kept.sizes["receptor"] < every.sizes["receptor"]
    np.testing.assert_array_equal(kept.datum_id.values, candidates.datum_id.values[share <= 0.75])
    assert outcome.summary["observations"] == kept.sizes["receptor"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "local influence too great" in report
    again = run(config, tmp_path / "out", Options(resume=True))
    assert all(d.reused for d in again.done)


def test_local_influence_without_footprints_is_refused(responses):
    responses.write_text(
        responses.read_text().replace(
            "  random:", "  selection: {local_influence: {radius_km: 4, most: 0.5}}\n  random:"
        )
    )
    with pytest.raises(ConfigError, match="local_influence: needs footprints"):
        read_config(responses)
