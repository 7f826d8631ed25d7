"""Remote calibration: a cylinder with a known history at analysers that are known, and what several found."""

from dataclasses import replace

import numpy as np
import pytest
import uncertainties as un

from metroflux.errors import ConfigError, DataError
from metroflux.uncertainty import components
from observations.metrology.analysis import Place, Settings
from observations.metrology.calibration import calibrate
from observations.metrology.certificates import Standard
from observations.metrology.comparison import Result, combination, compare, covariance, equivalence
from observations.metrology.picarro import Wet
from observations.metrology.runs import Ports
from observations.metrology.transfer_file import read_transfers, transfer_text
from observations.metrology.travelling import degrees, frame, underway
from observations.metrology.water import published

NAT = np.datetime64("NaT", "ns")
START, BACK = np.datetime64("2024-01-01", "ns"), np.datetime64("2024-12-01", "ns")
SETTINGS = Settings("co2", published("co2", 3e-5, 5e-6), 120.0, 2.0, run_sd=0.0, drift_sd=0.02e-6)
PORTS = Ports({1: "T1", 2: "T2"}, {}, {10: 30.0}, {3: "T9"})


def tank(name, value, sd, parent="", parent_sd=0.0, valid=(START, NAT)):
    numbers = (value * 1e-6, sd * 1e-6, 2.0)
    return Standard(f"C-{name}", name.split(".")[0], "co2", *numbers, "S", *valid, parent, parent_sd * 1e-6)


def own_tanks(site):
    """Standards of one tower, of the same parent as the cylinder."""
    return [
        replace(tank("T1", 400, 0.07, "P", 0.05), certificate=f"C-{site}-1"),
        replace(tank("T2", 450, 0.09, "P", 0.05), certificate=f"C-{site}-2"),
    ]


BEFORE = tank("T9", 425.0, 0.06, "P", 0.05, (START, BACK))
AFTER = tank("T9.after", 425.2, 0.06, "P", 0.05, (BACK, NAT))


def make_log(rng, truth, noise=0.03e-6, day="2024-06-17"):
    """Fourteen hours; T1, T2 and T9 for ten minutes each at 0 h and 12 h; r = (x - 0.5 ppm) / 0.998."""
    time = np.datetime64(day, "ns") + np.arange(0, 14 * 3600, 10) * np.timedelta64(1, "s")
    within = np.arange(0, 14 * 3600, 10) % 43200
    port = np.where(within < 1800, 1 + within // 600, 10)
    x = np.select([port == i for i in (1, 2, 3)], [truth[n] for n in ("T1", "T2", "T9")], 430e-6)
    dry = (x - 0.5e-6) / 0.998 + rng.normal(0, noise, x.size)
    return Wet(
        time, dry, np.zeros(x.size), port, np.full(x.size, np.nan), np.ones(x.size, dtype=bool)
    )  # dry air: no water to correct


def at_tower(rng, site, truth=None, standards=(BEFORE, AFTER), settings=SETTINGS, day="2024-06-17"):
    tanks = own_tanks(site)
    known = {"T1": 400e-6, "T2": 450e-6, "T9": 425.1e-6} | (truth or {})
    place = Place(site, 40.0, 116.0, f"S-{site}")
    return calibrate(make_log(rng, known, day=day), PORTS, [*tanks, *standards], settings, place)


def test_a_cylinder_between_two_certificates_is_interpolated_with_the_terms_of_both():
    when = np.array([START + (BACK - START) / 4])
    got = underway(BEFORE, AFTER, when, "TWR (1)")
    assert got.value == pytest.approx(425.05e-6, rel=1e-14)
    own = np.sqrt(0.06**2 - 0.05**2)
    assert got.terms["certificate:C-T9"] == pytest.approx(0.75e-6 * own, rel=1e-9)
    assert got.terms["certificate:C-T9.after"] == pytest.approx(0.25e-6 * own, rel=1e-9)
    assert got.terms["parent:P"] == pytest.approx(0.05e-6, rel=1e-12)  # one parent: adds before squaring
    drift = np.sqrt(sum(t**2 for n, t in got.terms.items() if n.startswith("cylinder-drift")))
    assert drift == pytest.approx(np.sqrt(0.2e-6**2 / 3 * 0.25 * 0.75), rel=1e-9)


def test_halfway_the_drift_is_that_of_a_value_anywhere_between_the_certificates():
    got = underway(BEFORE, AFTER, np.array([START + (BACK - START) // 2]), "TWR (1)")
    drift = np.sqrt(sum(t**2 for n, t in got.terms.items() if n.startswith("cylinder-drift")))
    assert drift == pytest.approx(0.2e-6 / np.sqrt(12), rel=1e-6)


def test_a_tower_finds_the_cylinder_and_the_common_parent_cancels(rng):
    done = at_tower(rng, "TWR")
    (got,) = done.transfers
    assert (got.tank, got.runs, got.measured.label) == ("T9", 2, "TWR (S-TWR)")
    assert got.comparison.difference == pytest.approx(0.0, abs=0.02e-6)
    assert got.comparison.verdict == "agree"
    assert got.moved.difference == pytest.approx(0.2e-6, rel=1e-9)
    # both read the parent with weight one, so it is not in the difference at all
    assert got.comparison.covariance == pytest.approx(0.05e-6**2, rel=1e-6)
    assert abs(got.difference.terms["parent:P"]) < 1e-12
    alone = [replace(s, parent="Q") for s in (BEFORE, AFTER)]
    (apart,) = at_tower(np.random.default_rng(42), "TWR", standards=alone).transfers
    assert apart.comparison.sd**2 == pytest.approx(got.comparison.sd**2 + 2 * 0.05e-6**2, rel=1e-2)
    assert not done.observations.certificate.isin(["C-T9"]).any()  # it never calibrates


def test_the_difference_has_the_budget_of_the_uncertainties_package(rng):
    """Oracle: two tanks by hand at one event, the cylinder halfway between them, held without drift."""
    settings = replace(SETTINGS, drift_sd=0.0)
    done = at_tower(rng, "TWR", standards=[BEFORE], settings=settings)
    (got,) = done.transfers
    parent = un.ufloat(0, 0.05)
    c1, c2, c9 = (
        un.ufloat(v, np.sqrt(s**2 - 0.05**2)) + parent for v, s in ((400, 0.07), (450, 0.09), (425, 0.06))
    )
    r = [un.ufloat(m * 1e6, s * 1e6) for m, s in zip(done.runs.response, done.runs.sd, strict=True)]
    terms = {n: t * 2e6 for n, t in got.measured.terms.items() if n.startswith("run:")}  # the mean has half
    events = np.array(["2024-06-17T00:10:55", "2024-06-17T12:10:55"], dtype="datetime64[s]")
    mean = 0
    for name, own in terms.items():
        when = np.datetime64(name.split(":", 3)[3])
        w = float(np.clip((when - events[0]) / (events[1] - events[0]), 0, 1))
        at = (425.1 - 0.5) / 0.998
        lines = [c1 + (c2 - c1) / (r[2 * e + 1] - r[2 * e]) * (at - r[2 * e]) for e in (0, 1)]
        mean += ((1 - w) * lines[0] + w * lines[1] + un.ufloat(0, own)) / 2
    # the response to the cylinder differs from the noise-free one by 0.01 ppm in 25: 4e-4 of the terms
    assert got.comparison.sd * 1e6 == pytest.approx((mean - c9).s, rel=1e-3)


def test_errors_of_two_analysers_are_two_errors(rng):
    """They had one name for both, so they cancelled in a comparison and added up in an inversion."""
    first, second = (at_tower(rng, site) for site in ("AAA", "BBB"))
    names = [{s.name for s in components(one.observations)[1]} for one in (first, second)]
    assert names[0] & names[1] == {"parent:P"}


def test_the_stated_uncertainty_covers_the_truth_and_chi2_rejects_as_often_as_it_says():
    """200 journeys to three towers with every error drawn; limits of three binomial sd."""
    n, inside, rejected = 200, 0, 0
    days = ("2024-03-01", "2024-06-17", "2024-09-20")
    for seed in range(n):
        rng = np.random.default_rng(seed)
        parent, ends = 0.05e-6 * rng.standard_normal(), np.sqrt(0.06**2 - 0.05**2) * 1e-6
        # the cylinder moves from 425.0 to 425.2, by a walk that is tied to both
        share = (np.array(days, dtype="datetime64[ns]") - START) / (BACK - START)
        bridge = (
            0.2e-6
            / np.sqrt(3)
            * np.linalg.cholesky(np.minimum(share[:, None], share) - np.outer(share, share))
        )
        path = 425e-6 + 0.2e-6 * share + bridge @ rng.standard_normal(3)
        known = [
            replace(BEFORE, value=425.0e-6 + parent + ends * rng.standard_normal()),
            replace(AFTER, value=425.2e-6 + parent + ends * rng.standard_normal()),
        ]  # the budget has the change as certified, within 0.05 ppm of 0.2
        found = []
        for site, day, value in zip("ABC", days, path, strict=True):
            own = [parent + np.sqrt(sd**2 - 0.05**2) * 1e-6 * rng.standard_normal() for sd in (0.07, 0.09)]
            truth = {"T1": 400e-6 - own[0], "T2": 450e-6 - own[1], "T9": value}
            found += at_tower(rng, site, truth, known, replace(SETTINGS, drift_sd=0.0), day).transfers
        inside += sum(abs(t.comparison.zeta) < 1.96 for t in found)
        ((_, result),) = degrees(found).values()
        rejected += result.p < 0.05
    print(f"{inside} of {3 * n} within 1.96 u; chi2 rejects {rejected} of {n}")  # noqa: T201
    # the three of one journey are correlated: n, not 3 n, counts
    assert abs(inside / (3 * n) - 0.95) < 3 * np.sqrt(0.05 * 0.95 / n)
    assert abs(rejected / n - 0.05) < 3 * np.sqrt(0.05 * 0.95 / n)


def test_a_certificate_common_to_all_changes_no_degree():
    """The inverse covariance of V + c 11' gives the same weights: what all subtract drops out."""
    own = [
        Result(n, v, {n: s, "pair": p})
        for n, v, s, p in (("a", 1, 0.3, 0.2), ("b", 2, 0.5, 0.2), ("c", 1, 1, 0))
    ]
    common = Result("cylinder", 0.7, {"certificate": 0.9})
    away = [combination((r, common), (1.0, -1.0), r.label) for r in own]
    before, after = equivalence(own), equivalence(away)
    assert after.degree == pytest.approx(before.degree, abs=1e-12)
    assert after.degree_sd == pytest.approx(before.degree_sd, rel=1e-9)
    assert after.chi2 == pytest.approx(before.chi2, rel=1e-9)
    assert after.value == pytest.approx(before.value - 0.7, rel=1e-12)
    assert after.sd**2 == pytest.approx(before.sd**2 + 0.9**2, rel=1e-9)


def test_a_file_keeps_every_cause_so_that_two_laboratories_still_share_them(rng, tmp_path):
    found = [t for site in ("AAA", "BBB") for t in at_tower(rng, site).transfers]
    for i, one in enumerate(found):
        (tmp_path / f"{i}.json").write_text(transfer_text([one]))
    again = [t for i in (0, 1) for t in read_transfers(tmp_path / f"{i}.json")]
    assert [t.comparison for t in again] == [t.comparison for t in found]
    assert [t.moved for t in again] == [t.moved for t in found]
    V = covariance([t.difference for t in again])
    np.testing.assert_array_equal(V, covariance([t.difference for t in found]))
    # one cylinder on one day: certificates, journey; the parent has gone
    shared = [
        t for n, t in found[0].certified.terms.items() if not n.startswith("parent") and "S-AAA" not in n
    ]
    assert V[0, 1] == pytest.approx(sum(t**2 for t in shared), rel=1e-3)


def test_a_cylinder_that_has_not_come_back_is_provisional(rng):
    (got,) = at_tower(rng, "TWR", standards=[BEFORE]).transfers
    assert got.moved is None
    assert got.certified == underway(BEFORE, None, np.array([START]), "any")
    assert np.isnan(frame([got]).moved[0])


def test_the_least_detectable_difference_is_found_four_times_of_five(rng):
    got = compare(Result("x", 0.0, {"x": 1.0}), Result("y", 0.0, {"y": 1.0}))
    draws = got.detectable + got.sd * rng.standard_normal(40000)
    assert np.mean(draws > 2 * got.sd) == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / 40000))


def test_a_cylinder_beyond_the_standards_is_marked(rng):
    far = [replace(BEFORE, value=460e-6), replace(AFTER, value=460e-6)]
    assert at_tower(rng, "TWR", {"T9": 460e-6}, far).transfers[0].beyond
    assert not at_tower(rng, "TWR").transfers[0].beyond


def test_contradictions_of_a_journey_are_refused(rng):
    with pytest.raises(ConfigError, match="tank T1 is standard and travelling"):
        Ports({1: "T1", 2: "T2"}, {}, {10: 30.0}, {3: "T1"})
    with pytest.raises(DataError, match="tank T9 has no certificate"):
        at_tower(rng, "TWR", standards=[])
    with pytest.raises(DataError, match="expected two days and one scale"):
        at_tower(rng, "TWR", standards=[BEFORE, replace(AFTER, scale="other")])
    two = [BEFORE, replace(BEFORE, certificate="C-again")]
    with pytest.raises(DataError, match=r"C-again of tank T9 .* expected one that covers"):
        at_tower(rng, "TWR", standards=two)
    (one,) = at_tower(rng, "AAA").transfers
    with pytest.raises(DataError, match=r"measured by AAA \(S-AAA\); expected two or more"):
        degrees([one])
    with pytest.raises(DataError, match="comparisons of scale S, other; expected one"):
        degrees([one, replace(one, scale="other")])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('{\n "format"', '\n "format"', "not JSON"),
        ("metroflux comparison 1", "another", "format 'another'"),
        ('"mol mol-1"', '"ppm"', "unit 'ppm'; expected"),
        ('"tank": "T9"', '"tank": 9', "comparison 1: tank is 9; expected str"),
        ('"runs": 2', '"runs": true', "runs is True; expected int"),
        ('"beyond": false', '"inside": false', "no field 'beyond'"),
        ('"parent:P": ', '"parent:P": "x", "Q": ', "measured: terms: parent:P is 'x'"),
        ('"moved": {', '"moved": 3, "other": {', "moved is 3; expected"),
        ('"start": "2024-06-17', '"start": "17.06.2024', "start: '17.06.2024"),
    ],
)
def test_a_wrong_comparison_file_is_refused(rng, tmp_path, old, new, message):
    text = transfer_text(at_tower(rng, "TWR").transfers)
    assert old in text
    path = tmp_path / "comparison.json"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_transfers(path)
