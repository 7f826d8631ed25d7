"""A mixture as a folder: its solutions as they save themselves, and what joins them as JSON."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from inversion.estimate import Estimate
from inversion.hyper import Hyperparameter
from inversion.mixture import Mixture
from inversion.solution import Solution
from metroflux.errors import DataError

_FILE = "mixture.json"
_NUMBERS = ("log_evidence", "stated_log_evidence", "evaluations")


def save(mixture: Mixture, folder: Path) -> None:
    """Write a mixture into a folder that does not exist yet, exact to the bit."""
    folder.mkdir()
    for k, solution in enumerate(mixture.solutions):
        solution.save(folder / f"solution-{k:03}.nc")
    found = mixture.estimate
    record = {
        "weights": mixture.weights.tolist(),
        "chosen": [asdict(h) for h in found.chosen],
        "theta": found.theta.tolist(),
        "covariance": found.covariance.tolist(),
        "at_limit": list(found.at_limit),
    } | {name: getattr(found, name) for name in _NUMBERS}
    (folder / _FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")


def load(folder: Path) -> Mixture:
    """Return the mixture that `save` wrote.

    Raises
    ------
    DataError
        If the folder does not hold one.
    """
    try:
        record = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise DataError(f"{folder}: cannot be read ({fault}); expected a saved mixture") from None
    chosen = tuple(
        Hyperparameter(**{**h, "of": tuple(h["of"]), "causes": tuple(h["causes"])}) for h in record["chosen"]
    )
    found = Estimate(
        chosen=chosen,
        theta=np.array(record["theta"]),
        covariance=np.array(record["covariance"]).reshape(len(chosen), len(chosen)),
        at_limit=tuple(record["at_limit"]),
        **{name: record[name] for name in _NUMBERS},
    )
    solutions = [Solution.load(folder / f"solution-{k:03}.nc") for k in range(len(record["weights"]))]
    return Mixture(found, np.array(record["weights"]), tuple(solutions))
