"""Selection by local influence: after the footprints that tell it, before all that uses the selection."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from observations.conditions import local_influence
from observations.selection import Selection, select
from pipelines.engine import Job, Stage
from pipelines.inputs import Outputs, config_of

BEFORE = {name: f"{name} before" for name in ("selected", "dropped", "receptors", "footprints")}
"""Results that the selection is about, and what they are called before it."""


def before(stage: Stage) -> Stage:
    """Return a stage that reads and makes what is before the selection."""
    return replace(
        stage,
        function=partial(_renamed, stage.function),
        inputs=tuple(BEFORE.get(name, name) for name in stage.inputs),
        outputs=tuple(BEFORE.get(name, name) for name in stage.outputs),
    )


def _renamed(function: Callable[[Job], Mapping[str, object]], job: Job) -> Outputs:
    back = {new: name for name, new in BEFORE.items()}
    inputs = {back.get(name, name): value for name, value in job.inputs.items()}
    made = function(replace(job, inputs=inputs))
    return {BEFORE.get(name, name): value for name, value in made.items()}


def choose_by_influence(job: Job) -> Outputs:
    """Leave out data that mostly see the nearest streets, with their receptors and footprints."""
    chosen = config_of(job).observations.selection.local_influence
    assert chosen is not None  # noqa: S101 - the plan pairs stage and section
    selected, receptors, footprints = (
        job.dataset(BEFORE[name]) for name in ("selected", "receptors", "footprints")
    )
    conditions = local_influence(selected, footprints, chosen.radius_km * 1e3)
    kept, dropped = select(selected, Selection(max_local_influence=chosen.most), conditions)
    ids = kept.datum_id.values
    earlier = job.inputs[BEFORE["dropped"]]
    assert isinstance(earlier, list)  # noqa: S101 - as the stage before makes it
    return {
        "selected": kept,
        "dropped": earlier + json.loads(dropped.to_json(orient="records")),
        "receptors": receptors.isel(receptor=np.isin(receptors.datum_id.values, ids)),
        "footprints": footprints.isel(receptor=np.isin(footprints.datum_id.values, ids)),
    }


INFLUENCE = Stage(
    "local influence", choose_by_influence, ("selected", "dropped", "receptors", "footprints"),
    tuple(BEFORE.values()), ("observations.selection",),
)  # fmt: skip
