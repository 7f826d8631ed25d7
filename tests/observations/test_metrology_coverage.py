"""The whole chain at once: every error of a calibration drawn as stated; how often the truth is covered."""

from dataclasses import replace

import numpy as np

from metroflux.uncertainty import components
from observations.metrology.analysis import Place, Settings
from observations.metrology.calibration import calibrate
from observations.metrology.certificates import Standard, covariance
from observations.metrology.picarro import Wet
from observations.metrology.runs import Ports
from observations.metrology.water import published

N, NAT, START = 200, np.datetime64("NaT", "ns"), np.datetime64("2024-06-01", "ns")
PORTS = Ports({1: "T1", 2: "T2"}, {}, {10: 30.0})
WATER = published("co2", 3e-4, 5e-5)
SETTINGS = Settings("co2", WATER, 120.0, 2.0, run_sd=0.02e-6, drift_sd=0.2e-6)
STANDARDS = [
    Standard(f"C-{name}", name, "co2", value, sd, 2.0, "S", START, NAT, "P", 0.05e-6)
    for name, value, sd in (("T1", 400e-6, 0.07e-6), ("T2", 450e-6, 0.09e-6))
]
HOURS = {
    "mean of all": lambda h: np.full(h.size, 1 / h.size),
    "one hour": lambda h: 1.0 * (h == 30),
    "hour after the last calibration": lambda h: 1.0 * (h == 65),
    "one interval": lambda h: (between := (h > 24) & (h < 48)) / between.sum(),
    "halves of an interval": lambda h: ((h > 24) & (h < 36)) / 11 - ((h >= 36) & (h < 48)) / 12,
    "two hours of an interval": lambda h: 1.0 * (h == 47) - 1.0 * (h == 36),
}
"""Weights of the hours since the begin of the log, by what they ask."""


def scores(seed):
    """Return error over stated uncertainty: 66 h of air at 430 ppm, both tanks at 0, 24 and 48 h."""
    rng = np.random.default_rng(seed)
    t = np.arange(0, 66 * 3600, 20)
    port = np.where(t % 86400 < 1200, 1 + t % 86400 // 600, 10)
    tank = rng.multivariate_normal(np.zeros(2), covariance(STANDARDS))
    x = np.choose(np.minimum(port, 3) - 1, [400e-6 - tank[0], 450e-6 - tank[1], 430e-6])
    walk = SETTINGS.drift_sd * np.sqrt(20 / 86400) * np.cumsum(rng.standard_normal(t.size))
    for day in range(3):  # within twenty minutes the model has no drift
        event = (t // 86400 == day) & (port != 10)
        walk[event] = walk[event].mean()
    run = np.cumsum(np.diff(port, prepend=0) != 0)
    off = np.where(port == 10, 0.0, SETTINGS.run_sd * rng.standard_normal(run.max() + 1)[run])
    dry = (x - 0.3e-6 - walk) / 0.998 + off + 0.03e-6 * rng.standard_normal(t.size)
    water = np.where(port == 10, 1.5, 0.02)
    a, b = WATER.a + WATER.a_sd * rng.standard_normal(), WATER.b + WATER.b_sd * rng.standard_normal()
    wet = dry * (1 + a * water + b * water**2)
    none = np.full(t.size, np.nan)
    log = Wet(START + t * np.timedelta64(1, "s"), wet, water, port, none, np.ones(t.size, dtype=bool))
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, Place("TWR", 40.0, 116.0, "A")).observations
    random, shared = components(ds)
    error, hour = ds.mole_fraction.values - 430e-6, (ds.time.values - START) / np.timedelta64(3600, "s")
    found = {}
    for name, weights in HOURS.items():
        k = weights(hour)
        variance = sum((k @ s.column) ** 2 for s in shared) + sum(np.sum((k * r.sd) ** 2) for r in random)
        found[name] = k @ error / np.sqrt(variance)
    return found


def test_means_hours_and_differences_cover_the_truth_with_every_error_drawn():
    """95 % within 1.96, between three binomial sd (90.4 and 99.6 %); mean square one, sd of it 0.1."""
    drawn = [scores(seed) for seed in range(N)]
    for name in HOURS:
        z = np.array([one[name] for one in drawn])
        inside = int(np.sum(np.abs(z) < 1.96))
        print(f"{name}: {inside} of {N}, mean square {np.mean(z**2):.2f}")  # noqa: T201
        assert 0.904 * N <= inside <= 0.996 * N
        assert abs(np.mean(z**2) - 1) < 0.3


def test_without_drift_nothing_is_said_of_drift():
    still = replace(SETTINGS, drift_sd=0.0)
    t = np.arange(0, 6 * 3600, 20)
    port = np.where(t < 1200, 1 + t // 600, 10)
    x = np.choose(np.minimum(port, 3) - 1, [400e-6, 450e-6, 430e-6])
    x = x + 1e-8 * np.random.default_rng(0).standard_normal(t.size)
    none = np.full(t.size, np.nan)
    log = Wet(START + t * np.timedelta64(1, "s"), x, 0.0 * x, port, none, np.ones(t.size, dtype=bool))
    ds = calibrate(log, PORTS, STANDARDS, still, Place("TWR", 40.0, 116.0, "A")).observations
    assert ds.random.values.tolist() == ["repeatability"]
    assert "drift" not in ds.shared_cause.values
