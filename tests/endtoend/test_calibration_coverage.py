"""The demo's network with the errors of its tanks left out of R claims more than it knows."""

import numpy as np
import pytest

from benchmarks.calibration import Setting, demo_networks
from inversion.simulate import coverage

DRAWS = 200
THREE_SD = 3 * np.sqrt(0.95 * 0.05 / DRAWS)


@pytest.mark.slow
def test_leaving_out_shared_calibration_makes_coverage_fall():
    """Where no offset is solved, which would take up an error common to all towers."""
    networks = demo_networks(Setting(cells=20, particles=200, days=5, offset_sd=0.0))
    known = coverage(networks.problem, DRAWS, 2024)
    left_out = coverage(networks.problem, DRAWS, 2024, networks.without)
    assert abs(known.inside / DRAWS - 0.95) <= THREE_SD
    assert left_out.inside / DRAWS < 0.95 - THREE_SD
    assert left_out.mean_square > 1.4
