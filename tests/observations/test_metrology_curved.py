"""Curved response (ISO 6143, degree 2): air back, budget of `uncertainties`, coverage, revision, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import uncertainties as un
from scipy.optimize import least_squares

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import components
from observations.dataset import GOOD, SUSPECT
from observations.metrology.analysis import Place, Settings
from observations.metrology.calibration import calibrate
from observations.metrology.certificates import Standard, covariance
from observations.metrology.picarro import Wet
from observations.metrology.response import Readings, fit
from observations.metrology.revision import revise
from observations.metrology.runs import Ports
from observations.metrology.water import published

START, END = np.datetime64("2024-01-01", "ns"), np.datetime64("2027-01-01", "ns")
PLACE = Place("TWR", 40.0, 116.0, "CFADS9999")
WATER = published("co2", 3e-5, 5e-6)
SETTINGS = Settings("co2", WATER, 120.0, 2.0, run_sd=0.0, drift_sd=0.0, degree=2)
PORTS = Ports({1: "T1", 2: "T2", 3: "T3"}, {}, {10: 30.0})
MOIST = 1.5


def tank(name, value, sd, parent_sd=0.05):
    numbers = (value * 1e-6, sd * 1e-6, 2.0)
    return Standard(f"C-{name}", name, "co2", *numbers, "S", START, END, "P", parent_sd * 1e-6)


STANDARDS = [tank("T1", 380, 0.07), tank("T2", 430, 0.08), tank("T3", 520, 0.10)]


def response(x):
    """An analyser that bends: x = 1 + 0.99 r + 4e-5 (r - 430)^2 in ppm, solved for r."""
    a, b, c = 4e-5, 0.99 - 2 * 430 * 4e-5, 1 + 4e-5 * 430**2 - x * 1e6
    return 1e-6 * 2 * -c / (b + np.sqrt(b**2 - 4 * a * c))


def make_log(rng, truth=STANDARDS, noise=0.03e-6, swing=60e-6):
    """One day of air between 390 and 510 ppm; every tank for ten minutes at 0 h and 12 h."""
    time = np.datetime64("2024-06-01", "ns") + np.arange(0, 86400, 10) * np.timedelta64(1, "s")
    seconds = (time - time[0]) / np.timedelta64(1, "s")
    within = seconds % 43200
    port = np.where(within < 600 * len(truth), 1 + (within // 600).astype(int), 10)
    air = 450e-6 + swing * np.sin(2 * np.pi * seconds / 86400)
    x = np.where(port == 10, air, np.array([s.value for s in truth])[np.minimum(port, len(truth)) - 1])
    water = np.where(port == 10, MOIST, 0.01)
    dry = response(x) + rng.normal(0, noise, x.size)
    wet = dry * (1 + WATER.a * water + WATER.b * water**2)
    hour = time.astype("datetime64[h]")
    hourly = {h: air[(hour == h) & (port == 10)].mean() for h in np.unique(hour)}
    return Wet(time, wet, water, port, np.full(x.size, np.nan), np.ones(x.size, dtype=bool)), hourly


def whole_hours(ds, air):
    whole = ds.n_samples.values == 360
    expected = np.array([air[h] for h in ds.time.values.astype("datetime64[h]")])
    return whole, expected


def test_a_curve_brings_the_air_back_where_a_line_is_wrong(rng):
    log, air = make_log(rng, noise=1e-13)
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    whole, expected = whole_hours(ds, air)
    assert whole.sum() == 22
    # the curve of an hour's mean response would be wrong by 4e-5 ppm-1 x (4.5 ppm)^2 = 0.8 ppb
    np.testing.assert_allclose(ds.mole_fraction.values[whole], expected[whole], atol=5e-12)
    line = calibrate(log, PORTS, STANDARDS, replace(SETTINGS, degree=1), PLACE).observations
    assert np.abs(line.mole_fraction.values[whole] - expected[whole]).max() > 0.05e-6


def test_three_tank_budget_equals_the_uncertainties_package(rng):
    """Oracle: Lagrange's parabola through three tanks, in `uncertainties`, which differentiates by itself."""
    # steady air: within an hour the oracle has one response
    log, _ = make_log(rng, noise=1e-13, swing=0.0)
    done = calibrate(log, PORTS, STANDARDS, replace(SETTINGS, run_sd=0.03e-6), PLACE)
    ds, runs = done.observations, done.runs
    a, b = un.ufloat(WATER.a, WATER.a_sd), un.ufloat(WATER.b, WATER.b_sd)
    c = un.correlated_values([s.value * 1e6 for s in STANDARDS], covariance(STANDARDS) * 1e12)

    def with_water(value, water):
        return value * (1 + WATER.a * water + WATER.b * water**2) / (1 + a * water + b * water**2)

    r = [with_water(un.ufloat(m * 1e6, s * 1e6), 0.01) for m, s in zip(runs.response, runs.sd, strict=True)]

    def parabola(event, at):
        x = r[3 * event : 3 * event + 3]
        return sum(
            c[i] * (at - x[j]) * (at - x[k]) / ((x[i] - x[j]) * (x[i] - x[k]))
            for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        )

    row = 5
    middle = ds.time.values[row] + np.timedelta64(1795, "s")
    first = np.datetime64("2024-06-01T00:15:55", "ns")
    w = (middle - first) / np.timedelta64(43200, "s")
    x0 = ds.mole_fraction.values[row] * 1e6
    near = float(np.interp(x0, [380, 430, 520], [v.n for v in r[:3]]))
    for _ in range(20):  # the response of the hour, which the dataset does not keep: secant steps
        value, more = (((1 - w) * parabola(0, at) + w * parabola(1, at)).n for at in (near, near + 1e-3))
        near += (x0 - value) / (more - value) * 1e-3
    at = with_water(near, MOIST)
    oracle = (1 - w) * parabola(0, at) + w * parabola(1, at)
    assert oracle.n == pytest.approx(x0, rel=1e-12)
    ours = np.sqrt(np.sum(ds.shared_column.values[row] ** 2)) * 1e6
    assert ours == pytest.approx(oracle.s, rel=1e-10)


def test_the_fit_of_a_curve_agrees_with_a_general_minimiser():
    """Four tanks, two events, certificates correlated: scipy on whitened residuals, its own derivatives."""
    value, V = np.array([380.0, 420, 450, 520]), np.diag([0.07, 0.3, 0.05, 0.09]) ** 2 + 0.03**2
    tanks, events = np.tile([0, 1, 2, 3], 2), np.repeat([0, 1], 4)
    off = np.array([0.02, -0.1, 0.05, 0.04, -0.06, 0.1, 0.0, 0.03])
    r, sd = response(value[tanks] * 1e-6) * 1e6 + off, np.full(8, 0.05)
    got = fit(value * 1e-6, V * 1e-12, Readings(tanks, events, r * 1e-6, sd * 1e-6), 2)
    whiten = np.linalg.inv(np.linalg.cholesky(V))

    def residuals(
        p,
    ):  # unknown responses in place of unknown tanks: p = responses, then three a of each event
        u, a = (p[:8] - 450) / 70, p[8:].reshape(2, 3)[events]
        x = a[:, 0] + a[:, 1] * u + a[:, 2] * u**2
        mean = 0.5 * (x[:4] + x[4:])
        # both events must give a tank one value: held by a weight that leaves 1e-8 of a difference
        return np.concatenate([whiten @ (value - mean), (r - p[:8]) / sd, 1e4 * (x[:4] - x[4:])])

    start = np.concatenate([r, np.tile([450.0, 70.0, 0.0], 2)])
    best = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac")
    assert got.chi2 == pytest.approx(2 * best.cost, rel=1e-5)
    assert got.freedom == 8 - 6
    at = np.array([400.0, 445.0, 500.0])
    for event in (0, 1):
        ours = got.powers(at * 1e-6, np.zeros(3)) @ got.coefficients[event] * 1e6
        other = np.polyval(best.x[8:].reshape(2, 3)[event][::-1], (at - 450) / 70)
        np.testing.assert_allclose(ours, other, atol=1e-5)


@pytest.mark.parametrize("which", ["value", "response"])
def test_derivatives_of_a_curve_are_those_of_repeated_fits(which):
    value = np.array([380e-6, 420e-6, 450e-6, 520e-6])
    V = np.diag([0.07e-6, 0.3e-6, 0.05e-6, 0.09e-6]) ** 2
    r, sd = response(value), np.full(4, 5e-8)

    def coefficients(i, step):
        c, x = value.copy(), r.copy()
        (c if which == "value" else x)[i] += step
        moved = fit(c, V, Readings(np.arange(4), np.zeros(4, dtype=int), x, sd), 2)
        return moved.powers(np.array([400e-6, 470e-6]), np.zeros(2)) @ moved.coefficients[0]

    base = fit(value, V, Readings(np.arange(4), np.zeros(4, dtype=int), r, sd), 2)
    along = base.powers(np.array([400e-6, 470e-6]), np.zeros(2)) @ (
        base.by_value if which == "value" else base.by_response
    )
    for i in range(4):
        slope = (coefficients(i, 1e-9) - coefficients(i, -1e-9)) / 2e-9
        # on data that lie on the curve: elsewhere the neglected term is as small as the misfit
        np.testing.assert_allclose(along[:, i], slope, rtol=1e-5, atol=1e-5)


def test_the_uncertainty_of_a_curve_covers_the_truth_over_many_analysers():
    """200 draws of tanks and noise: 95 % within 1.96, between three binomial sd (90.4 and 99.6 %)."""
    inside, n = 0, 200
    for seed in range(n):
        rng = np.random.default_rng(seed)
        errors = rng.multivariate_normal(np.zeros(3), covariance(STANDARDS))
        truth = [replace(s, value=s.value + e) for s, e in zip(STANDARDS, errors, strict=True)]
        log, air = make_log(rng, truth, noise=0.2e-6)
        ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
        whole, expected = whole_hours(ds, air)
        k = whole / whole.sum()
        random, shared = components(ds)
        known = [s for s in shared if s.cause != "water correction"]  # the water is not drawn
        variance = sum((k @ s.column) ** 2 for s in known) + sum(np.sum((k * r.sd) ** 2) for r in random)
        inside += abs(k @ (ds.mole_fraction.values - expected)) < 1.96 * np.sqrt(variance)
    print(f"{inside} of {n} within 1.96 u")  # noqa: T201
    assert 0.904 * n <= inside <= 0.996 * n


def test_a_revised_certificate_of_a_curve_is_exact_with_as_many_tanks_as_unknowns(rng):
    log, _ = make_log(rng)
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    revised = [replace(STANDARDS[0], value=380.4e-6), STANDARDS[1], replace(STANDARDS[2], value=519.5e-6)]
    again = calibrate(log, PORTS, revised, SETTINGS, PLACE).observations
    np.testing.assert_allclose(revise(ds, revised).mole_fraction, again.mole_fraction, rtol=1e-12)


def test_a_curve_wants_three_tanks_in_each_event(rng):
    two = Ports({1: "T1", 3: "T3"}, {}, {10: 30.0})
    with pytest.raises(DataError, match="only tank T1, T3; expected 3 or more per event"):
        calibrate(make_log(rng)[0], two, STANDARDS, SETTINGS, PLACE)
    with pytest.raises(ConfigError, match="response of degree 3; expected 1 or 2"):
        replace(SETTINGS, degree=3)


def test_a_curve_that_turns_over_between_the_tanks_is_refused():
    x, r = np.array([380e-6, 430e-6, 520e-6]), np.array([380e-6, 520e-6, 525e-6])
    readings = Readings(np.arange(3), np.zeros(3, dtype=int), r[[0, 2, 1]], np.full(3, 3e-8))
    with pytest.raises(DataError, match="expected a rising"):
        fit(x, np.diag(np.full(3, 0.07e-6)) ** 2, readings, 2)


@pytest.mark.parametrize("degree", [1, 2])
def test_air_beyond_the_standards_is_flagged_and_kept(rng, degree):
    narrow = [replace(STANDARDS[2], value=500e-6) if s.tank == "T3" else s for s in STANDARDS]
    log, air = make_log(rng, narrow)
    ds = calibrate(log, PORTS, narrow, replace(SETTINGS, degree=degree), PLACE).observations
    expected = np.array([air[h] for h in ds.time.values.astype("datetime64[h]")])
    above = expected > 501e-6
    assert above.sum() >= 4
    assert (ds.flag.values[above] == SUSPECT).all()
    assert (ds.flag.values[expected < 499e-6][1:] == GOOD).sum() > 10
    assert np.isfinite(ds.mole_fraction.values).all()


@pytest.mark.parametrize("unit", [1e-6, 1e-9])
@pytest.mark.parametrize("gap", [0.01, 1.0, 5.0])
def test_tanks_that_are_close_far_from_zero_can_be_fitted(gap, unit):
    """At 5000 the last digits of the response were too coarse for the stop of Newton's steps."""
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0, 1e-5 * gap, 12)
        value, tanks = (5000 + gap * np.arange(4)) * unit, np.tile(np.arange(4), 3)
        r = (value[tanks] - 0.5 * unit) / 0.998 + noise * unit
        readings = Readings(tanks, np.repeat(np.arange(3), 4), r, np.full(12, 1e-3 * unit))
        got = fit(value, np.diag(np.full(4, (0.05 * unit) ** 2)), readings, 2)
        assert got.chi2 < 1
