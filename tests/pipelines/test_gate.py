import numpy as np
import pytest
import xarray as xr

from pipelines.gate import judge
from pipelines.sections import Gate


def diagnostics(n: int = 20, chi2: float = 1.0, bias: float = 0.0) -> xr.Dataset:
    return xr.Dataset({
        "innovation": ("obs", np.full(n, bias)),
        "innovation_sd": ("obs", np.ones(n)),
        "chi2_per_observation": ((), chi2),
    })  # fmt: skip


def footprints(side: float, top: float) -> xr.Dataset:
    edges = ["west", "east", "south", "north", "top"]
    return xr.Dataset({"outside": (("receptor", "edge"), [[side, 0, 0, 0, top]] * 3)}, coords={"edge": edges})


def test_a_sound_run_passes():
    assert judge(diagnostics(), footprints(0.2, 0.8), Gate(outside_max=0.3)) == []


@pytest.mark.parametrize(
    ("found", "lost", "told"),
    [
        (diagnostics(n=3), 0.0, "3 observations used; expected at least 10"),
        (diagnostics(chi2=9.0), 0.0, "errors are too small"),
        (diagnostics(chi2=0.01), 0.0, "errors are too large"),
        (diagnostics(chi2=float("nan")), 0.0, "chi2 per observation is nan"),
        (diagnostics(bias=-1.5), 0.0, "mean innovation is -1.50"),
        (diagnostics(bias=float("nan")), 0.0, "mean innovation is +nan"),
        (diagnostics(), 0.5, "50% of particles left by the sides"),
    ],
)
def test_what_is_outside_its_limits_is_said_with_number_and_limit(found, lost, told):
    reasons = judge(found, footprints(lost, 0.0), Gate(outside_max=0.3))
    assert len(reasons) == 1
    assert told in reasons[0]


def test_without_footprints_their_loss_is_not_judged():
    assert judge(diagnostics(), None, Gate(outside_max=0.0)) == []


def test_an_unknown_loss_over_the_sides_is_held_and_not_taken_for_none():
    found = footprints(0.2, 0.0)
    found["outside"][1, 0] = float("nan")
    assert judge(diagnostics(), found, Gate(outside_max=1.0)) == [
        "loss over the sides of the met domain is unknown for 1 of 3 footprints"
    ]
