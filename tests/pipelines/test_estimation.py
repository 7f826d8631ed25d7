from types import SimpleNamespace

import pytest

from inversion.settings import PriorError
from metroflux.errors import ConfigError
from pipelines.config import read_config
from pipelines.estimation import hyperparameters
from pipelines.sections import Inversion

PROBLEM = SimpleNamespace(
    sectors=("traffic", "plants"),
    prior_errors=(PriorError(4e3, 8e4), PriorError(0.0, 8e4)),
    site=["B", "A", "B"],
)


def _names(**estimate):
    return [h.name for h in hyperparameters(PROBLEM, Inversion(estimate=(estimate,)))]


def test_without_names_all_that_have_such_a_value_are_estimated_as_one():
    assert _names(what="prior_sd") == ["prior_sd: traffic, plants"]
    assert _names(what="length") == ["length: traffic"]
    assert _names(what="mismatch", causes=["transport"]) == ["mismatch: transport, A, B"]


def test_each_gives_every_sector_or_site_its_own():
    assert _names(what="duration", each=True) == ["duration: traffic", "duration: plants"]
    assert _names(what="mismatch", causes=["transport"], each=True) == [
        "mismatch: transport, A",
        "mismatch: transport, B",
    ]


@pytest.mark.parametrize(("text", "said"), [
    ("{estimate: [{what: mismatch}]}", "causes are for 'mismatch', which needs them"),
    ("{estimate: [{what: length, causes: [transport]}]}", "causes are for 'mismatch'"),
    ("{estimate: [{what: length, sites: [A]}]}", "'length' is of sectors, expected no sites"),
    ("{estimate: [{what: length}], student_t: 4}", "cannot be combined with inversion.estimate"),
    ("{student_t: 2}", "greater than 2"),
    ("{estimate: [{what: width}]}", "'prior_sd', 'length', 'duration' or 'mismatch'"),
])  # fmt: skip
def test_wrong_settings_are_refused_by_line_and_name(tmp_path, config, text, said):
    path = tmp_path / "c.yaml"
    path.write_text(config.read_text() + f"\ninversion: {text}\n")
    with pytest.raises(ConfigError) as error:
        read_config(path)
    assert said in str(error.value)
    assert "inversion" in str(error.value)
