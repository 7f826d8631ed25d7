"""A stage list without science, for child processes too: `fake_stages.py CONFIG DIR [--resume]`."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

from pipelines.engine import Job, Stage
from pipelines.run import Options, Recipe, run
from pipelines.store import Folder

PIECES = 6


def piece(common: np.ndarray, number: int) -> dict[str, np.ndarray]:
    """Return an array that depends on the order of additions, so that a wrong order shows in its bits."""
    with (Path(os.environ["FAKE_LOG"])).open("a") as stream:
        stream.write(f"piece {number}\n")
    if os.environ.get("FAKE_DIE") == f"piece {number}":
        os.kill(os.getpid(), 9)
    time.sleep(float(os.environ.get("FAKE_SLEEP", "0")))
    return {"sum": np.cumsum(np.sin(common * (number + 1)))}


def _enter(name: str) -> None:
    with (Path(os.environ["FAKE_LOG"])).open("a") as stream:
        stream.write(f"{name}\n")
    if os.environ.get("FAKE_DIE") == name:
        os.kill(os.getpid(), 9)
    if os.environ.get("FAKE_FAIL") == name:
        raise OSError(28, "No space left on device")


def first(job: Job) -> dict[str, object]:
    _enter("first")
    values = np.random.default_rng(1).standard_normal(1000)
    return {"numbers": xr.Dataset({"a": ("n", values)}), "names": ["one", "two"]}


def mapped(job: Job) -> dict[str, object]:
    _enter("mapped")
    parts = list(job.remembering(piece, job.dataset("numbers").a.values, list(range(PIECES))))
    return {"sums": xr.Dataset({"b": (("part", "n"), np.stack([part["sum"] for part in parts]))})}


def judged(job: Job) -> dict[str, object]:
    _enter("judged")
    held = ["chi2 is 9"] if os.environ.get("FAKE_HOLD") else []
    figures = {"unit": "t CO2 yr-1", "prior": 2.0, "prior_sd": 1.0, "posterior": 3.0, "posterior_sd": 0.5,
               "chi2_per_observation": 1.0, "dofs": 2.0, "observations": 12}  # fmt: skip
    return {"reasons": held, "summary": figures}


def drawn(job: Job) -> dict[str, object]:
    _enter("drawn")
    sums = job.dataset("sums")

    def build(folder: Path) -> None:
        job.stamp.apply(sums, "posterior", "sums").to_netcdf(folder / "posterior.nc")
        (folder / "viewer").mkdir()
        (folder / "viewer" / "index.html").write_text("<p>page</p>", encoding="utf-8")

    return {"products": Folder(build)}


STAGES = (
    Stage("first", first, ("numbers", "names"), sections=("run",)),
    Stage("mapped", mapped, ("sums",), ("numbers",), ("transport",)),
    Stage("judged", judged, ("reasons", "summary"), ("sums",), ("gate",)),
    Stage("drawn", drawn, ("products",), ("sums", "reasons"), stamped=True),
)
RECIPE = Recipe(lambda config: STAGES)

if __name__ == "__main__":
    options = Options(resume="--resume" in sys.argv, workers=int(os.environ.get("FAKE_WORKERS", "1")))
    if "--flow" in sys.argv:
        from pipelines import prefect_settings

        prefect_settings.apply()
        from pipelines.flows import run_as_flow
        from pipelines.watch import Silent

        outcome = run_as_flow(Path(sys.argv[1]), Path(sys.argv[2]), options, Silent(), RECIPE)
    else:
        outcome = run(Path(sys.argv[1]), Path(sys.argv[2]), options, recipe=RECIPE)
