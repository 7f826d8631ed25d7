"""Drift between calibrations against the exact covariance of a walk tied at both ends, or at one."""

import numpy as np
import pytest

from observations.metrology.drift import MODES, drift, walk

DAY = np.timedelta64(86400, "s")


def exact(share, free):
    near = np.minimum(share[:, None], share)
    return near if free else near - share[:, None] * share


def modelled(share, free):
    columns, rest = walk(share, np.full(share.size, free))
    return columns @ columns.T + np.diag(rest**2)


@pytest.mark.parametrize("free", [False, True])
def test_each_time_has_the_exact_variance(free):
    share = np.linspace(0, 1, 41)
    assert np.diag(modelled(share, free)) == pytest.approx(np.diag(exact(share, free)), abs=1e-15)


@pytest.mark.parametrize(("free", "within"), [(False, 0.05), (True, 0.08)])
@pytest.mark.parametrize("n", [12, 24, 168])
def test_means_over_a_quarter_or_more_have_nearly_the_exact_sd(n, free, within):
    """What the sines lack counts as independent: too little near a calibration, where the sd is small."""
    share = (np.arange(n) + 0.5) / n
    model, truth = modelled(share, free), exact(share, free)
    for length in (n // 4, n // 2, n):
        for first in range(0, n - length + 1, length):
            k = ((np.arange(n) >= first) & (np.arange(n) < first + length)) / length
            assert np.sqrt(k @ model @ k) == pytest.approx(np.sqrt(k @ truth @ k), rel=within)


@pytest.mark.parametrize("n", [12, 24, 168])
def test_the_difference_of_two_halves_has_the_exact_sd_within_4_percent(n):
    """One error common to the whole interval, as it was before, gives 0 here."""
    share = (np.arange(n) + 0.5) / n
    k = np.where(share < 0.5, 1, -1) / n
    found, truth = (np.sqrt(k @ f(share, False) @ k) for f in (modelled, exact))
    assert found == pytest.approx(truth, rel=0.04)


def test_drift_is_tied_to_calibrations_and_grows_before_the_first_and_after_the_last():
    start = np.datetime64("2024-06-01", "ns")
    nodes = start + np.array([0, 1, 5, 7]) * DAY
    times = start + (np.array([0.0, 1, 3, 5, 7]) * 86400e9).astype("timedelta64[ns]")
    shared, rest = drift(times, nodes, 0.02e-6, "A:co2")
    assert len(shared) == 3 * MODES
    sd = np.sqrt(sum(s.column**2 for s in shared) + rest**2)
    # one day, tied; two days from each of two calibrations; two days, tied at one end
    assert sd == pytest.approx(0.02e-6 * np.sqrt([1, 0, 1, 0, 2]), abs=1e-15)
    assert {s.cause for s in shared} == {"drift"}
    other, _ = drift(times, nodes, 0.02e-6, "B:co2")
    assert not {s.name for s in shared} & {s.name for s in other}
