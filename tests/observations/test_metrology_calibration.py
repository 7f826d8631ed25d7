"""Raw log to calibrated hours on an analyser that is known: its errors, its water, its drift, its tanks."""

from dataclasses import replace

import numpy as np
import pytest
import uncertainties as un

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import ErrorModel, components
from metroflux.worlds import CitySettings, build
from observations.metrology.analysis import Place, Settings
from observations.metrology.calibration import calibrate
from observations.metrology.certificates import Standard, covariance
from observations.metrology.picarro import Wet, read_log
from observations.metrology.response import Readings, fit
from observations.metrology.revision import revise
from observations.metrology.runs import Ports
from observations.metrology.trace import render, trace_datum, trace_mean
from observations.metrology.water import WaterCorrection, published

START, END = np.datetime64("2024-01-01", "ns"), np.datetime64("2027-01-01", "ns")
SCALE = "WMO CO2 X2019"
PLACE = Place("TWR", 40.0, 116.0, "CFADS9999")
PORTS = Ports({1: "T1", 2: "T2"}, {3: "T3"}, {10: 30.0})
WATER = published("co2", 3e-5, 5e-6)
SETTINGS = Settings("co2", WATER, flush_s=120.0, event_gap_h=2.0, run_sd=0.0, drift_sd=0.02e-6)


def tank(name, value, sd, parent="", parent_sd=0.0):
    numbers = (value * 1e-6, sd * 1e-6, 2.0)
    return Standard(f"C-{name}", name, "co2", *numbers, SCALE, START, END, parent, parent_sd * 1e-6)


STANDARDS = [tank("T1", 400, 0.07, "P", 0.05), tank("T2", 450, 0.09, "P", 0.05), tank("T3", 425, 0.08)]


def make_log(rng, days=2, noise=0.03e-6, gain=0.998, offset=0.5e-6, drift=0.0, truth=STANDARDS):
    """An analyser r = (x - offset - drift t) / gain that sees each tank 10 minutes every 12 h, else air."""
    time = np.datetime64("2024-06-01", "ns") + np.arange(0, days * 86400, 5) * np.timedelta64(1, "s")
    seconds = (time - time[0]) / np.timedelta64(1, "s")
    within = seconds % 43200
    port = np.where(within < 1800, 1 + (within // 600).astype(int), 10)
    values = {s.tank: s.value for s in truth}
    air = 430e-6 + 10e-6 * np.sin(2 * np.pi * seconds / 86400)
    x = np.select([port == 1, port == 2, port == 3], [values["T1"], values["T2"], values["T3"]], air)
    water = np.where(port == 10, 1.5, 0.01)
    dry = (x - offset - drift * seconds / 86400) / gain + rng.normal(0, noise, x.size)
    wet = dry * (1 + WATER.a * water + WATER.b * water**2)
    log = Wet(time, wet, water, port, np.full(x.size, np.nan), np.ones(x.size, dtype=bool))
    hourly = air[port == 10].reshape(-1)
    hour = time[port == 10].astype("datetime64[h]")
    return log, {h: hourly[hour == h].mean() for h in np.unique(hour)}


def test_the_air_comes_back_through_water_gain_and_offset(rng):
    log, air = make_log(rng, noise=1e-12)
    got = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    early = got.time.values.astype("datetime64[h]")
    # the hour after a calibration loses its first two minutes
    whole = got.n_samples.values == 720
    assert whole.sum() == 44
    expected = np.array([air[h] for h in early])
    np.testing.assert_allclose(got.mole_fraction.values[whole], expected[whole], atol=1e-11)


def test_drift_between_calibrations_is_interpolated(rng):
    log, air = make_log(rng, noise=1e-12, drift=0.3e-6)
    got = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    inside = (got.n_samples.values == 720) & (got.time.values < np.datetime64("2024-06-02T12"))
    expected = np.array([air[h] for h in got.time.values.astype("datetime64[h]")])
    # two tanks at 5 and 15 minutes of an event see 0.001 ppm of the drift as slope
    np.testing.assert_allclose(got.mole_fraction.values[inside], expected[inside], atol=3e-9)


def test_two_tank_budget_equals_the_uncertainties_package(rng):
    """Oracle: the same numbers through `uncertainties`, which differentiates by itself."""
    log, _ = make_log(rng, days=1)
    calibrated = calibrate(log, PORTS, STANDARDS, replace(SETTINGS, drift_sd=0.0), PLACE)
    ds, runs, fitted = calibrated.observations, calibrated.runs, calibrated.fit
    cov = covariance(STANDARDS[:2])
    c1, c2 = un.correlated_values([s.value * 1e6 for s in STANDARDS[:2]], cov * 1e12)
    a, b = un.ufloat(WATER.a, WATER.a_sd), un.ufloat(WATER.b, WATER.b_sd)
    assert runs.tank.tolist() == ["T1", "T2", "T1", "T2"]
    water_of_tank = 0.01
    r = []
    for mean, sd in zip(runs.response * 1e6, runs.sd * 1e6, strict=True):
        known = 1 + WATER.a * water_of_tank + WATER.b * water_of_tank**2
        r.append(un.ufloat(mean, sd) * known / (1 + a * water_of_tank + b * water_of_tank**2))
    row = 5
    middle = ds.time.values[row] + np.timedelta64(1797500, "ms")  # mean of 0, 5, ... 3595 s
    first, second = (np.datetime64("2024-06-01T00:10:57.5"), np.datetime64("2024-06-01T12:10:57.5"))
    w = (middle - first) / (second - first)
    wet_water = 1.5
    x0 = ds.mole_fraction.values[row] * 1e6
    along = [(1 - w), w]
    slopes = [(c2 - c1) / (r[2 * e + 1] - r[2 * e]) for e in (0, 1)]
    origin = fitted.origin * 1e6
    intercepts = [c1 + s * (origin - r[2 * e]) for e, s in enumerate(slopes)]
    a0, a1 = (sum(k * v for k, v in zip(along, part, strict=True)) for part in (intercepts, slopes))
    known = 1 + WATER.a * wet_water + WATER.b * wet_water**2
    response = (x0 - a0.n) / a1.n + origin
    air = response * known / (1 + a * wet_water + b * wet_water**2)
    oracle = a0 + a1 * (air - origin)
    assert oracle.n == pytest.approx(x0, rel=1e-12)
    ours = np.sqrt(np.sum(ds.shared_column.values[row] ** 2)) * 1e6
    assert ours == pytest.approx(oracle.s, rel=1e-10)


def test_hours_share_the_errors_of_their_tanks_and_a_mean_keeps_them(rng):
    log, _ = make_log(rng)
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    model = ErrorModel.from_datasets(ds)
    n = ds.sizes["obs"]
    budget = model.budget(np.full(n, 1 / n))
    assert np.sqrt(budget["calibration"]) > 0.05e-6
    assert np.sqrt(budget["repeatability"]) < 0.001e-6
    assert {s.cause for s in components(ds)[1]} == {
        "calibration",
        "water correction",
        "calibration runs",
        "drift",
    }
    own = {s.name: s.traceable_to for s in components(ds)[1]}
    assert own["certificate:C-T1"] == "C-T1"
    assert own["parent:P"] == "P"


def test_stated_uncertainty_covers_the_truth_over_many_analysers():
    """Tanks, runs and drift drawn as stated; 95 % of the standardised errors of the mean within 1.96."""
    z = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        errors = rng.multivariate_normal(np.zeros(3), covariance(STANDARDS))
        truth = [replace(s, value=s.value + e) for s, e in zip(STANDARDS, errors, strict=True)]
        log, air = make_log(rng, days=1, truth=truth)
        ds = calibrate(log, PORTS, STANDARDS, replace(SETTINGS, drift_sd=0.0), PLACE).observations
        whole = ds.n_samples.values == 720
        expected = np.array([air[h] for h in ds.time.values.astype("datetime64[h]")])
        k = whole / whole.sum()
        random, shared = components(ds)
        no_water = [s for s in shared if s.cause != "water correction"]
        variance = sum((k @ s.column) ** 2 for s in no_water) + sum(np.sum((k * r.sd) ** 2) for r in random)
        z.append((k @ ds.mole_fraction.values - k @ expected) / np.sqrt(variance))
    assert 52 <= np.sum(np.abs(z) < 1.96) <= 60
    assert 0.6 < np.mean(np.square(z)) < 1.5


def test_a_revised_certificate_needs_no_raw_log(rng):
    log, _ = make_log(rng)
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    revised = [replace(STANDARDS[0], value=400.3e-6, sd=0.06e-6), STANDARDS[1], STANDARDS[2]]
    again = calibrate(log, PORTS, revised, SETTINGS, PLACE).observations
    short = revise(ds, revised)
    np.testing.assert_allclose(short.mole_fraction, again.mole_fraction, rtol=1e-12)
    columns = [{s.name: s.column for s in components(d)[1]} for d in (short, again)]
    for name in ("certificate:C-T1", "certificate:C-T2", "parent:P"):
        np.testing.assert_allclose(columns[0][name], columns[1][name], rtol=1e-9)
    assert "(400.300 ± 0.120)" in short.attrs["traceability"]


def test_with_three_tanks_a_small_revision_is_first_order(rng):
    ports = Ports({1: "T1", 2: "T2", 3: "T3"}, {}, {10: 30.0})
    log, _ = make_log(rng)
    ds = calibrate(log, ports, STANDARDS, SETTINGS, PLACE).observations
    revised = [replace(STANDARDS[0], value=400.05e-6), *STANDARDS[1:]]
    again = calibrate(log, ports, revised, SETTINGS, PLACE).observations
    np.testing.assert_allclose(revise(ds, revised).mole_fraction, again.mole_fraction, atol=1e-11)


def test_least_squares_agrees_with_a_minimiser_that_knows_no_derivatives(rng):
    from scipy.optimize import minimize

    value, V = np.array([400.0, 425, 450]), np.diag([0.07, 0.3, 0.09]) ** 2 + 0.03**2
    tanks, events = np.tile([0, 1, 2], 2), np.repeat([0, 1], 3)
    response = np.array([399.6, 425.1, 449.2, 399.7, 424.9, 449.6])
    sd = np.full(6, 0.05)
    got = fit(value * 1e-6, V * 1e-12, Readings(tanks, events, response * 1e-6, sd * 1e-6), 1)
    r0 = response.mean()

    def cost(p):
        x, a0, a1 = p[:3] + 425, p[3:5] + 425, 1 + p[5:]
        left = value - x
        right = (response - r0 - (x[tanks] - a0[events]) / a1[events]) / sd
        return left @ np.linalg.solve(V, left) + right @ right

    best = minimize(cost, np.array([-25.0, 0, 25, 0, 0, 0, 0]), method="Nelder-Mead",
                    options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 40000, "maxfev": 40000,
                             "adaptive": True})  # fmt: skip
    best = minimize(cost, best.x, method="BFGS", options={"gtol": 1e-9})
    assert got.chi2 == pytest.approx(best.fun, rel=1e-6)
    np.testing.assert_allclose(got.coefficients[:, 0] * 1e6, best.x[3:5] + 425, atol=1e-4)
    assert got.freedom == 2


def test_derivatives_of_the_fit_are_those_of_repeated_fits():
    value, V = np.array([400e-6, 425e-6, 450e-6]), np.diag([0.07e-6, 0.3e-6, 0.09e-6]) ** 2
    readings = Readings(
        np.array([0, 1, 2]),
        np.zeros(3, dtype=int),
        np.array([399.6e-6, 424.4e-6, 449.2e-6]),
        np.full(3, 5e-8),
    )
    base = fit(value, V, readings, 1)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-9
        moved = [fit(value + sign * step, V, readings, 1).coefficients.ravel() for sign in (1, -1)]
        # on data that lie on a line: elsewhere the neglected term is as small as the misfit
        np.testing.assert_allclose(base.by_value[:, i], (moved[0] - moved[1]) / 2e-9, rtol=1e-6, atol=1e-6)


def test_a_target_tank_is_checked_with_what_it_shares(rng):
    log, _ = make_log(rng)
    table = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).checks
    assert len(table) == 4
    assert table.bias.abs().max() < 0.01e-6
    assert table.within.all()
    sibling = [*STANDARDS[:2], tank("T3", 425, 0.08, "P", 0.05)]
    shared = calibrate(log, PORTS, sibling, SETTINGS, PLACE).checks
    assert (shared.bias_sd < table.bias_sd - 0.005e-6).all()
    wrong = [*STANDARDS[:2], tank("T3", 425.5, 0.08)]
    assert not calibrate(log, PORTS, wrong, SETTINGS, PLACE).checks.within.any()


def test_a_datum_and_a_mean_are_traced_to_the_reference_material(rng):
    log, _ = make_log(rng)
    ds = calibrate(log, PORTS, STANDARDS, SETTINGS, PLACE).observations
    text = render(trace_datum(ds, str(ds.datum_id.values[3])))
    order = (
        "datum TWR",
        "analyser: CFADS9999",
        "working standard: cylinder T1",
        "certificate: C-T1: (400.000",
        "P",
        "scale",
    )
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    mean = trace_mean(ds, np.ones(ds.sizes["obs"], dtype=bool))
    k = np.full(ds.sizes["obs"], 1 / ds.sizes["obs"])
    assert mean.root.sd == pytest.approx(
        np.sqrt(sum(ErrorModel.from_datasets(ds).budget(k).values())), rel=1e-12
    )

    def total(branch):
        return branch.sd**2 + sum(map(total, branch.children))

    assert sum(map(total, mean.root.children)) == pytest.approx(mean.root.sd**2, rel=1e-12)
    with pytest.raises(DataError, match="no datum 'TWR:nothing' among"):
        trace_datum(ds, "TWR:nothing")


def second(**changes):
    return [STANDARDS[0], replace(STANDARDS[1], **changes), STANDARDS[2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"standards": STANDARDS[:1]}, "tank T2, T3 has no certificate; certified: T1"),
        ({"standards": second(scale="NIM")}, "on the scales NIM, WMO CO2 X2019; expected one"),
        ({"standards": second(valid_until=START)}, "certificate C-T2 of tank T2 is valid"),
        ({"ports": Ports({1: "T1", 2: "T2"}, {}, {9: 30.0})}, "no air at ports"),
        ({"ports": Ports({1: "T1", 2: "T2", 5: "T3"}, {}, {10: 30.0})}, "tank T3 has no run"),
        ({"settings": replace(SETTINGS, flush_s=700.0)}, "longer than the flush time"),
        ({"settings": replace(SETTINGS, event_gap_h=0.05)}, "only tank T1; expected 2 or more per event"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(rng, change, message):
    arguments = {"ports": PORTS, "standards": STANDARDS, "settings": SETTINGS} | change
    with pytest.raises(DataError, match=message):
        calibrate(make_log(rng)[0], arguments["ports"], arguments["standards"], arguments["settings"], PLACE)


def test_ports_must_not_contradict_themselves():
    with pytest.raises(ConfigError, match="port 1 is named for two gases"):
        Ports({1: "T1", 2: "T2"}, {}, {1: 30.0})
    with pytest.raises(ConfigError, match="1 standard tanks; expected two"):
        Ports({1: "T1"}, {}, {10: 30.0})
    with pytest.raises(ConfigError, match="T1 is standard and target"):
        Ports({1: "T1", 2: "T2"}, {3: "T1"}, {10: 30.0})


def test_water_columns_are_the_derivative(rng):
    wet, water = rng.uniform(380e-6, 420e-6, 20), rng.uniform(0, 3, 20)
    columns = WATER.columns(wet, water)
    for i, name in enumerate(("a", "b")):
        sd = (WATER.a_sd, WATER.b_sd)[i]
        up = replace(WATER, **{name: getattr(WATER, name) + sd}).dry(wet, water)
        down = replace(WATER, **{name: getattr(WATER, name) - sd}).dry(wet, water)
        np.testing.assert_allclose(columns[i], (up - down) / 2, rtol=1e-6)


@pytest.mark.realdata
def test_the_analysers_own_dry_value_is_reproduced_from_own_rows_only(data_dir):
    path = data_dir / "observations/picarro_raw/CFADS2283-20150831-171845Z-DataLog_User.dat"
    log = read_log(path, "co2")
    assert log.time.size == 884
    dry = WaterCorrection(WATER.a, WATER.b, 0, 0).dry(log.wet, log.water)
    error = np.abs(dry - log.reported_dry)
    assert np.median(error) < 0.01e-6
    methane = read_log(path, "ch4")
    error = np.abs(published("ch4", 0, 0).dry(methane.wet, methane.water) - methane.reported_dry)
    assert np.median(error) < 0.1e-9


@pytest.mark.realdata
def test_a_turning_valve_belongs_to_no_port(data_dir):
    log = read_log(data_dir / "observations/picarro_raw/CFADS2283-20150831-171845Z-DataLog_User.dat", "co2")
    assert set(log.port.tolist()) == {-1, 1, 6, 10, 11, 13, 14, 16}


LOG = "DATE TIME ALARM_STATUS INST_STATUS species MPVPosition CO2 CO2_dry h2o_reported\n"
ROW = "2024-06-01 00:00:0{} 0 963 {} 1.0 400.0 400.0 0.0\n"


def test_a_log_cut_in_its_last_line_is_read(tmp_path):
    path = tmp_path / "log.dat"
    path.write_text(LOG + "".join(ROW.format(i, (1, 3)[i % 2]) for i in range(6)) + "2024-06-01 00:00:0")
    assert read_log(path, "co2").time.size == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CO2 ", "COX ", "no column CO2"),
        ("400.0 400.0", "four 400.0", "'CO2': could not convert"),
        ("400.0 400.0", "nan 400.0", "expected a finite number"),
        ("00:00:02", "00:00:00", "time runs backward after line 3"),
        ("2024-06-01 00:00:02", "2024-13-01 00:00:02", "1 times cannot be read, first row 2"),
        (" 963 3 ", " 963 2 ", "of co2 and 0 of water"),
        ("00:00:01 0 963 3 1.0", "00:00:01 0 963 3", "line 3 has 8 fields; expected 9"),
    ],
)
def test_a_wrong_log_is_refused(tmp_path, old, new, message):
    path = tmp_path / "log.dat"
    path.write_text((LOG + "".join(ROW.format(i, (1, 3)[i % 2]) for i in range(6))).replace(old, new))
    with pytest.raises(DataError, match=message):
        read_log(path, "co2")


def test_a_datum_of_the_demo_is_traced_to_its_scale():
    """The world keeps its chain as plain text, because it may not import observations."""
    ds = build(CitySettings(cells=10, days=1, towers=2)).observations
    text = render(
        trace_datum(ds.assign(mole_fraction=ds.mole_fraction.fillna(4e-4)), str(ds.datum_id.values[0]))
    )
    for line in (
        "analyser of CEN",
        "tank-CEN  u = 0.15 umol mol-1",
        "of the parent tanks  u = 0.3",
        "scale: WMO",
    ):
        assert line in text
